"""Uploaded codes that cannot be used: passed over with the reason, so that they hold up nobody.

An outputs part is sealed to the pepper process, so what is wrong with one shows only there: days
after its upload was taken, beside everybody else's. It stays as it came and is tried again at each
run, because the fault may be this side's (another key was put back from a backup).
"""

from collections.abc import Callable

from consortium.store import contributions, errors, texts
from consortium.store.unit import Unit, Units
from matching.errors import ArtefactRefused, BundleRefused

NAME = "unusable:"


def sift(units: Units, id: str, work: Callable[[], str]) -> str | None:
    """What the work on one list or roll slice returns; None when its codes are not usable.

    The reason is kept, and said in the worker's own log when it is new; it holds no value.
    """
    try:
        made, reason = work(), ""
    except (ArtefactRefused, BundleRefused, errors.ArtefactRefused) as refused:
        made, reason = None, str(refused)
    if units.run("unusable", lambda unit: _note(unit, id, reason)) and reason:
        print(f"match: {id} is passed over: {reason}", flush=True)  # noqa: T201
    return made


def why(unit: Unit, id: str) -> str:
    """What is wrong with the codes of a list or a roll slice; empty when nothing is known."""
    try:
        return texts.get(unit, NAME + id)
    except errors.Missing:
        return ""


def listed(unit: Unit) -> dict[str, str]:
    """Every list and roll slice that waits with codes that cannot be used, with the reason."""
    found = (name.removeprefix(NAME) for name in texts.named(unit, NAME))
    return {id: texts.get(unit, NAME + id) for id in found if _waits(unit, id)}


def _waits(unit: Unit, id: str) -> bool:
    one = contributions.find(unit, id) or contributions.find_roll(unit, id)
    return one is not None and one.state == "received"


def _note(unit: Unit, id: str, reason: str) -> bool:
    """Whether that is news."""
    if why(unit, id) == reason:
        return False
    if reason:
        texts.put(unit, NAME + id, reason)
    else:
        texts.drop(unit, NAME + id)
    return True

"""Why one row is linked, or is not, by the artefacts of the run that met the roll; never who."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from consortium.service.errors import WrongState
from consortium.store import contributions, log
from consortium.store.artefacts import Artefacts
from consortium.store.errors import Missing
from consortium.store.unit import Unit, Units
from matching import explaining, score
from matching.bundle import read_links
from matching.errors import RowUnknown


@dataclass(frozen=True, slots=True)
class Told:
    """A row as the newest run left it, and as its artefacts explain it today.

    Attributes:
        found: None when no voter shares a token with the row.
        linked: whether the run's links hold the row.
        same_weights: whether the run was made with the weights that it is explained by.
    """

    found: explaining.Explained | None
    linked: bool
    same_weights: bool


@dataclass(frozen=True, slots=True)
class _Met:
    """The artefacts of one run, and the digest of the parameters that the log says it had."""

    epoch: str
    members: str
    roll: str
    links: str
    parameters: str


def explain(
    units: Units, artefacts: Artefacts, key: Callable[[str], bytes], bundle: str, row: int
) -> Told:
    """Explain a row of a list that has met a roll.

    Args:
        key: an epoch's key of tokens at rest.
        row: as its receipt counts it.

    Raises:
        Missing: no list of that id, or it has no such row.
        WrongState: it met no roll yet, the row was withdrawn, or what it was matched by is gone.
    """
    met = units.run("explain", lambda unit: _met(unit, bundle, row))
    weights = score.load()
    with ExitStack() as stack:
        mine, theirs, links = (
            stack.enter_context(artefacts.open(one)) for one in (met.members, met.roll, met.links)
        )
        try:
            found = explaining.explain(mine, theirs, row, key=key(met.epoch), weights=weights)
        except RowUnknown as unknown:
            raise Missing("that list has no such row, or it was withdrawn") from unknown
        linked = any(at == row for at, _, _ in read_links(links))
    return Told(found, linked, met.parameters == score.digest(weights))


def _met(unit: Unit, bundle: str, row: int) -> _Met:
    one = contributions.find(unit, bundle)
    if one is None:
        raise Missing("no list has that id here")
    if one.state in ("withdrawn", "ended"):
        raise WrongState(f"that list is {one.state}: nothing is kept to explain a row by")
    if {row, contributions.WHOLE} & contributions.taken_back(unit, bundle):
        raise WrongState("that row was withdrawn")
    roll = contributions.find_roll(unit, one.linked_roll) if one.linked_roll else None
    if roll is None or not (one.tokens_digest and one.links_digest and roll.tokens_digest):
        raise WrongState("that list has met no roll yet; the worker matches it, or the next one")
    run = _parameters(unit, bundle, roll.id)
    return _Met(one.epoch, one.tokens_digest, roll.tokens_digest, one.links_digest, run)


def _parameters(unit: Unit, bundle: str, roll: str) -> str:
    found = ""
    for one in log.of_kind(unit, "match", "operator"):
        said = {name: opened["value"] for name, opened in (one.openings or {}).items()}
        if (said.get("bundle"), said.get("roll")) == (bundle, roll):
            found = str(said["parameters_digest"])
    return found

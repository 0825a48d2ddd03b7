"""An epoch ends: its keys, bundles, tokens, links, audiences and roster go; the log keeps its word.

Crash order. The end is one transaction: from its commit on nothing of the epoch is served, matched
or opened, no wrapped key, lock or token of it is in the database, and its files are doomed. Then go
the epoch's own keys, without which its token artefacts cannot be read, and then the files. A crash
anywhere leaves an epoch that has ended and is not gone: the same call goes on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from consortium.service import succeed
from consortium.service.enter import Pen
from consortium.service.errors import WrongState
from consortium.store import doomed, epochs, leftovers, races
from consortium.store.artefacts import Artefacts
from consortium.store.unit import Unit, Units


@dataclass(frozen=True, slots=True)
class Reach:
    """What the end of an epoch reaches.

    ``forget_keys`` deletes the epoch's pepper, outputs and tokens keys; again is harmless.
    """

    units: Units
    artefacts: Artefacts
    pen: Pen
    clock: Callable[[], datetime]
    forget_keys: Callable[[str], None]


def end(at: Reach, epoch: str) -> int:
    """End an epoch in which no race stands, and leave nothing of it. Repeatable at any time.

    Returns:
        How many files were deleted by this call.

    Raises:
        Missing: there is no such epoch.
        WrongState: a race stands in it, or it is the only one.
    """
    at.units.run("epoch-end", lambda unit: _close(at, unit, epoch))
    at.forget_keys(epoch)
    deleted = doomed.sweep(at.units, at.artefacts)
    at.units.run("epoch-gone", lambda unit: _gone(at, unit, epoch))
    at.units.forget()
    return deleted


def _close(at: Reach, unit: Unit, epoch: str) -> None:
    found = succeed.known(unit, epoch)
    if found.state != "open":
        return
    here = [race.id for race in races.everyone(unit) if race.epoch == epoch]
    if here:
        raise WrongState(f"move these races out of {epoch} first: {', '.join(here)}")
    if epochs.open_now(unit) == [epoch]:
        raise WrongState(f"{epoch} is the only epoch; open the next one first")
    doomed.doom(unit, leftovers.let_go(unit, epoch))
    epochs.change(unit, epoch, state="ended", ended=at.clock())
    succeed.said(unit, at.pen, "ended", epoch, at.clock())
    succeed.renew_invite(unit)


def _gone(at: Reach, unit: Unit, epoch: str) -> None:
    found = succeed.known(unit, epoch)
    if found.state != "ended":
        return
    epochs.change(unit, epoch, state="gone", ended=found.ended)
    succeed.said(unit, at.pen, "gone", epoch, at.clock())

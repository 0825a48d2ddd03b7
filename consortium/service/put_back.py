"""A database that was put back to an earlier day sends nothing: it would write to people again.

Its letters that left since then are pending in it, and of stops that came since it knows nothing.
The mail machine keeps a number beside its keys that no backup of the database takes back: how often
letters of each campaign were claimed, written before any of them leaves.
"""

from collections.abc import Mapping
from typing import Protocol

from consortium.service.errors import NotReady
from consortium.store import claims
from consortium.store.unit import Unit, Units

PUT_BACK = "the operator: the database was put back to before letters left (runbook restore)"


class Marks(Protocol):
    """What the mail machine remembers outside the database."""

    def known(self) -> Mapping[str, int]:
        """By a campaign's mark: how often its letters were claimed."""

    def keep(self, mark: str, turns: int) -> None:
        """Remember that; raises OSError where it cannot."""


def look(units: Units, marks: Marks | None) -> None:
    """Check that the database knows of every claim that was made, in whichever campaign.

    Raises:
        NotReady: it does not, so nothing leaves.
    """
    if marks is None:
        return
    kept = marks.known()
    have = units.read("put-back", lambda unit: {one: claims.turns(unit, one) for one in kept})
    if any(have[one] < number for one, number in kept.items()):
        raise NotReady(PUT_BACK)


def count(unit: Unit, campaign: str, marks: Marks | None) -> int:
    """Count a claim in its own transaction; how many there are now.

    Raises:
        NotReady: so many were made before: the database was put back under this very worker.
    """
    mark = claims.mark(campaign)
    now_is = claims.again(unit, mark)
    if marks is not None and now_is <= marks.known().get(mark, 0):
        raise NotReady(PUT_BACK)
    return now_is

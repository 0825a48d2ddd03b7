"""A partner is told who of its own list said stop upon a letter of its own, so that it can heed it.

They are its members and the letter came from its domain; nobody else is told. What is told is the
lock of the partner's own row, how far the stop reaches, and the day: the partner's own computer
alone knows whose row that is. Stops of addresses that were typed, complaints and bounces are told
to nobody.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from consortium.store import contributions, suppressions
from consortium.store.errors import Missing
from consortium.store.unit import Unit
from policies.authorise import Caller, require


@dataclass(frozen=True, slots=True)
class ToldStop:
    """One stop by whoever stands behind a row of the partner's own.

    ``scope`` is ``race``, ``partner`` or ``all``: whoever asked for protection reads as ``all``, so
    that nothing shows who needs it. ``day`` is the UTC day.
    """

    lock: str
    scope: str
    race: str
    day: date


def stops_of(unit: Unit, caller: Caller, id: str) -> Sequence[ToldStop]:
    """Every stop upon letters that went through one of the caller's lists, by lock.

    A row that was withdrawn is named no more, nor is any once its list has left.

    Raises:
        Missing: no such list of this partner's.
    """
    require(caller, "contribute", partner=caller.id)
    one = contributions.find(unit, id)
    if one is None or one.partner != caller.id:
        raise Missing("this partner has no such contribution")
    first: dict[tuple[str, str, str], date] = {}
    for lock, scope, race, at in suppressions.stops_through(unit, id):
        about = lock, scope, race
        first[about] = min(at.date(), first.get(about, at.date()))
    return [ToldStop(*about, day) for about, day in sorted(first.items())]

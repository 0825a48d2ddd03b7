"""A partner keeps a day free of letters, on which it writes to its own members itself.

On such a day no letter of the race leaves, whoever it is from. Were only the letters held that go
to that partner's own members, another partner's staff could tell from the day on which a letter
came that its reader is not on that list.
"""

from datetime import date, datetime, timedelta

from consortium.service import agree
from consortium.service.errors import WrongState
from consortium.store import kept_days
from consortium.store.kept_days import KeptDay
from consortium.store.unit import Unit
from policies import caps
from policies.authorise import Caller, require

MOST_A_WEEK = 2
"""Days in any seven that one partner may keep, since each of them holds everybody's letters."""
WEEK = timedelta(days=7)


def keep(unit: Unit, caller: Caller, race: str, day: date, now: datetime) -> None:
    """Name a day on which this partner writes to its own members; again changes nothing.

    It counts from this very moment: letters that are not in the mail server's hands yet wait.

    Raises:
        WrongState: the day is over, outside the agreement's dates, or one too many.
    """
    partner = _own(unit, caller, race)
    terms = agree.terms(unit, race)
    first, last = (caps.local_day(terms, at) for at in (terms.opens, terms.closes))
    if day < caps.local_day(terms, now):
        raise WrongState("that day is over")
    if not first <= day <= last:
        raise WrongState(f"no letter leaves that day: the agreement is from {first} to {last}")
    known = {one.day for one in kept_days.listed(unit, race) if one.partner == partner}
    if day not in known and _crowded(known | {day}, day):
        raise WrongState(
            f"a partner keeps at most {MOST_A_WEEK} days in any seven free; give one back first"
        )
    kept_days.keep(unit, KeptDay(race, partner, day, now))


def give_back(unit: Unit, caller: Caller, race: str, day: date) -> None:
    """Let letters leave on a day that this partner kept; again changes nothing."""
    kept_days.release(unit, race, _own(unit, caller, race), day)


def own(unit: Unit, caller: Caller, race: str) -> list[date]:
    """The days that the caller keeps free."""
    partner = _own(unit, caller, race)
    return [one.day for one in kept_days.listed(unit, race) if one.partner == partner]


def days(unit: Unit, race: str) -> frozenset[date]:
    """Every day on which no letter of a race leaves because some partner writes itself."""
    return kept_days.days(unit, race)


def _own(unit: Unit, caller: Caller, race: str) -> str:
    require(caller, "keep_day", partner=caller.partner or "")
    if caller.partner not in agree.parties(unit, race):
        raise WrongState("this partner has not joined that race")
    return str(caller.partner)


def _crowded(known: set[date], day: date) -> bool:
    """Whether some seven days with ``day`` among them hold more than one partner may keep."""
    starts = (day - timedelta(days=back) for back in range(WEEK.days))
    return any(sum(start <= one < start + WEEK for one in known) > MOST_A_WEEK for start in starts)

"""When nobody's no has been a yes for long enough: hours in which somebody could have said it.

A letter asked for on Friday evening is not agreed to by Sunday's silence. For a planned letter the
clock stands on Saturdays, Sundays, federal holidays and the agreement's days without letters, and
the last hour never falls into the night. A rapid letter cannot wait for Monday: its clock runs on
every day, but in waking hours alone. All in the race's time zone.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from policies.agreement import Agreement
from policies.errors import ProgrammeRefused

_DAY = timedelta(days=1)
_FIXED = ((1, 1), (6, 19), (7, 4), (11, 11), (12, 25))
_MONDAYS = ((1, 3), (2, 3), (9, 1), (10, 2))
"""Month, and which Monday of it; Memorial Day is the last of May, Thanksgiving a Thursday."""


def ripe(agreement: Agreement, seen: datetime, *, rapid: bool) -> datetime:
    """From which moment (UTC) silence is a yes, of a letter first seen at ``seen``.

    Raises:
        ProgrammeRefused: the agreement knows no silence.
    """
    left = needed(agreement, rapid=rapid)
    for opens, closes in _counting(agreement, seen, rapid):
        if closes - opens > left:
            return _awake(agreement, opens + left)
        left -= closes - opens
    raise AssertionError("days do not end")


def needed(agreement: Agreement, *, rapid: bool) -> timedelta:
    """The hours that the agreement asks for."""
    if agreement.silence is None:
        raise ProgrammeRefused("silence", "is no yes under this agreement")
    hours = agreement.silence.rapid_hours if rapid else agreement.silence.hours
    return timedelta(hours=hours)


def counted(agreement: Agreement, since: datetime, until: datetime, *, rapid: bool) -> timedelta:
    """How much of the time between two moments counts."""
    found = timedelta()
    for opens, closes in _counting(agreement, since, rapid):
        if opens >= until:
            return found
        found += min(closes, until) - opens
    raise AssertionError("days do not end")


def latest_ask(agreement: Agreement, first: date, lead_days: int) -> date:
    """The last day to ask for a letter so that a day is left behind the silence for the log."""
    ask = first - lead_days * _DAY
    if agreement.silence is None:
        return ask
    begins = _at(agreement, first, time(0))
    while ripe(agreement, _at(agreement, ask + _DAY, time(0)), rapid=False) > begins - _DAY:
        ask -= _DAY
    return ask


def holiday(day: date) -> bool:
    """Whether it is a federal holiday of the United States, or the weekday on which one is kept.

    Source: 5 U.S.C. 6103 (a), (b); the President's inauguration is left out.
    """
    if any(_kept(day, *fixed) for fixed in _FIXED):
        return True
    nth = (day.day + 6) // 7
    if day.weekday() == 0:
        return (day.month, nth) in _MONDAYS or (day.month == 5 and day.day > 24)
    return (day.month, nth, day.weekday()) == (11, 4, 3)


def _kept(day: date, month: int, of_month: int) -> bool:
    """Whether a holiday of a fixed date is kept that day: Saturday's on Friday, Sunday's Monday."""
    shift = {4: 1, 0: -1}.get(day.weekday(), 0)
    return (month, of_month) in {(one.month, one.day) for one in (day, day + shift * _DAY)}


def _counting(
    agreement: Agreement, since: datetime, rapid: bool
) -> Iterator[tuple[datetime, datetime]]:
    """Stretches of time that count, from a moment on, in order, UTC."""
    day = since.astimezone(ZoneInfo(agreement.race.time_zone)).date()
    while True:
        for start, end in _waking(agreement) if rapid else ((time(0), time(0)),):
            if rapid or _working(agreement, day):
                opens = max(_at(agreement, day, start), since)
                closes = _at(agreement, day if end > start else day + _DAY, end)
                if opens < closes:
                    yield opens, closes
        day += _DAY


def _waking(agreement: Agreement) -> tuple[tuple[time, time], ...]:
    """From and to, by the clock, in the order of a day; midnight as an end is the day's."""
    quiet, loud = agreement.quiet_hours
    if quiet == loud:
        return ((time(0), time(0)),)
    if quiet > loud:
        return ((loud, quiet),)
    begins = ((time(0), quiet),) if quiet != time(0) else ()
    return (*begins, (loud, time(0)))


def _awake(agreement: Agreement, at: datetime) -> datetime:
    """The moment itself, or the end of the night into which it falls."""
    day = at.astimezone(ZoneInfo(agreement.race.time_zone)).date()
    for each in (day, day + _DAY):
        for start, end in _waking(agreement):
            closes = _at(agreement, each if end > start else each + _DAY, end)
            if at < closes:
                return max(at, _at(agreement, each, start))
    raise AssertionError("every day has waking hours")


def _working(agreement: Agreement, day: date) -> bool:
    return day.weekday() < 5 and not holiday(day) and day not in agreement.blackout


def _at(agreement: Agreement, day: date, clock: time) -> datetime:
    return datetime.combine(day, clock, ZoneInfo(agreement.race.time_zone)).astimezone(UTC)

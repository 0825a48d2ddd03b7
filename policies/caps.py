"""How often one person may be written to, and at which hours."""

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from policies.agreement import Agreement, Caps
from policies.errors import CapReached, NotNow

WEEK = timedelta(days=7)


def within(
    caps: Caps, sent_at: Sequence[datetime], now: datetime, elsewhere: Sequence[datetime] = ()
) -> None:
    """Check that one more letter to this person keeps the caps. Act after the gate; never show it.

    Args:
        caps: of the race's agreement.
        sent_at: when this person was written to in this race, from any partner, UTC, any order.
            Letters in doubt count as sent.
        now: UTC.
        elsewhere: when they were written to in other races; a week is one for all of them.

    Raises:
        CapReached: which cap, and when it next has room (never, for the race's).
    """
    if len(sent_at) >= caps.letters_per_race:
        raise CapReached("letters_per_race", None)
    # A rolling week, not a calendar one: Sunday night and Monday morning are one week.
    recent = sorted(sent for sent in (*sent_at, *elsewhere) if sent > now - WEEK)
    if len(recent) >= caps.letters_per_week:
        raise CapReached("letters_per_week", recent[-caps.letters_per_week] + WEEK)


def may_send_at(agreement: Agreement, now: datetime, kept: Collection[date] = ()) -> None:
    """Check that a letter may leave now: inside the dates, on no blackout day, in no quiet hour.

    Days and hours are those of the race's time zone.

    Args:
        kept: further days without letters, on which a partner writes to its own members.

    Raises:
        NotNow: why, and the next moment (UTC) at which it could leave, None if there is none.
    """
    reason = _hindrance(agreement, now, kept)
    if reason:
        raise NotNow(reason, _next(agreement, now, kept))


def local_day(agreement: Agreement, at: datetime) -> date:
    """The day on which something happens, in the race's time zone."""
    return at.astimezone(ZoneInfo(agreement.race.time_zone)).date()


def day_began(agreement: Agreement, at: datetime) -> datetime:
    """When the day on which something happens began, UTC."""
    zone = ZoneInfo(agreement.race.time_zone)
    return _utc(local_day(agreement, at), time(0), zone)


def _hindrance(agreement: Agreement, now: datetime, kept: Collection[date]) -> str | None:
    local = now.astimezone(ZoneInfo(agreement.race.time_zone))
    if now < agreement.opens:
        return "the agreement has not opened"
    if now >= agreement.closes or now >= agreement.race.polls_close:
        return "the agreement has closed"
    if local.date() in agreement.blackout:
        return "today is a day without letters"
    if local.date() in kept:
        return "a partner writes to its own members today"
    if _quiet(local.time(), *agreement.quiet_hours) or _twice(agreement, now):
        return "it is a quiet hour"
    return None


def _twice(agreement: Agreement, now: datetime) -> bool:
    """Whether quiet has begun and not ended on the night on which an hour comes twice.

    By the clock on the wall it would end, or not have begun, in one of the two: it begins with the
    first and ends with the second.
    """
    zone = ZoneInfo(agreement.race.time_zone)
    start, end = agreement.quiet_hours
    today = now.astimezone(zone).date()
    for day in (today - timedelta(days=1), today):
        last = day + timedelta(days=start > end)
        if _utc(day, start, zone) <= now < _utc(last, end.replace(fold=1), zone):
            return True
    return False


def _quiet(here: time, start: time, end: time) -> bool:
    if start <= end:
        return start <= here < end
    return here >= start or here < end


def _next(agreement: Agreement, now: datetime, kept: Collection[date]) -> datetime | None:
    """Try the only moments at which a hindrance can end: opening, midnight, end of quiet."""
    zone = ZoneInfo(agreement.race.time_zone)
    first = max(now, agreement.opens)
    day = first.astimezone(zone).date()
    moments = [first]
    while (midnight := _utc(day, time(0), zone)) < agreement.closes:
        end = agreement.quiet_hours[1]
        moments += [midnight, _utc(day, end, zone), _utc(day, end.replace(fold=1), zone)]
        day += timedelta(days=1)
    free = (m for m in sorted(moments) if m >= first and not _hindrance(agreement, m, kept))
    return next(free, None)


def _utc(day: date, clock: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, clock, zone).astimezone(UTC)

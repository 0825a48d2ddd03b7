"""When a custodian that is not always on answers evaluations: weekdays and times in its own zone.

Written as people say it: `weekdays 18:00-22:00; sat 10:00-14:00`, or `always`. Days are `daily`,
`weekdays`, `weekends`, `mon`, `mon-fri` or `mon,wed`; a time that ends before it begins ends on the
next day.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_GROUPS = {"daily": range(7), "weekdays": range(5), "weekends": range(5, 7)}
_TIMES = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})")
_MINUTES = 24 * 60


class HoursRefused(ValueError):
    """These hours cannot be read; says which part and what they look like."""


@dataclass(frozen=True, slots=True)
class Hours:
    """Opening hours.

    Attributes:
        text: as they were written.
        zone: an IANA time zone, `America/Detroit`.
        spans: weekday from Monday = 0, first minute and last minute exclusive of that day; beyond
            1440 they go on into the next. None of them means always.
    """

    text: str = "always"
    zone: str = "UTC"
    spans: tuple[tuple[int, int, int], ...] = ()

    def open_at(self, now: datetime) -> bool:
        """Whether it answers at this instant (aware, any zone)."""
        return not self.spans or any(begins <= now < ends for begins, ends in self._around(now, 2))

    def opens(self, now: datetime) -> datetime:
        """Return when it answers next, in its own zone: ``now`` if it does."""
        if self.open_at(now):
            return now.astimezone(ZoneInfo(self.zone))
        begins = min(begins for begins, _ in self._around(now, 9) if begins > now)
        return begins.astimezone(ZoneInfo(self.zone))

    def said(self) -> str:
        """Say the hours as people read them."""
        return f"{self.text} ({self.zone})" if self.spans else "at any time"

    def _around(self, now: datetime, days: int) -> Iterator[tuple[datetime, datetime]]:
        """Every span of yesterday and the days from then on, as instants."""
        zone = ZoneInfo(self.zone)
        first = now.astimezone(zone).date() - timedelta(days=1)
        for day in (first + timedelta(days=n) for n in range(days)):
            for weekday, begins, ends in self.spans:
                if weekday == day.weekday():
                    yield _instant(day, begins, zone), _instant(day, ends, zone)


ALWAYS = Hours()


def read_hours(text: str, zone: str = "UTC") -> Hours:
    """Read hours.

    Raises:
        HoursRefused: naming the part that cannot be read.
    """
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise HoursRefused(f"{zone!r} is no time zone; one is America/Detroit") from error
    if text.strip().lower() == "always":
        return Hours(zone=zone)
    spans = [span for part in text.split(";") for span in _spans(part.strip())]
    return Hours(" ".join(text.split()), zone, tuple(sorted(set(spans))))


def _spans(part: str) -> Iterator[tuple[int, int, int]]:
    days, _, times = part.partition(" ")
    found = [_TIMES.fullmatch(one) for one in times.replace(",", " ").split()]
    if not found or None in found:
        raise HoursRefused(
            f"{part!r} cannot be read; hours are like `weekdays 18:00-22:00; sat 10:00-14:00`"
        )
    for one in found:
        assert one is not None
        hour, minute, hour_to, minute_to = map(int, one.groups())
        begins, ends = 60 * hour + minute, 60 * hour_to + minute_to
        if not (begins < _MINUTES and ends <= _MINUTES and minute < 60 and minute_to < 60):
            raise HoursRefused(f"{one[0]!r} are no times of a day")
        if begins == ends:
            raise HoursRefused(f"{one[0]!r} is no time at all; for a whole day 00:00-24:00")
        for day in _days(days.lower()):
            yield day, begins, ends if ends > begins else ends + _MINUTES


def _days(words: str) -> Iterator[int]:
    for word in words.split(","):
        first, _, last = word.partition("-")
        if word in _GROUPS:
            yield from _GROUPS[word]
        elif first in DAYS and (last or first) in DAYS:
            begins, count = DAYS.index(first), DAYS.index(last or first) - DAYS.index(first)
            yield from ((begins + n) % 7 for n in range(count % 7 + 1))
        else:
            raise HoursRefused(f"{word!r} is no day; days are daily, weekdays, mon, sat-sun")


def _instant(day: date, minutes: int, zone: ZoneInfo) -> datetime:
    late, minute = divmod(minutes, _MINUTES)
    wall = datetime.combine(day + timedelta(days=late), time(minute // 60, minute % 60), zone)
    return wall.astimezone(UTC)

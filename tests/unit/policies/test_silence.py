"""Silence counts only where somebody could have said no."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from policies import silence
from policies.agreement import Agreement
from policies.errors import ProgrammeRefused

Make = Callable[..., Agreement]
HOURS = {"hours": 48, "rapid_hours": 12}


def ripens(terms: Agreement, seen: str, *, rapid: bool = False) -> str:
    """When silence is over, in the clock of Ohio, in which ``seen`` is said too."""
    zone = "America/New_York"
    assert terms.race.time_zone == zone
    local = datetime.fromisoformat(seen).replace(tzinfo=ZoneInfo(zone))
    ripe = silence.ripe(terms, local.astimezone(UTC), rapid=rapid)
    return ripe.astimezone(ZoneInfo(zone)).strftime("%a %m-%d %H:%M")


@pytest.mark.parametrize(
    ("seen", "ripe"),
    [
        ("2026-10-05T10:00", "Wed 10-07 10:00"),  # Monday: two days of a week
        ("2026-10-01T10:00", "Mon 10-05 10:00"),  # Thursday: the weekend counts nothing
        ("2026-10-03T10:00", "Wed 10-07 08:00"),  # Saturday: from Monday's first minute
        ("2026-10-05T23:00", "Thu 10-08 08:00"),  # ends in the night: not before the morning
        ("2026-10-08T10:00", "Tue 10-13 10:00"),  # Columbus Day on the Monday
        ("2026-10-29T10:00", "Mon 11-02 10:00"),  # an hour is put back on the Sunday
    ],
)
def test_a_planned_letters_clock_stands_on_weekends_and_holidays(
    make: Make, seen: str, ripe: str
) -> None:
    assert ripens(make(silence=HOURS), seen) == ripe


@pytest.mark.parametrize(
    ("seen", "ripe"),
    [
        ("2026-10-05T08:00", "Tue 10-06 08:00"),  # twelve waking hours, and not at bedtime
        ("2026-10-05T10:00", "Tue 10-06 10:00"),
        ("2026-10-03T22:00", "Mon 10-05 08:00"),  # Saturday night: the Sunday counts
        ("2026-10-04T12:00", "Mon 10-05 12:00"),
    ],
)
def test_a_rapid_letters_clock_runs_on_every_day_and_stands_at_night(
    make: Make, seen: str, ripe: str
) -> None:
    assert ripens(make(silence=HOURS), seen, rapid=True) == ripe


def test_days_that_the_agreement_closes_count_nothing_either(make: Make) -> None:
    closed = make(silence=HOURS, blackout=[date(2026, 10, 6)])
    assert ripens(closed, "2026-10-05T10:00") == "Thu 10-08 10:00"


@pytest.mark.parametrize(
    "quiet", [["20:00", "08:00"], ["00:00", "06:00"], ["01:00", "05:00"], ["00:00", "00:00"]]
)
def test_whatever_the_quiet_hours_silence_never_ends_in_them(make: Make, quiet: Any) -> None:
    times = tuple(time.fromisoformat(each) for each in quiet)
    terms = make(silence=HOURS, quiet_hours=quiet)
    assert terms.quiet_hours == times
    for hour in range(0, 24 * 9, 5):
        seen = datetime(2026, 10, 1, tzinfo=UTC) + timedelta(hours=hour)
        for rapid in (False, True):
            end = ripens(terms, seen.strftime("%Y-%m-%dT%H:%M"), rapid=rapid)[-5:]
            start, stop = times
            inside = (
                (start <= time.fromisoformat(end) < stop)
                if start <= stop
                else (time.fromisoformat(end) >= start or time.fromisoformat(end) < stop)
            )
            assert not inside


def test_silence_is_at_least_its_hours_by_any_clock(make: Make) -> None:
    terms = make(silence=HOURS)
    for hour in range(0, 24 * 30, 7):
        seen = datetime(2026, 10, 1, tzinfo=UTC) + timedelta(hours=hour)
        for rapid, hours in ((False, 48), (True, 12)):
            ripe = silence.ripe(terms, seen, rapid=rapid)
            assert ripe - seen >= timedelta(hours=hours)
            assert silence.counted(terms, seen, ripe, rapid=rapid) >= timedelta(hours=hours)


def test_a_letter_is_asked_for_so_early_that_its_silence_leaves_a_day(make: Make) -> None:
    terms = make(silence={"hours": 72, "rapid_hours": 12})
    for day in range(25):
        first = date(2026, 10, 8) + timedelta(days=day)
        ask = silence.latest_ask(terms, first, 4)
        assert ask <= first - timedelta(days=4)
        asked_last = datetime(ask.year, ask.month, ask.day, 23, 59, tzinfo=UTC) + timedelta(hours=4)
        ripe = silence.ripe(terms, asked_last, rapid=False)
        begins = datetime(first.year, first.month, first.day, 4, tzinfo=UTC)
        assert ripe <= begins - timedelta(days=1)
    assert silence.latest_ask(make(), date(2026, 10, 12), 4) == date(2026, 10, 8)


def test_the_federal_holidays_are_those_of_the_law() -> None:
    """Kept days as the Office of Personnel Management printed them for 2026 and 2027."""
    kept = {
        2026: "01-01 01-19 02-16 05-25 06-19 07-03 09-07 10-12 11-11 11-26 12-25",
        2027: "01-01 01-18 02-15 05-31 06-18 07-05 09-06 10-11 11-11 11-25 12-24",
    }
    for year, days in kept.items():
        every = [date(year, 1, 1) + timedelta(days=n) for n in range(365)]
        found = [each for each in every if silence.holiday(each) and each.weekday() < 5]
        also = ["12-31"] if year == 2027 else []  # New Year's Day of 2028 is a Saturday
        assert [each.strftime("%m-%d") for each in found] == [*days.split(), *also]


def test_an_agreement_without_silence_has_no_such_hour(make: Make) -> None:
    with pytest.raises(ProgrammeRefused, match="silence"):
        silence.ripe(make(), datetime(2026, 10, 1, tzinfo=UTC), rapid=True)

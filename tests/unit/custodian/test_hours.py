"""Upload hours: read as people write them, right across midnight, weekends and clock changes."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.hours import ALWAYS, DAYS, HoursRefused, read_hours

DETROIT = ZoneInfo("America/Detroit")


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=DETROIT)


@pytest.mark.parametrize(
    ("text", "now", "opens"),
    [
        ("weekdays 18:00-22:00", "2026-11-20T17:59", "2026-11-20T18:00"),  # a Friday
        ("weekdays 18:00-22:00", "2026-11-20T18:00", None),
        ("weekdays 18:00-22:00", "2026-11-20T21:59", None),
        ("weekdays 18:00-22:00", "2026-11-20T22:00", "2026-11-23T18:00"),
        ("daily 22:00-02:00", "2026-11-21T01:59", None),
        ("daily 22:00-02:00", "2026-11-21T02:00", "2026-11-21T22:00"),
        ("fri 22:00-02:00", "2026-11-21T01:00", None),
        ("fri 22:00-02:00", "2026-11-20T01:00", "2026-11-20T22:00"),
        ("sat,sun 9:00-12:00, 14:00-17:00", "2026-11-21T12:30", "2026-11-21T14:00"),
        ("fri-mon 00:00-24:00", "2026-11-22T23:59", None),
        ("fri-mon 00:00-24:00", "2026-11-24T00:00", "2026-11-27T00:00"),
        ("mon 9:00-10:00", "2026-11-23T10:00", "2026-11-30T09:00"),  # nearly a week
        # Clocks go forward in this night: there is no 02:30, and 03:30 is what is meant.
        ("sun 02:30-04:00", "2026-03-08T01:00", "2026-03-08T03:30"),
        ("weekends 10:00-11:00", "2026-11-01T09:59", "2026-11-01T10:00"),  # the day of 25 hours
    ],
)
def test_hours_are_open_and_open_next(text: str, now: str, opens: str | None) -> None:
    hours, at = read_hours(text, "America/Detroit"), local(now)
    assert hours.open_at(at) is (opens is None)
    assert hours.open_at(at.astimezone(UTC)) is (opens is None)
    assert hours.opens(at) == (at if opens is None else local(opens))


def test_without_hours_it_is_always_open() -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    assert ALWAYS.open_at(now)
    assert ALWAYS.opens(now) == now
    assert read_hours("always", "America/Detroit").said() == "at any time"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("18:00-22:00", "cannot be read"),
        ("weekdays", "cannot be read"),
        ("weekdays 18-22", "cannot be read"),
        ("someday 18:00-22:00", "'someday' is no day"),
        ("daily 18:00-25:00", "no times of a day"),
        ("daily 18:70-19:00", "no times of a day"),
        ("daily 24:00-02:00", "no times of a day"),
        ("daily 18:00-18:00", "no time at all"),
        ("", "cannot be read"),
        ("weekdays 18:00-22:00;", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_named(text: str, words: str) -> None:
    with pytest.raises(HoursRefused, match=words):
        read_hours(text)


@pytest.mark.parametrize("zone", ["Detroit", "", "../etc/passwd", "/etc/localtime"])
def test_a_time_zone_is_one_of_the_worlds(zone: str) -> None:
    with pytest.raises(HoursRefused, match="time zone"):
        read_hours("always", zone)


@given(
    st.sampled_from(DAYS),
    st.integers(0, 23),
    st.integers(1, 24),
    st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1)),  # noqa: DTZ001
)
def test_it_is_open_when_it_said_that_it_would_be(
    day: str, begins: int, ends: int, at: datetime
) -> None:
    if begins == ends:
        ends = begins + 1
    hours = read_hours(f"{day} {begins}:00-{ends}:00", "America/Detroit")
    now = at.replace(tzinfo=UTC)
    opens = hours.opens(now)
    assert now <= opens <= now + timedelta(days=8)
    assert hours.open_at(opens)
    if opens > now:
        assert not hours.open_at(now)
        assert not hours.open_at(opens - timedelta(seconds=1))

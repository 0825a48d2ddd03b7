"""Not too often, not at night, not on a day without letters."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from policies.agreement import Agreement, Caps
from policies.caps import may_send_at, within
from policies.errors import CapReached, NotNow

NOON = datetime(2026, 10, 14, 16, tzinfo=UTC)
CAPS = Caps(letters_per_week=1, letters_per_race=3, opens_per_week=2)
Make = Callable[..., Agreement]


def test_one_letter_in_any_seven_days() -> None:
    within(CAPS, [], NOON)
    within(CAPS, [NOON - timedelta(days=7)], NOON)
    with pytest.raises(CapReached) as reached:
        within(CAPS, [NOON - timedelta(days=6)], NOON)
    assert reached.value.cap == "letters_per_week"
    assert reached.value.next == NOON + timedelta(days=1)


def test_the_cap_of_the_race_never_frees_again() -> None:
    sent = [NOON - timedelta(days=n) for n in (10, 20, 30)]
    with pytest.raises(CapReached) as reached:
        within(CAPS, sent, NOON + timedelta(days=400))
    assert (reached.value.cap, reached.value.next) == ("letters_per_race", None)


def refused(agreement: Agreement, now: datetime) -> NotNow:
    with pytest.raises(NotNow) as not_now:
        may_send_at(agreement, now)
    return not_now.value


def test_the_middle_of_the_day_is_free(agreement: Agreement) -> None:
    may_send_at(agreement, NOON)
    may_send_at(agreement, datetime(2026, 10, 14, 12, tzinfo=UTC))  # 08:00 in Ohio
    assert refused(agreement, datetime(2026, 10, 15, 0, tzinfo=UTC)).reason  # 20:00 in Ohio


def test_the_night_is_that_of_the_race(agreement: Agreement) -> None:
    night = refused(agreement, datetime(2026, 10, 15, 3, tzinfo=UTC))
    assert night.next == datetime(2026, 10, 15, 12, tzinfo=UTC)


def test_the_night_in_which_clocks_change(agreement: Agreement) -> None:
    night = refused(agreement, datetime(2026, 11, 1, 4, tzinfo=UTC))
    assert night.next == datetime(2026, 11, 1, 13, tzinfo=UTC)  # 08:00, now in winter time


def test_a_blackout_is_a_local_day(make: Make) -> None:
    agreement = make(blackout=["2026-10-14", "2026-10-15"])
    day = refused(agreement, NOON)
    assert day.next == datetime(2026, 10, 16, 12, tzinfo=UTC)
    may_send_at(agreement, datetime(2026, 10, 13, 23, tzinfo=UTC))


def test_before_the_dates_and_after_them(agreement: Agreement) -> None:
    assert refused(agreement, datetime(2026, 9, 1, tzinfo=UTC)).next == agreement.opens
    assert refused(agreement, agreement.closes).next is None


def test_quiet_hours_within_one_day(make: Make) -> None:
    agreement = make(quiet_hours=["12:00", "14:00"])
    lunch = refused(agreement, datetime(2026, 10, 14, 17, tzinfo=UTC))
    assert lunch.next == datetime(2026, 10, 14, 18, tzinfo=UTC)
    may_send_at(agreement, datetime(2026, 10, 15, 3, tzinfo=UTC))

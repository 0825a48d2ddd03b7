"""Not too often, not at night, not on a day without letters."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from policies.agreement import Agreement, Caps
from policies.caps import may_send_at, within
from policies.errors import AgreementRefused, CapReached, NotNow

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


SPRING = datetime(2027, 3, 14, 5, tzinfo=UTC)  # midnight in New York: 02:00 to 03:00 does not come
AUTUMN = datetime(2026, 11, 1, 4, tzinfo=UTC)  # midnight in New York: 01:00 to 02:00 comes twice


def quiet(make: Make, zone: str, hours: tuple[str, str], since: datetime) -> str:
    """Whether each quarter of an hour of eight is quiet (q) or free (-), from some midnight on."""
    race = {
        "id": "r1", "name": "R", "office": "O", "state": "OH", "jurisdiction": "J",
        "election_date": "2027-03-20", "polls_close": "2027-03-21T00:00:00Z", "time_zone": zone,
    }  # fmt: skip
    terms = make(
        race=race, quiet_hours=list(hours), closes=datetime(2027, 3, 20, tzinfo=UTC)
    )  # fmt: skip
    said = ""
    for quarter in range(32):
        try:
            may_send_at(terms, since + quarter * timedelta(minutes=15))
        except NotNow as not_now:
            may_send_at(terms, not_now.next or since)  # it is free when it says that it will be
            said += "q"
        else:
            said += "-"
    return said


@pytest.mark.parametrize(
    ("zone", "hours", "since", "quarters"),
    [
        # The clock goes from 02:00 to 03:00: a quiet that ends at 02:30 is over at 03:00.
        ("America/New_York", ("20:00", "02:30"), SPRING, 8),
        ("America/New_York", ("20:00", "05:00"), SPRING, 16),  # an hour shorter than other nights
        # It goes from 02:00 to 01:00 again: 01:30 comes twice, and quiet ends with the second.
        ("America/New_York", ("20:00", "01:30"), AUTUMN, 10),
        ("America/New_York", ("20:00", "05:00"), AUTUMN, 24),  # an hour longer
        ("America/Phoenix", ("20:00", "02:30"), SPRING + timedelta(hours=2), 10),
        ("America/Phoenix", ("20:00", "01:30"), AUTUMN + timedelta(hours=3), 6),
    ],
)
def test_a_night_ends_once_on_the_nights_in_which_clocks_change(
    make: Make, zone: str, hours: tuple[str, str], since: datetime, quarters: int
) -> None:
    assert quiet(make, zone, hours, since) == "q" * quarters + "-" * (32 - quarters)


def test_a_night_begins_once_with_the_first_of_two_hours_or_right_after_the_one_left_out(
    make: Make,
) -> None:
    found = quiet(make, "America/New_York", ("01:30", "06:00"), AUTUMN)
    assert found == "-" * 6 + "q" * 22 + "-" * 4
    found = quiet(make, "America/New_York", ("02:30", "06:00"), SPRING)
    assert found == "-" * 8 + "q" * 12 + "-" * 12
    found = quiet(make, "America/Phoenix", ("01:30", "06:00"), AUTUMN + timedelta(hours=3))
    assert found == "-" * 6 + "q" * 18 + "-" * 8


def test_a_zone_that_is_none_is_refused_by_its_name_in_the_agreement(make: Make) -> None:
    for zone in ("America/Nowhere", "EST5EDT4", "../etc", ""):
        with pytest.raises(AgreementRefused, match=r"race\.time_zone"):
            quiet(make, zone, ("20:00", "08:00"), AUTUMN)

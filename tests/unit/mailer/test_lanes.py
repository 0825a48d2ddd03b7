"""Each receiving domain has its own pace, and a new sending domain grows into its own."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from mailer import pace

NOW = datetime(2026, 11, 21, 16, tzinfo=UTC)
ANA, BEN, OLD = "ana@slow.example", "ben@quick.example", "cy@GoogleMail.com"


def seconds(lanes: pace.Lanes, address: str, now: datetime = NOW) -> float:
    return (lanes.due(address, now) - now).total_seconds()


@pytest.mark.parametrize(
    ("code", "enhanced", "slows"),
    [
        (421, "", True),
        (421, "4.4.2", True),
        (450, "4.7.0", True),
        (451, "4.7.650", True),
        (450, "4.2.1", False),
        (452, "4.2.2", False),
        (452, "4.3.1", False),
        (451, "4.4.1", False),
        (550, "5.7.1", False),
        (0, "", False),
    ],
)
def test_421_and_4_7_slow_a_domain_and_a_full_mailbox_does_not(
    code: int, enhanced: str, slows: bool
) -> None:
    assert pace.slows(code, enhanced) is slows


def test_one_domain_gets_so_many_a_second_and_the_others_do_not_wait_for_it() -> None:
    lanes = pace.Lanes(4)
    assert seconds(lanes, ANA) == 0
    lanes.left(ANA, NOW)
    assert seconds(lanes, ANA) == 0.25
    assert seconds(lanes, BEN) == 0


def test_a_domain_that_asks_for_less_rests_and_then_gets_half() -> None:
    lanes = pace.Lanes(4)
    lanes.slow(ANA, NOW)
    lanes.slow(ANA, NOW)  # letters under way together say it once
    assert seconds(lanes, ANA) == 60
    assert seconds(lanes, BEN) == 0
    later = NOW + timedelta(seconds=60)
    assert seconds(lanes, ANA, later) == 0
    lanes.left(ANA, later)
    assert seconds(lanes, ANA, later) == 0.5
    lanes.slow(ANA, later + timedelta(seconds=1))
    assert seconds(lanes, ANA, later + timedelta(seconds=1)) == 120
    for n in range(2, 20):
        lanes.slow(ANA, later + timedelta(days=n))
    assert seconds(lanes, ANA, later + timedelta(days=19)) == 1920


def test_what_a_domain_takes_for_a_while_wins_its_trust_back_step_by_step() -> None:
    lanes = pace.Lanes(4)
    lanes.slow(ANA, NOW)
    soon, late = NOW + timedelta(minutes=9), NOW + timedelta(minutes=11)
    lanes.taken(ANA, soon)
    lanes.left(ANA, soon)
    assert seconds(lanes, ANA, soon) == 0.5
    lanes.taken(ANA, late)
    lanes.left(ANA, late)
    assert seconds(lanes, ANA, late) == 0.25


def test_one_receivers_many_names_are_one_domain_and_none_shows() -> None:
    lanes = pace.Lanes(4)
    lanes.slow(OLD, NOW)
    assert seconds(lanes, "dee@gmail.com") == 60
    assert "gmail" not in repr(lanes)


TODAY = date(2026, 11, 21)


def before(*letters: int, gap: int = 1) -> dict[date, int]:
    days = len(letters)
    return {TODAY - timedelta(days=gap * (days - n)): sent for n, sent in enumerate(letters)}


@pytest.mark.parametrize(
    ("sent", "allowed"),
    [
        ((), 500),
        ((500,), 1000),
        ((250,), 1000),
        ((249,), 500),
        ((500, 1000, 10), 2000),
        ((500, 1000, 10, 2000), 4000),
        (tuple(500 * 2**n for n in range(9)), None),
    ],
)
def test_what_a_new_domain_may_send_doubles_with_each_day_that_used_it(
    sent: tuple[int, ...], allowed: int | None
) -> None:
    assert pace.allowance(before(*sent), TODAY, 500) == allowed


def test_a_month_of_silence_makes_a_domain_new_and_one_known_before_has_no_limit() -> None:
    assert pace.allowance(before(500, 1000, gap=30), TODAY, 500) == 2000
    assert pace.allowance(before(500, 1000, gap=31), TODAY, 500) == 500
    assert pace.allowance({TODAY: 10_000}, TODAY, 500) == 500, "today says nothing of itself"
    assert pace.allowance({}, TODAY, 0) is None

"""Letters leave no faster than a domain bears, and stop when readers say so."""

from datetime import UTC, datetime, timedelta

import pytest

from mailer.errors import PaceRefused
from mailer.pace import Lane, Tally, breaker, lane, take

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_a_lane_lets_a_burst_go_and_then_its_rate() -> None:
    one, gone, now = lane(2.0, 3, NOON), 0, NOON
    for _ in range(1000):
        one, wait = take(one, now)
        gone += wait == 0
        now += timedelta(seconds=max(wait, 0.001))
        if now > NOON + timedelta(seconds=10):
            break
    assert 22 <= gone <= 24


def test_a_clock_that_goes_back_gives_nothing() -> None:
    one, _ = take(lane(1.0, 1, NOON), NOON)
    one, wait = take(one, NOON - timedelta(hours=1))
    assert wait == pytest.approx(1)
    assert take(one, NOON)[1] == pytest.approx(1)


@pytest.mark.parametrize(
    ("tally", "state"),
    [
        (Tally(0, 0, 0), "go"),
        (Tally(100, 1, 0), "go"),
        (Tally(10_000, 10, 0), "go"),
        (Tally(10_000, 11, 0), "warn"),
        (Tally(10_000, 29, 0), "warn"),
        (Tally(10_000, 30, 0), "stop"),
        (Tally(1_000, 0, 20), "go"),
        (Tally(1_000, 0, 21), "stop"),
        (Tally(10, 0, 4), "go"),
        (Tally(10, 0, 5), "stop"),
    ],
)
def test_the_breaker_trips_where_receivers_would(tally: Tally, state: str) -> None:
    verdict = breaker(tally)
    assert verdict.state == state
    assert bool(verdict.why) == (state != "go")


def test_figures_that_cannot_be_are_refused() -> None:
    with pytest.raises(PaceRefused):
        breaker(Tally(-1, 0, 0))
    with pytest.raises(PaceRefused):
        Lane(0, 1, 1, NOON)

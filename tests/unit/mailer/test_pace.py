"""Letters stop when readers, or dead addresses, say so."""

import pytest

from mailer.errors import PaceRefused
from mailer.pace import Tally, breaker


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

"""Numbers leave noisy, rounded and late."""

import math
import random
import statistics

import pytest

from policies.disclosure import (
    GATE_DELTA,
    K_MIN,
    advantage_bound,
    duration,
    epsilon_of,
    gate,
    gate_size,
    ghost_shift,
    ghosts,
    noisy,
    progress,
    shown,
)
from policies.errors import BudgetSpent, TooFew
from policies.parts import ADHOC, CUBE, MICRO, OUTCOME, OWN_ROWS, PARTS, Part, part_of


@pytest.mark.parametrize("part", list(PARTS.values()), ids=lambda p: p.name)
def test_a_part_holds_as_many_answers_as_it_promises_and_pays_their_full_price(
    part: Part,
) -> None:
    assert part.units >= MICRO / (2 * part.sigma**2) - 1e-6
    assert part.answers * part.units <= part.limit < (part.answers + 1) * part.units


def test_the_parts_are_those_of_the_paper() -> None:
    assert [p.limit for p in (CUBE, ADHOC, OUTCOME, OWN_ROWS)] == [62_500, 62_500, 62_500, 31_250]
    assert (ADHOC.units, ADHOC.sigma) == (1250, 20.0)
    assert 1.96 * CUBE.sigma * 20**0.5 == pytest.approx(86, abs=0.5)


@pytest.mark.parametrize("name", ["", "E", "A:x", "B:x", "D", "D:", "B:"])
def test_no_other_part_can_be_named(name: str) -> None:
    with pytest.raises(BudgetSpent):
        part_of(name)


def test_the_printed_bounds_hold() -> None:
    assert advantage_bound(0.1875) == pytest.approx(0.24, abs=0.005)
    assert advantage_bound(0.3125) == pytest.approx(0.31, abs=0.005)
    assert advantage_bound(0) == 0
    assert epsilon_of(0.1875, 1e-6) == pytest.approx(3.0, abs=0.1)


def test_noise_has_the_promised_spread_and_is_not_biased() -> None:
    draws = [noisy(1000, 20.0) for _ in range(4000)]
    assert abs(statistics.mean(draws) - 1000) < 20 / math.sqrt(4000) * 6
    assert statistics.stdev(draws) == pytest.approx(20, rel=0.08)


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (-30, "fewer than 250"),
        (249, "fewer than 250"),
        (250, "About 250"),
        (1224, "About 1,200"),
        (1225, "About 1,250"),
        (1999, "About 2,000"),
        (2049, "About 2,000"),
        (12_351, "About 12,400"),
    ],
)
def test_a_number_is_rounded_for_reading(estimate: int, text: str) -> None:
    assert shown(estimate, 20.0).text == text


def test_the_range_is_rounded_outwards_and_said_in_words() -> None:
    said = shown(1200, 20.0)
    assert (said.low, said.high) == (1150, 1250)
    assert said.words == "Very likely between 1,150 and 1,250."
    assert (shown(10, 20.0).low, shown(10, 20.0).high) == (0, 250)
    assert shown(10, 20.0) == shown(-10, 20.0) == shown(249, 20.0)


def test_the_gate_is_where_the_formula_puts_it() -> None:
    assert gate_size(20.0) == 195
    assert gate_size(CUBE.sigma, 20) == 308
    gate(195, 20.0)
    with pytest.raises(TooFew) as refused:
        gate(194, 20.0)
    assert "194" not in str(refused.value)


def test_ninety_nine_people_pass_the_gate_once_in_a_million() -> None:
    mass = {k: math.exp(-k * k / 800) for k in range(-400, 401)}
    above = sum(m for k, m in mass.items() if K_MIN - 1 + k >= gate_size(20.0))
    assert above / sum(mass.values()) <= GATE_DELTA


def test_progress_moves_in_steps_and_ends_only_at_the_close() -> None:
    seen = [progress(done, 1000) for done in range(0, 2000, 7)]
    assert set(seen) == set(range(0, 100, 10))
    assert seen == sorted(seen)
    assert progress(3, 1000, closed=True) == 100
    assert progress(5, -3) == 90


def test_duration_is_a_function_of_the_noisy_size() -> None:
    assert duration(1200, 10).total_seconds() == 120
    assert duration(1191, 10) == duration(1200, 10)
    assert duration(3, 10) == duration(249, 10)


def test_ghosts_are_as_many_as_their_law_says() -> None:
    below = random.Random(7).randrange
    drawn = [ghosts(1.0, 1e-6, below) for _ in range(4000)]
    assert 0 <= min(drawn) <= max(drawn) <= 2 * ghost_shift(1.0, 1e-6)
    assert statistics.mean(drawn) == pytest.approx(ghost_shift(1.0, 1e-6), abs=0.15)
    q = math.exp(-1)
    assert statistics.pvariance(drawn) == pytest.approx(2 * q / (1 - q) ** 2, rel=0.15)


@pytest.mark.parametrize(
    ("epsilon", "delta", "lists"), [(1.0, 1e-6, 1), (0.5, 1e-4, 3), (2, 0.01, 2), (1.0, 1e-6, 3)]
)
def test_two_worlds_release_close_sizes(epsilon: float, delta: float, lists: int) -> None:
    """One list at a time: all of them together give at most the sum, which is epsilon and delta."""
    p, m = math.exp(-epsilon / lists), ghost_shift(epsilon, delta, lists=lists)

    def mass(g: int) -> float:
        if g in (0, 2 * m):
            return p**m / (1 + p)
        return (1 - p) / (1 + p) * p ** abs(g - m) if 0 < g < 2 * m else 0.0

    sizes = range(-2, 2 * m + 3)
    assert sum(mass(g) for g in sizes) == pytest.approx(1)
    for shift in (1, -1):
        far = math.exp(epsilon / lists)
        worse = sum(max(0.0, mass(v) - far * mass(v - shift)) for v in sizes)
        assert worse <= delta / lists * (1 + 1e-9)

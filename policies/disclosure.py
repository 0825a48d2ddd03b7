"""What a number must look like before it leaves: noise, rounding, gates and ghosts."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import opendp.prelude as dp

from policies.errors import TooFew

dp.enable_features("contrib")

K_MIN = 100
GATE_DELTA = 1e-6
"""Chance that the gate lets through an audience of fewer than ``K_MIN`` people. Printed."""
GHOST_EPSILON = 1.0
GHOST_DELTA = 1e-6
"""What a custodian's view of one person gives, over all lists: (epsilon, delta)-close. Printed."""
SHOWN_FROM = 250
STEP = 10
"""Progress moves in steps of this many per cent."""

Below = Callable[[int], int]
"""``below(n)`` draws a whole number from 0 to n-1; production passes ``secrets.randbelow``."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a person reads. ``low`` and ``high`` hold the truth 19 times out of 20, rounded out."""

    text: str
    low: int
    high: int
    estimate: int

    @property
    def words(self) -> str:
        """Say the range in plain words."""
        if self.low == 0:
            return f"Fewer than {self.high:,}, perhaps none."
        return f"Very likely between {self.low:,} and {self.high:,}."


def noisy(value: int, sigma: float) -> int:
    """Add discrete Gaussian noise, drawn by OpenDP from the operating system's randomness.

    Args:
        value: the exact count, which the caller then forgets.
        sigma: standard deviation in people; one person changes ``value`` by at most one.

    Returns:
        A whole number, perhaps negative; show it only through ``shown``.
    """
    return int(_gaussian(float(sigma))(value))


def shown(estimate: int, sigma: float, cells: int = 1) -> Shown:
    """Round a noisy count for reading; the noise, not the rounding, is what protects."""
    if estimate < SHOWN_FROM:
        return Shown(f"fewer than {SHOWN_FROM}", 0, SHOWN_FROM, 0)
    step = _step(estimate)
    reach = 1.96 * sigma * math.sqrt(cells)
    low = max(0, math.floor((estimate - reach) / step) * step)
    high = math.ceil((estimate + reach) / step) * step
    rounded = (estimate + step // 2) // step * step
    return Shown(f"About {rounded:,}", low, high, rounded)


def gate_size(sigma: float, cells: int = 1, *, k_min: int = K_MIN) -> int:
    """Return the noisy count at which an audience holds ``k_min`` people, but for ``GATE_DELTA``.

    The smallest whole g with P(k_min - 1 + noise >= g) <= delta, that is
    g = ceil(k_min - 1/2 + z * sigma * sqrt(cells)) and z = 4.753 at delta 1e-6:
    195 for one count at sigma 20, 308 for a sum of 20 cells at sigma 9.8.
    """
    z = -NormalDist().inv_cdf(GATE_DELTA)
    return math.ceil(k_min - 0.5 + z * sigma * math.sqrt(cells))


def gate(estimate: int, sigma: float, cells: int = 1, *, k_min: int = K_MIN) -> None:
    """Let an audience be sent only if its noisy, memoised count is large enough.

    Raises:
        TooFew: names the gate, never the count.
    """
    needed = gate_size(sigma, cells, k_min=k_min)
    if estimate < needed:
        raise TooFew(needed)


def progress(done: int, noisy_size: int, *, closed: bool = False) -> int:
    """Return per cent of the *noisy* size, in fixed steps; 100 only when the campaign is closed."""
    if closed:
        return 100
    return min(100 - STEP, 100 * done // max(noisy_size, 1) // STEP * STEP)


def duration(noisy_size: int, per_second: float) -> timedelta:
    """Return how long a campaign lasts, a function of the noisy size so that its end tells no more.

    The sender spreads its letters over this time and closes then, whatever the exact number was.
    """
    rounded = max(SHOWN_FROM, -(-noisy_size // STEP) * STEP)
    return timedelta(seconds=rounded / per_second)


def ghosts(epsilon: float, delta: float, below: Below, *, lists: int = 1) -> int:
    """Draw how many ghosts one list gets in a precinct, once per race.

    Each list has its own: were they everybody's, whoever sees one list leave or come anew would
    know the rows that stayed for ghosts, and count the others.

    Args:
        epsilon: greater than 0, at most 10; what all lists' ghosts of the precinct give together.
        delta: chance, over all lists, that too few or too many show the exact number.
        below: exact uniform draws; no floating point touches the noise.
        lists: on how many lists one person can be: each has its share of epsilon and delta.

    Returns:
        m + X, kept within 0 and 2m: X discrete Laplace with p = exp(-epsilon/lists), and m the
        smallest with P(X <= -m) + P(X >= m) <= delta/lists. Two worlds that differ in one person
        then release sizes that are (epsilon, delta)-close, and never more than 2m ghosts.

    Source:
        Canonne, Kamath, Steinke (2020), algorithms 1 and 2, for exact draws of exp(-x).
    """
    scale = Fraction(epsilon).limit_denominator(10**6) / lists
    noise = _geometric(scale, below) - _geometric(scale, below)
    mean = ghost_shift(epsilon, delta, lists=lists)
    return min(max(0, mean + noise), 2 * mean)


def ghost_shift(epsilon: float, delta: float, *, lists: int = 1) -> int:
    """Return m, the mean number of ghosts of one list in a precinct; twice that is the most."""
    p = math.exp(-epsilon / lists)
    return max(1, math.ceil(math.log(delta / lists * (1 + p) / 2) / math.log(p)))


def advantage_bound(rho: float) -> float:
    """Bound an observer's gain in telling member from not: 2*Phi(sqrt(rho/2)) - 1."""
    return 2 * NormalDist().cdf(math.sqrt(rho / 2)) - 1


def epsilon_of(rho: float, delta: float) -> float:
    """Return the smallest epsilon for which rho-zCDP implies (epsilon, delta)-DP.

    Source:
        Canonne, Kamath, Steinke (2020), proposition 12, minimised over alpha on a grid.
    """
    grid = (1 + 2 ** (n / 64) / 64 for n in range(64 * 20))
    return min(
        a * rho + (math.log(1 / delta) + (a - 1) * math.log(1 - 1 / a) - math.log(a)) / (a - 1)
        for a in grid
    )


def _step(estimate: int) -> int:
    return 50 if estimate < 2000 else 100


@lru_cache(maxsize=16)
def _gaussian(sigma: float) -> Any:
    return dp.m.make_gaussian(dp.atom_domain(T=int), dp.absolute_distance(T=int), sigma)


def _geometric(scale: Fraction, below: Below) -> int:
    """Count heads of a coin of exp(-scale) before its first tail."""
    count = 0
    while _coin_exp(scale, below):
        count += 1
    return count


def _coin_exp(x: Fraction, below: Below) -> bool:
    """Toss a coin that is true with probability exp(-x), exactly."""
    while x > 1:
        if not _coin_exp(Fraction(1), below):
            return False
        x -= 1
    k = 1
    while below(x.denominator * k) < x.numerator:
        k += 1
    return k % 2 == 1

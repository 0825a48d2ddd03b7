"""How likely two rows are one person, from which recipes agree, differ or are missing.

A logistic score over recipe bits, with weights trained on generated people whose roll has decoys
in place; the weights file holds no personal data. Plain Fellegi-Sunter fails here, because the
bits depend on each other.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

from matching import recipes
from matching.errors import WeightsRefused

__all__ = ["Weights", "digest", "load", "train"]


@dataclass(frozen=True, slots=True)
class Weights:
    """Log-odds: ``bias`` plus one weight per agreeing and one per differing recipe.

    ``threshold`` is LIKELY: pairs below it are nobody's. ``certain`` is the higher one.

    On a roll of another size the same agreement is worth something else: strangers agree by chance
    as often as there are strangers, and a token that is alone in a town is a decoy in a city. So
    ``small`` holds bias, agreements and differences for a roll of ``few`` voters beside those for
    one of ``voters``, and `at` says what holds between them. ``lift`` is what a link's log-odds
    gain on a roll of ``few`` before they are held against the two thresholds, which stay.
    """

    bias: float
    agree: tuple[float, ...]
    differ: tuple[float, ...]
    threshold: float
    certain: float = 99.0
    voters: int = 1
    few: int = 1
    small: tuple[float, ...] = ()
    lift: float = 0.0

    def at(self, voters: int) -> Weights:
        """The same for a roll of so many voters: linear in ln(voters), and below ``few`` as there.

        Larger rolls than ``voters`` go on along the same line.
        """
        if not self.small:
            return self
        size = math.log(max(1, self.few, voters))
        share = (size - math.log(self.few)) / math.log(self.voters / self.few)
        whole = (self.bias, *self.agree, *self.differ)
        mixed = [s + share * (w - s) for w, s in zip(whole, self.small, strict=True)]
        n = len(self.agree)
        return Weights(
            mixed[0], tuple(mixed[1 : n + 1]), tuple(mixed[n + 1 :]), self.threshold, self.certain,
            max(1, voters), lift=(1 - share) * self.lift,
        )  # fmt: skip

    def score(self, agreed: int, differed: int) -> float:
        """Log-odds of one pattern: ``sql/assign.sql`` adds the same two sums to the bias."""
        return self.bias + self.agreeing(agreed) + self.differing(differed)

    def agreeing(self, bits: int) -> float:
        """What the agreeing recipes add."""
        return sum(weight for at, weight in enumerate(self.agree) if bits >> at & 1)

    def differing(self, bits: int) -> float:
        """What the differing recipes add."""
        return sum(weight for at, weight in enumerate(self.differ) if bits >> at & 1)

    def to_json(self) -> str:
        """The weights with the fingerprint of the recipes they belong to."""
        return json.dumps(
            {
                "recipes": recipes.fingerprint(),
                "bias": self.bias,
                "agree": list(self.agree),
                "differ": list(self.differ),
                "threshold": self.threshold,
                "certain": self.certain,
                "voters": self.voters,
                "few": self.few,
                "small": list(self.small),
                "lift": self.lift,
            },
            indent=1,
        )

    @classmethod
    def from_json(cls, text: str) -> Weights:
        """Read weights.

        Raises:
            WeightsRefused: they belong to other recipes, or are not numbers for each of these.
        """
        try:
            found = json.loads(text)
            weights = cls(
                float(found["bias"]),
                tuple(map(float, found["agree"])),
                tuple(map(float, found["differ"])),
                float(found["threshold"]),
                float(found["certain"]),
                int(found["voters"]),
                int(found["few"]),
                tuple(map(float, found["small"])),
                float(found["lift"]),
            )
            same = found["recipes"] == recipes.fingerprint()
        except (ValueError, KeyError, TypeError):
            raise WeightsRefused("the weights are not in their format") from None
        n = len(recipes.RECIPES)
        lengths = (len(weights.agree), len(weights.differ), len(weights.small))
        if not same or lengths != (n, n, 2 * n + 1):
            raise WeightsRefused("the weights were trained for other recipes: train them again")
        return weights


def load() -> Weights:
    """The weights this release was measured with."""
    return Weights.from_json(
        resources.files("matching").joinpath("data/weights.json").read_text("utf-8")
    )


def digest(weights: Weights) -> str:
    """SHA-256 of the weights' JSON as hex: what the log says a match was made with."""
    return hashlib.sha256(weights.to_json().encode()).hexdigest()


def train(
    counts: Mapping[tuple[int, int], tuple[int, int]], *, rounds: int = 25, ridge: float = 1.0
) -> Weights:
    """Fit a logistic regression by Newton's method on counted patterns.

    Args:
        counts: (agreed bits, differed bits) to (pairs that are one person, pairs that are not).
        rounds: Newton steps; it settles in about ten.
        ridge: how strongly a weight is drawn to zero, in pairs.

    Returns:
        Weights with the threshold at 0; ``quality.best_threshold`` sets it.
    """
    n = len(recipes.RECIPES)
    rows = [(_features(a, d, n), yes, yes + no) for (a, d), (yes, no) in sorted(counts.items())]
    beta = _fitted(rows, 2 * n + 1, rounds, ridge)
    return Weights(
        round(beta[0], 6),
        tuple(round(b, 6) for b in beta[1 : n + 1]),
        tuple(round(b, 6) for b in beta[n + 1 :]),
        0.0,
    )


def _features(agreed: int, differed: int, n: int) -> tuple[int, ...]:
    """Where the pattern's features are 1: the bias, then agreeing, then differing recipes."""
    agree = tuple(1 + bit for bit in range(n) if agreed >> bit & 1)
    differ = tuple(1 + n + bit for bit in range(n) if differed >> bit & 1)
    return (0, *agree, *differ)


_Row = tuple[tuple[int, ...], int, int]
"""Where the features are 1, pairs that are one person, all pairs."""


def _fitted(rows: Sequence[_Row], size: int, rounds: int, ridge: float) -> list[float]:
    beta = [0.0] * size
    for _ in range(rounds):
        step = _newton(rows, beta, ridge)
        beta = [b + s for b, s in zip(beta, step, strict=True)]
        if max(map(abs, step)) < 1e-6:
            break
    return beta


def _newton(rows: Iterable[_Row], beta: Sequence[float], ridge: float) -> list[float]:
    size = len(beta)
    slope = [-ridge * b if at else 0.0 for at, b in enumerate(beta)]
    curve = [[ridge if i == j and i else 1e-9 * (i == j) for j in range(size)] for i in range(size)]
    for ones, yes, total in rows:
        odds = max(-30.0, min(30.0, sum(beta[at] for at in ones)))
        p = 1 / (1 + math.exp(-odds))
        gap, weight = yes - total * p, total * p * (1 - p)
        for i in ones:
            slope[i] += gap
            for j in ones:
                curve[i][j] += weight
    return _solve(curve, slope)


def _solve(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Gaussian elimination with pivots, in place; the matrix is positive definite by its ridge."""
    size = len(right)
    for at in range(size):
        pivot = max(range(at, size), key=lambda row: abs(matrix[row][at]))
        matrix[at], matrix[pivot] = matrix[pivot], matrix[at]
        right[at], right[pivot] = right[pivot], right[at]
        for row in range(at + 1, size):
            share = matrix[row][at] / matrix[at][at]
            if share:
                right[row] -= share * right[at]
                for column in range(at, size):
                    matrix[row][column] -= share * matrix[at][column]
    for at in reversed(range(size)):
        known = sum(matrix[at][column] * right[column] for column in range(at + 1, size))
        right[at] = (right[at] - known) / matrix[at][at]
    return right

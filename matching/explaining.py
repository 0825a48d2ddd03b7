"""Why one member is tied to a voter: which recipes agreed, what each weighs, and nothing of who."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from matching import engine
from matching.atrest import unlocked
from matching.recipes import RECIPES
from matching.score import Weights

__all__ = ["Explained", "explain", "explain_tables"]


@dataclass(frozen=True, slots=True)
class Explained:
    """One link, or the best voter that a member has. Bits are recipes by number.

    ``score`` is the log-odds after the second best voter was weighed against the best; ``alone``
    is what it was before.
    """

    agreed: int
    differed: int
    alone: float
    score: float
    weights: Weights

    @property
    def start(self) -> float:
        """What stands before any recipe, on a roll of this size."""
        return self.weights.bias

    @property
    def probability(self) -> float:
        """That it is the right voter, as the score says it: 0 to 1."""
        return 1 / (1 + math.exp(-self.score))

    @property
    def verdict(self) -> str:
        """ "certain", "likely", or "not linked"."""
        if self.score >= self.weights.certain:
            return "certain"
        return "likely" if self.score >= self.weights.threshold else "not linked"

    def recipes(self) -> Iterator[tuple[str, str, float]]:
        """Each recipe: its fields, whether it agrees, differs or is missing, and its weight."""
        for at, recipe in enumerate(RECIPES):
            if self.agreed >> at & 1:
                yield recipe.says, "agrees", self.weights.agree[at]
            elif self.differed >> at & 1:
                yield recipe.says, "differs", self.weights.differ[at]
            else:
                yield recipe.says, "missing", 0.0


def explain(
    members: Path, roll: Path, row: int, *, key: bytes, weights: Weights
) -> Explained | None:
    """Why a row of a list is tied to a voter; None when no voter shares a token with it.

    Args:
        members, roll: tokens artefacts, as `engine.link` takes them.
    """
    with (
        unlocked(members, key=key) as mine,
        unlocked(roll, key=key) as theirs,
        duckdb.connect() as base,
    ):
        base.read_parquet(str(mine)).filter(f"row = {int(row)}").create_view("members")
        base.read_parquet(str(theirs)).create_view("roll")
        return explain_tables(base, weights)


def explain_tables(base: duckdb.DuckDBPyConnection, weights: Weights) -> Explained | None:
    """The same from a ``members`` of one row and a ``roll``."""
    voters = base.execute("SELECT count(DISTINCT row) FROM roll").fetchone()
    assert voters is not None
    weights = weights.at(voters[0])
    engine.link_tables(base, replace(weights, threshold=-99.0))
    found = base.execute(
        "SELECT agreed, differed, score FROM links JOIN compared USING (row, roll_row)"
    ).fetchone()
    if found is None:
        return None
    agreed, differed, score = found
    return Explained(agreed, differed, weights.score(agreed, differed), score, weights)

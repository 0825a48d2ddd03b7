"""What each recipe adds, what it costs, and how much one of its tokens could betray."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

import duckdb

from matching import quality
from matching.errors import RecipeRefused
from matching.recipes import RECIPES, Record
from matching.score import Weights

__all__ = ["BOUND", "Row", "refuse_common", "rows"]

BOUND = 0.01
"""The share of a roll that one token of a recipe may have: more, and frequency would betray it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One recipe on one town.

    Attributes:
        made: share of the list's rows that have its fields, so the custodians' work for it.
        alone: share of the roll's rows whose token no decoy replaced.
        biggest: voters who share its commonest token, before decoys.
        bits: Shannon entropy of its tokens on the roll, before decoys.
        lost: recall at ``likely`` that goes when it is left out, with the same weights.
        wrong: precision that goes with it.
    """

    recipe: str
    made: float
    alone: float
    biggest: int
    bits: float
    lost: float
    wrong: float

    def to_json(self) -> dict[str, object]:
        """The figures, rounded to four places."""
        return {
            name: round(value, 4) if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }


def rows(
    members: Iterable[tuple[int, Record]],
    voters: Iterable[tuple[int, Record]],
    truth: Mapping[int, int],
    weights: Weights,
) -> list[Row]:
    """Measure every recipe, with decoys, by leaving it out."""
    with quality.tables(members, voters) as base:
        listed = _count(base, "SELECT count(DISTINCT row) FROM members")
        rolled = _count(base, "SELECT count(DISTINCT row) FROM plain")
        whole = _likely(base, truth, weights, -1)
        found = []
        for at, recipe in enumerate(RECIPES):
            made = _count(base, "SELECT count(*) FROM members WHERE recipe = $at", at=at)
            alone = _count(
                base, "SELECT count(*) FROM roll WHERE recipe = $at AND lo <> -1 - $at", at=at
            )
            biggest, bits = _blocks(base, at)
            less = _likely(base, truth, weights, at)
            quality.hide(base)
            found.append(
                Row(
                    recipe.says,
                    made / listed,
                    alone / rolled,
                    biggest,
                    bits,
                    whole.recall - less.recall,
                    whole.precision - less.precision,
                )
            )
        return found


def refuse_common(found: Iterable[Row], voters: int) -> None:
    """Raises RecipeRefused: one of its tokens is shared by more than ``BOUND`` of a roll."""
    for row in found:
        if row.biggest > BOUND * voters:
            raise RecipeRefused(f"{row.recipe}: {row.biggest:,} of {voters:,} voters share a token")


def _likely(
    base: duckdb.DuckDBPyConnection, truth: Mapping[int, int], weights: Weights, without: int
) -> quality.Quality:
    quality.hide(base)
    base.execute("DELETE FROM roll WHERE recipe = ?", [without])
    links, pairs = quality.linked(base, truth, weights)
    return quality.report(links, true=len(truth), pairs=pairs, weights=weights).likely


def _blocks(base: duckdb.DuckDBPyConnection, recipe: int) -> tuple[int, float]:
    sizes = base.execute(
        "SELECT size, count(*) FROM (SELECT count(*) AS size FROM plain WHERE recipe = ?"
        " GROUP BY hi, lo) GROUP BY size",
        [recipe],
    ).fetchall()
    total = sum(size * times for size, times in sizes)
    bits = -sum(times * size / total * math.log2(size / total) for size, times in sizes)
    return max((size for size, _ in sizes), default=0), max(0.0, bits)


def _count(base: duckdb.DuckDBPyConnection, query: str, **values: int) -> int:
    found = base.execute(query, values).fetchone()
    assert found is not None
    return int(found[0])

"""What each recipe adds, what it costs, and how much one of its tokens could betray."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import duckdb

from matching import quality
from matching.errors import RecipeRefused
from matching.recipes import RECIPES, Record
from matching.score import Weights

__all__ = ["BOUND", "LEAST", "Block", "Row", "blocks", "refuse_common", "rows"]

BOUND, LEAST = 0.01, 50
"""The share of a roll that one token of a recipe may have: more, and frequency would betray it.
So many voters may always share one: in a village a surname is a hundredth."""


@dataclass(frozen=True, slots=True)
class Block:
    """How common a recipe's tokens are on a roll.

    Attributes:
        alone: share of the roll's rows whose token no decoy replaces.
        biggest: voters who share its commonest token, before decoys.
        bits: Shannon entropy of its tokens on the roll, before decoys.
    """

    recipe: str
    alone: float
    biggest: int
    bits: float

    def to_json(self) -> dict[str, object]:
        """The figures, rounded to four places."""
        return _rounded(self)


@dataclass(frozen=True, slots=True)
class Row:
    """One recipe on one town; ``alone``, ``biggest`` and ``bits`` as ``Block`` has them.

    Attributes:
        made: share of the list's rows that have its fields, so the custodians' work for it.
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
        return _rounded(self)


def rows(
    members: Iterable[tuple[int, Record]],
    voters: Iterable[tuple[int, Record]],
    truth: Mapping[int, int],
    weights: Weights,
) -> list[Row]:
    """Measure every recipe, with decoys, by leaving it out."""
    with quality.tables(members, voters) as base:
        listed = _count(base, "SELECT count(DISTINCT row) FROM members")
        common = _blocks(base)
        whole = _likely(base, truth, weights, -1)
        found = []
        for at, recipe in enumerate(RECIPES):
            made = _count(base, "SELECT count(*) FROM members WHERE recipe = $at", at=at)
            less = _likely(base, truth, weights, at)
            found.append(
                Row(
                    recipe.says,
                    made / listed,
                    common[at].alone,
                    common[at].biggest,
                    common[at].bits,
                    whole.recall - less.recall,
                    whole.precision - less.precision,
                )
            )
        return found


def blocks(voters: Iterable[tuple[int, Record]]) -> tuple[list[Block], int]:
    """How common each recipe's tokens are on a roll, and how many voters it has."""
    with quality.tables((), voters) as base:
        return _blocks(base), _count(base, "SELECT count(DISTINCT row) FROM plain")


def refuse_common(found: Iterable[Row | Block], voters: int) -> None:
    """Raises RecipeRefused: too many share one of its tokens, more than ``BOUND`` and ``LEAST``."""
    for row in found:
        if row.biggest > max(LEAST, BOUND * voters):
            raise RecipeRefused(f"{row.recipe}: {row.biggest:,} of {voters:,} voters share a token")


def _rounded(row: Row | Block) -> dict[str, object]:
    return {
        name: round(value, 4) if isinstance(value, float) else value
        for name, value in asdict(row).items()
    }


def _likely(
    base: duckdb.DuckDBPyConnection, truth: Mapping[int, int], weights: Weights, without: int
) -> quality.Quality:
    quality.hide(base)
    base.execute("DELETE FROM roll WHERE recipe = ?", [without])
    links, pairs = quality.linked(base, truth, weights)
    return quality.report(links, true=len(truth), pairs=pairs, weights=weights).likely


def _blocks(base: duckdb.DuckDBPyConnection) -> list[Block]:
    voters = max(1, _count(base, "SELECT count(DISTINCT row) FROM plain"))
    sizes = base.execute(
        "SELECT recipe, size, count(*) FROM (SELECT recipe, count(*) AS size FROM plain"
        " GROUP BY recipe, hi, lo) GROUP BY recipe, size"
    ).fetchall()
    return [
        _block(recipe.says, voters, [(size, times) for of, size, times in sizes if of == at])
        for at, recipe in enumerate(RECIPES)
    ]


def _block(says: str, voters: int, sizes: Sequence[tuple[int, int]]) -> Block:
    """From how many tokens so many voters share."""
    total = sum(size * times for size, times in sizes)
    bits = -sum(times * size / total * math.log2(size / total) for size, times in sizes)
    alone = sum(times for size, times in sizes if size == 1)
    return Block(says, alone / voters, max((size for size, _ in sizes), default=0), max(0.0, bits))


def _count(base: duckdb.DuckDBPyConnection, query: str, **values: int) -> int:
    found = base.execute(query, values).fetchone()
    assert found is not None
    return int(found[0])

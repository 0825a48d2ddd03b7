"""Why one member is tied to a voter: which recipes agreed, what each weighs, and nothing of who."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import duckdb

from matching import engine
from matching.errors import RowUnknown
from matching.recipes import RECIPES
from matching.score import Weights
from matching.scratch import opened

__all__ = ["Explained", "explain", "explain_tables"]

TAKEN = "another row of this list fits that voter better"
TIED = "two voters fit this row equally well, so neither is taken"


@dataclass(frozen=True, slots=True)
class Explained:
    """One link, or the best voter that a member has. Bits are recipes by number.

    ``alone`` is the log-odds of the best voter by itself; ``second`` that of the next one, if it is
    worth anything; ``taken`` says that another row of the list comes first with that voter.
    """

    agreed: int
    differed: int
    alone: float
    second: float | None
    taken: bool
    weights: Weights

    @property
    def start(self) -> float:
        """What stands before any recipe, on a roll of this size."""
        return self.weights.bias + self.weights.lift

    @property
    def score(self) -> float:
        """What is held against the thresholds: the log-odds, less the second best voter's worth."""
        second = -99.0 if self.second is None else self.second
        return round(self.alone - math.log1p(math.exp(second)) + self.weights.lift, 6)

    @property
    def probability(self) -> float:
        """That it is the right voter, as the score says it: 0 to 1."""
        return 1 / (1 + math.exp(self.weights.lift - self.score))

    @property
    def verdict(self) -> str:
        """ "certain", "likely", or "not linked"."""
        if self.why or self.score < self.weights.threshold:
            return "not linked"
        return "certain" if self.score >= self.weights.certain else "likely"

    @property
    def why(self) -> str:
        """What keeps the two apart whatever the score; empty where nothing does."""
        if self.second is not None and self.second >= self.alone:
            return TIED
        return TAKEN if self.taken else ""

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

    Raises:
        RowUnknown: the list has no such row.
    """
    with opened(key=key, whole_list=members, roll=roll) as base:
        _rivals(base, row)
        return explain_tables(base, row, weights)


def _rivals(base: duckdb.DuckDBPyConnection, row: int) -> None:
    """``members``: the row, and every row of its list that meets a voter whom it meets.

    Nobody else can take one of those voters from it, or crowd one, so it ends as it did among all.
    """
    base.execute(
        "CREATE TABLE members AS"
        " WITH mine AS (SELECT * FROM whole_list WHERE row = $row AND recipe <> 255),"
        " voters AS (SELECT r.row FROM roll AS r SEMI JOIN mine AS m"
        "  ON m.recipe = r.recipe AND m.hi = r.hi AND m.lo = r.lo),"
        " theirs AS (SELECT * FROM roll SEMI JOIN voters ON voters.row = roll.row),"
        " near AS (SELECT DISTINCT w.row FROM whole_list AS w SEMI JOIN theirs AS t"
        "  ON t.recipe = w.recipe AND t.hi = w.hi AND t.lo = w.lo)"
        " SELECT * FROM whole_list WHERE row = $row OR row IN (SELECT row FROM near)",
        {"row": row},
    )


def explain_tables(base: duckdb.DuckDBPyConnection, row: int, weights: Weights) -> Explained | None:
    """The same from a ``members`` that holds the row and its rivals, and a ``roll``."""
    known = base.execute("SELECT count(*) FROM members WHERE row = ?", [row]).fetchone()
    assert known is not None
    if not known[0]:
        raise RowUnknown("the list has no such row, or it was withdrawn")
    here = engine.link_tables(base, weights)
    found = base.execute(
        resources.files("matching").joinpath("sql/explain.sql").read_text("utf-8"),
        {"row": row, "bias": here.bias, "threshold": here.threshold},
    ).fetchone()
    if found is None:
        return None
    agreed, differed, alone, second, taken = found
    return Explained(agreed, differed, alone, second, taken, here)

"""Measure linking beside a bare DuckDB join of the same tokens in the same run."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from typing import Any

import duckdb

from matching import engine
from matching.recipes import RECIPES
from matching.score import load

__all__ = ["rows"]

VOTERS = 200_000
MEMBERS = 50_000
GOAL = 4.0
"""Linking also compares, scores and assigns: four bare joins are what all of it may cost."""


def rows(
    voters: int = VOTERS, members: int = MEMBERS, *, seed: int = 1, repeats: int = 9
) -> list[dict[str, Any]]:
    """Link synthetic tokens, and join the same tables bare, in turn; the best of each.

    Nine of ten members are on the roll; of their tokens seven in ten agree, the rest differ or
    are missing, so that candidate pairs are as many as on real lists.
    """
    with duckdb.connect() as base:
        _fill(base, voters, members, seed)
        # In turn: a neighbour on the machine can only add to one of them.
        pairs = [(_timed(base, _join), _timed(base, _link)) for _ in range(repeats)]
        floor, ours = (min(side) for side in zip(*pairs, strict=True))
    return [
        {
            "name": f"link {members:,} x {voters:,} x {len(RECIPES)} tokens, beside the bare join",
            "ours": round(ours, 3),
            "floor": round(floor, 3),
            "ratio": round(ours / floor, 2),
            "goal": GOAL,
            "unit": "seconds",
        }
    ]


def _fill(base: duckdb.DuckDBPyConnection, voters: int, members: int, seed: int) -> None:
    """Two tables of tokens as the peppered artefacts hold them: random 64-bit halves."""
    kinds = len(RECIPES)
    # hash() of (seed, row, recipe) is the token: equal on both sides where they agree.
    salt = random.Random(seed).getrandbits(32)  # noqa: S311 - a bench needs no secret
    base.execute(
        "CREATE TABLE roll AS SELECT v.range AS row, k.range::UTINYINT AS recipe,"
        " (hash(v.range, k.range, $salt) >> 1)::BIGINT AS hi,"
        " (hash(k.range, v.range, $salt, 1) >> 1)::BIGINT AS lo"
        " FROM range($voters) v, range($kinds) k WHERE hash(v.range, k.range, 7) % 10 < 8",
        {"salt": salt, "voters": voters, "kinds": kinds},
    )
    base.execute(
        "CREATE TABLE members AS SELECT m.range AS row, k.range::UTINYINT AS recipe,"
        " (hash(m.range * $step + off, k.range, $salt) >> 1)::BIGINT AS hi,"
        " (hash(k.range, m.range * $step + off, $salt, 1) >> 1)::BIGINT AS lo"
        " FROM range($members) m, range($kinds) k,"
        " LATERAL (SELECT CASE WHEN hash(m.range, k.range, 3) % 10 < 7 AND m.range % 10 < 9"
        " THEN 0 ELSE $voters * 10 END AS off)"
        " WHERE hash(m.range, k.range, 5) % 10 < 7",
        {
            "salt": salt,
            "voters": voters,
            "members": members,
            "kinds": kinds,
            "step": max(1, voters // members),
        },
    )


def _join(base: duckdb.DuckDBPyConnection) -> None:
    base.execute(
        "CREATE OR REPLACE TABLE bare AS SELECT m.row, r.row AS roll_row, count(*) AS shared"
        " FROM members m JOIN roll r USING (recipe, hi, lo) GROUP BY m.row, r.row"
    )


def _link(base: duckdb.DuckDBPyConnection) -> None:
    for table in ("pairs", "compared", "sums_agreed", "sums_differed", "links"):
        base.execute(f"DROP TABLE IF EXISTS {table}")
    # The threshold is set low: every candidate is ranked, which is the most there is to do.
    engine.link_tables(base, replace(load(), threshold=-100.0))


def _timed(base: duckdb.DuckDBPyConnection, step: Any) -> float:
    start = time.perf_counter()
    step(base)
    return time.perf_counter() - start

"""Linking beside a bare DuckDB join of the same tokens, in one run: time, growth and memory.

The files are as the store keeps them, opened: sorted, a roll's row ids random, what is counted
already counted. Ours also compares, scores, and assigns one to one. Both sides are measured in
turn, and the best of each is kept; memory is that of a process which links and does nothing else.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from consortium.cli.normalising import peak_mb
from matching import engine
from matching.score import load
from matching.scratch import scratch

__all__ = ["fill", "rows"]

VOTERS = 5_000_000
MEMBERS = 1_000_000
TOKENS = 12
GOAL = 1.5
"""Comparing, scoring and assigning may cost half a bare join."""
SIZES = (1, 2, 4)
GROWTH = 1.25
MEGABYTES = 6000.0
HELD = "400MB"
"""What DuckDB may hold when it is made to work on the disk."""

Files = tuple[Path, Path]


def rows(voters: int = VOTERS, members: int = MEMBERS, *, repeats: int = 3) -> list[dict[str, Any]]:
    """Link synthetic tokens of three sizes, and join them bare; the last size is the whole."""
    times: list[tuple[float, float]] = []
    found = []
    with TemporaryDirectory(prefix="bench-") as folder:
        for size in SIZES:
            part = max(SIZES) // size
            files = fill(Path(folder), voters // part, members // part)
            # In turn: a neighbour on the machine can only add to one of them.
            pairs = [(_timed(_link, files), _timed(_join, files)) for _ in range(repeats)]
            times.append((min(ours for ours, _ in pairs), min(floor for _, floor in pairs)))
            name = f"link {members // part:,} x {voters // part:,} x {TOKENS} tokens"
            found.append(_row(f"{name} / the bare join grouped by pair", *times[-1], GOAL))
        for size, (ours, _) in zip(SIZES[1:], times[1:], strict=True):
            name = f"{size} times the rows / {size} times the time"
            found.append(_row(name, ours, size * times[0][0], GROWTH))
        free, held = _alone(files), _alone(files, HELD)
    name = f"DuckDB held to {HELD}, the rest on the disk"
    return [
        *found,
        _row(f"peak memory / {MEGABYTES:,.0f} MB allowed", free["mb"], MEGABYTES, 1.0, "MB"),
        _row(f"{name}: peak memory / {MEGABYTES / 3:,.0f} MB", held["mb"], MEGABYTES / 3, 1, "MB"),
        _row(f"{name}: time / in memory", held["seconds"], free["seconds"], 4.0),
    ]


def _row(
    name: str, ours: float, floor: float, goal: float, unit: str = "seconds"
) -> dict[str, Any]:
    return {
        "name": name,
        "ours": round(ours, 3),
        "floor": round(floor, 3),
        "ratio": round(ours / floor, 2),
        "goal": goal,
        "unit": unit,
    }


_EVERY = (1 << TOKENS) - 1
# hash() of voter and recipe is the token: equal on both sides where they agree.
_KIND = (
    "recipe::UTINYINT AS recipe, hash(who, recipe, 1)::BIT::BIGINT AS hi,"
    " hash(recipe, who, 2)::BIT::BIGINT AS lo"
)
_ROLL = f"""
SELECT (hash(who, 9) >> 1)::BIGINT AS row, {_KIND}, {_EVERY} AS has, 1 AS block
FROM range($voters) AS v(who), range({TOKENS}) AS k(recipe) ORDER BY recipe, hi, lo
"""  # noqa: S608 - fixed words
_MEMBERS = f"""
SELECT row, {_KIND}, {_EVERY} AS has, 1 AS block
FROM (
    SELECT
        row,
        recipe,
        row * $step + CASE
            WHEN hash(row, 3) % 10 = 0 OR chance >= 75 THEN $voters * 10
            WHEN chance >= 70 THEN 1
            ELSE 0
        END AS who
    FROM (
        SELECT m.row, k.recipe, hash(m.row, k.recipe, 4) % 100 AS chance
        FROM range($members) AS m(row), range({TOKENS}) AS k(recipe)
    )
)
ORDER BY recipe, hi, lo
"""  # noqa: S608 - fixed words


def fill(folder: Path, voters: int, members: int) -> Files:
    """Write members and roll. Everybody has every token.

    Nine of ten members are on the roll: seven in ten of their tokens are their voter's, one in
    twenty is another voter's, all others are nobody's.
    """
    paths = folder / "members.parquet", folder / "roll.parquet"
    sizes = {"voters": voters, "members": members, "step": max(1, voters // members)}
    for path, made, names in (
        (paths[0], _MEMBERS, ("voters", "members", "step")),
        (paths[1], _ROLL, ("voters",)),
    ):
        with scratch() as base:
            base.execute(f"CREATE TABLE made AS {made}", {name: sizes[name] for name in names})
            base.table("made").write_parquet(str(path), compression="zstd")
    return paths


def _join(base: duckdb.DuckDBPyConnection) -> None:
    base.execute(
        "CREATE TABLE bare AS SELECT m.row, r.row AS roll_row, count(*) AS shared"
        " FROM members m JOIN roll r USING (recipe, hi, lo) GROUP BY m.row, r.row"
    )


def _link(base: duckdb.DuckDBPyConnection) -> None:
    # The threshold is set low: every candidate is ranked, which is the most there is to do.
    engine.link_tables(base, replace(load(), threshold=-100.0))


def _timed(
    step: Callable[[duckdb.DuckDBPyConnection], None], files: Files, memory: str | None = None
) -> float:
    with scratch(memory) as base:
        for name, path in zip(("members", "roll"), files, strict=True):
            base.read_parquet(str(path)).create_view(name)
        start = time.perf_counter()
        step(base)
        return time.perf_counter() - start


def _alone(files: Files, *memory: str) -> dict[str, float]:
    """Link in a process of its own; seconds and the most memory it held, in MB."""
    ran = subprocess.run(
        [sys.executable, "-m", __name__, *map(str, files), *memory],
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, float] = json.loads(ran.stdout)
    return found


if __name__ == "__main__":
    took = _timed(_link, (Path(sys.argv[1]), Path(sys.argv[2])), *sys.argv[3:])
    print(json.dumps({"seconds": took, "mb": peak_mb() * 1.048576}))

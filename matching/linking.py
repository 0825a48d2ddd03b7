"""From two files of tokens to links: the steps, and what runs them.

The steps are files of ``sql/`` in one dialect, DuckDB's. Whatever runs them gives the same links.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import resources
from typing import Any, Protocol

import duckdb

from matching.score import Weights

__all__ = ["BLOCK_CAP", "Duck", "Runner", "about", "compare", "sql", "tie"]

BLOCK_CAP = 50
"""Members of one list who may share a token before it is taken to say nothing."""


class Runner(Protocol):
    """Runs SQL over named tables. ``members`` and ``roll`` are there from the beginning."""

    def columns(self, table: str) -> set[str]:
        """The names of a table's columns."""

    def alias(self, name: str, table: str) -> None:
        """Let a table have another name too, in place of what had it before."""

    def rename(self, table: str, name: str) -> None:
        """Let a table have another name only, in place of what had it before."""

    def run(self, name: str, values: Mapping[str, float]) -> None:
        """Run a file of ``sql/``, which makes one table; the values stand for its parameters."""

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of one short question."""

    def give(self, table: str, rows: Iterable[tuple[int, float]]) -> None:
        """Make a small table of ``bits BIGINT, adds DOUBLE``."""


def tie(runner: Runner, weights: Weights) -> Weights:
    """From ``members`` and ``roll`` to the tables ``compared`` and ``links``.

    Returns:
        The weights as they are on a roll of this size.
    """
    compare(runner)
    ((voters,),) = runner.ask(sql("voters"))
    weights = weights.at(about(voters))
    # At most 2^14 of each: a pair's score is the sum of two looked-up numbers.
    _sums(runner, "agreed", weights.agreeing)
    _sums(runner, "differed", weights.differing)
    known = {"bias": weights.bias, "lift": weights.lift, "threshold": weights.threshold}
    runner.run("assign", known)
    return weights


def about(voters: int) -> int:
    """A roll's size in two digits: a few voters more must not change every score of every list."""
    unit: int = 10 ** max(0, len(str(voters)) - 2)
    return round(voters / unit) * unit


def _sums(runner: Runner, side: str, add: Callable[[int], float]) -> None:
    bits = sorted(row[0] for row in runner.ask(f"SELECT DISTINCT {side} FROM compared"))  # noqa: S608 - fixed words
    runner.give(f"sums_{side}", [(each, add(each)) for each in bits])


def compare(runner: Runner) -> None:
    """From ``members`` and ``roll`` to ``compared``: what each pair agrees and differs in.

    Both are tables or views as an artefact's file has them; without its two last columns they are
    counted here: an artefact of an earlier version, or people of a test.
    """
    for side, counting in (("members", "counted"), ("roll", "masked")):
        if {"has", "block"} <= runner.columns(side):
            runner.alias(f"{side}_counted", side)
            continue
        runner.alias("tokens", side)
        runner.run(counting, {})
        runner.rename("counted", f"{side}_counted")
    runner.run("pairs", {"cap": BLOCK_CAP})


class Duck:
    """Runs the steps in a DuckDB."""

    def __init__(self, base: duckdb.DuckDBPyConnection) -> None:
        self._base = base

    def columns(self, table: str) -> set[str]:
        """The names of a table's columns."""
        return {column[0] for column in self._base.execute(f"DESCRIBE {table}").fetchall()}

    def alias(self, name: str, table: str) -> None:
        """Make a view."""
        self._base.execute(f"CREATE OR REPLACE VIEW {name} AS SELECT * FROM {table}")  # noqa: S608 - fixed words

    def rename(self, table: str, name: str) -> None:
        """Rename a table."""
        self._base.execute(f"DROP TABLE IF EXISTS {name}")
        self._base.execute(f"ALTER TABLE {table} RENAME TO {name}")

    def run(self, name: str, values: Mapping[str, float]) -> None:
        """Run a file of ``sql/``."""
        self._base.execute(sql(name), dict(values))

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of one question."""
        return self._base.execute(query).fetchall()

    def give(self, table: str, rows: Iterable[tuple[int, float]]) -> None:
        """Make a small table."""
        given = list(rows)
        self._base.execute(
            f"CREATE TABLE {table} AS"
            " SELECT unnest(?::BIGINT[]) AS bits, unnest(?::DOUBLE[]) AS adds",
            [[bits for bits, _ in given], [adds for _, adds in given]],
        )


def sql(name: str) -> str:
    """The text of a file of ``sql/``."""
    return resources.files("matching").joinpath(f"sql/{name}.sql").read_text("utf-8")

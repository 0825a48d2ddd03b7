"""Link on Spark: the same files of SQL, said in its dialect by sqlglot; the same links, in order.

Spark runs on this machine alone. Its ports are bound to the loopback and ask for a secret, what it
puts on the disk is encrypted and lies in a private folder, and both end with the block.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlglot
from pyspark import SparkContext
from pyspark.sql import DataFrame, SparkSession
from sqlglot import exp

from matching.atrest import unlocked
from matching.linking import Duck, sql, tie
from matching.score import Weights
from matching.scratch import scratch

__all__ = ["in_spark", "linking", "session"]

MEMORY = "4g"
LOOPBACK = "127.0.0.1"


@contextmanager
def linking(memory: str | None = None) -> Iterator[Callable[..., None]]:
    """What links as `engine.link` does, for as long as the block lasts; Spark starts once.

    Args:
        memory: what Spark's Java may hold, as `scratch` takes it ("4GB").
    """
    with session(MEMORY if memory is None else re.sub(r"B$", "", memory)) as spark:
        yield partial(_link, spark)


def _link(
    spark: SparkSession, members: Path, roll: Path, out: Path, *, key: bytes, weights: Weights
) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="matching-")))
        stack.callback(spark.catalog.clearCache)
        runner = _Spark(spark, folder)
        for name, locked in (("members", members), ("roll", roll)):
            runner.read(name, stack.enter_context(unlocked(locked, key=key)))
        tie(runner, weights)
        runner.table("links").write.parquet((folder / "links").as_uri())
        # Written as DuckDB's own links are: the artefact is the same bytes.
        base = stack.enter_context(scratch())
        base.read_parquet(str(folder / "links" / "*.parquet")).to_table("links")
        base.table("links").order("row").write_parquet(str(out), compression="zstd")


class _Spark:
    """Runs the steps in a Spark."""

    def __init__(self, spark: SparkSession, folder: Path) -> None:
        self._spark, self._folder = spark, folder

    def read(self, name: str, path: Path) -> None:
        """Give a Parquet file a name."""
        self._spark.read.parquet(path.as_uri()).createOrReplaceTempView(name)

    def table(self, name: str) -> DataFrame:
        """A table by name."""
        return self._spark.table(name)

    def columns(self, table: str) -> set[str]:
        """The names of a table's columns."""
        return set(self.table(table).columns)

    def alias(self, name: str, table: str) -> None:
        """Make a view."""
        self.table(table).createOrReplaceTempView(name)

    def rename(self, table: str, name: str) -> None:
        """Make a view, drop the old one."""
        self.alias(name, table)
        self._spark.catalog.dropTempView(table)

    def run(self, name: str, values: Mapping[str, float]) -> None:
        """Run a file of ``sql/``: what it makes is kept, since several steps read it."""
        table, query = in_spark(sql(name))
        made = self._spark.sql(query, args=dict(values)).persist()
        made.createOrReplaceTempView(table)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of one question."""
        return [tuple(row) for row in self._spark.sql(in_spark(query)[1]).collect()]

    def give(self, table: str, rows: Iterable[tuple[int, float]]) -> None:
        """Make a small table."""
        # By a file: what Spark would take from Python itself goes through sockets it leaves open.
        path = self._folder / table
        with scratch() as base:
            Duck(base).give(table, rows)
            base.table(table).write_parquet(str(path))
        self.read(table, path)


def in_spark(text: str) -> tuple[str, str]:
    """The table that a statement makes, empty for a question; and what it asks, for Spark."""
    tree = sqlglot.parse_one(text, read="duckdb")
    if not isinstance(tree, exp.Create):
        return "", tree.sql("spark", comments=False)
    asked = tree.expression
    assert isinstance(asked, exp.Query)
    return tree.this.name, asked.sql("spark", comments=False)


@contextmanager
def session(memory: str = MEMORY) -> Iterator[SparkSession]:
    """A Spark of this process alone; its Java ends, and its folder goes, with the block."""
    with TemporaryDirectory(prefix="matching-") as folder, _loopback():
        build = SparkSession.builder.master(f"local[{os.cpu_count()}]").appName("trellis")
        for name, value in _settings(folder, memory).items():
            build = build.config(name, value)
        spark = build.getOrCreate()
        try:
            yield spark
        finally:
            spark.stop()
            _end()


def _settings(folder: str, memory: str) -> dict[str, str]:
    """Settings of Spark; its start reads the driver's, which later changes would not reach."""
    java = f"-Djava.io.tmpdir={folder} -XX:-UsePerfData -Duser.timezone=UTC"
    return {
        "spark.authenticate": "true",
        "spark.driver.bindAddress": LOOPBACK,
        "spark.driver.extraJavaOptions": java,
        "spark.driver.host": LOOPBACK,
        "spark.driver.memory": memory,
        "spark.io.encryption.enabled": "true",
        "spark.local.dir": folder,
        "spark.log.level": "ERROR",
        "spark.network.crypto.enabled": "true",
        "spark.sql.shuffle.partitions": str(2 * (os.cpu_count() or 1)),
        "spark.sql.warehouse.dir": f"{folder}/warehouse",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }


@contextmanager
def _loopback() -> Iterator[None]:
    """Java learns from the environment alone which address is its own."""
    before = os.environ.get("SPARK_LOCAL_IP")
    os.environ["SPARK_LOCAL_IP"] = LOOPBACK
    try:
        yield
    finally:
        if before is None:
            del os.environ["SPARK_LOCAL_IP"]
        else:
            os.environ["SPARK_LOCAL_IP"] = before


def _end() -> None:
    """End the Java that PySpark keeps for a next session: it holds files in the folder."""
    gateway = SparkContext._gateway
    if gateway is None:
        return
    java = gateway.proc
    gateway.shutdown()
    java.stdin.close()
    java.wait(timeout=60)
    SparkContext._gateway = SparkContext._jvm = None

"""The same SQL on Spark: the same links in the same order, nothing heard outside, nothing left."""

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import duckdb
import pytest
from pyspark import SparkContext

from consortium.cli import bench_match
from consortium.settings import Settings
from consortium.wiring import Process
from matching import engine, score, spark
from matching.atrest import lock_file
from matching.scratch import scratch

KEY = b"k" * 32


@pytest.fixture
def private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary folders are made; the process stands in an empty folder beside it."""
    for name in ("private", "here"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "private"))
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")  # it will not run for long
    yield tmp_path / "private"
    assert os.listdir(tmp_path / "here") == []


def locked(folder: Path, voters: int, members: int) -> tuple[Path, Path]:
    """Two artefacts; the list as an earlier version wrote it, without what is counted."""
    plain = bench_match.fill(folder, voters, members)
    with scratch() as base:
        base.read_parquet(str(plain[0])).project("row, recipe, hi, lo").to_table("old")
        base.table("old").write_parquet(str(plain[0]))
    made = [path.with_suffix(".locked") for path in plain]
    for path, out in zip(plain, made, strict=True):
        lock_file(path, out, key=KEY)
    return made[0], made[1]


def listening(pid: int) -> set[tuple[str, int]]:
    """Addresses and ports on which a process waits for calls."""
    inodes = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):  # closed meanwhile: it listens on nothing
            inodes.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
    found = set()
    for table, family, width in (("tcp", socket.AF_INET, 4), ("tcp6", socket.AF_INET6, 16)):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            cells = line.split()
            if cells[3] != "0A" or f"socket:[{cells[9]}]" not in inodes:
                continue
            host, port = cells[1].split(":")
            words = [bytes.fromhex(host[at : at + 8])[::-1] for at in range(0, 2 * width, 8)]
            found.add((socket.inet_ntop(family, b"".join(words)), int(port, 16)))
    return found


def test_spark_links_as_duckdb_does_hears_this_machine_alone_and_leaves_nothing(
    tmp_path: Path, private: Path
) -> None:
    weights = replace(score.load(), threshold=-3.0)
    listed, roll = locked(tmp_path, 6000, 1500)
    ours, sparks = tmp_path / "ours", tmp_path / "sparks"
    engine.link(listed, roll, ours, key=KEY, weights=weights)
    with spark.linking("1GB") as link:
        java = SparkContext._gateway.proc.pid
        link(listed, roll, sparks, key=KEY, weights=weights)
        heard = listening(java)
        assert os.listdir(private)  # else the last lines say nothing
        assert all(path.stat().st_mode & 0o77 == 0 for path in private.iterdir())
    links = duckdb.read_parquet(str(sparks)).fetchall()
    assert links == duckdb.read_parquet(str(ours)).fetchall()
    assert len(links) > 900
    assert sparks.read_bytes() == ours.read_bytes()
    assert heard
    assert {host.removeprefix("::ffff:") for host, _ in heard} == {"127.0.0.1"}
    assert os.listdir(private) == []
    assert not Path(f"/proc/{java}").exists()


def test_a_worker_is_told_by_its_settings_what_links(tmp_path: Path) -> None:
    for name, linking in (("duckdb", engine.linking), ("spark", spark.linking)):
        (tmp_path / name).mkdir()
        asked = Settings(home=tmp_path / name, match_engine=name)  # type: ignore[arg-type]
        (tmp_path / name / "signing.key").write_text("00" * 32)
        bench = Process(asked).bench
        assert bench.engine.split()[0] == name
        assert isinstance(bench.linking, partial)
        assert bench.linking.func is linking


@pytest.mark.soak
def test_spark_links_two_hundred_thousand_voters_as_duckdb_does(
    tmp_path: Path, private: Path
) -> None:
    weights = replace(score.load(), threshold=-3.0)
    listed, roll = locked(tmp_path, 200_000, 50_000)
    ours, sparks = tmp_path / "ours", tmp_path / "sparks"
    engine.link(listed, roll, ours, key=KEY, weights=weights)
    with spark.linking("2GB") as link:
        link(listed, roll, sparks, key=KEY, weights=weights)
    links = duckdb.read_parquet(str(sparks)).fetchall()
    assert links == duckdb.read_parquet(str(ours)).fetchall()
    assert len(links) > 30_000
    assert os.listdir(private) == []

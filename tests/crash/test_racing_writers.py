"""Two processes write one log: one wins each round, the loser stops, and the log never forks."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from provenance.merkle import tree_root
from provenance.tiles import TileReader
from tests.crash import appending

ROOT = Path(__file__).parents[2]
Start = Callable[[Path, str], "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts writers, and sees that none outlives its test."""
    begun: list[subprocess.Popen[str]] = []

    def started(folder: Path, holder: str) -> subprocess.Popen[str]:
        one = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "crash" / "appending.py"), str(folder), holder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        )
        begun.append(one)
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
        return one

    yield started
    for one in begun:
        one.kill()
        one.communicate()


def until(ready: Callable[[], bool]) -> None:
    end = time.monotonic() + 240
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.02)


def tell(one: subprocess.Popen[str], word: str) -> None:
    assert one.stdin is not None
    one.stdin.write(f"{word}\n")
    one.stdin.flush()


def answer(one: subprocess.Popen[str]) -> str:
    assert one.stdout is not None
    return one.stdout.readline().strip()


def test_of_two_writers_one_wins_each_round_and_the_other_stops(
    start: Start, tmp_path: Path
) -> None:
    log = appending.opened(tmp_path, "before")
    log.recover()
    expected: list[bytes] = []
    survivor = start(tmp_path, "w0")
    names = {survivor: "w0"}
    for number in range(1, 5):
        other = start(tmp_path, f"w{number}")
        names[other] = f"w{number}"
        (tmp_path / "wait").touch()
        tell(survivor, f"round {number}")
        tell(other, f"round {number}")
        until(lambda both=(survivor, other): any(one.poll() is not None for one in both))
        [winner] = [one for one in (survivor, other) if one.poll() is None]
        [loser] = [one for one in (survivor, other) if one.poll() is not None]
        (tmp_path / "wait").unlink()
        assert answer(winner) == str(len(expected))
        expected.append(f"{names[winner]} round {number}".encode())
        assert loser.returncode == 3
        assert loser.stderr is not None
        assert "another worker's until" in loser.stderr.read()
        survivor = winner
    tree = log.published()
    assert (tree.size, tree.root) == (4, tree_root(expected))
    backend = appending.FolderBackend(tmp_path / "log")
    assert TileReader(backend.read, 4).entries(0) == expected
    assert list(backend.stages()) == []


def test_a_writer_that_was_taken_for_dead_commits_nothing_when_it_goes_on(
    start: Start, tmp_path: Path
) -> None:
    slow = start(tmp_path, "slow")
    (tmp_path / "wait").touch()
    tell(slow, "late")
    staging = tmp_path / "log.staging"
    until(lambda: any(path.name.startswith("1-") for path in staging.iterdir()))
    log = appending.opened(tmp_path, "next", "slow")  # it sleeps before its commit
    assert log.recover().size == 0
    assert log.append([b"next"], appending.NOON) == range(1)
    (tmp_path / "wait").unlink()
    assert answer(slow) == ""
    assert slow.wait(240) == 3
    assert slow.stderr is not None
    assert "WriterElsewhere" in slow.stderr.read()
    assert appending.opened(tmp_path, "last", "next").recover().root == tree_root([b"next"])

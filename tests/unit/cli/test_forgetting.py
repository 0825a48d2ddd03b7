"""Who was withdrawn leaves this computer's memory of the custodians' answers, and its file."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from consortium.cli import memory, taking_back, tokenise
from consortium.cli.home import Home
from consortium.cli.lists import own_list
from consortium.cli.memory import Memory, recollection
from tests.fakes.api import FakeWorld
from tests.unit.cli.conftest import Desk
from tests.unit.cli.test_upload_again import BATCH, TOKENS, upload, write

ROWS = 24


@pytest.fixture
def world() -> FakeWorld:
    return FakeWorld(minimum=10, batch=BATCH)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenise, "BATCH", BATCH)


Entry = tuple[bytes, bytes]


def entries(desk: Desk) -> set[Entry]:
    """Name and sealed point of everything that is remembered."""
    with recollection(Home(desk.home), desk.world.match) as kept:
        return {(id, point) for id, point in kept._sql.execute("SELECT id, point FROM kept")}


def left(desk: Desk, gone: set[Entry]) -> int:
    """Of how many entries bytes are still somewhere in the memory's files."""
    files = [path.read_bytes() for path in (desk.home / "memory").iterdir()]
    return sum(any(id in raw or point in raw for raw in files) for id, point in gone)


@pytest.fixture
def held(union: Desk) -> Iterator[Callable[[], None]]:
    """Keeps the memory open, as an upload beside this one would: nothing is tidied by closing."""
    kept: list[Memory] = []
    yield lambda: kept.append(recollection(Home(union.home), union.world.match))
    for one in kept:
        one.close()


def test_the_answers_for_withdrawn_rows_leave_the_memory_and_its_file_at_once(
    union: Desk, tmp_path: Path, held: Callable[[], None]
) -> None:
    id = upload(union, write(tmp_path / "one.csv", range(ROWS)))["id"]
    held()
    before = entries(union)
    assert len(before) == left(union, before) == ROWS * TOKENS
    rows = tmp_path / "rows"
    rows.write_text("2\n9\n")
    union.world.down = {"c3"}  # not even all custodians must have heard
    assert union.run("withdraw", id, "--rows", rows, "--yes").exit_code == 3
    gone = before - entries(union)
    assert len(gone) == 2 * TOKENS
    assert left(union, gone) == 0
    assert left(union, before) == len(before) - len(gone)
    asked = union.world.evaluated
    upload(union, write(tmp_path / "two.csv", range(ROWS + 1)))
    assert union.world.evaluated - asked == 2, "two to ask for again and a new one: one batch"


def test_the_answers_for_a_withdrawn_list_leave_but_for_rows_that_another_list_has(
    union: Desk, tmp_path: Path, held: Callable[[], None]
) -> None:
    old = upload(union, write(tmp_path / "one.csv", range(ROWS)))["id"]
    held()
    before = entries(union)
    asked = union.world.evaluated
    new = upload(union, write(tmp_path / "two.csv", range(3, ROWS)))["id"]
    assert union.world.evaluated == asked
    assert entries(union) == before, "three rows are missing there, and still in the other list"
    union.json("withdraw", old, "--yes")
    gone = before - entries(union)
    assert len(gone) == 3 * TOKENS
    assert left(union, gone) == 0
    union.json("withdraw", new, "--yes")
    assert entries(union) == set()
    assert left(union, before) == 0


def test_what_a_cut_off_withdrawal_left_goes_at_the_next_upload(
    union: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = upload(union, write(tmp_path / "one.csv", range(ROWS)))["id"]
    before = entries(union)
    with monkeypatch.context() as cut:
        cut.setattr(taking_back, "sweep", lambda _home: 0)
        union.json("withdraw", old, "--yes")
    assert entries(union) == before  # the control: without the sweep they stay
    upload(union, write(tmp_path / "two.csv", range(5, ROWS)))
    assert len(before - entries(union)) == 5 * TOKENS
    assert left(union, before - entries(union)) == 0


def test_without_the_cut_of_the_write_ahead_log_the_bytes_would_still_be_there(
    union: Desk, tmp_path: Path, held: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    id = upload(union, write(tmp_path / "one.csv", range(ROWS)))["id"]
    before = entries(union)
    held()
    real = Memory.keep_only

    class Uncut:
        """A connection that skips the cut."""

        def __init__(self, sql: sqlite3.Connection) -> None:
            self._sql = sql

        def execute(self, query: str, *given: Any) -> Any:
            return self._sql.execute("SELECT 1" if "checkpoint" in query else query, *given)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._sql, name)

    def keep_only(kept: Memory, live: Any) -> int:
        kept._sql = Uncut(kept._sql)  # type: ignore[assignment]
        return real(kept, live)

    with recollection(Home(union.home), union.world.match) as beside:
        beside.put([b"somebody"], b"p" * 32)  # pages of now are in the log
        monkeypatch.setattr(memory.Memory, "keep_only", keep_only)
        union.json("withdraw", id, "--yes")
        assert entries(union) == set()
        assert left(union, before) > 0
        monkeypatch.setattr(memory.Memory, "keep_only", real)
        memory.sweep(Home(union.home))
        assert left(union, before) == 0


def test_an_unfinished_upload_keeps_what_was_answered_for_it(union: Desk, tmp_path: Path) -> None:
    other = upload(union, write(tmp_path / "one.csv", range(ROWS)))["id"]
    people = range(100, 100 + 4 * ROWS)
    file = write(tmp_path / "two.csv", people)
    whole = -(-len(people) * TOKENS // BATCH)
    asked = union.world.evaluated
    union.world.drop_after = asked + 8  # four batches, each at two custodians
    assert union.run("upload", file, "--yes", "--workers", "1").exit_code == 3
    answered = len(entries(union)) - ROWS * TOKENS
    assert answered > 0
    union.world.drop_after = None
    union.json("withdraw", other, "--yes")  # sweeps, while the other list is on its way
    assert len(entries(union)) == answered
    upload(union, file)
    assert union.world.evaluated - asked == 2 * whole, "nothing of it was asked for twice"


def test_withdrawing_what_never_left_forgets_it_here_too(union: Desk, tmp_path: Path) -> None:
    file = write(tmp_path / "one.csv", range(ROWS * 4))
    union.world.drop_after = 4
    assert union.run("upload", file, "--yes", "--workers", "1").exit_code == 3
    before, home = entries(union), Home(union.home)
    (id,) = [path.name for path in (union.home / "lists").iterdir()]
    assert before
    assert list((home.path / "state" / id).iterdir())
    union.json("withdraw", id, "--yes")
    assert entries(union) == set()
    assert left(union, before) == 0
    assert not (home.path / "state" / id).exists()
    kept = {path.name for path in own_list(home, id).folder.iterdir()}
    assert not kept & {"names.enc", "finder.enc", "outputs.sealed"}


def test_a_list_withdrawn_in_the_browser_is_finished_here(union: Desk, tmp_path: Path) -> None:
    id = upload(union, write(tmp_path / "one.csv", range(ROWS)))["id"]
    words = f"trellis partner withdraw {id}"
    assert words not in union.run("lists").output
    union.world.states[id] = "withdrawn"
    assert words in union.run("lists").output
    assert entries(union)
    union.json("withdraw", id, "--yes")
    assert entries(union) == set()
    assert all(len(heard) > ROWS for heard in union.world.retired.values())
    assert words not in union.run("lists").output


def test_a_sweep_beside_an_upload_takes_nothing_that_it_has_named(tmp_path: Path) -> None:
    """Names are told before answers are kept, and are read while nobody can keep any."""
    path = tmp_path / "m.sqlite"
    with Memory(path, b"k" * 32, "ab") as one, Memory(path, b"k" * 32, "ab") as other:
        one.put([b"ada"], b"a" * 32)
        other._sql.execute("PRAGMA busy_timeout=0")
        tried: list[str] = []

        def live() -> list[bytes]:
            try:
                other.put([b"bob"], b"b" * 32)
            except sqlite3.OperationalError as locked:
                tried.append(str(locked))
            return one.names([b"ada"])

        assert one.keep_only(live) == 0
        assert tried == ["database is locked"]
        other.put([b"bob"], b"b" * 32)
        assert one.find([b"ada", b"bob"]) == [b"a" * 32, b"b" * 32]

"""Which database errors are a lost race, and which are a fault that would come again."""

import random
import re
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import delete, text
from sqlalchemy.exc import IntegrityError, OperationalError

from consortium.store import errors, texts
from consortium.store.tables import Base, SignInRow, TextRow
from consortium.store.unit import Unit, Units, engine

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def units() -> Units:
    return Units(engine("sqlite://"), lambda: NOON)


def failing(times: int, error: Exception) -> object:
    """Work that fails so often and then goes through."""
    left = [times]

    def work(_: Unit) -> str:
        if left[0]:
            left[0] -= 1
            raise error
        return "done"

    return work


def integrity(code: int) -> IntegrityError:
    original = sqlite3.IntegrityError("constraint")
    original.sqlite_errorcode = code
    return IntegrityError("insert", {}, original)


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("begin", {}, sqlite3.OperationalError("database is locked")),
        integrity(sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY),
        integrity(sqlite3.SQLITE_CONSTRAINT_UNIQUE),
    ],
)
def test_a_lost_race_is_run_again(
    units: Units, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consortium.store.unit.time.sleep", lambda _: None)
    assert units.run("work", failing(3, error)) == "done"  # type: ignore[arg-type]
    assert units.runs == {"work": 4}


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("insert", {}, sqlite3.OperationalError("database or disk is full")),
        OperationalError("select", {}, sqlite3.OperationalError("no such table: x")),
        integrity(sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY),
        integrity(sqlite3.SQLITE_CONSTRAINT_NOTNULL),
        errors.Missing("nothing"),
        ValueError("not ours"),
    ],
)
def test_what_would_fail_again_is_not_run_again(units: Units, error: Exception) -> None:
    with pytest.raises(type(error)):
        units.run("work", failing(1, error))  # type: ignore[arg-type]
    assert units.runs == {"work": 1}


def test_a_unit_is_told_the_time_once(units: Units) -> None:
    assert units.run("time", lambda unit: unit.now) == NOON


def test_foreign_keys_are_on_in_every_connection(units: Units) -> None:
    def asked(unit: Unit) -> object:
        return unit.session.execute(text("PRAGMA foreign_keys")).scalar()

    assert [units.run("pragma", asked) for _ in range(2)] == [1, 1]


def test_an_error_of_the_database_quotes_no_value(units: Units) -> None:
    Base.metadata.create_all(units.engine)

    def break_it(unit: Unit) -> None:
        unit.session.add(
            SignInRow(hash="h" * 64, actor="canary-actor-7731", expires=NOON, used=None)
        )
        unit.session.flush()

    with pytest.raises(IntegrityError) as refused:
        units.run("break", break_it)
    assert "canary-actor-7731" not in str(refused.value)


def test_a_look_waits_for_no_writer_and_holds_up_none(tmp_path: Path) -> None:
    units = Units(engine(f"sqlite:///{tmp_path / 'here.sqlite'}"), lambda: NOON)
    Base.metadata.create_all(units.engine)
    looks: list[int] = []

    def add(unit: Unit) -> None:
        unit.session.add(TextRow(name="a", value="b"))
        unit.session.flush()  # the write lock is held from here to the end
        looks.append(units.read("look", count))

    def count(unit: Unit) -> int:
        return len(unit.session.execute(text("SELECT * FROM texts")).all())

    def look_on(unit: Unit) -> int:
        first = count(unit)
        units.run("add", add)
        return count(unit) - first

    assert units.read("look", look_on) == 0, "one snapshot"
    assert looks == [0]
    assert units.read("look", count) == 1


def test_a_look_cannot_write_and_the_next_unit_can(units: Units) -> None:
    Base.metadata.create_all(units.engine)
    with pytest.raises(OperationalError, match="readonly"):
        units.read("look", lambda unit: unit.session.add(TextRow(name="a", value="b")))
    units.run("add", lambda unit: unit.session.add(TextRow(name="a", value="b")))


def test_no_copy_of_a_deleted_row_stays_in_a_page_that_it_moved_from(
    tmp_path: Path,
) -> None:
    """Rows with random keys move from page to page; deleting overwrites only where they are now."""
    made = Units(engine(f"sqlite:///{tmp_path}/trellis.sqlite"), lambda: NOON)
    Base.metadata.create_all(made.engine)
    dice = random.Random(7)
    names = [f"{dice.getrandbits(64):016x}-canary-{number}" for number in range(2000)]
    kept = [f"{dice.getrandbits(64):016x}-stays" for _ in range(2000)]
    for at in range(0, 2000, 50):
        some = [*names[at : at + 50], *kept[at : at + 50]]
        made.run("put", lambda unit, some=some: [texts.put(unit, x, "") for x in some])
    gone = delete(TextRow).where(TextRow.name.contains("canary"))
    made.run("delete", lambda unit: unit.session.execute(gone))

    def found() -> int:
        whole = b"".join(path.read_bytes() for path in tmp_path.glob("trellis.sqlite*"))
        return len({*re.findall(rb"canary-\d+", whole)})

    with sqlite3.connect(tmp_path / "trellis.sqlite") as plain:
        plain.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    assert found() > 0, "secure_delete alone would do, and nothing here would be tested"
    made.forget()
    assert found() == 0
    held = made.read("held", lambda unit: [texts.get(unit, name) for name in kept])
    assert held == [""] * 2000
    made.engine.dispose()

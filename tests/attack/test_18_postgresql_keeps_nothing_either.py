"""What was withdrawn is gone from PostgreSQL too: from every answer at once, then from its files.

Threat: docs/threat-model.md, something of a withdrawn row stays behind. A deleted row's bytes stay
in the files and in the write-ahead log; the operator's page says which lines let go of them within
the days that people are told. Those very lines are run here, and every file is searched.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from consortium.clock import Standing
from consortium.service import shred
from consortium.store.unit import Units
from tests.attack.test_18_what_was_withdrawn_is_nowhere import (
    LEAVING,
    World,
    after_two_letters,
    furnished,
    withdraw,
)
from tests.fakes.post import Post
from tests.fakes.server import Server
from tests.servers import Postgres


class Disk:
    """One database of a cluster: what it answers, and the bytes of its files."""

    def __init__(self, cluster: Postgres, units: Units) -> None:
        self.cluster, self.units = cluster, units
        with units.engine.connect() as connection:
            self.name = str(connection.execute(text("SELECT current_database()")).scalar())
            oid = "SELECT oid FROM pg_database WHERE datname = current_database()"
            self.folder = cluster.folder / "data" / "base" / str(connection.scalar(text(oid)))

    def say(self, *statements: str) -> None:
        """Run statements one by one, as a superuser."""
        with psycopg.connect(self.cluster.url(self.name), autocommit=True) as connection:
            for one in statements:
                connection.execute(one.encode())

    def knob(self, name: str) -> str:
        with psycopg.connect(self.cluster.url(self.name)) as connection:
            said = connection.execute(f"SHOW {name}".encode()).fetchone()
        assert said
        return str(said[0])

    def answers(self) -> Iterator[bytes]:
        """Every row of every table, as SQL gives it."""
        with psycopg.connect(self.cluster.url(self.name)) as connection:
            tables = connection.execute(
                "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'"
            ).fetchall()
            for (table,) in tables:
                for row in connection.execute(f"SELECT * FROM {table}".encode()).fetchall():
                    yield b"|".join(v if isinstance(v, bytes) else str(v).encode() for v in row)

    def files(self) -> Iterator[bytes]:
        """Tables, indexes, free space and all."""
        yield from contents(self.folder.rglob("*"))

    def log(self) -> Iterator[bytes]:
        """The write-ahead log."""
        yield from contents((self.cluster.folder / "data" / "pg_wal").iterdir())


def contents(paths: Iterable[Path]) -> Iterator[bytes]:
    """What the files among these hold; the server may take one away while we look."""
    for path in paths:
        with suppress(FileNotFoundError):
            if path.is_file():
                yield path.read_bytes()


RUNBOOK = Path(__file__).parents[2] / "deploy" / "runbooks" / "postgresql.md"


def lines(when: str) -> list[str]:
    """The statements that the operator's page says to run."""
    found = re.search(rf"```sql {when}\n(.+?)```", RUNBOOK.read_text(), re.DOTALL)
    assert found
    return [one.strip() for one in found[1].split(";") if one.strip()]


@pytest.fixture
def disk(postgres_server: Postgres, postgres_units: Units) -> Iterator[Disk]:
    made = Disk(postgres_server, postgres_units)
    made.say(*lines("once"))
    # All that a test writes is in one file of the log, so that no checkpoint drops its beginning.
    made.say("SELECT pg_switch_wal()")
    yield made
    made.say("ALTER SYSTEM RESET wal_recycle", "SELECT pg_reload_conf()")


@pytest.fixture
def world(disk: Disk, clock: Standing, tmp_path: Path) -> World:
    return furnished(Post(Server(tmp_path, disk.units, clock), tmp_path))


def found(needles: dict[str, bytes], where: Iterable[bytes]) -> set[str]:
    kept = list(where)
    return {name for name, raw in needles.items() if any(raw in each for each in kept)}


def rewritten(disk: Disk) -> None:
    """Run the weekly lines."""
    while disk.knob("wal_recycle") != "off":
        time.sleep(0.02)  # the server reads its settings when it gets to it
    disk.say(*lines("weekly"))


def test_a_withdrawn_lists_key_is_gone_from_answers_at_once_and_from_files_after_the_weekly_lines(
    world: World, disk: Disk
) -> None:
    needles = {"wrapped": world.needles(None)["wrapped"]}
    disk.say("CHECKPOINT")
    for where in (disk.answers(), disk.files(), disk.log()):
        assert found(needles, where) == {"wrapped"}
    assert withdraw(world, None).status_code == 202
    shred.run(world.bench)
    assert found(needles, disk.answers()) == set()
    rewritten(disk)
    assert found(needles, (*disk.files(), *disk.log())) == set()


@pytest.mark.soak
@pytest.mark.parametrize("only", [None, LEAVING], ids=["the whole list", "three rows"])
def test_nothing_of_what_was_withdrawn_is_left_in_postgresql(
    world: World, disk: Disk, only: tuple[int, ...] | None
) -> None:
    needles = world.needles(only)
    after_two_letters(world, only)
    shred.run(world.bench)
    world.over()
    shred.run(world.bench)
    disk.say("VACUUM", "CHECKPOINT")
    assert found(needles, disk.answers()) == set()
    # The limit, as documented: neither deleting nor vacuuming takes the bytes away.
    assert found(needles, disk.files())
    assert found(needles, disk.log())
    rewritten(disk)
    assert found(needles, (*disk.answers(), *disk.files(), *disk.log())) == set()
    if only is not None:
        # A control: who stays is found, so the search would have found who left.
        assert found(world.needles((0, 1)), disk.files())

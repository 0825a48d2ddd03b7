"""The two databases that the store runs on, each migrated once a run and copied for every test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from consortium.clock import Standing
from consortium.store.schema import migrate
from consortium.store.unit import Units, engine
from tests.servers import Postgres

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ENGINES = ("sqlite", "postgres")


def prepared(url: str) -> None:
    """Bring an empty database up to date and let go of it."""
    made = engine(url)
    migrate(made)
    made.dispose()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied."""
    path = tmp_path_factory.mktemp("template") / "trellis.sqlite"
    prepared(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_server: Postgres) -> str:
    """A migrated PostgreSQL database, to be copied."""
    name = postgres_server.create()
    prepared(postgres_server.url(name))
    return name


@pytest.fixture
def clock() -> Standing:
    """A clock that stands at noon."""
    return Standing(NOON)


@pytest.fixture
def sqlite_units(sqlite_template: Path, tmp_path: Path, clock: Standing) -> Iterator[Units]:
    """A migrated SQLite of this test's own, in a file, with its write-ahead log beside it."""
    path = tmp_path / "trellis.sqlite"
    shutil.copy(sqlite_template, path)
    made = engine(f"sqlite:///{path}")
    event.listen(made, "connect", _without_waiting)
    yield Units(made, clock)
    made.dispose()


def _without_waiting(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    """A process that is killed loses nothing by this, and no test takes the machine's power."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=OFF")
    cursor.close()


@pytest.fixture
def postgres_units(
    postgres_server: Postgres, postgres_template: str, clock: Standing
) -> Iterator[Units]:
    """A migrated PostgreSQL database of this test's own."""
    name = postgres_server.create(postgres_template)
    made = engine(postgres_server.url(name))
    yield Units(made, clock)
    made.dispose()
    postgres_server.drop(name)


@pytest.fixture(params=ENGINES)
def units(request: pytest.FixtureRequest) -> Units:
    """The store, on each engine in turn."""
    found: Units = request.getfixturevalue(f"{request.param}_units")
    return found

"""One named transaction with its outbox."""

import random
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Engine, bindparam, create_engine, event, inspect, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from consortium.store.errors import Busy, Unstorable
from consortium.store.tables import RingRow

T = TypeVar("T")
Row = TypeVar("Row")
TRIES = 12
_SERIALISATION = {"40001", "40P01", "55P03"}
_TAKEN = {"23505"}
_READING: dict[str, dict[str, Any]] = {
    "sqlite": {"trellis_reads": True},
    "postgresql": {"postgresql_readonly": True},
}
_SQLITE_TAKEN = {sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_UNIQUE}


class Unit:
    """The open transaction that a service function works in; whoever ran it ends it."""

    def __init__(self, session: Session, now: datetime) -> None:
        self.session = session
        self.now = now
        self._seen: dict[tuple[type[Any], Any], Any] = {}

    def get(self, kind: type[Row], key: Any) -> Row | None:
        """One row by its primary key; asked again in this unit, it costs nothing.

        ``Session.get`` builds its question each time, and holds its rows so weakly that what
        nobody else held is read anew.

        Args:
            key: a value, or as many as the key has columns.
        """
        known: Row | None = self._seen.get((kind, key))
        state: Any = None if known is None else inspect(known)
        if state is not None and state.persistent and not state.expired:
            return known
        values = key if isinstance(key, tuple) else (key,)
        row: Row | None = self.session.scalar(
            _by_key(kind),  # type: ignore[arg-type]
            {f"key{at}": value for at, value in enumerate(values)},
        )
        if row is not None:
            self._seen[kind, key] = row
        return row

    def after(self, task: str, **payload: str) -> None:
        """Ring ``task`` once this unit has committed. Payloads are ids, never a person's data."""
        self.session.add(RingRow(task=task, payload=dict(payload), rung=None, at=self.now))


@cache
def _by_key(kind: Any) -> Any:
    columns = enumerate(inspect(kind).primary_key)
    return select(kind).where(*(column == bindparam(f"key{at}") for at, column in columns))


class Units:
    """Runs units of work against one database and retries those that lost a race."""

    def __init__(self, engine: Engine, clock: Callable[[], datetime]) -> None:
        self.engine = engine
        self.clock = clock
        self.runs: dict[str, int] = {}
        self._reading = engine.execution_options(**_READING.get(engine.dialect.name, {}))

    def run(self, name: str, work: Callable[[Unit], T]) -> T:
        """Do ``work`` in one serialisable transaction and commit it.

        Args:
            name: for metrics; a verb.
            work: may run twice, so it does nothing but through its unit.

        Raises:
            Busy: it lost against other transactions ``TRIES`` times.
            Unstorable: a value that no column of this database can hold.
        """
        return self._run(self.engine, name, work)

    def read(self, name: str, work: Callable[[Unit], T]) -> T:
        """Look at one snapshot without holding up any writer; ``work`` that writes is refused.

        Args, Raises: as ``run``.
        """
        return self._run(self._reading, name, work)

    def forget(self) -> None:
        """Let nothing of what was deleted or overwritten stay in SQLite's files.

        ``secure_delete`` overwrites what a row leaves, but not the copy that stays in a page when
        its row moves to another: only a database that is written anew has none. Its earlier pages
        stay in the ``-wal`` file until that is cut. Should somebody write or read for too long,
        the next call does it. On
        PostgreSQL the bytes of a deleted row stay until its table is rewritten, which takes more
        rights than any process here has: the disk counts as a backup, and has the backups' time
        to forget (deploy/runbooks/postgresql.md).
        """
        if self.engine.dialect.name == "sqlite":
            with self.engine.connect() as connection:
                connection.rollback()
                raw = connection.connection.driver_connection
                assert raw is not None
                raw.execute("PRAGMA query_only=OFF")
                raw.execute("PRAGMA temp_store=MEMORY")  # the copy that it works on, too
                with suppress(sqlite3.OperationalError):  # locked: see above
                    raw.execute("VACUUM")
                raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _run(self, engine: Engine, name: str, work: Callable[[Unit], T]) -> T:
        for attempt in range(TRIES):
            self.runs[name] = self.runs.get(name, 0) + 1
            try:
                with Session(engine, expire_on_commit=False) as session, session.begin():
                    return work(Unit(session, self.clock()))
            except (DataError, OverflowError, UnicodeEncodeError) as error:
                raise Unstorable("a value is not one that can be kept here") from error
            except DBAPIError as error:
                if not _lost_a_race(error):
                    raise
                time.sleep(random.uniform(0, 0.02 * 2 ** min(attempt, 6)))  # noqa: S311
        raise Busy(f"{name}: too many others at once, try again")


def _lost_a_race(error: DBAPIError) -> bool:
    original = error.orig
    if isinstance(original, sqlite3.OperationalError):
        return "locked" in str(original)
    if isinstance(error, IntegrityError):
        # Two first inserts of one id: the second try finds the row and answers from it. Whatever
        # else is broken (a key that points at nothing) would be broken again.
        if isinstance(original, sqlite3.IntegrityError):
            return original.sqlite_errorcode in _SQLITE_TAKEN
        return getattr(original, "sqlstate", None) in _TAKEN
    return getattr(original, "sqlstate", None) in _SERIALISATION


def engine(url: str) -> Engine:
    """Open a database: SQLite in WAL with full syncs, or PostgreSQL at SERIALIZABLE.

    Errors do not quote the values of a statement: they end in logs.
    """
    if url.startswith("sqlite"):
        made = create_engine(
            url,
            hide_parameters=True,
            connect_args={"timeout": 30, "check_same_thread": False},
        )
        event.listen(made, "connect", _sqlite_connect)
        event.listen(made, "begin", _sqlite_begin)
        return made
    scheme, _, rest = url.partition("://")
    if scheme in ("postgres", "postgresql"):
        url = f"postgresql+psycopg://{rest}"
    return create_engine(
        url, isolation_level="SERIALIZABLE", pool_pre_ping=True, hide_parameters=True
    )


def _sqlite_connect(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",  # what is withdrawn does not stay behind in free pages
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _sqlite_begin(connection: Any) -> None:
    reads = bool(connection.get_execution_options().get("trellis_reads"))
    connection.exec_driver_sql(f"PRAGMA query_only={'ON' if reads else 'OFF'}")
    # IMMEDIATE: a reader that would write later must not find its snapshot stale.
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

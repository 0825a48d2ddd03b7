"""A lock and lease for the log in a file of its own, which no backup of the database takes back."""

import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from provenance.errors import LockLost, WriterElsewhere

LOG_LEASE = timedelta(seconds=60)
"""How long a writer that died is waited for; far longer than from staging to the commit."""

WAIT = 30.0
"""Seconds that a swap waits for another's; each takes milliseconds."""

_TABLES = """
CREATE TABLE IF NOT EXISTS log_lock (origin TEXT PRIMARY KEY, checkpoint BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS lease (
  origin TEXT PRIMARY KEY, holder TEXT NOT NULL, fence INTEGER NOT NULL, until REAL NOT NULL
);
"""


class SqliteLock:
    """``provenance.backend.Lock`` and ``Lease`` in one small SQLite file.

    Args:
        path: the file; its folder must be there. Not on a network file system.
        holder: names this process; empty: no lease is asked for.
        clock: tells the time, aware.
        dead: holders that are proven to have ended.
    """

    def __init__(
        self,
        path: Path,
        holder: str,
        clock: Callable[[], datetime],
        *,
        dead: Collection[str] = frozenset(),
    ) -> None:
        self._path = path
        self._holder = holder
        self._clock = clock
        self._dead = dead
        self._fences: dict[str, int] = {}
        with self._open() as database:
            database.executescript(_TABLES)

    def load(self, origin: str) -> bytes | None:
        """See ``provenance.backend.Lock``."""
        query = "SELECT checkpoint FROM log_lock WHERE origin = ?"
        with self._open() as database:
            found = database.execute(query, (origin,)).fetchone()
        return None if found is None else bytes(found[0])

    def swap(self, origin: str, old: bytes | None, new: bytes) -> None:
        """See ``provenance.backend.Lock``; ``WriterElsewhere`` when the lease was lost."""
        with self._change() as database:
            if self._holder:
                self._fenced(database, origin)
            if old is None:
                added = "INSERT INTO log_lock VALUES (?, ?) ON CONFLICT DO NOTHING"
                changed = database.execute(added, (origin, new))
            else:
                moved = "UPDATE log_lock SET checkpoint = ? WHERE origin = ? AND checkpoint = ?"
                changed = database.execute(moved, (new, origin, old))
            if changed.rowcount != 1:
                raise LockLost("another writer has moved the log on")

    def hold(self, origin: str) -> None:
        """See ``provenance.backend.Lease``."""
        now = self._clock()
        with self._change() as database:
            query = "SELECT holder, fence, until FROM lease WHERE origin = ?"
            row = database.execute(query, (origin,)).fetchone()
            holder, fence, until = row or (self._holder, 1, 0.0)
            if holder != self._holder:
                if until > now.timestamp() and holder not in self._dead:
                    at = datetime.fromtimestamp(until, UTC)
                    raise WriterElsewhere(f"the log is another worker's until {at:%H:%M:%S}")
                fence += 1
            kept = (origin, self._holder, fence, (now + LOG_LEASE).timestamp())
            database.execute("REPLACE INTO lease VALUES (?, ?, ?, ?)", kept)
        self._fences[origin] = fence

    def drop(self, origin: str) -> None:
        """See ``provenance.backend.Lease``."""
        ours = "UPDATE lease SET until = 0 WHERE origin = ? AND holder = ?"
        with self._change() as database:
            database.execute(ours, (origin, self._holder))

    def _fenced(self, database: sqlite3.Connection, origin: str) -> None:
        query = "SELECT holder, fence FROM lease WHERE origin = ?"
        row = database.execute(query, (origin,)).fetchone()
        if row != (self._holder, self._fences.get(origin, 0)):
            raise WriterElsewhere("another process has taken the right to write the log")

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """One transaction that has the file to itself from its first statement on."""
        with self._open() as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
            except BaseException:
                database.execute("ROLLBACK")
                raise
            database.execute("COMMIT")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=WAIT, isolation_level=None)) as database:
            # EXTRA also syncs the folder once the journal is deleted: without that, a power cut
            # could bring the journal back, and with it the checkpoint before.
            database.execute("PRAGMA journal_mode=DELETE")
            database.execute("PRAGMA synchronous=EXTRA")
            yield database

"""A custodian's one SQLite file: what was counted stays counted after a power cut.

WAL and synchronous=FULL. Every change is one ``BEGIN IMMEDIATE`` transaction, so two requests at
the same instant are charged one after the other.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Database:
    """The file, and the tables of every class that is mixed in; safe for threads and processes."""

    SCHEMA = ""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        self._guard = threading.RLock()
        self._sql = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
            self._sql.execute(f"PRAGMA {pragma}")
        for one in type(self).__mro__:
            self._sql.executescript(vars(one).get("SCHEMA", ""))
        self.empty_wal()  # what a crash kept us from forgetting is forgotten now

    def close(self) -> None:
        """Close the database."""
        self._sql.close()

    def empty_wal(self) -> None:
        """Write the log of changes into the database and cut it to nothing.

        Deleting overwrites a row in the database (``secure_delete``), but its earlier page stays
        in the ``-wal`` file until that is cut: a forgotten secret could be read there. Another
        process that reads at this instant is waited for; should it never stop, the next start
        does it.
        """
        with self._guard:
            self._sql.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it or nothing."""
        with self._guard:
            self._sql.execute("BEGIN IMMEDIATE")
            try:
                yield self._sql
            except BaseException:
                self._sql.execute("ROLLBACK")
                raise
            self._sql.execute("COMMIT")

    def rows(self, query: str, *values: Any) -> list[Any]:
        """Read."""
        with self._guard:
            return self._sql.execute(query, values).fetchall()

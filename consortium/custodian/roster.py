"""Locks that the log vouches for, each with its tag; and the tags that were retired for good."""

import sqlite3
from collections.abc import Sequence

from consortium.custodian.database import Database
from consortium.custodian.errors import Refused
from matching.locks import RosterEntry


class Roster(Database):
    """Chunks of the roster as they were checked, and what was retired."""

    SCHEMA = """
CREATE TABLE IF NOT EXISTS chunks (epoch TEXT, chunk INTEGER, digest TEXT NOT NULL,
    PRIMARY KEY (epoch, chunk)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS roster (lock BLOB PRIMARY KEY, tag BLOB NOT NULL UNIQUE,
    epoch TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS retired (tag BLOB PRIMARY KEY) WITHOUT ROWID;
"""

    def has_chunk(self, epoch: str, chunk: int, digest: str) -> bool:
        """Whether this very chunk is known.

        Raises:
            Refused: ``chunk-conflict``: the number stands for other bytes.
        """
        known = self.rows("SELECT digest FROM chunks WHERE epoch=? AND chunk=?", epoch, chunk)
        if known and known[0][0] != digest:
            raise Refused("chunk-conflict", "this chunk number stands for other bytes", 409)
        return bool(known)

    def chunks(self, epoch: str) -> set[int]:
        """Return the numbers of the chunks known."""
        return {row[0] for row in self.rows("SELECT chunk FROM chunks WHERE epoch=?", epoch)}

    def add_chunk(
        self, epoch: str, chunk: int, digest: str, entries: Sequence[RosterEntry]
    ) -> None:
        """Add a checked chunk; all of it or nothing.

        Raises:
            Refused: ``lock-duplicate``: a lock or tag is in the roster already, or twice in the
            chunk.
        """
        try:
            with self.write() as sql:
                sql.execute("INSERT INTO chunks VALUES (?, ?, ?)", (epoch, chunk, digest))
                sql.executemany(
                    "INSERT INTO roster (lock, tag, epoch) VALUES (?, ?, ?)",
                    ((entry.lock, entry.tag, epoch) for entry in entries),
                )
        except sqlite3.IntegrityError as error:
            raise Refused(
                "lock-duplicate", "a lock or tag stands in the roster already", 409
            ) from error

    def epoch_of(self, lock: bytes) -> str | None:
        """Return the epoch in whose roster a lock stands, which its proof is bound to."""
        rows = self.rows("SELECT epoch FROM roster WHERE lock=?", lock)
        return str(rows[0][0]) if rows else None

    def unknown_locks(self, epoch: str, locks: Sequence[bytes]) -> int:
        """Return how many of ``locks`` are not in the epoch's roster."""
        found = 0
        for start in range(0, len(locks), 500):
            part = locks[start : start + 500]
            marks = ",".join("?" * len(part))
            query = f"SELECT count(*) FROM roster WHERE epoch=? AND lock IN ({marks})"  # noqa: S608
            found += self.rows(query, epoch, *part)[0][0]
        return len(locks) - found

    def retire(self, tags: Sequence[bytes]) -> None:
        """Retire the rows behind these tags for good, whether or not they are in the roster yet."""
        with self.write() as sql:
            sql.executemany("INSERT OR IGNORE INTO retired VALUES (?)", ((tag,) for tag in tags))

    def retired_among(self, locks: Sequence[bytes]) -> set[bytes]:
        """Return those of ``locks`` that were retired."""
        found: set[bytes] = set()
        for start in range(0, len(locks), 500):
            part = locks[start : start + 500]
            marks = ",".join("?" * len(part))
            query = f"SELECT lock, tag FROM roster WHERE lock IN ({marks})"  # noqa: S608
            pairs = self.rows(query, *part)
            marks = ",".join("?" * len(pairs))
            query = f"SELECT tag FROM retired WHERE tag IN ({marks})"  # noqa: S608
            gone = {row[0] for row in self.rows(query, *(tag for _, tag in pairs))}
            found.update(lock for lock, tag in pairs if tag in gone)
        return found

"""A custodian's own entries in the log: which it promised, which of them stand there.

Also how far it followed the log, and whether its books were put back to an earlier day.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from consortium.custodian.endings import Endings
from consortium.custodian.tally import Counted, Tally


@dataclass(frozen=True, slots=True)
class Tree:
    """A cosigned tree of the log, followed to its end.

    Attributes:
        at: when the quorum had cosigned it.
        checkpoint: the signed and cosigned note, verbatim.
    """

    size: int
    root: bytes
    at: datetime
    checkpoint: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Standing:
    """An entry of a custodian that stands in the log; ``at`` is its hour, ``kind`` its kind."""

    leaf: str
    by: str
    at: datetime
    entry: bytes = field(repr=False)
    kind: str = "ledger"


class Own(Endings):
    """Promises, what stands of them, and the tally that a copy of this file does not bring."""

    SCHEMA = """
CREATE TABLE IF NOT EXISTS promises (leaf TEXT PRIMARY KEY, name TEXT NOT NULL,
    drafted TEXT NOT NULL, at TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS promises_by_name ON promises (name);
CREATE TABLE IF NOT EXISTS standing (leaf TEXT PRIMARY KEY, by TEXT NOT NULL, at TEXT NOT NULL,
    entry BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS followed (one INTEGER PRIMARY KEY CHECK (one = 1),
    size INTEGER NOT NULL, root BLOB NOT NULL, roots BLOB NOT NULL, who TEXT NOT NULL,
    at TEXT NOT NULL, checkpoint TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS forks (older TEXT, newer TEXT, PRIMARY KEY (older, newer));
CREATE TABLE IF NOT EXISTS doubts (leaf TEXT PRIMARY KEY, at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

    def __init__(self, path: Path, *more: Any) -> None:
        super().__init__(path, *more)
        self._tally = Tally(path.with_suffix(".tally"))
        self.check_tally()

    # -- the tally

    def count(self, sql: sqlite3.Connection, event: Mapping[str, Any]) -> None:
        """Count an event in the file, then in this transaction.

        A crash in between leaves the file one ahead, with the event in it: `check_tally` does it
        over. A commit that fails is done over as well, which can only cost the caller.
        """
        counted = self._counted(sql) + 1
        self._tally.write(Counted(counted, event))
        self._state(sql, "count", str(counted))

    def check_tally(self) -> None:
        """Compare the file with the database; one event too few is done over, more is a restore.

        Safe while another process writes: both are written under the same lock.
        """
        rows = dict(self.rows("SELECT name, value FROM state"))
        seen = self._tally.read()
        if seen and "copy" not in rows and seen.count == int(rows.get("count", 0)):
            return
        with self.write() as sql:
            here, there = self._counted(sql), self._tally.read()
            copied = self._value(sql, "copy")
            if there is None:
                if here == 0 and not copied:
                    return  # nothing was ever counted
                same = False
            else:
                same = there.count == here or (
                    there.count == here + 1 and self._redo(sql, there.event)
                )
                here = max(here, there.count)
            if same and not copied:
                self._state(sql, "count", str(here))
                return
            sql.execute("DELETE FROM state WHERE name='copy'")
            self._state(sql, "restored", "")
            self._state(sql, "untold", "")
            self._state(sql, "count", str(here + 1))
            self._tally.write(Counted(here + 1, {"kind": "restored"}))

    def _redo(self, sql: sqlite3.Connection, event: Mapping[str, Any]) -> bool:
        """Do an event over that the file has and the database lost; false when it cannot be."""
        return False

    @staticmethod
    def _value(sql: sqlite3.Connection, name: str) -> str | None:
        row = sql.execute("SELECT value FROM state WHERE name=?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def _counted(self, sql: sqlite3.Connection) -> int:
        return int(self._value(sql, "count") or 0)

    @staticmethod
    def _state(sql: sqlite3.Connection, name: str, value: str) -> None:
        sql.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (name, value))

    # -- restored

    def restored(self, now: datetime) -> datetime | None:
        """Return since when these books are known to be older than the log, if they are.

        The first call after it was found dates it.
        """
        found = self.rows("SELECT value FROM state WHERE name='restored'")
        if not found:
            return None
        if not found[0][0]:
            with self.write() as sql:
                self._state(sql, "restored", now.isoformat())
            return now
        return datetime.fromisoformat(found[0][0])

    def mark_restored(self) -> None:
        """Say that these books may be older than the log, and than what partners said since.

        The log settles the first, the other custodians tell the second.
        """
        with self.write() as sql:
            sql.execute("INSERT OR IGNORE INTO state VALUES ('restored', ''), ('untold', '')")

    def backup(self, to: Path) -> None:
        """Write a consistent copy that knows it is one.

        Raises:
            FileExistsError: ``to`` is there; an earlier copy is never written over.
        """
        with to.open("xb"):
            to.chmod(0o600)
        copy = sqlite3.connect(to)
        try:
            with self._guard:
                self._sql.backup(copy)
            copy.execute("INSERT OR REPLACE INTO state VALUES ('copy', 'yes')")
            copy.execute("PRAGMA journal_mode=DELETE").fetchall()
            copy.commit()
        finally:
            copy.close()

    def settled(self, sql: sqlite3.Connection) -> None:
        """The log said how far this custodian had come; nothing is unsaid any more."""
        sql.execute("DELETE FROM state WHERE name='restored'")

    # -- promises

    def promise(self, leaf: str, name: str, drafted: Mapping[str, Any], at: datetime) -> None:
        """Keep an own entry, durably, before it is handed to the log."""
        row = (leaf, name, json.dumps(drafted), at.isoformat())
        with self.write() as sql:
            sql.execute("INSERT OR IGNORE INTO promises VALUES (?, ?, ?, ?)", row)

    def promised(self, name: str) -> tuple[dict[str, Any], datetime] | None:
        """Return the newest draft under a name and when it was made."""
        query = "SELECT drafted, at FROM promises WHERE name=? ORDER BY at DESC LIMIT 1"
        rows = self.rows(query, name)
        return (dict(json.loads(rows[0][0])), datetime.fromisoformat(rows[0][1])) if rows else None

    def stands(self, name: str, since: datetime | None = None) -> bool:
        """Whether an entry under this name stands in the log that was followed.

        Args:
            since: of this hour or later.
        """
        query = "SELECT 1 FROM promises p JOIN standing s USING (leaf) WHERE name=? AND s.at>?"
        return bool(self.rows(query, name, since.isoformat() if since else ""))

    def drafts_under(self, prefix: str) -> list[dict[str, Any]]:
        """Return every draft whose name begins so."""
        query = "SELECT drafted FROM promises WHERE substr(name, 1, ?)=? AND drafted<>'{}'"
        return [dict(json.loads(row[0])) for row in self.rows(query, len(prefix), prefix)]

    def unknown(self, own: str) -> list[Standing]:
        """Return own entries that stand in the log and that these books never promised."""
        query = """SELECT leaf, by, at, entry FROM standing WHERE by=?
            AND leaf NOT IN (SELECT leaf FROM promises)
            AND leaf NOT IN (SELECT leaf FROM doubts)"""
        return [_standing(row) for row in self.rows(query, own)]

    # -- doubts: openings that may have been answered, and by which books nobody knows

    def doubts(self) -> list[Standing]:
        """Return own openings that may have been answered and are not counted here."""
        query = "SELECT d.leaf, s.by, d.at, s.entry FROM doubts d JOIN standing s USING (leaf)"
        return [_standing(row) for row in self.rows(query)]

    # -- the log, as far as it was followed

    def frontier(self) -> tuple[int, list[bytes], str]:
        """Return size, roots of its perfect subtrees, and whose entries were looked for."""
        rows = self.rows("SELECT size, roots, who FROM followed")
        if not rows:
            return 0, [], ""
        size, roots, who = rows[0]
        return size, [roots[n : n + 32] for n in range(0, len(roots), 32)], who

    def followed(self) -> Tree | None:
        """Return the newest tree that was followed to its end."""
        rows = self.rows("SELECT size, root, at, checkpoint FROM followed")
        if not rows:
            return None
        size, root, at, note = rows[0]
        return Tree(size, root, datetime.fromisoformat(at), note)

    def follow(self, tree: Tree, roots: bytes, who: str, found: Sequence[Standing]) -> None:
        """Keep how far the log was followed and what was found on the way, in one step."""
        known = self.followed()
        if known and not found and tree == known and self.frontier()[2] == who:
            return
        new = [
            (one.leaf, one.by, one.at.isoformat(), one.entry)
            for one in found
            if one.kind == "ledger"
        ]
        of_keys = [(one.leaf, one.by, one.at.isoformat()) for one in found if one.kind == "key"]
        row = (tree.size, tree.root, roots, who, tree.at.isoformat(), tree.checkpoint)
        with self.write() as sql:
            sql.executemany("INSERT OR IGNORE INTO standing VALUES (?, ?, ?, ?)", new)
            sql.executemany("INSERT OR IGNORE INTO key_entries VALUES (?, ?, ?)", of_keys)
            sql.execute("INSERT OR REPLACE INTO followed VALUES (1, ?, ?, ?, ?, ?, ?)", row)

    def forked(self, older: str, newer: str) -> None:
        """Keep two cosigned checkpoints of which the newer does not extend the older."""
        with self.write() as sql:
            sql.execute("INSERT OR IGNORE INTO forks VALUES (?, ?)", (older, newer))

    def forks(self) -> list[tuple[str, str]]:
        """Return pairs of checkpoints that prove that the log was rewritten."""
        return [(older, newer) for older, newer in self.rows("SELECT older, newer FROM forks")]


def _standing(row: Sequence[Any]) -> Standing:
    leaf, by, at, entry = row
    when = datetime.fromisoformat(at)
    return Standing(leaf, by, when if when.tzinfo else when.replace(tzinfo=UTC), bytes(entry))

"""The shares this custodian holds, and the ceremonies they come from."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from consortium.custodian.database import Database
from matching.statement import Statement


class Wrapping(Protocol):
    """What makes a secret unreadable in the database file to whoever has only the file.

    A label says what the secret is; a secret wrapped under one label does not unwrap under another.
    """

    def wrap(self, secret: bytes, label: bytes) -> bytes:
        """Return ``secret`` as it may stand on a disk."""

    def unwrap(self, wrapped: bytes, label: bytes) -> bytes:
        """Return the secret again; raises a `CustodianError` when it cannot."""


@dataclass(frozen=True, slots=True)
class Key:
    """A share this custodian holds, with the statement it belongs to."""

    statement: Statement
    signatures: dict[str, str]
    share: bytes = field(repr=False)


class Keys(Database):
    """Shares, polynomials of running ceremonies, their messages, and drafted log entries."""

    SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (purpose TEXT, epoch TEXT, sid TEXT NOT NULL UNIQUE,
    statement TEXT NOT NULL, signatures TEXT NOT NULL, share BLOB NOT NULL,
    PRIMARY KEY (purpose, epoch)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ceremonies (sid TEXT PRIMARY KEY, secret BLOB, aborted TEXT);
CREATE TABLE IF NOT EXISTS messages (sid TEXT, round TEXT, sender TEXT, message TEXT NOT NULL,
    PRIMARY KEY (sid, round, sender)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS drafts (name TEXT PRIMARY KEY, drafted TEXT NOT NULL, leaf TEXT);
"""

    #: Table, column and label (in SQL) of every secret; `rewrap` wraps all of them anew.
    SECRETS = (
        ("keys", "share", "'share/' || sid"),
        ("ceremonies", "secret", "'polynomial/' || sid"),
    )

    def __init__(self, path: Path, wrapping: Wrapping | None = None) -> None:
        self._wrapping = wrapping
        super().__init__(path)

    # Every secret of these tables goes through these two methods, and nothing else does.

    def _wrapped(self, secret: bytes, label: str) -> bytes:
        wrap = self._wrapping
        return wrap.wrap(secret, f"trellis/custodian/{label}".encode()) if wrap else secret

    def _unwrapped(self, wrapped: bytes, label: str) -> bytes:
        wrap = self._wrapping
        return wrap.unwrap(wrapped, f"trellis/custodian/{label}".encode()) if wrap else wrapped

    def secrets(self) -> set[bytes]:
        """Return every secret as it is wrapped now."""
        return {wrapped for *_, wrapped, _ in self._secrets()}

    def _secrets(self) -> list[tuple[str, str, bytes, str]]:
        found = []
        for table, column, label in self.SECRETS:
            query = f"SELECT {column}, {label} FROM {table} WHERE {column} IS NOT NULL"  # noqa: S608
            found += [(table, column, wrapped, of) for wrapped, of in self.rows(query)]
        return found

    def _rewrap(self, sql: sqlite3.Connection, wrapping: Wrapping) -> None:
        """Wrap every secret with another wrapping, inside the caller's transaction."""
        old, self._wrapping = self._wrapping, wrapping
        try:
            for table, column, wrapped, label in self._secrets():
                self._wrapping = old
                secret = self._unwrapped(wrapped, label)
                self._wrapping = wrapping
                change = f"UPDATE {table} SET {column}=? WHERE {column}=?"  # noqa: S608
                sql.execute(change, (self._wrapped(secret, label), wrapped))
        except BaseException:
            self._wrapping = old
            raise

    def add_key(self, key: Key) -> None:
        """Keep a share, and forget the polynomial it came from, in one transaction."""
        stated = key.statement
        share = self._wrapped(key.share, f"share/{stated.sid}")
        with self.write() as sql:
            sql.execute(
                "INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?, ?, ?)",
                (
                    stated.purpose,
                    stated.epoch,
                    stated.sid,
                    json.dumps(stated.to_json()),
                    json.dumps(key.signatures),
                    share,
                ),
            )
            sql.execute("UPDATE ceremonies SET secret=NULL WHERE sid=?", (stated.sid,))
        self.empty_wal()

    def key(self, purpose: str, epoch: str) -> Key | None:
        """Return the share for a purpose in an epoch, if there is one."""
        rows = self.rows(
            "SELECT statement, signatures, share FROM keys WHERE purpose=? AND epoch=?",
            purpose,
            epoch,
        )
        if not rows:
            return None
        stated, signatures, wrapped = rows[0]
        statement = Statement.from_json(json.loads(stated))
        share = self._unwrapped(wrapped, f"share/{statement.sid}")
        return Key(statement, json.loads(signatures), share)

    def key_of(self, sid: str) -> Key | None:
        """Return the share made in ceremony ``sid``, if it is held."""
        rows = self.rows("SELECT purpose, epoch FROM keys WHERE sid=?", sid)
        return self.key(*rows[0]) if rows else None

    def begin_ceremony(self, sid: str, secret: Mapping[str, Any]) -> None:
        """Keep a fresh polynomial; a second one for the same ceremony is ignored."""
        wrapped = self._wrapped(json.dumps(secret).encode(), f"polynomial/{sid}")
        with self.write() as sql:
            sql.execute("INSERT OR IGNORE INTO ceremonies VALUES (?, ?, NULL)", (sid, wrapped))

    def ceremony_secret(self, sid: str) -> dict[str, Any] | None:
        """Return the polynomial of a running ceremony."""
        rows = self.rows("SELECT secret FROM ceremonies WHERE sid=?", sid)
        if not rows or not rows[0][0]:
            return None
        return dict(json.loads(self._unwrapped(rows[0][0], f"polynomial/{sid}")))

    def abort_ceremony(self, sid: str, culprit: str, reason: str) -> None:
        """Remember why a ceremony ended, and forget its polynomial."""
        with self.write() as sql:
            sql.execute(
                "UPDATE ceremonies SET secret=NULL, aborted=? WHERE sid=?",
                (json.dumps([culprit, reason]), sid),
            )
        self.empty_wal()

    def aborted(self, sid: str) -> tuple[str, str] | None:
        """Return culprit and reason of an aborted ceremony."""
        rows = self.rows("SELECT aborted FROM ceremonies WHERE sid=?", sid)
        if not rows or not rows[0][0]:
            return None
        culprit, reason = json.loads(rows[0][0])
        return str(culprit), str(reason)

    def put_message(self, sid: str, round: str, sender: str, message: Mapping[str, Any]) -> None:
        """Keep a ceremony message; the first one stays."""
        with self.write() as sql:
            sql.execute(
                "INSERT OR IGNORE INTO messages VALUES (?, ?, ?, ?)",
                (sid, round, sender, json.dumps(message)),
            )

    def message(self, sid: str, round: str, sender: str) -> dict[str, Any] | None:
        """Return a ceremony message."""
        rows = self.rows(
            "SELECT message FROM messages WHERE sid=? AND round=? AND sender=?", sid, round, sender
        )
        return dict(json.loads(rows[0][0])) if rows else None

    def put_draft(self, name: str, drafted: Mapping[str, Any]) -> dict[str, Any]:
        """Keep a drafted log entry under a name before posting it; the first one stays."""
        with self.write() as sql:
            sql.execute(
                "INSERT OR IGNORE INTO drafts VALUES (?, ?, NULL)", (name, json.dumps(drafted))
            )
        return self.draft(name) or {}

    def draft(self, name: str) -> dict[str, Any] | None:
        """Return a drafted entry."""
        rows = self.rows("SELECT drafted FROM drafts WHERE name=?", name)
        return dict(json.loads(rows[0][0])) if rows else None

    def set_leaf(self, name: str, leaf: str) -> None:
        """Remember under which leaf a drafted entry was taken in."""
        with self.write() as sql:
            sql.execute("UPDATE drafts SET leaf=? WHERE name=?", (leaf, name))

    def leaf(self, name: str) -> str | None:
        """Return the leaf of a posted entry."""
        rows = self.rows("SELECT leaf FROM drafts WHERE name=?", name)
        return str(rows[0][0]) if rows and rows[0][0] else None

"""The shares this custodian holds, and the ceremonies they come from."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from consortium.custodian.database import Database
from matching.lineage import Signed
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

    @classmethod
    def of(cls, signed: Signed, share: bytes) -> "Key":
        """Return the share with the statement as the log holds it."""
        signatures = {one: raw.hex() for one, raw in signed.signatures.items()}
        return cls(signed.statement, signatures, share)

    @property
    def label(self) -> str:
        """What the wrapped share is bound to: the key's name and the version of its shares."""
        return f"share/{self.statement.sid}/{self.statement.version}"


class Keys(Database):
    """Shares, polynomials of running ceremonies, their messages, and drafted log entries."""

    SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (purpose TEXT, epoch TEXT, sid TEXT NOT NULL UNIQUE,
    statement TEXT NOT NULL, signatures TEXT NOT NULL, share BLOB NOT NULL,
    PRIMARY KEY (purpose, epoch)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS over (sid TEXT, version INTEGER, purpose TEXT NOT NULL,
    epoch TEXT NOT NULL, why TEXT NOT NULL, statement TEXT NOT NULL,
    PRIMARY KEY (sid, version)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sessions (sid TEXT PRIMARY KEY, purpose TEXT, epoch TEXT, secret BLOB,
    aborted TEXT);
CREATE TABLE IF NOT EXISTS messages (sid TEXT, round TEXT, sender TEXT, message TEXT NOT NULL,
    PRIMARY KEY (sid, round, sender)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS drafts (name TEXT PRIMARY KEY, drafted TEXT NOT NULL, leaf TEXT);
"""

    #: Table, column and label (in SQL) of every secret; `rewrap` wraps all of them anew.
    SECRETS = (
        ("keys", "share", "'share/' || sid || '/' || json_extract(statement, '$.version')"),
        ("sessions", "secret", "'polynomial/' || sid"),
    )

    def __init__(self, path: Path, wrapping: Wrapping | None = None) -> None:
        self._wrapping = wrapping
        super().__init__(path)

    # Every secret of these tables goes through these two methods, and nothing else does.

    def _wrapped(self, secret: bytes, label: str) -> bytes:
        return self._wrapping.wrap(secret, _bound(label)) if self._wrapping else secret

    def _unwrapped(self, wrapped: bytes, label: str) -> bytes:
        return self._wrapping.unwrap(wrapped, _bound(label)) if self._wrapping else wrapped

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
        for table, column, wrapped, label in self._secrets():
            fresh = wrapping.wrap(self._unwrapped(wrapped, label), _bound(label))
            change = f"UPDATE {table} SET {column}=? WHERE {column}=?"  # noqa: S608
            sql.execute(change, (fresh, wrapped))

    # -- shares
    # ------------------------------------------------------------------------------

    def add_key(self, key: Key) -> None:
        """Keep a share in the place of its earlier version, and forget every polynomial of the
        epoch's key, in one transaction: a crash leaves the old share or the new one.

        Raises:
            ValueError: a later version is held; shares never go back.
        """
        stated = key.statement
        share = self._wrapped(key.share, key.label)
        with self.write() as sql:
            held = self.statement(stated.purpose, stated.epoch)
            if held is not None and held.sid == stated.sid and held.version > stated.version:
                raise ValueError(f"version {held.version} of this key is held already")
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
            _forget_polynomials(sql, stated)
        self.empty_wal()

    def key(self, purpose: str, epoch: str) -> Key | None:
        """Return the share for a purpose in an epoch, if there is one."""
        query = "SELECT statement, signatures, share FROM keys WHERE purpose=? AND epoch=?"
        rows = self.rows(query, purpose, epoch)
        if not rows:
            return None
        stated, signatures, wrapped = rows[0]
        held = Key(Statement.from_json(json.loads(stated)), json.loads(signatures), wrapped)
        return replace(held, share=self._unwrapped(wrapped, held.label))

    def key_of(self, sid: str) -> Key | None:
        """Return the share of the key that ceremony ``sid`` made, if it is held."""
        rows = self.rows("SELECT purpose, epoch FROM keys WHERE sid=?", sid)
        return self.key(*rows[0]) if rows else None

    def sids(self) -> frozenset[str]:
        """Return the name of every key of which a share is held."""
        return frozenset(row[0] for row in self.rows("SELECT sid FROM keys"))

    def statement(self, purpose: str, epoch: str) -> Statement | None:
        """Return the statement of the share that is held; the share itself is not touched."""
        rows = self.rows("SELECT statement FROM keys WHERE purpose=? AND epoch=?", purpose, epoch)
        return Statement.from_json(json.loads(rows[0][0])) if rows else None

    def give_up(self, next: Statement) -> None:
        """Delete the share of every version before ``next``, which stands in the log and whose
        holders others are; remember that it was so.
        """
        row = (next.sid, next.version, next.purpose, next.epoch, json.dumps(next.to_json()))
        with self.write() as sql:
            sql.execute("INSERT OR IGNORE INTO over VALUES (?, ?, ?, ?, 'given up', ?)", row)
            sql.execute(
                "DELETE FROM keys WHERE sid=? AND json_extract(statement, '$.version') < ?",
                (next.sid, next.version),
            )
            _forget_polynomials(sql, next)
        self.empty_wal()

    def given_up(self, sid: str, version: int) -> Statement | None:
        """Return the statement for which this custodian gave up its share."""
        query = "SELECT statement FROM over WHERE sid=? AND version=? AND why='given up'"
        rows = self.rows(query, sid, version)
        return Statement.from_json(json.loads(rows[0][0])) if rows else None

    def gave_up(self, sid_or_epoch: str) -> bool:
        """Whether this custodian held a share of a key, or of an epoch, that others hold now."""
        query = "SELECT 1 FROM over WHERE why='given up' AND ? IN (sid, epoch)"
        return bool(self.rows(query, sid_or_epoch))

    def destroy(self, epoch: str) -> None:
        """Delete both shares of an epoch and every polynomial; remember which shares they were."""
        with self.write() as sql:
            sql.execute(
                "INSERT OR IGNORE INTO over SELECT sid, json_extract(statement, '$.version'),"
                " purpose, epoch, 'destroyed', statement FROM keys WHERE epoch=?",
                (epoch,),
            )
            sql.execute("DELETE FROM keys WHERE epoch=?", (epoch,))
            sql.execute("UPDATE sessions SET secret=NULL WHERE epoch=?", (epoch,))
        self.empty_wal()

    def destroyed(self, epoch: str) -> list[Statement]:
        """Return the statements of an epoch's shares that were destroyed here."""
        query = "SELECT statement FROM over WHERE epoch=? AND why='destroyed' ORDER BY purpose"
        return [Statement.from_json(json.loads(row[0])) for row in self.rows(query, epoch)]

    def all_destroyed(self) -> list[Statement]:
        """Return the statement of every share that was destroyed here, oldest epoch first."""
        query = "SELECT statement FROM over WHERE why='destroyed' ORDER BY epoch, purpose"
        return [Statement.from_json(json.loads(row[0])) for row in self.rows(query)]

    # -- ceremonies and resharings
    # ------------------------------------------------------------------------------

    def begin_ceremony(
        self, sid: str, secret: Mapping[str, Any], purpose: str = "", epoch: str = ""
    ) -> None:
        """Keep a fresh polynomial; a second one for the same session is ignored."""
        wrapped = self._wrapped(json.dumps(secret).encode(), f"polynomial/{sid}")
        with self.write() as sql:
            row = (sid, purpose, epoch, wrapped)
            sql.execute("INSERT OR IGNORE INTO sessions VALUES (?, ?, ?, ?, NULL)", row)

    def ceremony_secret(self, sid: str) -> dict[str, Any] | None:
        """Return the polynomial of a running session."""
        rows = self.rows("SELECT secret FROM sessions WHERE sid=?", sid)
        if not rows or not rows[0][0]:
            return None
        return dict(json.loads(self._unwrapped(rows[0][0], f"polynomial/{sid}")))

    def abort_ceremony(self, sid: str, culprit: str, reason: str) -> None:
        """Remember why a session ended, and forget its polynomial."""
        with self.write() as sql:
            sql.execute(
                "UPDATE sessions SET secret=NULL, aborted=? WHERE sid=?",
                (json.dumps([culprit, reason]), sid),
            )
        self.empty_wal()

    def aborted(self, sid: str) -> tuple[str, str] | None:
        """Return culprit and reason of an aborted session."""
        rows = self.rows("SELECT aborted FROM sessions WHERE sid=?", sid)
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


def _bound(label: str) -> bytes:
    return f"trellis/custodian/{label}".encode()


def _forget_polynomials(sql: sqlite3.Connection, of: Statement) -> None:
    # Of every attempt: once the key stands in the log no other attempt can be finished.
    query = "UPDATE sessions SET secret=NULL WHERE sid=? OR (purpose=? AND epoch=?)"
    sql.execute(query, (of.sid, of.purpose, of.epoch))

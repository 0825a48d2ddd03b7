"""Quotas, nonces, opens per lock; written before any answer.

One SQLite file, WAL and synchronous=FULL: what was counted stays counted after a power cut. Every
change is one
``BEGIN IMMEDIATE`` transaction, so two requests at the same instant are charged one after the
other.
"""

import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from consortium.custodian.errors import Refused
from matching.locks import RosterEntry
from matching.statement import Statement

_SCHEMA = """
CREATE TABLE IF NOT EXISTS spent (sid TEXT, actor TEXT, points INTEGER NOT NULL,
    PRIMARY KEY (sid, actor)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS charges (sid TEXT, actor TEXT, nonce TEXT, request TEXT NOT NULL,
    points INTEGER NOT NULL, total INTEGER NOT NULL, allowed INTEGER NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY (sid, actor, nonce)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS consents (actor TEXT PRIMARY KEY, at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS chunks (epoch TEXT, chunk INTEGER, digest TEXT NOT NULL,
    PRIMARY KEY (epoch, chunk)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS roster (lock BLOB PRIMARY KEY, tag BLOB NOT NULL UNIQUE,
    epoch TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS retired (tag BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS releases (campaign TEXT PRIMARY KEY, digest TEXT NOT NULL,
    root TEXT NOT NULL, opens TEXT NOT NULL, closes TEXT NOT NULL, locks BLOB NOT NULL,
    mailer TEXT NOT NULL, closed TEXT);
CREATE TABLE IF NOT EXISTS opens (lock BLOB, digest TEXT, at INTEGER NOT NULL,
    PRIMARY KEY (lock, digest)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stops (campaign TEXT PRIMARY KEY, by TEXT NOT NULL, at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS keys (purpose TEXT, epoch TEXT, sid TEXT NOT NULL UNIQUE,
    statement TEXT NOT NULL, signatures TEXT NOT NULL, share BLOB NOT NULL,
    PRIMARY KEY (purpose, epoch)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ceremonies (sid TEXT PRIMARY KEY, secret TEXT, aborted TEXT);
CREATE TABLE IF NOT EXISTS messages (sid TEXT, round TEXT, sender TEXT, message TEXT NOT NULL,
    PRIMARY KEY (sid, round, sender)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS trees (size INTEGER, root BLOB, checkpoint TEXT NOT NULL,
    PRIMARY KEY (size, root)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS drafts (name TEXT PRIMARY KEY, drafted TEXT NOT NULL, leaf TEXT);
"""


@dataclass(frozen=True, slots=True)
class Key:
    """A share this custodian holds, with the statement it belongs to."""

    statement: Statement
    signatures: dict[str, str]
    share: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Release:
    """A campaign whose locks this custodian agreed to answer."""

    campaign: str
    digest: str
    root: str
    opens: str
    closes: str
    locks: bytes = field(repr=False)
    mailer: str
    closed: str | None = None


class Ledger:
    """Everything a custodian must remember; safe for threads and for several processes."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        self._guard = threading.RLock()
        self._sql = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
            self._sql.execute(f"PRAGMA {pragma}")
        self._sql.executescript(_SCHEMA)
        self._empty_wal()  # what a crash kept us from forgetting is forgotten now

    def close(self) -> None:
        """Close the database."""
        self._sql.close()

    def _empty_wal(self) -> None:
        """Write the log of changes into the database and cut it to nothing.

        Deleting overwrites a row in the database (``secure_delete``), but its earlier page stays
        in the ``-wal`` file until that is cut: a forgotten secret could be read there. Another
        process that reads at this instant is waited for; should it never stop, the next start
        does it.
        """
        with self._guard:
            self._sql.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._guard:
            self._sql.execute("BEGIN IMMEDIATE")
            try:
                yield self._sql
            except BaseException:
                self._sql.execute("ROLLBACK")
                raise
            self._sql.execute("COMMIT")

    def _rows(self, query: str, *values: Any) -> list[Any]:
        with self._guard:
            return self._sql.execute(query, values).fetchall()

    # -- quota ------------------------------------------------------------------------------------

    def charge(
        self,
        *,
        sid: str,
        actor: str,
        nonce: str,
        request: str,
        points: int,
        allowed: int,
        at: datetime,
    ) -> tuple[int, int]:
        """Reserve one batch durably, before any of it is evaluated.

        A crash after this and before the answer costs the caller nothing: the same request again
        finds its own
        reservation.

        Args:
            request: digest of the whole signed request; another request with this nonce is refused.

        Returns:
            The actor's running total and its allowance, as first answered.

        Raises:
            Refused: ``quota-exceeded`` or ``nonce-used``.
        """
        with self._write() as sql:
            known = sql.execute(
                "SELECT request, total, allowed FROM charges WHERE sid=? AND actor=? AND nonce=?",
                (sid, actor, nonce),
            ).fetchone()
            if known:
                if known[0] != request:
                    raise Refused("nonce-used", "this nonce belongs to another request", 409)
                return int(known[1]), int(known[2])
            total = self._spent(sql, sid, actor) + points
            if total > allowed:
                raise Refused("quota-exceeded", f"{allowed} points an epoch are allowed", 429)
            sql.execute("INSERT OR REPLACE INTO spent VALUES (?, ?, ?)", (sid, actor, total))
            sql.execute(
                "INSERT INTO charges VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (sid, actor, nonce, request, points, total, allowed, at.isoformat()),
            )
            return total, allowed

    @staticmethod
    def _spent(sql: sqlite3.Connection, sid: str, actor: str) -> int:
        row = sql.execute(
            "SELECT points FROM spent WHERE sid=? AND actor=?", (sid, actor)
        ).fetchone()
        return int(row[0]) if row else 0

    def consent(self, actor: str, at: datetime) -> None:
        """Record that this custodian agrees to a steward's bulk run."""
        with self._write() as sql:
            sql.execute("INSERT OR IGNORE INTO consents VALUES (?, ?)", (actor, at.isoformat()))

    def consented(self, actor: str) -> bool:
        """Whether this custodian agreed to ``actor``'s bulk run."""
        return bool(self._rows("SELECT 1 FROM consents WHERE actor=?", actor))

    # -- roster -----------------------------------------------------------------------------------

    def has_chunk(self, epoch: str, chunk: int, digest: str) -> bool:
        """Whether this very chunk is known.

        Raises:
            Refused: ``chunk-conflict``: the number stands for other bytes.
        """
        known = self._rows("SELECT digest FROM chunks WHERE epoch=? AND chunk=?", epoch, chunk)
        if known and known[0][0] != digest:
            raise Refused("chunk-conflict", "this chunk number stands for other bytes", 409)
        return bool(known)

    def chunks(self, epoch: str) -> set[int]:
        """Return the numbers of the chunks known."""
        return {row[0] for row in self._rows("SELECT chunk FROM chunks WHERE epoch=?", epoch)}

    def add_chunk(
        self, epoch: str, chunk: int, digest: str, entries: Sequence[RosterEntry]
    ) -> None:
        """Add a checked chunk; all of it or nothing.

        Raises:
            Refused: ``lock-duplicate``: a lock or tag is in the roster already, or twice in the
            chunk.
        """
        try:
            with self._write() as sql:
                sql.execute("INSERT INTO chunks VALUES (?, ?, ?)", (epoch, chunk, digest))
                sql.executemany(
                    "INSERT INTO roster (lock, tag, epoch) VALUES (?, ?, ?)",
                    ((entry.lock, entry.tag, epoch) for entry in entries),
                )
        except sqlite3.IntegrityError as error:
            raise Refused(
                "lock-duplicate", "a lock or tag stands in the roster already", 409
            ) from error

    def unknown_locks(self, epoch: str, locks: Sequence[bytes]) -> int:
        """Return how many of ``locks`` are not in the epoch's roster."""
        found = 0
        for start in range(0, len(locks), 500):
            part = locks[start : start + 500]
            marks = ",".join("?" * len(part))
            query = f"SELECT count(*) FROM roster WHERE epoch=? AND lock IN ({marks})"  # noqa: S608
            found += self._rows(query, epoch, *part)[0][0]
        return len(locks) - found

    def retire(self, tags: Sequence[bytes]) -> None:
        """Retire the rows behind these tags for good, whether or not they are in the roster yet."""
        with self._write() as sql:
            sql.executemany("INSERT OR IGNORE INTO retired VALUES (?)", ((tag,) for tag in tags))

    def retired_among(self, locks: Sequence[bytes]) -> set[bytes]:
        """Return those of ``locks`` that were retired."""
        found: set[bytes] = set()
        for start in range(0, len(locks), 500):
            part = locks[start : start + 500]
            marks = ",".join("?" * len(part))
            query = f"SELECT lock, tag FROM roster WHERE lock IN ({marks})"  # noqa: S608
            pairs = self._rows(query, *part)
            marks = ",".join("?" * len(pairs))
            query = f"SELECT tag FROM retired WHERE tag IN ({marks})"  # noqa: S608
            gone = {row[0] for row in self._rows(query, *(tag for _, tag in pairs))}
            found.update(lock for lock, tag in pairs if tag in gone)
        return found

    # -- releases ---------------------------------------------------------------------------------

    def open_release(self, release: Release, *, per_week: int, now: datetime) -> None:
        """Count one open of every lock under this manifest, before any share is released.

        The same manifest again is the same open. A retired lock is not counted: it is never
        answered.

        Raises:
            Refused: ``opened-too-often`` when any lock has had its opens of the week;
            ``campaign-conflict``.
        """
        locks = [release.locks[n : n + 32] for n in range(0, len(release.locks), 32)]
        gone = self.retired_among(locks)
        live = [lock for lock in locks if lock not in gone]
        moment = int(now.timestamp())
        week = int((now - timedelta(days=7)).timestamp())
        with self._write() as sql:
            known = sql.execute(
                "SELECT digest, root FROM releases WHERE campaign=?", (release.campaign,)
            ).fetchone()
            if known:
                if tuple(known) != (release.digest, release.root):
                    raise Refused("campaign-conflict", "this campaign has another manifest", 409)
                return
            if self._too_often(sql, live, release.digest, per_week, week):
                raise Refused("opened-too-often", f"{per_week} opens a week are allowed", 429)
            sql.executemany(
                "INSERT OR IGNORE INTO opens VALUES (?, ?, ?)",
                ((lock, release.digest, moment) for lock in live),
            )
            sql.execute(
                "INSERT INTO releases VALUES (?, ?, ?, ?, ?, ?, ?, NULL)",
                (
                    release.campaign,
                    release.digest,
                    release.root,
                    release.opens,
                    release.closes,
                    release.locks,
                    release.mailer,
                ),
            )

    @staticmethod
    def _too_often(
        sql: sqlite3.Connection, locks: Sequence[bytes], digest: str, per_week: int, week: int
    ) -> bool:
        query = "SELECT count(*) FROM opens WHERE lock=? AND digest<>? AND at>?"
        return any(
            sql.execute(query, (lock, digest, week)).fetchone()[0] >= per_week for lock in locks
        )

    def release(self, campaign: str) -> Release:
        """Return an open release.

        Raises:
            Refused: ``not-open``.
        """
        rows = self._rows(
            "SELECT campaign, digest, root, opens, closes, locks, mailer, closed"
            " FROM releases WHERE campaign=?",
            campaign,
        )
        if not rows:
            raise Refused("not-open", "this campaign has not been opened here", 404)
        return Release(*rows[0])

    def has_release(self, campaign: str, digest: str, root: str) -> bool:
        """Whether exactly this manifest and root were opened before."""
        query = "SELECT 1 FROM releases WHERE campaign=? AND digest=? AND root=?"
        return bool(self._rows(query, campaign, digest, root))

    def reorder(self, campaign: str, locks: bytes) -> None:
        """Keep the same locks in another order."""
        with self._write() as sql:
            sql.execute("UPDATE releases SET locks=? WHERE campaign=?", (locks, campaign))

    def close_release(self, campaign: str, at: datetime) -> int:
        """Close a campaign for good and return how many of its locks were opened."""
        digest = self.release(campaign).digest
        with self._write() as sql:
            sql.execute(
                "UPDATE releases SET closed=? WHERE campaign=? AND closed IS NULL",
                (at.isoformat(), campaign),
            )
        return int(self._rows("SELECT count(*) FROM opens WHERE digest=?", digest)[0][0])

    def stop(self, campaign: str, by: str, at: datetime) -> None:
        """Stop a campaign for good, whether or not it was opened."""
        with self._write() as sql:
            sql.execute(
                "INSERT OR IGNORE INTO stops VALUES (?, ?, ?)", (campaign, by, at.isoformat())
            )

    def stopped(self, campaign: str) -> bool:
        """Whether any partner stopped this campaign."""
        return bool(self._rows("SELECT 1 FROM stops WHERE campaign=?", campaign))

    # -- keys and ceremonies ----------------------------------------------------------------------

    def add_key(self, key: Key) -> None:
        """Keep a share, and forget the polynomial it came from, in one transaction."""
        stated = key.statement
        with self._write() as sql:
            sql.execute(
                "INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?, ?, ?)",
                (
                    stated.purpose,
                    stated.epoch,
                    stated.sid,
                    json.dumps(stated.to_json()),
                    json.dumps(key.signatures),
                    key.share,
                ),
            )
            sql.execute("UPDATE ceremonies SET secret=NULL WHERE sid=?", (stated.sid,))
        self._empty_wal()

    def key(self, purpose: str, epoch: str) -> Key | None:
        """Return the share for a purpose in an epoch, if there is one."""
        rows = self._rows(
            "SELECT statement, signatures, share FROM keys WHERE purpose=? AND epoch=?",
            purpose,
            epoch,
        )
        if not rows:
            return None
        statement, signatures, share = rows[0]
        return Key(Statement.from_json(json.loads(statement)), json.loads(signatures), share)

    def key_of(self, sid: str) -> Key | None:
        """Return the share made in ceremony ``sid``, if it is held."""
        rows = self._rows("SELECT purpose, epoch FROM keys WHERE sid=?", sid)
        return self.key(*rows[0]) if rows else None

    def begin_ceremony(self, sid: str, secret: Mapping[str, Any]) -> None:
        """Keep a fresh polynomial; a second one for the same ceremony is ignored."""
        with self._write() as sql:
            sql.execute(
                "INSERT OR IGNORE INTO ceremonies VALUES (?, ?, NULL)", (sid, json.dumps(secret))
            )

    def ceremony_secret(self, sid: str) -> dict[str, Any] | None:
        """Return the polynomial of a running ceremony."""
        rows = self._rows("SELECT secret FROM ceremonies WHERE sid=?", sid)
        return dict(json.loads(rows[0][0])) if rows and rows[0][0] else None

    def abort_ceremony(self, sid: str, culprit: str, reason: str) -> None:
        """Remember why a ceremony ended, and forget its polynomial."""
        with self._write() as sql:
            sql.execute(
                "UPDATE ceremonies SET secret=NULL, aborted=? WHERE sid=?",
                (json.dumps([culprit, reason]), sid),
            )
        self._empty_wal()

    def aborted(self, sid: str) -> tuple[str, str] | None:
        """Return culprit and reason of an aborted ceremony."""
        rows = self._rows("SELECT aborted FROM ceremonies WHERE sid=?", sid)
        if not rows or not rows[0][0]:
            return None
        culprit, reason = json.loads(rows[0][0])
        return str(culprit), str(reason)

    def put_message(self, sid: str, round: str, sender: str, message: Mapping[str, Any]) -> None:
        """Keep a ceremony message; the first one stays."""
        with self._write() as sql:
            sql.execute(
                "INSERT OR IGNORE INTO messages VALUES (?, ?, ?, ?)",
                (sid, round, sender, json.dumps(message)),
            )

    def message(self, sid: str, round: str, sender: str) -> dict[str, Any] | None:
        """Return a ceremony message."""
        rows = self._rows(
            "SELECT message FROM messages WHERE sid=? AND round=? AND sender=?", sid, round, sender
        )
        return dict(json.loads(rows[0][0])) if rows else None

    def put_draft(self, name: str, drafted: Mapping[str, Any]) -> dict[str, Any]:
        """Keep a drafted log entry under a name before posting it; the first one stays."""
        with self._write() as sql:
            sql.execute(
                "INSERT OR IGNORE INTO drafts VALUES (?, ?, NULL)", (name, json.dumps(drafted))
            )
        return self.draft(name) or {}

    def draft(self, name: str) -> dict[str, Any] | None:
        """Return a drafted entry."""
        rows = self._rows("SELECT drafted FROM drafts WHERE name=?", name)
        return dict(json.loads(rows[0][0])) if rows else None

    def set_leaf(self, name: str, leaf: str) -> None:
        """Remember under which leaf a drafted entry was taken in."""
        with self._write() as sql:
            sql.execute("UPDATE drafts SET leaf=? WHERE name=?", (leaf, name))

    def leaf(self, name: str) -> str | None:
        """Return the leaf of a posted entry."""
        rows = self._rows("SELECT leaf FROM drafts WHERE name=?", name)
        return str(rows[0][0]) if rows and rows[0][0] else None

    # -- trees of the log -------------------------------------------------------------------------

    def newest_tree(self) -> int:
        """Return the size of the largest cosigned tree seen, 0 if none was."""
        return int(self._rows("SELECT coalesce(max(size), 0) FROM trees")[0][0])

    def saw_tree(self, size: int, root: bytes, checkpoint: str) -> bool:
        """Remember a cosigned tree for good; false when this size was seen with another root.

        Both checkpoints are kept then: together they prove that the log was split.
        """
        query = "SELECT root FROM trees WHERE size=?"
        if (root,) not in self._rows(query, size):
            with self._write() as sql:
                row = (size, root, checkpoint)
                sql.execute("INSERT OR IGNORE INTO trees VALUES (?, ?, ?)", row)
        return len(self._rows(query, size)) == 1

    def splits(self) -> list[tuple[int, list[str]]]:
        """Return each size that was shown with several roots, and the signed checkpoints."""
        query = "SELECT size FROM trees GROUP BY size HAVING count(*) > 1 ORDER BY size"
        return [
            (
                size,
                [row[0] for row in self._rows("SELECT checkpoint FROM trees WHERE size=?", size)],
            )
            for (size,) in self._rows(query)
        ]

    # -- status -----------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """Return counts for people: what was spent, what was opened, which keys are held."""
        spent = dict(self._rows("SELECT actor, sum(points) FROM spent GROUP BY actor"))
        return {
            "keys": [
                {"purpose": purpose, "epoch": epoch, "sid": sid}
                for purpose, epoch, sid in self._rows("SELECT purpose, epoch, sid FROM keys")
            ],
            "spent": spent,
            "roster": self._rows("SELECT count(*) FROM roster")[0][0],
            "retired": self._rows("SELECT count(*) FROM retired")[0][0],
            "opens": self._rows("SELECT count(*) FROM opens")[0][0],
            "campaigns": self._rows("SELECT count(*) FROM releases")[0][0],
            "stopped": self._rows("SELECT count(*) FROM stops")[0][0],
            "tree": self.newest_tree(),
            "splits": [size for size, _ in self.splits()],
        }

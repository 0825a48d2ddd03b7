"""What a witness cosigned last, per log: one atomic, durable step before every answer."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from provenance.checkpoint import Checkpoint
from provenance.errors import PolicyRefused, WitnessRefused
from provenance.merkle import EMPTY_ROOT
from provenance.note import Note, SignatureLine, Signer, Verifier, parse_note
from provenance.witness import Known, check_request, cosign, origin_path, readable

MAX_FORKS = 100

_TABLES = """
CREATE TABLE IF NOT EXISTS logs (
    origin TEXT PRIMARY KEY,
    path TEXT NOT NULL UNIQUE,
    vkey TEXT NOT NULL,
    size INTEGER NOT NULL,
    root BLOB NOT NULL,
    note BLOB,
    cosigned TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS forks (
    origin TEXT NOT NULL,
    seen TEXT NOT NULL,
    note BLOB NOT NULL UNIQUE,
    against BLOB
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """A log as this witness knows it; ``forks`` counts signed checkpoints it refused."""

    origin: str
    size: int
    cosigned: str | None
    forks: int


class Ledger:
    """A witness's memory.

    Args:
        path: its SQLite file. Never restore an old copy of it: the witness would forget what it
            promised.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._open() as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.executescript(_TABLES)

    def trust(self, log: Verifier) -> None:
        """Trust this key for the origin it names; another key for a known origin is refused."""
        with self._open() as db:
            db.execute(
                "INSERT INTO logs (origin, path, vkey, size, root) VALUES (?, ?, ?, 0, ?) "
                "ON CONFLICT (origin) DO NOTHING",
                (log.name, origin_path(log.name), log.vkey, EMPTY_ROOT),
            )
            row = db.execute("SELECT vkey FROM logs WHERE origin = ?", (log.name,)).fetchone()
        if row[0] != log.vkey:
            raise PolicyRefused("another key is already trusted for this log")

    def add(self, body: bytes, signer: Signer, now: datetime) -> SignatureLine:
        """Answer one add-checkpoint request.

        Args:
            body: of the request.
            signer: the witness's key, type 04.
            now: aware; the time that the cosignature states.

        Returns:
            The cosignature. What it covers is already durable.

        Raises:
            WitnessRefused: with the status of the specification; nothing was changed, but a
                correctly signed checkpoint that by itself contradicts what is known is kept.
        """
        request, checkpoint = readable(body)
        with self._open() as db:
            known, against = self._known(db, checkpoint.origin)
            try:
                note = check_request(request, checkpoint, known)
            except WitnessRefused as refused:
                if refused.status == 422 and _contradicts(checkpoint, known):
                    self._keep_fork(db, checkpoint, request.checkpoint, against, known, now)
                raise
            if known is None:  # check_request has refused it; this is for the reader of types
                raise WitnessRefused(404, "this witness does not know the log")
            line = cosign(note.text, signer, int(now.timestamp()))
            own = [one for log in known.logs for one in note.lines_of(log)]
            stored = Note(note.text, (*own, line)).to_bytes()
            # One statement compares and stores: of two requests from one old size, one wins.
            # Without the comparison the slower one would roll this witness back.
            changed = db.execute(
                "UPDATE logs SET size = ?, root = ?, note = ?, cosigned = ? "
                "WHERE origin = ? AND size = ? AND root = ?",
                (
                    checkpoint.size,
                    checkpoint.root,
                    stored,
                    now.isoformat(),
                    checkpoint.origin,
                    known.size,
                    known.root,
                ),
            ).rowcount
            if changed != 1:
                again, _ = self._known(db, checkpoint.origin)
                size = again.size if again else 0
                raise WitnessRefused(409, "another size was cosigned last", known_size=size)
        return line

    def latest(self, path: str) -> bytes | None:
        """The last cosigned note of the log whose ``origin_path`` this is."""
        with self._open() as db:
            row = db.execute("SELECT note FROM logs WHERE path = ?", (path,)).fetchone()
        return None if row is None else row[0]

    def seen(self) -> list[Seen]:
        """Every trusted log."""
        with self._open() as db:
            rows = db.execute(
                "SELECT origin, size, cosigned, "
                "(SELECT count(*) FROM forks WHERE forks.origin = logs.origin) "
                "FROM logs ORDER BY origin"
            ).fetchall()
        return [Seen(*row) for row in rows]

    def forks(self) -> list[tuple[bytes, bytes | None]]:
        """Refused but correctly signed checkpoints, each with what was cosigned before it."""
        with self._open() as db:
            return [tuple(row) for row in db.execute("SELECT note, against FROM forks")]

    def _known(self, db: sqlite3.Connection, origin: str) -> tuple[Known | None, bytes | None]:
        row = db.execute(
            "SELECT vkey, size, root, note FROM logs WHERE origin = ?", (origin,)
        ).fetchone()
        if row is None:
            return None, None
        return Known((Verifier.from_vkey(row[0]),), row[1], row[2]), row[3]

    def _keep_fork(
        self,
        db: sqlite3.Connection,
        checkpoint: Checkpoint,
        raw: bytes,
        against: bytes | None,
        known: Known | None,
        now: datetime,
    ) -> None:
        # Without lines of others, which anybody could vary to fill this up.
        note = parse_note(raw)
        own = [one for log in known.logs for one in note.lines_of(log)] if known else []
        db.execute(
            "INSERT OR IGNORE INTO forks (origin, seen, note, against) SELECT ?, ?, ?, ? "
            "WHERE (SELECT count(*) FROM forks WHERE origin = ?) < ?",
            (
                checkpoint.origin,
                now.isoformat(),
                Note(note.text, tuple(own)).to_bytes(),
                against,
                checkpoint.origin,
                MAX_FORKS,
            ),
        )

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        # Autocommit: every statement is its own durable transaction.
        with closing(sqlite3.connect(self._path, isolation_level=None, timeout=10)) as db:
            db.execute("PRAGMA synchronous = FULL")
            yield db


def _contradicts(checkpoint: Checkpoint, known: Known | None) -> bool:
    """Whether a signed checkpoint alone convicts its log. A larger tree with a bad proof does not:
    anybody can send an honest checkpoint with a proof of nothing.
    """
    if known is None:
        return False
    other = checkpoint.size == known.size and checkpoint.root != known.root
    return other or (checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT)

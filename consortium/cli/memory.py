"""What the custodians answered for inputs that do not change, so that a refresh asks only what did.

One SQLite file for each matching key, in the home. An entry is 64 bytes: half of a keyed hash of
the input, and the unblinded point, encrypted under a nonce from the hash's other half (an input has
one point under one key, so a nonce never meets other bytes). Who has the file and not the home's
signing key can neither read a point nor test a guess. The 64-byte output is made from point and
input when it is asked for. An entry that no upload has asked for in ``LIFE_DAYS`` goes.

An entry also goes as soon as no row of a live list has its input: when rows or a list are
withdrawn, and at the next upload (`sweep`). Then its bytes are in neither file nor write-ahead log.
What a disk, its snapshots or backups of the home still hold of earlier bytes is beyond this tool;
they open under the home's signing key alone.

A batch is in here before its blinds are deleted: that is what makes an interrupted run go on
without asking anything twice.
"""

import hashlib
import hmac
import json
import os
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import RLock
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from consortium.cli.home import Home
from consortium.cli.lists import live_names
from consortium.cli.vault import private_folder
from matching import oprf
from matching.statement import Statement

LIFE_DAYS = 120
"""Days after which an entry goes that no upload has asked for."""
_TOUCH_DAYS = 14
"""An entry's day is written anew only when it is this old: a weekly refresh mostly reads."""
_ID_BYTES = 16
_POINT_BYTES = 32
_AT_ONCE = 500
_DAY = 86_400

_SCHEMA = """
CREATE TABLE IF NOT EXISTS kept (id BLOB PRIMARY KEY, point BLOB NOT NULL, day INTEGER NOT NULL)
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS heard (custodian TEXT PRIMARY KEY, total INTEGER NOT NULL,
    request TEXT NOT NULL, response TEXT NOT NULL) WITHOUT ROWID;
CREATE TEMP TABLE asked (id BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TEMP TABLE live (id BLOB PRIMARY KEY) WITHOUT ROWID;
"""


class Memory:
    """Points by input, for one key statement.

    Args:
        path: the file; made with mode 0600.
        key: secret bytes of the caller's.
        sid: the key statement's, hex; entries of another key are never found.
        today: days since 1970.
    """

    def __init__(
        self,
        path: Path,
        key: bytes,
        sid: str,
        *,
        today: Callable[[], int] = lambda: int(time.time()) // _DAY,
    ) -> None:
        private_folder(path.parent)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        # A sweep of a long list holds the file for a minute.
        self._sql = sqlite3.connect(
            path, check_same_thread=False, isolation_level=None, timeout=600
        )
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
            self._sql.execute(f"PRAGMA {pragma}")
        self._sql.executescript(_SCHEMA)
        self._today, self._lock = today, RLock()
        both = HKDF(SHA256(), 64, salt=None, info=b"trellis/memory/v1\n" + sid.encode()).derive(key)
        self._name, self._aead = both[:32], ChaCha20Poly1305(both[32:])

    def close(self) -> None:
        """Close the file."""
        self._sql.close()

    def __enter__(self) -> "Memory":
        """Use as a context manager to close it."""
        return self

    def __exit__(self, *failed: object) -> None:
        """Close the file."""
        self.close()

    def __len__(self) -> int:
        with self._lock:
            return int(self._sql.execute("SELECT count(*) FROM kept").fetchone()[0])

    def names(self, inputs: Sequence[bytes]) -> list[bytes]:
        """Under which names of 16 bytes these are kept; nobody without the key can make them."""
        return [hmac.digest(self._name, one, hashlib.sha256)[:_ID_BYTES] for one in inputs]

    def find(self, inputs: Sequence[bytes]) -> list[bytes | None]:
        """Return each input's point, None where it is not known; an entry that was bent is not known."""  # noqa: E501
        named = [hmac.digest(self._name, one, hashlib.sha256) for one in inputs]
        today = self._today()
        rows = self._rows("SELECT id, point, day FROM kept WHERE id IN", named)
        stale = [(today, id) for id, _, day in rows if day <= today - _TOUCH_DAYS]
        if stale:
            self._write("UPDATE kept SET day=? WHERE id=?", stale)
        known = {id: point for id, point, _ in rows}
        return [self._opened(one, known.get(one[:_ID_BYTES])) for one in named]

    def _rows(self, query: str, named: Sequence[bytes]) -> list[Any]:
        found: list[Any] = []
        with self._lock:
            for start in range(0, len(named), _AT_ONCE):
                ids = [one[:_ID_BYTES] for one in named[start : start + _AT_ONCE]]
                marks = ",".join("?" * len(ids))
                found += self._sql.execute(f"{query} ({marks})", ids).fetchall()
        return found

    def fresh(self, inputs: Sequence[bytes]) -> list[bytes]:
        """Return those, each once, that are neither known nor being asked for in this run."""
        named = self.names(inputs)
        # First what is being asked for: what ends meanwhile is found among the known.
        asked = {id for (id,) in self._rows("SELECT id FROM asked WHERE id IN", named)}
        points = self.find(inputs)
        new = {
            id: one
            for id, one, point in zip(named, inputs, points, strict=True)
            if point is None and id not in asked
        }
        return list(new.values())

    def asking(self, inputs: Sequence[bytes]) -> None:
        """Note that these are being asked for; forgotten when the run ends, however it ends."""
        self._write(
            "INSERT OR IGNORE INTO asked VALUES (?)", ((one,) for one in self.names(inputs))
        )

    def _opened(self, name: bytes, sealed: bytes | None) -> bytes | None:
        if sealed is None:
            return None
        try:
            return self._aead.decrypt(name[_ID_BYTES : _ID_BYTES + 12], sealed, name[:_ID_BYTES])
        except InvalidTag:
            return None

    def outputs(self, inputs: Sequence[bytes]) -> list[bytes]:
        """Return each input's 64-byte output; every one must be known.

        Raises:
            KeyError: one is not.
        """
        points = self.find(inputs)
        if any(point is None for point in points):
            raise KeyError("an input that was not evaluated")
        return oprf.finalise(inputs, b"".join(point for point in points if point is not None))

    def put(self, inputs: Sequence[bytes], points: bytes) -> None:
        """Keep a batch: durably, and all of it or nothing.

        Args:
            points: 32 bytes an input, in order.
        """
        today, rows = self._today(), []
        for number, one in enumerate(inputs):
            name = hmac.digest(self._name, one, hashlib.sha256)
            id, nonce = name[:_ID_BYTES], name[_ID_BYTES : _ID_BYTES + 12]
            point = points[_POINT_BYTES * number :][:_POINT_BYTES]
            rows.append((id, self._aead.encrypt(nonce, point, id), today))
        # In the order of the file's pages: a list of millions is written page by page.
        self._write("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", sorted(rows))

    def keep_only(self, live: Callable[[], Iterable[bytes]]) -> int:
        """Drop every entry but those of these names, and every byte of it here; how many went.

        Args:
            live: asked once nobody else can write. Whoever puts an answer has told its name before,
                so that no answer of an upload beside this one is dropped.
        """
        with self._lock:
            self._sql.execute("BEGIN IMMEDIATE")
            try:
                names = ((one,) for one in live())
                self._sql.executemany("INSERT OR IGNORE INTO live VALUES (?)", names)
                gone = self._sql.execute(
                    "DELETE FROM kept WHERE id NOT IN (SELECT id FROM live)"
                ).rowcount
                self._sql.execute("DELETE FROM live")
            except BaseException:
                self._sql.execute("ROLLBACK")
                raise
            self._sql.execute("COMMIT")
            # ``secure_delete`` overwrites entries where they are, not the copies in pages that they
            # moved from: a file written anew has none. An upload beside this one does it later.
            if gone:
                with suppress(sqlite3.OperationalError):
                    self._sql.execute("VACUUM")
            # The log still has the old pages, also those of a sweep that a crash cut off here.
            self._sql.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return gone

    def _write(self, query: str, rows: Iterable[Sequence[object]]) -> None:
        with self._lock:
            self._sql.execute("BEGIN IMMEDIATE")
            try:
                self._sql.executemany(query, rows)
            except BaseException:
                self._sql.execute("ROLLBACK")
                raise
            self._sql.execute("COMMIT")

    def heard(self, custodian: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The signed request and response with the highest total that a custodian ever showed."""
        with self._lock:
            row = self._sql.execute(
                "SELECT request, response FROM heard WHERE custodian=?", (custodian,)
            ).fetchone()
        return (json.loads(row[0]), json.loads(row[1])) if row else None

    def hear(
        self, custodian: str, total: int, request: dict[str, Any], response: dict[str, Any]
    ) -> None:
        """Keep a signed total that is higher than the one kept: it can be held against a lower one."""  # noqa: E501
        row = (custodian, total, json.dumps(request), json.dumps(response))
        self._write(
            "INSERT INTO heard VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET total=excluded.total,"
            " request=excluded.request, response=excluded.response WHERE excluded.total > total",
            [row],
        )

    def prune(self) -> None:
        """Drop what no upload has asked for in ``LIFE_DAYS``."""
        self._write("DELETE FROM kept WHERE day < ?", [(self._today() - LIFE_DAYS,)])


def recollection(home: Home, statement: Statement) -> Memory:
    """The home's memory of one matching key."""
    path = home.path / "memory" / f"{statement.epoch}.{statement.sid[:16]}.sqlite"
    return Memory(path, home.secret("memory"), statement.sid)


def sweep(home: Home) -> int:
    """Drop what was answered for rows that are in no live list of this home; how many entries."""
    gone = 0
    for path in _files(home):
        # No key statement is needed to drop an entry by its name.
        with Memory(path, home.secret("memory"), "") as memory:
            gone += memory.keep_only(partial(live_names, home, _epoch(path)))
    return gone


def _files(home: Home) -> list[Path]:
    return sorted((home.path / "memory").glob("*.sqlite"))


def _epoch(path: Path) -> str:
    return path.name.rsplit(".", 2)[0]


def forget(home: Home, *, but: Collection[str] = ()) -> int:
    """Delete the memory of every epoch but these; returns how many files went."""
    gone = 0
    for path in _files(home):
        if _epoch(path) in but:
            continue
        for one in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
            with suppress(FileNotFoundError):
                one.unlink()
        gone += 1
    return gone

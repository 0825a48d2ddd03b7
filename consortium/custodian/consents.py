"""Who agreed to a steward's bulk run or to a larger list: this custodian, and the others."""

import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import httpx

from consortium.custodian.own import Own

MOST_SAID = 4 * 1024 * 1024
"""Bytes; a consent is about two thousand."""
MOST_TOLD = 512 * 1024 * 1024
"""Bytes; what a custodian tells of three million retired rows is less."""


class Neighbours(Protocol):
    """How another custodian is asked; nothing when it does not answer."""

    def consents(self, id: str) -> Sequence[Mapping[str, Any]]:
        """Return its drafted entries, unchecked."""

    def told(self, id: str, asking: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return its answer to a signed question for what it was told, unchecked."""


class HttpNeighbours:
    """The other custodians over HTTP; one that is down has said nothing yet."""

    def __init__(
        self,
        urls: Callable[[], Mapping[str, str]],
        client: httpx.Client | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._urls, self._client = urls, client or httpx.Client(timeout=10)
        self._clock = clock

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def consents(self, id: str) -> Sequence[Mapping[str, Any]]:
        """GET /consents of that custodian."""
        said = self._ask(MOST_SAID, 30, "GET", id, "/consents").get("consents")
        return list(said) if isinstance(said, list) else []

    def told(self, id: str, asking: Mapping[str, Any]) -> Mapping[str, Any]:
        """POST /told of that custodian."""
        return self._ask(MOST_TOLD, 120, "POST", id, "/told", json=dict(asking))

    def _ask(
        self, most: int, seconds: float, method: str, id: str, path: str, **more: Any
    ) -> dict[str, Any]:
        """Return a JSON object of at most so many bytes and seconds; an empty one for all else.

        Another custodian answers: neither its length nor its pace may stop what comes after.
        """
        raw, until = bytearray(), self._clock() + seconds
        try:
            with self._client.stream(method, self._urls()[id] + path, **more) as answer:
                for part in answer.iter_bytes():
                    raw += part
                    if len(raw) > most or self._clock() > until:
                        return {}
                said = json.loads(raw) if answer.status_code == 200 else {}
        except (httpx.HTTPError, ValueError, KeyError, TypeError, RecursionError):
            return {}
        return dict(said) if isinstance(said, dict) else {}


class Consents(Own):
    """What this custodian wants said, and what was heard; 0 rows is a steward's bulk run.

    A bulk run is agreed to epoch by epoch: a yes of last season is none for the next.
    """

    SCHEMA = """
CREATE TABLE IF NOT EXISTS agreed (actor TEXT, rows INTEGER, at TEXT NOT NULL,
    PRIMARY KEY (actor, rows)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS bulk (actor TEXT, epoch TEXT, at TEXT NOT NULL,
    PRIMARY KEY (actor, epoch)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS heard (by TEXT, leaf TEXT, epoch TEXT NOT NULL, actor TEXT NOT NULL,
    rows INTEGER NOT NULL, PRIMARY KEY (by, leaf)) WITHOUT ROWID;
"""

    def consent(
        self, actor: str, at: datetime, *, rows: int = 0, epochs: Sequence[str] = ()
    ) -> None:
        """Agree to a size class, or to an actor's bulk run in some epochs; `serve` says so."""
        with self.write() as sql:
            if rows:
                row = (actor, rows, at.isoformat())
                sql.execute("INSERT OR IGNORE INTO agreed VALUES (?, ?, ?)", row)
            bulk = ((actor, epoch, at.isoformat()) for epoch in epochs)
            sql.executemany("INSERT OR IGNORE INTO bulk VALUES (?, ?, ?)", bulk)

    def agreed(self) -> list[tuple[str, int]]:
        """Return which size classes this custodian agreed to: actor and rows."""
        return self.rows("SELECT actor, rows FROM agreed WHERE rows > 0")

    def bulks(self) -> list[tuple[str, str]]:
        """Return which bulk runs this custodian agreed to: actor and epoch."""
        return self.rows("SELECT actor, epoch FROM bulk")

    def consented(self, actor: str, epoch: str) -> bool:
        """Whether this custodian itself agreed to ``actor``'s bulk run in an epoch."""
        return (actor, epoch) in self.bulks()

    def hear(self, by: str, leaf: str, epoch: str, actor: str, rows: int) -> None:
        """Keep a consent; it counts once its entry stands in the log.

        One entry for each fact, or another custodian could fill this disk: the newest, until one
        of them stands.
        """
        row, fact = (by, leaf, epoch, actor, rows), (by, epoch, actor, rows)
        if self.rows("SELECT 1 FROM heard WHERE by=? AND leaf=?", by, leaf):
            return
        where = "by=? AND epoch=? AND actor=? AND rows=?"
        with self.write() as sql:
            sql.execute(
                f"DELETE FROM heard WHERE {where} AND leaf NOT IN (SELECT leaf FROM standing)",  # noqa: S608
                fact,
            )
            if not sql.execute(f"SELECT 1 FROM heard WHERE {where}", fact).fetchone():  # noqa: S608
                sql.execute("INSERT INTO heard VALUES (?, ?, ?, ?, ?)", row)

    def stands_of(self, by: str, leaf: str) -> bool:
        """Whether an entry of another custodian stands in the log that was followed."""
        return bool(self.rows("SELECT 1 FROM standing WHERE leaf=? AND by=?", leaf, by))

    def unhear(self, epochs: Collection[str], by: Collection[str]) -> None:
        """Forget consents for epochs that are over, and those of who is no custodian any more.

        Should one be told again, it is not taken in again: `Anchors` hears of these epochs alone.
        """
        for column, kept in (("epoch", epochs), ("by", by)):
            marks = ",".join("?" * len(kept))
            where = f"{column} NOT IN ({marks})"
            if self.rows(f"SELECT 1 FROM heard WHERE {where} LIMIT 1", *kept):  # noqa: S608
                with self.write() as sql:
                    sql.execute(f"DELETE FROM heard WHERE {where}", tuple(kept))  # noqa: S608

    def said(self, epoch: str, actor: str) -> dict[str, tuple[bool, int]]:
        """Return, by custodian, whether it agreed to the bulk run and to how many rows, logged."""
        query = """SELECT h.by, min(h.rows) = 0, max(h.rows) FROM heard h
            JOIN standing s ON s.leaf = h.leaf AND s.by = h.by
            WHERE h.epoch=? AND h.actor=? GROUP BY h.by"""
        return {by: (bool(bulk), int(rows)) for by, bulk, rows in self.rows(query, epoch, actor)}

    def agreement_on(
        self, invite: Mapping[str, Any], actor: str, epoch: str = ""
    ) -> tuple[int, int]:
        """Count what the custodians of an invite said of an actor in the log.

        Args:
            epoch: the invite's present one unless told.

        Returns:
            How many agreed to its bulk run, and the size class that as many as a key takes agree
            to at least; 0 when there is none.
        """
        # Those of today: who has left agreed for itself, not for whoever took its place.
        said = self.said(epoch or invite["epoch"], actor)
        theirs = [said[one["id"]] for one in invite["custodians"] if one["id"] in said]
        rows, need = sorted((most for _, most in theirs if most), reverse=True), invite["threshold"]
        return sum(bulk for bulk, _ in theirs), rows[need - 1] if len(rows) >= need else 0

"""How many points each actor has had evaluated; charged durably before any of them is.

Points come out of blocks, and a block counts from when the log shows it: a custodian whose books
were put back finds in the log how far it had reserved, and goes on at the end of that.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from consortium.custodian.errors import Refused
from consortium.custodian.own import Own


@dataclass(frozen=True, slots=True)
class Spent:
    """One actor's account under one key, in points.

    Attributes:
        reserved: the end of its last block that stands in the log.
        blocks: how many blocks that is.
    """

    sid: str
    actor: str
    points: int
    reserved: int
    blocks: int


class Quotas(Own):
    """Blocks, charges, nonces and oddities."""

    SCHEMA = """
CREATE TABLE IF NOT EXISTS spent (sid TEXT, actor TEXT, points INTEGER NOT NULL,
    PRIMARY KEY (sid, actor)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS charges (sid TEXT, actor TEXT, nonce TEXT, request TEXT NOT NULL,
    points INTEGER NOT NULL, total INTEGER NOT NULL, allowed INTEGER NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY (sid, actor, nonce)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS blocks (name TEXT PRIMARY KEY, sid TEXT NOT NULL, actor TEXT NOT NULL,
    ends INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS oddities (actor TEXT, day TEXT, what TEXT, times INTEGER NOT NULL,
    PRIMARY KEY (actor, day, what)) WITHOUT ROWID;
"""

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
        """Charge one batch durably, before any of it is evaluated.

        A crash after this and before the answer costs the caller nothing: the same request again
        finds its own charge.

        Args:
            request: digest of the whole signed request; another request with this nonce is refused.
            allowed: points of the whole epoch.

        Returns:
            The actor's running total and its allowance, as first answered.

        Raises:
            Refused: ``quota-exceeded``, ``nonce-used``, or ``not-yet-reserved`` while the log does
                not show the block that these points come from.
        """
        self.check_tally()
        with self.write() as sql:
            known = sql.execute(
                "SELECT request, total, allowed FROM charges WHERE sid=? AND actor=? AND nonce=?",
                (sid, actor, nonce),
            ).fetchone()
            if known:
                if known[0] != request:
                    raise Refused("nonce-used", "this nonce belongs to another request", 409)
                self._odd(sql, actor, "repeats", at)
                return int(known[1]), int(known[2])
            total = self._spent(sql, sid, actor) + points
            if total > allowed:
                raise Refused("quota-exceeded", f"{allowed} points an epoch are allowed", 429)
            if total > self._reserved(sql, sid, actor):
                detail = "the block of points that this needs is not in the log yet; ask again"
                raise Refused("not-yet-reserved", detail, 503)
            row = (sid, actor, nonce, request, points, total, allowed, at.isoformat())
            self.count(sql, {"kind": "charge", "row": list(row)})
            self._charge(sql, row)
            return total, allowed

    def _charge(self, sql: sqlite3.Connection, row: tuple[Any, ...]) -> None:
        sid, actor, *_, total, _, _ = row
        total = max(total, self._spent(sql, sid, actor))
        sql.execute("INSERT OR REPLACE INTO spent VALUES (?, ?, ?)", (sid, actor, total))
        sql.execute("INSERT OR IGNORE INTO charges VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

    def _redo(self, sql: sqlite3.Connection, event: Mapping[str, Any]) -> bool:
        if event.get("kind") != "charge":
            return super()._redo(sql, event)
        self._charge(sql, tuple(event["row"]))
        return True

    @staticmethod
    def _spent(sql: sqlite3.Connection, sid: str, actor: str) -> int:
        row = sql.execute(
            "SELECT points FROM spent WHERE sid=? AND actor=?", (sid, actor)
        ).fetchone()
        return int(row[0]) if row else 0

    # -- blocks

    _STANDING = """SELECT coalesce(max(ends), 0), count(DISTINCT b.name) FROM blocks b
        JOIN promises p ON p.name=b.name JOIN standing s ON s.leaf=p.leaf
        WHERE b.sid=? AND b.actor=?"""

    def _reserved(self, sql: sqlite3.Connection, sid: str, actor: str) -> int:
        """Where the reservation ends that the log shows."""
        return int(sql.execute(self._STANDING, (sid, actor)).fetchone()[0])

    def add_block(self, name: str, sid: str, actor: str, ends: int) -> None:
        """Know a block by the name of its entry; it counts once that stands in the log."""
        with self.write() as sql:
            sql.execute(
                "INSERT OR IGNORE INTO blocks VALUES (?, ?, ?, ?)", (name, sid, actor, ends)
            )

    def account(self, sid: str, actor: str) -> Spent:
        """Return one actor's account under one key."""
        ends, blocks = self.rows(self._STANDING, sid, actor)[0]
        spent = self.rows("SELECT points FROM spent WHERE sid=? AND actor=?", sid, actor)
        return Spent(sid, actor, int(spent[0][0]) if spent else 0, int(ends), int(blocks))

    def accounts(self) -> list[Spent]:
        """Return every account that was ever charged or reserved for."""
        query = "SELECT sid, actor FROM spent UNION SELECT sid, actor FROM blocks"
        return [self.account(sid, actor) for sid, actor in sorted(self.rows(query))]

    def spend_reserved(self, sql: sqlite3.Connection) -> None:
        """Go on at the end of every reservation: what came out of it before nobody knows."""
        for sid, actor in sql.execute("SELECT DISTINCT sid, actor FROM blocks").fetchall():
            total = max(self._spent(sql, sid, actor), self._reserved(sql, sid, actor))
            sql.execute("INSERT OR REPLACE INTO spent VALUES (?, ?, ?)", (sid, actor, total))

    # -- what looks odd; it is shown, and stops nobody

    def odd(self, actor: str, what: str, now: datetime) -> None:
        """Count one oddity of an actor today: ``repeats`` or ``refused``."""
        with self.write() as sql:
            self._odd(sql, actor, what, now)

    @staticmethod
    def _odd(sql: sqlite3.Connection, actor: str, what: str, now: datetime) -> None:
        sql.execute(
            "INSERT INTO oddities VALUES (?, ?, ?, 1) ON CONFLICT DO UPDATE SET times = times + 1",
            (actor, now.date().isoformat(), what),
        )

    def oddities(self, actor: str, since: datetime) -> dict[str, int]:
        """Return how often each kind was counted for an actor, from a day on."""
        query = "SELECT what, sum(times) FROM oddities WHERE actor=? AND day>=? GROUP BY what"
        return dict(self.rows(query, actor, since.date().isoformat()))

    def points_since(self, actor: str, since: datetime) -> int:
        """Return the points an actor was charged since a moment, under every key."""
        query = "SELECT coalesce(sum(points), 0) FROM charges WHERE actor=? AND at>=?"
        return int(self.rows(query, actor, since.isoformat())[0][0])

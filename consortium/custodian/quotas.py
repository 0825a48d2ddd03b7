"""How many points each actor has had evaluated; charged durably before any of them is."""

import sqlite3
from datetime import datetime

from consortium.custodian.database import Database
from consortium.custodian.errors import Refused


class Quotas(Database):
    """Quotas, nonces and consents."""

    SCHEMA = """
CREATE TABLE IF NOT EXISTS spent (sid TEXT, actor TEXT, points INTEGER NOT NULL,
    PRIMARY KEY (sid, actor)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS charges (sid TEXT, actor TEXT, nonce TEXT, request TEXT NOT NULL,
    points INTEGER NOT NULL, total INTEGER NOT NULL, allowed INTEGER NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY (sid, actor, nonce)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS consents (actor TEXT PRIMARY KEY, at TEXT NOT NULL);
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
        with self.write() as sql:
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
        with self.write() as sql:
            sql.execute("INSERT OR IGNORE INTO consents VALUES (?, ?)", (actor, at.isoformat()))

    def consented(self, actor: str) -> bool:
        """Whether this custodian agreed to ``actor``'s bulk run."""
        return bool(self.rows("SELECT 1 FROM consents WHERE actor=?", actor))

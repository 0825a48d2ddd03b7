"""Campaigns opened and stopped, and every open of every lock; counted before any answer."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from consortium.custodian.errors import Refused
from consortium.custodian.roster import Roster


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


class Opens(Roster):
    """Releases and their opens."""

    SCHEMA = """
CREATE TABLE IF NOT EXISTS releases (campaign TEXT PRIMARY KEY, digest TEXT NOT NULL,
    root TEXT NOT NULL, opens TEXT NOT NULL, closes TEXT NOT NULL, locks BLOB NOT NULL,
    mailer TEXT NOT NULL, closed TEXT);
CREATE TABLE IF NOT EXISTS opens (lock BLOB, digest TEXT, at INTEGER NOT NULL,
    PRIMARY KEY (lock, digest)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stops (campaign TEXT PRIMARY KEY, by TEXT NOT NULL, at TEXT NOT NULL);
"""

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
        with self.write() as sql:
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
        rows = self.rows(
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
        return bool(self.rows(query, campaign, digest, root))

    def reorder(self, campaign: str, locks: bytes) -> None:
        """Keep the same locks in another order."""
        with self.write() as sql:
            sql.execute("UPDATE releases SET locks=? WHERE campaign=?", (locks, campaign))

    def close_release(self, campaign: str, at: datetime) -> int:
        """Close a campaign for good and return how many of its locks were opened."""
        digest = self.release(campaign).digest
        with self.write() as sql:
            sql.execute(
                "UPDATE releases SET closed=? WHERE campaign=? AND closed IS NULL",
                (at.isoformat(), campaign),
            )
        return int(self.rows("SELECT count(*) FROM opens WHERE digest=?", digest)[0][0])

    def stop(self, campaign: str, by: str, at: datetime) -> None:
        """Stop a campaign for good, whether or not it was opened."""
        with self.write() as sql:
            sql.execute(
                "INSERT OR IGNORE INTO stops VALUES (?, ?, ?)", (campaign, by, at.isoformat())
            )

    def stopped(self, campaign: str) -> bool:
        """Whether any partner stopped this campaign."""
        return bool(self.rows("SELECT 1 FROM stops WHERE campaign=?", campaign))

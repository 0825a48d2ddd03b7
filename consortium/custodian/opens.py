"""Campaigns opened and stopped, and every open of every lock; counted before any answer."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from consortium.custodian.errors import Refused
from consortium.custodian.own import Own
from consortium.custodian.roster import Roster

WEEK = timedelta(days=7)
SPOKEN = timedelta(days=1)  # an opening is counted within a day of its entry, or it is said anew


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


def opening(campaign: str, digest: str) -> str:
    """Return the name of the own entry that says that a campaign was opened here."""
    return f"opening/{campaign}/{digest}"


class Opens(Roster, Own):
    """Releases and their opens; each opening is an own entry in the log before its first answer."""

    SCHEMA = """
CREATE TABLE IF NOT EXISTS releases (campaign TEXT PRIMARY KEY, digest TEXT NOT NULL,
    root TEXT NOT NULL, opens TEXT NOT NULL, closes TEXT NOT NULL, locks BLOB NOT NULL,
    mailer TEXT NOT NULL, closed TEXT);
CREATE TABLE IF NOT EXISTS opens (lock BLOB, digest TEXT, at INTEGER NOT NULL,
    PRIMARY KEY (lock, digest)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS closings (campaign TEXT PRIMARY KEY, at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS stops (campaign TEXT PRIMARY KEY, by TEXT NOT NULL, at TEXT NOT NULL);
"""

    def open_release(self, release: Release, *, per_week: int, now: datetime) -> None:
        """Count one open of every lock under this manifest, before any share is released.

        The same manifest again is the same open. A retired lock is not counted: it is never
        answered.

        Raises:
            Refused: ``opened-too-often`` when any lock has had its opens of the week;
                ``campaign-conflict``; ``restored`` while books that were put back cannot say which
                locks were opened in the last week; ``not-yet-logged`` until the opening itself
                stands in the log.
        """
        self.check_tally()
        live, moment = self._live(release), int(now.timestamp())
        name = opening(release.campaign, release.digest)
        with self.write() as sql:
            if self._known(sql, release):
                return
            self._may_open(sql, release, live, per_week, now)
            if not self._logged(sql, name, now - SPOKEN):
                detail = "the opening of this campaign is not in the log yet; ask again"
                raise Refused("not-yet-logged", detail, 503)
            self.count(sql, {"kind": "opening", "name": name})
            self._resolve(sql, name)
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

    def may_open(self, release: Release, *, per_week: int, now: datetime) -> bool:
        """Check an opening before it is promised to the log; true when it was counted before.

        Raises:
            Refused: as `open_release`, but for ``not-yet-logged``.
        """
        live = self._live(release)
        with self.write() as sql:
            if self._known(sql, release):
                return True
            self._may_open(sql, release, live, per_week, now)
        return False

    def _live(self, release: Release) -> list[bytes]:
        locks = [release.locks[n : n + 32] for n in range(0, len(release.locks), 32)]
        gone = self.retired_among(locks)
        return [lock for lock in locks if lock not in gone]

    @staticmethod
    def _known(sql: sqlite3.Connection, release: Release) -> bool:
        known = sql.execute(
            "SELECT digest, root FROM releases WHERE campaign=?", (release.campaign,)
        ).fetchone()
        if known and tuple(known) != (release.digest, release.root):
            raise Refused("campaign-conflict", "this campaign has another manifest", 409)
        return bool(known)

    def _may_open(
        self,
        sql: sqlite3.Connection,
        release: Release,
        live: Sequence[bytes],
        per_week: int,
        now: datetime,
    ) -> None:
        week = int((now - WEEK).timestamp())
        if self._too_often(sql, live, release.digest, per_week, week):
            raise Refused("opened-too-often", f"{per_week} opens a week are allowed", 429)
        if self._unexplained(sql, opening(release.campaign, release.digest), now - WEEK - SPOKEN):
            detail = "its books are older than the log, which shows an opening they do not know"
            raise Refused("restored", detail, 503)

    @staticmethod
    def _logged(sql: sqlite3.Connection, name: str, since: datetime) -> bool:
        query = "SELECT 1 FROM promises p JOIN standing s USING (leaf) WHERE name=? AND s.at>?"
        return sql.execute(query, (name, since.isoformat())).fetchone() is not None

    @staticmethod
    def _unexplained(sql: sqlite3.Connection, name: str, since: datetime) -> bool:
        """Whether an opening may have been answered of which only the log knows.

        Asking for that very campaign again explains it.
        """
        query = """SELECT 1 FROM doubts WHERE at > ?
            AND leaf NOT IN (SELECT leaf FROM promises WHERE name=?)"""
        return sql.execute(query, (since.isoformat(), name)).fetchone() is not None

    @staticmethod
    def _resolve(sql: sqlite3.Connection, name: str) -> None:
        query = "DELETE FROM doubts WHERE leaf IN (SELECT leaf FROM promises WHERE name=?)"
        sql.execute(query, (name,))

    def _redo(self, sql: sqlite3.Connection, event: Mapping[str, Any]) -> bool:
        """An opening whose count was lost: only the same campaign opens until it is asked for."""
        if event.get("kind") != "opening":
            return super()._redo(sql, event)
        known = sql.execute("SELECT leaf FROM promises WHERE name=?", (event["name"],)).fetchall()
        self._doubt_names(sql, [event["name"]])
        return bool(known)

    @staticmethod
    def _doubt_names(sql: sqlite3.Connection, names: Sequence[str]) -> None:
        for name in names:
            sql.execute(
                "INSERT OR IGNORE INTO doubts SELECT leaf, s.at FROM promises"
                " JOIN standing s USING (leaf) WHERE name=?",
                (name,),
            )

    def doubt_uncounted(self, sql: sqlite3.Connection) -> None:
        """Doubt each opening that stands in the log and is not counted here."""
        query = "SELECT DISTINCT name FROM promises WHERE substr(name, 1, 8)='opening/'"
        counted = {opening(*row) for row in sql.execute("SELECT campaign, digest FROM releases")}
        names = {row[0] for row in sql.execute(query)}
        self._doubt_names(sql, sorted(names - counted))

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
            "SELECT campaign, digest, root, opens, closes, locks, mailer, coalesce(closed, c.at)"
            " FROM releases LEFT JOIN closings c USING (campaign) WHERE campaign=?",
            campaign,
        )
        if not rows:
            raise Refused("not-open", "this campaign has not been opened here", 404)
        return Release(*rows[0])

    def last_windows(self) -> dict[str, list[str]]:
        """Return, by epoch, until when each campaign that was opened there may be answered."""
        query = """SELECT o.epoch, r.closes FROM releases r
            JOIN roster o ON o.lock = substr(r.locks, 1, 32)
            WHERE r.closed IS NULL AND r.campaign NOT IN (SELECT campaign FROM closings)"""
        found: dict[str, list[str]] = {}
        for epoch, closes in self.rows(query):
            found.setdefault(str(epoch), []).append(str(closes))
        return found

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

    def closings(self) -> list[tuple[str, str]]:
        """Return each campaign that was closed here, or of which another custodian told, and when.

        Books that were put back forget it otherwise, and would answer it again.
        """
        query = """SELECT campaign, closed FROM releases WHERE closed IS NOT NULL
            UNION SELECT campaign, at FROM closings ORDER BY campaign"""
        return list(self.rows(query))

    def heard_closed(self, campaigns: Sequence[tuple[str, datetime]]) -> None:
        """Answer nothing more of campaigns that another custodian has closed."""
        with self.write() as sql:
            rows = ((campaign, at.isoformat()) for campaign, at in campaigns)
            sql.executemany("INSERT OR IGNORE INTO closings VALUES (?, ?)", rows)

    def stop(self, campaign: str, by: str, at: datetime) -> None:
        """Stop a campaign for good, whether or not it was opened."""
        with self.write() as sql:
            sql.execute(
                "INSERT OR IGNORE INTO stops VALUES (?, ?, ?)", (campaign, by, at.isoformat())
            )

    def stopped(self, campaign: str) -> bool:
        """Whether any partner stopped this campaign."""
        return bool(self.rows("SELECT 1 FROM stops WHERE campaign=?", campaign))

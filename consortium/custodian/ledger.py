"""Everything a custodian must remember, in one file; written before any answer."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from consortium.custodian.consents import Consents
from consortium.custodian.countersign import Countersigned
from consortium.custodian.keys import Key
from consortium.custodian.opens import Opens, Release
from consortium.custodian.protection import Protection
from consortium.custodian.quotas import Quotas
from consortium.custodian.seen import Seen
from matching.statement import Statement

__all__ = ["Key", "Ledger", "Release"]


class Ledger(Quotas, Opens, Consents, Protection, Seen, Countersigned):
    """Quotas, roster, opens, keys and trees of the log; safe for threads and several processes."""

    def status(self) -> dict[str, Any]:
        """Return counts for people: what was spent, what was opened, which keys are held."""
        spent = dict(self.rows("SELECT actor, sum(points) FROM spent GROUP BY actor"))
        return {
            "keys": [
                {"purpose": purpose, "epoch": epoch, "sid": sid, "version": version}
                for purpose, epoch, sid, version in self.rows(
                    "SELECT purpose, epoch, sid, json_extract(statement, '$.version') FROM keys"
                )
            ],
            "over": [
                {"purpose": purpose, "epoch": epoch, "sid": sid, "why": why}
                for purpose, epoch, sid, why in self.rows(
                    "SELECT purpose, epoch, sid, why FROM over ORDER BY epoch, purpose, version"
                )
            ],
            "spent": spent,
            "roster": self.rows("SELECT count(*) FROM roster")[0][0],
            "retired": self.rows("SELECT count(*) FROM retired")[0][0],
            "opens": self.rows("SELECT count(*) FROM opens")[0][0],
            "campaigns": self.rows("SELECT count(*) FROM releases")[0][0],
            "stopped": self.rows("SELECT count(*) FROM stops")[0][0],
            "tree": self.newest_tree(),
            "withdrawn": self.rows("SELECT count(*) FROM roster JOIN retired USING (tag)")[0][0],
            "splits": [size for size, _ in self.splits()],
            "forks": len(self.forks()),
            "restored": bool(self.rows("SELECT 1 FROM state WHERE name='restored'")),
            "doubts": self.rows("SELECT count(*) FROM doubts")[0][0],
        }

    def shares(self) -> list[Statement]:
        """Return the statement of every share held, newest epoch last; no share is opened."""
        rows = self.rows("SELECT statement FROM keys ORDER BY epoch, purpose")
        return [Statement.from_json(json.loads(row[0])) for row in rows]

    def spent(self) -> list[tuple[str, str, int]]:
        """Return key (sid), actor and points of every account."""
        return list(self.rows("SELECT sid, actor, points FROM spent ORDER BY actor, sid"))

    def opened(self, since: datetime) -> list[tuple[str, int, int, str]]:
        """Return campaign, opens since then, opens in all, and `open`, `closed` or `stopped`."""
        query = """
SELECT r.campaign, coalesce(sum(o.at > ?), 0), count(o.lock),
    CASE WHEN s.campaign IS NOT NULL THEN 'stopped' WHEN r.closed IS NOT NULL THEN 'closed'
    ELSE 'open' END
FROM releases r LEFT JOIN opens o ON o.digest = r.digest LEFT JOIN stops s USING (campaign)
GROUP BY r.campaign ORDER BY r.opens, r.campaign"""
        return list(self.rows(query, int(since.timestamp())))

    def told(self) -> dict[str, Any]:
        """Return what a custodian that joins must know: what was retired and stopped."""
        return {
            "retired": [row[0].hex() for row in self.rows("SELECT tag FROM retired ORDER BY tag")],
            "stops": self.rows("SELECT campaign, by, at FROM stops ORDER BY campaign"),
        }

    def take_told(self, told: Mapping[str, Any]) -> None:
        """Take in what another custodian was told; it can only make more retired and stopped.

        Raises:
            KeyError, TypeError, ValueError: it is malformed; nothing was taken.
        """
        tags = [bytes.fromhex(tag) for tag in told["retired"]]
        stops = [(str(a), str(b), datetime.fromisoformat(at)) for a, b, at in told["stops"]]
        if any(len(tag) != 32 for tag in tags):
            raise ValueError("a tag has 32 bytes")
        self.retire(tags)
        for campaign, by, at in stops:
            self.stop(campaign, by, at)

    def settle(self, own: str) -> None:
        """Catch up with the log after a restore, in one step; it was followed past the restore.

        What was reserved counts as spent, and an opening that is not counted here counts as one
        that may have been answered.

        Args:
            own: this custodian's id.
        """
        nobody_knows = self.unknown(own)
        with self.write() as sql:
            self.spend_reserved(sql)
            self.doubt_uncounted(sql)
            for one in nobody_knows:
                row = (one.leaf, one.at.isoformat())
                sql.execute("INSERT OR IGNORE INTO doubts VALUES (?, ?)", row)
            sql.execute(
                "DELETE FROM doubts WHERE leaf IN"
                " (SELECT leaf FROM promises WHERE substr(name, 1, 8)<>'opening/')"
            )
            self.settled(sql)

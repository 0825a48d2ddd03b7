"""Everything a custodian must remember, in one file; written before any answer."""

import json
from datetime import datetime
from typing import Any

from consortium.custodian.consents import Consents
from consortium.custodian.keys import Key
from consortium.custodian.opens import Release
from consortium.custodian.protection import Protection
from consortium.custodian.quotas import Quotas
from consortium.custodian.seen import Seen
from consortium.custodian.told import Told
from matching.statement import Statement

__all__ = ["Key", "Ledger", "Release"]


class Ledger(Quotas, Told, Consents, Protection, Seen):
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
            "untold": self.untold(),
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
    CASE WHEN s.campaign IS NOT NULL THEN 'stopped'
    WHEN coalesce(r.closed, c.at) IS NOT NULL THEN 'closed'
    ELSE 'open' END
FROM releases r LEFT JOIN opens o ON o.digest = r.digest LEFT JOIN stops s USING (campaign)
    LEFT JOIN closings c USING (campaign)
GROUP BY r.campaign ORDER BY r.opens, r.campaign"""
        return list(self.rows(query, int(since.timestamp())))

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

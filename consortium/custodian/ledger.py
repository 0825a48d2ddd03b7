"""Everything a custodian must remember, in one file; written before any answer."""

from typing import Any

from consortium.custodian.keys import Key
from consortium.custodian.opens import Opens, Release
from consortium.custodian.protection import Protection
from consortium.custodian.quotas import Quotas
from consortium.custodian.seen import Seen

__all__ = ["Key", "Ledger", "Release"]


class Ledger(Quotas, Opens, Protection, Seen):
    """Quotas, roster, opens, keys and trees of the log; safe for threads and several processes."""

    def status(self) -> dict[str, Any]:
        """Return counts for people: what was spent, what was opened, which keys are held."""
        spent = dict(self.rows("SELECT actor, sum(points) FROM spent GROUP BY actor"))
        return {
            "keys": [
                {"purpose": purpose, "epoch": epoch, "sid": sid}
                for purpose, epoch, sid in self.rows("SELECT purpose, epoch, sid FROM keys")
            ],
            "spent": spent,
            "roster": self.rows("SELECT count(*) FROM roster")[0][0],
            "retired": self.rows("SELECT count(*) FROM retired")[0][0],
            "opens": self.rows("SELECT count(*) FROM opens")[0][0],
            "campaigns": self.rows("SELECT count(*) FROM releases")[0][0],
            "stopped": self.rows("SELECT count(*) FROM stops")[0][0],
            "tree": self.newest_tree(),
            "splits": [size for size, _ in self.splits()],
        }

"""The end of an epoch at one custodian: its shares are deleted, then it says so in the log.

Deleted first: a crash in between leaves nothing said and nothing held, and the same command again
says it. The other way round a statement could stand in the log that is not true yet.
"""

from consortium.custodian.errors import HomeUnready
from consortium.custodian.ledger import Ledger
from consortium.custodian.log import Log
from matching.statement import Statement


def destroy(ledger: Ledger, log: Log, id: str, epoch: str) -> list[Statement]:
    """Delete both shares of an epoch durably and log it; again is the same entry.

    Returns:
        The statements of the keys whose shares were destroyed here.

    Raises:
        HomeUnready: no share of that epoch is, or was, held here.
        LogUnreachable: deleted, not yet said; run it again.
    """
    ledger.destroy(epoch)
    gone = ledger.destroyed(epoch)
    if not gone:
        raise HomeUnready(f"no share of epoch {epoch} is held here, and none was destroyed here")
    keys = [{"purpose": one.purpose, "sid": one.sid, "version": one.version} for one in gone]
    facts = {"kind": "destroyed", "epoch": epoch, "id": id, "keys": keys}
    name = f"destroyed/{epoch}"
    drafted = ledger.draft(name) or ledger.put_draft(name, log.draft("key", facts))
    ledger.set_leaf(name, ledger.leaf(name) or log.submit(drafted))
    return gone

"""A person or a partner leaves; rows go, the log keeps only that it happened."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from consortium.service import enter
from consortium.service.errors import EntryMisfits
from consortium.store import contributions, deliveries
from consortium.store.artefacts import Artefacts
from consortium.store.errors import Missing
from consortium.store.unit import Unit, Units
from policies.authorise import Caller, require


def bundle(
    units: Units,
    caller: Caller,
    id: str,
    *,
    entry: bytes,
    openings: Mapping[str, Any],
    artefacts: Artefacts,
    now: datetime,
) -> str:
    """Take a bundle out: its wrapped key first, then its files; unsent letters are dropped.

    The wrapped key goes with the transaction, so from its commit on no row can be opened; a crash
    before the files are deleted leaves ciphertext without a key, and the next call deletes them.

    Returns:
        The leaf hash, in hex, of the withdrawal's entry.
    """
    require(caller, "withdraw")

    def record(unit: Unit) -> tuple[str, contributions.Contribution]:
        one = contributions.get(unit, id)
        if one.partner != caller.id:
            raise Missing(f"no contribution {id}")
        said = enter.read(unit, entry, openings, now=now)
        enter.expect(said, "withdrawal", kind="bundle", bundle=id)
        if said.actor.id != caller.id:
            raise EntryMisfits("the entry is signed by another partner")
        leaf = enter.promise(unit, said, entry, openings, now=now)
        contributions.change(unit, id, state="withdrawn", wrapped=None)
        deliveries.drop_unsent(unit, id)
        return leaf, one

    leaf, one = units.run("withdraw", record)
    for digest in (one.rows_digest, one.outputs_digest, one.tokens_digest, one.links_digest):
        if digest is not None and artefacts.exists(digest):
            artefacts.delete(digest)
    # Only now: until the files are gone, the next call must still know their names.
    gone = {"outputs_digest": None, "tokens_digest": None, "links_digest": None}
    units.run("withdrawn", lambda unit: contributions.change(unit, id, **gone))
    return leaf

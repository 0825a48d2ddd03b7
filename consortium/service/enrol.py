"""A roll slice arrives."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from consortium.service import enter
from consortium.store import contributions
from consortium.store.errors import Conflict
from consortium.store.unit import Unit
from policies.authorise import Caller, require


def enrol(
    unit: Unit,
    caller: Caller,
    *,
    id: str,
    header: Mapping[str, Any],
    attributes_digest: str,
    outputs_digest: str,
    k: int,
    rows_root: str,
    entry: bytes,
    openings: Mapping[str, Any],
    now: datetime,
) -> str:
    """Take in one roll slice, which names nobody, and promise it to the log.

    Returns:
        The leaf hash in hex.

    Raises:
        Denied: the caller is no steward.
        Conflict: ``id`` already names other bytes.
        EntryMisfits: the entry says something else than the upload, or its epoch is not open.
    """
    require(caller, "enrol_roll")
    known = contributions.find_roll(unit, id)
    if known is not None:
        if (known.steward, known.attributes_digest) != (caller.id, attributes_digest):
            raise Conflict(f"roll {id} is taken")
        return known.leaf
    epoch = enter.open_epoch(unit, header)
    said = enter.read(unit, entry, openings, now=now)
    enter.expect(
        said,
        "roll",
        kind="slice",
        roll=id,
        epoch=epoch,
        attributes_digest=attributes_digest,
        outputs_digest=outputs_digest,
        k=k,
        rows_root=rows_root,
    )
    enter.by(said, caller)
    leaf = enter.promise(unit, said, entry, openings, now=now)
    contributions.add_roll(
        unit,
        contributions.Roll(
            id=id,
            steward=caller.id,
            epoch=epoch,
            state="received",
            header=dict(header),
            attributes_digest=attributes_digest,
            outputs_digest=outputs_digest,
            tokens_digest=None,
            leaf=leaf,
            at=now,
        ),
    )
    return leaf

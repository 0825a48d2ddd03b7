"""A partner's bundle arrives and gets its receipt."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from consortium.service import agree, enter, rotate
from consortium.service.errors import EntryMisfits
from consortium.store import contributions, races
from consortium.store.errors import Conflict
from consortium.store.unit import Unit
from policies.authorise import Caller, require


@dataclass(frozen=True, slots=True)
class Offered:
    """What the partner says of its bundle, beside the two uploaded parts.

    ``header`` is bound into the wrapped key; the digests name the uploaded artefacts; ``rows`` is
    how many rows the file was found to hold.
    """

    header: dict[str, Any]
    wrapped: bytes
    commitment: str
    rows: int
    rows_digest: str
    outputs_digest: str
    root: str


def contribute(
    unit: Unit,
    caller: Caller,
    *,
    id: str,
    offered: Offered,
    entry: bytes,
    openings: Mapping[str, Any],
    now: datetime,
) -> str:
    """Take in one sealed bundle and promise it to the log.

    Args:
        unit: the open transaction; the caller ends it.
        id: chosen by the partner, so that a repeated upload is the same contribution.
        offered: see there; this process cannot open the parts.
        entry: the partner's signed ``contribution`` entry.
        openings: of the entry's commitments.
        now: UTC.

    Returns:
        The leaf hash, in hex, under which the log will hold this contribution.

    Raises:
        Denied: the caller may not contribute for this partner.
        Conflict: ``id`` already names other bytes, or another partner's bundle.
        EntryMisfits: the entry says something else than the upload, or its epoch is not open;
            nothing is kept.
    """
    require(caller, "contribute", partner=str(offered.header.get("partner")))
    known = contributions.find(unit, id)
    if known is not None:
        # The outputs part is deleted once it has been read; until then it must be the same, too.
        outputs = known.outputs_digest or offered.outputs_digest
        if (known.partner, known.rows_digest, outputs) != (
            caller.id,
            offered.rows_digest,
            offered.outputs_digest,
        ):
            raise Conflict(f"contribution {id} is taken")
        if known.state == "withdrawn":
            raise Conflict(f"contribution {id} was withdrawn; upload the list under a new id")
        return known.leaf
    rotate.refuse_shut(unit, offered.header)
    epoch = enter.open_epoch(unit, offered.header)
    terms = agree.signed_terms(unit, races.first(unit).id)
    size_class = 1 << max(offered.rows - 1, 0).bit_length()
    if offered.rows < terms.minimum_upload:
        raise EntryMisfits(
            f"a list needs at least {terms.minimum_upload} mailable rows; this one has fewer"
        )
    said = enter.read(unit, entry, openings, now=now)
    enter.expect(
        said,
        "contribution",
        kind="bundle",
        partner=caller.id,
        bundle=id,
        epoch=epoch,
        rows_digest=offered.rows_digest,
        outputs_digest=offered.outputs_digest,
        root=offered.root,
        size_class=size_class,
    )
    enter.by(said, caller)
    if offered.header.get("bundle") != id:
        raise EntryMisfits("the header names another bundle")
    leaf = enter.promise(unit, said, entry, openings, now=now)
    contributions.add(
        unit,
        contributions.Contribution(
            id=id,
            partner=caller.id,
            epoch=epoch,
            state="received",
            header={**offered.header, "commitment": offered.commitment},
            wrapped=offered.wrapped,
            rows_digest=offered.rows_digest,
            outputs_digest=offered.outputs_digest,
            tokens_digest=None,
            links_digest=None,
            linked_roll=None,
            rostered=False,
            leaf=leaf,
            at=now,
            wrapped_to=str(offered.header.get("mailer")),
        ),
    )
    return leaf

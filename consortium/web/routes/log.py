"""The log's entries, to post one and to get one with its proof; and what stands in it."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from consortium.service import enter, reveal, show
from consortium.store import leaving, log, races, roster, texts
from consortium.store.errors import Missing
from consortium.store.unit import Unit
from consortium.web.begin import AllUnits, Files, LogFiles, Now
from consortium.web.routes.forms import Leaf, Promised, Signed, Slug
from consortium.web.tokens import Bearer, Perhaps
from policies.errors import Denied
from provenance.evidence import Evidence

router = APIRouter()
Epoch = Annotated[str | None, Query(pattern=r"^[a-z0-9-]{1,40}$")]
"""Which epoch's; without it that in which the race stands."""
MOST_NUMBER = (1 << 31) - 1
FOR_EVERYBODY = ("key", "witness")
"""Types of entries whose openings concern everybody: keys, and the rule for witnesses."""


@router.get("/invite")
def invite(caller: Bearer, all_units: AllUnits) -> dict[str, Any]:
    """The facts that every tool needs; the same for whoever takes part, and for nobody else."""
    found: dict[str, Any] = json.loads(
        all_units.read("invite", lambda unit: texts.get(unit, "invite"))
    )
    return found


@router.get("/log")
def head(all_units: AllUnits, files: LogFiles) -> dict[str, Any]:
    """The newest published state, who stands under it, and who is missing while the log waits.

    While it waits nothing new has a receipt, and nothing is sent.
    """
    found = all_units.read("log", lambda unit: show.log_head(unit, files))
    waits = found.waits and {
        "entries": found.waits.entries,
        "since": found.waits.since.isoformat(),
        "missing": found.waits.names,
    }
    return {
        "origin": found.origin,
        "size": found.size,
        "published": found.published and found.published.isoformat(),
        "quorum": found.quorum,
        "witnesses": {one.name: one.cosigned for one in found.witnesses},
        "waits": waits,
    }


@router.post("/log/entries", status_code=202)
def post(signed: Signed, all_units: AllUnits, now: Now) -> Promised:
    """Promise an entry whose own signature is its authority. The same again answers the same."""
    leaf = all_units.run(
        "post-entry", lambda unit: enter.post(unit, signed.raw(), signed.openings, now=now())
    )
    return Promised(leaf=leaf)


@router.get("/log/opened")
def opened(all_units: AllUnits, files: LogFiles, now: Now) -> dict[str, Any]:
    """What the log says of campaigns, once the polls have closed: a file for ``trellis audit``."""
    return all_units.read("opened", lambda unit: reveal.opened(unit, files, now=now()))


@router.get("/log/withdrawals")
def withdrawals(
    all_units: AllUnits, files: LogFiles, first: Annotated[int, Query(ge=1, le=MOST_NUMBER)] = 1
) -> dict[str, Any]:
    """Batches of withdrawals with their labels, for auditors: a file for ``trellis audit``."""
    return all_units.read("withdrawals", lambda unit: show.left(unit, files, first))


@router.get("/log/withdrawals/{number}")
def withdrawn(
    number: Annotated[int, Path(ge=1, le=MOST_NUMBER)], caller: Bearer, all_units: AllUnits
) -> Response:
    """Every label that left with the batches up to this one, which the log has: 32 bytes each,
    sorted. For whoever takes part; everybody else follows the batches.
    """

    def find(unit: Unit) -> bytes:
        last = leaving.newest(unit, published=True)
        if last is None or number > last.number:
            raise Missing("no such batch of withdrawals")
        return b"".join(leaving.state(unit, number).labels[1:-1])

    found = all_units.read("withdrawn", find)
    kept = {"cache-control": "private, max-age=31536000, immutable"}
    return Response(found, media_type="application/octet-stream", headers=kept)


@router.get("/log/entries/{leaf}")
def get(leaf: Leaf, caller: Perhaps, all_units: AllUnits, files: LogFiles) -> dict[str, Any]:
    """An entry's proof once it is published.

    A leaf hash is public, and what an entry says is not: its openings go to who signed it, and
    to everybody only where they concern everybody.
    """

    def find(unit: Unit) -> tuple[bool, Evidence | None]:
        one = log.find(unit, leaf)
        theirs = caller is not None and caller.id == one.actor
        return theirs or one.kind in FOR_EVERYBODY, show.evidence(unit, leaf, files)

    may_open, found = all_units.read("entry", find)
    if found is None:
        return {"state": "pending"}
    if not may_open:
        raise Denied("see_entry", "what an entry says is opened to who signed it")
    return {"state": "published", "evidence": found.to_json()}


@router.get("/keys/{epoch}")
def keys(epoch: Slug, all_units: AllUnits, files: LogFiles) -> dict[str, Any]:
    """The newest logged statement of each key of an epoch; for the custodians' keys also the
    statements from the first version on, since each is signed by who held the one before, and
    what custodians said of destroying their shares.
    """

    def find(unit: Unit) -> dict[str, Any]:
        found = show.keys(unit, epoch, files)
        shown = {name: None if one is None else one.to_json() for name, one in found.items()}
        lines = {
            purpose: [one.to_json() for one in line]
            for purpose, line in show.key_lines(unit, epoch, files).items()
        }
        gone = [one.to_json() for one in show.destructions(unit, epoch, files)]
        return {**shown, "lines": lines, "destroyed": gone}

    return all_units.read("keys", find)


@router.get("/roster")
def chunks(all_units: AllUnits, files: LogFiles, epoch: Epoch = None) -> dict[str, Any]:
    """The custodians' roster of the race's epoch or of another, each chunk with its proof."""
    epoch, found = all_units.read("roster", lambda unit: show.roster_chunks(unit, files, epoch))
    listed = [{"chunk": number, "evidence": proof.to_json()} for number, proof in found]
    return {"epoch": epoch, "chunks": listed}


@router.get("/roster/{number}")
def chunk(number: int, all_units: AllUnits, artefacts: Files, epoch: Epoch = None) -> Response:
    """One chunk: 128 bytes an entry (tag, lock, proof), everybody's mixed."""

    def find(unit: Unit) -> str:
        for one in roster.chunks(unit, epoch or races.first(unit).epoch):
            if one.chunk == number:
                return one.digest
        raise Missing("no such chunk")

    digest = all_units.read("roster-chunk", find)
    return Response(artefacts.read(digest), media_type="application/octet-stream")

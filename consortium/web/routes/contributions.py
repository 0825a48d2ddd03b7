"""Bundles and roll slices: two uploaded parts each, then the signed entry that binds them."""

import base64
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from consortium.service import contribute, enrol, gauge, ghosts, look, show, tell, trail, withdraw
from consortium.service.errors import EntryMisfits, PartMissing
from consortium.store import contributions, strays
from consortium.store.artefacts import Artefacts
from consortium.store.errors import Missing
from consortium.store.unit import Unit
from consortium.web.begin import AllUnits, Files, Knobs, LogFiles, Now
from consortium.web.routes.forms import Base64, Hex32, Moment, Promised, Signed, Word
from consortium.web.routes.parts import Kept, keep
from consortium.web.tokens import Bearer
from mailer.seal import SEALED_BYTES
from matching.attributes import cells
from matching.bundle import check_rows
from policies.authorise import require
from policies.disclosure import Shown
from provenance.merkle import tree_root

router = APIRouter()
_UPLOADED = ("rows_digest", "outputs_digest", "attributes_digest")
_BESIDE = ("wrapped", "commitment", "rows", "rows_digest", "outputs_digest", "root")


class BundleHeader(BaseModel):
    """What a partner says of its bundle. Words, numbers and digests: no member fits in here."""

    model_config = ConfigDict(extra="forbid", strict=True)
    bundle: Word
    partner: Word
    epoch: Word
    recipes: Word
    mailer: Hex32
    fields: list[Word]
    size_class: int
    created: Moment
    upload: Word | None = None
    """A random word that the bundles of one list share, one in each epoch; absent in old ones."""
    wrapped: Annotated[Base64, StringConstraints(min_length=4)]
    commitment: Hex32
    rows: int
    rows_digest: Hex32
    outputs_digest: Hex32
    root: Hex32


class Offer(Signed):
    """The header of a bundle and the entry that promises it."""

    header: BundleHeader


class RollHeader(BaseModel):
    """What a steward says of a roll slice."""

    model_config = ConfigDict(extra="forbid", strict=True)
    roll: Word
    steward: Word
    epoch: Word
    recipes: Word
    size_class: int
    rows: int
    created: Moment
    k: Annotated[int, Field(ge=2)]
    rows_root: Hex32
    source_digest: Hex32
    use_terms: dict[str, Any] | list[Any] | str
    attributes_digest: Hex32
    outputs_digest: Hex32


class RollOffer(Signed):
    """The header of a roll slice and the entry that promises it."""

    header: RollHeader


@router.put("/contributions/{id}/{part}")
async def put_part(
    id: UUID, part: Literal["rows", "outputs"], request: Request, caller: Bearer, files: Files
) -> Kept:
    """Keep one part under its digest. Nothing points at it until the entry comes."""
    require(caller, "contribute", partner=caller.id)
    return await keep(request, files)


@router.put("/rolls/{id}/{part}")
async def put_roll_part(
    id: UUID, part: Literal["attributes", "outputs"], request: Request, caller: Bearer, files: Files
) -> Kept:
    """Keep one part of a roll slice under its digest."""
    require(caller, "enrol_roll")
    return await keep(request, files)


def _arrived(files: Artefacts, **digests: str) -> None:
    """Parts that are about to be named: here, and put so lately that no broom is after them."""
    for name, digest in digests.items():
        if not strays.fresh(files, digest):
            raise PartMissing(f"upload the part named by {name} first, or again")


@router.post("/contributions/{id}", status_code=202)
def post(
    id: UUID, offer: Offer, caller: Bearer, all_units: AllUnits, files: Files, now: Now
) -> Promised:
    """Take in one bundle. Sending it again answers the same."""
    header = offer.header
    # Before its file is opened: nobody's file but the caller's own is looked into.
    require(caller, "contribute", partner=header.partner)
    if all_units.run("known-list", lambda unit: contributions.find(unit, str(id))) is None:
        # Outputs are deleted once they have been read: who asks again sends no second copy.
        _arrived(files, rows_digest=header.rows_digest, outputs_digest=header.outputs_digest)
    elif not files.exists(header.rows_digest):
        raise PartMissing("upload the part named by rows_digest first, or again")
    with files.open(header.rows_digest) as path:
        rows = check_rows(path, sealed_bytes=SEALED_BYTES)
    if rows != header.rows:
        raise EntryMisfits("the header's rows is not how many the file has")
    # Absent stays absent: the bundle's key is bound to the very bytes of its header.
    whole = header.model_dump(exclude_none=True)
    offered = contribute.Offered(
        header={name: value for name, value in whole.items() if name not in _BESIDE},
        wrapped=base64.b64decode(header.wrapped),
        commitment=header.commitment,
        rows=rows,
        rows_digest=header.rows_digest,
        outputs_digest=header.outputs_digest,
        root=header.root,
    )
    leaf = all_units.run(
        "contribute",
        lambda unit: contribute.contribute(
            unit,
            caller,
            id=str(id),
            offered=offered,
            entry=offer.raw(),
            openings=offer.openings,
            now=now(),
        ),
    )
    return Promised(leaf=leaf)


@router.get("/contributions")
def listed(caller: Bearer, all_units: AllUnits) -> list[dict[str, Any]]:
    """The caller's own bundles."""
    found = all_units.run("lists", lambda unit: look.contribution_list(unit, caller))
    return [
        {
            "id": one.id,
            "state": one.state,
            "at": one.at.isoformat(),
            "leaf": one.leaf,
            "frozen": one.frozen,
            "unusable": one.unusable,
        }
        for one in found
    ]


@router.get("/contributions/{id}")
def get(id: UUID, caller: Bearer, all_units: AllUnits, files: LogFiles) -> dict[str, Any]:
    """One of the caller's own bundles, with its proof once the log has it."""

    def find(unit: Unit) -> dict[str, Any]:
        for one in look.contribution_list(unit, caller):
            if one.id == str(id):
                proof = show.evidence(unit, one.leaf, files)
                return {
                    "id": one.id,
                    "state": one.state,
                    "leaf": one.leaf,
                    "evidence": None if proof is None else proof.to_json(),
                }
        raise Missing("this partner has no such contribution")

    return all_units.run("list", find)


@router.get("/contributions/{id}/trail")
def get_trail(id: UUID, caller: Bearer, all_units: AllUnits, files: LogFiles) -> dict[str, Any]:
    """The way of one of the caller's own lists: who did what about it, all under one checkpoint."""
    found = all_units.read("trail", lambda unit: trail.of_list(unit, caller, str(id), files))
    return {
        "own": [one.to_json() for one in found.own],
        "campaigns": {
            campaign: [one.to_json() for one in each] for campaign, each in found.campaigns.items()
        },
        "browsers": found.browsers,
        "left": found.left and found.left.to_json(),
    }


@router.get("/contributions/{id}/stops")
def get_stops(id: UUID, caller: Bearer, all_units: AllUnits) -> dict[str, Any]:
    """Which rows of one of the caller's own lists said stop upon a letter of the caller's own."""
    found = all_units.read("told-stops", lambda unit: tell.stops_of(unit, caller, str(id)))
    return {
        "stops": [
            {"lock": one.lock, "scope": one.scope, "race": one.race, "day": one.day.isoformat()}
            for one in found
        ]
    }


class Leaving(Signed):
    """The entry of single rows' withdrawal, and which rows it means."""

    salt: Hex32
    tags: Annotated[list[Hex32], Field(min_length=1, max_length=withdraw.MOST_ROWS)]
    leaves: Annotated[list[Hex32], Field(min_length=1, max_length=withdraw.MOST_ROWS)]


class Gone(Promised):
    """Where the withdrawal will be found, and after how many days backups forget, too."""

    backup_days: int


@router.post("/contributions/{id}/quality", status_code=202)
def ask_quality(id: UUID, caller: Bearer, all_units: AllUnits, now: Now) -> dict[str, str]:
    """Ask how well one of the caller's own lists meets the voter file; paid for once a run."""
    all_units.run("gauge-ask", lambda unit: gauge.ask(unit, caller, str(id), now()))
    return {"state": "asked"}


@router.get("/contributions/{id}/quality")
def quality(id: UUID, caller: Bearer, all_units: AllUnits) -> dict[str, Any]:
    """That report, noised; its state is ``waiting`` before it is drawn. Reading spends nothing."""
    found = all_units.run("gauge-told", lambda unit: gauge.told(unit, caller, str(id)))
    if found is None:
        return {"state": "waiting"}
    return {
        "state": "told",
        "found": _range(found.found),
        "certain": _range(found.certain),
        "recipes": [{"recipe": says, **_range(one)} for says, one in found.recipes],
        "answers_left": found.answers_left,
    }


def _range(one: Shown) -> dict[str, Any]:
    return {"shown": one.text, "estimate": one.estimate, "low": one.low, "high": one.high}


@router.get("/contributions/{id}/ghosts")
def get_ghosts(id: UUID, caller: Bearer, all_units: AllUnits, files: Files) -> dict[str, list[str]]:
    """Secrets of a list's ghosts, which its partner retires among its own rows."""
    found = ghosts.secrets_of(all_units, caller, str(id), files)
    return {"secrets": [one.hex() for one in found]}


@router.post("/contributions/{id}/withdraw-rows", status_code=202)
def post_row_withdrawal(
    id: UUID,
    leaving: Leaving,
    caller: Bearer,
    all_units: AllUnits,
    files: Files,
    now: Now,
    knobs: Knobs,
) -> Gone:
    """Take single rows out for good."""
    leaf = withdraw.rows(
        all_units,
        caller,
        str(id),
        tags=[bytes.fromhex(tag) for tag in leaving.tags],
        leaves=[bytes.fromhex(leave) for leave in leaving.leaves],
        salt=bytes.fromhex(leaving.salt),
        entry=leaving.raw(),
        openings=leaving.openings,
        artefacts=files,
        now=now(),
    )
    return Gone(leaf=leaf, backup_days=knobs.backup_days)


@router.post("/contributions/{id}/withdraw", status_code=202)
def post_withdrawal(
    id: UUID,
    signed: Signed,
    caller: Bearer,
    all_units: AllUnits,
    files: Files,
    now: Now,
    knobs: Knobs,
) -> Gone:
    """Take a bundle out for good."""
    leaf = withdraw.bundle(
        all_units,
        caller,
        str(id),
        entry=signed.raw(),
        openings=signed.openings,
        artefacts=files,
        now=now(),
    )
    return Gone(leaf=leaf, backup_days=knobs.backup_days)


def _counted(files: Artefacts, header: RollHeader) -> None:
    """Hold the attributes part against what the steward says of it: rows, root, k."""
    with files.open(header.attributes_digest) as path:
        found = cells(path)
    if found.voters != header.rows:
        raise EntryMisfits("the header's rows is not how many the file has")
    if found.smallest < min(header.k, found.voters):
        raise EntryMisfits("fewer voters than the header's k share a row")
    if tree_root(found.leaves).hex() != header.rows_root:
        raise EntryMisfits("the header's rows_root is not the root over the file's rows")


@router.post("/rolls/{id}", status_code=202)
def post_roll(
    id: UUID, offer: RollOffer, caller: Bearer, all_units: AllUnits, files: Files, now: Now
) -> Promised:
    """Take in one roll slice. Sending it again answers the same."""
    header = offer.header
    require(caller, "enrol_roll")
    if all_units.run("known-roll", lambda unit: contributions.find_roll(unit, str(id))) is None:
        parts = {name: getattr(header, name) for name in ("attributes_digest", "outputs_digest")}
        _arrived(files, **parts)
        _counted(files, header)
    leaf = all_units.run(
        "enrol",
        lambda unit: enrol.enrol(
            unit,
            caller,
            id=str(id),
            header={n: v for n, v in header.model_dump().items() if n not in _UPLOADED},
            attributes_digest=header.attributes_digest,
            outputs_digest=header.outputs_digest,
            k=header.k,
            rows_root=header.rows_root,
            entry=offer.raw(),
            openings=offer.openings,
            now=now(),
        ),
    )
    return Promised(leaf=leaf)


@router.get("/rolls/{id}")
def get_roll(id: UUID, caller: Bearer, all_units: AllUnits) -> dict[str, Any]:
    """How far a roll slice has come."""
    found = all_units.run("roll", lambda unit: contributions.find_roll(unit, str(id)))
    if found is None or found.steward != caller.id:
        raise Missing("this steward has no such roll")
    return {"id": found.id, "state": found.state, "leaf": found.leaf}

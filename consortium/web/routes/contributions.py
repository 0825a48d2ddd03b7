"""Bundles and roll slices: two uploaded parts each, then the signed entry that binds them."""

import base64
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool

from consortium.service import contribute, enrol, look, withdraw
from consortium.service.errors import EntryMisfits
from consortium.store import contributions
from consortium.store.artefacts import Artefacts
from consortium.web.begin import AllUnits, Files, LogFiles, Now
from consortium.web.routes.forms import Promised, Signed
from consortium.web.tokens import Bearer
from mailer.seal import SEALED_BYTES
from matching.bundle import check_rows

router = APIRouter()
_UPLOADED = ("rows_digest", "outputs_digest", "attributes_digest")
_BESIDE = ("wrapped", "commitment", "rows", "rows_digest", "outputs_digest", "root")


class Offer(Signed):
    """The header of an upload and the entry that promises it."""

    model_config = ConfigDict(extra="forbid")
    header: dict[str, Any]


class Kept(BaseModel):
    """An uploaded part by its digest."""

    digest: str
    bytes: int


async def _keep(request: Request, files: Artefacts) -> Kept:
    size = 0

    async def measured() -> AsyncIterator[bytes]:
        nonlocal size
        async for chunk in request.stream():
            size += len(chunk)
            yield chunk

    chunks = [chunk async for chunk in measured()]
    digest = await run_in_threadpool(files.put_stream, chunks)
    return Kept(digest=digest, bytes=size)


@router.put("/contributions/{id}/{part}")
async def put_part(id: UUID, part: str, request: Request, caller: Bearer, files: Files) -> Kept:
    """Keep one part under its digest. Nothing points at it until the entry comes."""
    _check_part(part, ("rows", "outputs"))
    return await _keep(request, files)


@router.put("/rolls/{id}/{part}")
async def put_roll_part(
    id: UUID, part: str, request: Request, caller: Bearer, files: Files
) -> Kept:
    """Keep one part of a roll slice under its digest."""
    _check_part(part, ("attributes", "outputs"))
    return await _keep(request, files)


def _check_part(part: str, known: tuple[str, ...]) -> None:
    if part not in known:
        raise EntryMisfits(f"the parts are {' and '.join(known)}")


def _text(header: dict[str, Any], name: str) -> str:
    value = header.get(name)
    if not isinstance(value, str) or not value:
        raise EntryMisfits(f"the header's {name} is missing")
    return value


def _arrived(files: Artefacts, header: dict[str, Any], *names: str) -> None:
    for name in names:
        if not files.exists(_text(header, name)):
            raise EntryMisfits(f"upload the part named by {name} first")


@router.post("/contributions/{id}", status_code=202)
def post(
    id: UUID, offer: Offer, caller: Bearer, all_units: AllUnits, files: Files, now: Now
) -> Promised:
    """Take in one bundle. Sending it again answers the same."""
    header = offer.header
    _arrived(files, header, "rows_digest", "outputs_digest")
    with files.open(_text(header, "rows_digest")) as path:
        rows = check_rows(path, sealed_bytes=SEALED_BYTES)
    if rows != header.get("rows"):
        raise EntryMisfits("the header's rows is not how many the file has")
    offered = contribute.Offered(
        header={name: value for name, value in header.items() if name not in _BESIDE},
        wrapped=base64.b64decode(_text(header, "wrapped"), validate=True),
        commitment=_text(header, "commitment"),
        rows=rows,
        rows_digest=_text(header, "rows_digest"),
        outputs_digest=_text(header, "outputs_digest"),
        root=_text(header, "root"),
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
        {"id": one.id, "state": one.state, "at": one.at.isoformat(), "leaf": one.leaf}
        for one in found
    ]


@router.get("/contributions/{id}")
def get(id: UUID, caller: Bearer, all_units: AllUnits, files: LogFiles) -> dict[str, Any]:
    """One of the caller's own bundles, with its proof once the log has it."""
    for one in all_units.run("lists", lambda unit: look.contribution_list(unit, caller)):
        if one.id == str(id):
            proof = all_units.run(
                "proof", lambda unit, leaf=one.leaf: look.evidence(unit, leaf, files)
            )
            return {
                "id": one.id,
                "state": one.state,
                "leaf": one.leaf,
                "evidence": None if proof is None else proof.to_json(),
            }
    raise EntryMisfits("this partner has no such contribution")


@router.post("/contributions/{id}/withdraw", status_code=202)
def post_withdrawal(
    id: UUID, signed: Signed, caller: Bearer, all_units: AllUnits, files: Files, now: Now
) -> Promised:
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
    return Promised(leaf=leaf)


@router.post("/rolls/{id}", status_code=202)
def post_roll(
    id: UUID, offer: Offer, caller: Bearer, all_units: AllUnits, files: Files, now: Now
) -> Promised:
    """Take in one roll slice. Sending it again answers the same."""
    header = offer.header
    _arrived(files, header, "attributes_digest", "outputs_digest")
    leaf = all_units.run(
        "enrol",
        lambda unit: enrol.enrol(
            unit,
            caller,
            id=str(id),
            header={name: value for name, value in header.items() if name not in _UPLOADED},
            attributes_digest=_text(header, "attributes_digest"),
            outputs_digest=_text(header, "outputs_digest"),
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
        raise EntryMisfits("this steward has no such roll")
    return {"id": found.id, "state": found.state, "leaf": found.leaf}

"""Campaigns: drafted by the coordinator, approved and checked by partners, watched by both."""

import base64
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from consortium.service import (
    approve,
    attest,
    draft,
    look,
    preview,
    proofread,
    report,
    suggest,
    try_out,
)
from consortium.store.unit import Unit
from consortium.web.begin import AllUnits, Files, Knobs, Now
from consortium.web.routes.forms import Promised, Signed, Slug
from consortium.web.security import LETTER_POLICY
from consortium.web.tokens import Bearer

router = APIRouter()
Language = Annotated[str, Query(pattern="^[a-z]{0,3}$")]
PlaceKind = Literal["precinct", "zip", "district"]
PlaceCode = Annotated[str, Query(max_length=60)]
Part = Literal["html", "text"]


class NewCampaign(BaseModel):
    """A letter for an audience."""

    model_config = ConfigDict(extra="forbid")
    definition: dict[str, Any]
    template: dict[str, Any]
    messenger: dict[str, str] = {}
    window: dict[str, str]


class State(BaseModel):
    """How far a campaign has come."""

    id: str
    state: str
    waiting_for: str = ""


@router.post("/races/{race}/campaigns", status_code=201)
def post(
    race: Slug,
    new: NewCampaign,
    caller: Bearer,
    all_units: AllUnits,
    files: Files,
    knobs: Knobs,
    now: Now,
) -> State:
    """Keep a draft; without a messenger, in the name of the nearest who confirmed."""
    chart = None if new.messenger else suggest.chart_of(knobs)
    made = all_units.run(
        "draft",
        lambda unit: draft.draft(
            unit,
            caller,
            race,
            draft.Proposed(new.definition, new.template, new.messenger, new.window),
            artefacts=files,
            now=now(),
            chart=chart,
        ),
    )
    return State(id=made, state="draft")


def _view(one: look.CampaignView) -> dict[str, Any]:
    return {
        "id": one.id,
        "state": one.state,
        "manifest": one.manifest,
        "digest": one.digest,
        "template": one.template,
        "approvals": [
            {
                "partner": a.partner,
                "state": "attested" if a.attested else "approved" if a.approved else "waiting",
            }
            for a in (*one.approvals, *one.others)
        ],
        "progress": one.progress,
        "shown": one.shown,
        "waiting_for": one.waiting_for,
        "not_before": None if one.scheduled is None else draft.stamp(one.scheduled),
    }


@router.get("/campaigns")
def listed(caller: Bearer, all_units: AllUnits) -> list[dict[str, Any]]:
    """Those that the caller may see, newest first."""
    found = all_units.run("campaigns", lambda unit: look.campaign_list(unit, caller))
    return [_view(one) for one in found]


@router.get("/campaigns/{id}")
def get(id: UUID, caller: Bearer, all_units: AllUnits) -> dict[str, Any]:
    """One of them."""
    return _view(all_units.run("campaign", lambda unit: look.campaign(unit, caller, str(id))))


@router.get("/campaigns/{id}/preview")
def look_at(
    id: UUID,
    caller: Bearer,
    all_units: AllUnits,
    files: Files,
    knobs: Knobs,
    language: Language = "",
    kind: PlaceKind = "precinct",
    place: PlaceCode = "",
    part: Part = "html",
    arm: int = 1,
) -> Response:
    """The letter to a made-up person, in one of its languages, at one of the race's places."""
    shown = all_units.run(
        "preview",
        lambda unit: preview.preview(
            unit,
            caller,
            str(id),
            knobs.public_url,
            artefacts=files,
            language=language,
            at=(kind, place),
            arm=arm,
        ),
    )
    if part == "text":
        return PlainTextResponse(f"{shown.subject}\n\n{shown.text}")
    return HTMLResponse(shown.html, headers={"content-security-policy": LETTER_POLICY})


@router.get("/campaigns/{id}/checks")
def checks(id: UUID, caller: Bearer, all_units: AllUnits, knobs: Knobs, now: Now) -> dict[str, Any]:
    """What was looked at before anybody approves: the letter, and the domains it leaves from."""
    how = proofread.Look(knobs.public_url)
    found = all_units.read("proof", lambda unit: proofread.proof(unit, caller, str(id), how, now()))
    return {
        "id": str(id),
        "level": proofread.level(found),
        "findings": [one.to_json() for one in found.findings],
        "domains": [
            {
                "partner": one.partner,
                "domain": one.name,
                "level": one.level,
                "at": None if one.at is None else draft.stamp(one.at),
                "findings": [each.to_json() for each in one.findings],
            }
            for one in found.domains
        ],
    }


@router.post("/campaigns/{id}/test", status_code=202)
def test(id: UUID, caller: Bearer, all_units: AllUnits, now: Now) -> State:
    """Send the letter to its author's own address, to a made-up person."""
    all_units.run("test", lambda unit: try_out.order(unit, caller, str(id), now()))
    return State(id=str(id), state="waiting")


@router.post("/campaigns/{id}/submit")
def submit(
    id: UUID, caller: Bearer, all_units: AllUnits, files: Files, knobs: Knobs, now: Now
) -> State:
    """Ask the partners."""
    how = proofread.Look(knobs.public_url)
    approve.submit(all_units, caller, str(id), artefacts=files, clock=now, look=how)
    return State(id=str(id), state="submitted")


@router.post("/campaigns/{id}/schedule")
def schedule(id: UUID, caller: Bearer, all_units: AllUnits, knobs: Knobs, now: Now) -> State:
    """Let the letters go, after the hold."""
    hold = timedelta(seconds=knobs.hold_seconds)

    def schedule_and_look(unit: Unit) -> look.CampaignView:
        approve.schedule(unit, caller, str(id), hold=hold, now=now())
        return look.campaign(unit, caller, str(id))

    one = all_units.run("schedule", schedule_and_look)
    return State(id=str(id), state=one.state, waiting_for=one.waiting_for)


@router.post("/campaigns/{id}/pause")
def pause(id: UUID, caller: Bearer, all_units: AllUnits) -> State:
    """Hold further letters."""
    state = all_units.run("pause", lambda unit: approve.pause(unit, caller, str(id)))
    return State(id=str(id), state=state)


@router.post("/campaigns/{id}/resume")
def resume(id: UUID, caller: Bearer, all_units: AllUnits) -> State:
    """Go on."""
    state = all_units.run("resume", lambda unit: approve.resume(unit, caller, str(id)))
    return State(id=str(id), state=state)


@router.post("/campaigns/{id}/stop")
def stop(id: UUID, caller: Bearer, all_units: AllUnits, now: Now) -> State:
    """End it for good."""
    state = all_units.run("stop", lambda unit: approve.stop(unit, caller, str(id), now=now()))
    return State(id=str(id), state=state)


@router.put("/campaigns/{id}/approval", status_code=202)
def put_approval(
    id: UUID, signed: Signed, caller: Bearer, all_units: AllUnits, now: Now
) -> Promised:
    """A partner's signature over the manifest's digest."""
    leaf = all_units.run(
        "approve",
        lambda unit: approve.approve(
            unit, caller, str(id), entry=signed.raw(), openings=signed.openings, now=now()
        ),
    )
    return Promised(leaf=leaf)


@router.get("/campaigns/{id}/audience")
def audience(id: UUID, caller: Bearer, all_units: AllUnits, files: Files) -> dict[str, Any]:
    """What a source needs to check its own rows under the root, once it is frozen."""
    found = attest.audience(all_units, caller, str(id), files)
    return {
        "campaign": str(id),
        "nonce": found.nonce.hex(),
        "root": found.root,
        "digest": found.digest,
        "definition": found.definition,
        "leaves": base64.b64encode(found.leaves).decode(),
    }


@router.put("/campaigns/{id}/attestation", status_code=202)
def put_attestation(
    id: UUID, signed: Signed, caller: Bearer, all_units: AllUnits, now: Now
) -> Promised:
    """A source's word that its own rows are as they must be."""
    leaf = all_units.run(
        "attest",
        lambda unit: attest.attest(
            unit, caller, str(id), entry=signed.raw(), openings=signed.openings, now=now()
        ),
    )
    return Promised(leaf=leaf)


@router.get("/campaigns/{id}/report")
def get_report(id: UUID, caller: Bearer, all_units: AllUnits, now: Now) -> list[dict[str, Any]]:
    """Noised figures of a closed campaign."""
    return [asdict(one) for one in report.outcomes(all_units, caller, str(id), clock=now)]

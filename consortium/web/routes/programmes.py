"""Programmes: proposed by the coordinator, answered by partners, asked for letter by letter."""

import base64
from datetime import date
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from consortium.service import programme, proofread, suggest
from consortium.store.unit import Unit
from consortium.web.begin import AllUnits, Files, Knobs, Now
from consortium.web.routes.forms import Hex32, Slug
from consortium.web.tokens import Bearer

router = APIRouter()


class Proposed(BaseModel):
    """A plan of letters; its keys are those of the paper on agreements."""

    model_config = ConfigDict(extra="forbid")
    document: dict[str, Any]


class Said(BaseModel):
    """A partner's yes to a digest, or its no: to all that comes, or also to one campaign of it."""

    model_config = ConfigDict(extra="forbid")
    yes: bool
    digest: Hex32 = "0" * 64
    campaign: UUID | None = None


class Asked(BaseModel):
    """A letter that is to be asked for, its local words, and a rapid one's first day."""

    model_config = ConfigDict(extra="forbid")
    letter: str
    words: dict[str, str] = {}
    first: date | None = None


def _view(one: programme.View) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "state": one.state,
        "digest": one.digest,
        "document": base64.b64encode(one.document).decode(),
        "answers": [{"partner": each.partner, "yes": each.yes} for each in one.answers],
        "campaigns": [
            {"campaign": each.campaign, "letter": each.letter, "words": each.words}
            for each in one.made
        ],
        "planned": [
            {"letter": each.letter, "ask": each.ask, "first": each.first, "last": each.last}
            for each in one.planned
        ],
        "rapid": list(one.rapid),
    }


@router.post("/races/{race}/programmes", status_code=201)
def propose(
    race: Slug, new: Proposed, caller: Bearer, all_units: AllUnits, files: Files, now: Now
) -> dict[str, Any]:
    """Keep a plan for the partners to say yes to."""

    def keep(unit: Unit) -> programme.View:
        id = programme.propose(unit, caller, race, new.document, artefacts=files, now=now())
        return programme.view(unit, caller, id)

    return _view(all_units.run("propose", keep))


@router.get("/programmes")
def listed(caller: Bearer, all_units: AllUnits) -> list[dict[str, Any]]:
    """Those of the race, newest first."""
    found = all_units.run("programmes", lambda unit: programme.views(unit, caller))
    return [_view(one) for one in found]


@router.get("/programmes/{id}")
def get(id: UUID, caller: Bearer, all_units: AllUnits) -> dict[str, Any]:
    """One of them."""
    return _view(all_units.run("programme", lambda unit: programme.view(unit, caller, str(id))))


@router.get("/programmes/{id}/due")
def due(id: UUID, caller: Bearer, all_units: AllUnits, now: Now) -> dict[str, list[str]]:
    """Planned letters whose day to be asked for has come."""
    found = all_units.run("due", lambda unit: programme.due(unit, caller, str(id), now()))
    return {"letters": found}


@router.put("/programmes/{id}/answer")
def answer(id: UUID, said: Said, caller: Bearer, all_units: AllUnits, now: Now) -> dict[str, str]:
    """A partner's yes or no; a no to a campaign stops it as well."""

    def say(unit: Unit) -> str:
        if said.campaign is not None and not said.yes:
            return programme.veto(unit, caller, str(id), str(said.campaign), now=now())
        return programme.answer(unit, caller, str(id), yes=said.yes, digest=said.digest, now=now())

    return {"id": str(id), "state": all_units.run("programme-answer", say)}


@router.post("/programmes/{id}/ask", status_code=201)
def ask(
    id: UUID,
    asked: Asked,
    caller: Bearer,
    all_units: AllUnits,
    files: Files,
    knobs: Knobs,
    now: Now,
) -> dict[str, str]:
    """Draft one letter and ask the partners for it."""
    campaign = programme.ask(
        all_units,
        caller,
        str(id),
        asked.letter,
        programme.Asking(asked.words, asked.first),
        artefacts=files,
        clock=now,
        look=proofread.Look(knobs.public_url),
        chart=suggest.chart_of(knobs),
    )
    return {"id": campaign, "state": "submitted"}

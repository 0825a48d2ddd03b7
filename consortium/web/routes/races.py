"""Races: the agreement, the places that may be chosen, and counts."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict

from consortium.service import choose
from consortium.store import races
from consortium.web.begin import AllUnits, Files, Now
from consortium.web.routes.forms import Slug
from consortium.web.tokens import Bearer

router = APIRouter(prefix="/races")


class Question(BaseModel):
    """How many people a definition has."""

    model_config = ConfigDict(extra="forbid")
    definition: dict[str, Any]


class Answer(BaseModel):
    """A protected number."""

    shown: str
    estimate: int
    low: int
    high: int
    fresh: bool
    looks_left: int


@router.get("/{race}/agreement")
def agreement(race: Slug, all_units: AllUnits) -> Response:
    """The exact bytes that partners sign."""
    found = all_units.run("agreement", lambda unit: races.get(unit, race))
    return Response(found.agreement, media_type="application/json")


@router.get("/{race}/places")
def places(race: Slug, caller: Bearer, all_units: AllUnits, files: Files) -> dict[str, Any]:
    """The places that may be chosen, with registered voters rounded to 50."""
    found = all_units.run("places", lambda unit: choose.places(unit, caller, files))
    return {kind: [asdict(place) for place in listed] for kind, listed in found.items()}


@router.post("/{race}/counts")
def count(
    race: Slug, question: Question, caller: Bearer, all_units: AllUnits, files: Files, now: Now
) -> Answer:
    """Noised; the same question gets the same answer and costs nothing again."""
    found = choose.count(all_units, caller, race, question.definition, artefacts=files, clock=now)
    return Answer(
        shown=found.shown,
        estimate=found.estimate,
        low=found.low,
        high=found.high,
        fresh=found.fresh,
        looks_left=found.looks_left,
    )

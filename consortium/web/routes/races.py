"""Races: the agreement, the places that may be chosen, and counts."""

from dataclasses import asdict
from datetime import date
from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict

from consortium.service import choose, coordinate, keep_free, lend, suggest
from consortium.store import races
from consortium.store.unit import Unit
from consortium.web.begin import AllUnits, Files, Knobs, Now
from consortium.web.routes.forms import Slug
from consortium.web.tokens import Bearer

router = APIRouter(prefix="/races")


class Question(BaseModel):
    """How many people a definition has."""

    model_config = ConfigDict(extra="forbid")
    definition: dict[str, Any]


class Volunteer(BaseModel):
    """Who is asked to sign letters of this race."""

    model_config = ConfigDict(extra="forbid")
    name: str
    place: str
    zip: str = ""
    precinct: str = ""
    daily: int = 0


class Invited(BaseModel):
    """The volunteer's link; it is shown this once."""

    id: str
    link: str


class Signer(BaseModel):
    """A messenger for an audience; both figures are of the public roll."""

    name: str
    place: str
    nearest_to: int
    km: int | None


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


@router.post("/{race}/messengers", status_code=201)
def invite_messenger(
    race: Slug, volunteer: Volunteer, caller: Bearer, all_units: AllUnits, knobs: Knobs, now: Now
) -> Invited:
    """Name who might sign; they answer on a page of their own."""
    id, token = all_units.run(
        "invite-messenger",
        lambda unit: lend.invite(
            unit,
            caller,
            race,
            name=volunteer.name,
            place=volunteer.place,
            zip=volunteer.zip,
            precinct=volunteer.precinct,
            daily=volunteer.daily,
            now=now(),
        ),
    )
    return Invited(id=id, link=f"{knobs.public_url}/messenger/{token}")


@router.post("/{race}/messengers/nearest")
def nearest_messengers(
    race: Slug, question: Question, caller: Bearer, all_units: AllUnits, files: Files, knobs: Knobs
) -> list[Signer]:
    """Who confirmed, the nearest to an audience's places first. It spends no look."""
    chart = suggest.chart_of(knobs)
    found = all_units.run(
        "nearest",
        lambda unit: suggest.suggest(
            unit, caller, race, question.definition, artefacts=files, chart=chart
        ),
    )
    return [Signer(**asdict(one)) for one in found]


class OwnDay(BaseModel):
    """A day on which a partner writes to its own members, in the race's time zone."""

    model_config = ConfigDict(extra="forbid")
    day: date
    keep: bool = True


@router.get("/{race}/calendar")
def calendar(race: Slug, caller: Bearer, all_units: AllUnits, files: Files) -> dict[str, Any]:
    """What is planned, on which days nothing leaves, and what clashes."""
    return asdict(
        all_units.run("calendar", lambda unit: coordinate.calendar(unit, caller, artefacts=files))
    )


@router.post("/{race}/days")
def keep_day(
    race: Slug, own: OwnDay, caller: Bearer, all_units: AllUnits, now: Now
) -> dict[str, list[date]]:
    """Keep a day free of letters, or give it back; the caller's days as they are then."""

    def change(unit: Unit) -> list[date]:
        if own.keep:
            keep_free.keep(unit, caller, race, own.day, now())
        else:
            keep_free.give_back(unit, caller, race, own.day)
        return keep_free.own(unit, caller, race)

    return {"days": all_units.run("keep-day", change)}

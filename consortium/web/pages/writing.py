"""A letter is written: its words, who signs it, and when it may go."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from consortium.service.draft import Proposed
from consortium.service.errors import NotReady, WrongState
from consortium.service.sign_in import SignedIn
from consortium.web import letter_page, spoken
from consortium.web.desk import desk
from consortium.web.letter_form import CALLED, Wrong
from consortium.web.letter_page import Page
from consortium.web.page import PageRoute, framed, framed_words, go, render
from consortium.web.pages.audience import Asked, Chosen, definition_from, picks
from consortium.web.who import Reader, Writer
from mailer import starting
from mailer.errors import TemplateRefused
from policies.errors import DefinitionRefused, Denied

router = APIRouter(route_class=PageRoute, include_in_schema=False)


async def typed(request: Request) -> dict[str, str]:
    """Every field of the page's form; how many blocks it has, nobody knows before."""
    return {name: text for name, text in (await request.form()).items() if isinstance(text, str)}


Typed = Annotated[dict[str, str], Depends(typed)]
ALMOST = timedelta(minutes=1) - timedelta(microseconds=1)
"""A form knows no seconds: the first moment that it can name is the next full minute."""
NEAREST = "*"
"""What the form says when each reader's own nearest is to sign; no name is spelled so."""


@router.get("/campaigns/new")
def compose(
    request: Request,
    session: Reader,
    place: Asked,
    age: Asked,
    votes: Asked,
    primaries: Asked,
    starter: str = "",
    begin: str = "",
) -> Response:
    """An empty letter for the audience that was chosen, one of the starters, or MJML."""
    if session.caller.role != "coordinator":
        raise Denied("draft", "only a coordinator writes letters")
    page = letter_page.begun(_codes(request), starter, coded=begin == "mjml")
    asked = definition_from(place, age, votes, primaries)
    return _compose(request, session, asked, page, starter=starter)


@router.post("/campaigns/new")
def save(
    request: Request,
    session: Writer,
    form: Typed,
    place: Chosen,
    age: Chosen,
    votes: Chosen,
    primaries: Chosen,
) -> Response:
    """One of the page's buttons: keep the draft, or answer with what it made of the letter."""
    return _pressed(request, session, form, definition_from(place, age, votes, primaries), "")


@router.get("/campaigns/{id}/edit")
def edit(request: Request, id: str, session: Reader) -> Response:
    """A draft, to be changed by who wrote it."""
    one, mark = desk(request).own_draft(session.caller, id)
    page = letter_page.kept(_codes(request), one.template, mark)
    signs = one.template["messenger"]
    signer = NEAREST if one.template.get("nearest") else f"{signs['name']}\n{signs['place']}"
    zone = desk(request).race().time_zone
    window = {name: _local(one.template["window"][name], zone) for name in ("opens", "closes")}
    proof = desk(request).checks(session.caller, id)
    page = replace(page, signer=signer, opens=window["opens"], closes=window["closes"])
    return _compose(request, session, one.definition, page, id=id, findings=proof.findings)


@router.post("/campaigns/{id}/edit")
def change(
    request: Request,
    id: str,
    session: Writer,
    form: Typed,
    place: Chosen,
    age: Chosen,
    votes: Chosen,
    primaries: Chosen,
) -> Response:
    """As ``save``, of a draft that is kept already."""
    desk(request).own_draft(session.caller, id)
    return _pressed(request, session, form, definition_from(place, age, votes, primaries), id)


@router.get("/campaigns/new/preview")
def nothing_yet(session: Reader) -> Response:
    """What the frame says before it was asked to show anything."""
    return framed_words(["Press “Show it”: the letter comes here as a made-up person gets it."])


@router.post("/campaigns/new/preview")
def sketch(request: Request, session: Writer, form: Typed) -> Response:
    """The letter as it is typed, kept or not, for the sandboxed frame."""
    page, asked = letter_page.read(form, _codes(request)), desk(request)
    at = (form.get("kind", ""), form.get("code", "").strip())
    try:
        shown = asked.sketch(
            session.caller,
            asked.race().id,
            page.template(),
            _messenger(page.signer),
            language=form.get("language", ""),
            at=at,
        )
    except TemplateRefused as refused:
        found = letter_page.wrongs(page, refused.problems)
        words = [f"{one.where}: {one.what} {one.todo}" for one in found]
        return framed_words(["It cannot be shown yet.", *words])
    except (DefinitionRefused, NotReady) as refused:
        return framed_words([f"Nothing is shown. The {refused}."])
    if form.get("part") == "text":
        return framed_words([shown.subject, shown.text])
    return framed(shown.html)


def _pressed(
    request: Request, session: SignedIn, form: dict[str, str], asked: dict[str, Any], id: str
) -> Response:
    page = letter_page.read(form, _codes(request))
    do = form.get("do") or "save"
    if do not in ("save", "check"):
        page = letter_page.pressed(page, do, form)
        return _compose(request, session, asked, page, id=id, form=form)
    try:
        if do == "save":
            return go(f"/campaigns/{_saved(request, session, page, asked, id)}")
        found = desk(request).look_over(
            session.caller, desk(request).race().id, page.template(), _messenger(page.signer)
        )
        page = replace(page, focus="h-checks")
        return _compose(request, session, asked, page, id=id, form=form, findings=found)
    except _Wrong as refused:
        wrong = refused.found
    except TemplateRefused as refused:
        wrong = letter_page.wrongs(page, refused.problems)
    except DefinitionRefused as refused:
        todo = "Go back to the places and choose again."
        wrong = [Wrong("audience", "Audience", f"{refused}.", todo)]
    except WrongState as refused:
        wrong = [Wrong("letter", "Draft", f"{refused}.", "Change it and save again.")]
    return _compose(request, session, asked, page, id=id, form=form, wrong=wrong)


class _Wrong(Exception):
    """What the page finds wrong by itself, before the service is asked."""

    def __init__(self, found: list[Wrong]) -> None:
        self.found = found
        super().__init__(len(found))


def _saved(request: Request, session: SignedIn, page: Page, asked: dict[str, Any], id: str) -> str:
    """Keep the letter; its id."""
    race, first = desk(request).race(), page.versions[""]
    window, wrong = _window(page.opens, page.closes, race.time_zone)
    wrong += [
        Wrong(field, label, "is empty.", "Fill it in.")
        for field, label, value in (
            ("subject", "Subject", first.subject),
            ("mjml", "Letter", first.mjml if first.coded else "blocks"),
            ("signer", "Signed by", page.signer),
        )
        if not value.strip()
    ]
    if wrong:
        raise _Wrong(wrong)
    letter = Proposed(asked, page.template(), _messenger(page.signer), window)
    if not id:
        return str(desk(request).draft(session.caller, race.id, letter))
    desk(request).change_draft(session.caller, id, letter, was=page.was)
    return id


def _messenger(signer: str) -> dict[str, str]:
    """Who signs; nobody in particular where each reader's nearest does, or nobody was chosen."""
    name, _, place = signer.partition("\n")
    return {} if name in ("", NEAREST) else {"name": name, "place": place}


def _codes(request: Request) -> tuple[str, ...]:
    race = desk(request).race()
    return letter_page.spoken_in(race.languages)


def _compose(
    request: Request,
    session: SignedIn,
    definition: dict[str, Any],
    page: Page,
    *,
    id: str = "",
    form: dict[str, str] | None = None,
    wrong: Sequence[Wrong] = (),
    findings: Sequence[Any] | None = None,
    starter: str = "",
) -> Response:
    race, caller = desk(request).race(), session.caller
    confirmed = _signers(request, session, race, definition)
    said: dict[str, list[Wrong]] = {}
    for one in wrong:
        said.setdefault(one.field, []).append(one)
    return render(
        request,
        "compose.html",
        session=session,
        status=422 if wrong else 200,
        definition=definition,
        picks=picks(definition),
        page=page,
        opens=page.opens or _local(race.opens + ALMOST, race.time_zone),
        closes=page.closes or _local(race.closes, race.time_zone),
        wrong=said,
        errors=wrong,
        id=id,
        findings=findings,
        reader=form or {},
        kinds=CALLED,
        starter=starter,
        starters=starting.called(),
        confirmed=confirmed,
        race=race,
        author=caller.id,
    )


def _signers(
    request: Request, session: SignedIn, race: Any, definition: dict[str, Any]
) -> list[tuple[str, str, str]]:
    """Name, place, and how near: the nearest to the audience first, if one was chosen."""
    caller = session.caller
    if race and definition.get("places"):
        try:
            found = desk(request).nearest(caller, race.id, definition)
        except (DefinitionRefused, NotReady):
            found = []
        if found:
            return [(one.name, one.place, _near(one)) for one in found]
    asked = desk(request).messengers(caller)
    return [(one.name, one.place, "") for one in asked if one.state == "confirmed"]


def _near(one: Any) -> str:
    parts = [f"about {one.km} km away"] if one.km is not None else []
    parts += [f"nearest to {one.nearest_to} of 100 voters there"] if one.nearest_to else []
    return "; ".join(parts)


def _local(value: datetime | str, name: str) -> str:
    at = spoken.moment(value)
    return at.astimezone(spoken.zone(name)).strftime("%Y-%m-%dT%H:%M") if at else ""


def _window(opens: str, closes: str, name: str) -> tuple[dict[str, str], list[Wrong]]:
    """Two local times of the race's zone as UTC, or what is wrong with them."""
    window: dict[str, str] = {}
    wrong = []
    for field, typed in (("opens", opens), ("closes", closes)):
        label = "Not before" if field == "opens" else "Not after"
        try:
            local = datetime.fromisoformat(typed).replace(tzinfo=spoken.zone(name))
        except ValueError:
            todo = "Write it as 2026-10-24T10:00."
            wrong.append(Wrong(field, label, "is not a date and time.", todo))
            continue
        at = local.astimezone(UTC)
        if at.astimezone(local.tzinfo).replace(tzinfo=None) != local.replace(tzinfo=None):
            skipped = "is skipped when clocks change."
            wrong.append(Wrong(field, label, skipped, "Choose an hour later."))
        window[field] = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    if not wrong and window["opens"] >= window["closes"]:
        later = "is not later than the start."
        wrong.append(Wrong("closes", "Not after", later, "Choose a later time."))
    return window, wrong

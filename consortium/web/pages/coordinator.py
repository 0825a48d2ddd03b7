"""The coordinator's screens: choose places, write a letter, ask the partners, watch it go."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import HTMLResponse, Response

from consortium.service.errors import NotReady, WrongState
from consortium.service.sign_in import SignedIn
from consortium.web import spoken
from consortium.web.desk import desk
from consortium.web.page import PageRoute, go, render
from consortium.web.security import LETTER_POLICY
from consortium.web.who import Reader, Writer
from mailer import blocks, starting
from mailer.errors import TemplateRefused
from policies.errors import BudgetSpent, DefinitionRefused, Denied, TooFew

router = APIRouter(route_class=PageRoute, include_in_schema=False)
Chosen = Annotated[list[str], Form(default_factory=list)]
Asked = Annotated[list[str], Query(default_factory=list)]
Text = Annotated[str, Form()]
ALMOST = timedelta(minutes=1) - timedelta(microseconds=1)
"""A form knows no seconds: the first moment that it can name is the next full minute."""
NEAREST = "*"
"""What the form says when each reader's own nearest is to sign; no name is spelled so."""
MOVING = ("submitted", "approved", "frozen", "attested", "logged", "sending")


@router.get("/campaigns")
def campaigns(request: Request, session: Reader) -> Response:
    """Every email of this race that the caller may see."""
    caller = session.caller
    found = desk(request).campaigns(caller)
    return render(request, "campaigns.html", session=session, campaigns=found)


@router.get("/choose")
def places(
    request: Request, session: Reader, place: Asked, age: Asked, votes: Asked, primaries: Asked
) -> Response:
    """The places of this race, as a list. Looking at it spends nothing."""
    return _choose(request, session, definition_from(place, age, votes, primaries))


@router.post("/choose")
def count(
    request: Request, session: Writer, place: Chosen, age: Chosen, votes: Chosen, primaries: Chosen
) -> Response:
    """One estimate. The same question again gets the same answer and spends nothing."""
    asked = definition_from(place, age, votes, primaries)
    caller = session.caller
    race = desk(request).race()
    try:
        counted = desk(request).count(caller, race.id, asked)
    except (DefinitionRefused, BudgetSpent, TooFew) as refused:
        return _choose(request, session, asked, refused=str(refused), status=422)
    return _choose(request, session, counted.definition, counted=counted)


def _choose(
    request: Request,
    session: SignedIn,
    definition: dict[str, Any],
    *,
    counted: Any = None,
    refused: str = "",
    status: int = 200,
) -> Response:
    caller = session.caller
    race = desk(request).race()
    return render(
        request,
        "choose.html",
        session=session,
        status=status,
        places=desk(request).places(caller),
        budget=desk(request).budget(caller),
        race=race,
        definition=definition,
        picks=picks(definition),
        counted=counted,
        refused=refused,
    )


@router.get("/campaigns/new")
def compose(
    request: Request,
    session: Reader,
    place: Asked,
    age: Asked,
    votes: Asked,
    primaries: Asked,
    starter: str = "",
) -> Response:
    """An empty letter for the audience that was chosen, or one of the starters."""
    if session.caller.role != "coordinator":
        raise Denied("draft", "only a coordinator writes letters")
    written = begin_from(starter) if starter else {}
    return _compose(request, session, definition_from(place, age, votes, primaries), written)


@router.post("/campaigns/new")
def save(
    request: Request,
    session: Writer,
    place: Chosen,
    age: Chosen,
    votes: Chosen,
    primaries: Chosen,
    subject: Text = "",
    mjml: Text = "",
    text: Text = "",
    subject_es: Text = "",
    mjml_es: Text = "",
    signer: Text = "",
    opens: Text = "",
    closes: Text = "",
) -> Response:
    """Keep the draft, or say line by line what is wrong with it."""
    asked = definition_from(place, age, votes, primaries)
    written = {
        "subject": subject,
        "mjml": mjml.replace("\r\n", "\n"),
        "text": text.replace("\r\n", "\n"),
        "subject_es": subject_es,
        "mjml_es": mjml_es.replace("\r\n", "\n"),
        "signer": signer.replace("\r\n", "\n"),
        "opens": opens,
        "closes": closes,
    }
    race = desk(request).race()
    window, errors = _window(opens, closes, race.time_zone)
    errors += [
        (label, "is empty.", "Fill it in.")
        for label, value in (
            ("Subject", subject),
            ("Letter", mjml),
            ("Signed by", signer),
        )
        if not value.strip()
    ]
    if errors:
        return _compose(request, session, asked, written, errors=errors)
    template: dict[str, Any] = {"subject": subject, "mjml": written["mjml"]}
    name, _, place_name = written["signer"].partition("\n")
    if written["text"].strip():
        template["text"] = written["text"]
    if written["mjml_es"].strip():
        template["languages"] = {"es": {"subject": subject_es, "mjml": written["mjml_es"]}}
    try:
        made = desk(request).draft(
            session.caller,
            race.id,
            definition=asked,
            template=template,
            messenger={} if name == NEAREST else {"name": name, "place": place_name},
            window=window,
        )
    except TemplateRefused as refused:
        found = [
            (each.place if each.line else "Letter", each.what, each.todo)
            for each in refused.problems
        ]
        return _compose(request, session, asked, written, errors=found)
    except DefinitionRefused as refused:
        again = [("Audience", f"{refused}.", "Go back to the places and choose again.")]
        return _compose(request, session, asked, written, errors=again)
    except WrongState as refused:
        other = [("Draft", f"{refused}.", "Change it and save again.")]
        return _compose(request, session, asked, written, errors=other)
    return go(f"/campaigns/{made}")


def _compose(
    request: Request,
    session: SignedIn,
    definition: dict[str, Any],
    written: dict[str, str],
    *,
    errors: Sequence[tuple[str, str, str]] = (),
) -> Response:
    race = desk(request).race()
    if not written.get("opens") and race:
        written = {**written, "opens": _local(race.opens + ALMOST, race.time_zone)}
    if not written.get("closes") and race:
        written = {**written, "closes": _local(race.closes, race.time_zone)}
    return render(
        request,
        "compose.html",
        session=session,
        status=422 if errors else 200,
        definition=definition,
        picks=picks(definition),
        written=written,
        errors=errors,
        starters=starting.called(),
        confirmed=_signers(request, session, race, definition),
        race=race,
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


@router.get("/messengers")
def volunteers(request: Request, session: Reader) -> Response:
    """Who was asked to sign letters and what they said, and a form to ask somebody."""
    return _volunteers(request, session)


@router.post("/messengers")
def ask_volunteer(
    request: Request,
    session: Writer,
    name: Text = "",
    place: Text = "",
    zip: Text = "",
    daily: Text = "",
) -> Response:
    """Make a volunteer's own link. It is shown on this answer and never again."""
    race = desk(request).race()
    try:
        link = desk(request).invite_messenger(
            session.caller, race.id, name=name, place=place, zip=zip, daily=_limit(daily)
        )
    except WrongState as refused:
        return _volunteers(request, session, refused=str(refused), status=422)
    return _volunteers(request, session, link=link)


def _limit(typed: str) -> int:
    """Letters a day as typed; nothing is no limit."""
    found = typed.strip() or "0"
    if not (found.isascii() and found.isdigit() and len(found) < 7):
        raise WrongState("a daily limit is a number of letters")
    return int(found)


def _volunteers(
    request: Request,
    session: SignedIn,
    *,
    link: str = "",
    refused: str = "",
    status: int = 200,
) -> Response:
    return render(
        request,
        "messengers.html",
        session=session,
        status=status,
        asked=desk(request).messengers(session.caller),
        link=link,
        refused=refused,
    )


def _local(value: datetime | str, name: str) -> str:
    at = spoken.moment(value)
    return at.astimezone(spoken.zone(name)).strftime("%Y-%m-%dT%H:%M") if at else ""


def _window(
    opens: str, closes: str, name: str
) -> tuple[dict[str, str], list[tuple[str, str, str]]]:
    """Two local times of the race's zone as UTC, or what is wrong with them."""
    window: dict[str, str] = {}
    errors = []
    for field, typed in (("opens", opens), ("closes", closes)):
        label = "Not before" if field == "opens" else "Not after"
        try:
            local = datetime.fromisoformat(typed).replace(tzinfo=spoken.zone(name))
        except ValueError:
            errors.append((label, "is not a date and time.", "Write it as 2026-10-24T10:00."))
            continue
        at = local.astimezone(UTC)
        if at.astimezone(local.tzinfo).replace(tzinfo=None) != local.replace(tzinfo=None):
            errors.append((label, "is skipped when clocks change.", "Choose an hour later."))
        window[field] = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    if not errors and window["opens"] >= window["closes"]:
        errors.append(("Not after", "is not later than the start.", "Choose a later time."))
    return window, errors


def begin_from(name: str) -> dict[str, str]:
    """One of the letters that ship, in both languages; somebody's own words go in between."""
    if name not in starting.ORDER:
        return {}
    written = {"starter": name}
    for language, end in (("en", ""), ("es", "_es")):
        one = starting.starter(name, language)
        made = blocks.to_mjml(one["blocks"], title=one["subject"], language=language)
        written |= {f"subject{end}": one["subject"], f"mjml{end}": made.mjml}
    return written


def definition_from(
    place: Sequence[str], age: Sequence[str], votes: Sequence[str], primaries: Sequence[str]
) -> dict[str, Any]:
    """What the boxes of the form say: ``district:House 44`` and the bands."""
    found: dict[str, Any] = {"places": {}}
    for kind, _, code in (each.partition(":") for each in place):
        found["places"].setdefault(kind, []).append(code)
    for name, bands in (("age", age), ("votes", votes), ("primaries", primaries)):
        if bands:
            found[name] = list(bands)
    return found


def picks(definition: dict[str, Any]) -> dict[str, list[str]]:
    """The boxes that are ticked for a definition: ``definition_from`` the other way round."""
    places: dict[str, list[str]] = definition.get("places") or {}
    return {
        "place": [f"{kind}:{code}" for kind, codes in places.items() for code in codes],
        "age": list(definition.get("age") or ()),
        "votes": list(definition.get("votes") or ()),
        "primaries": list(definition.get("primaries") or ()),
    }


@router.get("/campaigns/{id}")
def campaign(request: Request, id: str, session: Reader, test: str = "") -> Response:
    """One email: its state, what is approved, who said yes, how far it is."""
    caller = session.caller
    found = desk(request).campaign(caller, id)
    return render(
        request,
        "campaign.html",
        session=session,
        campaign=found,
        moving=found.state in MOVING,
        proof=desk(request).checks(caller, id),
        figures=desk(request).figures(caller, id),
        own=desk(request).own_box(caller),
        tested=test,
    )


@router.post("/campaigns/{id}/figures")
def figures(request: Request, id: str, session: Writer) -> Response:
    """Ask what became of a closed email. Asked once, it is the same answer for good."""
    caller = session.caller
    desk(request).ask_figures(caller, id)
    return go(f"/{'approvals' if caller.role == 'partner' else 'campaigns'}/{id}")


@router.get("/campaigns/{id}/progress")
def progress(request: Request, id: str, session: Reader) -> Response:
    """The part of the page that changes by itself."""
    caller = session.caller
    found = desk(request).campaign(caller, id)
    return render(request, "_progress.html", session=session, campaign=found)


@router.get("/campaigns/{id}/preview")
def preview(request: Request, id: str, session: Reader) -> Response:
    """The letter as a made-up person gets it, under a policy of its own, for a sandboxed frame."""
    caller = session.caller
    letter = desk(request).preview(caller, id)
    return HTMLResponse(
        letter, headers={"content-security-policy": LETTER_POLICY, "cache-control": "no-store"}
    )


@router.get("/campaigns/{id}/stop")
def ask_stop(request: Request, id: str, session: Reader) -> Response:
    """What stopping means, and the word to type."""
    caller = session.caller
    found = desk(request).campaign(caller, id)
    return render(request, "stop.html", session=session, campaign=found, mistyped=False)


@router.post("/campaigns/{id}/stop")
def stop(request: Request, id: str, session: Writer, confirm: Text = "") -> Response:
    """Stop it for good, when the word was typed."""
    caller = session.caller
    if confirm.strip().lower() != "stop":
        found = desk(request).campaign(caller, id)
        return render(
            request, "stop.html", session=session, campaign=found, mistyped=True, status=422
        )
    desk(request).stop(caller, id)
    return go(f"/campaigns/{id}")


@router.post("/campaigns/{id}/submit")
def submit(request: Request, id: str, session: Writer) -> Response:
    """Ask the partners."""
    caller = session.caller
    desk(request).submit(caller, id)
    return go(f"/campaigns/{id}")


@router.post("/campaigns/{id}/schedule")
def schedule(request: Request, id: str, session: Writer) -> Response:
    """Let it go within its window."""
    caller = session.caller
    desk(request).schedule(caller, id)
    return go(f"/campaigns/{id}")


@router.post("/campaigns/{id}/pause")
def pause(request: Request, id: str, session: Writer) -> Response:
    """Hold it; harmless, so it asks nothing."""
    caller = session.caller
    desk(request).pause(caller, id)
    return go(f"/campaigns/{id}")


@router.post("/campaigns/{id}/resume")
def resume(request: Request, id: str, session: Writer) -> Response:
    """Go on where it was."""
    caller = session.caller
    desk(request).resume(caller, id)
    return go(f"/campaigns/{id}")

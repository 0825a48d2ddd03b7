"""A letter is written: its words, who signs it, and when it may go."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from consortium.service.errors import NotReady, WrongState
from consortium.service.sign_in import SignedIn
from consortium.web import spoken
from consortium.web.desk import desk
from consortium.web.page import PageRoute, go, render
from consortium.web.pages.audience import Asked, Chosen, definition_from, picks
from consortium.web.who import Reader, Writer
from mailer import blocks, starting
from mailer.errors import TemplateRefused
from policies.errors import DefinitionRefused, Denied

router = APIRouter(route_class=PageRoute, include_in_schema=False)
Text = Annotated[str, Form()]
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

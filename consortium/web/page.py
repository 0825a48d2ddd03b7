"""Renders one page: the template, who looks at it, and the line about trust that stands on each."""

from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.responses import HTMLResponse, RedirectResponse

from consortium.service.errors import NotReady, NotSignedIn, ServiceRefused
from consortium.service.sign_in import SignedIn
from consortium.store.errors import Busy, Missing, StoreRefused
from consortium.web import spoken
from consortium.web.assets import asset
from consortium.web.desk import desk
from consortium.web.errors import CsrfRefused
from consortium.web.security import LETTER_POLICY
from policies.errors import BudgetSpent, Denied, PolicyError

_NAV = {
    "coordinator": (
        ("/", "grid", "Overview"),
        ("/choose", "map", "Audience"),
        ("/campaigns", "mail", "Emails"),
        ("/calendar", "clock", "Calendar"),
        ("/audit", "scroll", "Public log"),
    ),
    "partner": (
        ("/", "home", "Home"),
        ("/lists", "file", "My lists"),
        ("/approvals", "clip", "To approve"),
        ("/calendar", "clock", "Calendar"),
        ("/audit", "scroll", "Public log"),
    ),
}
_NAV_REST = (("/", "grid", "Overview"), ("/audit", "scroll", "Public log"))


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(
        asset=asset,
        ages=spoken.AGES,
        band=spoken.band,
        languages=spoken.LANGUAGES,
        entry_words=spoken.KINDS,
        list_states=spoken.LIST_STATES,
        list_stands=spoken.LIST_STANDS,
        meanings=spoken.MEANINGS,
        primaries=spoken.PRIMARIES,
        place_kinds=spoken.PLACE_KINDS,
        states=spoken.STATES,
        votes=spoken.VOTES,
    )
    made.filters.update(
        clock=spoken.clock_time,
        comma=lambda number: f"{number:,}",
        day=spoken.day,
        hour=spoken.hour,
        in_words=spoken.number_word,
        rules=spoken.audience,
        together=spoken.together,
    )
    return made


_PAGES = _environment()


def render(
    request: Request,
    template: str,
    *,
    session: SignedIn | None = None,
    status: int = 200,
    **facts: Any,
) -> HTMLResponse:
    """One page. Nothing of it is kept by browsers or proxies: it may be somebody's."""
    race = facts.pop("race", None) or _race(request)
    role = session.caller.role if session else ""
    body = _PAGES.get_template(template).render(
        race=race,
        trust=_trust(race, facts.get("lang")),
        session=session,
        role=role,
        own_name=_own_name(race, session),
        nav=_NAV.get(role, _NAV_REST),
        here=_here(request),
        zone=race.time_zone if race else "UTC",
        **facts,
    )
    return HTMLResponse(body, status_code=status, headers={"cache-control": "no-store"})


def framed(letter: str, *, status: int = 200) -> HTMLResponse:
    """What stands in the sandboxed frame of a preview: under a policy of its own, never kept."""
    headers = {"content-security-policy": LETTER_POLICY, "cache-control": "no-store"}
    return HTMLResponse(letter, status_code=status, headers=headers)


def framed_words(said: Sequence[str], *, status: int = 200) -> HTMLResponse:
    """Plain words in the frame, one paragraph each, where there is no letter to show."""
    body = _PAGES.get_template("_framed.html").render(said=said)
    return framed(body, status=status)


def go(address: str) -> RedirectResponse:
    """After a form: on to a page that may be reloaded without doing it again."""
    return RedirectResponse(address, status_code=303)


def _race(request: Request) -> Any:
    try:
        return desk(request).race()
    except (Missing, NotReady):
        return None  # a new installation: no race has been set up yet


def _here(request: Request) -> str:
    path = request.url.path
    return "/" + path.split("/")[1] if path != "/" else "/"


def _own_name(race: Any, session: SignedIn | None) -> str:
    if session is None:
        return ""
    names = {partner.id: partner.name for partner in race.partners} if race else {}
    return str(names.get(session.caller.partner or "", session.caller.id))


def _trust(race: Any, lang: object) -> str:
    """Who could open everything, where that is fewer than it should be; in the page's language."""
    if race is None:
        return ""
    count = len(race.custodians)
    if race.demo and lang == "es":
        return (
            f"Esto es una demostración: los {count} custodios funcionan en una sola máquina, así "
            "que quien la opera puede abrir todas las direcciones."
        )
    if race.trust == "operator" and lang == "es":
        return (
            "Aquí un solo custodio tiene la clave entera. Todas las organizaciones firmaron "
            "exactamente eso. La máquina de correo junto con ese custodio puede abrir todas las "
            "direcciones."
        )
    if race.demo:
        return (
            f"This is a demonstration: all {spoken.number_word(count)} custodians run on one "
            "machine, so whoever runs it can open every address."
        )
    if race.trust == "operator":
        return (
            "One custodian holds the whole key here. Every partner signed under exactly that. "
            "The mail machine together with that custodian can open every address."
        )
    return ""


_WORDS: tuple[tuple[type[Exception], int, str, str], ...] = (
    (CsrfRefused, 403, "This form was too old", "Go back, load the page again, and repeat it."),
    (Denied, 403, "That is not yours to do", "The rules do not allow it. Nothing was changed."),
    (Missing, 404, "Nothing is here", "The address is wrong, or it is not yours to see."),
    (BudgetSpent, 409, "No looks are left", "What has been asked before can still be seen."),
    (PolicyError, 409, "The rules do not allow this now", "Nothing was changed."),
    (NotReady, 503, "Not ready yet", "Something that must come first is not there. Try again."),
    (Busy, 503, "Too many at once", "Nothing was changed. Try again in a moment."),
    (ServiceRefused, 409, "That cannot be done now", "Nothing was changed."),
    (StoreRefused, 409, "That cannot be done now", "Nothing was changed."),
    (
        RequestValidationError,
        422,
        "That was not understood",
        "Go back; check the address, or fill in every field.",
    ),
)
REFUSALS = tuple(kind for kind, *_ in _WORDS)
_SAYS_WHY = (PolicyError, ServiceRefused)


def refusal(request: Request, refused: Exception) -> HTMLResponse:
    """A refusal as a page: what happened, what it means, what to do."""
    for kind, status, title, advice in _WORDS:
        if isinstance(refused, kind):
            why = str(refused) if isinstance(refused, _SAYS_WHY) else ""
            return render(
                request, "message.html", status=status, title=title, advice=advice, why=why
            )
    raise refused


class PageRoute(APIRoute):
    """A route whose refusals are pages for people, not problems for programs."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the handler: a lost session asks to sign in, a typed refusal is explained."""
        inner = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await inner(request)
            except NotSignedIn:
                return render(request, "signed_out.html", status=401)
            except REFUSALS as refused:
                return refusal(request, refused)

        return handler

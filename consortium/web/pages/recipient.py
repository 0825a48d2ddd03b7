"""What a letter's links open: why it came, and how it stops. No script, no sign-in."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import PlainTextResponse, Response

from consortium.service.hear_back import TYPED
from consortium.store.errors import Missing
from consortium.web.desk import desk
from consortium.web.page import PageRoute, render
from consortium.web.pages.words import SCOPES, WORDS
from mailer.errors import AddressRefused

router = APIRouter(route_class=PageRoute, include_in_schema=False)
ONE_CLICK = "One-Click"
Language = Annotated[str, Query(alias="lang")]


@router.get("/u/{capability}")
def ask(request: Request, capability: str, lang: Language = "en") -> Response:
    """The page with the stop buttons. Opening it changes nothing: scanners open links too."""
    return _page(request, "unsubscribe.html", capability, lang)


@router.get("/why/{capability}")
def why(request: Request, capability: str, lang: Language = "en") -> Response:
    """One sentence why, the trail, the stop buttons."""
    return _page(request, "why.html", capability, lang)


@router.get("/why/{capability}/receipt")
def receipt(request: Request, capability: str, lang: Language = "en") -> Response:
    """The trail as a file: ``trellis audit receipt`` checks it offline."""
    try:
        body = desk(request).letter_receipt(capability)
    except Missing:
        return _unknown(request, lang)
    held = {"content-disposition": 'attachment; filename="letter.receipt"'}
    return _private(
        Response(
            body,
            media_type="application/octet-stream",
            headers={"cache-control": "no-store", **held},
        )
    )


@router.get("/stop")
def ask_typed(request: Request, lang: Language = "en") -> Response:
    """A form for who has no working link: an address, typed."""
    return _typed(request, lang)


@router.post("/stop")
def stop_typed(
    request: Request,
    address: Annotated[str, Form()] = "",
    scope: Annotated[str, Form()] = "",
    lang: Language = "en",
) -> Response:
    """Stop letters to an address that was typed; the answer never says whether we know it."""
    if scope not in TYPED:
        return _typed(request, lang, status=422)
    try:
        desk(request).ask_stop(address, scope)
    except AddressRefused:
        return _typed(request, lang, status=422, wrong=True)
    return _typed(request, lang, scope=scope)


def _typed(request: Request, lang: str, *, status: int = 200, **facts: Any) -> Response:
    language = lang if lang in WORDS else "en"
    words = WORDS[language]
    page = render(request, "typed.html", status=status, lang=language, words=words, **facts)
    return _private(page)


@router.post("/u/{capability}")
def stop(
    request: Request,
    capability: str,
    one_click: Annotated[str, Form(alias="List-Unsubscribe")] = "",
    scope: Annotated[str, Form()] = "",
    lang: Language = "en",
) -> Response:
    """Stop, at once and as often as asked; the second time changes nothing and answers the same.

    The link itself is the authority: no cookie, no token, no redirect.

    Source:
        RFC 8058, 3.1 and 3.2.
    """
    by_machine = one_click == ONE_CLICK
    chosen = "race" if by_machine else scope
    if chosen not in SCOPES:
        return _page(request, "unsubscribe.html", capability, lang, status=422)
    try:
        desk(request).hear_stop(capability, chosen)
    except Missing:
        return _machine("Unknown link.\n", 404) if by_machine else _unknown(request, lang)
    if by_machine:
        return _machine("Stopped.\n", 200)
    return _page(request, "stopped.html", capability, lang, scope=chosen)


def _page(
    request: Request, template: str, capability: str, lang: str, *, status: int = 200, **facts: Any
) -> Response:
    try:
        view = desk(request).recipient(capability)
        if request.method == "GET":
            desk(request).visited(capability)
    except Missing:
        return _unknown(request, lang)
    language = lang if lang in WORDS else "en"
    return _private(
        render(
            request,
            template,
            status=status,
            view=view,
            capability=capability,
            lang=language,
            words=WORDS[language],
            scopes=SCOPES,
            **facts,
        )
    )


def _unknown(request: Request, lang: str) -> Response:
    """The same page for every link that we do not know: it tells nothing about anybody."""
    language = lang if lang in WORDS else "en"
    return _private(
        render(request, "unknown_link.html", status=404, lang=language, words=WORDS[language])
    )


def _machine(text: str, status: int) -> Response:
    return _private(
        PlainTextResponse(text, status_code=status, headers={"cache-control": "no-store"})
    )


def _private(answer: Response) -> Response:
    answer.headers["x-robots-tag"] = "noindex, nofollow, noarchive"
    return answer

"""What a volunteer lends their name to; they confirm, refuse, or take it back. No script."""

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from consortium.service.errors import WrongState
from consortium.web.desk import desk
from consortium.web.page import PageRoute, go, render
from consortium.web.pages.signer_words import SIGNER_WORDS

router = APIRouter(route_class=PageRoute, include_in_schema=False)
Language = Annotated[str, Query(alias="lang")]


@router.get("/messenger/{token}")
def ask(request: Request, token: str, lang: Language = "en") -> Response:
    """Everything that is signed in their name, letter by letter. Opening it changes nothing."""
    return _page(request, token, lang, 200)


@router.post("/messenger/{token}")
def answer(
    request: Request,
    token: str,
    answer: Annotated[str, Form()] = "",
    daily: Annotated[str | None, Form()] = None,
    lang: Language = "en",
) -> Response:
    """Confirm, with a limit, or refuse and take back. The link is the authority: no cookie."""
    typed = None if daily is None else daily.strip() or "0"  # left empty: no limit
    if answer not in ("yes", "no") or not (typed is None or _number(typed)):
        return _page(request, token, lang, 422)
    if answer == "no":
        desk(request).refuse_to_lend(token)
        return go(_here(token, lang))
    try:
        desk(request).lend(token, None if typed is None else int(typed))
    except WrongState:
        return _page(request, token, lang, 422)
    return go(_here(token, lang))


def _number(typed: str) -> bool:
    return typed.isascii() and typed.isdigit() and len(typed) < 7


def _here(token: str, lang: str) -> str:
    return f"/messenger/{token}" + ("?lang=es" if lang == "es" else "")


def _page(request: Request, token: str, lang: str, status: int) -> Response:
    language = lang if lang in SIGNER_WORDS else "en"
    shown = render(
        request,
        "messenger.html",
        status=status,
        lang=language,
        words=SIGNER_WORDS[language],
        view=desk(request).lending(token),
        letters=desk(request).letters_to_sign(token),
        action=_here(token, language),
        token=token,
    )
    shown.headers["x-robots-tag"] = "noindex, nofollow, noarchive"
    return shown

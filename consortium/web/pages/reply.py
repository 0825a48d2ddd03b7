"""What is asked about a reply: may it be passed on, and where a messenger's go. No script."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from consortium.store.errors import Missing
from consortium.web.desk import desk
from consortium.web.page import PageRoute, render
from consortium.web.pages.words import WORDS
from mailer.errors import AddressRefused

router = APIRouter(route_class=PageRoute, include_in_schema=False)
Language = Annotated[str, Query(alias="lang")]
Answer = Annotated[str, Form()]


@router.get("/reply/{token}")
def ask(request: Request, token: str, lang: Language = "en") -> Response:
    """What passing this reply on shows, and to whom. Opening it changes nothing."""
    return _reply(request, token, lang, 200)


@router.post("/reply/{token}")
def answer(request: Request, token: str, answer: Answer = "", lang: Language = "en") -> Response:
    """Pass it on, or delete it. The link itself is the authority: no cookie."""
    if answer not in ("yes", "no"):
        return _reply(request, token, lang, 422)
    try:
        desk(request).answer_reply(token, yes=answer == "yes")
    except Missing:
        return _unknown(request, lang)
    return _reply(request, token, lang, 200)


@router.get("/messenger/{token}/replies")
def where(request: Request, token: str, lang: Language = "en") -> Response:
    """Where a messenger's replies go; the address itself is never shown."""
    return _box(request, token, lang, 200)


@router.post("/messenger/{token}/replies")
def type_where(
    request: Request,
    token: str,
    address: Annotated[str, Form()] = "",
    drop: Annotated[str, Form()] = "",
    lang: Language = "en",
) -> Response:
    """Name an address, or none; it is sealed at once, and asked before anything goes there."""
    if bool(address) == bool(drop):
        return _box(request, token, lang, 422, wrong=True)
    try:
        desk(request).type_reply_box(token, address)
    except AddressRefused:
        return _box(request, token, lang, 422, wrong=True)
    except Missing:
        return _unknown(request, lang)
    return _box(request, token, lang, 200)


@router.get("/replies/{token}")
def ask_box(request: Request, token: str, lang: Language = "en") -> Response:
    """Whether replies may come to the address that got this link. Opening it changes nothing."""
    return _proof(request, token, lang, 200)


@router.post("/replies/{token}")
def prove_box(request: Request, token: str, answer: Answer = "", lang: Language = "en") -> Response:
    """They may, or the address is deleted."""
    if answer not in ("yes", "no"):
        return _proof(request, token, lang, 422)
    try:
        desk(request).prove_box(token, yes=answer == "yes")
    except Missing:
        return _unknown(request, lang)
    return _proof(request, token, lang, 200)


def _reply(request: Request, token: str, lang: str, status: int) -> Response:
    try:
        view = desk(request).waiting_reply(token)
    except Missing:
        return _unknown(request, lang)
    return _page(request, "reply.html", lang, status, view=view, token=token)


def _box(request: Request, token: str, lang: str, status: int, **facts: Any) -> Response:
    try:
        view = desk(request).reply_box(token)
    except Missing:
        return _unknown(request, lang)
    return _page(request, "reply_box.html", lang, status, view=view, token=token, **facts)


def _proof(request: Request, token: str, lang: str, status: int) -> Response:
    try:
        view = desk(request).asked_box(token)
    except Missing:
        return _page(request, "reply_proof.html", lang, 404, view=None, token=token)
    return _page(request, "reply_proof.html", lang, status, view=view, token=token)


def _unknown(request: Request, lang: str) -> Response:
    return _page(request, "unknown_link.html", lang, 404)


def _page(request: Request, template: str, lang: str, status: int, **facts: Any) -> Response:
    language = lang if lang in WORDS else "en"
    words = WORDS[language]
    shown = render(request, template, status=status, lang=language, words=words, **facts)
    shown.headers["x-robots-tag"] = "noindex, nofollow, noarchive"
    return shown

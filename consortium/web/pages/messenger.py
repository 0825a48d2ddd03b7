"""What a volunteer lends their name to; they confirm, refuse, or take it back. No script."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from consortium.service.errors import WrongState
from consortium.web.desk import desk
from consortium.web.page import PageRoute, go, render

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/messenger/{token}")
def ask(request: Request, token: str) -> Response:
    """Everything that will be signed in their name. Opening it changes nothing."""
    return _page(request, token, 200)


@router.post("/messenger/{token}")
def answer(
    request: Request,
    token: str,
    answer: Annotated[str, Form()] = "",
    daily: Annotated[str | None, Form()] = None,
) -> Response:
    """Confirm, with a limit, or refuse and take back. The link is the authority: no cookie."""
    typed = None if daily is None else daily.strip() or "0"  # left empty: no limit
    if answer not in ("yes", "no") or not (typed is None or _number(typed)):
        return _page(request, token, 422)
    if answer == "no":
        desk(request).refuse_to_lend(token)
        return go(f"/messenger/{token}")
    try:
        desk(request).lend(token, None if typed is None else int(typed))
    except WrongState:
        return _page(request, token, 422)
    return go(f"/messenger/{token}")


def _number(typed: str) -> bool:
    return typed.isascii() and typed.isdigit() and len(typed) < 7


def _page(request: Request, token: str, status: int) -> Response:
    shown = render(
        request, "messenger.html", status=status, view=desk(request).lending(token), token=token
    )
    shown.headers["x-robots-tag"] = "noindex, nofollow, noarchive"
    return shown

"""Our own people's addresses: named by them, asked about by a link, and tests sent there."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from consortium.service.errors import NotReady
from consortium.store.errors import Missing
from consortium.web.desk import desk
from consortium.web.page import PageRoute, go, render
from consortium.web.who import Writer
from mailer.errors import AddressRefused

router = APIRouter(route_class=PageRoute, include_in_schema=False)
Text = Annotated[str, Form()]


@router.post("/campaigns/{id}/address")
def name(request: Request, id: str, session: Writer, address: Text = "") -> Response:
    """Name the address that tests go to; it is sealed at once and never shown."""
    try:
        desk(request).type_own_box(session.caller, address)
    except (AddressRefused, NotReady):
        return go(f"/campaigns/{id}?test=refused#test")
    return go(f"/campaigns/{id}#test")


@router.post("/campaigns/{id}/test")
def test(request: Request, id: str, session: Writer) -> Response:
    """Send the letter to its author's own address."""
    try:
        desk(request).order_test(session.caller, id)
    except NotReady:
        return go(f"/campaigns/{id}?test=enough#test")
    return go(f"/campaigns/{id}?test=ordered#test")


@router.get("/own/{token}")
def ask(request: Request, token: str) -> Response:
    """Whether letters may come to the address that got this link. Opening it changes nothing."""
    return _page(request, token, 200)


@router.post("/own/{token}")
def answer(request: Request, token: str, answer: Text = "") -> Response:
    """They may, or the address is deleted. The link itself is the authority: no cookie."""
    if answer not in ("yes", "no"):
        return _page(request, token, 422)
    try:
        desk(request).prove_own_box(token, yes=answer == "yes")
    except Missing:
        return _page(request, token, 404)
    return _page(request, token, 200)


def _page(request: Request, token: str, status: int) -> Response:
    try:
        view = desk(request).asked_own_box(token)
    except Missing:
        view, status = None, 404 if request.method == "GET" else status
    shown = render(request, "own.html", status=status, view=view, token=token)
    shown.headers["x-robots-tag"] = "noindex, nofollow, noarchive"
    return shown

"""The front page, a one-time link, signing out."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from consortium.service.errors import NotSignedIn
from consortium.web.desk import desk
from consortium.web.page import PageRoute, go, render
from consortium.web.who import Anyone, Writer, cookie_name, end_cookie, set_cookie

router = APIRouter(route_class=PageRoute, include_in_schema=False)
HOMES = {"coordinator": "/campaigns", "partner": "/lists", "auditor": "/audit"}


@router.get("/")
def front(request: Request, session: Anyone) -> Response:
    """What Trellis is; for somebody signed in, what waits for them."""
    if session is None:
        return render(request, "front.html")
    caller = session.caller
    campaigns = lists = None
    if caller.role in ("coordinator", "partner"):
        campaigns = desk(request).campaigns(caller)
    if caller.role == "partner":
        lists = desk(request).contributions(caller)
    return render(request, "home.html", session=session, campaigns=campaigns, lists=lists)


@router.get("/sign-in/{token}")
def ask(request: Request, token: str) -> Response:
    """A button. Mail scanners open links, so opening one spends nothing."""
    return render(request, "sign_in.html", token=token)


@router.post("/sign-in/{token}")
def enter(request: Request, token: str) -> Response:
    """Spend the link, open a session, go to one's own page."""
    try:
        opened = desk(request).sign_in(token)
    except NotSignedIn:
        return render(request, "sign_in_failed.html", status=410)
    answer = go(HOMES.get(opened.caller.role, "/"))
    set_cookie(request, answer, opened.cookie)
    return answer


@router.post("/sign-out")
def leave(request: Request, session: Writer) -> Response:
    """End the session here and in the browser."""
    cookie = request.cookies[cookie_name(request)]
    desk(request).sign_out(cookie)
    answer = go("/")
    end_cookie(request, answer)
    return answer

"""The shared calendar: what is planned, when nothing leaves, what clashes; a partner's days."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from consortium.service.errors import WrongState
from consortium.service.sign_in import SignedIn
from consortium.web.desk import desk
from consortium.web.page import PageRoute, go, render
from consortium.web.pages import programme
from consortium.web.who import Reader, Writer

router = APIRouter(route_class=PageRoute, include_in_schema=False)
Text = Annotated[str, Form()]


@router.get("/calendar")
def calendar(request: Request, session: Reader) -> Response:
    """One calendar for the coordinator and every partner."""
    return _calendar(request, session)


@router.post("/calendar/keep")
def keep(request: Request, session: Writer, day: Text = "") -> Response:
    """This partner writes to its own members that day: no letter of the race leaves."""
    try:
        named = date.fromisoformat(day)
        desk(request).keep_day(session.caller, desk(request).race().id, named)
    except ValueError:
        return _calendar(request, session, refused="that is not a day such as 2026-10-05")
    except WrongState as no:
        return _calendar(request, session, refused=str(no))
    return go("/calendar")


@router.post("/calendar/give-back")
def give_back(request: Request, session: Writer, day: Text = "") -> Response:
    """Letters may leave that day after all."""
    try:
        named = date.fromisoformat(day)
    except ValueError:
        return _calendar(request, session, refused="that is not a day such as 2026-10-05")
    desk(request).give_day_back(session.caller, desk(request).race().id, named)
    return go("/calendar")


def _calendar(request: Request, session: SignedIn, *, refused: str = "") -> Response:
    found = desk(request).calendar(session.caller)
    boards = [one for one in desk(request).programmes(session.caller) if one.state != "replaced"]
    ahead = [
        (one, each)
        for one in boards
        for each in one.letters
        if each.sending and each.state in ("planned", "due", "missed")
    ]
    return render(
        request,
        "calendar.html",
        session=session,
        status=422 if refused else 200,
        calendar=found,
        planned=sorted(ahead, key=lambda each: each[1].sending.first),
        stands=programme.STATES,
        subjects={one.id: one.subject for one in found.campaigns},
        page_of="approvals" if session.caller.role == "partner" else "campaigns",
        mine=session.caller.partner or "",
        refused=refused,
    )

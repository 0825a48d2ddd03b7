"""Who is asked to sign letters, and what they said."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from consortium.service.errors import WrongState
from consortium.service.sign_in import SignedIn
from consortium.web.desk import desk
from consortium.web.page import PageRoute, render
from consortium.web.who import Reader, Writer

router = APIRouter(route_class=PageRoute, include_in_schema=False)
Text = Annotated[str, Form()]


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
    precinct: Text = "",
    daily: Text = "",
) -> Response:
    """Make a volunteer's own link. It is shown on this answer and never again."""
    race = desk(request).race()
    try:
        link = desk(request).invite_messenger(
            session.caller,
            race.id,
            name=name,
            place=place,
            zip=zip,
            precinct=precinct,
            daily=_limit(daily),
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

"""The coordinator's emails: each one's state, and the buttons that move or hold it."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from consortium.service.errors import NotReady
from consortium.web.desk import desk
from consortium.web.page import PageRoute, framed, framed_words, go, render
from consortium.web.who import Reader, Writer
from policies.errors import DefinitionRefused

router = APIRouter(route_class=PageRoute, include_in_schema=False)
Text = Annotated[str, Form()]
MOVING = ("submitted", "approved", "frozen", "attested", "logged", "sending")


@router.get("/campaigns")
def campaigns(request: Request, session: Reader) -> Response:
    """Every email of this race that the caller may see."""
    caller = session.caller
    found = desk(request).campaigns(caller)
    return render(request, "campaigns.html", session=session, campaigns=found)


@router.get("/campaigns/{id}")
def campaign(request: Request, id: str, session: Reader, test: str = "") -> Response:
    """One email: its state, what is approved, who said yes, how far it is."""
    caller = session.caller
    found = desk(request).campaign(caller, id)
    return render(
        request,
        "campaign.html",
        session=session,
        campaign=found,
        moving=found.state in MOVING,
        proof=desk(request).checks(caller, id),
        figures=desk(request).figures(caller, id),
        own=desk(request).own_box(caller),
        tested=test,
    )


@router.post("/campaigns/{id}/figures")
def figures(request: Request, id: str, session: Writer) -> Response:
    """Ask what became of a closed email. Asked once, it is the same answer for good."""
    caller = session.caller
    desk(request).ask_figures(caller, id)
    return go(f"/{'approvals' if caller.role == 'partner' else 'campaigns'}/{id}")


@router.get("/campaigns/{id}/progress")
def progress(request: Request, id: str, session: Reader) -> Response:
    """The part of the page that changes by itself."""
    caller = session.caller
    found = desk(request).campaign(caller, id)
    return render(request, "_progress.html", session=session, campaign=found)


@router.get("/campaigns/{id}/preview")
def preview(
    request: Request,
    id: str,
    session: Reader,
    language: str = "",
    kind: str = "",
    code: str = "",
    part: str = "",
    arm: int = 1,
) -> Response:
    """The letter as a made-up reader of a place gets it, for a sandboxed frame."""
    try:
        shown = desk(request).preview(
            session.caller, id, language=language, at=(kind, code.strip()), arm=arm
        )
    except (DefinitionRefused, NotReady) as refused:
        return framed_words([f"Nothing is shown. The {refused}."], status=422)
    if part == "text":
        return framed_words([shown.subject, shown.text])
    return framed(shown.html)


@router.get("/campaigns/{id}/stop")
def ask_stop(request: Request, id: str, session: Reader) -> Response:
    """What stopping means, and the word to type."""
    caller = session.caller
    found = desk(request).campaign(caller, id)
    return render(request, "stop.html", session=session, campaign=found, mistyped=False)


@router.post("/campaigns/{id}/stop")
def stop(request: Request, id: str, session: Writer, confirm: Text = "") -> Response:
    """Stop it for good, when the word was typed."""
    caller = session.caller
    if confirm.strip().lower() != "stop":
        found = desk(request).campaign(caller, id)
        return render(
            request, "stop.html", session=session, campaign=found, mistyped=True, status=422
        )
    desk(request).stop(caller, id)
    return go(f"/campaigns/{id}")


@router.post("/campaigns/{id}/submit")
def submit(request: Request, id: str, session: Writer) -> Response:
    """Ask the partners."""
    caller = session.caller
    desk(request).submit(caller, id)
    return go(f"/campaigns/{id}")


@router.post("/campaigns/{id}/schedule")
def schedule(request: Request, id: str, session: Writer) -> Response:
    """Let it go within its window."""
    caller = session.caller
    desk(request).schedule(caller, id)
    return go(f"/campaigns/{id}")


@router.post("/campaigns/{id}/pause")
def pause(request: Request, id: str, session: Writer) -> Response:
    """Hold it; harmless, so it asks nothing."""
    caller = session.caller
    desk(request).pause(caller, id)
    return go(f"/campaigns/{id}")


@router.post("/campaigns/{id}/resume")
def resume(request: Request, id: str, session: Writer) -> Response:
    """Go on where it was."""
    caller = session.caller
    desk(request).resume(caller, id)
    return go(f"/campaigns/{id}")

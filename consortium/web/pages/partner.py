"""The partner's screens: lists and receipts, what waits for a yes, one button that stops it."""

import json
from typing import Any

import rfc8785
from fastapi import APIRouter, Request
from starlette.responses import Response

from consortium.service.sign_in import SignedIn
from consortium.store.errors import Missing
from consortium.web.desk import desk
from consortium.web.page import PageRoute, go, render
from consortium.web.who import Reader, Writer
from mailer.written import signed
from policies.errors import Denied

router = APIRouter(route_class=PageRoute, include_in_schema=False)


def own(session: SignedIn) -> SignedIn:
    """The session, if it is a partner's.

    Raises:
        Denied: it is anybody else's.
    """
    if session.caller.role != "partner":
        raise Denied("lists", "only a partner has lists and approvals")
    return session


@router.get("/lists")
def lists(request: Request, session: Reader) -> Response:
    """What this partner put in, and where each list stands."""
    caller = own(session).caller
    found = desk(request).contributions(caller)
    days = desk(request).backup_days
    return render(request, "lists.html", session=session, lists=found, days=days)


@router.get("/lists/{id}/receipt")
def receipt(request: Request, id: str, session: Reader) -> Response:
    """The receipt as a file, to be checked offline with ``trellis audit receipt``."""
    caller = own(session).caller
    found = desk(request).receipt(caller, id)
    return Response(
        json.dumps(found, indent=1, sort_keys=True) + "\n",
        media_type="application/json",
        headers={
            "content-disposition": f'attachment; filename="receipt-{_file_name(id)}.json"',
            "cache-control": "no-store",
        },
    )


@router.get("/lists/{id}/withdraw")
def ask_withdraw(request: Request, id: str, session: Reader) -> Response:
    """What withdrawing ends, and the two ways to sign it."""
    caller = own(session).caller
    found = desk(request).contributions(caller)
    for each in found:
        if str(each.id) == id:
            days = desk(request).backup_days
            return render(request, "withdraw.html", session=session, one=each, days=days)
    raise Missing("no such list")


@router.get("/approvals")
def approvals(request: Request, session: Reader) -> Response:
    """What waits for this partner's yes, and what it said yes to."""
    caller = own(session).caller
    found = desk(request).campaigns(caller)
    return render(request, "approvals.html", session=session, campaigns=found)


@router.get("/approvals/{id}")
def approval(request: Request, id: str, session: Reader) -> Response:
    """Exactly the manifest and the letter whose digest is signed."""
    caller = own(session).caller
    found = desk(request).campaign(caller, id)
    return render(
        request,
        "approval.html",
        session=session,
        campaign=found,
        mine=mine(found, caller.partner or ""),
        manifest_bytes=exact(found.manifest) if found.manifest else "",
        template_bytes=exact(signed(found.template)),
        proof=desk(request).checks(caller, id),
        figures=desk(request).figures(caller, id),
    )


@router.post("/approvals/{id}/stop")
def stop(request: Request, id: str, session: Writer) -> Response:
    """Any one partner stops any letter, with one button and no questions."""
    caller = own(session).caller
    desk(request).stop(caller, id)
    return go(f"/approvals/{id}")


def mine(campaign: Any, partner: str) -> Any:
    """This partner's own line among the approvals, or None when its yes is not asked."""
    return next((each for each in campaign.approvals if each.partner == partner), None)


def exact(value: Any) -> str:
    """The bytes that are hashed, RFC 8785, as the text that the page shows."""
    return rfc8785.dumps(value).decode()


def _file_name(id: str) -> str:
    return "".join(c for c in id if c.isascii() and (c.isalnum() or c == "-"))[:40]

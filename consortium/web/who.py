"""Who is asking: verifies a session and yields a Caller; refuses a form from anywhere else."""

import hmac
from typing import Annotated

from fastapi import Depends, Form, Request
from starlette.responses import Response

from consortium.service.errors import NotSignedIn
from consortium.service.sign_in import SignedIn
from consortium.web.desk import desk
from consortium.web.errors import CsrfRefused

TOKEN_HEADER = "x-csrf-token"  # noqa: S105  the header's name, no secret


def cookie_name(request: Request) -> str:
    """``__Host-`` binds the cookie to this host and to TLS; plain HTTP is for one's own machine."""
    return "__Host-trellis" if request.url.scheme == "https" else "trellis"


def set_cookie(request: Request, answer: Response, cookie: str) -> None:
    """Give the browser its session: no script reads it, no other site sends it with a form."""
    answer.set_cookie(
        cookie_name(request),
        cookie,
        httponly=True,
        secure=request.url.scheme == "https",
        samesite="lax",
        path="/",
    )


def end_cookie(request: Request, answer: Response) -> None:
    """Take the session away from the browser."""
    answer.delete_cookie(cookie_name(request), path="/", httponly=True, samesite="lax")


def signed_in(request: Request) -> SignedIn:
    """The session behind the request's cookie.

    Raises:
        NotSignedIn: there is none, or it is over.
    """
    cookie = request.cookies.get(cookie_name(request))
    if not cookie:
        raise NotSignedIn("not signed in")
    return desk(request).who(cookie)


def perhaps(request: Request) -> SignedIn | None:
    """As ``signed_in``, for pages that anybody may read."""
    try:
        return signed_in(request)
    except NotSignedIn:
        return None


def check_token(session: SignedIn, token: str) -> None:
    """Check that a form or a script of our own page sent this.

    Raises:
        CsrfRefused: the token is not this session's.
    """
    if not hmac.compare_digest(session.csrf.encode(), token.encode()):
        raise CsrfRefused("this form is from another session; open the page again and repeat")


def posted(
    session: Annotated[SignedIn, Depends(signed_in)], csrf: Annotated[str, Form()] = ""
) -> SignedIn:
    """The session of a form on one of our pages, its token checked."""
    check_token(session, csrf)
    return session


def scripted(request: Request, session: Annotated[SignedIn, Depends(signed_in)]) -> SignedIn:
    """The session of a script on one of our pages: whatever changes something carries the token."""
    if request.method not in ("GET", "HEAD"):
        check_token(session, request.headers.get(TOKEN_HEADER, ""))
    return session


Reader = Annotated[SignedIn, Depends(signed_in)]
Writer = Annotated[SignedIn, Depends(posted)]
Anyone = Annotated[SignedIn | None, Depends(perhaps)]

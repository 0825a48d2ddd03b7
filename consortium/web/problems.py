"""One table: which typed error becomes which RFC 9457 problem. What is not in it is a bare 500."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from consortium.service import errors as service
from consortium.store import errors as store
from consortium.web import errors as web
from mailer import errors as mailer
from matching import errors as matching
from policies import errors as policies
from provenance import errors as provenance

MEDIA = "application/problem+json"
PREFIX = "urn:trellis:problem:"


@dataclass(frozen=True, slots=True)
class Problem:
    """A kind of problem; its section in docs/problems.md has the same name."""

    name: str
    status: int
    title: str


# More particular errors come first: the first match counts.
TABLE: tuple[tuple[type[Exception], Problem], ...] = (
    (service.NotSignedIn, Problem("not-signed-in", 401, "Sign in first")),
    (web.CsrfRefused, Problem("stale-form", 403, "This form is not from your present session")),
    (web.UploadBroken, Problem("upload-broken", 400, "The upload broke off")),
    (web.UploadTooLarge, Problem("too-large", 413, "Larger than what is taken")),
    (policies.Denied, Problem("not-allowed", 403, "The rules do not allow this")),
    (store.Missing, Problem("not-found", 404, "There is nothing here")),
    (service.EntryMisfits, Problem("entry-misfits", 422, "The signed entry says something else")),
    (service.PartMissing, Problem("part-missing", 410, "An uploaded part is not here")),
    (service.WrongState, Problem("wrong-state", 409, "Not in the state that it is in")),
    (service.NotReady, Problem("not-ready", 409, "Something must come first; try again later")),
    (store.Conflict, Problem("conflict", 409, "That id names something else already")),
    (store.LeaseLost, Problem("conflict", 409, "Somebody else is working on it")),
    (store.Busy, Problem("busy", 503, "Too many at once; try again in a moment")),
    (store.ArtefactRefused, Problem("not-kept", 507, "The file could not be kept; nothing was")),
    (store.Unstorable, Problem("unstorable", 422, "A value that cannot be kept")),
    (policies.TooFew, Problem("too-few", 409, "Too few people to protect them")),
    (policies.BudgetSpent, Problem("budget-spent", 429, "No looks left")),
    (policies.NotYetApproved, Problem("not-approved", 409, "Not everybody has said yes")),
    (policies.LedgerBroken, Problem("ledger-broken", 500, "The privacy ledger does not add up")),
    (policies.PolicyError, Problem("refused", 422, "This does not fit the agreement or the rules")),
    (mailer.TemplateRefused, Problem("template", 422, "The letter needs changes")),
    (mailer.MailerError, Problem("letter", 422, "The letter cannot be made like this")),
    (matching.MatchingError, Problem("bundle", 422, "The uploaded file is not as it must be")),
    (provenance.ProvenanceError, Problem("entry", 422, "The entry or its openings do not hold")),
)

FORM = Problem("form", 422, "The request is not of the right form")
HTTP = Problem("http", 400, "The request cannot be answered")
FAULT = Problem("fault", 500, "Something failed here")
UNTYPED = (FORM, HTTP, FAULT)
"""Problems that come from no error of ours: a body's form, HTTP itself, what nobody foresaw."""


def problem_of(error: Exception) -> tuple[Problem, str] | None:
    """The problem that an error is, and what it says; None for what nobody foresaw."""
    for kind, problem in TABLE:
        if isinstance(error, kind):
            return problem, str(error)
    return None


def answer(problem: Problem, detail: str, **more: object) -> Response:
    """One problem as a response."""
    body = {
        "type": PREFIX + problem.name,
        "title": problem.title,
        "status": problem.status,
        "detail": detail,
        **more,
    }
    headers = {"Retry-After": "2"} if problem.status == 503 else None
    return JSONResponse(body, problem.status, media_type=MEDIA, headers=headers)


def _foreseen(_: Request, error: Exception) -> Response:
    found = problem_of(error)
    assert found is not None
    problem, detail = found
    if isinstance(error, mailer.TemplateRefused):
        lines = [{"line": p.line, "what": p.what, "do": p.todo} for p in error.problems]
        return answer(problem, detail, problems=lines)
    return answer(problem, detail)


def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    detail = "not of the form that this call needs: " + ", ".join(
        sorted({_where(one) for one in error.errors()})
    )
    return answer(FORM, detail)


def _where(one: Mapping[str, Any]) -> str:
    """Where, never what: pydantic would quote the value that was sent.

    A name that we did not give (a superfluous field, a key of a free object) was sent, too.
    """
    place = [str(part) for part in one["loc"]]
    if one["type"] == "extra_forbidden":
        return ".".join((*place[:-1], "(a field that is not known)"))
    # Below a field of the body only a header's names are ours.
    return ".".join(place[: 3 if place[1:2] == ["header"] else 2])


def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    # Only the standard's own phrase: a detail may have been made from what was sent.
    phrase = HTTPStatus(error.status_code).phrase
    made = answer(Problem(HTTP.name, error.status_code, HTTP.title), phrase)
    made.headers.update(error.headers or {})
    return made


def _unforeseen(_: Request, __: Exception) -> Response:
    return answer(FAULT, "It is not your doing.")


def install(app: FastAPI) -> None:
    """Teach an application the table."""
    for kind, _ in TABLE:
        app.add_exception_handler(kind, _foreseen)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unforeseen)

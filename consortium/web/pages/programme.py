"""A plan of several letters on one page: its days on a line, what waits for whom, and a no."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from consortium.service.errors import NotReady, WrongState
from consortium.service.sign_in import SignedIn
from consortium.web.desk import desk
from consortium.web.page import PageRoute, go, render
from consortium.web.pages.partner import own
from consortium.web.who import Reader, Writer
from mailer.errors import TemplateRefused
from policies.errors import Denied, PolicyError

router = APIRouter(route_class=PageRoute, include_in_schema=False)
Text = Annotated[str, Form()]
Many = Annotated[list[str], Form(default_factory=list)]
WIDTH = 1000
"""Units of the line from its first day to its last."""
STEPS = {
    "invite": "Invitation",
    "ask": "Ask",
    "plan": "Plan to vote",
    "remind": "Reminder",
    "thank": "Thank you",
    "rapid": "Rapid response",
}
DEADLINES = {
    "registration": "Registration ends",
    "ballot_drop": "Ballots are mailed",
    "early_vote": "Early voting",
    "polls": "Election",
}
STATES = {
    "proposed": ("Waiting for partners", "warn"),
    "approved": ("Approved by all", "ok"),
    "held": ("Held: somebody said no", "dan"),
    "replaced": ("Replaced by another plan", ""),
    "planned": ("Planned", ""),
    "due": ("To be asked for", "warn"),
    "missed": ("Not asked for in time", "dan"),
    "no day": ("No free day is left", "dan"),
    "ready": ("Kept ready", ""),
}


@dataclass(frozen=True, slots=True)
class Mark:
    """Something on the line, in units from its left end. kind: letter, deadline, avoid, closed."""

    kind: str
    label: str
    x: float
    width: float


def line(board: Any) -> tuple[list[Mark], list[tuple[str, float]]]:
    """What stands where on the line, and its Mondays."""
    sendings = [one for one in board.letters if one.sending]
    ends = [day for one in sendings for day in (one.sending.ask, one.sending.last)]
    every = [*ends, *board.deadlines.values(), *board.avoid, board.today]
    first, last = min(every) - timedelta(days=1), max(every) + timedelta(days=2)
    day = WIDTH / (last - first).days

    def mark(kind: str, label: str, begin: date, end: date) -> Mark:
        days = (end - begin).days + 1
        return Mark(kind, label, round((begin - first).days * day, 1), round(days * day, 1))

    closed = [one for one in board.closed if first <= one < last]
    marks = [mark("closed", "a day without letters", one, one) for one in closed]
    marks += [mark("avoid", "other news", one, one) for one in board.avoid]
    soonest = sorted(board.deadlines.items(), key=lambda each: (each[1], each[0]))
    marks += [mark("deadline", DEADLINES[name], at, at) for name, at in soonest]
    for one in sendings:
        marks.append(mark("ask", one.id, one.sending.ask, one.sending.first - timedelta(days=1)))
        marks.append(mark("letter", one.id, one.sending.first, one.sending.last))
    marks.append(mark("today", "Today", board.today, board.today))
    monday = first + timedelta(days=-first.weekday() % 7)
    weeks = range((last - monday).days // 7 + 1)
    days = [monday + timedelta(days=7 * n) for n in weeks if monday + timedelta(days=7 * n) < last]
    return marks, [(f"{one:%b} {one.day}", round((one - first).days * day, 1)) for one in days]


def crowded(board: Any) -> list[tuple[str, date, date]]:
    """Planned letters that a rapid one takes readers from: subject, and its first days that do.

    Under a cap of one letter in seven days; under a higher one there may be room.
    """
    if board.a_week > 1:
        return []
    week = timedelta(days=7)
    ahead = [one for one in board.letters if one.sending and one.sending.last >= board.today]
    return [(one.subject, one.sending.first - week, one.sending.last + week) for one in ahead]


def texts(template: Mapping[str, Any]) -> list[str]:
    """What a reader reads of a letter, line by line, its local words still open."""

    def read(value: Any) -> list[str]:
        if isinstance(value, str):
            return [value] if value.strip() else []
        inner: Sequence[Any] = value if isinstance(value, list) else ()
        if isinstance(value, dict):
            inner = [value[key] for key in ("text", "items", "rows", "label") if key in value]
        return [each for one in inner for each in read(one)]

    return read(template.get("blocks")) or read(template.get("mjml"))


@router.get("/programmes")
def programmes(request: Request, session: Reader) -> Response:
    """Every plan of the race."""
    found = desk(request).programmes(session.caller)
    return render(request, "programmes.html", session=session, boards=found, stands=STATES)


@router.get("/programmes/{id}")
def programme(request: Request, id: str, session: Reader) -> Response:
    """One plan: the same for its coordinator and its partners, but for what each may do."""
    return _page(request, session, id)


@router.post("/programmes/{id}/refuse")
def refuse(request: Request, id: str, session: Writer, campaign: Text = "") -> Response:
    """A partner's no: nothing more goes by silence; a letter that is named is stopped for good."""
    desk(request).refuse_programme(own(session).caller, id, campaign)
    return go(f"/programmes/{id}")


@router.post("/programmes/{id}/ask/{letter}")
def ask(
    request: Request,
    id: str,
    letter: str,
    session: Writer,
    slot: Many,
    word: Many,
    first: Text = "",
) -> Response:
    """Ask the partners for one letter, with the local words of the form."""
    if session.caller.role != "coordinator":
        raise Denied("draft", "only a coordinator asks for letters")
    words = {name: said.strip() for name, said in zip(slot, word, strict=False) if said.strip()}
    try:
        day = date.fromisoformat(first) if first else None
        desk(request).ask_letter(session.caller, id, letter, words, day)
    except TemplateRefused as no:
        said = "; ".join(f"{one.place}: {one.what}" for one in no.problems)
        return _page(request, session, id, refused=said)
    except ValueError:
        return _page(request, session, id, refused="that is not a day such as 2026-10-05")
    except (WrongState, NotReady, PolicyError) as no:
        return _page(request, session, id, refused=str(no))
    return go(f"/programmes/{id}")


def _page(request: Request, session: SignedIn, id: str, refused: str = "") -> Response:
    found = desk(request).programme(session.caller, id)
    marks, weeks = line(found)
    return render(
        request,
        "programme.html",
        session=session,
        status=422 if refused else 200,
        board=found,
        marks=marks,
        weeks=weeks,
        texts=texts,
        crowded=crowded(found),
        stands=STATES,
        steps=STEPS,
        deadlines=DEADLINES,
        page_of="approvals" if session.caller.role == "partner" else "campaigns",
        refused=refused,
    )

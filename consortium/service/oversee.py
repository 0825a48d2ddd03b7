"""How a programme stands: its days, what was approved once, what waits for whom and until when.

It shows what every partner may see anyway: the plan's own words, days, and who has answered.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from consortium.service import keep_free, programme
from consortium.store import campaigns, programmes
from consortium.store.unit import Unit
from policies import caps, silence
from policies.agreement import Agreement
from policies.authorise import Caller, require
from policies.programme import Letter, Rapid, Sending
from policies.wording import Slot


@dataclass(frozen=True, slots=True)
class Came:
    """A campaign that came of a letter.

    waits: names of partners whose yes is still missing.
    ripe: when silence is a yes at the earliest, by the hour at which it was asked for; None when
        nothing waits, somebody said no, or this agreement knows no silence.
    """

    campaign: str
    state: str
    words: Mapping[str, str]
    waits: tuple[str, ...]
    ripe: datetime | None


@dataclass(frozen=True, slots=True)
class Standing:
    """One letter of the plan. state: planned, due, missed (nobody asked in time), ready (rapid), or
    asked; ``sending`` is None for one kept ready, and when partners' days leave it none."""

    id: str
    step: str
    deadline: str
    subject: str
    template: Mapping[str, Any]
    slots: tuple[Slot, ...]
    sending: Sending | None
    left: int
    state: str
    came: tuple[Came, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """A programme's page. ``answers`` by partner's name: yes, no, or None for nothing yet."""

    id: str
    name: str
    state: str
    digest: str
    today: date
    deadlines: Mapping[str, date]
    avoid: tuple[date, ...]
    closed: tuple[date, ...]
    answers: Mapping[str, bool | None]
    silence: tuple[int, int] | None
    a_week: int
    letters: tuple[Standing, ...]


def board(unit: Unit, caller: Caller, id: str, now: datetime) -> Board:
    """One programme for its page."""
    require(caller, "see_campaign")
    kept = programmes.get(unit, id)
    shown = programme.view(unit, caller, id)
    terms, made = programme.read(unit, kept)
    today = caps.local_day(terms, now)
    said = {one.partner: one.yes for one in shown.answers}
    days = {one.letter: one for one in shown.planned}
    came = _came(unit, terms, shown)
    every: tuple[Letter | Rapid, ...] = (*made.letters, *made.rapid)
    return Board(
        id,
        shown.name,
        shown.state,
        shown.digest,
        today,
        made.deadlines,
        made.avoid,
        tuple(sorted({*terms.blackout, *keep_free.days(unit, kept.race)})),
        {party.name: said.get(party.id) for party in terms.parties},
        (terms.silence.hours, terms.silence.rapid_hours) if terms.silence else None,
        terms.caps.letters_per_week,
        tuple(_standing(one, days.get(one.id), came.get(one.id, []), today) for one in every),
    )


def boards(unit: Unit, caller: Caller, now: datetime) -> list[Board]:
    """Every programme of the race, newest first."""
    require(caller, "see_campaign")
    return [board(unit, caller, one.id, now) for one in programme.readable(unit)]


def _standing(
    one: Letter | Rapid, sending: Sending | None, came: Sequence[Came], today: date
) -> Standing:
    planned = isinstance(one, Letter)
    return Standing(
        one.id,
        one.step if isinstance(one, Letter) else "rapid",
        one.deadline if isinstance(one, Letter) else "",
        str(one.template.get("subject", "")),
        one.template,
        tuple(one.slots.values()),
        sending,
        max((1 if isinstance(one, Letter) else one.most) - len(came), 0),
        "asked" if came and planned else _state(sending, today) if planned else "ready",
        tuple(came),
    )


def _state(sending: Sending | None, today: date) -> str:
    if sending is None or today >= sending.first:
        return "missed" if sending else "no day"
    return "due" if today >= sending.ask else "planned"


def _came(unit: Unit, terms: Agreement, shown: programme.View) -> dict[str, list[Came]]:
    names = {party.id: party.name for party in terms.parties}
    rapid = set(shown.rapid)
    found: dict[str, list[Came]] = {}
    for each in shown.made:
        one = campaigns.get(unit, each.campaign)
        sources = (one.manifest or {}).get("sources", [])
        yes = {a.partner for a in campaigns.approvals(unit, one.id, "approve")}
        waits = tuple(names[p] for p in sources if p not in yes) if one.state == "submitted" else ()
        ripe = None
        if waits and terms.silence and shown.state == "approved":
            ripe = silence.ripe(terms, each.at, rapid=each.letter in rapid)
        words = {name: str(said) for name, said in each.words.items()}
        found.setdefault(each.letter, []).append(Came(one.id, one.state, words, waits, ripe))
    return found

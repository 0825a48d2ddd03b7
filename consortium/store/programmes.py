"""Plans of several letters, what partners said of each, and which campaign came of which letter."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from consortium.store.errors import Missing
from consortium.store.rows import frozen
from consortium.store.tables import ProgrammeAnswerRow, ProgrammeLetterRow, ProgrammeRow
from consortium.store.unit import Unit


@dataclass(frozen=True, slots=True)
class Kept:
    """A programme; ``document`` is the exact bytes whose SHA-256 partners say yes to."""

    id: str
    race: str
    author: str
    digest: str
    document: bytes
    at: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """What a partner said of a programme last."""

    programme: str
    partner: str
    yes: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class Made:
    """The campaign that came of a letter, the ``turn``-th time, and the local words given."""

    campaign: str
    programme: str
    letter: str
    turn: int
    words: dict[str, Any]
    at: datetime


def add(unit: Unit, new: Kept) -> None:
    """Keep a new programme."""
    unit.session.add(ProgrammeRow(**{name: getattr(new, name) for name in Kept.__slots__}))
    unit.session.flush()


def get(unit: Unit, id: str) -> Kept:
    """The programme with this id, or ``Missing``."""
    row = unit.get(ProgrammeRow, id)
    if row is None:
        raise Missing("no programme has that id")
    return frozen(Kept, row)


def listed(unit: Unit, race: str) -> list[Kept]:
    """A race's programmes, newest first."""
    query = select(ProgrammeRow).where(ProgrammeRow.race == race)
    ordered = query.order_by(ProgrammeRow.at.desc(), ProgrammeRow.id)
    return [frozen(Kept, row) for row in unit.session.scalars(ordered)]


def answer(unit: Unit, new: Answer) -> None:
    """Keep what a partner says now instead of what it said before."""
    unit.session.merge(ProgrammeAnswerRow(**{n: getattr(new, n) for n in Answer.__slots__}))
    unit.session.flush()


def answers(unit: Unit, programme: str) -> list[Answer]:
    """What partners said last, by partner."""
    query = select(ProgrammeAnswerRow).where(ProgrammeAnswerRow.programme == programme)
    ordered = query.order_by(ProgrammeAnswerRow.partner)
    return [frozen(Answer, row) for row in unit.session.scalars(ordered)]


def made(unit: Unit, new: Made) -> None:
    """Remember which campaign came of a letter. One letter's turn is taken once."""
    unit.session.add(ProgrammeLetterRow(**{name: getattr(new, name) for name in Made.__slots__}))
    unit.session.flush()


def made_of(unit: Unit, programme: str) -> list[Made]:
    """The campaigns that came of a programme, first ones first."""
    query = select(ProgrammeLetterRow).where(ProgrammeLetterRow.programme == programme)
    ordered = query.order_by(ProgrammeLetterRow.at, ProgrammeLetterRow.campaign)
    return [frozen(Made, row) for row in unit.session.scalars(ordered)]


def of_campaign(unit: Unit, campaign: str) -> bool:
    """Whether a campaign came of a programme."""
    return unit.get(ProgrammeLetterRow, campaign) is not None


def hold(unit: Unit, campaign: str, partner: str, at: datetime) -> None:
    """A partner stopped a campaign: if it came of a programme, that partner's answer is no."""
    row = unit.get(ProgrammeLetterRow, campaign)
    if row is not None:
        answer(unit, Answer(row.programme, partner, False, at))

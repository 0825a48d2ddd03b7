"""The privacy ledger: charges that are never taken back, and the answers they bought."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from consortium.store.rows import frozen
from consortium.store.tables import CellRow, ChargeRow, MemoRow
from consortium.store.unit import Unit


@dataclass(frozen=True, slots=True)
class Charge:
    """One debit; ``units`` of rho 1e-6, ``head`` chains it to all before."""

    race: str
    part: str
    units: int
    question: str
    person: str
    head: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Memo:
    """The answer of a question; ``None`` while its noise has not been drawn yet."""

    race: str
    part: str
    question: str
    answer: int | None
    sigma: float


def charges(unit: Unit, race: str) -> list[Charge]:
    """Every charge of a race, oldest first."""
    query = select(ChargeRow).where(ChargeRow.race == race).order_by(ChargeRow.seq)
    return [frozen(Charge, row) for row in unit.session.scalars(query)]


def charge(unit: Unit, new: Charge, sigma: float) -> None:
    """Debit and open the memo, in the caller's transaction, before any noise is drawn."""
    unit.session.add(ChargeRow(**{name: getattr(new, name) for name in Charge.__slots__}))
    unit.session.add(
        MemoRow(race=new.race, part=new.part, question=new.question, answer=None, sigma=sigma)
    )
    unit.session.flush()


def memo(unit: Unit, race: str, part: str, question: str) -> Memo | None:
    """What this question was answered, if it was asked."""
    row = unit.get(MemoRow, (race, part, question))
    return None if row is None else frozen(Memo, row)


def answer(unit: Unit, race: str, part: str, question: str, value: int) -> int:
    """Fix the answer of a paid question; whoever came first wins, and that answer is returned."""
    row = unit.get(MemoRow, (race, part, question))
    if row is None:
        raise LookupError("a question must be paid before it is answered")
    if row.answer is None:
        row.answer = value
    return row.answer


def answer_named(unit: Unit, race: str, part: str, question: str, drawn: Mapping[str, int]) -> None:
    """Fix several numbers that one question bought, by name; whoever came first wins."""
    row = unit.get(MemoRow, (race, part, question))
    if row is None:
        raise LookupError("a question must be paid before it is answered")
    if row.answer is not None:
        return
    row.answer = len(drawn)
    for name, value in drawn.items():
        unit.session.add(CellRow(race=race, question=question, key=[name], answer=value))
    unit.session.flush()


def named(unit: Unit, race: str, question: str) -> dict[str, int]:
    """The numbers of such an answer."""
    query = select(CellRow).where(CellRow.race == race, CellRow.question == question)
    return {row.key[0]: row.answer for row in unit.session.scalars(query)}


CellKey = tuple[str, str, str, str]


def answer_cells(
    unit: Unit, race: str, question: str, drawn: Mapping[CellKey, int], sigma: float
) -> None:
    """Fix every cell of a paid cube at once; whoever came first wins."""
    if answer(unit, race, "A", question, 0) != 0 or cells(unit, race, question):
        return
    for key, value in drawn.items():
        unit.session.add(CellRow(race=race, question=question, key=list(key), answer=value))
    unit.session.flush()


def cells(unit: Unit, race: str, question: str) -> dict[CellKey, int]:
    """The noised cells of a cube by (precinct, congressional, senate, house)."""
    query = select(CellRow).where(CellRow.race == race, CellRow.question == question)
    return {
        (row.key[0], row.key[1], row.key[2], row.key[3]): row.answer
        for row in unit.session.scalars(query)
    }

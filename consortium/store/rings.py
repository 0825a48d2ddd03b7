"""Doorbells to ring after a commit, and who rings them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from consortium.store.rows import frozen
from consortium.store.tables import RingRow
from consortium.store.unit import Unit


@dataclass(frozen=True, slots=True)
class Ring:
    """A task to ring for; losing or repeating the ring itself is harmless."""

    seq: int
    task: str
    payload: dict[str, Any]


def waiting(unit: Unit, most: int) -> list[Ring]:
    """Rings whose task has not been rung for."""
    query = select(RingRow).where(RingRow.rung.is_(None)).order_by(RingRow.seq).limit(most)
    return [frozen(Ring, row) for row in unit.session.scalars(query)]


def rung(unit: Unit, seqs: list[int], at: datetime) -> None:
    """Note that these were rung."""
    for row in unit.session.scalars(select(RingRow).where(RingRow.seq.in_(seqs))):
        row.rung = at

"""Epochs: which keys lists are tokenised and sealed under, and which of those keys are gone."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from consortium.store.errors import Missing
from consortium.store.rows import frozen
from consortium.store.tables import EpochRow
from consortium.store.unit import Unit


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch. States: open, ended (its files are going), gone (nothing of it is left)."""

    id: str
    state: str
    opened: datetime
    ended: datetime | None


def add(unit: Unit, id: str, now: datetime) -> None:
    """Open an epoch; one that is known stays as it is."""
    if unit.get(EpochRow, id) is None:
        unit.session.add(EpochRow(id=id, state="open", opened=now, ended=None))
        unit.session.flush()


def find(unit: Unit, id: str) -> Epoch | None:
    """The epoch with this name, if there is or was one."""
    row = unit.get(EpochRow, id)
    return None if row is None else frozen(Epoch, row)


def listed(unit: Unit) -> list[Epoch]:
    """Every epoch there was, oldest first."""
    query = select(EpochRow).order_by(EpochRow.opened, EpochRow.id)
    return [frozen(Epoch, row) for row in unit.session.scalars(query)]


def open_now(unit: Unit) -> list[str]:
    """The epochs that take lists: one, or two during an overlap, the older one first."""
    return [one.id for one in listed(unit) if one.state == "open"]


def change(unit: Unit, id: str, *, state: str, ended: datetime | None) -> None:
    """Set how far the end of an epoch has come."""
    row = unit.get(EpochRow, id)
    if row is None:
        raise Missing("no epoch has that name")
    row.state, row.ended = state, ended

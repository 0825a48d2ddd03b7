"""Bundles and roll slices that arrived, and how far each has come."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from consortium.store.errors import Missing
from consortium.store.rows import frozen
from consortium.store.tables import ContributionRow, RollRow
from consortium.store.unit import Unit


@dataclass(frozen=True, slots=True)
class Contribution:
    """A partner's bundle. States: received, logged, matched, withdrawn."""

    id: str
    partner: str
    epoch: str
    state: str
    header: dict[str, Any]
    wrapped: bytes | None
    rows_digest: str
    outputs_digest: str | None
    tokens_digest: str | None
    links_digest: str | None
    linked_roll: str | None
    rostered: bool
    leaf: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Roll:
    """A roll slice. States: received, ready."""

    id: str
    steward: str
    epoch: str
    state: str
    header: dict[str, Any]
    attributes_digest: str
    outputs_digest: str | None
    tokens_digest: str | None
    leaf: str
    at: datetime


def add(unit: Unit, new: Contribution) -> None:
    """Keep a new contribution."""
    unit.session.add(
        ContributionRow(**{name: getattr(new, name) for name in Contribution.__slots__})
    )
    unit.session.flush()


def find(unit: Unit, id: str) -> Contribution | None:
    """The contribution with this id, if there is one."""
    row = unit.session.get(ContributionRow, id)
    return None if row is None else frozen(Contribution, row)


def get(unit: Unit, id: str) -> Contribution:
    """The contribution with this id, or ``Missing``."""
    found = find(unit, id)
    if found is None:
        raise Missing("no contribution has that id")
    return found


def listed(
    unit: Unit, *, partner: str | None = None, state: str | None = None
) -> list[Contribution]:
    """Contributions, of one partner or one state when given, oldest first."""
    query = select(ContributionRow).order_by(ContributionRow.at, ContributionRow.id)
    if partner is not None:
        query = query.where(ContributionRow.partner == partner)
    if state is not None:
        query = query.where(ContributionRow.state == state)
    return [frozen(Contribution, row) for row in unit.session.scalars(query)]


def change(unit: Unit, id: str, **columns: Any) -> None:
    """Set columns of one contribution."""
    row = unit.session.get(ContributionRow, id)
    if row is None:
        raise Missing("no contribution has that id")
    for name, value in columns.items():
        setattr(row, name, value)


def add_roll(unit: Unit, new: Roll) -> None:
    """Keep a new roll slice."""
    unit.session.add(RollRow(**{name: getattr(new, name) for name in Roll.__slots__}))
    unit.session.flush()


def find_roll(unit: Unit, id: str) -> Roll | None:
    """The roll slice with this id, if there is one."""
    row = unit.session.get(RollRow, id)
    return None if row is None else frozen(Roll, row)


def rolls(unit: Unit, *, state: str | None = None) -> list[Roll]:
    """Roll slices, newest first."""
    query = select(RollRow).order_by(RollRow.at.desc(), RollRow.id)
    if state is not None:
        query = query.where(RollRow.state == state)
    return [frozen(Roll, row) for row in unit.session.scalars(query)]


def change_roll(unit: Unit, id: str, **columns: Any) -> None:
    """Set columns of one roll slice."""
    row = unit.session.get(RollRow, id)
    if row is None:
        raise Missing("no roll has that id")
    for name, value in columns.items():
        setattr(row, name, value)

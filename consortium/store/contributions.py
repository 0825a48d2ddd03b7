"""Bundles and roll slices that arrived, and how far each has come."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select

from consortium.store.errors import Missing
from consortium.store.rows import frozen
from consortium.store.tables import ContributionRow, RollRow, WithdrawnRow
from consortium.store.unit import Unit


@dataclass(frozen=True, slots=True)
class Contribution:
    """A partner's bundle. States: received, logged, matched; withdrawn; ended with its epoch."""

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
    wrapped_to: str | None = None
    """SHA-256, in hex, of the mailer's public key to which ``wrapped`` is wrapped."""


@dataclass(frozen=True, slots=True)
class Roll:
    """A roll slice. States: received, ready; ended with its epoch."""

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
    row = unit.get(ContributionRow, id)
    return None if row is None else frozen(Contribution, row)


def get(unit: Unit, id: str) -> Contribution:
    """The contribution with this id, or ``Missing``."""
    found = find(unit, id)
    if found is None:
        raise Missing("no contribution has that id")
    return found


def listed(
    unit: Unit,
    *,
    partner: str | None = None,
    state: str | None = None,
    epoch: str | None = None,
) -> list[Contribution]:
    """Contributions, of one partner, state or epoch when given, oldest first."""
    query = select(ContributionRow).order_by(ContributionRow.at, ContributionRow.id)
    if partner is not None:
        query = query.where(ContributionRow.partner == partner)
    if state is not None:
        query = query.where(ContributionRow.state == state)
    if epoch is not None:
        query = query.where(ContributionRow.epoch == epoch)
    return [frozen(Contribution, row) for row in unit.session.scalars(query)]


def twins(one: Contribution, among: Iterable[Contribution]) -> list[Contribution]:
    """The live bundles of the same upload in other epochs, as the partner's tool names them."""
    said = one.header.get("upload")
    return [
        other
        for other in among
        if said is not None
        and (other.partner, other.header.get("upload")) == (one.partner, said)
        and other.id != one.id
        and other.state not in ("withdrawn", "ended")
    ]


def change(unit: Unit, id: str, **columns: Any) -> None:
    """Set columns of one contribution."""
    row = unit.get(ContributionRow, id)
    if row is None:
        raise Missing("no contribution has that id")
    for name, value in columns.items():
        setattr(row, name, value)


WHOLE = -1
"""In place of a row's number: the whole bundle."""


def take_back(unit: Unit, bundle: str, rows: Collection[int]) -> None:
    """Remember rows that were withdrawn, until every artefact that held them has a successor."""
    for row in rows:
        if unit.get(WithdrawnRow, (bundle, row)) is None:
            unit.session.add(WithdrawnRow(bundle=bundle, row=row))
    unit.session.flush()


def taken_back(unit: Unit, bundle: str) -> frozenset[int]:
    """Withdrawn rows of a bundle that some artefact may still hold; ``WHOLE`` stands for all."""
    query = select(WithdrawnRow.row).where(WithdrawnRow.bundle == bundle)
    return frozenset(unit.session.scalars(query))


def is_taken_back(unit: Unit, bundle: str, row: int) -> bool:
    """Whether this row was withdrawn a moment ago."""
    return unit.get(WithdrawnRow, (bundle, row)) is not None


def shredding(unit: Unit) -> list[str]:
    """Bundles with withdrawn rows that some artefact may still hold."""
    return sorted(unit.session.scalars(select(WithdrawnRow.bundle).distinct()))


def shredded(unit: Unit, bundle: str, rows: Collection[int]) -> None:
    """No artefact holds these rows any more: forget which they were."""
    listed = sorted(rows)
    for at in range(0, len(listed), 500):
        unit.session.execute(
            delete(WithdrawnRow).where(
                WithdrawnRow.bundle == bundle, WithdrawnRow.row.in_(listed[at : at + 500])
            )
        )


def add_roll(unit: Unit, new: Roll) -> None:
    """Keep a new roll slice."""
    unit.session.add(RollRow(**{name: getattr(new, name) for name in Roll.__slots__}))
    unit.session.flush()


def find_roll(unit: Unit, id: str) -> Roll | None:
    """The roll slice with this id, if there is one."""
    row = unit.get(RollRow, id)
    return None if row is None else frozen(Roll, row)


def newest_roll(unit: Unit) -> str:
    """The id of the newest slice that bundles meet; empty where there is none."""
    return unit.session.scalar(_NEWEST) or ""


_NEWEST = (
    select(RollRow.id)
    .where(RollRow.state == "ready")
    .order_by(RollRow.at.desc(), RollRow.id)
    .limit(1)
)


def rolls(unit: Unit, *, state: str | None = None, epoch: str | None = None) -> list[Roll]:
    """Roll slices, of one state or epoch when given, newest first."""
    query = select(RollRow).order_by(RollRow.at.desc(), RollRow.id)
    if state is not None:
        query = query.where(RollRow.state == state)
    if epoch is not None:
        query = query.where(RollRow.epoch == epoch)
    return [frozen(Roll, row) for row in unit.session.scalars(query)]


def change_roll(unit: Unit, id: str, **columns: Any) -> None:
    """Set columns of one roll slice."""
    row = unit.get(RollRow, id)
    if row is None:
        raise Missing("no roll has that id")
    for name, value in columns.items():
        setattr(row, name, value)

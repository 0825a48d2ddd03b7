"""Races and the agreements that partners signed for them."""

from dataclasses import dataclass

from sqlalchemy import select

from consortium.store.errors import Conflict, Missing
from consortium.store.rows import frozen
from consortium.store.tables import AgreementSignatureRow, RaceRow
from consortium.store.unit import Unit


@dataclass(frozen=True, slots=True)
class Race:
    """One race; ``agreement`` is the exact bytes that are signed, ``digest`` their SHA-256.

    It stands in one epoch: everything about its people is read from that epoch's bundles alone.
    """

    id: str
    name: str
    epoch: str
    agreement: bytes
    digest: str


def add(unit: Unit, race: Race) -> None:
    """Open a race; the same again changes nothing, another agreement is a ``Conflict``."""
    known = unit.get(RaceRow, race.id)
    if known is None:
        unit.session.add(
            RaceRow(
                id=race.id,
                name=race.name,
                epoch=race.epoch,
                agreement=race.agreement,
                digest=race.digest,
            )
        )
    elif known.digest != race.digest:
        raise Conflict(f"race {race.id} has another agreement")


def get(unit: Unit, id: str) -> Race:
    """The race with this id, or ``Missing``."""
    row = unit.get(RaceRow, id)
    if row is None:
        raise Missing("no race has that id")
    return frozen(Race, row)


def first(unit: Unit) -> Race:
    """The installation's race: the first by id, or ``Missing``."""
    row = unit.session.scalar(select(RaceRow).order_by(RaceRow.id).limit(1))
    if row is None:
        raise Missing("no race is open yet")
    return frozen(Race, row)


def everyone(unit: Unit) -> list[Race]:
    """All races, by id."""
    return [frozen(Race, row) for row in unit.session.scalars(select(RaceRow).order_by(RaceRow.id))]


def move(unit: Unit, id: str, epoch: str) -> None:
    """Let a race stand in another epoch."""
    row = unit.get(RaceRow, id)
    if row is None:
        raise Missing("no race has that id")
    row.epoch = epoch


def sign(unit: Unit, race: str, partner: str, leaf: str) -> None:
    """A partner's signature under the race's agreement; the first one stays."""
    if unit.get(AgreementSignatureRow, (race, partner)) is None:
        unit.session.add(AgreementSignatureRow(race=race, partner=partner, leaf=leaf))


def signatures(unit: Unit, race: str) -> dict[str, str]:
    """Leaf of the signature entry, by partner."""
    rows = unit.session.scalars(
        select(AgreementSignatureRow).where(AgreementSignatureRow.race == race)
    )
    return {row.partner: row.leaf for row in rows}

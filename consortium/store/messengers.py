"""Volunteers who were asked to lend their name, and what they said."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from consortium.store.errors import Missing
from consortium.store.rows import frozen
from consortium.store.tables import MessengerRow
from consortium.store.unit import Unit


@dataclass(frozen=True, slots=True)
class Messenger:
    """A local volunteer.

    Without ``confirmed`` nothing may be signed in this name; ``refused`` is when they last said no.
    ``zip`` and ``precinct`` say where they live, as the roll spells it; "" is not known. ``daily``
    is how many letters may leave in their name in one day; 0 is no limit of their own.
    """

    id: str
    race: str
    name: str
    place: str
    confirmed: datetime | None
    refused: datetime | None
    token_hash: str | None
    zip: str = ""
    precinct: str = ""
    daily: int = 0


def add(unit: Unit, new: Messenger) -> None:
    """Keep somebody who was asked."""
    unit.session.add(MessengerRow(**{name: getattr(new, name) for name in Messenger.__slots__}))
    unit.session.flush()


def by_token(unit: Unit, token_hash: str) -> Messenger:
    """Whose link this is, or ``Missing``."""
    row = unit.session.scalar(select(MessengerRow).where(MessengerRow.token_hash == token_hash))
    if row is None:
        raise Missing("nobody was asked with that link")
    return frozen(Messenger, row)


def get(unit: Unit, id: str) -> Messenger:
    """The messenger with this id, or ``Missing``."""
    row = unit.get(MessengerRow, id)
    if row is None:
        raise Missing("no such messenger")
    return frozen(Messenger, row)


def limit(unit: Unit, id: str, daily: int) -> None:
    """Set how many letters may leave in somebody's name in one day; 0 is no limit."""
    row = unit.get(MessengerRow, id)
    if row is None:
        raise Missing("no such messenger")
    row.daily = daily
    unit.session.flush()


def named(unit: Unit, race: str, name: str, place: str) -> Messenger | None:
    """The one person of this name and place in a race, if anybody was asked."""
    row = unit.session.scalar(
        select(MessengerRow).where(
            MessengerRow.race == race, MessengerRow.name == name, MessengerRow.place == place
        )
    )
    return None if row is None else frozen(Messenger, row)


def listed(unit: Unit, race: str) -> list[Messenger]:
    """Everybody who was asked in a race, by name."""
    query = select(MessengerRow).where(MessengerRow.race == race)
    ordered = query.order_by(MessengerRow.name, MessengerRow.place)
    return [frozen(Messenger, row) for row in unit.session.scalars(ordered)]


def move(unit: Unit, id: str, *, zip: str, precinct: str) -> None:
    """Set where somebody lives."""
    row = unit.get(MessengerRow, id)
    if row is None:
        raise Missing("no such messenger")
    row.zip, row.precinct = zip, precinct
    unit.session.flush()


def change(
    unit: Unit,
    id: str,
    *,
    confirmed: datetime | None,
    refused: datetime | None,
    token_hash: str | None,
) -> None:
    """Set what somebody said, and the link that they hold."""
    row = unit.get(MessengerRow, id)
    if row is None:
        raise Missing("no such messenger")
    row.confirmed, row.refused, row.token_hash = confirmed, refused, token_hash
    unit.session.flush()

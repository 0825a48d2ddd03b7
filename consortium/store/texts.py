"""Small public facts of the installation: the invite, messengers who confirmed."""

from sqlalchemy import select

from consortium.store.errors import Missing
from consortium.store.tables import MessengerRow, TextRow
from consortium.store.unit import Unit


def put(unit: Unit, name: str, value: str) -> None:
    """Set a fact."""
    unit.session.merge(TextRow(name=name, value=value))


def get(unit: Unit, name: str) -> str:
    """A fact, or ``Missing``."""
    row = unit.session.get(TextRow, name)
    if row is None:
        raise Missing(f"{name} has not been set up")
    return row.value


def add_messenger(unit: Unit, row_id: str, race: str, name: str, place: str) -> None:
    """A local volunteer; unconfirmed until they say so themselves."""
    unit.session.merge(MessengerRow(id=row_id, race=race, name=name, place=place))


def confirm_messenger(unit: Unit, row_id: str) -> None:
    """The volunteer confirmed what will be signed in their name."""
    row = unit.session.get(MessengerRow, row_id)
    if row is None:
        raise Missing("no such messenger")
    row.confirmed = unit.now


def messengers(unit: Unit, race: str) -> list[tuple[str, str]]:
    """Name and place of everyone who confirmed."""
    query = select(MessengerRow).where(
        MessengerRow.race == race, MessengerRow.confirmed.is_not(None)
    )
    return [(row.name, row.place) for row in unit.session.scalars(query.order_by(MessengerRow.id))]

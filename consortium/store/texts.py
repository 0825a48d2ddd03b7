"""Small public facts of the installation: the invite, first of all."""

from sqlalchemy import delete, select

from consortium.store.errors import Missing
from consortium.store.tables import TextRow
from consortium.store.unit import Unit


def put(unit: Unit, name: str, value: str) -> None:
    """Set a fact."""
    unit.session.merge(TextRow(name=name, value=value))


def get(unit: Unit, name: str) -> str:
    """A fact, or ``Missing``."""
    row = unit.get(TextRow, name)
    if row is None:
        raise Missing(f"{name} has not been set up")
    return row.value


def named(unit: Unit, prefix: str) -> list[str]:
    """The names that begin so, sorted."""
    query = select(TextRow.name).where(TextRow.name.startswith(prefix, autoescape=True))
    return sorted(unit.session.scalars(query))


def drop(unit: Unit, name: str) -> None:
    """Forget a text; one that is not there is forgotten already."""
    unit.session.execute(delete(TextRow).where(TextRow.name == name))

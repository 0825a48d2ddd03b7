"""Small public facts of the installation: the invite, first of all."""

from consortium.store.errors import Missing
from consortium.store.tables import TextRow
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

"""How many letters left from each sending domain on each day, over all campaigns."""

from datetime import date

from sqlalchemy import select

from consortium.store.tables import SentDayRow
from consortium.store.unit import Unit


def add(unit: Unit, domain: str, day: date) -> None:
    """Count one more."""
    row = unit.get(SentDayRow, (domain, day))
    if row is None:
        unit.session.add(SentDayRow(domain=domain, day=day, letters=1))
    else:
        row.letters += 1
    unit.session.flush()


def history(unit: Unit, domain: str) -> dict[date, int]:
    """Letters of a domain, by day."""
    query = select(SentDayRow.day, SentDayRow.letters).where(SentDayRow.domain == domain)
    return {day: int(letters) for day, letters in unit.session.execute(query)}

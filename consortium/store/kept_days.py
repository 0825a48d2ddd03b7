"""Days on which a partner writes to its own members, so that no letter of the race leaves."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import bindparam, select

from consortium.store.rows import frozen
from consortium.store.tables import KeptDayRow
from consortium.store.unit import Unit


@dataclass(frozen=True, slots=True)
class KeptDay:
    """One partner's own mailing day, by the calendar of the race's time zone."""

    race: str
    partner: str
    day: date
    at: datetime


def keep(unit: Unit, new: KeptDay) -> None:
    """Remember a day; again changes nothing."""
    if unit.get(KeptDayRow, (new.race, new.partner, new.day)) is None:
        unit.session.add(KeptDayRow(**{name: getattr(new, name) for name in KeptDay.__slots__}))
        unit.session.flush()


def release(unit: Unit, race: str, partner: str, day: date) -> bool:
    """Forget a day. Returns whether it was kept."""
    row = unit.get(KeptDayRow, (race, partner, day))
    if row is None:
        return False
    unit.session.delete(row)
    unit.session.flush()
    return True


def listed(unit: Unit, race: str, since: date | None = None) -> list[KeptDay]:
    """Every partner's days in a race, by day; only those not before ``since`` when given."""
    query = select(KeptDayRow).where(KeptDayRow.race == race)
    if since is not None:
        query = query.where(KeptDayRow.day >= since)
    ordered = query.order_by(KeptDayRow.day, KeptDayRow.partner)
    return [frozen(KeptDay, row) for row in unit.session.scalars(ordered)]


def days(unit: Unit, race: str) -> frozenset[date]:
    """Every day that anybody keeps in a race."""
    return frozenset(unit.session.scalars(_DAYS, {"race": race}))


_DAYS = select(KeptDayRow.day).where(KeptDayRow.race == bindparam("race"))

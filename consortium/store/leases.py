"""Which worker has a piece of work, until when; each new holder has a higher fence."""

from collections.abc import Collection
from datetime import datetime, timedelta

from consortium.store.errors import LeaseLost
from consortium.store.tables import (
    LeaseRow,
)
from consortium.store.unit import Unit


def lease(
    unit: Unit,
    name: str,
    holder: str,
    life: timedelta,
    now: datetime,
    *,
    dead: Collection[str] = (),
) -> int:
    """Take or renew a lease; the fence grows with every new holder.

    Args:
        dead: holders that are proven to have ended; theirs need not run out.

    Raises:
        LeaseLost: another holder's lease has not run out.
    """
    row = unit.get(LeaseRow, name)
    if row is None:
        unit.session.add(LeaseRow(name=name, holder=holder, fence=1, until=now + life))
        unit.session.flush()
        return 1
    if row.holder != holder:
        if row.until > now and row.holder not in dead:
            raise LeaseLost(f"{name} is another worker's until {row.until:%H:%M:%S}")
        row.holder, row.fence = holder, row.fence + 1
    row.until = now + life
    return row.fence


def holds(unit: Unit, name: str, holder: str, fence: int, now: datetime) -> None:
    """Check that a lease is still this holder's.

    Raises:
        LeaseLost: it ran out, or somebody has taken it since.
    """
    row = unit.get(LeaseRow, name)
    if row is None or row.holder != holder or row.fence != fence or row.until <= now:
        raise LeaseLost(f"{name} is no longer this worker's")


def fenced(unit: Unit, name: str, holder: str, fence: int) -> bool:
    """Whether nobody has taken a lease since this holder did, run out or not."""
    row = unit.get(LeaseRow, name)
    return row is not None and (row.holder, row.fence) == (holder, fence)


def release(unit: Unit, name: str, holder: str, now: datetime) -> None:
    """Give a lease back early."""
    row = unit.get(LeaseRow, name)
    if row is not None and row.holder == holder:
        row.until = now

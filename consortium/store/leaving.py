"""Labels of rows and lists that left: they wait for a batch, and the log's batches so far."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select

from consortium.store.errors import Missing
from consortium.store.rows import frozen
from consortium.store.tables import EntryRow, LeavingRow, LeftBatchRow, LeftRow
from consortium.store.unit import Unit
from provenance.withdrawn import State


@dataclass(frozen=True, slots=True)
class LeftBatch:
    """A batch that an entry holds. ``until``: the end of its interval, where there are such."""

    number: int
    leaf: str
    until: datetime | None


def wait(unit: Unit, partner: str, labels: Iterable[bytes]) -> None:
    """Let a partner's labels wait for the next batch; what waits already waits on."""
    known = set(unit.session.scalars(select(LeavingRow.label)))
    fresh = [one for one in dict.fromkeys(labels) if one not in known]
    unit.session.add_all(LeavingRow(label=one, partner=partner) for one in fresh)
    unit.session.flush()


def waiting(unit: Unit, most: int) -> list[bytes]:
    """The labels that wait longest, of each partner in turn: nobody's many hold up another's."""
    turn = func.row_number().over(partition_by=LeavingRow.partner, order_by=LeavingRow.seq)
    query = select(LeavingRow.label).order_by(turn, LeavingRow.seq).limit(most)
    return list(unit.session.scalars(query))


def left(unit: Unit, new: LeftBatch, labels: Iterable[bytes], *, waited: Collection[bytes]) -> None:
    """Keep a batch that was promised to the log, and let these labels wait no more."""
    unit.session.add(LeftBatchRow(number=new.number, leaf=new.leaf, until=new.until))
    unit.session.flush()
    unit.session.add_all(LeftRow(label=one, number=new.number) for one in labels)
    unit.session.execute(delete(LeavingRow).where(LeavingRow.label.in_(waited)))
    unit.session.flush()


def state(unit: Unit, number: int | None = None) -> State:
    """Everything that left with the batches up to this number; ``Missing`` when there is none."""
    last = newest(unit)
    wanted = (last.number if last else 0) if number is None else number
    if wanted and unit.get(LeftBatchRow, wanted) is None:
        raise Missing("no such batch of withdrawals")
    query = select(LeftRow.label).where(LeftRow.number <= wanted)
    return State.of(wanted, list(unit.session.scalars(query)))


def newest(unit: Unit, *, published: bool = False) -> LeftBatch | None:
    """The last batch, or the last whose entry has its place in the log."""
    query = select(LeftBatchRow).order_by(LeftBatchRow.number.desc()).limit(1)
    if published:
        query = query.join(EntryRow, EntryRow.leaf == LeftBatchRow.leaf)
        query = query.where(EntryRow.index.is_not(None))
    row = unit.session.scalar(query)
    return None if row is None else frozen(LeftBatch, row)


def batches(unit: Unit, first: int, most: int) -> list[LeftBatch]:
    """Batches from this number on, oldest first."""
    query = (
        select(LeftBatchRow)
        .where(LeftBatchRow.number >= first)
        .order_by(LeftBatchRow.number)
        .limit(most)
    )
    return [frozen(LeftBatch, row) for row in unit.session.scalars(query)]

"""Entries promised to the log, their openings, and the lock on which the log turns."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from consortium.store import leases
from consortium.store.errors import LeaseLost, Missing
from consortium.store.log_lock import LOG_LEASE
from consortium.store.rows import frozen
from consortium.store.tables import EntryRow, LogLockRow
from consortium.store.unit import Unit, Units
from provenance.errors import LockLost, WriterElsewhere

NOBODY = "-"
"""In place of an actor: a dummy, which nobody said."""
CHUNK = 500


@dataclass(frozen=True, slots=True)
class Promised:
    """An entry that will be, or is, in the log; ``index`` is None until it is published."""

    leaf: str
    kind: str
    actor: str
    entry: bytes
    openings: dict[str, Any] | None
    index: int | None
    at: datetime


def promise(unit: Unit, new: Promised) -> None:
    """Keep an entry for the next publication; the same leaf again changes nothing."""
    if not promised(unit, new.leaf):
        unit.session.add(EntryRow(**{name: getattr(new, name) for name in Promised.__slots__}))
        unit.session.flush()


def promised(unit: Unit, leaf: str) -> bool:
    """Whether an entry with this leaf hash is kept, published or not."""
    return unit.session.scalar(select(EntryRow.seq).where(EntryRow.leaf == leaf)) is not None


def find(unit: Unit, leaf: str) -> Promised:
    """The entry with this leaf hash, or ``Missing``."""
    row = unit.session.scalar(select(EntryRow).where(EntryRow.leaf == leaf))
    if row is None:
        raise Missing("no entry with that leaf hash")
    return frozen(Promised, row)


def at_index(unit: Unit, index: int) -> Promised:
    """The published entry at this index, or ``Missing``."""
    if not 0 <= index < 1 << 63:
        raise Missing("no entry at that index")
    row = unit.session.scalar(select(EntryRow).where(EntryRow.index == index))
    if row is None:
        raise Missing("no entry at that index")
    return frozen(Promised, row)


def between(unit: Unit, first: int, end: int) -> list[Promised]:
    """The published entries at indices from ``first`` up to, without, ``end``, in order."""
    query = (
        select(EntryRow)
        .where(EntryRow.index >= first, EntryRow.index < end)
        .order_by(EntryRow.index)
    )
    return [frozen(Promised, row) for row in unit.session.scalars(query)]


def by_code(unit: Unit, code: str) -> int:
    """The index of the one published entry whose leaf hash begins so, or ``Missing``."""
    query = (
        select(EntryRow.index)
        .where(EntryRow.leaf.startswith(code, autoescape=True), EntryRow.index.is_not(None))
        .limit(2)
    )
    found = [index for index in unit.session.scalars(query) if index is not None]
    if len(found) != 1:
        raise Missing("no published entry, or more than one, has that code")
    return found[0]


def pending(unit: Unit, most: int) -> list[Promised]:
    """The oldest entries that have no index yet."""
    query = select(EntryRow).where(EntryRow.index.is_(None)).order_by(EntryRow.seq).limit(most)
    return [frozen(Promised, row) for row in unit.session.scalars(query)]


def waiting_of(unit: Unit, actor: str) -> int:
    """How many entries of this actor have no index yet."""
    query = select(func.count()).where(EntryRow.actor == actor, EntryRow.index.is_(None))
    return unit.session.scalar(query) or 0


def said_before(unit: Unit, before: datetime, most: int, leaves: Collection[str]) -> list[Promised]:
    """The oldest entries without an index that somebody said before then, but for these leaves."""
    query = (
        select(EntryRow)
        .where(EntryRow.index.is_(None), EntryRow.at < before, EntryRow.actor != NOBODY)
        .order_by(EntryRow.seq)
        .limit(most + len(leaves))
    )
    found = [frozen(Promised, row) for row in unit.session.scalars(query)]
    return [one for one in found if one.leaf not in leaves][:most]


def unplaced(unit: Unit, leaves: Sequence[str]) -> list[Promised]:
    """Those of these entries that have no index yet, in the order given."""
    found: dict[str, Promised] = {}
    for at in range(0, len(leaves), CHUNK):
        query = select(EntryRow).where(
            EntryRow.leaf.in_(leaves[at : at + CHUNK]), EntryRow.index.is_(None)
        )
        found.update({row.leaf: frozen(Promised, row) for row in unit.session.scalars(query)})
    return [found[leaf] for leaf in leaves if leaf in found]


def dummies(unit: Unit, first: int, end: int) -> list[Promised]:
    """The published dummies at indices from ``first`` up to, without, ``end``."""
    query = (
        select(EntryRow)
        .where(EntryRow.actor == NOBODY, EntryRow.index >= first, EntryRow.index < end)
        .order_by(EntryRow.index)
    )
    return [frozen(Promised, row) for row in unit.session.scalars(query)]


def placed(unit: Unit, leaf: str, index: int) -> None:
    """Note where an entry came to stand."""
    row = unit.session.scalar(select(EntryRow).where(EntryRow.leaf == leaf))
    if row is None:
        raise Missing("no entry with that leaf hash")
    row.index = index


def of_kind(unit: Unit, kind: str, actor: str | None = None) -> list[Promised]:
    """Entries of one type that somebody said, oldest first."""
    query = (
        select(EntryRow)
        .where(EntryRow.kind == kind, EntryRow.actor != NOBODY)
        .order_by(EntryRow.seq)
    )
    if actor is not None:
        query = query.where(EntryRow.actor == actor)
    return [frozen(Promised, row) for row in unit.session.scalars(query)]


def size(unit: Unit) -> int:
    """Entries that have an index."""
    last = unit.session.scalar(select(func.max(EntryRow.index)))
    return 0 if last is None else last + 1


class SqlLock:
    """``provenance.backend.Lock`` on the service's database, and the lease that belongs to it.

    Args:
        holder: names this process, once and for all; empty: no lease is asked for, as for one who
            only looks or is surely alone.
        dead: holders that are proven to have ended.
    """

    def __init__(
        self, units: Units, holder: str = "", *, dead: Collection[str] = frozenset()
    ) -> None:
        self._units = units
        self._holder = holder
        self._dead = dead
        self._fences: dict[str, int] = {}

    def load(self, origin: str) -> bytes | None:
        """The checkpoint last committed to for this origin."""

        def work(unit: Unit) -> bytes | None:
            row = unit.get(LogLockRow, origin)
            return None if row is None else row.checkpoint

        return self._units.read("log-lock-load", work)

    def swap(self, origin: str, old: bytes | None, new: bytes) -> None:
        """Replace ``old`` by ``new``, durably and only if ``old`` still stands.

        Raises:
            LockLost: another writer was faster; the log must not be published from here.
            WriterElsewhere: the lease was never this process's, or another has taken it.
        """

        def work(unit: Unit) -> bool:
            if self._holder:
                self._fenced(unit, origin)
            row = unit.get(LogLockRow, origin)
            if row is None:
                if old is not None:
                    return False
                unit.session.add(LogLockRow(origin=origin, checkpoint=new))
                unit.session.flush()
                return True
            if row.checkpoint != old:
                return False
            row.checkpoint = new
            return True

        if not self._units.run("log-lock-swap", work):
            raise LockLost("another writer has moved the log on")

    def hold(self, origin: str) -> None:
        """See ``provenance.backend.Lease``."""

        def work(unit: Unit) -> int:
            name = _lease_name(origin)
            return leases.lease(unit, name, self._holder, LOG_LEASE, unit.now, dead=self._dead)

        try:
            self._fences[origin] = self._units.run("log-lease", work)
        except LeaseLost as lost:
            raise WriterElsewhere(str(lost)) from lost

    def drop(self, origin: str) -> None:
        """See ``provenance.backend.Lease``."""
        self._units.run(
            "log-lease-drop",
            lambda unit: leases.release(unit, _lease_name(origin), self._holder, unit.now),
        )

    def _fenced(self, unit: Unit, origin: str) -> None:
        # The fence, not the time: while nobody has taken it, a slow holder may still commit.
        if not leases.fenced(unit, _lease_name(origin), self._holder, self._fences.get(origin, 0)):
            raise WriterElsewhere("another process has taken the right to write the log")


def _lease_name(origin: str) -> str:
    """Fits its column, however long an origin is."""
    return f"log {hashlib.sha256(origin.encode()).hexdigest()}"

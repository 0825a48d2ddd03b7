"""Addresses that our own people proved to be theirs, and letters to nobody else but them."""

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import delete, func, select

from consortium.store.errors import Missing
from consortium.store.rows import frozen
from consortium.store.tables import OwnBoxRow, TrialRow
from consortium.store.unit import Unit


@dataclass(frozen=True, slots=True)
class OwnBox:
    """An actor's own address, sealed. States: typed -> asked -> proven."""

    actor: str
    sealed: bytes = field(repr=False)
    state: str
    token_hash: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Trial:
    """One letter to an actor's own address.

    Kinds: ``ask`` (is this address yours), ``test``, ``seed``. States: waiting -> going ->
    sent | failed, and bounced once it came back. ``outcome`` holds codes, never a server's words.
    """

    id: str
    actor: str
    campaign: str | None
    kind: str
    state: str
    outcome: str
    at: datetime


def put_box(unit: Unit, new: OwnBox) -> None:
    """Keep an actor's address in place of the one before."""
    drop_box(unit, new.actor)
    unit.session.add(OwnBoxRow(**{name: getattr(new, name) for name in OwnBox.__slots__}))
    unit.session.flush()


def box(unit: Unit, actor: str) -> OwnBox | None:
    """An actor's address, if there is one."""
    row = unit.get(OwnBoxRow, actor)
    return None if row is None else frozen(OwnBox, row)


def box_by_link(unit: Unit, token_hash: str) -> OwnBox:
    """The address that is asked about under a link, or ``Missing``."""
    row = unit.session.scalar(select(OwnBoxRow).where(OwnBoxRow.token_hash == token_hash))
    if row is None:
        raise Missing("no address waits under that link")
    return frozen(OwnBox, row)


def boxes(unit: Unit, state: str, most: int) -> list[OwnBox]:
    """Addresses in a state, the oldest first."""
    query = select(OwnBoxRow).where(OwnBoxRow.state == state).order_by(OwnBoxRow.at).limit(most)
    return [frozen(OwnBox, row) for row in unit.session.scalars(query)]


def drop_box(unit: Unit, actor: str) -> None:
    """Forget an actor's address."""
    unit.session.execute(delete(OwnBoxRow).where(OwnBoxRow.actor == actor))


def forget_unproven(unit: Unit, since: datetime) -> None:
    """Delete addresses that nobody proved since a moment."""
    old = (OwnBoxRow.state != "proven") & (OwnBoxRow.at <= since)
    unit.session.execute(delete(OwnBoxRow).where(old))


def add(unit: Unit, new: Trial) -> None:
    """Keep a letter that shall leave."""
    unit.session.add(TrialRow(**{name: getattr(new, name) for name in Trial.__slots__}))
    unit.session.flush()


def get(unit: Unit, id: str) -> Trial:
    """The letter with this id, or ``Missing``."""
    return frozen(Trial, _row(unit, id))


def asked(unit: Unit, actor: str, kind: str, since: datetime) -> int:
    """How many letters of a kind an actor asked for since a moment."""
    mine = (TrialRow.actor == actor) & (TrialRow.kind == kind) & (TrialRow.at > since)
    return int(unit.session.scalar(select(func.count()).select_from(TrialRow).where(mine)) or 0)


def waiting(unit: Unit, most: int) -> list[Trial]:
    """Letters that have not left, the oldest first."""
    mine = (TrialRow.state == "waiting") & (TrialRow.kind != "ask")
    query = select(TrialRow).where(mine).order_by(TrialRow.at, TrialRow.id).limit(most)
    return [frozen(Trial, row) for row in unit.session.scalars(query)]


def of(unit: Unit, campaign: str, kind: str) -> list[Trial]:
    """A campaign's letters of one kind, by actor."""
    mine = (TrialRow.campaign == campaign) & (TrialRow.kind == kind)
    query = select(TrialRow).where(mine).order_by(TrialRow.actor, TrialRow.at, TrialRow.id)
    return [frozen(Trial, row) for row in unit.session.scalars(query)]


def move(unit: Unit, id: str, state: str, outcome: str = "", at: datetime | None = None) -> None:
    """Set a letter's state and, where given, since when."""
    row = _row(unit, id)
    row.state, row.outcome = state, outcome[:60]
    row.at = row.at if at is None else at
    unit.session.flush()


def drop(unit: Unit, campaign: str, kind: str) -> None:
    """Forget a campaign's letters of one kind."""
    mine = (TrialRow.campaign == campaign) & (TrialRow.kind == kind)
    unit.session.execute(delete(TrialRow).where(mine))


def _row(unit: Unit, id: str) -> TrialRow:
    row = unit.get(TrialRow, id)
    if row is None:
        raise Missing("no such letter")
    return row

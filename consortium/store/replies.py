"""Replies that wait for their writer's yes, and where messengers let them go; all of it sealed."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import and_, delete, func, select

from consortium.store import texts
from consortium.store.errors import Missing
from consortium.store.rows import frozen
from consortium.store.tables import HeldReplyRow, ReplyBoxRow
from consortium.store.unit import Unit


@dataclass(frozen=True, slots=True)
class Held:
    """One reply. States: new -> held (its writer was asked) -> yes -> going; gone at any time."""

    id: str
    delivery: str
    sealed: bytes | None = field(repr=False)
    state: str
    token_hash: str
    tries: int
    at: datetime
    expires: datetime


@dataclass(frozen=True, slots=True)
class Box:
    """Where a messenger's replies go. States: typed -> asked -> proven."""

    messenger: str
    sealed: bytes = field(repr=False)
    state: str
    token_hash: str | None
    tries: int
    at: datetime


def hold(unit: Unit, new: Held) -> bool:
    """Keep a reply; False when it is known already."""
    if unit.get(HeldReplyRow, new.id) is not None:
        return False
    unit.session.add(HeldReplyRow(**{name: getattr(new, name) for name in Held.__slots__}))
    unit.session.flush()
    return True


def get(unit: Unit, id: str) -> Held:
    """The reply with this id, or ``Missing``."""
    return frozen(Held, _held(unit, id))


def about(unit: Unit, delivery: str) -> int:
    """How many replies to a letter are remembered, whatever became of them."""
    mine = HeldReplyRow.delivery == delivery
    query = select(func.count()).select_from(HeldReplyRow).where(mine)
    return int(unit.session.scalar(query) or 0)


def by_link(unit: Unit, token_hash: str) -> Held:
    """The reply that is asked about under a link, or ``Missing``."""
    row = unit.session.scalar(select(HeldReplyRow).where(HeldReplyRow.token_hash == token_hash))
    if row is None:
        raise Missing("no reply waits under that link")
    return frozen(Held, row)


def in_state(unit: Unit, state: str, most: int) -> list[Held]:
    """Replies in a state, the oldest first."""
    mine = select(HeldReplyRow).where(HeldReplyRow.state == state)
    query = mine.order_by(HeldReplyRow.at, HeldReplyRow.id).limit(most)
    return [frozen(Held, row) for row in unit.session.scalars(query)]


def move(unit: Unit, id: str, state: str, *, tried: bool = False) -> None:
    """Set a reply's state; one that is gone keeps nothing of what it said."""
    row = _held(unit, id)
    row.state, row.tries = state, row.tries + tried
    if state == "gone":
        row.sealed = None
    unit.session.flush()


def forget(unit: Unit, now: datetime, *, unproven: datetime) -> None:
    """Delete replies whose time is over, and addresses that nobody proved since a moment."""
    unit.session.execute(delete(HeldReplyRow).where(HeldReplyRow.expires <= now))
    old = and_(ReplyBoxRow.state != "proven", ReplyBoxRow.at <= unproven)
    unit.session.execute(delete(ReplyBoxRow).where(old))


def put_box(unit: Unit, new: Box) -> None:
    """Keep where a messenger's replies shall go, in place of what was kept before."""
    row = unit.get(ReplyBoxRow, new.messenger)
    if row is not None:
        unit.session.delete(row)
        unit.session.flush()
    unit.session.add(ReplyBoxRow(**{name: getattr(new, name) for name in Box.__slots__}))
    unit.session.flush()


def may_name(unit: Unit, messenger: str, now: datetime, *, most: int) -> bool:
    """Whether a messenger may name one more address today; counted, also if it is dropped again."""
    name = f"box:{messenger}"
    try:
        known = [datetime.fromisoformat(at) for at in texts.get(unit, name).split()]
    except Missing:
        known = []
    lately = [at for at in known if at > now - timedelta(days=1)]
    if len(lately) >= most:
        return False
    texts.put(unit, name, " ".join(at.isoformat() for at in (*lately, now)))
    return True


def box(unit: Unit, messenger: str) -> Box | None:
    """Where a messenger's replies go, if anything is known of it."""
    row = unit.get(ReplyBoxRow, messenger)
    return None if row is None else frozen(Box, row)


def box_by_link(unit: Unit, token_hash: str) -> Box:
    """The address that is asked about under a link, or ``Missing``."""
    row = unit.session.scalar(select(ReplyBoxRow).where(ReplyBoxRow.token_hash == token_hash))
    if row is None:
        raise Missing("no address waits under that link")
    return frozen(Box, row)


def boxes(unit: Unit, state: str, most: int) -> list[Box]:
    """Addresses in a state, the oldest first."""
    mine = select(ReplyBoxRow).where(ReplyBoxRow.state == state)
    query = mine.order_by(ReplyBoxRow.at).limit(most)
    return [frozen(Box, row) for row in unit.session.scalars(query)]


def drop_box(unit: Unit, messenger: str) -> None:
    """Forget where a messenger's replies go."""
    row = unit.get(ReplyBoxRow, messenger)
    if row is not None:
        unit.session.delete(row)
        unit.session.flush()


def _held(unit: Unit, id: str) -> HeldReplyRow:
    row = unit.get(HeldReplyRow, id)
    if row is None:
        raise Missing("no such reply")
    return row

"""The outbox: one row a letter, and its states.

States: pending -> claimed (committed before the first byte) -> sent | deferred | failed | in_doubt;
dropped is a letter that a stop, a cap or a withdrawal took back before it left. What is in doubt
is never retried by a machine.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import and_, func, insert, literal, or_, select, update
from sqlalchemy.orm import aliased

from consortium.store.errors import LeaseLost, Missing
from consortium.store.rows import frozen
from consortium.store.tables import (
    CampaignRow,
    DeliveryRow,
    TextRow,
)
from consortium.store.unit import Unit

UNSENT = ("pending", "deferred")
FORGET_AT_ONCE = 1_000
EXPIRED = "expired "
"""Before a letter's id, where the hash of its link was: no link has that hash."""
GONE = -1
"""In place of a number: the row that this came from was withdrawn."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One letter. ``person`` is a roll row id; ``stop_key`` is known once it was claimed.

    ``messenger`` is who signs it ("" for whom the campaign names alone); it leaves on ``day``, by
    the calendar of the race's zone, at the earliest.
    """

    id: str
    campaign: str
    lock: str
    bundle: str
    row: int
    partner: str
    person: int
    address_token: str
    place: dict[str, Any]
    state: str
    attempt: int
    fence: int
    claimed_at: datetime | None
    settled_at: datetime | None
    stop_key: str | None
    verp: str
    capability_hash: str
    queue_id: str | None
    outcome: str | None
    seen: datetime | None = None
    messenger: str = ""
    day: date | None = None


def plan(unit: Unit, letters: Sequence[Delivery]) -> None:
    """Insert some thousand pending letters at most; those whose id is known stay as they are."""
    ids = [one.id for one in letters]
    known = set(unit.session.scalars(select(DeliveryRow.id).where(DeliveryRow.id.in_(ids))))
    new = [
        {name: getattr(one, name) for name in Delivery.__slots__}
        for one in letters
        if one.id not in known
    ]
    if new:
        unit.session.execute(insert(DeliveryRow), new)


def chosen(unit: Unit, campaign: str) -> list[tuple[int, str]]:
    """Person and address token of every letter that a campaign has so far."""
    query = select(DeliveryRow.person, DeliveryRow.address_token).where(
        DeliveryRow.campaign == campaign
    )
    return [(person, token) for person, token in unit.session.execute(query)]


def planned(unit: Unit, campaign: str) -> bool:
    """Whether the letters of a campaign have been chosen."""
    query = select(DeliveryRow.id).where(DeliveryRow.campaign == campaign).limit(1)
    return unit.session.scalar(query) is not None


def in_state(
    unit: Unit,
    campaign: str,
    states: Collection[str],
    most: int = 1_000_000,
    *,
    but: Collection[str] = (),
    unsigned: Collection[str] = (),
    today: date | None = None,
    without: Collection[str] = (),
    behind: Collection[str] = (),
    by_person: bool = False,
) -> list[Delivery]:
    """Letters of a campaign in some states, least tried first, then by id, which is random.

    Args:
        but: partners whose letters are left out.
        unsigned: messengers whose letters are left out.
        today: leave out letters of a later day.
        without: letters that are left out, some ten thousand at most.
        behind: campaigns of the same epoch; left out is whose address has a letter of theirs that
            has not left.
        by_person: the same of whoever has one at another address.
    """
    soon = [] if today is None else [or_(DeliveryRow.day.is_(None), DeliveryRow.day <= today)]
    query = (
        select(DeliveryRow)
        .where(
            DeliveryRow.campaign == campaign,
            DeliveryRow.state.in_(states),
            DeliveryRow.partner.not_in(but),
            DeliveryRow.messenger.not_in(unsigned),
            *soon,
            DeliveryRow.id.not_in(without),
            *([~_promised(behind, by_person=by_person)] if behind else []),
        )
        .order_by(DeliveryRow.attempt, DeliveryRow.id)
        .limit(most)
    )
    return [frozen(Delivery, row) for row in unit.session.scalars(query)]


def _promised(behind: Collection[str], *, by_person: bool) -> Any:
    """Whether another campaign has a letter to the same person or address that has not left."""
    other = aliased(DeliveryRow)
    same = [and_(DeliveryRow.address_token != "", other.address_token == DeliveryRow.address_token)]
    same += [and_(DeliveryRow.person != GONE, other.person == DeliveryRow.person)] * by_person
    waits = select(other.id).where(other.campaign.in_(behind), other.state.in_(UNSENT), or_(*same))
    return waits.exists()


def signed_since(unit: Unit, messengers: Collection[str], since: datetime) -> dict[str, int]:
    """Letters that left, or may have left, in some messengers' names since then."""
    if not messengers:
        return {}
    query = (
        select(DeliveryRow.messenger, func.count())
        .where(
            DeliveryRow.messenger.in_(messengers),
            DeliveryRow.claimed_at >= since,
            DeliveryRow.state.in_(("claimed", "sent", "in_doubt")),
        )
        .group_by(DeliveryRow.messenger)
    )
    return {str(id): int(number) for id, number in unit.session.execute(query)}


def being_signed(unit: Unit, messenger: str) -> bool:
    """Whether a letter in somebody's name is between its claim and its outcome."""
    query = select(DeliveryRow.id).where(
        DeliveryRow.messenger == messenger, DeliveryRow.state == "claimed"
    )
    return unit.session.scalar(query.limit(1)) is not None


def waiting_for_signers(unit: Unit, campaign: str, messengers: Collection[str]) -> list[Delivery]:
    """Letters of a campaign in some messengers' names that have not left."""
    query = select(DeliveryRow).where(
        DeliveryRow.campaign == campaign,
        DeliveryRow.state.in_(UNSENT),
        DeliveryRow.messenger.in_(messengers),
    )
    return [frozen(Delivery, row) for row in unit.session.scalars(query)]


def sign_anew(unit: Unit, id: str, messenger: str, day: date | None) -> None:
    """Give a letter that has not left to another messenger."""
    row = unit.get(DeliveryRow, id)
    if row is not None and row.state in UNSENT:
        row.messenger, row.day = messenger, day


def get(unit: Unit, id: str) -> Delivery:
    """The letter with this id, or ``Missing``."""
    row = unit.get(DeliveryRow, id)
    if row is None:
        raise Missing("no such letter")
    return frozen(Delivery, row)


def by_capability(unit: Unit, token: str) -> Delivery:
    """The letter whose link this is; only the link's hash is kept.

    Raises:
        Missing: no letter has that link.
    """
    stored = hashlib.sha256(b"trellis/capability/v1\n" + token.encode()).hexdigest()
    row = unit.session.scalar(select(DeliveryRow).where(DeliveryRow.capability_hash == stored))
    if row is None:
        raise Missing("no letter has that link")
    return frozen(Delivery, row)


def count(unit: Unit, campaign: str) -> dict[str, int]:
    """Letters by state: exact, for the mailer's own decisions; it must not leave unnoised."""
    query = (
        select(DeliveryRow.state, func.count())
        .where(DeliveryRow.campaign == campaign)
        .group_by(DeliveryRow.state)
    )
    return {str(state): int(number) for state, number in unit.session.execute(query)}


def unsettled(unit: Unit, *, doubts: bool) -> list[str]:
    """Campaigns, in any state, with letters that a worker left between claim and outcome.

    Letters of an ended campaign that never left are among them: they are to be dropped.

    Args:
        doubts: include those with letters in doubt, because there is a log to settle them from.
    """
    states = ("claimed", "in_doubt") if doubts else ("claimed",)
    over = CampaignRow.state.in_(("stopped", "closed"))
    query = select(CampaignRow.id).where(or_(_any_in(states), and_(over, _any_in(UNSENT))))
    return sorted(unit.session.scalars(query))


def _any_in(states: Collection[str]) -> Any:
    """Whether a campaign has a letter in one of these states."""
    mine = DeliveryRow.campaign == CampaignRow.id
    return select(DeliveryRow.id).where(mine, DeliveryRow.state.in_(states)).exists()


def opening(unit: Unit, campaign: str) -> None:
    """Remember that custodians may have opened a campaign, so that it is closed with them."""
    if unit.get(TextRow, _release(campaign)) is None:
        unit.session.add(TextRow(name=_release(campaign), value="open"))


def closed_at_custodians(unit: Unit, campaign: str) -> None:
    """A quorum of custodians gave their totals: nothing of it can be opened any more."""
    row = unit.get(TextRow, _release(campaign))
    if row is not None:
        row.value = "closed"


def to_close(unit: Unit) -> list[str]:
    """Campaigns that are over, and that too few custodians have closed so far."""
    query = (
        select(CampaignRow.id)
        .join(TextRow, TextRow.name == "rel:" + CampaignRow.id)
        .where(CampaignRow.state.in_(("stopped", "closed")), TextRow.value == "open")
    )
    return sorted(unit.session.scalars(query))


def _release(campaign: str) -> str:
    return f"rel:{campaign}"


def locks_of(unit: Unit, campaign: str, person: int) -> set[str]:
    """The locks, in hex, of the copies that a campaign has chosen for a person so far."""
    query = select(DeliveryRow.lock).where(
        DeliveryRow.campaign == campaign, DeliveryRow.person == person
    )
    return set(unit.session.scalars(query))


def drop(unit: Unit, id: str, why: str, now: datetime) -> None:
    """Take a letter back before it leaves."""
    row = unit.get(DeliveryRow, id)
    if row is not None and row.state in (*UNSENT, "claimed"):
        row.state, row.outcome, row.settled_at = "dropped", why, now
        if why == "withdrawn":
            unit.session.flush()
            _forget(unit, DeliveryRow.id == id)


def was_taken(unit: Unit, id: str, now: datetime) -> None:
    """A letter that was thought never to have left came back, so it had."""
    row = unit.get(DeliveryRow, id)
    if row is not None and row.state in UNSENT:
        row.state, row.outcome, row.settled_at = "sent", "it came back", now


def settle(
    unit: Unit,
    id: str,
    *,
    fence: int,
    state: str,
    outcome: str,
    queue_id: str | None,
    now: datetime,
    untried: bool = False,
) -> None:
    """Write what became of a claimed letter.

    Args:
        untried: the worker that claimed it says itself that it never began with it.

    Raises:
        LeaseLost: somebody with a newer fence has claimed it since; their word stands.
    """
    row = unit.get(DeliveryRow, id)
    if row is None or row.state not in ("claimed", "in_doubt") or row.fence != fence:
        raise LeaseLost("this letter is another worker's now")
    if row.row == GONE and state in UNSENT:
        state, outcome, row.person = "dropped", "withdrawn", GONE  # its row is gone meanwhile
    row.state, row.outcome, row.queue_id = state, outcome[:200], queue_id
    row.settled_at = now
    if state in (*UNSENT, "dropped"):
        row.stop_key = None  # provably unsent: the address is free again
    if untried:
        # Only then: who died at a letter counts as a try, or it would kill workers for ever.
        row.attempt -= 1


def withdraw(unit: Unit, bundle: str, rows: Collection[int] | None = None) -> None:
    """A bundle, or some of its rows, are withdrawn: what has not left never will.

    Nothing stays that tells which row a letter came from. Of a letter that has left, or may have,
    its person and stop key stay: caps and stops hold for people, not for rows.
    """
    for part in [None] if rows is None else _parts(sorted(rows)):
        mine = DeliveryRow.bundle == bundle
        if part is not None:
            mine = and_(mine, DeliveryRow.row.in_(part))
        unit.session.execute(
            update(DeliveryRow)
            .where(mine, DeliveryRow.state.in_(UNSENT))
            .values(state="dropped", outcome="withdrawn", settled_at=unit.now)
        )
        _forget(unit, mine)


def _parts(rows: Sequence[int]) -> list[Sequence[int]]:
    return [rows[at : at + 500] for at in range(0, len(rows), 500)]


def _forget(unit: Unit, which: Any) -> None:
    gone = {
        "lock": literal("gone:") + DeliveryRow.id,
        "row": GONE,
        "address_token": "",
        "place": {},
    }
    never = and_(which, DeliveryRow.state == "dropped")
    unit.session.execute(update(DeliveryRow).where(never).values(person=GONE, stop_key=None))
    unit.session.execute(update(DeliveryRow).where(which).values(**gone))


def expired(letter: Delivery) -> bool:
    """Whether a letter's links have ended."""
    return letter.capability_hash.startswith(EXPIRED)


def in_flight(unit: Unit, letter: Delivery) -> bool:
    """Whether a letter to the same person or address is between its claim and its outcome."""
    same = [DeliveryRow.id == letter.id]
    if letter.person != GONE:
        same.append(DeliveryRow.person == letter.person)
    if letter.stop_key is not None:
        same.append(DeliveryRow.stop_key == letter.stop_key)
    query = select(DeliveryRow.id).where(DeliveryRow.state == "claimed", or_(*same)).limit(1)
    return unit.session.scalar(query) is not None


def forget_addresses(unit: Unit, race: str) -> int:
    """Take the stop keys and links out of a race's letters; suppressions stay. Returns how many."""
    mine = select(CampaignRow.id).where(CampaignRow.race == race)
    left = or_(
        DeliveryRow.stop_key.is_not(None), DeliveryRow.capability_hash.not_like(f"{EXPIRED}%")
    )
    rows = unit.session.scalars(
        select(DeliveryRow).where(DeliveryRow.campaign.in_(mine), left).limit(FORGET_AT_ONCE)
    ).all()
    for row in rows:
        row.stop_key, row.seen, row.capability_hash = None, None, EXPIRED + row.id
    return len(rows)

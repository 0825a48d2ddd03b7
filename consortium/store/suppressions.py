"""Who must not be written to, and how far each stop reaches."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Select, and_, bindparam, func, or_, select

from consortium.store.deliveries import GONE, Delivery
from consortium.store.tables import (
    ContributionRow,
    DeliveryRow,
    SuppressionRow,
)
from consortium.store.unit import Unit


@dataclass(frozen=True, slots=True)
class Suppression:
    """Somebody who must not be written to. Scopes: race, partner, all."""

    scope: str
    race: str | None
    partner: str | None
    epoch: str | None
    stop_key: str | None
    address_token: str | None
    person: int | None
    bundle: str | None
    reason: str
    delivery: str | None
    at: datetime


def suppressions(unit: Unit, campaign: str, reason: str) -> int:
    """How many letters of a campaign came back with this reason; exact, must not leave unnoised."""
    query = (
        select(func.count(func.distinct(SuppressionRow.delivery)))
        .join(DeliveryRow, DeliveryRow.id == SuppressionRow.delivery)
        .where(DeliveryRow.campaign == campaign, SuppressionRow.reason == reason)
    )
    return int(unit.session.scalar(query) or 0)


def for_good(unit: Unit, stop_key: str) -> bool:
    """Whether an address gets nothing at all any more, from any race."""
    row = SuppressionRow
    query = select(row.seq).where(row.stop_key == stop_key, row.scope == "all").limit(1)
    return unit.session.scalar(query) is not None


def noted(unit: Unit, letters: Collection[str], reason: str) -> dict[str, datetime]:
    """When each of some letters first came back for a reason."""
    query = (
        select(SuppressionRow.delivery, func.min(SuppressionRow.at))
        .where(SuppressionRow.delivery.in_(letters), SuppressionRow.reason == reason)
        .group_by(SuppressionRow.delivery)
    )
    found: dict[str, datetime] = {}
    for id, at in unit.session.execute(query):
        found[str(id)] = at
    return found


def suppress(unit: Unit, new: Suppression) -> bool:
    """Keep a stop; the same one again changes nothing. Returns whether it is new."""
    known = unit.session.scalar(
        select(SuppressionRow.seq).where(
            SuppressionRow.scope == new.scope,
            SuppressionRow.reason == new.reason,
            SuppressionRow.delivery == new.delivery,
            SuppressionRow.race == new.race,
            SuppressionRow.partner == new.partner,
            SuppressionRow.stop_key == new.stop_key,
            SuppressionRow.address_token == new.address_token,
            SuppressionRow.person == new.person,
        )
    )
    if known is not None:
        return False
    unit.session.add(SuppressionRow(**{name: getattr(new, name) for name in Suppression.__slots__}))
    unit.session.flush()
    return True


@dataclass(frozen=True, slots=True)
class Silences:
    """Everybody who must not be written to in a race, as ``suppressed`` would say of each.

    Keys are ``("token", value)`` and ``("person", value)``; ``partial`` has the partner too.
    """

    whole: frozenset[tuple[str, object]]
    partial: frozenset[tuple[str, object, str]]

    def hold(self, partner: str, token: str, person: int) -> bool:
        """Whether a copy of a partner's list, about this address and person, is silenced."""
        about: list[tuple[str, object]] = [("person", person)]
        if token:
            about.append(("token", token))
        return any(one in self.whole or (*one, partner) in self.partial for one in about)


def silences(unit: Unit, *, race: str, epoch: str, loud: Collection[str] = ()) -> Silences:
    """Read all suppressions that reach into a race at once, for a whole audience.

    A token speaks within its epoch, a person within the race: row ids of the roll stay the same
    when a race moves to another epoch.
    """
    row = SuppressionRow
    query = select(
        row.scope, row.race, row.partner, row.epoch, row.address_token, row.person, row.bundle
    ).where(or_(row.epoch == epoch, row.race == race))
    whole: set[tuple[str, object]] = set()
    partial: set[tuple[str, object, str]] = set()
    for scope, where, partner, of, token, person, bundle in unit.session.execute(query):
        about: list[tuple[str, object]] = []
        if token is not None and of == epoch:
            about.append(("token", token))
        if person is not None and where == race and (bundle is None or partner not in loud):
            about.append(("person", person))
        if scope == "all" or (scope == "race" and where == race):
            whole.update(about)
        elif scope == "partner" and partner is not None:
            partial.update((*one, partner) for one in about)
    return Silences(frozenset(whole), frozenset(partial))


def suppressed(
    unit: Unit,
    *,
    race: str,
    partner: str,
    epoch: str,
    stop_key: str | None,
    address_token: str | None,
    person: int | None,
    loud: Collection[str] = (),
) -> bool:
    """Whether somebody must not be written to, by address, by token or by person.

    Args:
        epoch: of the list that the token is from; an address and a person outlive epochs.
        loud: partners whose list is frozen: stops that came from it no longer speak for a
            person, only for an address. Planted mailboxes must not silence a list.
    """
    known = {"stop_key": stop_key, "address_token": address_token, "person": person}
    given = {name: value for name, value in known.items() if value is not None}
    if not given:
        return False
    where = {"race": race, "partner": partner}
    where |= {"epoch": epoch} if "address_token" in given else {}
    more = {"loud": list(loud)} if "person" in given else {}
    return unit.session.scalar(_silencing(tuple(given)), {**where, **given, **more}) is not None


# Asked thrice for each letter; building the query costs more than its answer.
@cache
def _silencing(names: tuple[str, ...]) -> Select[Any]:
    row = SuppressionRow
    # A stop that came from no bundle is nobody's planted mailbox.
    quiet = row.partner.not_in(bindparam("loud", expanding=True))
    speaks = or_(row.bundle.is_(None), row.partner.is_(None), quiet)
    here = row.race == bindparam("race")
    same = {
        "stop_key": row.stop_key == bindparam("stop_key"),
        "address_token": and_(
            row.address_token == bindparam("address_token"), row.epoch == bindparam("epoch")
        ),
        "person": and_(row.person == bindparam("person"), here, speaks),
    }
    reach = or_(
        row.scope == "all",
        and_(row.scope == "race", here),
        and_(row.scope == "partner", row.partner == bindparam("partner")),
    )
    return select(row.seq).where(reach, or_(*(same[name] for name in names))).limit(1)


def tokens_of(unit: Unit, stop_key: str, epoch: str) -> set[str]:
    """The address tokens, in an epoch, of letters that went to an address."""
    query = (
        select(DeliveryRow.address_token)
        .join(ContributionRow, ContributionRow.id == DeliveryRow.bundle)
        .where(DeliveryRow.stop_key == stop_key, ContributionRow.epoch == epoch)
        .distinct()
    )
    return {token for token in unit.session.scalars(query) if token}


def recognised(unit: Unit, *, stop_key: str, epoch: str, address_token: str) -> None:
    """An address that was stopped in another epoch was met: its token in this one says so too.

    From then on its rows are known before any is opened. The stop stays what it was, of whom and
    how far; only the name by which the address is recognised is new.
    """
    row = SuppressionRow
    stops = unit.session.scalars(select(row).where(row.stop_key == stop_key)).all()
    here = {(one.scope, one.race, one.partner) for one in stops if one.epoch == epoch}
    for one in stops:
        if one.epoch != epoch and (one.scope, one.race, one.partner) not in here:
            here.add((one.scope, one.race, one.partner))
            new = {**{name: getattr(one, name) for name in Suppression.__slots__}, "epoch": epoch}
            unit.session.add(row(**{**new, "address_token": address_token}))
    unit.session.flush()


def stops_by_partner(unit: Unit, race: str) -> dict[str, int]:
    """How many addresses stopped, or complained, upon a letter of each partner's in a race."""
    found = unit.session.execute(_BY_PARTNER, {"race": race})
    return {partner: number for partner, number in found if partner}


_BY_PARTNER = (
    select(
        SuppressionRow.partner,
        func.count(func.distinct(func.coalesce(SuppressionRow.stop_key, SuppressionRow.delivery))),
    )
    .where(
        SuppressionRow.race == bindparam("race"),
        SuppressionRow.bundle.is_not(None),
        SuppressionRow.reason.in_(("stop", "complaint")),
    )
    .group_by(SuppressionRow.partner)
)


def stops_through(unit: Unit, bundle: str) -> list[tuple[str, str, str, datetime]]:
    """Stops upon letters that went through one list: lock in hex, scope, race, and when.

    Only rows that stand: of one that was withdrawn nothing here tells any more which it was.
    """
    row = SuppressionRow
    query = (
        select(DeliveryRow.lock, row.scope, row.race, row.at)
        .join(DeliveryRow, DeliveryRow.id == row.delivery)
        .where(
            row.reason == "stop",
            row.bundle == bundle,
            DeliveryRow.bundle == bundle,
            DeliveryRow.row != GONE,
        )
    )
    return [(lock, scope, str(race), at) for lock, scope, race, at in unit.session.execute(query)]


def stopped_scopes(unit: Unit, letter: Delivery, race: str) -> list[str]:
    """Which kinds of stop would add nothing to what a letter's recipient has said.

    Only what that person said, of this race, or of this sender: somebody else at a shared address,
    another race or another sender is not what they see on this page.
    """
    row = SuppressionRow
    same = and_(row.stop_key == letter.stop_key, row.person == letter.person)
    query = select(row.scope).where(
        row.reason.in_(("stop", "complaint")),
        row.race == race,
        or_(row.scope != "partner", row.partner == letter.partner),
        or_(row.delivery == letter.id, and_(same, row.stop_key.is_not(None))),
    )
    found = set(unit.session.scalars(query))
    # Everything is everything: of this race, of this sender, and the person's other addresses.
    return sorted(found | {"race", "partner", "protect"} if "all" in found else found)

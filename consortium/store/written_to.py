"""Whom letters went to, when, and what came of it: as caps, reports and the sunset ask."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, or_, select

from consortium.store import deliveries
from consortium.store.campaigns import Campaign
from consortium.store.deliveries import Delivery
from consortium.store.tables import CampaignRow, DeliveryRow, SuppressionRow
from consortium.store.unit import Unit


def span(unit: Unit, campaign: str) -> tuple[datetime | None, datetime | None]:
    """When the first letter of a campaign was claimed, and when the last one was settled."""
    query = select(func.min(DeliveryRow.claimed_at), func.max(DeliveryRow.settled_at)).where(
        DeliveryRow.campaign == campaign
    )
    first, last = unit.session.execute(query).one()
    return first, last


def outcome(unit: Unit, campaign: str, name: str) -> int:
    """An exact figure of a closed campaign, on its way into noise."""
    if name == "handed to providers":
        return deliveries.count(unit, campaign).get("sent", 0)
    reasons = ("stop", "complaint") if name == "stopped" else ("hard",)
    query = (
        select(func.count(func.distinct(SuppressionRow.delivery)))
        .join(DeliveryRow, DeliveryRow.id == SuppressionRow.delivery)
        .where(DeliveryRow.campaign == campaign, SuppressionRow.reason.in_(reasons))
    )
    return int(unit.session.scalar(query) or 0)


def sent_at(
    unit: Unit,
    race: str,
    *,
    stop_key: str | None,
    people: Collection[int] = (),
    address_token: str | None = None,
) -> list[datetime]:
    """When whoever is given by any of the three was written to here; a doubt counts as sent."""
    given = ((DeliveryRow.stop_key, stop_key), (DeliveryRow.address_token, address_token))
    same = [column == value for column, value in given if value is not None]
    same += [DeliveryRow.person.in_(people)] if people else []
    if not same:
        return []
    query = (
        select(DeliveryRow.claimed_at)
        .join(CampaignRow, CampaignRow.id == DeliveryRow.campaign)
        .where(
            CampaignRow.race == race,
            DeliveryRow.state.in_(("claimed", "sent", "in_doubt")),
            or_(*same),
            DeliveryRow.id.not_in(_bounced()),
        )
    )
    return [at for at in unit.session.scalars(query) if at is not None]


def sent_elsewhere(
    unit: Unit,
    one: Campaign,
    since: datetime,
    *,
    stop_key: str | None,
    people: Collection[int] = (),
    address_token: str | None = None,
) -> list[datetime]:
    """As ``sent_at``, in every race but a campaign's own, since some time.

    A person's number and a token mean the same only within one epoch; a stop key always does.
    """
    told: list[Any] = [DeliveryRow.person.in_(people)] if people else []
    told += [DeliveryRow.address_token == address_token] if address_token else []
    same: list[Any] = [and_(CampaignRow.epoch == one.epoch, or_(*told))] if told else []
    same += [DeliveryRow.stop_key == stop_key] if stop_key is not None else []
    if not same:
        return []
    query = (
        select(DeliveryRow.claimed_at)
        .join(CampaignRow, CampaignRow.id == DeliveryRow.campaign)
        .where(
            CampaignRow.race != one.race,
            DeliveryRow.claimed_at > since,
            DeliveryRow.state.in_(("claimed", "sent", "in_doubt")),
            or_(*same),
            DeliveryRow.id.not_in(_bounced()),
        )
    )
    return [at for at in unit.session.scalars(query) if at is not None]


def unanswered(unit: Unit, *, stop_key: str | None, address_token: str | None) -> int:
    """How many letters went to an address since its last sign of life, in whichever race.

    As far back as the outbox knows its addresses: some time after a race it forgets them.
    """
    given = ((DeliveryRow.stop_key, stop_key), (DeliveryRow.address_token, address_token))
    same = [column == value for column, value in given if value]
    if not same:
        return 0
    query = select(DeliveryRow.claimed_at, DeliveryRow.seen).where(
        DeliveryRow.state.in_(("claimed", "sent", "in_doubt")),
        DeliveryRow.capability_hash.not_like(f"{deliveries.EXPIRED}%"),
        or_(*same),
    )
    letters = [(at, seen) for at, seen in unit.session.execute(query) if at is not None]
    last = max((seen for _, seen in letters if seen is not None), default=None)
    return sum(last is None or at > last for at, _ in letters)


def seen(unit: Unit, id: str, now: datetime) -> None:
    """Note a letter's sign of life."""
    row = unit.session.get(DeliveryRow, id)
    if row is not None:
        row.seen = now


def lately(unit: Unit, letter: Delivery, most: int) -> list[str]:
    """A letter's id, and those of letters that went to its address before it, newest first."""
    if letter.stop_key is None or letter.claimed_at is None:
        return [letter.id]
    query = (
        select(DeliveryRow.id)
        .where(
            DeliveryRow.stop_key == letter.stop_key,
            DeliveryRow.state == "sent",
            DeliveryRow.claimed_at <= letter.claimed_at,
        )
        .order_by(DeliveryRow.claimed_at.desc())
        .limit(most)
    )
    return list(unit.session.scalars(query))


def last_sent(unit: Unit, race: str) -> dict[int, list[datetime]]:
    """When each person was written to in this race."""
    return _written(unit, race, DeliveryRow.person)


def last_sent_to(unit: Unit, race: str) -> dict[str, list[datetime]]:
    """When each address, by its token, was written to in this race."""
    return _written(unit, race, DeliveryRow.address_token)


def _written(unit: Unit, race: str, whom: Any) -> dict[Any, list[datetime]]:
    query = (
        select(whom, DeliveryRow.claimed_at)
        .join(CampaignRow, CampaignRow.id == DeliveryRow.campaign)
        .where(
            CampaignRow.race == race,
            DeliveryRow.state.in_(("claimed", "sent", "in_doubt")),
            DeliveryRow.id.not_in(_bounced()),
        )
    )
    found: dict[Any, list[datetime]] = {}
    for who, at in unit.session.execute(query):
        if at is not None:
            found.setdefault(who, []).append(at)
    return found


def _bounced() -> Any:
    """Letters to addresses that do not exist: they reached nobody."""
    return select(SuppressionRow.delivery).where(
        SuppressionRow.reason == "hard", SuppressionRow.delivery.is_not(None)
    )

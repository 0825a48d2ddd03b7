"""Whom letters went to, when, and what came of it: as caps, reports and the sunset ask."""

from collections.abc import Collection, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, func, or_, select, union

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
    given = _given(stop_key, address_token, people)
    return _times(unit, _here(tuple(given)), {"race": race, **given}) if given else []


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
    given = _given(stop_key, address_token, people)
    where = {"race": one.race, "epoch": one.epoch, "since": since}
    return _times(unit, _elsewhere(tuple(given)), {**where, **given}) if given else []


def unanswered(unit: Unit, *, stop_key: str | None, address_token: str | None) -> int:
    """How many letters went to an address since its last sign of life, in whichever race.

    As far back as the outbox knows its addresses: some time after a race it forgets them.
    """
    given = _given(stop_key or None, address_token or None, ())
    if not given:
        return 0
    found = unit.session.execute(_all(tuple(given)), given)
    letters = [(at, seen) for at, seen in found if at is not None]
    last = max((seen for _, seen in letters if seen is not None), default=None)
    return sum(last is None or at > last for at, _ in letters)


_LEFT = DeliveryRow.state.in_(("claimed", "sent", "in_doubt"))
_READER = {
    "stop_key": DeliveryRow.stop_key == bindparam("stop_key"),
    "address_token": DeliveryRow.address_token == bindparam("address_token"),
    "people": DeliveryRow.person.in_(bindparam("people", expanding=True)),
}


def _given(
    stop_key: str | None, address_token: str | None, people: Collection[int]
) -> dict[str, Any]:
    """What is known of a reader, by the names in ``_READER``."""
    whole = {"stop_key": stop_key, "address_token": address_token, "people": list(people) or None}
    return {name: value for name, value in whole.items() if value is not None}


def _times(unit: Unit, query: Select[Any], given: Mapping[str, Any]) -> list[datetime]:
    return [at for at in unit.session.scalars(query, given) if at is not None]


# These are asked twice for each letter; building a query costs more than its answer.
@cache
def _here(names: tuple[str, ...]) -> Select[Any]:
    return _went(names).where(CampaignRow.race == bindparam("race"))


@cache
def _elsewhere(names: tuple[str, ...]) -> Select[Any]:
    epoch = CampaignRow.epoch.is_not_distinct_from(bindparam("epoch"))
    same = [epoch, *([_READER["stop_key"]] if "stop_key" in names else [])]
    return _went(names).where(
        CampaignRow.race != bindparam("race"),
        DeliveryRow.claimed_at > bindparam("since"),
        or_(*same),
    )


def _went(names: tuple[str, ...]) -> Select[Any]:
    """Letters that went to a reader who is known by any of these names."""
    # One look into the index of each: over a disjunction SQLite would read a whole race.
    ids = union(*(select(DeliveryRow.id).where(_READER[name]).correlate(None) for name in names))
    return (
        select(DeliveryRow.claimed_at)
        .join(CampaignRow, CampaignRow.id == DeliveryRow.campaign)
        .where(DeliveryRow.id.in_(ids), _LEFT, ~_bounced())
    )


@cache
def _all(names: tuple[str, ...]) -> Select[Any, Any]:
    return select(DeliveryRow.claimed_at, DeliveryRow.seen).where(
        _LEFT,
        DeliveryRow.capability_hash.not_like(f"{deliveries.EXPIRED}%"),
        or_(*(_READER[name] for name in names)),
    )


def seen(unit: Unit, id: str, now: datetime) -> None:
    """Note a letter's sign of life."""
    row = unit.get(DeliveryRow, id)
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
            _LEFT,
            ~_bounced(),
        )
    )
    found: dict[Any, list[datetime]] = {}
    for who, at in unit.session.execute(query):
        if at is not None:
            found.setdefault(who, []).append(at)
    return found


def _bounced() -> Any:
    """Whether a letter went to an address that does not exist: it reached nobody."""
    mine = SuppressionRow.delivery == DeliveryRow.id
    return select(SuppressionRow.seq).where(mine, SuppressionRow.reason == "hard").exists()

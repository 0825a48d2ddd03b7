"""A small installation in the store: two partners, a race, a campaign, a bundle each."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from consortium.store import actors, campaigns, contributions, deliveries, outbox, races
from consortium.store.actors import Actor
from consortium.store.campaigns import Campaign
from consortium.store.contributions import Contribution, Roll
from consortium.store.deliveries import Delivery
from consortium.store.suppressions import Suppression
from consortium.store.unit import Unit
from tests.databases import NOON

RACE, EPOCH, CAMPAIGN = "oh-house-44", "2026-season", "c0000000-0000-4000-8000-000000000001"
OTHER_CAMPAIGN = "c0000000-0000-4000-8000-000000000002"
BUNDLES = {
    "union": "b0000000-0000-4000-8000-00000000000a",
    "parks": "b0000000-0000-4000-8000-00000000000b",
}
PARTNERS = tuple(sorted(BUNDLES))


def campaign(id: str = CAMPAIGN, race: str = RACE, **other: Any) -> Campaign:
    """A campaign that is being sent."""
    made = Campaign(
        id=id,
        race=race,
        author="cora",
        state="sending",
        before_pause=None,
        definition={"places": {"precinct": ["44-1204"]}},
        template={"subject": "Vote", "messenger": {"name": "Ann", "place": "Toledo"}},
        manifest={"sources": list(PARTNERS)},
        digest="d" * 64,
        estimate=200,
        nonce=None,
        root=None,
        audience_digest=None,
        epoch=None,
        intent_leaf=None,
        scheduled=None,
        progress=0,
        waiting_for="",
        at=NOON,
        closed=None,
    )
    return replace(made, **other)


def contribution(partner: str, **other: Any) -> Contribution:
    """A partner's bundle, matched."""
    made = Contribution(
        id=BUNDLES[partner],
        partner=partner,
        epoch=EPOCH,
        state="matched",
        header={"size_class": 256},
        wrapped=b"wrapped",
        rows_digest=partner.ljust(64, "1"),
        outputs_digest=partner.ljust(64, "2"),
        tokens_digest=partner.ljust(64, "3"),
        links_digest=partner.ljust(64, "4"),
        linked_roll=None,
        rostered=True,
        leaf=partner.ljust(64, "5"),
        at=NOON,
    )
    return replace(made, **other)


def roll(**other: Any) -> Roll:
    """A roll slice that is ready."""
    made = Roll(
        id="d0000000-0000-4000-8000-000000000001",
        steward="stella",
        epoch=EPOCH,
        state="ready",
        header={},
        attributes_digest="a" * 64,
        outputs_digest=None,
        tokens_digest="b" * 64,
        leaf="c" * 64,
        at=NOON,
    )
    return replace(made, **other)


def letter(number: int, partner: str = "union", **other: Any) -> Delivery:
    """A letter that waits."""
    campaign = str(other.get("campaign", CAMPAIGN))
    name = f"{campaign[-1]}-{number}-{partner}"
    made = Delivery(
        id=name,
        campaign=campaign,
        lock=name.encode().hex().ljust(64, "0"),
        bundle=BUNDLES[partner],
        row=number,
        partner=partner,
        person=number,
        address_token=f"{number:032x}",
        place={"precinct": "44-1204"},
        state="pending",
        attempt=0,
        fence=0,
        claimed_at=None,
        settled_at=None,
        stop_key=None,
        verp=f"verp-{name}",
        capability_hash=f"hash-{name}",
        queue_id=None,
        outcome=None,
    )
    return replace(made, **other)


def stop(scope: str = "race", **other: Any) -> Suppression:
    """Somebody's stop, keyed by nothing yet."""
    made = Suppression(
        scope=scope,
        race=RACE,
        partner="union",
        epoch=EPOCH,
        stop_key=None,
        address_token=None,
        person=None,
        bundle=BUNDLES["union"],
        reason="stop",
        delivery=None,
        at=NOON,
    )
    return replace(made, **other)


def people(unit: Unit) -> None:
    """Register everyone and open the race."""
    for id, role in (
        ("union", "partner"),
        ("parks", "partner"),
        ("cora", "coordinator"),
        ("stella", "steward"),
    ):
        actors.add(unit, Actor(id, role, id.title(), id.encode().hex().ljust(64, "0")))
    races.add(unit, races.Race(RACE, "Ohio House 44", EPOCH, b"{}", "e" * 64))
    unit.session.flush()


def plant(unit: Unit) -> None:
    """Everything that letters hang on."""
    people(unit)
    for partner in PARTNERS:
        contributions.add(unit, contribution(partner))
    for id in (CAMPAIGN, OTHER_CAMPAIGN):
        campaigns.add(unit, campaign(id))


def send(unit: Unit, id: str, stop_key: str, now: datetime = NOON, state: str = "sent") -> None:
    """Claim and settle one letter."""
    assert outbox.claim(unit, [(deliveries.get(unit, id), stop_key)], fence=1, now=now)
    deliveries.settle(unit, id, fence=1, state=state, outcome="250", queue_id=None, now=now)

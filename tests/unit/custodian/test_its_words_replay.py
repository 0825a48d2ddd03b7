"""What real custodians say in the log of a campaign is the story that an auditor replays."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from matching.locks import make_entry
from policies import agreement as agreements
from provenance.errors import StoryRefused
from provenance.evidence import Checked
from provenance.people import People, Terms
from provenance.story import Story, tell
from tests.fakes.campaign import Campaign, make_campaign, make_rows, put_roster
from tests.fakes.custodians import EPOCH, World, public

TYPES = {
    **dict.fromkeys(("block", "opening", "consent"), "ledger"),
    **dict.fromkeys(("approve", "attest"), "approval"),
    "sign": "agreement",
    "send": "intent",
    "released": "sent",
    "closed": "sent",
    "roster": "contribution",
}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.deal("seal")
    yield made
    made.client.close()
    for host in made.hosts.values():
        host.ledger.close()


@pytest.fixture
def campaign(world: World) -> Campaign:
    """One that two custodians have opened and closed, beside ghosts' and others' rows."""
    entries = [make_entry(EPOCH, *row) for row in make_rows(7)]
    put_roster(world, entries)
    made = make_campaign(world, entries[:5])
    for one in world.ids[:2]:
        custodian = world.hosts[one].custodian
        custodian.open_release(made.body(world, one))
        call = world.signed("release-close", "mailer", one, {"campaign": "c1"})
        custodian.close_release("c1", call)
    return made


def logged(world: World) -> list[Checked]:
    """All of the log, opened."""
    size, root = world.log.tree()
    return [
        Checked(TYPES[facts["kind"]], world.now, actor, facts, index, size, root, world.now)
        for index, (actor, facts) in enumerate(world.log.entries.values())
    ]


def replayed(world: World, campaign: Campaign, entries: list[Checked]) -> Story:
    read = agreements.parse(campaign.agreement)
    partners = {one.id: bytes.fromhex(one.public) for one in read.parties}
    terms = Terms(
        digest=agreements.digest(campaign.agreement),
        race=read.race.id,
        opens=read.opens,
        closes=read.closes,
        parties=partners,
        approvals=None,
        size_class=read.size_class_max,
    )
    people = People(
        partners=partners,
        custodians={one: public(world.keys[one]) for one in world.ids},
        operators=frozenset({public(world.keys["operator"])}),
        mailers=frozenset({public(world.keys["mailer"])}),
        threshold=world.threshold,
    )
    return tell(entries, people, terms=[terms])


def closing(world: World, letters: int) -> Mapping[str, Any]:
    """What the mail machine says at the end, as `consortium.service.settle` does."""
    return world.entry("mailer", kind="closed", campaign="c1", letters=letters)


def test_openings_and_totals_of_real_custodians_are_believed(
    world: World, campaign: Campaign
) -> None:
    closing(world, 5)
    story = replayed(world, campaign, logged(world))
    assert story.unshown == ()
    held = dict(story.held)
    assert held["opening: of what the intent names, inside its window"] == 2
    assert held["sent: custodians' totals cover the letters"] == 1


def test_one_letter_more_than_rows_were_opened_is_found(world: World, campaign: Campaign) -> None:
    closing(world, 6)
    with pytest.raises(StoryRefused, match="more letters were mailed"):
        replayed(world, campaign, logged(world))


@pytest.mark.parametrize("kind", ["sign", "approve", "attest", "send", "opening"])
def test_without_any_one_of_what_custodians_ask_for_it_is_refused(
    world: World, campaign: Campaign, kind: str
) -> None:
    entries = logged(world)
    replayed(world, campaign, entries)
    for place, one in enumerate(entries):
        spare = one.facts["kind"] == "attest" and one.actor == public(world.keys["parks"])
        if one.facts["kind"] == kind and not spare:  # parks is no source: only custodians ask it
            with pytest.raises(StoryRefused, match="c1"):
                replayed(world, campaign, entries[:place] + entries[place + 1 :])


def test_an_opening_out_of_the_window_or_of_other_rows_is_found(
    world: World, campaign: Campaign
) -> None:
    entries = logged(world)
    place = next(n for n, one in enumerate(entries) if one.facts["kind"] == "opening")
    for bent in (
        replace(entries[place], at=world.now + timedelta(days=4)),
        replace(entries[place], facts={**entries[place].facts, "root": "0" * 64}),
    ):
        with pytest.raises(StoryRefused, match="a custodian opened"):
            replayed(world, campaign, [*entries[:place], bent, *entries[place + 1 :]])

"""During an overlap a custodian answers each lock under the key of its own epoch, or not at all."""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from consortium.custodian.errors import HomeUnready, Refused
from matching import locks
from matching.locks import make_entry
from tests.fakes.campaign import Campaign, make_campaign, make_rows, put_roster
from tests.fakes.custodians import EPOCH, World

NEXT = "2027-season"
ROWS = {epoch: make_rows(3) for epoch in (EPOCH, NEXT)}
ENTRIES = {epoch: [make_entry(epoch, *row) for row in rows] for epoch, rows in ROWS.items()}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    join(made, next_epoch=NEXT)
    for epoch in (EPOCH, NEXT):
        made.deal("seal", epoch)
        put_roster(made, ENTRIES[epoch], epoch=epoch)
    yield made
    made.client.close()
    for host in made.hosts.values():
        host.ledger.close()


def join(world: World, **other: str) -> None:
    """Every custodian joins another invite."""
    for host in world.hosts.values():
        path = host.settings.home / "invite.json"
        path.write_text(json.dumps({**world.invite, **other}))


def open_at(world: World, campaign: Campaign, to: str = "ann") -> Any:
    return world.hosts[to].custodian.open_release(campaign.body(world, to))


def points(world: World, name: str) -> list[bytes]:
    """What two custodians' answers come to, lock for lock."""
    found = []
    for to in world.ids[:2]:
        said = {"campaign": name, "chunk": 0, "quorum": [1, 2], "proofs": False, "version": 1}
        message = world.signed("release-answer", "mailer", to, said)
        answer = world.hosts[to].custodian.answer_chunk(name, 0, message)
        found.append(b64decode(answer["answers"]))
    whole = locks.combine(found)
    return [whole[n : n + 32] for n in range(0, len(whole), 32)]


@pytest.mark.parametrize("epoch", [EPOCH, NEXT])
def test_a_lock_is_answered_under_the_key_of_its_own_epoch(world: World, epoch: str) -> None:
    for to in world.ids[:2]:
        open_at(world, make_campaign(world, ENTRIES[epoch], name="c1"), to)
    key = world.hosts["ann"].ledger.key("seal", epoch)
    assert key is not None
    wanted = {
        entry.lock: locks.shared_point(r, key.statement.public)
        for entry, (_, r) in zip(ENTRIES[epoch], ROWS[epoch], strict=True)
    }
    release = world.hosts["ann"].ledger.release("c1")
    each = [release.locks[n : n + 32] for n in range(0, len(release.locks), 32)]
    assert points(world, "c1") == [wanted[lock] for lock in each]


def test_an_audience_of_two_epochs_is_not_opened(world: World) -> None:
    mixed = [*ENTRIES[EPOCH][:1], *ENTRIES[NEXT][:1]]
    for order in (mixed, mixed[::-1]):
        with pytest.raises(Refused, match="lock-unknown"):
            open_at(world, make_campaign(world, order, name="mixed"))


def test_a_chunk_of_one_epoch_is_none_of_the_other(world: World) -> None:
    """Its proofs are bound to the epoch, so that no lock can be carried over."""
    raw = b"".join(entry.to_bytes() for entry in ENTRIES[EPOCH])
    _, proof = world.rosters.of(EPOCH)[0]
    body = {"entries": b64encode(raw).decode(), "evidence": proof, "epoch": NEXT}
    with pytest.raises(Refused, match="roster-evidence"):
        world.hosts["ann"].custodian.add_roster(0, body)
    with pytest.raises(Refused, match="roster-evidence"):
        world.hosts["ann"].custodian.add_roster(0, {**body, "epoch": "2031-season"})
    assert not world.hosts["ann"].custodian.add_roster(0, {**body, "epoch": EPOCH})["known"]
    world.rosters.of(NEXT).clear()
    put_roster(world, ENTRIES[EPOCH], 3, epoch=NEXT)  # logged by the operator all the same
    with pytest.raises(Exception, match=r"does not show|proof|knew"):
        world.hosts["ann"].custodian.pull_rosters()


def test_a_custodian_that_has_not_joined_the_next_epoch_opens_nothing_of_it(world: World) -> None:
    join(world)
    with pytest.raises(Refused, match="lock-unknown"):
        open_at(world, make_campaign(world, ENTRIES[NEXT], name="early"))
    join(world, next_epoch=NEXT)
    open_at(world, make_campaign(world, ENTRIES[NEXT], name="late"))


def test_when_the_old_epoch_has_ended_the_new_one_goes_on(world: World) -> None:
    world.hosts["ann"].custodian.pull_rosters()
    join(world, epoch=NEXT)
    open_at(world, make_campaign(world, ENTRIES[NEXT], name="after"))


def test_a_ceremony_is_for_an_epoch_that_the_invite_names(world: World) -> None:
    registry = world.hosts["ann"].registry
    here, there = registry.session("match", 1), registry.session("match", 1, NEXT)
    assert (here.epoch, there.epoch) == (EPOCH, NEXT)
    assert here.sid != there.sid
    assert registry.session("match", 1, EPOCH).sid == here.sid
    with pytest.raises(HomeUnready, match="2031-season"):
        registry.session("match", 1, "2031-season")

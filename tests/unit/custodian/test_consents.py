"""What other custodians say of consents fills no disk, and counts for its own epoch alone."""

import itertools
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from consortium.custodian.consents import HttpNeighbours
from tests.fakes.custodians import EPOCH, World, public
from tests.fakes.memory_log import MemoryLog

FACTS: dict[str, Any] = {"kind": "consent", "epoch": EPOCH, "whose": "union", "rows": 8192}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    for host in made.hosts.values():
        host.ledger.close()
    made.client.close()


def offered(world: World, *more: dict[str, Any], by: str = "bea") -> list[str]:
    """Bea offers drafts, all of which open under her key; their leaves."""
    log = MemoryLog(world.log, public(world.keys[by]))
    drafts = [log.draft("ledger", {**FACTS, **one}) for one in more]
    world.neighbours._said = lambda one: drafts if one == by else []
    return [log.leaf(one) for one in drafts]


def heard(world: World) -> list[Any]:
    anchors, ledger = world.hosts["ann"].custodian.anchors, world.hosts["ann"].ledger
    anchors.consents()
    return ledger.rows("SELECT by, leaf, epoch, actor, rows FROM heard ORDER BY leaf")


def test_a_thousand_drafts_of_one_consent_are_one_row(world: World) -> None:
    leaves = offered(world, *({"n": n} for n in range(1000)))
    assert len(set(leaves)) == 1000
    assert heard(world) == [("bea", leaves[-1], EPOCH, "union", 8192)]
    assert len(heard(world)) == 1


def test_the_one_that_stands_in_the_log_counts_whichever_it_is(world: World) -> None:
    leaves = offered(world, *({"n": n} for n in range(5)))
    heard(world)
    world.entry("bea", **FACTS, n=2)
    ann = world.hosts["ann"]
    ann.custodian.anchors.look()
    assert ann.ledger.said(EPOCH, "union") == {}  # another draft was kept
    assert [row[1] for row in heard(world)] == [leaves[2]]
    assert ann.ledger.said(EPOCH, "union") == {"bea": (False, 8192)}
    offered(world, *({"n": n} for n in range(5, 9)))
    assert [row[1] for row in heard(world)] == [leaves[2]]  # what stands is replaced by nothing


@pytest.mark.parametrize(
    "wrong",
    [
        {"epoch": "2020-season"},
        {"epoch": "x" * 1_000_000},
        {"whose": "nobody"},
        {"whose": "mailer"},
        {"rows": 8191},
        {"rows": 2**25},
        {"rows": True},
        {"kind": "block"},
    ],
)
def test_what_no_command_could_have_said_here_is_not_kept(
    world: World, wrong: dict[str, Any]
) -> None:
    offered(world, wrong)
    assert heard(world) == []
    offered(world, {})
    assert len(heard(world)) == 1


def test_with_its_epoch_a_consent_goes_and_no_repeat_brings_it_back(world: World) -> None:
    offered(world, {})
    world.entry("bea", **FACTS)
    ann = world.hosts["ann"]
    ann.custodian.anchors.look()
    assert len(heard(world)) == 1
    assert ann.ledger.said(EPOCH, "union")
    file = ann.settings.home / "invite.json"
    for epochs in ({"epoch": "2027"}, {"epoch": "2028", "next_epoch": "2029"}):
        file.write_text(json.dumps({**world.invite, **epochs}))
        ann.registry._read_at = -1.0
        assert heard(world) == []  # bea offers it still
        assert ann.ledger.said(EPOCH, "union") == {}


def test_during_the_overlap_both_epochs_consents_are_kept(world: World) -> None:
    ann = world.hosts["ann"]
    file = ann.settings.home / "invite.json"
    file.write_text(json.dumps({**world.invite, "next_epoch": "2027"}))
    ann.registry._read_at = -1.0
    offered(world, {}, {"epoch": "2027"})
    assert {row[2] for row in heard(world)} == {EPOCH, "2027"}


def test_who_is_no_custodian_any_more_is_forgotten(world: World) -> None:
    offered(world, {})
    assert len(heard(world)) == 1
    ann = world.hosts["ann"]
    listed: Any = world.invite["custodians"]
    said = {**world.invite, "custodians": [one for one in listed if one["id"] != "bea"]}
    said["former"] = [one for one in listed if one["id"] == "bea"]
    (ann.settings.home / "invite.json").write_text(json.dumps(said))
    ann.registry._read_at = -1.0
    assert heard(world) == []


class Dripping(httpx.SyncByteStream):
    """An answer that never ends."""

    def __init__(self) -> None:
        self.parts = 0

    def __iter__(self) -> Iterator[bytes]:
        while self.parts < 10_000:  # so that a test without a limit ends as well
            self.parts += 1
            yield b" "


@pytest.mark.parametrize(("most", "seconds"), [(5, 1e9), (1e9, 5)])
def test_neither_length_nor_pace_of_an_answer_stops_what_comes_after(
    monkeypatch: pytest.MonkeyPatch, most: float, seconds: float
) -> None:
    monkeypatch.setattr("consortium.custodian.consents.MOST_SAID", most)
    stream, beats = Dripping(), itertools.count(0, 30 / seconds)
    client = httpx.Client(
        transport=httpx.MockTransport(lambda _: httpx.Response(200, stream=stream))
    )
    neighbours = HttpNeighbours(lambda: {"bea": "http://bea"}, client, lambda: next(beats))
    assert neighbours.consents("bea") == []
    assert stream.parts == 6


def test_an_answer_of_ordinary_length_and_pace_is_heard() -> None:
    said = {"consents": [{"entry": "5"}]}
    client = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=said)))
    with closing(HttpNeighbours(lambda: {"bea": "http://bea"}, client)) as neighbours:
        assert neighbours.consents("bea") == said["consents"]
        assert neighbours.consents("nobody") == []

"""Without a quorum of witnesses there is no receipt, nothing is sent, and it shows who is away."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from itertools import combinations
from types import SimpleNamespace

import httpx
import pytest
from click import ClickException

from consortium import witness_client
from consortium.cli.founding import cover_of, quorum_words
from consortium.cli.standing import Standing
from consortium.jobs import publishing, relay
from consortium.service import absence, enter, show
from consortium.store import campaigns, log, rings, texts
from consortium.store.unit import Unit
from consortium.wiring import pen
from provenance.checkpoint import Checkpoint, sign_checkpoint
from provenance.merkle import EMPTY_ROOT
from provenance.quorum import overlap
from tests.databases import NOON
from tests.fakes import seeds
from tests.fakes.actors import LOG, ORIGIN, POLICY, WITNESSES, private, trusting
from tests.fakes.server import RACE, Server

OPERATOR = pen("operator", private("operator").private_bytes_raw())
AWAY = WITNESSES[0].verifier.name


@pytest.fixture
def worker(server: Server, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The worker's process; ``answering`` says how many of three witnesses are there."""
    here = SimpleNamespace(
        settings=SimpleNamespace(hold_seconds=0),
        units=server.units,
        sequencer=server.sequencer,
        clock=server.clock,
        cover=None,
        operator_pen=OPERATOR,
        answering=3,
        asker=SimpleNamespace(missing=[]),
    )

    def ask(note: bytes, proof_for: object) -> list[bytes]:
        there = WITNESSES[3 - here.answering :]
        gone = WITNESSES[: 3 - here.answering]
        here.asker.missing = [f"{one.verifier.name}: cannot be reached (X)" for one in gone]
        return trusting(there)(note, proof_for)  # type: ignore[arg-type]

    monkeypatch.setattr(server.sequencer, "_cosign", ask)
    monkeypatch.setattr(publishing, "process", lambda: here)
    monkeypatch.setattr(relay, "answered", lambda _: None)
    return here


def standing(server: Server) -> list[str]:
    waits = server.units.read("waits", absence.absence)
    empty = Standing(1, NOON, 0, 2, {}, {}, 2, {}, [])
    if waits:
        empty = replace(empty, uncosigned=waits.entries, missing=list(waits.missing))
    return empty.lines()


def test_without_a_quorum_there_is_no_receipt_until_it_is_back(
    server: Server, worker: SimpleNamespace
) -> None:
    worker.answering = 2
    server.sign_agreement(["union"])
    publishing.run.run()
    assert server.client.get("/api/v1/log").json()["waits"] is None  # one may be away
    worker.answering = 1
    server.sign_agreement(["parks"])
    (waiting,) = server.units.read("pending", lambda unit: log.pending(unit, 9))
    leaf = waiting.leaf
    for minutes in (0, 5):
        server.clock.now = NOON + timedelta(minutes=minutes)
        publishing.run.run()
        said = server.call("parks", "GET", f"/log/entries/{leaf}")
        assert said.json() == {"state": "pending"}
    waits = server.client.get("/api/v1/log").json()["waits"]
    assert waits["entries"] == 1
    assert waits["since"] == NOON.isoformat()
    assert waits["missing"] == [one.verifier.name for one in WITNESSES[:2]]
    assert any(AWAY in line for line in standing(server))
    publishing.refresh.run()
    assert server.units.read("head", lambda unit: show.log_head(unit, server.backend)).size == 1
    page = server.client.get("/audit").text
    assert "1 entry waits" in page
    assert AWAY in page
    worker.answering = 2
    publishing.refresh.run()
    publishing.run.run()
    assert server.call("parks", "GET", f"/log/entries/{leaf}").json()["state"] == "published"
    assert server.client.get("/api/v1/log").json()["waits"] is None
    assert "waits" not in server.client.get("/audit").text
    assert len(standing(server)) == 3


def test_without_a_quorum_no_intent_counts_and_no_letter_is_rung_for(
    server: Server, worker: SimpleNamespace
) -> None:
    def promise(unit: Unit) -> None:
        leaf = enter.write(unit, OPERATOR, "intent", {"kind": "send"}, now=unit.now)
        campaigns.add(unit, seeds.campaign(race=RACE, state="attested", intent_leaf=leaf))

    def stands(unit: Unit) -> tuple[str, list[str]]:
        rung = [one.task for one in rings.waiting(unit, 99)]
        return campaigns.get(unit, seeds.CAMPAIGN).state, [one for one in rung if one == "mail"]

    server.units.run("promise", promise)
    worker.answering = 1
    publishing.run.run()
    publishing.refresh.run()
    assert server.units.read("look", stands) == ("attested", [])
    worker.answering = 2  # a control: a quorum is all that was lacking
    publishing.run.run()
    assert server.units.read("look", stands) == ("logged", ["mail"])


def test_whom_nobody_reaches_is_known_by_name_and_reason() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no")

    witnesses = tuple(replace(one, url="http://127.0.0.1:1") for one in POLICY.witnesses)
    asker = witness_client.asker(
        replace(POLICY, witnesses=witnesses), transport=httpx.MockTransport(refuse)
    )
    note = sign_checkpoint(Checkpoint(ORIGIN, 0, EMPTY_ROOT), LOG)
    assert asker(note, lambda _: []) == []
    assert asker.missing == [
        f"{one.verifier.name}: cannot be reached (ConnectError)" for one in WITNESSES
    ]


# -- at set-up


def people(count: int) -> list[dict[str, str]]:
    return [{"role": "witness"}] * count + [{"role": "partner"}]


@pytest.mark.parametrize(
    ("count", "quorum", "liars", "words"),
    [
        (3, 2, 1, "at most 0 lie. One liar is enough"),
        (5, 4, 3, "at most 2 lie."),
        (3, 3, 3, "while 0 of its 3 witnesses are away"),
        (1, 1, 1, "at most 0 lie"),
    ],
)
def test_set_up_says_who_may_be_away_and_how_many_would_have_to_lie(
    count: int, quorum: int, liars: int, words: str
) -> None:
    assert overlap(count, quorum) == liars
    assert words in quorum_words(people(count), quorum)


def test_every_two_quorums_share_that_many_witnesses() -> None:
    for count in range(1, 6):
        for quorum in range(1, count + 1):
            each = [set(one) for one in combinations(range(count), quorum)]
            assert min(len(one & other) for one in each for other in each) == overlap(count, quorum)


@pytest.mark.parametrize(("count", "quorum"), [(2, 1), (4, 2), (3, 0), (3, 4), (0, 0)])
def test_a_quorum_that_needs_no_liar_or_cannot_be_met_is_refused(count: int, quorum: int) -> None:
    with pytest.raises(ClickException):
        quorum_words(people(count), quorum)


def test_a_log_that_is_published_by_the_second_has_no_dummies() -> None:
    assert [cover_of(seconds) for seconds in (2, 59, 60, 3600)] == [0, 0, 4, 4]


def test_a_witness_is_known_by_its_key_whatever_it_is_called(server: Server) -> None:
    server.sign_agreement()
    server.publish()
    invite = json.loads(server.units.read("invite", lambda unit: texts.get(unit, "invite")))
    for one in invite["witnesses"]:
        one["name"] = "Valley Newspaper"  # two people may be called alike
    server.units.run("invite", lambda unit: texts.put(unit, "invite", json.dumps(invite)))
    head = server.units.read("head", lambda unit: show.log_head(unit, server.backend))
    assert [(one.name, one.cosigned) for one in head.witnesses] == [("Valley Newspaper", True)] * 3

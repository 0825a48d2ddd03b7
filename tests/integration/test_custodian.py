"""Custodians on their own hosts: a ceremony, tokens, a release, over real HTTP and real SQLite."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from consortium.cli.their_word import Word, ask, everybody
from consortium.cli.tokenise import (
    CustodianLied,
    CustodianRefused,
    TooFewCustodians,
)
from consortium.custodian import process
from consortium.custodian.ceremony import Peers
from consortium.custodian.errors import Refused
from consortium.release_client import ReleaseClient
from matching import group, locks, oprf
from matching.crypto_errors import CeremonyAborted
from matching.envelope import Message, close
from matching.locks import make_entry
from matching.statement import Statement
from matching.threshold import lagrange
from tests.fakes.campaign import make_campaign, make_rows, put_roster
from tests.fakes.custodians import EPOCH, World, serving


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with serving(World(tmp_path)) as made:
        yield made


def test_a_partner_hears_from_each_custodian_what_it_used_itself_and_nothing_of_others(
    world: World, tmp_path: Path
) -> None:
    statement = world.deal()
    for one in world.ids:
        world.quota(one, "union", 8 * 4096)
    world.tokens(statement, tmp_path / "state")
    said = {}
    for who in ("union", "league"):
        each = everybody(
            world.addresses,
            by=who,
            sign=world.keys[who].sign,
            clock=lambda: world.now,
            transport=None,
        )
        said[who] = [one for one in each if isinstance(one, Word)]
    used = {who: [one.quotas[0].used for one in each] for who, each in said.items()}
    assert used == {"union": [1, 1, 0], "league": [0, 0, 0]}
    assert [len(one.quotas) for one in said["league"]] == [1, 1, 1]
    assert {one.shares for one in said["union"]} == {(("match", EPOCH, 1, 2, 3),)}
    with pytest.raises(CustodianRefused, match="not-allowed"):
        ask(
            world.addresses[0],
            by="mailer",
            sign=world.keys["mailer"].sign,
            clock=lambda: world.now,
            client=world.client,
        )


def run_ceremony(world: World, purpose: str = "match", rounds: int = 12) -> list[Statement]:
    drivers = [world.ceremony(one, purpose) for one in world.ids]
    for _ in range(rounds):
        done = [driver.advance() for driver in drivers]
        if all(done):
            return [one for one in done if one]
    raise AssertionError([driver.waiting for driver in drivers])


def test_hosts_make_a_key_together_and_tokens_come_out_alike_from_any_quorum(
    world: World, tmp_path: Path
) -> None:
    for one in world.ids:
        world.ceremony(one).advance()
    sid = world.ceremony("ann").session.sid
    drawn = [host.ledger.ceremony_secret(sid) for host in world.hosts.values()]
    statements = run_ceremony(world)
    assert len({str(one.to_json()) for one in statements}) == 1
    for kept, host in zip(drawn, world.hosts.values(), strict=True):
        assert kept is not None
        files = [path.read_bytes() for path in host.settings.home.glob("custodian.sqlite*")]
        for secret in (*kept["coefficients"], kept["hpke"]):
            assert not [raw for raw in files if secret.encode() in raw]
    for host in world.hosts.values():
        key = host.ledger.key("match", EPOCH)
        assert key is not None
        assert group.base(key.share) == statements[0].share(host.settings.id)
        assert host.ledger.ceremony_secret(statements[0].sid) is None  # the polynomial is gone
    first = world.tokens(statements[0], tmp_path / "s1")
    assert first[0] == first[2] != first[1]
    world.hosts["ann"].down()
    second = world.tokens(statements[0], tmp_path / "s2", batch="b2")
    assert second == first
    plain = world.tokens(statements[0], tmp_path / "s3", batch="b3", blinded=False)
    assert plain == first
    world.hosts["bea"].down()
    with pytest.raises(TooFewCustodians):
        world.tokens(statements[0], tmp_path / "s4", batch="b4")


def test_a_ceremony_waits_for_the_log_before_it_reveals_and_survives_restarts(
    world: World,
) -> None:
    world.log.publishing = False
    sid = world.ceremony("ann").session.sid
    for _ in range(3):
        for one in world.ids:
            assert world.ceremony(one).advance() is None  # a new process every time
    assert all(host.ledger.message(sid, "commit", one) for one, host in world.hosts.items())
    assert not any(host.ledger.message(sid, "reveal", one) for one, host in world.hosts.items())
    assert len(world.log.entries) == len(world.ids)  # a restart posts nothing twice
    world.log.publishing = True
    world.log.publish()
    done = []
    for _ in range(10):
        done = [world.ceremony(one).advance() for one in world.ids]
        world.log.publish()
    assert all(done)


def test_a_dishonest_share_stops_the_ceremony_everywhere_and_names_the_dealer(
    world: World,
) -> None:
    liar = world.hosts["cyd"]
    drivers = {one: world.ceremony(one) for one in world.ids}
    sid = drivers["ann"].session.sid
    for one in world.ids:
        drivers[one].advance()
    body = {"sid": sid, "shares": {one: os.urandom(80).hex() for one in world.ids}}
    forged = close("ceremony-shares", body, by="cyd", sign=liar.settings.key.sign)
    liar.ledger.put_message(sid, "shares", "cyd", forged)
    named = set()
    for _ in range(6):
        for one in world.ids:
            try:
                drivers[one].advance()
            except CeremonyAborted as aborted:
                named.add((one, aborted.culprit))
    assert named >= {("ann", "cyd"), ("bea", "cyd")}
    assert {culprit for _, culprit in named} == {"cyd"}
    assert all(host.ledger.key("match", EPOCH) is None for host in world.hosts.values())


class TwoFaced:
    """Peers as one custodian sees them, when a dealer sends it other messages than everybody."""

    def __init__(self, peers: Peers, sent: dict[tuple[str, str], Message]) -> None:
        self._peers, self._sent = peers, sent

    def fetch(self, id: str, sid: str, round: str) -> Message | None:
        return self._sent.get((id, round)) or self._peers.fetch(id, sid, round)


def test_a_dealer_that_tells_the_judges_another_story_is_named_by_all(world: World) -> None:
    drivers = {one: world.ceremony(one) for one in world.ids}
    sid, dealer = drivers["ann"].session.sid, world.hosts["cyd"]
    for _ in range(2):
        for driver in drivers.values():
            driver.advance()
    honest = dealer.ledger.message(sid, "shares", "cyd")
    assert honest is not None
    shares = {**honest["body"]["shares"], "bea": os.urandom(80).hex()}
    false = close(
        "ceremony-shares",
        {**honest["body"], "shares": shares},
        by="cyd",
        sign=dealer.settings.key.sign,
    )
    bea = world.ceremony("bea")
    bea._peers = TwoFaced(bea._peers, {("cyd", "shares"): false})
    with world.hosts["bea"].ledger.write() as sql:
        sql.execute("DELETE FROM messages WHERE round='shares' AND sender='cyd'")
        sql.execute("DELETE FROM messages WHERE round IN ('signature', 'statement')")
    drivers["bea"] = bea
    named = {}
    for _ in range(3):
        for one in ("bea", "ann", "cyd"):
            try:
                drivers[one].advance()
            except CeremonyAborted as aborted:
                named[one] = aborted.culprit
    assert named == {"ann": "cyd", "bea": "cyd", "cyd": "cyd"}
    assert world.hosts["ann"].ledger.message(sid, "shares", "cyd") == honest  # and yet: convicted


def test_an_interrupted_run_goes_on_without_a_second_charge(world: World, tmp_path: Path) -> None:
    statement = world.deal()
    first = world.tokens(statement, tmp_path / "s")
    for done in (tmp_path / "s").glob("*.done"):
        done.unlink()  # as if the power had gone before the outputs were kept
    assert world.tokens(statement, tmp_path / "s") == first
    assert world.hosts["ann"].ledger.status()["spent"] == {"union": 4096}
    for host in world.hosts.values():
        host.down()
    assert world.tokens(statement, tmp_path / "s") == first  # finished batches ask nobody
    kept = b"".join(path.read_bytes() for path in (tmp_path / "s").iterdir())
    assert first[0] not in kept


def test_more_than_the_quota_is_refused_by_name(world: World, tmp_path: Path) -> None:
    statement = world.deal()
    for one in world.ids:
        world.quota(one, "union", 4096)
    world.tokens(statement, tmp_path / "s1")
    with pytest.raises(CustodianRefused) as refused:
        world.tokens(statement, tmp_path / "s2", batch="b2")
    assert refused.value.name == "quota-exceeded"


def test_many_requests_at_one_instant_never_pass_the_quota(world: World, tmp_path: Path) -> None:
    statement = world.deal()
    for one in world.ids:
        world.quota(one, "union", 2 * 4096)
    together, refused = threading.Barrier(4), []

    def ask(n: int) -> None:
        together.wait(timeout=60)
        try:
            world.tokens(statement, tmp_path / f"s{n}", batch=f"b{n}")
        except CustodianRefused as error:
            refused.append(error.name)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Any two of three: half as much again as one's quota may be had, and no more.
    assert set(refused) == {"quota-exceeded"}
    for one in world.ids:
        assert world.hosts[one].ledger.status()["spent"].get("union", 0) <= 2 * 4096


def test_a_stewards_bulk_run_needs_consent(world: World, tmp_path: Path) -> None:
    statement, said = world.deal(), {"actor": "clerk", "sign": world.keys["clerk"].sign}
    with pytest.raises(CustodianRefused) as refused:
        world.tokens(statement, tmp_path / "s", blinded=False, **said)
    assert refused.value.name == "no-consent"
    world.hosts["ann"].ledger.consent("clerk", world.now, epochs=[EPOCH])
    with pytest.raises(Refused) as alone:  # ann agrees, and one is not two
        world.hosts["ann"].custodian._check_consents("clerk", EPOCH)
    assert alone.value.name == "not-yet-agreed"
    for host in world.hosts.values():
        host.ledger.consent("clerk", world.now, epochs=[EPOCH])
    assert len(world.tokens(statement, tmp_path / "s", blinded=False, **said)) == 3


@pytest.mark.parametrize("rows", ["9" * 30, 2**62, -1, 0.0, True, None, [4096]])
def test_a_consent_of_another_custodian_that_no_command_writes_is_nothing(
    world: World, rows: Any
) -> None:
    ann, bea = world.hosts["ann"], world.hosts["bea"]
    facts = {"kind": "consent", "epoch": EPOCH, "whose": "clerk", "rows": rows}
    strange = bea.log.draft("ledger", facts)
    bea.log.submit(strange)
    drafts: list[Any] = [strange, {"actor": bea.log.opened(strange).actor.hex(), "facts": []}, "no"]
    bea.custodian.anchors.said = lambda: drafts  # type: ignore[method-assign]
    ann.ledger.consent("clerk", world.now, epochs=[EPOCH])
    ann.custodian.anchors.step()
    assert ann.ledger.said(EPOCH, "clerk") == {"ann": (True, 0)}
    good = bea.log.draft("ledger", {**facts, "rows": 4096})  # the control
    bea.log.submit(good)
    drafts.append(good)
    ann.custodian.anchors.step()
    assert ann.ledger.said(EPOCH, "clerk") == {"ann": (True, 0), "bea": (False, 4096)}


def test_whatever_others_answer_a_custodian_goes_on_with_its_work(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, went_on = world.hosts["ann"], threading.Event()
    turns = iter((OverflowError, RecursionError, AttributeError))

    def step() -> None:
        if (error := next(turns, None)) is not None:
            raise error
        went_on.set()

    monkeypatch.setattr(process, "AHEAD_SECONDS", 0.01)
    monkeypatch.setattr(ann.custodian.anchors, "step", step)
    held = SimpleNamespace(ledger=ann.ledger, wrapping=SimpleNamespace(keep_only=lambda kept: None))
    with process._pulling(ann.custodian, held):  # type: ignore[arg-type]
        assert went_on.wait(240)


@pytest.mark.parametrize("actor", ["lead", "nobody"])
def test_who_may_not_ask_is_refused(world: World, tmp_path: Path, actor: str) -> None:
    statement = world.deal()
    sign = world.keys.get(actor, world.keys["union"]).sign
    with pytest.raises(CustodianRefused) as refused:
        world.tokens(statement, tmp_path / "s", actor=actor, sign=sign)
    assert refused.value.name == ("not-allowed" if actor == "lead" else "unknown-actor")


def test_a_custodian_with_another_key_leaves_evidence(world: World, tmp_path: Path) -> None:
    statement = world.deal()
    ledger = world.hosts["bea"].ledger
    key = ledger.key("match", EPOCH)
    assert key is not None
    other = group.reduce(os.urandom(64))
    ledger.add_key(type(key)(key.statement, {}, other))
    named: list[Any] = []
    assert len(world.tokens(statement, tmp_path / "s", named=named.append)) == 3
    assert [(type(one), one.custodian) for one in named] == [(CustodianLied, "bea")]
    assert named[0].evidence.exists()
    with pytest.raises(CustodianLied, match="bea"):  # and when nobody is left in its place
        world.tokens(statement, tmp_path / "s2", batch="b2", custodians=world.addresses[:2])


def test_a_release_opens_every_row_and_ends_with_a_logged_total(world: World) -> None:
    statement = world.deal("seal")
    rows = make_rows(6)
    entries = [make_entry(EPOCH, secret, r) for secret, r in rows]
    put_roster(world, entries)
    campaign = make_campaign(world, entries)
    mailer = ReleaseClient(
        statement,
        world.addresses,
        mailer="mailer",
        sign=world.keys["mailer"].sign,
        client=world.client,
    )
    opened = mailer.open_release(campaign.shown)
    wanted = [locks.shared_point(r, statement.public) for _, r in rows]
    assert mailer.answers(opened, 0) == wanted
    mailer.find_liar(opened, 0)  # nobody lied
    retired = world.signed("retire", "union", "ann", {"secrets": [rows[2][0].hex()]})
    world.hosts["ann"].custodian.retire(retired)
    again = mailer.answers(opened, 0)
    assert again == [*wanted[:2], None, *wanted[3:]]
    totals = mailer.close_release("c1")
    assert {one: body["released"] for one, body in totals.items()} == {"ann": 6, "bea": 6}
    facts = world.log.entries[totals["ann"]["leaf"]][1]
    assert facts == {"kind": "released", "campaign": "c1", "released": 6}
    with pytest.raises(CustodianRefused) as refused:
        mailer.answers(opened, 0)
    assert refused.value.name == "closed"


def test_a_custodian_that_answers_wrongly_is_found_by_its_proof(world: World) -> None:
    statement = world.deal("seal")
    entries = [make_entry(EPOCH, *row) for row in make_rows(3)]
    put_roster(world, entries)
    campaign = make_campaign(world, entries)
    mailer = ReleaseClient(
        statement,
        world.addresses,
        mailer="mailer",
        sign=world.keys["mailer"].sign,
        client=world.client,
    )
    opened = mailer.open_release(campaign.shown)
    ledger = world.hosts["bea"].ledger
    key = ledger.key("seal", EPOCH)
    assert key is not None
    ledger.add_key(type(key)(key.statement, {}, group.reduce(os.urandom(64))))
    with pytest.raises(CustodianLied) as lied:
        mailer.find_liar(opened, 0)
    assert lied.value.custodian == "bea"


def test_a_whole_list_in_several_batches_and_worker_processes(world: World, tmp_path: Path) -> None:
    statement = world.deal()
    inputs = [b"%d" % n for n in range(3 * 4096 + 5)]
    seen: list[tuple[int, int]] = []
    outputs = world.tokens(
        statement,
        tmp_path / "s",
        inputs=inputs,
        workers=2,
        progress=lambda done, of: seen.append((done, of)),
    )
    assert len(set(outputs)) == len(inputs)
    assert seen[-1] == (len(inputs), len(inputs))
    point, parts = oprf.hash_inputs(inputs[-1:]), []
    for index, one in ((2, "bea"), (3, "cyd")):
        key = world.hosts[one].ledger.key("match", EPOCH)
        assert key is not None
        parts.append((lagrange(index, (2, 3)), group.mult(key.share, point)))
    assert outputs[-1] == oprf.finalise([inputs[-1]], oprf.combine_each(parts))[0]

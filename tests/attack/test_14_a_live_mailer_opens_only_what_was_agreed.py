"""A mailer with its key, the database and the network opens no row outside an approved, logged
audience.

Threat: docs/threat-model.md, operator with live mailer. Each missing piece of evidence is refused
by its own name.
"""

import copy
import hashlib
import os
from base64 import b64decode
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consortium.custodian.errors import Refused
from matching import group, locks
from matching.crypto_errors import LockRefused, MessageRefused
from matching.locks import RosterEntry, make_entry
from matching.statement import Statement
from provenance.entry import BROWSER_KEY
from tests.fakes.campaign import (
    Campaign,
    intent,
    make_agreement,
    make_campaign,
    make_rows,
    put_roster,
)
from tests.fakes.custodians import EPOCH, World, public

ROWS = make_rows(5)
ENTRIES = [make_entry(EPOCH, secret, r) for secret, r in ROWS]
Break = Callable[[World, Campaign], Any]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.client.close()
    for host in made.hosts.values():
        host.ledger.close()


@pytest.fixture
def statement(world: World) -> Statement:
    made = world.deal("seal")
    put_roster(world, ENTRIES)
    return made


def open_at(world: World, campaign: Campaign, to: str = "ann", by: str = "mailer") -> Any:
    return world.hosts[to].custodian.open_release(campaign.body(world, to, by))


def answer_at(world: World, to: str, campaign: str = "c1", chunk: int = 0, **other: Any) -> Any:
    said = {"campaign": campaign, "chunk": chunk, "quorum": [1, 2], "proofs": False, "version": 1}
    said.update(other)
    message = world.signed("release-answer", "mailer", to, said)
    return world.hosts[to].custodian.answer_chunk(campaign, chunk, message)


def evidence(part: str, value: Any) -> Break:
    def broken(_: World, campaign: Campaign) -> None:
        campaign.evidence[part] = value(campaign.evidence[part]) if callable(value) else value

    return broken


def another_manifest(_: World, campaign: Campaign) -> None:
    campaign.manifest["template"] = "cd" * 32


def approved_by_one_twice(world: World, campaign: Campaign) -> None:
    said = {"kind": "approve", "campaign": "c1", "digest": campaign.digest}
    campaign.evidence["approvals"] = [world.entry("union", **said) for _ in range(2)]


def approved_by_the_operator(world: World, campaign: Campaign) -> None:
    said = {"kind": "approve", "campaign": "c1", "digest": campaign.digest}
    campaign.evidence["approvals"] = [world.entry("operator", **said) for _ in range(2)]


def attested_under_another_root(world: World, campaign: Campaign) -> None:
    said = {"kind": "attest", "campaign": "c1", "digest": campaign.digest, "root": "00" * 32}
    campaign.evidence["attestations"] = [world.entry(one, **said) for one in ("union", "league")]


def another_agreement(_: World, campaign: Campaign) -> None:
    changed = campaign.agreement.replace(b'"opens_per_week":2', b'"opens_per_week":9')
    assert changed != campaign.agreement
    campaign.agreement = changed


def intent_by_a_partner(world: World, campaign: Campaign) -> None:
    facts = world.log.entries[campaign.evidence["intent"]["leaf"]][1]
    campaign.evidence["intent"] = world.entry("union", **facts)


def intent_not_published(world: World, campaign: Campaign) -> None:
    world.log.publishing = False
    campaign.evidence["intent"] = intent(world, campaign, race="kent-44", at="later")


def one_lock_more(world: World, campaign: Campaign) -> None:
    campaign.locks.append(make_entry(EPOCH, *make_rows(1)[0]).lock)


def one_lock_less(world: World, campaign: Campaign) -> None:
    campaign.locks.pop()


def an_old_checkpoint(world: World, campaign: Campaign) -> None:
    world.now += timedelta(hours=2)


def a_checkpoint_of_tomorrow(world: World, campaign: Campaign) -> None:
    world.now -= timedelta(hours=2)


def after_it_closed(world: World, campaign: Campaign) -> None:
    world.now += timedelta(days=4)
    world.log.now = world.now
    campaign.evidence["intent"] = intent(world, campaign, again=1)


BREAKS: dict[str, tuple[Break, str]] = {
    "no intent": (evidence("intent", None), "not-logged"),
    "intent not published": (intent_not_published, "not-logged"),
    "intent by a partner": (intent_by_a_partner, "wrong-manifest"),
    "another manifest": (another_manifest, "wrong-manifest"),
    "an old checkpoint": (an_old_checkpoint, "not-fresh"),
    "a checkpoint of tomorrow": (a_checkpoint_of_tomorrow, "not-fresh"),
    "one lock more": (one_lock_more, "wrong-root"),
    "one lock less": (one_lock_less, "wrong-root"),
    "no agreement": (evidence("agreement", []), "not-agreed"),
    "one signature short": (evidence("agreement", lambda had: had[:1]), "not-agreed"),
    "another agreement": (another_agreement, "not-agreed"),
    "no approvals": (evidence("approvals", []), "not-approved"),
    "one approval short": (evidence("approvals", lambda had: had[:1]), "not-approved"),
    "approved by one twice": (approved_by_one_twice, "not-approved"),
    "approved by the operator": (approved_by_the_operator, "not-approved"),
    "no attestations": (evidence("attestations", []), "not-attested"),
    "one attestation short": (evidence("attestations", lambda had: had[1:]), "not-attested"),
    "attested under another root": (attested_under_another_root, "not-attested"),
    "after it closed": (after_it_closed, "outside-window"),
}


@pytest.mark.parametrize("broken", BREAKS)
def test_each_missing_piece_is_refused_by_its_name(
    world: World, statement: Statement, broken: str
) -> None:
    campaign = make_campaign(world, ENTRIES)
    change, name = BREAKS[broken]
    change(world, campaign)
    with pytest.raises(Refused) as refused:
        open_at(world, campaign)
    assert refused.value.name == name
    with pytest.raises(Refused, match="not-open"):
        answer_at(world, "ann")
    assert world.hosts["ann"].ledger.status()["opens"] == 0


def test_the_whole_evidence_opens_and_the_same_again_is_free(
    world: World, statement: Statement
) -> None:
    campaign = make_campaign(world, ENTRIES)
    assert open_at(world, campaign) == open_at(world, campaign)
    assert world.hosts["ann"].ledger.status()["opens"] == len(ENTRIES)
    assert answer_at(world, "ann") == answer_at(world, "ann")
    world.now += timedelta(hours=5)  # a mailer that restarts later goes on where it was
    open_at(world, campaign)
    before = b64decode(answer_at(world, "ann")["answers"])
    campaign.locks.reverse()  # another order of the same set is the same root
    open_at(world, campaign)
    after = b64decode(answer_at(world, "ann")["answers"])
    assert after[:32] == before[-32:]
    assert world.hosts["ann"].ledger.status()["opens"] == len(ENTRIES)
    world.now += timedelta(days=4)
    with pytest.raises(Refused, match="outside-window"):
        answer_at(world, "ann")


@pytest.mark.parametrize(
    ("voucher", "partner"),
    [("league", "league"), ("operator", "league"), ("union", "league"), ("league", "union")],
)
def test_a_browsers_yes_counts_only_under_a_key_its_own_partner_vouched_for(
    world: World, statement: Statement, voucher: str, partner: str
) -> None:
    campaign = make_campaign(world, ENTRIES)
    browser = Ed25519PrivateKey.generate()
    world.keys["browser"] = browser
    said = {"kind": "approve", "campaign": "c1", "digest": campaign.digest}
    campaign.evidence["approvals"][0] = world.entry("browser", **said)  # instead of the league's
    held = public(browser)
    campaign.evidence["browser_keys"] = [
        {
            "partner": partner,
            "public": held.hex(),
            "signature": world.keys[voucher].sign(BROWSER_KEY + held).hex(),
        }
    ]
    if (voucher, partner) == ("league", "league"):
        open_at(world, campaign)
        return
    with pytest.raises(Refused, match="not-approved"):
        open_at(world, campaign)


def test_a_set_above_its_size_class_is_refused(world: World, statement: Statement) -> None:
    with pytest.raises(Refused, match="too-large"):
        open_at(world, make_campaign(world, ENTRIES, size_class=4))


def test_a_lock_outside_every_roster_is_refused(world: World, statement: Statement) -> None:
    stranger = make_entry(EPOCH, *make_rows(1)[0])
    with pytest.raises(Refused, match="lock-unknown"):
        open_at(world, make_campaign(world, [*ENTRIES, stranger]))


def test_a_row_is_opened_only_as_often_as_agreed(world: World, statement: Statement) -> None:
    for name in ("c1", "c2"):
        open_at(world, make_campaign(world, ENTRIES, name=name))
    with pytest.raises(Refused, match="opened-too-often"):
        open_at(world, make_campaign(world, ENTRIES[:1], name="c3"))
    world.now += timedelta(days=8)
    world.log.now = world.now
    open_at(world, make_campaign(world, ENTRIES[:1], name="c4"))


def test_any_partner_stops_a_campaign_without_the_operator(
    world: World, statement: Statement
) -> None:
    campaign = make_campaign(world, ENTRIES)
    open_at(world, campaign)
    stop = world.signed("stop", "league", "ann", {"campaign": "c1"})
    world.hosts["ann"].custodian.stop(stop)
    with pytest.raises(Refused, match="stopped"):
        answer_at(world, "ann")
    with pytest.raises(Refused, match="stopped"):
        open_at(world, campaign)
    with pytest.raises(Refused, match="not-allowed"):
        world.hosts["ann"].custodian.stop(world.signed("stop", "lead", "ann", {"campaign": "c1"}))


def test_a_retired_row_never_opens_again(world: World, statement: Statement) -> None:
    secret, _ = ROWS[1]
    padded = [secret.hex(), os.urandom(32).hex()]
    world.hosts["ann"].custodian.retire(world.signed("retire", "union", "ann", {"secrets": padded}))
    open_at(world, make_campaign(world, ENTRIES))
    answers = b64decode(answer_at(world, "ann")["answers"])
    assert answers[32:64] == bytes(32)
    assert answers.count(bytes(32)) == 1
    assert world.hosts["ann"].ledger.status()["opens"] == len(ENTRIES) - 1


def test_nobody_but_the_mailer_opens_and_not_with_a_call_for_another_custodian(
    world: World, statement: Statement
) -> None:
    campaign = make_campaign(world, ENTRIES)
    for by in ("operator", "union", "lead"):
        with pytest.raises(Refused, match="not-allowed"):
            open_at(world, campaign, by=by)
    body = campaign.body(world, "bea")
    with pytest.raises(Refused, match="not-signed"):
        world.hosts["ann"].custodian.open_release(body)
    body = campaign.body(world, "ann")
    body["call"]["body"]["locks"] = "00" * 32
    with pytest.raises(MessageRefused):
        world.hosts["ann"].custodian.open_release(body)


def test_the_mailer_and_one_custodian_open_nothing(world: World, statement: Statement) -> None:
    open_at(world, make_campaign(world, ENTRIES))
    raw = b"".join(entry.lock for entry in ENTRIES)
    wanted = [locks.shared_point(r, statement.public) for _, r in ROWS]
    key = world.hosts["ann"].ledger.key("seal", EPOCH)
    assert key is not None
    # Everything one custodian could give: its share times each lock, for any quorum it likes to
    # name.
    for quorum in ([1], [1, 2], [1, 3], [1, 2, 3]):
        got = locks.share_answers(key.share, 1, quorum, raw)
        assert not {got[n : n + 32] for n in range(0, len(got), 32)} & set(wanted)
    with pytest.raises(Refused, match="wrong-quorum"):
        answer_at(world, "ann", quorum=[1])


def test_a_victims_lock_cannot_be_released_as_somebody_elses_dummy(
    world: World, statement: Statement
) -> None:
    world.hosts["ann"].custodian.pull_rosters()
    a = group.reduce(os.urandom(64))
    victim = ENTRIES[0]
    stretched = RosterEntry(os.urandom(32), group.mult(a, victim.lock), victim.proof)
    with pytest.raises(LockRefused):
        put_and_pull(world, [stretched], 1)
    again = RosterEntry(victim.tag, victim.lock, victim.proof)
    with pytest.raises(Refused, match="lock-duplicate"):
        put_and_pull(world, [again], 2)


def put_and_pull(world: World, entries: list[RosterEntry], chunk: int) -> None:
    world.rosters.chunks.clear()
    proof = put_roster(world, entries, chunk)
    raw, _ = world.rosters.chunks[chunk]
    world.hosts["ann"].custodian.pull_rosters()
    assert proof
    assert raw


def test_a_roster_chunk_that_the_log_does_not_vouch_for_is_refused(
    world: World, statement: Statement
) -> None:
    extra = [make_entry(EPOCH, *make_rows(1)[0])]
    proof = put_roster(world, extra, 1)
    other = make_entry(EPOCH, *make_rows(1)[0]).to_bytes()
    world.rosters.chunks[1] = (other, proof)
    with pytest.raises(Refused, match="roster-evidence"):
        world.hosts["ann"].custodian.pull_rosters()
    facts = copy.deepcopy(world.log.entries[proof["leaf"]][1])
    by_partner = world.entry("union", **facts)
    world.rosters.chunks[1] = (extra[0].to_bytes(), by_partner)
    with pytest.raises(Refused, match="roster-evidence"):
        world.hosts["ann"].custodian.pull_rosters()


def test_no_refusal_names_a_row(world: World, statement: Statement) -> None:
    said = []
    for change, _ in BREAKS.values():
        now, world.log.publishing = world.now, True
        campaign = make_campaign(
            world, ENTRIES, name=hashlib.sha256(repr(change).encode()).hexdigest()[:8]
        )
        change(world, campaign)
        with pytest.raises(Refused) as refused:
            open_at(world, campaign)
        said.append(f"{refused.value} {refused.value.detail}")
        world.now = world.log.now = now
    for entry in ENTRIES:
        assert entry.lock.hex() not in " ".join(said)
        assert entry.tag.hex() not in " ".join(said)


def test_a_single_custodian_needs_every_partners_word(tmp_path: Path) -> None:
    world = World(tmp_path / "alone", ids=("ann",), threshold=1)
    world.deal("seal")
    put_roster(world, ENTRIES)
    absent = {"id": "bea", "public": "ab" * 32}  # who would make it two, and holds no share
    said = {"id": "ann", "public": public(world.keys["ann"]).hex()}
    two = make_agreement(world, custodians=[said, absent], threshold=2, trust="threshold")
    with pytest.raises(Refused, match="trust-operator"):
        open_at(world, make_campaign(world, ENTRIES, agreement=two))
    open_at(world, make_campaign(world, ENTRIES, name="c2"))
    world.client.close()
    world.hosts["ann"].ledger.close()

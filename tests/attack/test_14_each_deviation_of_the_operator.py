"""An operator that bends any one thing gets no share: one custodian sees it, with nobody's help.

Threat: docs/threat-model.md, the operator has somebody's row released under another campaign. One
custodian over HTTP, alone, and the operator with its own keys, the mailer's, the log and every
true signature that the partners gave. Each deviation is refused by its own name and opens nothing;
the very same request without it is answered.
"""

import base64
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.testclient import TestClient

from consortium.custodian.app import create_app
from matching import group, knowledge, locks
from matching.locks import RosterEntry, make_entry, retire_tag
from tests.fakes.campaign import (
    Campaign,
    intent,
    make_agreement,
    make_campaign,
    make_rows,
    put_roster,
)
from tests.fakes.custodians import EPOCH, World

VICTIMS = 3


class Case:
    """One custodian, the victims' rows in its roster, and a campaign that everybody agreed to."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.http = TestClient(create_app(world.hosts["ann"].custodian))
        self.rows = make_rows(VICTIMS)
        self.entries = [make_entry(EPOCH, *row) for row in self.rows]
        put_roster(world, self.entries)
        self.campaign = make_campaign(world, self.entries)
        assert self.chunk(self.entries, number=0).status_code == 200

    def release(self, campaign: Campaign | None = None, by: str = "mailer") -> httpx.Response:
        """Ask for a campaign to be opened."""
        return self.http.post(
            "/release", json=(campaign or self.campaign).body(self.world, "ann", by)
        )

    def answer(self, name: str = "c1", by: str = "mailer") -> httpx.Response:
        """Ask for the shares of an open campaign's first chunk."""
        said = {"campaign": name, "chunk": 0, "quorum": [1, 2], "proofs": False, "version": 1}
        call = self.world.signed("release-answer", by, "ann", said)
        return self.http.post(f"/release/{name}/0", json=call)

    def chunk(
        self, entries: list[RosterEntry], *, number: int = 1, by: str = "operator", **facts: Any
    ) -> httpx.Response:
        """Log a chunk of the roster and push it."""
        proof = put_roster(self.world, entries, number)
        if facts or by != "operator":
            logged = self.world.log.entries[proof["leaf"]][1]
            proof = self.world.entry(by, **{**logged, **facts})
        raw = b"".join(entry.to_bytes() for entry in entries)
        return self.push(raw, proof, number)

    def push(self, raw: bytes, proof: Any, number: int) -> httpx.Response:
        body = {"entries": base64.b64encode(raw).decode(), "evidence": proof}
        self.world.rosters.chunks.pop(number, None)  # pushed, or not there at all
        return self.http.post(f"/roster/{number}", json=body)

    @property
    def opens(self) -> int:
        return int(self.world.hosts["ann"].ledger.status()["opens"])


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    world = World(tmp_path)
    world.deal("seal")
    yield Case(world)
    world.client.close()
    for host in world.hosts.values():
        host.ledger.close()


Deviation = Callable[[Case], httpx.Response]


# -- the roster


def scaled(case: Case) -> httpx.Response:
    """The victim's lock times a, as a dummy of one's own: its share would be divided by a."""
    lock = group.mult(group.reduce(os.urandom(64)), case.entries[0].lock)
    return case.chunk([RosterEntry(os.urandom(32), lock, case.entries[0].proof)])


def without_proof(case: Case) -> httpx.Response:
    return case.chunk([RosterEntry(os.urandom(32), case.entries[0].lock, bytes(64))])


def ghost_of_unknown_r(case: Case) -> httpx.Response:
    """A point that nobody has the scalar of, with the operator's proof for a scalar of its own."""
    own = make_entry(EPOCH, *make_rows(1)[0])
    return case.chunk([RosterEntry(own.tag, group.from_hash(os.urandom(64)), own.proof)])


def under_a_tag_of_its_own(case: Case) -> httpx.Response:
    """So that the victim could never retire it."""
    return case.chunk(
        [RosterEntry(retire_tag(os.urandom(32)), case.entries[0].lock, case.entries[0].proof)]
    )


def lock_again(case: Case) -> httpx.Response:
    return case.chunk([case.entries[0]])


def tag_again(case: Case) -> httpx.Response:
    """Another lock, which the operator can prove, under a victim's tag."""
    r, tag = group.reduce(os.urandom(64)), case.entries[0].tag
    proof = knowledge.prove(locks._context(EPOCH, tag), r, group.base(r))
    return case.chunk([RosterEntry(tag, group.base(r), proof)])


def entries_of_another_epoch(case: Case) -> httpx.Response:
    return case.chunk([make_entry("2025-season", *row) for row in make_rows(2)])


def chunk_of_another_epoch(case: Case) -> httpx.Response:
    return case.chunk([make_entry(EPOCH, *row) for row in make_rows(2)], epoch="2025-season")


def chunk_by_a_partner(case: Case) -> httpx.Response:
    return case.chunk([make_entry(EPOCH, *row) for row in make_rows(2)], by="union")


def other_bytes_than_logged(case: Case) -> httpx.Response:
    mine, logged = (make_entry(EPOCH, *row) for row in make_rows(2))
    return case.push(mine.to_bytes(), put_roster(case.world, [logged], 1), 1)


def other_bytes_under_a_known_number(case: Case) -> httpx.Response:
    return case.chunk([make_entry(EPOCH, *row) for row in make_rows(2)], number=0)


def a_lock_of_no_roster(case: Case) -> httpx.Response:
    stranger = make_entry(EPOCH, *make_rows(1)[0])
    return case.release(make_campaign(case.world, [*case.entries, stranger], name="x"))


# -- the log


def stale(case: Case) -> httpx.Response:
    case.world.now += timedelta(hours=2)
    return case.release()


def rolled_back(case: Case) -> httpx.Response:
    log = case.world.log
    case.world.entry("operator", kind="noise")
    assert case.chunk([make_entry(EPOCH, *make_rows(1)[0])], number=5).status_code == 200
    kept = dict(log.published)
    log.published = dict(list(kept.items())[:-2])
    try:
        return case.release()
    finally:
        log.published = kept


def split_view(case: Case) -> httpx.Response:
    """As many entries as the custodian saw, and another last one."""
    log = case.world.log
    assert case.chunk([make_entry(EPOCH, *make_rows(1)[0])], number=5).status_code == 200
    kept, entries = dict(log.published), dict(log.entries)
    leaf, _ = log.published.popitem()
    del log.entries[leaf]
    case.world.entry("operator", kind="noise")
    try:
        return case.release()
    finally:
        log.published, log.entries = kept, entries
        case.world.entry("operator", kind="more")


def not_published(case: Case) -> httpx.Response:
    case.world.log.publishing = False
    try:
        made = make_campaign(case.world, case.entries, name="x")
    finally:
        case.world.log.publishing = True
    return case.release(made)


# -- the manifest and what was signed under it


def with_intent(case: Case, **manifest: Any) -> httpx.Response:
    """Change the manifest and log a fresh intent over it; the partners signed the old one."""
    bent = Campaign(
        {**case.campaign.manifest, **manifest},
        case.campaign.agreement,
        dict(case.campaign.evidence),
        case.campaign.nonce,
        list(case.campaign.locks),
    )
    bent.evidence["intent"] = intent(case.world, bent)
    return case.release(bent)


def without_intent(case: Case, **manifest: Any) -> httpx.Response:
    bent = Campaign(
        {**case.campaign.manifest, **manifest},
        case.campaign.agreement,
        case.campaign.evidence,
        case.campaign.nonce,
        case.campaign.locks,
    )
    return case.release(bent)


def later_window(case: Case) -> dict[str, str]:
    window = case.campaign.manifest["window"]
    closes = case.world.now + timedelta(days=20)
    return {**window, "closes": f"{closes:%Y-%m-%dT%H:%M:%SZ}"}


def replaced(case: Case, **parts: Any) -> httpx.Response:
    """The campaign with other locks or another nonce than everybody signed."""
    whole = case.campaign
    made = {"nonce": whole.nonce, "locks": whole.locks, "evidence": whole.evidence, **parts}
    return case.release(
        Campaign(whole.manifest, whole.agreement, made["evidence"], made["nonce"], made["locks"])
    )


def second_set(case: Case) -> httpx.Response:
    """Two sets under one letter, both attested: the second time is not another campaign."""
    assert case.release().status_code == 200
    manifest, root_of = case.campaign.manifest, case.campaign
    bent = Campaign(
        manifest, root_of.agreement, dict(root_of.evidence), os.urandom(32), root_of.locks[:2]
    )
    said = {"kind": "attest", "campaign": "c1", "digest": bent.digest, "root": bent.root}
    bent.evidence["attestations"] = [
        case.world.entry(one, **said) for one in ("league", "parks", "union")
    ]
    bent.evidence["intent"] = intent(case.world, bent)
    return case.release(bent)


def attested_another_root(case: Case) -> httpx.Response:
    """The partners saw one set; the operator logs an intent over another."""
    bent = Campaign(
        case.campaign.manifest,
        case.campaign.agreement,
        dict(case.campaign.evidence),
        os.urandom(32),
        case.campaign.locks,
    )
    bent.evidence["intent"] = intent(case.world, bent)
    return case.release(bent)


def looser_agreement(case: Case) -> httpx.Response:
    looser = case.campaign.agreement.replace(b'"opens_per_week":2', b'"opens_per_week":9')
    bent = Campaign(
        case.campaign.manifest,
        looser,
        case.campaign.evidence,
        case.campaign.nonce,
        case.campaign.locks,
    )
    return case.release(bent)


def agreement_of_one(case: Case) -> httpx.Response:
    alone = ("union",)
    return case.release(
        make_campaign(
            case.world,
            case.entries,
            name="x",
            sources=alone,
            signers=alone,
            attesters=alone,
            agreement=make_agreement(case.world, parties=alone),
        )
    )


def short(case: Case, **who: Any) -> httpx.Response:
    return case.release(make_campaign(case.world, case.entries, name="x", **who))


def replayed_after_its_end(case: Case) -> httpx.Response:
    assert case.release().status_code == 200
    call = case.world.signed("release-close", "operator", "ann", {"campaign": "c1"})
    assert case.http.post("/release/c1/close", json=call).status_code == 200
    return case.answer()


def replayed_after_its_window(case: Case) -> httpx.Response:
    assert case.release().status_code == 200
    case.world.now += timedelta(days=4)
    return case.answer()


def too_often(case: Case) -> httpx.Response:
    for name in ("x1", "x2"):
        assert case.release(make_campaign(case.world, case.entries, name=name)).status_code == 200
    return case.release(make_campaign(case.world, case.entries[:1], name="x3"))


def another_mailers_key(case: Case) -> httpx.Response:
    own = case.world.keys["mailer"]
    case.world.keys["mailer"] = Ed25519PrivateKey.generate()
    try:
        return case.release()
    finally:
        case.world.keys["mailer"] = own


def a_mailer_nobody_named(case: Case) -> httpx.Response:
    case.world.keys["mailer-2"] = Ed25519PrivateKey.generate()
    return case.release(by="mailer-2")


def a_call_for_another_custodian(case: Case) -> httpx.Response:
    return case.http.post("/release", json=case.campaign.body(case.world, "bea"))


def a_withheld_stop(case: Case) -> httpx.Response:
    stop = case.world.signed("stop", "parks", "ann", {"campaign": "x"})
    assert case.http.post("/stop", json=stop).status_code == 200
    return case.release(make_campaign(case.world, case.entries, name="x"))


def a_stop_withheld_while_it_goes(case: Case) -> httpx.Response:
    made = make_campaign(case.world, case.entries, name="x")
    assert case.release(made).status_code == 200
    stop = case.world.signed("stop", "parks", "ann", {"campaign": "x"})
    assert case.http.post("/stop", json=stop).status_code == 200
    return case.answer("x")


DEVIATIONS: dict[str, tuple[Deviation, str]] = {
    "a victim's lock multiplied": (scaled, "lock-proof"),
    "a lock without a proof": (without_proof, "lock-proof"),
    "a ghost of unknown r": (ghost_of_unknown_r, "lock-proof"),
    "a victim's lock under a tag of the operator's": (under_a_tag_of_its_own, "lock-proof"),
    "a lock twice": (lock_again, "lock-duplicate"),
    "a tag twice": (tag_again, "lock-duplicate"),
    "entries proved for another epoch": (entries_of_another_epoch, "lock-proof"),
    "a roster chunk of another epoch": (chunk_of_another_epoch, "roster-evidence"),
    "a roster chunk that a partner logged": (chunk_by_a_partner, "roster-evidence"),
    "other entries than were logged": (other_bytes_than_logged, "roster-evidence"),
    "other entries under a known number": (other_bytes_under_a_known_number, "chunk-conflict"),
    "a lock that is in no roster": (a_lock_of_no_roster, "lock-unknown"),
    "a stale checkpoint": (stale, "not-fresh"),
    "a log rolled back": (rolled_back, "rolled-back"),
    "a split view": (split_view, "split-view"),
    "an intent that was never published": (not_published, "not-logged"),
    "another manifest under the logged intent": (
        lambda case: without_intent(case, template="cd" * 32),
        "wrong-manifest",
    ),
    "another manifest under an intent of its own": (
        lambda case: with_intent(case, template="cd" * 32),
        "not-approved",
    ),
    "a larger size class than was approved": (
        lambda case: with_intent(case, size_class=32),
        "not-approved",
    ),
    "more rows than the size class": (lambda case: short(case, size_class=2), "too-large"),
    "a size class above the agreement's": (
        lambda case: short(
            case, size_class=16, agreement=make_agreement(case.world, size_class_max=8)
        ),
        "too-large",
    ),
    "a changed window": (
        lambda case: with_intent(case, window=later_window(case)),
        "not-approved",
    ),
    "a window outside the agreement": (
        lambda case: short(case, days=(-0.5, 31)),
        "outside-agreement",
    ),
    "another race": (
        lambda case: short(case, agreement=make_agreement(case.world, race="kent-45")),
        "wrong-race",
    ),
    "a looser agreement": (looser_agreement, "not-agreed"),
    "an agreement with one partner": (agreement_of_one, "wrong-parties"),
    "an agreement that one did not sign": (
        lambda case: short(case, signers=("league", "union")),
        "not-agreed",
    ),
    "a source that did not attest": (
        lambda case: short(case, attesters=("league", "parks")),
        "not-attested",
    ),
    "a party that is no source and did not attest": (
        lambda case: short(case, attesters=("league", "union")),
        "not-attested",
    ),
    "another root than was attested": (attested_another_root, "not-attested"),
    "another nonce": (lambda case: replaced(case, nonce=os.urandom(32)), "wrong-manifest"),
    "a row less than the root has": (
        lambda case: replaced(case, locks=case.campaign.locks[:-1]),
        "wrong-root",
    ),
    "one lock twice in the set": (
        lambda case: replaced(case, locks=[*case.campaign.locks, case.campaign.locks[0]]),
        "malformed",
    ),
    "a second set under the same letter": (second_set, "campaign-conflict"),
    "an old campaign after its end": (replayed_after_its_end, "closed"),
    "an old campaign after its window": (replayed_after_its_window, "outside-window"),
    "a row once more than agreed": (too_often, "opened-too-often"),
    "another mailer's key": (another_mailers_key, "not-signed"),
    "a mailer that nobody named": (a_mailer_nobody_named, "unknown-actor"),
    "the operator in the mailer's place": (
        lambda case: case.release(by="operator"),
        "not-allowed",
    ),
    "a call that was made for another custodian": (a_call_for_another_custodian, "not-signed"),
    "a withheld stop": (a_withheld_stop, "stopped"),
    "a stop withheld while the letter goes": (a_stop_withheld_while_it_goes, "stopped"),
}
SPENT = {"an old campaign after its end", "an old campaign after its window",
         "a row once more than agreed", "a stop withheld while the letter goes",
         "a second set under the same letter"}  # fmt: skip
"""These open the rows before they bend anything, so that the straight request is their own."""


@pytest.mark.parametrize("name", DEVIATIONS)
def test_it_is_refused_by_its_name_and_the_same_request_without_it_is_answered(
    case: Case, name: str
) -> None:
    deviate, wanted = DEVIATIONS[name]
    now = case.world.now
    answer = deviate(case)
    assert answer.status_code >= 400
    assert answer.json()["refused"] == wanted
    for entry in case.entries:  # and it names no row
        assert entry.lock.hex() not in answer.text
        assert entry.tag.hex() not in answer.text
    if name in SPENT:
        return
    assert case.opens == 0
    case.world.now = case.world.log.now = now
    assert case.release().status_code == 200
    assert len(base64.b64decode(case.answer().json()["answers"])) == 32 * VICTIMS
    assert case.opens == VICTIMS


def test_what_opened_before_it_was_bent_had_been_answered(case: Case) -> None:
    assert case.release().status_code == 200
    assert case.answer().status_code == 200


def test_a_withheld_withdrawal_changes_nothing_for_who_told_the_custodian(case: Case) -> None:
    """The operator goes on listing the row; the partner revealed its secret to custodians alone."""
    secrets = [case.rows[1][0].hex(), *(os.urandom(32).hex() for _ in range(3))]
    call = case.world.signed("retire", "union", "ann", {"secrets": secrets})
    assert case.http.post("/retire", json=call).status_code == 200
    assert case.release().status_code == 200
    answers = base64.b64decode(case.answer().json()["answers"])
    assert [answers[n : n + 32] == bytes(32) for n in range(0, 96, 32)] == [False, True, False]
    assert case.opens == VICTIMS - 1


def test_without_the_proof_a_multiplied_lock_would_open_its_victim(case: Case) -> None:
    """What the first line of the table stops: two custodians that looked at no proof."""
    statement = case.world.hosts["ann"].ledger.key("seal", EPOCH)
    assert statement is not None
    a = group.reduce(os.urandom(64))
    lock = group.mult(a, case.entries[0].lock)
    answers = []
    for index, one in enumerate(("ann", "bea"), 1):
        key = case.world.hosts[one].ledger.key("seal", EPOCH)
        assert key is not None
        answers.append(locks.share_answers(key.share, index, (1, 2), lock))
    opened = group.mult(group.invert(a), locks.combine(answers))
    assert opened == locks.shared_point(case.rows[0][1], statement.statement.public)

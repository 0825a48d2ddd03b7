"""An operator that restores yesterday's log, or shows two logs, gets nothing opened by it.

Threat: docs/threat-model.md, the log is rewritten. Real entries, proofs and cosignatures; the
witnesses of this test are asleep and cosign whatever they are shown, so that only what the
custodian itself remembers stands between.
"""

import base64
import hashlib
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from consortium.custodian.answers import Custodian
from consortium.custodian.errors import Refused
from consortium.custodian.follow import Follower
from consortium.custodian.ledger import Ledger
from consortium.custodian.log import ApiLog, Salts
from consortium.custodian.trees import Trees
from matching.locks import make_entry
from provenance.canonical import openings_to_json
from provenance.checkpoint import open_checkpoint
from provenance.entry import draft
from provenance.merkle import leaf_hash, tree_root
from provenance.quorum import Policy
from tests.fakes.campaign import make_campaign, make_rows, put_roster
from tests.fakes.custodians import EPOCH, World, public
from tests.fakes.log_api import LogApi

ENTRIES = [make_entry(EPOCH, *row) for row in make_rows(4)]
TYPES = {"sign": "agreement", "approve": "approval", "attest": "approval", "send": "intent"}


class Proved(World):
    """The custodians' world around a log with real proofs."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.api = LogApi()
        about = self.api.invite("http://127.0.0.1:1")
        self.invite.update(about)
        for host in self.hosts.values():
            log = ApiLog(
                about,
                public=host.settings.public,
                sign=host.settings.key.sign,
                now=lambda: self.now,
                salts=Salts(host.settings.secret("own-entries")),
            )
            log.submit = self.take  # type: ignore[method-assign]
            follower = Follower(
                host.ledger,
                file=self.api.file,
                policy=Policy.from_invite(about),
                custodians=host.registry.custodians,
            )
            host.custodian = Custodian(
                host.settings,
                host.ledger,
                host.registry,
                log,
                lambda: self.now,
                follow=follower,
                neighbours=self.neighbours,
                rosters=Asked(self),
            )

    def take(self, drafted: Mapping[str, Any]) -> str:
        """Take an entry in, as the operator's API does."""
        return self.api.add(base64.b64decode(drafted["entry"]), drafted["openings"])

    def entry(self, by: str, **facts: Any) -> dict[str, Any]:
        made = draft(
            TYPES.get(facts["kind"], "contribution"),
            at=self.now,
            actor=public(self.keys[by]),
            facts=facts,
            salt=lambda: secrets.token_bytes(32),
            sign=self.keys[by].sign,
        )
        leaf = self.api.add(made.entry, openings_to_json(made.openings))
        return self.api.evidence(leaf)

    def shown(self, kept: dict[str, Any]) -> dict[str, Any]:
        """Evidence as a custodian takes it, proved under the log of now."""
        return self.api.evidence(leaf_hash(base64.b64decode(kept["entry"])).hex())

    def bring(self, campaign: Any) -> None:
        """Prove every piece of a campaign's evidence again, as the mailer does before it asks."""
        campaign.evidence = {
            part: [self.shown(one) for one in had] if isinstance(had, list) else self.shown(had)
            for part, had in campaign.evidence.items()
        }


class Asked:
    """What the operator's API answers: chunks with a proof made when it is asked."""

    def __init__(self, world: Proved) -> None:
        self.world, self.chunks = world, world.rosters.chunks

    def roster(self, epoch: str) -> list[dict[str, Any]]:
        return [
            {"chunk": n, "evidence": self.world.shown(kept)} for n, (_, kept) in self.chunks.items()
        ]

    def roster_chunk(self, epoch: str, chunk: int) -> bytes:
        return self.chunks[chunk][0]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Proved]:
    made = Proved(tmp_path)
    made.deal("seal")
    put_roster(made, ENTRIES)
    yield made
    made.client.close()
    for host in made.hosts.values():
        host.ledger.close()


def open_at(world: Proved, campaign: Any, to: str = "ann") -> Any:
    return world.hosts[to].custodian.open_release(campaign.body(world, to))


def test_what_a_restored_log_still_says_is_refused_by_its_name(world: Proved) -> None:
    yesterday = make_campaign(world, ENTRIES)
    world.bring(yesterday)
    kept = list(world.api.entries)
    today = make_campaign(world, ENTRIES, name="c2")
    world.bring(today)
    open_at(world, today)
    seen = world.hosts["ann"].ledger.newest_tree()
    assert seen == len(world.api.entries) > len(kept)
    # Evidence as it was: every signature in it is genuine.
    with pytest.raises(Refused) as refused:
        open_at(world, yesterday)
    assert refused.value.name == "rolled-back"
    # The whole log put back, and cosigned again a moment ago.
    world.api.entries = kept
    world.bring(yesterday)
    with pytest.raises(Refused) as refused:
        open_at(world, yesterday)
    assert refused.value.name == "rolled-back"
    # And filled up again, with other entries, to the size that was seen.
    other = make_campaign(world, ENTRIES, name="c3")
    world.entry("operator", kind="noise")  # where ann's own opening stood
    assert len(world.api.entries) == seen
    world.bring(other)
    with pytest.raises(Refused) as refused:
        open_at(world, other)
    assert refused.value.name == "split-view"
    assert world.hosts["ann"].ledger.newest_tree() == seen
    assert world.hosts["ann"].ledger.status()["opens"] == len(ENTRIES)


def test_a_roster_chunk_under_an_older_tree_is_refused(world: Proved) -> None:
    ann = world.hosts["ann"].custodian
    extra = [make_entry(EPOCH, *make_rows(1)[0])]
    old = put_roster(world, extra, 1)
    before = world.shown(old)
    world.entry("operator", kind="noise")
    ann.pull_rosters()
    more = [make_entry(EPOCH, *make_rows(1)[0])]
    raw = base64.b64encode(b"".join(entry.to_bytes() for entry in more)).decode()
    late = put_roster(world, more, 2)
    assert ann.add_roster(2, {"entries": raw, "evidence": world.shown(late)})["known"] is False
    fresh = Ledger(world.hosts["bea"].settings.database)
    try:
        trees = Trees(ann._log, fresh)  # another custodian, which has seen nothing yet
        assert trees.believe(before, since=trees.newest).size < ann._log.newest
    finally:
        fresh.close()
    with pytest.raises(Refused, match="rolled-back"):
        ann._log.believe(before, since=ann._log.newest)


def test_an_honest_log_that_only_grew_is_believed_again_and_again(world: Proved) -> None:
    for name in ("c1", "c2"):
        campaign = make_campaign(world, ENTRIES, name=name)
        world.bring(campaign)
        open_at(world, campaign)
    assert world.hosts["ann"].ledger.status()["splits"] == []


def test_two_logs_of_one_size_are_refused_and_both_checkpoints_kept(world: Proved) -> None:
    campaign = make_campaign(world, ENTRIES)
    world.bring(campaign)
    open_at(world, campaign)
    ledger = world.hosts["ann"].ledger
    size = ledger.newest_tree()
    world.api.entries = world.api.entries[: size - 1]
    forked = put_roster(world, ENTRIES[:1], 7)  # another last entry: same size, another root
    assert len(world.api.entries) == size
    raw = base64.b64encode(ENTRIES[0].to_bytes()).decode()
    with pytest.raises(Refused) as refused:
        world.hosts["ann"].custodian.add_roster(
            7, {"entries": raw, "evidence": world.shown(forked)}
        )
    assert refused.value.name == "split-view"
    ((at, notes),) = ledger.splits()
    policy = Policy.from_invite(world.invite)
    roots = {open_checkpoint(note.encode(), policy.logs)[0].root for note in notes}
    assert at == size
    assert len(roots) == 2
    assert tree_root(world.api.entries) in roots
    assert all(policy.check(note.encode()) for note in notes)  # a judge needs nothing else
    assert ledger.status()["splits"] == [size]


def test_what_was_seen_outlives_the_process(world: Proved) -> None:
    campaign = make_campaign(world, ENTRIES)
    world.bring(campaign)
    open_at(world, campaign)
    seen = world.hosts["ann"].ledger.newest_tree()
    again = Ledger(world.hosts["ann"].settings.database)
    try:
        assert again.newest_tree() == seen > 0
        other = hashlib.sha256(b"another tree").digest()
        assert again.saw_tree(seen, other, "note") is False
    finally:
        again.close()


def test_a_checkpoint_of_too_few_witnesses_is_never_remembered(world: Proved) -> None:
    world.api.witnesses = world.api.witnesses[:1]
    kept = world.entry("operator", kind="noise")
    trees = Trees(world.hosts["ann"].custodian._log, world.hosts["ann"].ledger)
    with pytest.raises(Refused, match="not-logged"):
        trees.believe(world.shown(kept))
    assert trees.newest == 0

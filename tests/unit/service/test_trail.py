"""The way of a list and of a letter: each step's entry, one checkpoint, and nobody else's list."""

from dataclasses import replace
from typing import Any

import pytest

from consortium.service import trail
from consortium.service.errors import NotReady
from consortium.store import actors, campaigns, contributions, deliveries, frames, log
from consortium.store.errors import Missing
from consortium.store.unit import Unit
from matching.locks import audience_leaves
from policies import agreement
from policies.authorise import Caller
from provenance.entry import Drafted, openings_to_json
from provenance.errors import InclusionRefused
from provenance.evidence import check
from provenance.merkle import leaf_hash, tree_root
from provenance.row_receipt import RowReceipt
from provenance.row_story import check_row_receipt
from tests.attack.test_planted_mailboxes import crowd, link
from tests.fakes.actors import POLICY, made, public
from tests.fakes.post import Post, post
from tests.fakes.server import RACE

__all__ = ["post"]

NONCE = "ab" * 32
PARTNERS = ("parks", "union")


def promise(post: Post, who: str, drafted: Drafted) -> str:
    """Keep an entry for the log; its leaf."""
    leaf = leaf_hash(drafted.entry).hex()
    new = log.Promised(
        leaf, drafted.entry and _kind(drafted), who, drafted.entry,
        openings_to_json(drafted.openings), None, post.clock(),
    )  # fmt: skip
    post.units.run("promise", lambda unit: log.promise(unit, new))
    return leaf


def _kind(drafted: Drafted) -> str:
    from provenance.entry import parse

    return parse(drafted.entry).kind


class Walked:
    """A campaign over two lists, whose letters went out, with every entry in the log."""

    def __init__(self, post: Post, *, published: bool = True) -> None:
        self.post = post
        op = actors.Actor("operator", "operator", "Operator", public("operator").hex())
        post.units.run("operator", lambda unit: actors.add(unit, op))
        self.parts = [
            post.bundle("parks", 1, crowd(1, 6, "p")),
            post.bundle("union", 2, crowd(7, 12, "u")),
        ]
        self.id = post.campaign("c1", *self.parts)
        one = post.state(self.id)
        for part in self.parts:
            facts = {
                "kind": "bundle", "partner": part.partner, "bundle": part.bundle,
                "root": "3" * 64, "size_class": 256,
            }  # fmt: skip
            leaf = promise(post, part.partner, made(part.partner, "contribution", **facts))
            run = {"kind": "run", "bundle": part.bundle, "links_digest": "4" * 64, "roll": "r"}
            self._change(part.bundle, leaf)
            promise(post, "operator", made("operator", "match", **run, parameters_digest="5" * 64))
        with post.server.artefacts.open(str(one.audience_digest)) as path:
            locks = [each.lock for each in frames.read_audience(path)]
        root = tree_root(audience_leaves(bytes.fromhex(NONCE), locks)).hex()
        about = {"campaign": self.id, "digest": one.digest}
        for who in PARTNERS:
            self._say(who, "approve", made(who, "approval", kind="approve", **about))
            self._say(who, "attest", made(who, "approval", kind="attest", root=root, **about))
        facts = {
            "kind": "send", "race": RACE, "root": root, "nonce": NONCE, "size_class": 256,
            "agreement": agreement.digest(post.server.agreement), "sources": [*PARTNERS], **about,
            "places": {"precinct": ["44-1204"]}, "subject": "A made-up subject",
            "opens": "2026-10-05T15:00:00Z", "closes": "2026-10-06T00:00:00Z",
        }  # fmt: skip
        post.server.publish()
        leaf = promise(post, "operator", made("operator", "intent", **facts))
        post.change(self.id, root=root, nonce=NONCE)
        post.go(self.id)
        post.change(self.id, intent_leaf=leaf)
        if published:
            post.server.publish()

    def _change(self, bundle: str, leaf: str) -> None:
        self.post.units.run("leaf", lambda unit: contributions.change(unit, bundle, leaf=leaf))

    def _say(self, who: str, kind: str, drafted: Drafted) -> None:
        leaf = promise(self.post, who, drafted)
        new = campaigns.Approval(self.id, who, kind, leaf, self.post.clock())
        self.post.units.run("say", lambda unit: campaigns.approve(unit, new))

    def receipt(self, address: str) -> RowReceipt:
        token, server = link(self.post, address), self.post.server
        return trail.receipt(self.post.units, token, server.backend, server.artefacts)


def test_a_letters_receipt_proves_its_way_and_names_no_other_list(post: Post) -> None:
    walked = Walked(post)
    for address, partner, other in (("p1", "parks", "union"), ("u7", "union", "parks")):
        made_ = walked.receipt(f"{address}@example.net")
        raw = made_.to_bytes()
        proven = check_row_receipt(RowReceipt.from_bytes(raw), POLICY)
        assert (proven.partner, proven.campaign, proven.row) == (partner, "c1", False)
        assert [one.said.kind for one in proven.steps] == [
            "agreement", "contribution", "match", "approval", "approval", "intent",
        ]  # fmt: skip
        assert "and this row is in its audience" in proven.lines[-1]
        assert len(raw) < 8_000
        for never in (other, public(other).hex(), "example.net"):
            assert never not in made_.to_json().decode().replace(f'"{partner}"', "")
        assert other not in made_.actors
        # Of the list itself: neither its length nor its tree.
        assert {*proven.steps[1].said.facts} == {"kind", "partner", "bundle"}
        assert {"sources", "size_class"}.isdisjoint(proven.steps[-1].said.facts)


def test_a_receipt_of_one_letter_does_not_pass_for_another_row(post: Post) -> None:
    walked = Walked(post)
    mine, other = walked.receipt("p1@example.net"), walked.receipt("p2@example.net")
    assert mine.lock != other.lock
    with pytest.raises(InclusionRefused):
        check_row_receipt(replace(mine, lock=other.lock), POLICY)


def test_the_page_names_the_entry_of_each_step(post: Post) -> None:
    walked = Walked(post)
    token = link(post, "p1@example.net")
    view = post.units.read("why", lambda unit: trail.recipient(unit, token))
    assert [step.words.split(" ")[0] for step in view.trail] == [
        "Parks", "It", "That", "It", "It", "That", "The",
    ]  # fmt: skip
    places = [step.index for step in view.trail]
    assert places[:-1] == [one.index for one in walked.receipt("p1@example.net").steps]
    assert places[-1] is None
    assert "Union" not in repr(view)


def test_before_the_log_holds_all_of_it_there_is_no_receipt(post: Post) -> None:
    walked = Walked(post, published=False)
    with pytest.raises(NotReady):
        walked.receipt("p1@example.net")
    token = link(post, "p1@example.net")
    view = post.units.read("why", lambda unit: trail.recipient(unit, token))
    assert view.trail[-2].index is None


def test_after_the_audience_was_cut_the_receipt_holds_all_but_the_row(post: Post) -> None:
    walked = Walked(post)
    post.change(walked.id, audience_digest=None)
    made_ = walked.receipt("p1@example.net")
    assert (made_.lock, made_.member) == (None, None)
    assert "in the campaign's audience" in " ".join(check_row_receipt(made_, POLICY).unproven)


def test_a_link_that_nobody_has_gives_no_receipt(post: Post) -> None:
    Walked(post)
    server = post.server
    with pytest.raises(Missing):
        trail.receipt(post.units, "x" * 22, server.backend, server.artefacts)
    assert server.client.get(f"/why/{'x' * 22}/receipt").status_code == 404
    found = server.client.get(f"/why/{link(post, 'p1@example.net')}/receipt")
    assert found.status_code == 200
    assert found.headers["x-robots-tag"] == "noindex, nofollow, noarchive"
    check_row_receipt(RowReceipt.from_bytes(found.content), POLICY)
    page = server.client.get(f"/why/{link(post, 'p1@example.net')}").text
    assert f'href="/why/{link(post, "p1@example.net")}/receipt"' in page


def test_a_partner_gets_the_way_of_its_own_list_under_one_checkpoint(post: Post) -> None:
    walked = Walked(post)
    found = _trail(post, "parks", walked.parts[0].bundle)
    every = [*found.own, *found.campaigns["c1"]]
    assert len({one.proof.rpartition("\n\n")[0].rpartition("\n\n")[2] for one in every}) == 1
    said = [check(one, POLICY, partial=True) for one in every]
    mine = [one.facts["kind"] for one in said if one.actor == public("parks")]
    assert sorted(mine) == ["approve", "attest", "bundle", "sign"]
    assert [one.facts["kind"] for one in said if one.actor == public("union")] == ["approve"]
    run = next(one for one in said if one.kind == "match")
    assert run.facts == {
        "kind": "run", "bundle": walked.parts[0].bundle, "roll": "r", "parameters_digest": "5" * 64,
    }  # fmt: skip
    answer = post.server.call("parks", "GET", f"/contributions/{walked.parts[0].bundle}/trail")
    assert answer.status_code == 200
    assert set(answer.json()["campaigns"]) == {"c1"}


def test_nobody_gets_the_way_of_another_partners_list(post: Post) -> None:
    walked = Walked(post)
    with pytest.raises(Missing):
        _trail(post, "union", walked.parts[0].bundle)
    path = f"/contributions/{walked.parts[0].bundle}/trail"
    assert post.server.call("union", "GET", path).status_code == 404
    assert post.server.call("cora", "GET", path).status_code == 403
    assert post.server.call(None, "GET", path).status_code == 401


def test_a_withdrawn_rows_letter_proves_no_lock(post: Post) -> None:
    walked = Walked(post)
    part = walked.parts[0]
    post.units.run("gone", lambda unit: deliveries.withdraw(unit, part.bundle, {0}))
    address = "p1@example.net"
    made_ = walked.receipt(address)
    assert made_.lock is None


def _trail(post: Post, who: str, bundle: str) -> trail.ListTrail:
    def find(unit: Unit) -> trail.ListTrail:
        caller: Any = Caller(who, "partner", who)
        return trail.of_list(unit, caller, bundle, post.server.backend)

    return post.units.read("trail", find)

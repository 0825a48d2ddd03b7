"""Each person gets the letter of their own arm: by nobody else's doing, and kept nowhere."""

from __future__ import annotations

import email
import json
from dataclasses import replace
from typing import Any

import pytest

from consortium.service import draft, send
from consortium.service.errors import EntryMisfits
from mailer import arms
from mailer.errors import TemplateRefused
from mailer.transports import Deferred
from policies import agreement
from policies.arms import drawn
from tests.fakes.post import LETTER, Post
from tests.fakes.server import Server

SUBJECTS = ("Saturday", "Come on Saturday", "Coffee?")
PEOPLE = [(n, f"m{n}@example.net") for n in range(1, 61)]


def letter(*shares: int) -> dict[str, Any]:
    """A letter in three arms that differ by their subjects."""
    one, *others = shares or (1, 1, 1)
    said = [{"subject": s, "share": n} for s, n in zip(SUBJECTS[1:], others, strict=False)]
    made = arms.complete({"subject": SUBJECTS[0], "mjml": LETTER, "share": one, "arms": said})
    return {"text": None, **made}


def got(post: Post) -> dict[str, str]:
    """The subject that each address got."""
    return {to: str(email.message_from_bytes(raw)["Subject"]) for _, to, raw in post.mta.taken}


def expected(post: Post, person: int, *shares: int, campaign: str = "c1") -> str:
    number = drawn(person, campaign=campaign, key=post.office.keys.choice, shares=shares)
    return SUBJECTS[number]


def test_each_person_gets_the_letter_of_their_arm_and_no_table_says_which(post: Post) -> None:
    post.campaign("c1", post.bundle("union", 1, PEOPLE), template=letter(2, 1, 1))
    post.go("c1")
    assert got(post) == {to: expected(post, n, 2, 1, 1) for n, to in PEOPLE}
    assert set(got(post).values()) == set(SUBJECTS)
    kept = repr(post.letters("c1"))
    assert not any(word in kept for word in (*SUBJECTS, "arm"))


def test_neither_another_list_nor_who_else_is_on_it_moves_anybody_to_another_arm(
    post: Post,
) -> None:
    union = post.bundle("union", 1, PEOPLE[1:][::-1])
    parks = post.bundle("parks", 2, [(n, f"p{n}@example.net") for n in range(30, 91)])
    post.campaign("c1", union, parks, template=letter(2, 1, 1))
    post.go("c1")
    people = {to: int(to.partition("@")[0][1:]) for to in got(post)}
    assert len(people) == len(set(people.values())) == 89
    # What the first person's own test expects of them, without a word on lists.
    assert got(post) == {to: expected(post, n, 2, 1, 1) for to, n in people.items()}


def test_a_letter_that_is_tried_again_by_another_worker_says_the_same(post: Post) -> None:
    post.campaign("c1", post.bundle("union", 1, PEOPLE), template=letter())
    for _, address in PEOPLE[:20]:
        post.mta.answers[address] = [Deferred(451, "4.3.0 later", "rcpt")]
    post.go("c1")
    assert len(post.mta.to) == 40
    post.later(minutes=30)
    post.office.name = "gone"
    post.go("c1", post.new_office("second", dead=frozenset({"gone", "first"})))
    assert got(post) == {to: expected(post, n, 1, 1, 1) for n, to in PEOPLE}


def test_two_addresses_of_one_person_are_of_one_arm(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms = replace(agreement.parse(post.server.agreement), once="address")
    monkeypatch.setattr(send.agree, "signed_terms", lambda *_: terms)
    union = post.bundle("union", 1, PEOPLE)
    parks = post.bundle("parks", 2, [(n, f"other{n}@example.net") for n, _ in PEOPLE])
    post.campaign("c1", union, parks, template=letter())
    post.go("c1")
    found = got(post)
    assert len(found) == 120
    for n, address in PEOPLE:
        assert found[address] == found[f"other{n}@example.net"] == expected(post, n, 1, 1, 1)


def test_a_household_is_drawn_as_one_where_it_gets_one_letter(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms = replace(agreement.parse(post.server.agreement), once="household")
    monkeypatch.setattr(send.agree, "signed_terms", lambda *_: terms)
    post.campaign("c1", post.bundle("union", 1, PEOPLE), template=letter(1, 1))
    post.go("c1")
    key = post.office.keys.choice  # in these worlds everybody is a household of their own number
    for n, address in PEOPLE:
        home = drawn(n, "household", campaign="c1", key=key, shares=(1, 1))
        assert got(post)[address] == SUBJECTS[home]
    assert any(got(post)[address] != expected(post, n, 1, 1) for n, address in PEOPLE)  # control


@pytest.mark.parametrize("lie", ["share", "subject", "dropped"])
def test_an_arm_that_nobody_approved_stops_the_letter(post: Post, lie: str) -> None:
    post.campaign("c1", post.bundle("union", 1, PEOPLE[:5]), template=letter())
    approved = post.state("c1")
    template = json.loads(json.dumps(approved.template))
    if lie == "dropped":
        del template["arms"][1]
    else:
        template["arms"][0][lie] = 50 if lie == "share" else "Free money"
    post.change("c1", template=template)
    with pytest.raises(EntryMisfits, match="template"):
        post.go("c1")
    shares = {**(approved.manifest or {}), "arms": [9, 1, 1]}
    post.change("c1", template=approved.template, manifest=shares)
    with pytest.raises(EntryMisfits):
        post.go("c1")
    assert post.mta.to == []


def test_every_arm_is_judged_and_a_refusal_names_it(server: Server) -> None:
    terms = agreement.parse(server.agreement)
    bad = LETTER.replace("come on", '<a href="https://elsewhere.example/">come</a> on')
    whole = arms.complete({"subject": "A", "mjml": LETTER, "arms": [{"subject": "B", "mjml": bad}]})
    with pytest.raises(TemplateRefused) as refused:
        draft.variants(terms, whole)
    assert all(one.where.startswith("Arm 2, ") for one in refused.value.problems)
    assert len(draft.variants(terms, {**whole, "arms": whole["arms"][:0]})) == 1

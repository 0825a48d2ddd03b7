"""The partner whose list a letter went through is told of a stop upon it; nobody else ever is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from consortium.service import hear_back, tell
from consortium.service.tell import ToldStop
from consortium.store import deliveries
from consortium.store.deliveries import Delivery
from consortium.store.errors import Missing
from mailer import stops
from policies.authorise import Caller
from policies.errors import Denied
from tests.fakes.post import Post
from tests.fakes.server import RACE

LISTS = {"union": 1, "parks": 2}


def caller(partner: str) -> Caller:
    return Caller(partner, "partner", partner)


def told(post: Post, partner: str, bundle: str) -> Sequence[ToldStop]:
    return post.units.read("told", lambda unit: tell.stops_of(unit, caller(partner), bundle))


def press(post: Post, letter: Delivery, scope: str = "race") -> None:
    """Press a stop button of a letter, as its own link's holder."""
    token = stops.capability(post.office.keys.delivery, bytes.fromhex(letter.id)).token
    post.units.run("stop", lambda unit: hear_back.stop(unit, token, scope, post.clock()))


@pytest.fixture
def shared(post: Post) -> tuple[dict[str, str], list[Delivery]]:
    """Nine people on two lists, at the same addresses; each got one letter, through one of them."""
    members = [(n, f"m{n}@example.net") for n in range(1, 10)]
    parts = {name: post.bundle(name, number, members) for name, number in LISTS.items()}
    post.go(post.campaign("c1", *parts.values()))
    sent = [one for one in post.letters("c1") if one.state == "sent"]
    assert {one.partner for one in sent} == set(LISTS)
    assert len(sent) == 9
    return {name: part.bundle for name, part in parts.items()}, sent


def test_of_two_partners_with_the_same_person_only_the_one_that_wrote_is_told(
    post: Post, shared: tuple[dict[str, str], list[Delivery]]
) -> None:
    bundles, sent = shared
    assert not any(told(post, name, bundle) for name, bundle in bundles.items())
    letter = sent[0]
    press(post, letter)
    today = post.clock().date()
    other = "parks" if letter.partner == "union" else "union"
    assert told(post, letter.partner, bundles[letter.partner]) == [
        ToldStop(letter.lock, "race", RACE, today)
    ]
    assert told(post, other, bundles[other]) == []


def test_who_is_on_another_list_too_looks_like_who_is_not(post: Post) -> None:
    mine = post.bundle("union", 1, [(n, f"m{n}@example.net") for n in range(1, 10)])
    theirs = post.bundle("parks", 2, [(n, f"m{n}@example.net") for n in range(1, 6)])
    post.go(post.campaign("c1", mine, theirs))
    through_mine = [
        one for one in post.letters("c1") if (one.partner, one.state) == ("union", "sent")
    ]
    both = [one for one in through_mine if one.person < 6]
    assert both
    assert len(through_mine) > len(both), "the control: some are on both lists, some on one"
    for letter in sorted(through_mine, key=lambda one: one.person):
        post.later(seconds=1)  # the order in which they stop is that of who they are
        press(post, letter)
    found = told(post, "union", mine.bundle)
    assert {(one.scope, one.race, one.day) for one in found} == {
        ("race", RACE, post.clock().date())
    }
    assert [one.lock for one in found] == sorted(one.lock for one in through_mine)


def test_a_partner_may_ask_about_no_list_but_its_own(
    post: Post, shared: tuple[dict[str, str], list[Delivery]]
) -> None:
    bundles, sent = shared
    press(post, sent[0])
    for name in LISTS:
        foreign = next(bundle for other, bundle in bundles.items() if other != name)
        with pytest.raises(Missing, match="this partner has no such"):
            told(post, name, foreign)
    with pytest.raises(Missing, match="this partner has no such"):
        told(post, "union", "00000000-0000-4000-8000-00000000dead")
    for role in ("coordinator", "operator", "auditor", "steward"):
        with pytest.raises(Denied):
            post.units.read(
                "told",
                lambda unit, r=role: tell.stops_of(unit, Caller("cora", r, ""), bundles["union"]),  # type: ignore[misc]
            )


def test_pressing_again_tells_nothing_more_and_the_first_day_stands(
    post: Post, shared: tuple[dict[str, str], list[Delivery]]
) -> None:
    bundles, sent = shared
    letter = sent[0]
    press(post, letter)
    once = told(post, letter.partner, bundles[letter.partner])
    post.later(days=2)
    press(post, letter)
    press(post, letter)
    assert told(post, letter.partner, bundles[letter.partner]) == once
    press(post, letter, "all")
    more = told(post, letter.partner, bundles[letter.partner])
    assert [one.scope for one in more] == ["all", "race"]
    assert more[0].day - more[1].day == timedelta(days=2)


def test_what_is_told_is_how_far_the_stop_reaches_and_nothing_shows_who_asked_for_protection(
    post: Post, shared: tuple[dict[str, str], list[Delivery]]
) -> None:
    bundles, sent = shared
    reach = {"race": "race", "partner": "partner", "all": "all", "protect": "all"}
    pressed = dict(zip(reach, sent, strict=False))
    for scope, letter in pressed.items():
        press(post, letter, scope)
    every = [one for name, bundle in bundles.items() for one in told(post, name, bundle)]
    assert {one.lock: one.scope for one in every} == {
        letter.lock: reach[scope] for scope, letter in pressed.items()
    }
    for letter in pressed.values():  # nothing of an address, of a person or of the letter
        for secret in (letter.stop_key, letter.address_token, letter.id, letter.verp, "@"):
            assert secret
            assert secret not in repr(every)


def test_complaints_bounces_and_typed_addresses_are_told_to_nobody(
    post: Post, shared: tuple[dict[str, str], list[Delivery]]
) -> None:
    bundles, sent = shared
    for letter, kind in zip(sent, ("complaint", "hard", "soft", "unknown"), strict=False):
        post.units.run(
            "returned",
            lambda unit, one=letter, k=kind: hear_back.returned(  # type: ignore[misc]
                unit, one.id, k, post.clock(), code="4.2.2"
            ),
        )
    typed = "m7@example.net"
    key = stops.stop_key(post.office.keys.stop, typed).hex()
    post.units.run("ask", lambda unit: hear_back.ask(unit, b"sealed", post.clock()))
    hear_back.take_typed(post.units, lambda _: ("all", typed), lambda _: key, post.clock())
    assert not any(told(post, name, bundle) for name, bundle in bundles.items())


def test_a_row_that_was_withdrawn_is_named_no_more(
    post: Post, shared: tuple[dict[str, str], list[Delivery]]
) -> None:
    bundles, sent = shared
    mine = [one for one in sent if one.partner == "union"][:2]
    assert len(mine) == 2
    for letter in mine:
        press(post, letter)
    gone, stays = mine
    post.units.run("rows", lambda unit: deliveries.withdraw(unit, gone.bundle, [gone.row]))
    assert [one.lock for one in told(post, "union", bundles["union"])] == [stays.lock]
    post.units.run("list", lambda unit: deliveries.withdraw(unit, gone.bundle))
    assert told(post, "union", bundles["union"]) == []

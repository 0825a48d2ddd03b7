"""Addresses that nobody reads any more: letters to them end by themselves, and only to them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from consortium.service import hear_back
from consortium.store import deliveries
from consortium.store.tables import DeliveryRow
from consortium.store.unit import Unit
from mailer import stops
from tests.fakes.post import Post

ADDRESS = "m1@example.net"
WEEK = timedelta(days=7, minutes=1)


def letters(post: Post, number: int, begin: int = 1) -> list[str]:
    """So many campaigns to three people, a week apart; the ids of the letters to one of them."""
    found = []
    for n in range(begin, begin + number):
        members = [(who, f"m{who}@example.net") for who in (1, 2, 3)]
        part = post.bundle("union", n, members)
        post.go(post.campaign(f"c{n}", part, scheduled=post.clock(), template=_window(post)))
        found += [one.id for one in post.letters(f"c{n}") if one.person == 1]
        post.units.run("age", _age)  # a week between them, within the days of one agreement
    return found


def _age(unit: Unit) -> None:
    for row in unit.session.scalars(select(DeliveryRow)):
        row.claimed_at = row.claimed_at - WEEK if row.claimed_at else None


def _window(post: Post) -> dict[str, object]:
    opens, closes = post.clock(), post.clock() + timedelta(days=6)
    return {
        "window": {
            "opens": opens.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "closes": closes.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
    }


def soft(post: Post, letter: str, code: str | None = "4.2.2") -> str:
    return post.units.run(
        "soft", lambda unit: hear_back.returned(unit, letter, "soft", post.clock(), code=code)
    )


def test_three_letters_in_a_row_that_find_the_mailbox_full_end_letters_to_it(post: Post) -> None:
    first, second, third = letters(post, 3)
    assert soft(post, first) == "noted"
    post.later(days=2)
    assert soft(post, second) == "noted"
    post.later(days=2)
    assert soft(post, third) == "suppressed"
    before = list(post.mta.to)
    letters(post, 1, begin=4)
    assert [to for to in post.mta.to[len(before) :] if to == ADDRESS] == []
    assert len(post.mta.to) == len(before) + 2, "the others still get theirs"


@pytest.mark.parametrize(
    "code", ["5.7.1", "4.7.28", "5.3.4", "5.6.0", "5.1.8", "4.1.7", "5.2.3", None]
)
def test_what_is_said_about_us_or_our_text_never_ends_letters(post: Post, code: str | None) -> None:
    for letter in letters(post, 3):
        assert soft(post, letter, code) == "noted"
        post.later(days=2)


def test_one_letter_that_comes_back_again_and_again_counts_once(post: Post) -> None:
    first, second, third = letters(post, 3)
    for _ in range(5):
        assert {soft(post, first), soft(post, second)} == {"noted"}
        post.later(days=2)
    assert soft(post, third) == "suppressed"


def test_a_bad_day_ends_nothing(post: Post) -> None:
    assert {soft(post, one) for one in letters(post, 3)} == {"noted"}


def test_a_letter_between_that_was_taken_ends_the_row(post: Post) -> None:
    first, _, third, fourth = letters(post, 4)
    for letter in (first, third, fourth):
        assert soft(post, letter) == "noted"
        post.later(days=2)


def open_link(post: Post, letter: str) -> None:
    token = stops.capability(post.office.keys.delivery, bytes.fromhex(letter)).token
    post.units.run("visit", lambda unit: hear_back.visit(unit, token, post.clock()))


def seen(post: Post, letter: str) -> bool:
    return post.units.run("get", lambda unit: deliveries.get(unit, letter)).seen is not None


def test_who_never_answers_gets_no_more_after_so_many_letters(post: Post) -> None:
    post.office.sunset = 2
    first, second = letters(post, 2)
    letters(post, 1, begin=3)
    assert post.mta.to.count(ADDRESS) == 2
    [mine] = [one for one in post.letters("c3") if one.person == 1]
    assert (mine.state, mine.outcome) == ("dropped", "no sign of life")
    # The control: who opened a link of theirs goes on.
    open_link(post, second)
    assert seen(post, second)
    letters(post, 1, begin=4)
    assert post.mta.to.count(ADDRESS) == 3
    assert not seen(post, first)


def test_no_end_is_set_unless_somebody_sets_it(post: Post) -> None:
    assert post.office.sunset == 0
    letters(post, 3)
    assert post.mta.to.count(ADDRESS) == 3


def test_a_link_opened_as_the_letter_arrives_is_no_sign_of_life(post: Post) -> None:
    members = [(who, f"m{who}@example.net") for who in (1, 2, 3)]
    post.go(post.campaign("c1", post.bundle("union", 1, members)))
    letter = post.sent_to(ADDRESS).id
    post.later(seconds=60)
    open_link(post, letter)
    assert not seen(post, letter)
    post.later(seconds=300)
    open_link(post, letter)
    assert seen(post, letter)

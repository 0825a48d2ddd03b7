"""Each kind of stop ends what its words say, and nothing that they do not."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from consortium.service import hear_back
from consortium.store import suppressions
from consortium.store.deliveries import Delivery
from consortium.store.unit import Unit
from consortium.web.pages.words import SCOPES, WORDS
from mailer import stops
from tests.fakes.post import Post
from tests.fakes.server import EPOCH, RACE

LATE = {"window": {"opens": "2026-11-21T00:00:00Z", "closes": "2026-12-01T00:00:00Z"}}


@dataclass(frozen=True, slots=True)
class Next:
    """Some later letter that somebody might get, beside the one that they pressed stop in."""

    same_race: bool
    same_sender: bool
    same_address: bool
    same_person: bool = True


HERE = Next(True, True, True)
OTHER_SENDER = Next(True, False, True)
OTHER_ADDRESS = Next(True, False, False)
SENDERS_OTHER_ADDRESS = Next(True, True, False)
OTHER_RACE = Next(False, True, True)
ELSEWHERE = Next(False, False, True)
ALL_OTHER = Next(False, False, False)
SHARED_MAILBOX = Next(True, False, True, same_person=False)
STRANGER = Next(True, True, False, same_person=False)

ENDS = {
    # Source: tokens, Persons; the agreement, "Stops a recipient can aim at".
    "race": {HERE, OTHER_SENDER, OTHER_ADDRESS, SENDERS_OTHER_ADDRESS, SHARED_MAILBOX},
    "partner": {HERE, SENDERS_OTHER_ADDRESS, OTHER_RACE},
    "all": {
        HERE, OTHER_SENDER, OTHER_ADDRESS, SENDERS_OTHER_ADDRESS, OTHER_RACE, ELSEWHERE,
        SHARED_MAILBOX,
    },
    "protect": {
        HERE, OTHER_SENDER, OTHER_ADDRESS, SENDERS_OTHER_ADDRESS, OTHER_RACE, ELSEWHERE,
        SHARED_MAILBOX,
    },
}  # fmt: skip
EVERY = (
    HERE, OTHER_SENDER, OTHER_ADDRESS, SENDERS_OTHER_ADDRESS, OTHER_RACE, ELSEWHERE, ALL_OTHER,
    SHARED_MAILBOX, STRANGER,
)  # fmt: skip


def press(post: Post, letter: Delivery, scope: str) -> None:
    token = stops.capability(post.office.keys.delivery, bytes.fromhex(letter.id)).token
    post.units.run("stop", lambda unit: hear_back.stop(unit, token, scope, post.clock()))


def ended(unit: Unit, letter: Delivery, one: Next, *, opened: bool) -> bool:
    """Whether that later letter is held back: by what was opened, or by tokens before that."""
    race = RACE if one.same_race else "another-race"
    partner = "union" if one.same_sender else "parks"
    person = letter.person if one.same_person else 77
    token = letter.address_token if one.same_address else "ab" * 16
    if not opened:
        whole = suppressions.silences(unit, race=race, epoch=EPOCH)
        return whole.hold(partner, token, person)
    return suppressions.suppressed(
        unit,
        race=race,
        partner=partner,
        epoch=EPOCH,
        stop_key=letter.stop_key if one.same_address else "cd" * 32,
        address_token=None,  # as of a list that came in another epoch
        person=person,
    )


@pytest.mark.parametrize("scope", SCOPES)
def test_a_stop_reaches_as_far_as_its_words_and_no_further_and_a_partners_own_bystanders_go_on(
    post: Post, scope: str
) -> None:
    union = post.bundle("union", 1, [(1, "m1@example.net"), (2, "m2@example.net")])
    post.go(post.campaign("c1", union))
    letter = post.sent_to("m1@example.net")

    def look(unit: Unit, opened: bool) -> set[Next]:
        return {one for one in EVERY if ended(unit, letter, one, opened=opened)}

    assert post.units.read("first", lambda unit: look(unit, True) | look(unit, False)) == set()
    press(post, letter, scope)
    assert post.units.read("after", lambda unit: look(unit, True)) == ENDS[scope]
    assert post.units.read("before-opening", lambda unit: look(unit, False)) == ENDS[scope]

    # And what really leaves, a week later: of this race, from two lists, at two addresses.
    post.later(days=8)
    parks = post.bundle("parks", 2, [(1, "other1@example.net"), (2, "m2@example.net")])
    gone = len(post.mta.to)
    post.go(post.campaign("c2", union, parks, scheduled=post.clock(), template=LATE))
    to = post.mta.to[gone:]
    assert to.count("m2@example.net") == 1, "a bystander's letter goes on"
    mine = [one for one in to if one != "m2@example.net"]
    assert mine == (["other1@example.net"] if scope == "partner" else [])


def test_the_words_promise_of_an_address_what_holds_for_an_address_alone() -> None:
    # All other addresses in all other races: no stop ends letters there, so no words may say so.
    assert not any(ALL_OTHER in reach for reach in ENDS.values())
    for lang, here in (("en", "to this address"), ("es", "a esta dirección")):
        for scope in SCOPES:
            assert here in WORDS[lang][f"{scope}_ends"], (lang, scope)
            assert "Trellis" in WORDS[lang][f"{scope}_ends"] or scope == "race"

"""Mailboxes planted on one's own list under other people's names silence few, and learn little."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from consortium.service import agree, hear_back, look, plan, thaw, trail
from consortium.service.enter import Pen
from consortium.service.errors import WrongState
from consortium.service.post_office import lease
from consortium.store import contributions, log, races
from consortium.store.unit import Unit
from consortium.wiring import pen
from policies.authorise import Caller
from tests.fakes.post import Post, post
from tests.fakes.server import RACE

__all__ = ["post"]

LATE = {"window": {"opens": "2026-11-21T00:00:00Z", "closes": "2026-12-01T00:00:00Z"}}
PLANTED = 6
"""More than two in a hundred of 256 rows."""


def crowd(first: int, last: int, name: str) -> list[tuple[int, str]]:
    return [(n, f"{name}{n}@example.net") for n in range(first, last + 1)]


def link(post: Post, address: str) -> str:
    """The secret in the links of the newest letter that an address got."""
    message = [sent for _, to, sent in post.mta.taken if to == address][-1]
    found = re.search(rb"/u/([\w-]{22})", message)
    assert found
    return found[1].decode()


def stop(post: Post, address: str) -> None:
    """Press the stop button of that letter."""
    token = link(post, address)
    post.units.run("stop", lambda unit: hear_back.stop(unit, token, "race", post.clock()))


def frozen(post: Post) -> list[str]:
    return post.units.read("frozen", lambda unit: thaw.frozen(unit, RACE))


def second(post: Post, *parts: object) -> list[str]:
    """Who gets the race's next letter, a week later."""
    post.later(days=7)
    before = len(post.mta.to)
    post.go(post.campaign("c2", *parts, template=LATE))  # type: ignore[arg-type]
    return sorted(post.mta.to[before:])


@pytest.mark.parametrize("share", [thaw.SHARE, 1.0])
def test_planted_stops_silence_only_what_was_planted(
    post: Post, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    # The attack: parks lists its own mailboxes under the names of the union's members, and stops.
    monkeypatch.setattr(thaw, "SHARE", share)
    planted = post.bundle("parks", 1, crowd(1, PLANTED, "trap"))
    post.go(post.campaign("c1", planted))
    for n in range(1, PLANTED + 1):
        stop(post, f"trap{n}@example.net")
    real = crowd(1, PLANTED, "real")
    got = second(post, post.bundle("union", 2, real), planted)
    assert got == ([] if share == 1.0 else sorted(address for _, address in real))


def test_up_to_two_in_a_hundred_can_be_silenced_in_one_race(post: Post) -> None:
    # The limit that remains, so that it is known: a stop must speak for its person's addresses.
    planted = post.bundle("parks", 1, crowd(1, PLANTED - 1, "trap"))
    post.go(post.campaign("c1", planted))
    for n in range(1, PLANTED):
        stop(post, f"trap{n}@example.net")
    assert frozen(post) == []
    assert second(post, post.bundle("union", 2, crowd(1, 9, "real"))) == [
        f"real{n}@example.net" for n in (6, 7, 8, 9)
    ]


def test_uploading_anew_begins_no_new_two_in_a_hundred(post: Post) -> None:
    parts = [
        post.bundle("parks", n + 1, crowd(3 * n + 1, 3 * n + 3, f"trap{n}x")) for n in range(2)
    ]
    post.go(post.campaign("c1", *parts))
    for address in list(post.mta.to):
        assert frozen(post) == []
        stop(post, address)
    assert frozen(post) == ["parks"]


def test_the_first_list_freezes_in_mid_campaign_and_its_people_get_their_other_copy(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [
        post.bundle("parks", 1, crowd(1, 60, "p")),
        post.bundle("union", 2, crowd(1, 60, "u")),
    ]
    pressed: list[str] = []

    def press(address: str) -> None:
        mine = [to for to in post.mta.to if to.startswith("p") and to not in pressed]
        if mine and len(pressed) < PLANTED:
            pressed.append(mine[0])
            stop(post, mine[0])

    post.mta.before.append(press)
    id = post.campaign("c1", *both)
    for _ in range(3):
        post.go(id)
    letters = post.letters(id)
    cold = [one for one in letters if one.outcome == plan.FROZEN]
    assert cold
    assert {one.partner for one in cold} == {"parks"}
    sent = [one for one in letters if one.state == "sent"]
    people = [one.person for one in sent]
    assert len(people) == len(set(people)), "nobody was written to twice"
    # Everybody got a letter, whichever list had been chosen for them before.
    assert set(people) == set(range(1, 61))
    assert {one.person for one in cold} <= {one.person for one in sent if one.partner == "union"}


def test_real_stops_of_a_frozen_list_still_hold_at_their_address(post: Post) -> None:
    members = crowd(1, 12, "m")
    listed = post.bundle("parks", 1, members)
    post.go(post.campaign("c1", listed))
    gone = [f"m{n}@example.net" for n in range(1, PLANTED + 1)]
    for address in gone:
        stop(post, address)
    assert frozen(post) == ["parks"]
    got = second(post, listed, post.bundle("union", 2, members))
    assert sorted({address for _, address in members} - set(got)) == sorted(gone)


@pytest.fixture
def operator(post: Post) -> Pen:
    return pen("operator", b"o" * 32)


def test_a_frozen_list_goes_on_by_a_name_in_the_log_and_freezes_anew(
    post: Post, operator: Pen
) -> None:
    listed = post.bundle("parks", 1, crowd(1, 14, "m"))
    post.go(post.campaign("c1", listed))

    def decide(by: str) -> str:
        return post.units.run(
            "thaw",
            lambda unit: thaw.thaw(
                unit, operator, RACE, "parks", by=by, why="a letter that annoyed", now=post.clock()
            ),
        )

    with pytest.raises(WrongState, match="is not frozen"):
        decide("Cora Ruiz")
    for n in range(1, PLANTED + 1):
        stop(post, f"m{n}@example.net")
    with pytest.raises(WrongState, match="somebody's name"):
        decide("  ")
    assert frozen(post) == ["parks"]

    def log_it(unit: Unit) -> None:
        [leaf, *_] = races.signatures(unit, RACE).values()  # any leaf that is in the log
        contributions.change(unit, listed.bundle, leaf=leaf)

    post.units.run("leaf", log_it)
    for partner in ("parks", "union"):
        caller = Caller(partner, "partner", partner)
        seen = post.units.read("lists", lambda unit, c=caller: look.contribution_list(unit, c))  # type: ignore[misc]
        assert [one.frozen for one in seen] == ([True] if partner == "parks" else [])
    leaf = decide("Cora Ruiz")
    kept = post.units.read("entry", lambda unit: log.find(unit, leaf))
    assert kept.openings is not None
    assert kept.openings["by"]["value"] == "Cora Ruiz"
    assert b"Cora" not in kept.entry  # the public sees that something was decided, and when
    assert frozen(post) == []
    got = second(post, listed)
    assert len(got) == 14 - PLANTED
    for n in range(PLANTED + 1, 2 * PLANTED + 1):
        stop(post, f"m{n}@example.net")
    assert frozen(post) == ["parks"]


@pytest.mark.parametrize(
    ("once", "holdout", "advantage"),
    [("person", 0.0, 0.5), ("person", 0.2, 0.4), ("address", 0.0, 0.0), ("address", 0.2, 0.0)],
)
def test_what_a_planted_mailbox_learns_by_silence_is_what_is_documented(
    post: Post, once: str, holdout: float, advantage: float
) -> None:
    # Parks lists 400 people under mailboxes of its own; the union really has the first 200.
    many = 400
    planted = post.bundle("parks", 1, crowd(1, many, "trap"))
    others = post.bundle("union", 2, crowd(1, many // 2, "real"))
    id = post.campaign("c1", planted, others, estimate=50_000)
    one = post.state(id)
    terms = post.units.read("terms", lambda unit: agree.signed_terms(unit, RACE))
    fence = post.units.run("lease", lambda unit: lease(post.office, unit, id))
    plan.plan(post.office, one, replace(terms, once=once, holdout_share=holdout), fence)
    heard = {letter.person for letter in post.letters(id) if letter.partner == "parks"}
    silent_if_listed = 1 - len(heard & set(range(1, many // 2 + 1))) / (many // 2)
    silent_if_not = 1 - len(heard & set(range(many // 2 + 1, many + 1))) / (many // 2)
    # More than five standard errors of the difference of two shares of 200.
    assert silent_if_listed - silent_if_not == pytest.approx(advantage, abs=0.25)
    if once == "address":
        both = {letter.person for letter in post.letters(id) if letter.partner == "union"}
        assert heard & both, "the price: somebody with two addresses may get two letters"


def test_the_recipients_page_names_no_list_but_the_one_that_wrote(post: Post) -> None:
    parts = [post.bundle("parks", 1, crowd(1, 6, "p")), post.bundle("union", 2, crowd(1, 6, "u"))]
    post.go(post.campaign("c1", *parts))
    terms = post.units.read("terms", lambda unit: agree.signed_terms(unit, RACE))
    named = {"p": terms.party("parks").name, "u": terms.party("union").name}
    assert {address[0] for address in post.mta.to} == {"p", "u"}
    for address in post.mta.to:
        token = link(post, address)
        view = post.units.read("why", lambda unit, t=token: trail.recipient(unit, t))  # type: ignore[misc]
        assert [first for first, name in named.items() if name in repr(view)] == [address[0]]

"""Choosing the letters of a campaign: in small transactions, whole after a crash, once a person."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from consortium.service import agree
from consortium.service import plan as planning
from consortium.service.post_office import lease
from consortium.store import campaigns, contributions, deliveries, frames, suppressions
from consortium.store.suppressions import Suppression
from consortium.store.unit import Unit
from tests.fakes.post import Post
from tests.fakes.server import RACE


class Killed(BaseException):
    """As SIGKILL."""


def crowd(count: int, name: str = "m") -> list[tuple[int, str]]:
    return [(n, f"{name}{n}@example.net") for n in range(1, count + 1)]


def silence(post: Post, **who: object) -> None:
    """Keep a stop by hand."""
    fields = dict.fromkeys(Suppression.__slots__) | {
        "scope": "race", "race": "oh-house-44", "epoch": "2026-season", "reason": "stop",
        "at": post.clock(),
    }  # fmt: skip
    post.units.run("stop", lambda u: suppressions.suppress(u, Suppression(**{**fields, **who})))  # type: ignore[arg-type]


def test_no_transaction_holds_more_than_a_slice(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "SLICE", 10)
    sizes: list[int] = []
    kept = deliveries.plan
    monkeypatch.setattr(
        deliveries, "plan", lambda unit, part: (sizes.append(len(part)), kept(unit, part))
    )
    id = post.campaign("c1", post.bundle("union", 1, crowd(45)))
    post.go(id)
    assert sizes == [10, 10, 10, 10, 5]
    assert post.states(id) == {"sent": 45}


@pytest.mark.parametrize("died_after", [0, 1, 3, 5])
def test_a_death_in_the_middle_of_planning_loses_nobody_and_doubles_nobody(
    post: Post, monkeypatch: pytest.MonkeyPatch, died_after: int
) -> None:
    monkeypatch.setattr(planning, "SLICE", 10)
    union, parks = post.bundle("union", 1, crowd(45)), post.bundle("parks", 2, crowd(45, "p"))
    id = post.campaign("c1", union, parks)
    inserts = 0
    kept = deliveries.plan

    def die(unit: Unit, part: object) -> None:
        nonlocal inserts
        if inserts == died_after:
            raise Killed
        inserts += 1
        kept(unit, part)  # type: ignore[arg-type]

    begin = campaigns.change

    def die_at_the_end(unit: Unit, id: str, **columns: object) -> None:
        if columns.get("state") == "sending":
            raise Killed
        begin(unit, id, **columns)

    with monkeypatch.context() as broken:
        broken.setattr(deliveries, "plan", die)
        broken.setattr(campaigns, "change", die_at_the_end)
        with pytest.raises(Killed):
            post.go(id)
    assert post.state(id).state == "logged"
    assert post.mta.to == []
    already = post.letters(id)
    assert len(already) == 10 * died_after - (5 if died_after == 5 else 0)
    for one in already[:1]:
        # Stopped between the two turns, about that list only: nothing else takes its place.
        silence(post, scope="partner", partner=one.partner, person=one.person)
    heir = post.new_office("heir", dead=frozenset({"first"}))
    post.go(id, heir)
    people = Counter(one.person for one in post.letters(id))
    assert sorted(people) == list(range(1, 46))
    assert set(people.values()) == {1}
    assert len(post.mta.to) == 45 - len(already[:1])
    assert not {one.id for one in already[:1]} & {
        one.id for one in post.letters(id) if one.state == "sent"
    }


def test_a_campaign_stopped_in_the_middle_of_planning_sends_nothing(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "SLICE", 10)
    id = post.campaign("c1", post.bundle("union", 1, crowd(45)))
    kept = deliveries.plan

    def stop_after_one(unit: Unit, part: object) -> None:
        kept(unit, part)  # type: ignore[arg-type]
        campaigns.change(unit, id, state="stopped")

    monkeypatch.setattr(deliveries, "plan", stop_after_one)
    for _ in range(2):
        post.go(id)
    assert post.states(id) == {"dropped": 10}
    assert post.mta.to == []


def test_silences_say_of_everybody_what_asking_one_by_one_says(post: Post) -> None:
    dice = random.Random(7)
    tokens, races = ["a" * 32, "b" * 32, None], ["oh-house-44", "other", None]
    bundles = ["one", "two", None]
    for n in range(60):
        silence(
            post,
            scope=dice.choice(["race", "partner", "all", "none"]),
            race=dice.choice(races),
            partner=dice.choice(["union", "parks", None]),
            epoch=dice.choice(["2026-season", "2026-season", "old", None]),
            address_token=dice.choice([*tokens, None, None, None]),
            person=dice.choice([None, *range(1, 30)]),
            bundle=dice.choice(bundles),
            delivery=str(n),
        )

    def both(unit: Unit) -> None:
        where = {"race": "oh-house-44", "epoch": "2026-season", "loud": ["union"]}
        whole = suppressions.silences(unit, **where)  # type: ignore[arg-type]
        said = set()
        for partner in ("union", "parks", "third"):
            for token in ("a" * 32, "b" * 32, "c" * 32, ""):
                for person in range(1, 31):
                    alone = suppressions.suppressed(
                        unit, partner=partner, stop_key=None, address_token=token or None,
                        person=person, **where,  # type: ignore[arg-type]
                    )  # fmt: skip
                    said.add(alone)
                    assert whole.hold(partner, token, person) is alone
        assert said == {True, False}

    post.units.read("both", both)


def test_a_withdrawn_list_is_chosen_from_by_nobody(post: Post) -> None:
    union, parks = post.bundle("union", 1, crowd(20)), post.bundle("parks", 2, crowd(20, "p"))
    id = post.campaign("c1", union, parks)
    post.units.run("w", lambda u: contributions.change(u, union.bundle, state="withdrawn"))
    post.go(id)
    assert sorted(post.mta.to) == sorted(address for _, address in crowd(20, "p"))


def test_which_of_two_copies_goes_is_by_the_mail_machines_key_and_nothing_that_a_partner_sets(
    post: Post,
) -> None:
    terms = post.units.read("terms", lambda unit: agree.signed_terms(unit, RACE))

    def chosen(id: str, key: bytes, *parts: frames.Part) -> dict[int, str]:
        """From which list each person's letter comes."""
        post.campaign(id, *parts)
        office = post.new_office(id, keys=replace(post.office.keys, choice=key))
        fence = post.units.run("lease", lambda unit: lease(office, unit, id))
        planning.plan(office, post.state(id), terms, fence)
        return {one.person: one.partner for one in post.letters(id)}

    members = [[(n, f"{name}{n}@example.net") for n in range(1, 31)] for name in ("u", "p")]
    union, parks = post.bundle("union", 1, members[0]), post.bundle("parks", 2, members[1])
    first = chosen("c1", b"c" * 32, union, parks)
    assert sorted(first) == list(range(1, 31)), "one copy each"
    assert set(first.values()) == {"union", "parks"}
    # The same people in another order, uploaded later, from other mailboxes.
    anew = [(n, f"new{n}@example.net") for n in range(30, 0, -1)]
    again = post.bundle("parks", 3, anew), post.bundle("union", 4, members[0][::-1])
    assert chosen("c2", b"c" * 32, *again) == first
    assert chosen("c3", b"d" * 32, union, parks) != first, "who lacks the key foresees none"

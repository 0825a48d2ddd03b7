"""One calendar for everybody in a race: what is planned, what clashes, and who goes first."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from hashlib import sha256
from typing import Any

import pytest
import rfc8785

from consortium.service import coordinate, keep_free, send
from consortium.service.coordinate import Calendar
from consortium.store import races, written_to
from consortium.store.unit import Unit
from policies.approvals import manifest_digest
from policies.authorise import Caller
from policies.errors import Denied
from tests.fakes.post import MORNING, Post
from tests.fakes.server import RACE

TODAY = date(2026, 11, 21)
CORA, UNION = Caller("cora", "coordinator"), Caller("union", "partner", "union")
EAST, WEST = {"places": {"precinct": ["44-1"]}}, {"places": {"precinct": ["44-2"]}}


def window(first: int, last: int) -> dict[str, str]:
    days = [MORNING + timedelta(days=n) for n in (first, last)]
    opens, closes = (day.strftime("%Y-%m-%dT%H:%M:%SZ") for day in days)
    return {"opens": opens, "closes": closes}


def plan(post: Post, id: str, first: int, last: int, **more: Any) -> str:
    people = [(sum(map(ord, id)), f"{id}@example.net")]
    number = sum(map(ord, id))
    template = {"window": window(first, last), "subject": id}
    return post.campaign(id, post.bundle("union", number, people), template=template, **more)


def seen(post: Post, who: Caller = CORA) -> Calendar:
    artefacts = post.server.artefacts
    return post.units.run("see", lambda u: coordinate.calendar(u, who, artefacts=artefacts))


def clashes(post: Post, who: Caller = CORA) -> list[tuple[str, tuple[str, ...]]]:
    return [(one.kind, one.campaigns) for one in seen(post, who).clashes]


def test_two_letters_to_the_same_places_within_a_week_clash_the_first_to_close_first(
    post: Post,
) -> None:
    plan(post, "late", 0, 9, definition=EAST)
    plan(post, "soon", 1, 3, definition=EAST)
    assert clashes(post) == [("week", ("soon", "late"))]
    assert clashes(post, UNION) == clashes(post)


@pytest.mark.parametrize(
    ("first", "second", "other"),
    [
        ((0, 2), (1, 3), WEST),  # other places
        ((0, 1), (8, 9), EAST),  # another week
        ((0, 2), (1, 3), {**EAST, "age": ["65+"]}),  # other people
    ],
)
def test_other_places_another_week_or_other_people_do_not(
    post: Post, first: tuple[int, int], second: tuple[int, int], other: Any
) -> None:
    plan(post, "one", *first, definition={**EAST, "age": ["18-34"]})
    plan(post, "two", *second, definition=other)
    assert clashes(post) == []


def test_what_is_over_clashes_with_nothing_but_counts_against_the_races_cap(post: Post) -> None:
    for n in range(5):
        plan(post, f"done{n}", -30, -29, definition=EAST, state="closed")
    assert clashes(post) == []
    plan(post, "new", 0, 1, definition=EAST)
    assert clashes(post) == [("race", ("new",))]
    assert [one.id for one in seen(post).campaigns] == ["new"]


def test_a_window_of_which_partners_keep_every_day_is_named(post: Post) -> None:
    plan(post, "short", 0, 1, definition=EAST)
    for after in (0, 1):
        day = TODAY + timedelta(days=after)
        assert clashes(post) == []
        post.units.run("keep", lambda u, d=day: keep_free.keep(u, UNION, RACE, d, post.clock()))  # type: ignore[misc]
    assert clashes(post) == [("no_day", ("short",))]
    kept = [(one.day, one.partner) for one in seen(post).days]
    assert kept == [(TODAY, "union"), (TODAY + timedelta(days=1), "union")]


def test_a_draft_is_the_coordinators_alone(post: Post) -> None:
    plan(post, "soon", 0, 1, definition=EAST)
    plan(post, "idea", 0, 1, definition=EAST, state="draft", manifest=None)
    assert [one.id for one in seen(post).campaigns] == ["idea", "soon"]
    assert [one.id for one in seen(post, UNION).campaigns] == ["soon"]
    assert clashes(post, UNION) == []


def test_nobody_outside_the_race_reads_it(post: Post) -> None:
    with pytest.raises(Denied):
        seen(post, Caller("ann", "auditor"))


def test_of_two_campaigns_that_are_due_the_one_that_closes_first_goes_first(post: Post) -> None:
    plan(post, "late", 0, 9, definition=EAST)
    plan(post, "soon", 0, 3, definition=EAST)
    assert send.due(post.office) == ["soon", "late"]


def test_who_two_letters_would_reach_gets_the_one_that_can_wait_least(post: Post) -> None:
    bundle = post.bundle("union", 1, [(1, "both@example.net")])
    late = post.campaign("a", bundle, template={"window": window(0, 9), "subject": "late"})
    soon = post.campaign("z", bundle, template={"window": window(0, 3), "subject": "soon"})
    for id in send.due(post.office):
        post.go(id)
    assert post.states(soon) == {"sent": 1}
    assert post.states(late) == {}


def second_race(post: Post, id: str, days: int) -> str:
    """Another race of the same partners and people, whose election is so many days later."""

    def add(unit: Unit) -> None:
        known = races.get(unit, RACE)
        terms = json.loads(known.agreement)
        terms["race"]["id"] = id
        for name in ("election_date", "polls_close"):
            day = terms["race"][name][:10]
            later = (date.fromisoformat(day) + timedelta(days=days)).isoformat()
            terms["race"][name] = terms["race"][name].replace(day, later)
        raw = rfc8785.dumps(terms)
        races.add(unit, replace(known, id=id, agreement=raw, digest=sha256(raw).hexdigest()))
        for partner, leaf in races.signatures(unit, RACE).items():
            races.sign(unit, id, partner, leaf)

    post.units.run("race", add)
    return id


def in_two_races(post: Post, days: int) -> list[str]:
    """The same person in two races' campaigns, at two addresses; subjects of what arrived."""
    other = second_race(post, "zz-other-race", days)
    for number, (id, race) in enumerate((("a", other), ("z", RACE)), 1):
        part = post.bundle("union", number, [(1, f"{id}@example.net")])
        post.campaign(id, part, race=race, template={"window": window(0, 6), "subject": id})
        raw = post.units.run("raw", lambda unit, race=race: races.get(unit, race).agreement)  # type: ignore[misc]
        manifest = {**(post.state(id).manifest or {}), "race": race}
        manifest["agreement"] = sha256(raw).hexdigest()
        post.change(id, manifest=manifest, digest=manifest_digest(manifest))
    for id in send.due(post.office):
        post.go(id)
    return post.mta.to


@pytest.mark.parametrize(("days", "who"), [(9, "z"), (-1, "a")])
def test_of_two_races_that_want_the_same_person_in_a_week_the_nearer_election_gets_it(
    post: Post, days: int, who: str
) -> None:
    assert in_two_races(post, days) == [f"{who}@example.net"]
    [left] = post.letters("a" if who == "z" else "z")
    assert (left.state, left.outcome) == ("dropped", "capped")


def test_a_week_of_each_race_alone_would_be_two_letters(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(written_to, "sent_elsewhere", lambda *given, **more: [])
    assert in_two_races(post, 9) == ["z@example.net", "a@example.net"]

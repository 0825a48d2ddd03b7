"""One calendar for everybody in a race: what is planned, what clashes, and who goes first."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from hashlib import sha256
from typing import Any

import pytest
import rfc8785

from consortium.custodians import TooFewCustodians
from consortium.service import coordinate, keep_free, send, settle
from consortium.service.coordinate import Calendar
from consortium.store import begun, frames, races, written_to
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


def of_race(post: Post, id: str, race: str, part: frames.Part) -> None:
    """A logged campaign of a race, over a bundle."""
    post.campaign(id, part, race=race, template={"window": window(0, 6), "subject": id})
    raw = post.units.run("raw", lambda unit: races.get(unit, race).agreement)
    manifest = {**(post.state(id).manifest or {}), "race": race}
    manifest["agreement"] = sha256(raw).hexdigest()
    post.change(id, manifest=manifest, digest=manifest_digest(manifest))


def in_two_races(post: Post, days: int) -> list[str]:
    """The same person in two races' campaigns, at two addresses; subjects of what arrived."""
    other = second_race(post, "zz-other-race", days)
    for number, (id, race) in enumerate((("a", other), ("z", RACE)), 1):
        of_race(post, id, race, post.bundle("union", number, [(1, f"{id}@example.net")]))
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


def in_turns(post: Post) -> tuple[str, str]:
    """Two races' campaigns under way, the nearer election's with nothing sent; one reader shared.

    Its letters are planned; then the other one has its turn.
    """
    other = second_race(post, "zz-other-race", 9)
    shared = (1, "both@example.net")
    for number, (id, race, alone) in enumerate((("a", other, 2), ("z", RACE, 3)), 1):
        part = post.bundle("union", number, [shared, (alone, f"{id}@example.net")])
        of_race(post, id, race, part)
    post.custodians.broken = TooFewCustodians(2, {})
    with pytest.raises(TooFewCustodians):
        post.go("z")
    post.custodians.broken = None
    return "z", "a"


def test_of_two_races_under_way_that_take_turns_the_nearer_election_still_gets_whom_both_want(
    post: Post,
) -> None:
    near, far = in_turns(post)
    post.go(far)
    assert post.mta.to == ["a@example.net"]  # the others' letters go on
    assert post.states(far) == {"sent": 1, "pending": 1}
    assert "nearer" in post.state(far).waiting_for
    post.go(near)
    post.go(far)
    assert sorted(post.mta.to) == ["a@example.net", "both@example.net", "z@example.net"]
    assert post.states(near) == {"sent": 2}
    assert post.states(far) == {"sent": 1, "dropped": 1}


def test_without_giving_way_whoever_has_the_first_turn_gets_them(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send, "ahead", lambda *given: [])
    near, far = in_turns(post)
    post.go(far)
    assert post.states(far) == {"sent": 2}
    post.go(near)
    assert post.states(near) == {"sent": 1, "dropped": 1}


@pytest.mark.parametrize(
    "why",
    [
        {"state": "paused", "before_pause": "sending"},
        {"state": "stopped"},
        {"scheduled": MORNING + timedelta(days=5)},
        {"epoch": "another"},
    ],
    ids=str,
)
def test_what_does_not_go_itself_is_waited_for_by_nobody(post: Post, why: dict[str, Any]) -> None:
    near, far = in_turns(post)
    post.change(near, **why)
    post.go(far)
    assert post.states(far) == {"sent": 2}


def test_when_the_nearer_one_is_over_who_waited_for_it_gets_the_other_letter(post: Post) -> None:
    near, far = in_turns(post)
    post.go(far)
    assert post.states(far) == {"sent": 1, "pending": 1}
    post.change(near, state="stopped")
    post.go(far)
    assert post.states(far) == {"sent": 2}


def test_a_campaign_that_gives_way_takes_its_window_whether_anybody_waits_or_not(
    post: Post,
) -> None:
    _, far = in_turns(post)
    post.go(far)
    one = post.units.read("begun", lambda unit: begun.get(unit, far))
    assert one is not None
    assert one.slow == send.WAY
    post.units.run("drop", lambda u: settle.drop_unsent(u, far, "x", post.clock()))
    for _ in range(5):
        post.later(days=1)
        post.go(far)
        assert post.state(far).state == "sending"
    post.later(days=2)
    post.go(far)
    assert post.state(far).state == "closed"


def test_a_week_of_each_race_alone_would_be_two_letters(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(written_to, "sent_elsewhere", lambda *given, **more: [])
    assert in_two_races(post, 9) == ["z@example.net", "a@example.net"]

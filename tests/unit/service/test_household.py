"""One letter a household where the agreement says so; who lives with whom stands nowhere else."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from consortium.service import agree, live_with, look, send
from consortium.store import contributions, deliveries, frames
from policies.authorise import Caller
from tests.fakes.post import Post

WINDOW = {"opens": "2026-11-21T00:00:00Z", "closes": "2026-12-03T00:00:00Z"}


@pytest.fixture(autouse=True)
def _households(monkeypatch: pytest.MonkeyPatch) -> None:
    """Persons 10 to 19 live together, 20 to 29, and so on; the agreement counts households."""
    signed, read = agree.signed_terms, frames.read_audience
    monkeypatch.setattr(
        agree, "signed_terms", lambda unit, race: replace(signed(unit, race), once="household")
    )
    monkeypatch.setattr(
        frames,
        "read_audience",
        lambda path, **only: [
            replace(row, household=row.roll_row // 10) for row in read(path, **only)
        ],
    )
    monkeypatch.setattr(
        frames,
        "read_housemates",
        lambda path, people: [
            (home, 10 * home + n) for home in {one // 10 for one in people} for n in range(10)
        ],
    )


def enrol(post: Post) -> None:
    rows = [(n, "44-1", "State House 44", "43601", "18-34", "0") for n in range(10, 60)]
    post.server.enrol(rows, "stella")


def listed(post: Post, number: int, people: Collection[int], partner: str = "union") -> Any:
    return post.bundle(partner, number, [(n, f"{partner}{n}@example.net") for n in people])


def homes(post: Post, id: str) -> list[int]:
    return sorted(one.person // 10 for one in post.letters(id))


def test_each_household_gets_one_letter_whoever_of_it_is_on_which_list(post: Post) -> None:
    union, parks = listed(post, 1, range(10, 40)), listed(post, 2, range(25, 55), "parks")
    id = post.campaign("c1", union, parks)
    post.go(id)
    assert homes(post, id) == [1, 2, 3, 4, 5]
    assert len(post.mta.to) == 5


def test_it_is_the_same_one_of_them_all_race_long_until_they_stop(post: Post) -> None:
    union = listed(post, 1, range(10, 30))
    first = post.campaign("c1", union, template={"window": WINDOW})
    post.go(first)
    post.later(days=8)
    second = post.campaign("c2", union, template={"window": WINDOW})
    post.go(second)
    chosen = {one.person for one in post.letters(first)}
    assert {one.person for one in post.letters(second)} == chosen
    assert len(chosen) == 2


def two_in_a_week(post: Post, *, planned: bool) -> tuple[str, str]:
    """One of each household is on my list, and another of it, or of one more, on the next."""
    enrol(post)
    first = post.campaign("c1", listed(post, 1, (10, 20, 30)))
    second = post.campaign("c2", listed(post, 2, (15, 25, 35, 45), "parks"))
    if planned:
        for id in (first, second):
            send.send(post.office, id, seconds=0)
        assert post.states(second) == {"pending": 4}
    post.go(first)
    post.go(second)
    return first, second


@pytest.mark.parametrize("planned", [False, True])
def test_two_campaigns_of_a_week_write_to_a_household_once_whoever_of_it_they_meet(
    post: Post, planned: bool
) -> None:
    first, second = two_in_a_week(post, planned=planned)
    assert homes(post, first) == [1, 2, 3]
    assert sorted(post.mta.to) == sorted([*(f"union{n}0@example.net" for n in (1, 2, 3)),
                                          "parks45@example.net"])  # fmt: skip
    if planned:
        assert {one.outcome for one in post.letters(second) if one.state == "dropped"} == {"capped"}
    post.later(days=8)
    third = post.campaign("c3", listed(post, 3, (16, 46)), template={"window": WINDOW})
    post.go(third)
    assert homes(post, third) == [1, 4]


@pytest.mark.parametrize("planned", [False, True])
def test_a_cap_that_counted_persons_alone_would_write_to_housemates_too(
    post: Post, monkeypatch: pytest.MonkeyPatch, planned: bool
) -> None:
    monkeypatch.setattr(live_with, "look", lambda office, one, terms: None)
    two_in_a_week(post, planned=planned)
    assert len(post.mta.to) == 7


def test_a_mate_who_moved_in_with_a_newer_roll_counts_from_then_on(post: Post) -> None:
    enrol(post)
    first = post.campaign("c1", listed(post, 1, (10,)))
    second = post.campaign("c2", listed(post, 2, (15, 25), "parks"))
    send.send(post.office, second, seconds=0)
    before = post.office.mates[second]
    post.go(first)
    post.later(minutes=1)
    enrol(post)
    post.go(second)
    assert before[0] != post.units.run("roll", contributions.newest_roll)
    assert post.mta.to == ["union10@example.net", "parks25@example.net"]


@pytest.mark.parametrize("died_after", [1, 2])
def test_a_death_in_the_middle_of_planning_gives_no_household_a_second(
    post: Post, monkeypatch: pytest.MonkeyPatch, died_after: int
) -> None:
    from consortium.service import plan as planning

    monkeypatch.setattr(planning, "SLICE", 2)
    kept, inserts = deliveries.plan, 0

    class Killed(BaseException):
        pass

    def die(unit: Any, part: Sequence[Any]) -> None:
        nonlocal inserts
        inserts += 1
        if inserts > died_after:
            raise Killed
        kept(unit, part)

    id = post.campaign("c1", listed(post, 1, range(10, 80)))
    monkeypatch.setattr(deliveries, "plan", die)
    with pytest.raises(Killed):
        post.go(id)
    monkeypatch.setattr(deliveries, "plan", kept)
    post.later(minutes=5)
    post.go(id)
    assert homes(post, id) == [1, 2, 3, 4, 5, 6, 7]


def test_without_a_household_nobody_is_taken_for_a_housemate(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = frames.read_audience
    monkeypatch.setattr(
        frames,
        "read_audience",
        lambda path, **only: [replace(row, household=-1) for row in read(path, **only)],
    )
    id = post.campaign("c1", listed(post, 1, range(10, 20)))
    post.go(id)
    assert len(post.mta.to) == 10


@pytest.mark.parametrize("theirs", [range(50, 60), range(13, 23), range(30, 40)])
def test_nothing_but_silence_tells_whether_a_housemate_is_on_another_list(
    post: Post, theirs: range
) -> None:
    """Two worlds: the other list has strangers, my people's housemates, or one household."""
    mine = listed(post, 1, [10, 20, 11])
    id = post.campaign("c1", mine, listed(post, 2, theirs, "parks"))
    post.go(id)
    post.later(minutes=30)
    post.go(id)
    caller = Caller("union", "partner", "union")
    seen = post.units.run("see", lambda unit: look.campaign(unit, caller, id))
    assert (seen.state, seen.waiting_for, seen.progress, seen.shown) == SEEN
    outcomes = {(one.state, one.outcome and "queued" in one.outcome) for one in post.letters(id)}
    assert {state for state, _ in outcomes} == {"sent"}
    names = {name for one in post.letters(id) for name in one.place}
    assert names <= {"precinct", "zip", "house"}  # house is a district's number, not a street's
    assert post.clock.now.tzinfo is not None
    assert timedelta(0) < post.clock.now - seen.at


SEEN = ("closed", "", 100, "About 300")

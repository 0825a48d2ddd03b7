"""One letter a household where the agreement says so; who lives with whom stands nowhere else."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from consortium.service import agree, look
from consortium.store import deliveries, frames
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

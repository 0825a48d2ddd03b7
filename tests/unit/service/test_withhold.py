"""Who has voted, or is gone from the voter file, gets no letter of an audience frozen before."""

from __future__ import annotations

import random
from collections.abc import Collection
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from consortium.custodians import TooFewCustodians
from consortium.service import send
from consortium.store import campaigns, frames
from consortium.store.deliveries import Delivery
from matching.attributes import write_attributes
from matching.coarsen import coarsen
from tests.fakes.post import Post
from tests.fakes.server import RACE
from tests.unit.matching.test_coarsen import GENERALS, named, voters_of
from tests.unit.service.test_send import crowd, watched

NOWHERE = ("", "", "", "", "")
"""What a slice tells of a voter whom it withholds."""


def slice_of(
    post: Post, people: Collection[int], silent: Collection[int] = (), steward: str = "stella"
) -> None:
    """A newer slice: these people stand in it, and nothing is told of some."""
    here = ("44-1", "State House 44", "43601", "18-34", "0")
    voters: list[tuple[Any, ...]] = [(n, *here) for n in people]
    post.server.enrol([*voters, *((n, *NOWHERE) for n in silent)], steward)


def hold(post: Post, id: str) -> None:
    """Plan the letters of a campaign, and open none."""
    post.custodians.broken = TooFewCustodians(2, {})
    with pytest.raises(TooFewCustodians):
        post.go(id)
    post.custodians.broken = None


def by_person(post: Post, id: str) -> dict[int, Delivery]:
    return {one.person: one for one in post.letters(id)}


def test_who_is_withheld_after_the_letters_were_planned_gets_none_and_is_not_opened(
    post: Post,
) -> None:
    id = post.campaign("c1", post.bundle("union", 1, crowd(20)))
    everybody = sorted(row for row, _ in crowd(20))
    slice_of(post, everybody)
    hold(post, id)
    gone, voted = everybody[3], everybody[7]
    slice_of(post, set(everybody) - {gone, voted}, silent=[voted])
    opened = watched(post)
    post.go(id)
    found = by_person(post, id)
    assert {n: (one.state, one.outcome) for n, one in found.items() if one.state != "sent"} == {
        gone: ("dropped", "withheld"),
        voted: ("dropped", "withheld"),
    }
    assert len(post.mta.to) == len(opened) == 18
    assert not {bytes.fromhex(found[n].lock) for n in (gone, voted)} & set(opened)


def test_a_slice_that_comes_while_letters_leave_counts_for_the_very_next_letter(
    post: Post,
) -> None:
    id = post.campaign("c1", post.bundle("union", 1, crowd(20)))
    everybody = {row for row, _ in crowd(20)}
    slice_of(post, everybody)
    left: list[str] = []

    def comes(recipient: str) -> None:
        left.append(recipient)
        if len(left) == 5:  # this one is on its way; of all others nothing is told any more
            slice_of(post, [], silent=everybody)

    post.mta.before.append(comes)
    post.go(id)
    assert len(post.mta.to) == 5
    post.later(minutes=5)
    post.go(id)
    assert len(post.mta.to) == 5
    assert post.states(id) == {"sent": 5, "dropped": 15}


def test_no_copy_on_any_list_is_planned_for_somebody_withheld(post: Post) -> None:
    union = post.bundle("union", 1, [(1, "a@x.example"), (2, "b@x.example")])
    parks = post.bundle("parks", 2, [(1, "c@x.example"), (3, "d@x.example")])
    id = post.campaign("c1", union, parks)
    slice_of(post, [2, 3], silent=[1])
    post.go(id)
    assert sorted(by_person(post, id)) == [2, 3]
    assert sorted(post.mta.to) == ["b@x.example", "d@x.example"]


def test_without_a_newer_slice_everybody_gets_their_letter(post: Post) -> None:
    id = post.campaign("c1", post.bundle("union", 1, crowd(6)))
    post.go(id)
    assert len(post.mta.to) == 6


def test_another_stewards_slice_has_other_numbers_and_silences_nobody(post: Post) -> None:
    id = post.campaign("c1", post.bundle("union", 1, crowd(6)))
    everybody = {row for row, _ in crowd(6)}
    slice_of(post, everybody)
    slice_of(post, range(10**6, 10**6 + 6), steward="ann")
    post.go(id)
    assert len(post.mta.to) == 6


def test_a_stewards_own_slice_places_everybody_but_whom_it_withholds(tmp_path: Path) -> None:
    voters = voters_of(random.Random(3), {"6304418001": 60, "6304418002": 40})
    hidden = {one.voter_id for one in voters[::9]}
    made = coarsen(
        voters, on=date(2026, 11, 3), generals=GENERALS, name=named("k"), k=5, withheld=hidden
    )
    write_attributes(tmp_path / "slice", made.rows)
    rows = [*made.voter_ids, 7]  # and one that is gone from the file
    told = frames.placed(tmp_path / "slice", rows)
    assert {made.voter_ids[row] for row in told} == {one.voter_id for one in voters} - hidden


def test_nobody_is_told_that_somebody_was_withheld(post: Post) -> None:
    id = post.campaign("c1", post.bundle("union", 1, crowd(20)))
    everybody = sorted(row for row, _ in crowd(20))
    slice_of(post, everybody)
    hold(post, id)
    slice_of(post, everybody[2:], silent=everybody[:2])
    post.go(id)
    assert "withheld" not in post.state(id).waiting_for
    post.units.run("author", lambda unit: campaigns.change(unit, id, waiting_for=""))
    for who in ("cora", "union", "parks", "ann"):
        for path in (f"/campaigns/{id}", "/campaigns", f"/races/{RACE}"):
            assert "withheld" not in post.server.call(who, "GET", path).text


def test_a_worker_that_has_not_looked_yet_sends_nothing_before_it_has(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = post.campaign("c1", post.bundle("union", 1, crowd(6)))
    everybody = {row for row, _ in crowd(6)}
    slice_of(post, everybody)
    hold(post, id)
    slice_of(post, [], silent=everybody)
    other = post.new_office("second")
    turns: list[int] = []
    kept = send.look

    def slow(office: Any, one: Any) -> None:
        turns.append(len(post.mta.to))
        if len(turns) > 1:
            kept(office, one)

    monkeypatch.setattr(send, "look", slow)
    post.later(minutes=2)
    post.go(id, other)
    assert len(turns) > 1
    assert post.mta.to == []

"""On a partner's own mailing day no letter leaves, and that tells nobody who is on its list."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from consortium.service import keep_free
from consortium.service.errors import WrongState
from policies.authorise import Caller
from policies.errors import Denied
from tests.fakes.post import MORNING, Post
from tests.fakes.server import RACE

TODAY = date(2026, 11, 21)
UNION, PARKS = Caller("union", "partner", "union"), Caller("parks", "partner", "parks")


def crowd(start: int, count: int, name: str = "m") -> list[tuple[int, str]]:
    return [(n, f"{name}{n}@example.net") for n in range(start, start + count)]


def keep(post: Post, day: date, who: Caller = PARKS) -> None:
    post.units.run("keep", lambda unit: keep_free.keep(unit, who, RACE, day, post.clock()))


def give_back(post: Post, day: date, who: Caller = PARKS) -> None:
    post.units.run("back", lambda unit: keep_free.give_back(unit, who, RACE, day))


def test_the_day_of_these_tests_is_what_it_is_called() -> None:
    assert MORNING.date() == TODAY


def test_no_letter_of_the_race_leaves_on_a_partners_day_and_all_do_on_the_next(post: Post) -> None:
    union, parks = post.bundle("union", 1, crowd(1, 10)), post.bundle("parks", 2, crowd(6, 10, "p"))
    id = post.campaign("c1", union, parks)
    keep(post, TODAY)
    post.go(id)
    assert post.mta.to == []
    assert "own members" in post.state(id).waiting_for
    assert post.custodians.asked == 0  # nobody's row is opened for a letter that cannot leave
    post.later(days=1)
    post.go(id)
    assert len(post.mta.to) == 15


def test_who_gets_a_letter_that_day_tells_no_other_partner_who_is_on_that_list(post: Post) -> None:
    """A control for the rule: half of the union's people are the parks' too, and nobody's came."""
    union, parks = post.bundle("union", 1, crowd(1, 10)), post.bundle("parks", 2, crowd(6, 5))
    keep(post, TODAY)
    on_both, alone = post.campaign("c1", union, parks), post.campaign("c2", union)
    for id in (on_both, alone):
        post.go(id)
    assert post.mta.to == []  # also not to those five who are on the union's list alone


def test_a_day_that_is_kept_while_letters_leave_holds_the_very_next_one(post: Post) -> None:
    id = post.campaign("c1", post.bundle("union", 1, crowd(1, 20)))

    def keep_at_the_fifth(_: str) -> None:
        if len(post.mta.taken) == 4:
            keep(post, TODAY)

    post.mta.before.append(keep_at_the_fifth)
    post.go(id)
    assert len(post.mta.to) == 5
    assert post.states(id) == {"sent": 5, "pending": 15}
    give_back(post, TODAY)
    post.go(id)
    assert post.states(id) == {"sent": 20}
    assert len(set(post.mta.to)) == len(post.mta.to) == 20


def test_a_day_is_one_of_the_races_own_zone(post: Post) -> None:
    id = post.campaign("c1", post.bundle("union", 1, crowd(1, 3)))
    keep(post, TODAY)
    post.clock.now = MORNING.replace(hour=0) + timedelta(days=1)  # 19:00 of the same day there
    post.go(id)
    assert "own members" in post.state(id).waiting_for
    post.clock.now = MORNING + timedelta(days=1)
    post.go(id)
    assert len(post.mta.to) == 3


def test_a_partner_keeps_two_days_in_any_seven_and_the_same_day_twice_is_one(post: Post) -> None:
    for after in (0, 0, 6):
        keep(post, TODAY + timedelta(days=after))
    for after in (1, 5, 7, 11):
        if after in (1, 5):
            with pytest.raises(WrongState, match="at most 2"):
                keep(post, TODAY + timedelta(days=after))
    keep(post, TODAY + timedelta(days=7))
    with pytest.raises(WrongState, match="at most 2"):
        keep(post, TODAY + timedelta(days=9))
    keep(post, TODAY + timedelta(days=9), UNION)  # another partner's days are its own


def test_a_day_that_is_over_or_outside_the_dates_is_refused(post: Post) -> None:
    with pytest.raises(WrongState, match="over"):
        keep(post, TODAY - timedelta(days=1))
    with pytest.raises(WrongState, match="the agreement is from"):
        keep(post, TODAY + timedelta(days=400))


def test_only_a_partner_keeps_days_and_only_its_own(post: Post) -> None:
    keep(post, TODAY)
    for who in (Caller("cora", "coordinator"), Caller("op", "operator")):
        with pytest.raises(Denied):
            keep(post, TODAY, who)
    give_back(post, TODAY, UNION)  # not the union's: it stays
    assert post.units.run("days", lambda unit: keep_free.days(unit, RACE)) == {TODAY}
    mine = post.units.run("own", lambda unit: keep_free.own(unit, PARKS, RACE))
    theirs = post.units.run("own", lambda unit: keep_free.own(unit, UNION, RACE))
    assert (mine, theirs) == ([TODAY], [])
    with pytest.raises(WrongState, match="joined"):
        keep(post, TODAY, Caller("x", "partner", "x"))

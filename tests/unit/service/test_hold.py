"""A minute to think again before the first letter; pause, go on and stop at any time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from consortium.service import approve, publish, send
from consortium.store import log, messengers
from consortium.store.unit import Unit
from policies.authorise import Caller
from tests.fakes.post import Post

HOLD = timedelta(seconds=60)
CORA = Caller("cora", "coordinator", None)
SAID = "the end of its hold: until 2026-11-14 11:01:00 EST a stop or a pause lets no letter go"


@pytest.fixture
def held(post: Post) -> Post:
    """A campaign of thirty letters for which everything is in place, scheduled just now."""
    people = [(n, f"m{n}@example.net") for n in range(1, 31)]
    maria = messengers.Messenger(
        "m1", "oh-house-44", "Maria Trujillo", "Toledo", post.clock(), None, None
    )
    post.units.run("lend", lambda unit: messengers.add(unit, maria))
    post.campaign("c1", post.bundle("union", 1, people), scheduled=None)
    schedule(post)
    return post


def schedule(post: Post) -> None:
    now = post.clock()
    post.units.run("schedule", lambda u: approve.schedule(u, CORA, "c1", hold=HOLD, now=now))


def stop(post: Post) -> None:
    post.units.run("stop", lambda u: approve.stop(u, CORA, "c1", now=post.clock()))


def test_the_hold_is_said_with_its_end_and_nothing_leaves_before_it(held: Post) -> None:
    assert held.state("c1").waiting_for == SAID.replace("2026-11-14", f"{held.clock():%Y-%m-%d}")
    assert send.due(held.office) == []
    held.later(seconds=59.9)
    held.go("c1")
    assert held.letters("c1") == []
    held.later(seconds=0.1)
    held.go("c1")
    assert len(held.mta.to) == 30


def test_a_stop_within_the_hold_means_no_letter_at_all(held: Post) -> None:
    held.later(seconds=59)
    stop(held)
    for _ in range(3):
        held.later(minutes=5)
        held.go("c1")
    assert (held.mta.to, held.letters("c1"), held.custodians.asked) == ([], [], 0)
    assert held.state("c1").state == "stopped"


def test_a_pause_within_the_hold_means_none_until_somebody_goes_on(held: Post) -> None:
    held.units.run("pause", lambda u: approve.pause(u, CORA, "c1"))
    held.later(minutes=5)
    held.go("c1")
    assert held.mta.to == []
    assert held.state("c1").waiting_for == "paused"
    held.units.run("resume", lambda u: approve.resume(u, CORA, "c1"))
    held.go("c1")  # whoever paused has thought again: there is no second hold
    assert len(held.mta.to) == 30


def test_paused_and_resumed_within_the_hold_it_goes_on_to_its_end(held: Post) -> None:
    said = held.state("c1").waiting_for
    held.units.run("pause", lambda u: approve.pause(u, CORA, "c1"))
    held.later(seconds=10)
    held.units.run("resume", lambda u: approve.resume(u, CORA, "c1"))
    assert held.state("c1").waiting_for == said
    held.go("c1")
    assert held.mta.to == []


def test_a_pause_in_the_middle_ends_with_the_letter_in_hand_and_goes_on_without_a_hold(
    held: Post,
) -> None:
    held.later(minutes=2)

    def pause_at_ten(_: str) -> None:
        if len(held.mta.taken) == 10:
            held.units.run("pause", lambda u: approve.pause(u, CORA, "c1"))

    held.mta.before.append(pause_at_ten)
    held.go("c1")
    held.go("c1")
    assert len(held.mta.to) == 11  # the eleventh was in hand as it was paused
    held.mta.before.clear()
    held.units.run("resume", lambda u: approve.resume(u, CORA, "c1"))
    held.go("c1")
    assert sorted(held.mta.to) == sorted(f"m{n}@example.net" for n in range(1, 31))


def test_scheduled_long_before_the_last_approval_the_hold_begins_once_it_could_go(
    post: Post,
) -> None:
    union = post.bundle("union", 1, [(1, "m1@example.net")])
    post.campaign("c1", union, scheduled=post.clock(), state="attested")
    post.later(hours=2)

    def in_the_log(unit: Unit) -> None:
        assert log.find(unit, str(post.state("c1").intent_leaf)).index is not None

    post.units.run("control", in_the_log)
    server = post.server
    publish.publish(server.units, server.sequencer, server.clock, hold=HOLD)
    one = post.state("c1")
    assert (one.state, one.scheduled) == ("logged", post.clock() + HOLD)
    assert one.waiting_for.startswith("the end of its hold")
    post.go("c1")
    assert post.mta.to == []
    stop(post)
    post.later(minutes=5)
    post.go("c1")
    assert post.mta.to == []


def test_an_intent_alone_schedules_nothing(post: Post) -> None:
    union = post.bundle("union", 1, [(1, "m1@example.net")])
    post.campaign("c1", union, scheduled=None, state="attested")
    server = post.server
    publish.publish(server.units, server.sequencer, server.clock, hold=HOLD)
    post.later(days=1)
    post.go("c1")
    assert (post.state("c1").state, post.state("c1").scheduled) == ("logged", None)
    assert post.mta.to == []

"""What left is in the log in padded batches of all lists, once an interval, in nobody's words."""

import json
from datetime import timedelta
from functools import reduce

import pytest

from consortium.service import leave, publish, show
from consortium.service.cover import Cover
from consortium.store import leaving, log
from consortium.store.errors import Missing
from consortium.wiring import pen
from provenance.evidence import check, read_file
from provenance.withdrawn import BATCH, State, follow
from tests.databases import NOON, clock, sqlite_template, sqlite_units
from tests.fakes.actors import POLICY, private
from tests.fakes.server import Server, server

__all__ = ["clock", "server", "sqlite_template", "sqlite_units"]

OPERATOR = pen("operator", private("operator").private_bytes_raw())
COVER = Cover(3600, 1, OPERATOR)


def label(number: int) -> bytes:
    return number.to_bytes(32, "big")


def leaves(server: Server, cover: Cover | None = None) -> str | None:
    """One turn of the publishing job."""

    def due(unit):  # type: ignore[no-untyped-def]
        if not publish.due(unit, cover, server.clock()):
            return None
        return leave.leave(unit, OPERATOR, cover, now=server.clock())

    done = server.units.run("leave", due)
    publish.publish(server.units, server.sequencer, server.clock, cover)
    return done


def wait(server: Server, *numbers: int, who: str = "union") -> None:
    server.units.run("wait", lambda unit: leaving.wait(unit, who, map(label, numbers)))


def waiting(server: Server) -> list[bytes]:
    return server.units.read("waiting", lambda unit: leaving.waiting(unit, 999))


def test_without_intervals_a_batch_comes_when_somebody_leaves_and_is_as_long_as_any(
    server: Server,
) -> None:
    assert leaves(server) is None
    wait(server, 7, 5, 7)
    wait(server, 5)
    assert waiting(server) == [label(7), label(5)]
    assert leaves(server) is not None
    assert waiting(server) == []
    assert leaves(server) is None
    state = server.units.read("state", leaving.state)
    assert (state.number, state.size) == (1, BATCH + 2)
    assert label(5) in state
    assert label(7) in state
    with pytest.raises(Missing):
        server.units.read("state", lambda unit: leaving.state(unit, 2))


def test_more_than_a_batch_leaves_with_the_next_ones_oldest_first_and_known_ones_wait_no_more(
    server: Server,
) -> None:
    wait(server, *range(1, BATCH + 3))
    leaves(server)
    assert waiting(server) == [label(BATCH + 1), label(BATCH + 2)]
    wait(server, 1)  # has left already
    leaves(server)
    assert waiting(server) == []
    state = server.units.read("state", leaving.state)
    assert (state.number, state.size) == (2, 2 * BATCH + 2)
    assert all(label(n) in state for n in range(1, BATCH + 3))


def test_with_intervals_each_has_one_batch_also_when_nobody_leaves_and_after_a_crash(
    server: Server,
) -> None:
    server.clock.now = NOON
    made = [leaves(server, COVER) is not None for _ in range(3)]
    assert made == [True, False, False]
    server.clock.now += timedelta(hours=1)
    # The process dies between the batch and its publication: the next one makes no other.
    now = server.clock()
    first = server.units.run("leave", lambda u: leave.leave(u, OPERATOR, COVER, now=now))
    assert first is not None
    assert leaves(server, COVER) is None
    for _ in range(3):
        server.clock.now += timedelta(hours=1)
        assert leaves(server, COVER) is not None
        assert leaves(server, COVER) is None
    last = server.units.read("newest", leaving.newest)
    shown = server.units.read("newest", lambda unit: leaving.newest(unit, published=True))
    assert last is not None
    assert shown is not None
    # What is said in an interval is published in the next.
    assert (last.number, shown.number) == (5, 4)


def test_everybody_can_follow_the_batches_to_the_state_and_nothing_tells_a_row_from_a_filler(
    server: Server,
) -> None:
    for n in range(3):
        wait(server, n + 1)
        leaves(server)
    file = server.units.read("left", lambda unit: show.left(unit, server.backend, 1))
    evidences = read_file(json.loads(json.dumps(file))).evidences
    facts = [check(one, POLICY).facts for one in evidences]
    state = reduce(follow, facts, State())
    assert state == server.units.read("state", leaving.state)
    assert {len(str(one["labels"])) for one in facts} == {BATCH * 64}
    again = server.units.read("left", lambda unit: show.left(unit, server.backend, 3))
    assert len(again["evidence"]) == 1
    said = server.units.read("log", lambda unit: log.of_kind(unit, "withdrawal"))
    assert {one.actor for one in said} == {"operator"}
    got = server.call("union", "GET", "/log/withdrawals/2")
    assert got.content == b"".join(
        server.units.read("s", lambda u: leaving.state(u, 2)).labels[1:-1]
    )
    assert server.call("union", "GET", "/log/withdrawals/4").status_code == 404
    assert len(server.call("union", "GET", "/log/withdrawals?first=2").json()["evidence"]) == 2


def test_a_partner_with_many_rows_holds_up_nobody_else(server: Server) -> None:
    wait(server, *range(1, 3 * BATCH))
    wait(server, 9001, 9002, who="parks")
    leaves(server)
    state = server.units.read("state", leaving.state)
    assert label(9001) in state
    assert label(9002) in state
    assert len(waiting(server)) == 2 * BATCH + 1


def test_what_the_log_does_not_have_yet_is_shown_to_nobody(server: Server) -> None:
    server.clock.now = NOON
    assert leaves(server, COVER) is not None  # promised now, published with the next interval
    assert server.call("union", "GET", "/log/withdrawals/1").status_code == 404
    server.clock.now += timedelta(hours=1)
    leaves(server, COVER)
    found = server.call("union", "GET", "/log/withdrawals/1")
    assert (found.status_code, len(found.content)) == (200, 32 * BATCH)
    assert "immutable" in found.headers["cache-control"]
    assert server.client.get("/api/v1/log/withdrawals/1").status_code == 401

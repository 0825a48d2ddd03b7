"""Kill -9 the mailer and a real Postfix, again and again, in the middle of a campaign.

Nobody gets two letters, nobody is lost, and each letter that no log can settle is listed for a
person.
"""

from __future__ import annotations

import random
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from consortium.service import decide
from consortium.store.unit import Unit
from consortium.wiring import pen
from mailer import stops
from tests.databases import (
    clock,
    postgres_template,
    postgres_units,
    sqlite_template,
    sqlite_units,
)
from tests.fakes import mortal_post
from tests.fakes.actors import private
from tests.fakes.mortal_post import Place
from tests.fakes.post import Post
from tests.fakes.server import Server
from tests.servers import Postfix, postgres_server, running_postfix

__all__ = [
    "clock",
    "postgres_server",
    "postgres_template",
    "postgres_units",
    "sqlite_template",
    "sqlite_units",
]


OPERATOR = pen("operator", private("operator").private_bytes_raw())
QUICK, WHOLE = 500, 2_000
"""Letters of a campaign: in every run, and in the long one."""
_ACTIVE = re.compile(r"qmgr\[\d+\]: (\w+): from=<(r-[^>]+)>, .*\(queue active\)$", re.MULTILINE)
_QUEUED_AS = re.compile(rb"by mx\.test \(Postfix\) with \w+ id (\w+)")
_TO = re.compile(rb"(?m)^Delivered-To: (\S+)")


@pytest.fixture
def own_postfix() -> Iterator[Postfix]:
    with running_postfix(enable_long_queue_ids="yes") as server:
        yield server


def _decide(letter: str, was: bool, unit: Unit) -> str:
    return decide.decide(unit, OPERATOR, [letter], sent=was, by="Cora", looked="mail-log")


class Siege:
    """A campaign under way, and what is killed."""

    def __init__(self, post: Post, postfix: Postfix, place: Place, letters: int) -> None:
        self.post, self.postfix, self.place, self.letters = post, postfix, place, letters
        members = [(n, f"m{n}@example.net") for n in range(letters)]
        self.to = {address for _, address in members}
        self.id = post.campaign("c1", post.bundle("union", 1, members))
        self.serial, self.decided = 0, list[bool]()
        self.begin()

    def begin(self) -> None:
        self.serial += 1
        self.child = mortal_post.start(self.place, f"mailer-{self.serial}")

    def strike(self, victim: str) -> None:
        """Kill one or both, and start what was killed."""
        if victim != "postfix":
            mortal_post.kill(self.child)
        if victim != "mailer":
            self.postfix.kill()
            self.postfix.start()
        if victim != "postfix":
            self.begin()

    def gone(self) -> int:
        """How many letters have an outcome."""
        states = self.post.states(self.id)
        return sum(states.get(state, 0) for state in ("sent", "failed", "dropped"))

    def settled(self, patience: float) -> None:
        """Wait until nothing is on its way; a person settles what no log could."""
        end, told = time.monotonic() + patience, time.monotonic()
        while time.monotonic() < end:
            before = self.post.states(self.id)
            if before.get("sent", 0) == self.letters:
                return
            if not any(before.get(state, 0) for state in ("pending", "claimed", "deferred")):
                if time.monotonic() > told + 8:  # the log had its time
                    self.decide()
                    told = time.monotonic()
            else:
                told = time.monotonic()
            time.sleep(0.2)
        pytest.fail(f"not settled: {self.post.states(self.id)}, {self.post.state(self.id)}")

    def decide(self) -> None:
        """As ``trellis operator doubt`` does, by somebody who looks into the mailboxes."""
        taken = self.taken()
        for one in self.post.units.run("doubts", lambda unit: decide.doubts(unit, self.id)):
            raw = bytes.fromhex(one.id)
            verp = stops.verp_address(self.post.office.keys.delivery, raw, "union.example")
            was = verp in taken
            self.post.units.run("decide", partial(_decide, one.id, was))
            self.decided.append(was)

    def taken(self) -> dict[str, set[str]]:
        """By return path, the queue ids under which Postfix took it."""
        found = defaultdict(set)
        for queue_id, verp in _ACTIVE.findall(self.postfix.log.read_text()):
            found[verp].add(queue_id)
        return found

    def arrived(self) -> dict[str, set[bytes]]:
        """By address, the queue ids of what is in its mailbox.

        A Postfix killed between mailbox and queue delivers again what it had: the same letter.
        """
        found: dict[str, set[bytes]] = defaultdict(set)
        for letter in self.postfix.letters():
            [to], [queue_id] = set(_TO.findall(letter)), set(_QUEUED_AS.findall(letter))
            found[to.decode()].add(queue_id)
        return found


def run(
    post: Post,
    postfix: Postfix,
    *,
    letters: int,
    kills: int,
    seed: int,
    patience: float = 300,
) -> None:
    dice = random.Random(seed)
    url = post.units.engine.url.render_as_string(hide_password=False)
    place = Place(url, post.folder, postfix.port, datetime.now(UTC), postfix.log)
    siege = Siege(post, postfix, place, letters)
    try:
        for n in range(kills):
            # Somewhere in what is left, so that every kill meets a campaign under way.
            share = dice.uniform(0, letters / (kills + 1))
            goal = min(letters * n / (kills + 1) + share, letters - 60)
            end = time.monotonic() + 60
            while siege.gone() < goal and time.monotonic() < end:
                time.sleep(0.03)
            siege.strike(dice.choice(["mailer", "mailer", "postfix", "both"]))
        siege.settled(patience)
    finally:
        mortal_post.kill(siege.child)
    assert post.states(siege.id) == {"sent": letters}
    taken = siege.taken()
    assert [verp for verp, ids in taken.items() if len(ids) > 1] == [], "twice"
    end = time.monotonic() + patience
    while len(postfix.letters()) < letters and time.monotonic() < end:
        time.sleep(0.5)
    while siege.arrived().keys() != siege.to and time.monotonic() < end:
        time.sleep(1)
    arrived = siege.arrived()
    assert arrived.keys() == siege.to, "lost"
    assert max(map(len, arrived.values())) == 1, "twice"


@pytest.fixture
def besieged(request: pytest.FixtureRequest, tmp_path: Path) -> Post:
    """A post office on the engine that a test names."""
    units = request.getfixturevalue(f"{request.param}_units")
    return Post(Server(tmp_path, units, request.getfixturevalue("clock")), tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("besieged", ["sqlite"], indirect=True)
def test_twenty_kills_of_mailer_and_postfix_lose_no_letter_and_send_none_twice(
    besieged: Post, own_postfix: Postfix
) -> None:
    run(besieged, own_postfix, letters=QUICK, kills=20, seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("besieged", ["sqlite", "postgres"], indirect=True)
def test_two_hundred_kills_on_either_engine(
    besieged: Post, own_postfix: Postfix, seed: int
) -> None:
    run(besieged, own_postfix, letters=WHOLE, kills=20, seed=100 + seed)

"""Kill -9 the mailer, the worker and a real Postfix, again and again, in the middle of a campaign.

Nobody gets two letters, nobody is lost, and each letter that no log can settle is listed for a
person, whose decision stands in the log. Mailer, worker (which writes the log, on the same
database) and Postfix are processes of their own.
"""

from __future__ import annotations

import random
import re
import stat
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from consortium.service import decide
from consortium.store import log
from consortium.store.unit import Unit
from mailer import stops
from provenance.merkle import leaf_hash
from tests.attack.leaves import entries_of
from tests.databases import (
    clock,
    postgres_template,
    postgres_units,
    sqlite_template,
    sqlite_units,
)
from tests.fakes import mortal_post
from tests.fakes.mortal_post import OPERATOR, Place
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


LETTERS = 2_000
"""Of one campaign, in which twenty kills come."""
VICTIMS = {
    "mailer": ("mailer",),
    "worker": ("worker",),
    "postfix": ("postfix",),
    "both": ("mailer", "postfix"),
    "all": ("mailer", "worker", "postfix"),
}
STUCK = 600.0
"""Seconds in which nothing changed at all, after which a run has failed."""
_ACTIVE = re.compile(r"qmgr\[\d+\]: (\w+): from=<(r-[^>]+)>, .*\(queue active\)$", re.MULTILINE)
_QUEUED_AS = re.compile(rb"by mx\.test \(Postfix\) with \w+ id (\w+)")
_TO = re.compile(rb"(?m)^Delivered-To: (\S+)")
_FROM = re.compile(rb"(?m)^Return-Path: <([^>]+)>")


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
        self.killed = Counter[str]()
        self.living = {name: self.begin(name) for name in ("mailer", "worker")}

    def begin(self, name: str) -> mortal_post.BaseProcess:
        self.serial += 1
        start = mortal_post.start if name == "mailer" else mortal_post.start_worker
        return start(self.place, f"{name}-{self.serial}")

    def strike(self, which: str) -> None:
        """Kill what is named at once, and start it again."""
        self.killed[which] += 1
        victims = VICTIMS[which]
        for name in victims:
            if name == "postfix":
                self.postfix.kill()
            else:
                assert self.living[name].is_alive(), f"the {name} ended by itself"
                mortal_post.kill(self.living[name])
        for name in reversed(victims):
            if name == "postfix":
                self.postfix.start()
            else:
                self.living[name] = self.begin(name)

    def end(self) -> None:
        for child in self.living.values():
            mortal_post.kill(child)

    def gone(self) -> int:
        """How many letters have an outcome."""
        states = self.post.states(self.id)
        return sum(states.get(state, 0) for state in ("sent", "failed", "dropped"))

    def wait(self, ready: Callable[[], bool], what: str) -> None:
        """Wait for something as long as anything at all goes on."""
        seen: object = None
        while not ready():
            now = (self.post.states(self.id), len(self.postfix.letters()))
            if now != seen:
                seen, end = now, time.monotonic() + STUCK
            if time.monotonic() > end:
                pytest.fail(f"{what}: {now}, {self.post.state(self.id)}")
            time.sleep(0.1)

    def settled(self) -> bool:
        """Whether nothing is on its way; a person settles what no log could."""
        states = self.post.states(self.id)
        if states.get("sent", 0) == self.letters:
            return True
        if set(states) == {"sent", "in_doubt"} and self.idle():
            self.decide()
        return False

    def idle(self) -> bool:
        """Whether nobody is talking with Postfix and its queues are empty: only then does an
        absence say something."""
        lines = self.postfix.log.read_text()
        lines = lines[lines.rfind("daemon started") :]
        if lines.count("]: connect from") != lines.count("]: disconnect from"):
            return False
        queues = [self.postfix.folder / "queue" / one for one in ("incoming", "active", "deferred")]
        files = [path for queue in queues for path in queue.rglob("*") if path.is_file()]
        try:
            # Postfix makes a file executable once it is whole; what a kill left half is no letter.
            return not any(path.stat().st_mode & stat.S_IXUSR for path in files)
        except FileNotFoundError:
            return False  # one moved on meanwhile

    def decide(self) -> None:
        """As ``trellis operator doubt`` does, by somebody who looks into log and mailboxes."""
        known = self.taken().keys() | self.delivered()
        for one in self.post.units.run("doubts", lambda unit: decide.doubts(unit, self.id)):
            raw = bytes.fromhex(one.id)
            verp = stops.verp_address(self.post.office.keys.delivery, raw, "union.example")
            was = verp in known
            self.post.units.run("decide", partial(_decide, one.id, was))
            self.decided.append(was)

    def taken(self) -> dict[str, set[str]]:
        """By return path, the queue ids under which Postfix took it."""
        found = defaultdict(set)
        for queue_id, verp in _ACTIVE.findall(self.postfix.log.read_text()):
            found[verp].add(queue_id)
        return found

    def delivered(self) -> set[str]:
        """Return paths of what is in the mailboxes."""
        return {_FROM.findall(letter)[0].decode() for letter in self.postfix.letters()}

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
    post: Post, postfix: Postfix, *, letters: int, kills: int, seed: int, log: bool = True
) -> Siege:
    """A whole campaign under kills.

    Args:
        log: whether the mailer may read Postfix's log.
    """
    dice = random.Random(seed)
    url = post.units.engine.url.render_as_string(hide_password=False)
    known = postfix.log if log else None
    place = Place(url, post.folder, postfix.port, datetime.now(UTC), known)
    siege = Siege(post, postfix, place, letters)
    # Each kind of death in every run, in an order by chance.
    deaths = [*VICTIMS] * (kills // len(VICTIMS)) if log else ["mailer"] * kills
    deaths += dice.choices(["mailer", "both"], k=kills - len(deaths))
    dice.shuffle(deaths)
    try:
        for n, death in enumerate(deaths):
            # Somewhere in what is left, so that every kill meets a campaign under way.
            share = dice.uniform(0, letters / (kills + 1))
            goal = min(letters * n / (kills + 1) + share, letters - 60)
            end = time.monotonic() + 60
            while siege.gone() < goal and time.monotonic() < end:
                time.sleep(0.03)
            siege.strike(death)
        siege.wait(siege.settled, "letters to be settled")
        siege.wait(
            lambda: siege.arrived().keys() == siege.to and siege.idle(), "the last to arrive"
        )
    finally:
        siege.end()
    assert post.states(siege.id) == {"sent": letters}
    taken = siege.taken()
    assert [verp for verp, ids in taken.items() if len(ids) > 1] == [], "twice"
    arrived = siege.arrived()
    assert arrived.keys() == siege.to, "lost"
    assert max(map(len, arrived.values())) == 1, "twice"
    assert sum(siege.killed.values()) == kills
    logged(post, len(siege.decided))
    told = f"{letters} letters once each; {dict(siege.killed)}; {Counter(siege.decided)} decided"
    print(told, f"{len(arrived) - len(taken)} of them not in Postfix's log")  # noqa: T201
    return siege


def logged(post: Post, decisions: int) -> None:
    """Each decision, and all else that was promised, stands in the log exactly once."""
    post.server.sequencer.recover()
    while post.server.publish():
        pass
    said = post.units.read("said", lambda unit: log.of_kind(unit, "ledger", "operator"))
    decided = post.units.read("said", lambda unit: log.of_kind(unit, "sent", "operator"))
    assert said, "the worker said something"
    assert len(decided) == decisions
    size = post.server.sequencer.published().size
    places = Counter(leaf_hash(one).hex() for one in entries_of(post.server.backend, size))
    assert {places[one.leaf] for one in (*said, *decided)} == {1}
    assert max(places.values()) == 1


@pytest.fixture
def besieged(request: pytest.FixtureRequest, tmp_path: Path) -> Post:
    """A post office on the engine that a test names."""
    units = request.getfixturevalue(f"{request.param}_units")
    return Post(Server(tmp_path, units, request.getfixturevalue("clock")), tmp_path)


@pytest.mark.parametrize("besieged", ["sqlite"], indirect=True)
def test_twenty_kills_of_mailer_worker_and_postfix_lose_no_letter_and_send_none_twice(
    besieged: Post, own_postfix: Postfix
) -> None:
    run(besieged, own_postfix, letters=LETTERS, kills=20, seed=1)


@pytest.mark.parametrize("besieged", ["sqlite"], indirect=True)
def test_without_a_log_each_letter_left_by_a_kill_is_listed_and_decided_in_the_log(
    besieged: Post, own_postfix: Postfix
) -> None:
    siege = run(besieged, own_postfix, letters=110, kills=1, seed=1, log=False)
    assert siege.decided


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("besieged", ["sqlite"], indirect=True)
def test_two_hundred_kills(besieged: Post, own_postfix: Postfix, seed: int) -> None:
    run(besieged, own_postfix, letters=LETTERS, kills=20, seed=100 + seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("besieged", ["postgres"], indirect=True)
def test_sixty_kills_on_postgresql(besieged: Post, own_postfix: Postfix, seed: int) -> None:
    run(besieged, own_postfix, letters=LETTERS, kills=20, seed=200 + seed)

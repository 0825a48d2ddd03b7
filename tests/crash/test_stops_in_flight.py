"""Many say stop while thousands of letters wait: after the answer, no final dot goes to any.

The mailer speaks SMTP with a server that is slow now and then; each stop is a POST to the link in
that person's own letter, as a mail program sends it, several at once. What a server has been
given is what counts: it notes the instant of each final dot.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from consortium.service import hear_back, settle, thaw
from consortium.store import contributions, deliveries, suppressions
from consortium.store.deliveries import Delivery
from consortium.store.unit import Unit
from mailer import smtp, stops
from mailer.smtp import Server as Mta
from mailer.smtp import SmtpTransport
from tests.databases import clock, sqlite_template, sqlite_units
from tests.fakes.faulty_smtp import FaultyServer, faulty
from tests.fakes.post import Post, post
from tests.fakes.server import server
from tests.unit.service.test_keep_free import TODAY, keep
from tests.unit.service.test_withhold import slice_of

__all__ = ["clock", "post", "server", "sqlite_template", "sqlite_units"]

PRESSING = 4
"""People who press at the same time."""


class Street:
    """A campaign that leaves in a thread of its own, to a server that writes down each dot."""

    def __init__(self, post: Post, mta: FaultyServer, queued: int) -> None:
        self.post, self.mta, self.queued = post, mta, queued
        members = [(n, f"m{n}@example.net") for n in range(queued)]
        self.id = post.campaign("c1", post.bundle("union", 1, members))
        host = Mta("127.0.0.1", mta.port, tls="off", timeout=600)
        office = post.new_office("sends", transport=lambda: SmtpTransport(host), sleep=time.sleep)
        self.sender = threading.Thread(target=post.go, args=(self.id, office), daemon=True)

    def until(self, ready: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + 600
        while not ready():
            assert time.monotonic() < end, what
            time.sleep(0.01)

    def press(self, letter: Delivery) -> tuple[str, float]:
        """One press of the button; to whom, and when it was answered."""
        key, raw = self.post.office.keys.delivery, bytes.fromhex(letter.id)
        client = TestClient(self.post.server.app)
        link = f"/u/{stops.capability(key, raw).token}"
        answer = client.post(link, data={"List-Unsubscribe": "One-Click"}, follow_redirects=False)
        assert answer.status_code == 200, answer.text
        return f"m{letter.person}@example.net", time.monotonic()

    def end(self) -> None:
        """Send no more, and wait until the sender has ended."""
        self.post.change(self.id, state="stopped")
        self.sender.join(600)
        assert not self.sender.is_alive()
        settle.tidy(self.post.office, self.post.state(self.id))


def stop_some(post: Post, folder: Path, *, queued: int, people: int, seed: int) -> None:
    dice = random.Random(seed)
    guard = threading.Lock()

    def delay() -> float:
        with guard:
            return dice.choice([0.0, 0.0, 0.0, 0.005, 0.03])

    with faulty("", folder, delay) as mta:
        street = Street(post, mta, queued)
        street.sender.start()
        try:
            street.until(lambda: len(mta.dots) >= 5, "the first letters")
            waiting = [
                one for one in post.letters(street.id) if one.state in ("pending", "claimed")
            ]
            # Half of those whose letters are next: some are claimed or on their way as they press.
            near = dice.sample(waiting[: 2 * people], people // 2)
            pressing = [*near, *dice.sample(waiting[2 * people :], people - len(near))]
            dice.shuffle(pressing)
            with ThreadPoolExecutor(PRESSING) as pool:
                answered = dict(pool.map(street.press, pressing))
            gone = len(mta.dots)
            more = min(gone + 20, queued - people)
            street.until(lambda: len(mta.dots) >= more, "letters to the others go on")
        finally:
            street.end()
    late = {to for to, at in answered.items() if mta.dots.get(to, 0.0) > at}
    assert late == set(), "a final dot after the answer"
    silent = answered.keys() - mta.dots.keys()
    assert silent, "some pressed before their letter left"
    outcome = {f"m{one.person}@example.net": one for one in post.letters(street.id)}
    assert {outcome[to].state for to in silent} == {"dropped"}
    assert {outcome[to].outcome for to in silent} <= {"stopped", "the campaign ended"}
    assert {outcome[to].state for to in mta.dots} == {"sent"}


def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy this machine is, and though more than two in a hundred stop."""
    monkeypatch.setattr(hear_back, "PATIENCE", 600.0)
    monkeypatch.setattr(thaw, "SHARE", 1.0)


def test_who_stops_while_letters_are_queued_gets_no_final_dot_after_the_answer(
    post: Post, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient(monkeypatch)
    stop_some(post, tmp_path, queued=120, people=16, seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(3))
def test_two_hundred_stop_while_ten_thousand_are_queued(
    post: Post, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient(monkeypatch)
    stop_some(post, tmp_path, queued=10_000, people=200, seed=seed)


class Held:
    """Keeps the first letter that comes waiting before its body, until it is let go."""

    def __init__(self) -> None:
        self.waits, self.go, self.first = threading.Event(), threading.Event(), True

    def __call__(self) -> float:
        if self.first:
            self.first = False
            self.waits.set()
            assert self.go.wait(600)
        return 0.0

    def let_go(self) -> None:
        """Only once what was asked before this letter does not hold any more at its dot."""
        time.sleep(1.2 * smtp.SOON)
        self.go.set()


@contextmanager
def held(post: Post, folder: Path, queued: int = 6) -> Iterator[tuple[Street, Held]]:
    """A campaign whose first letter is on its way, and the server does not take its body yet."""
    holding = Held()
    with faulty("", folder, holding) as mta:
        street = Street(post, mta, queued)
        slice_of(post, range(queued))
        street.sender.start()
        try:
            assert holding.waits.wait(600)
            yield street, holding
        finally:
            holding.go.set()
            street.end()


def letter_to(street: Street, address: str) -> Delivery:
    letters = street.post.letters(street.id)
    return next(one for one in letters if f"m{one.person}@example.net" == address)


def test_a_stop_is_answered_once_the_letter_in_flight_has_ended_without_its_dot(
    post: Post, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hear_back, "PATIENCE", 600.0)
    with held(post, tmp_path) as (street, holding), ThreadPoolExecutor(1) as pool:
        theirs = letter_to(street, street.mta.hearing)
        answer = pool.submit(street.press, theirs)
        street.until(lambda: stopped(post, theirs), "the stop to be kept")
        assert not answer.done(), "a letter to this person is on its way"
        holding.let_go()
        to, _ = answer.result(600)
        street.until(lambda: len(street.mta.dots) == 5, "everybody else's letters")
        assert to not in street.mta.dots
    assert letter_to(street, to).state == "dropped"


def test_a_stop_that_is_answered_before_the_letter_in_flight_ended_still_leaves_no_dot(
    post: Post, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A server may keep a letter for minutes; whoever pressed is answered sooner.
    monkeypatch.setattr(hear_back, "PATIENCE", 2 * smtp.SOON)
    with held(post, tmp_path) as (street, holding):
        to, _ = street.press(letter_to(street, street.mta.hearing))
        holding.let_go()
        street.until(lambda: len(street.mta.dots) == 5, "everybody else's letters")
        assert to not in street.mta.dots


FACTS: dict[str, Callable[[Post], None]] = {
    "nothing": lambda post: None,
    "a partner keeps the day": lambda post: keep(post, TODAY),
    "voted": lambda post: slice_of(post, [], silent=range(6)),
    "withdrawn": lambda post: withdraw(post),
    "paused": lambda post: post.change("c1", state="paused", before_pause="sending"),
    "stopped": lambda post: post.change("c1", state="stopped"),
}


@pytest.mark.parametrize("fact", FACTS)
def test_what_is_committed_while_a_letter_is_in_flight_counts_for_it_and_all_after_it(
    post: Post, tmp_path: Path, fact: str
) -> None:
    with held(post, tmp_path) as (street, holding):
        FACTS[fact](post)
        holding.let_go()
        street.sender.join(600)
        assert len(street.mta.dots) == (6 if fact == "nothing" else 0)


def test_of_two_campaigns_under_way_at_once_nobody_gets_more_letters_than_the_cap_allows(
    post: Post, tmp_path: Path
) -> None:
    # The first campaign has claimed fifty letters, ten wait; the second one meets all sixty.
    with held(post, tmp_path, queued=60) as (street, holding):
        claimed = {one.person for one in post.letters(street.id) if one.state == "claimed"}
        assert len(claimed) == 50
        members = [(n, f"m{n}@example.net") for n in range(60)]
        second = post.campaign("c2", post.bundle("parks", 2, members))
        post.go(second, post.new_office("other", sleep=time.sleep))
        assert post.states(second)["sent"] == 10, "a claim counts as a letter"
        assert claimed.isdisjoint(int(to[1:].split("@")[0]) for to in post.mta.to)
        holding.let_go()
        street.sender.join(600)
    assert len(street.mta.dots) == 50
    assert street.mta.dots.keys() | set(post.mta.to) == {address for _, address in members}


def stopped(post: Post, letter: Delivery) -> bool:
    return (
        post.units.read("stops", lambda u: suppressions.suppressions(u, letter.campaign, "stop"))
        > 0
    )


def withdraw(post: Post) -> None:
    """As a partner's withdrawal does, in one transaction."""

    def gone(unit: Unit) -> None:
        [bundle] = [one.id for one in contributions.listed(unit, partner="union")]
        contributions.change(unit, bundle, state="withdrawn", wrapped=None)
        deliveries.withdraw(unit, bundle)

    post.units.run("withdraw", gone)

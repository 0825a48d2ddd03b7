"""A mail server that fails at each point of the exchange, and a mailer that is killed meanwhile.

Whatever happens, each letter is taken once: nobody gets two, and nobody is forgotten.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.databases import clock, sqlite_template, sqlite_units
from tests.fakes import mortal_post
from tests.fakes.faulty_smtp import PATIENCE, FaultyServer, faulty
from tests.fakes.mortal_post import Place
from tests.fakes.post import Post, post
from tests.fakes.server import server

__all__ = ["clock", "post", "server", "sqlite_template", "sqlite_units"]

LETTERS = 15
POINTS = (
    "greeting",
    "hello",
    "mail",
    "rcpt",
    "data",
    "half",
    "dot, not taken",
    "dot, taken",
    "reset after 250",
    "421",
    "421 at the dot",
    "452 at the dot",
    "slow",
    "slow after the dot",
)


def until(ready: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 600
    while not ready():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def besiege(
    post: Post,
    mta: FaultyServer,
    ready: Callable[[str], bool],
    between: Callable[[], None] = lambda: None,
) -> None:
    """Kill the mailer once something is so, start another, and count what was taken."""
    members = [(n, f"m{n}@example.net") for n in range(LETTERS)]
    id = post.campaign("c1", post.bundle("union", 1, members))
    url = post.units.engine.url.render_as_string(hide_password=False)
    place = Place(url, post.folder, mta.port, datetime.now(UTC), mta.log, PATIENCE)
    child = mortal_post.start(place, "first")
    try:
        until(lambda: ready(id), "the first letters")
        mortal_post.kill(child)
        between()
        child = mortal_post.start(place, "second")
        until(lambda: post.states(id) == {"sent": LETTERS}, f"the rest; {mta.point}")
    finally:
        mortal_post.kill(child)
    assert Counter(to for _, to in mta.taken) == Counter(to for _, to in members)
    assert len({verp for verp, _ in mta.taken}) == LETTERS


@pytest.mark.parametrize("point", POINTS)
def test_a_server_that_fails_at_one_point_and_a_mailer_killed_at_another_cost_no_letter(
    post: Post, tmp_path: Path, point: str
) -> None:
    with faulty(point, tmp_path) as mta:
        more = random.Random(point).randint(1, LETTERS - 3)
        besiege(post, mta, lambda _: len(mta.taken) >= more)
        assert mta.failed, "it did fail"


def test_a_server_that_is_not_there_and_a_mailer_killed_meanwhile_cost_no_letter(
    post: Post, tmp_path: Path
) -> None:
    with faulty("", tmp_path, listening=False) as mta:
        besiege(post, mta, lambda one: "not answer" in post.state(one).waiting_for, mta.listen)

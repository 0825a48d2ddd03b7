"""Two campaigns that are sent at once write to nobody beyond the cap, on PostgreSQL as on SQLite.

Both workers have looked at everybody's letters before either claims one: each would find room.
The transactions' isolation lets one of them look again.
"""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from consortium.clock import Standing
from consortium.service import send
from consortium.store import outbox
from consortium.store.unit import Units
from tests.databases import ENGINES
from tests.fakes.post import Mta, Post
from tests.fakes.server import Server

PEOPLE = range(1, 7)


def post_on(units: Units, clock: Standing, folder: Path) -> Post:
    return Post(Server(folder, units, clock), folder)


def sent_at_once(post: Post, monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """Letters by person: two partners' campaigns to the same people, at other addresses."""
    parts = [
        post.bundle(partner, number, [(n, f"{partner}{n}@example.net") for n in PEOPLE])
        for number, partner in enumerate(("union", "parks"), 1)
    ]
    ids = [post.campaign(f"c{n}", part) for n, part in enumerate(parts, 1)]
    for id in ids:
        send.send(post.office, id, seconds=0)  # both are planned before either is sent
        assert post.states(id) == {"pending": len(PEOPLE)}
    meet, kept, met = threading.Barrier(2), outbox.claim, threading.local()

    def claim(*given: Any, **more: Any) -> Any:
        if not getattr(met, "done", False):
            met.done = True
            with suppress(threading.BrokenBarrierError):  # one that has to wait for the other
                meet.wait(2)
        return kept(*given, **more)

    monkeypatch.setattr(outbox, "claim", claim)
    faults: list[Exception] = []

    def work(id: str) -> None:
        mta = Mta(post.log)
        try:
            heir = post.new_office(f"at {id}", transport=lambda: mta, dead=frozenset({"first"}))
            post.go(id, heir)
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(id,)) for id in ids]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert faults == []
    return Counter(
        letter.person for id in ids for letter in post.letters(id) if letter.state == "sent"
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_two_campaigns_at_once_write_to_everybody_once_a_week(
    engine: str,
    request: pytest.FixtureRequest,
    clock: Standing,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    units = request.getfixturevalue(f"{engine}_units")
    found = sent_at_once(post_on(units, clock, tmp_path), monkeypatch)
    assert found == dict.fromkeys(PEOPLE, 1)


def test_with_weaker_isolation_both_would_write(
    postgres_units: Units, clock: Standing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weak = postgres_units.engine.execution_options(isolation_level="REPEATABLE READ")
    found = sent_at_once(post_on(Units(weak, clock), clock, tmp_path), monkeypatch)
    assert found == dict.fromkeys(PEOPLE, 2)

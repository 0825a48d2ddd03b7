"""A partner who watches every answer of its own API does not learn who is on another list.

The worlds have the same clock, ids and calls of partner A, and differ in partner B alone: absent, a
disjoint list, a list of the same people. What A receives is the same, byte for byte. The proofs are
left out: they are paths through a public tree of salted commitments, and are checked.
"""

import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tests.fakes.actors
from consortium.clock import Standing
from consortium.store import contributions
from consortium.store.unit import Units, engine
from provenance.evidence import Evidence, check
from tests.databases import NOON
from tests.fakes.actors import POLICY, made
from tests.fakes.server import RACE, Server, Upload, body, some_voters

SOMEBODY_ELSES = "99999999-9999-4999-8999-999999999999"
Do = Callable[[Server, str], None]


def disjoint(server: Server, roll: str) -> None:
    upload = server.contribute("parks", seed=77)
    server.link(upload, roll, {row: 600 + row for row in range(100)})


def same_people(server: Server, roll: str) -> None:
    upload = server.contribute("parks", seed=78)
    server.link(upload, roll, {row: row for row in range(100)})


def nothing(server: Server, roll: str) -> None:
    """B has signed and never comes back."""


@pytest.fixture
def worlds(tmp_path: Path, sqlite_template: Path) -> Iterator[Callable[[str], Server]]:
    """Fresh servers with the same clock and the same made-up randomness."""
    engines = []

    def world(name: str) -> Server:
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(sqlite_template, folder / "trellis.sqlite")
        engines.append(engine(f"sqlite:///{folder}/trellis.sqlite"))
        clock = Standing(NOON)
        server = Server(folder, Units(engines[-1], clock), clock)
        server.sign_agreement()
        return server

    yield world
    for one in engines:
        one.dispose()


def without_proof(said: Any) -> str:
    """An answer with its proof checked and taken out."""
    proof = said["evidence"].pop("proof")
    check(Evidence.from_json({**said["evidence"], "proof": proof}), POLICY)
    return json.dumps(said)


class Eyes:
    """Partner A, who writes down whatever comes back."""

    def __init__(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server, self.patch = server, monkeypatch
        self.seen: list[str] = []
        self.calls = 0

    def ask(self, method: str, path: str, **more: Any) -> Any:
        answer = self.server.call("union", method, path, **more)
        headers = dict(answer.headers)
        text = answer.text
        if '"proof"' in text:
            text = without_proof(answer.json())
            del headers["content-length"]
        self.seen.append(json.dumps([method, path, answer.status_code, headers, text]))
        return answer

    def signing(self) -> None:
        """The same salts in every world, however much B has signed in between."""
        self.calls += 1
        salts = itertools.count(self.calls << 32)
        self.patch.setattr(tests.fakes.actors, "_SALTS", salts)

    def upload(self, seed: int) -> Upload:
        self.signing()
        upload = self.server.upload("union", seed=seed)
        self.server.put_parts(upload)
        self.ask("POST", f"/contributions/{upload.id}", json=upload.offer())
        return upload

    def look(self, *uploads: Upload) -> None:
        for path in ("/contributions", "/campaigns", "/invite", f"/races/{RACE}/agreement"):
            self.ask("GET", path)
        for upload in uploads:
            leaf = self.ask("GET", f"/contributions/{upload.id}").json()["leaf"]
            self.ask("GET", f"/log/entries/{leaf}")
        self.ask("GET", f"/contributions/{SOMEBODY_ELSES}")
        self.ask("GET", f"/races/{RACE}/places")
        question = {"definition": {"places": {"precinct": ["44-0"]}}}
        self.ask("POST", f"/races/{RACE}/counts", json=question)


def everything_a_sees(server: Server, b: Do, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A's whole season, B's doings in the middle of it."""
    eyes = Eyes(server, monkeypatch)
    roll = server.enrol(some_voters())
    first = eyes.upload(1)
    eyes.look(first)
    b(server, roll)
    eyes.look(first)
    server.publish()
    server.link(first, roll, {row: row for row in range(100)})
    eyes.look(first)
    second = eyes.upload(2)
    again = second.offer()
    eyes.ask("POST", f"/contributions/{second.id}", json=again)
    server.publish()
    eyes.look(first, second)
    eyes.signing()
    gone = body(made("union", "withdrawal", kind="bundle", bundle=first.id))
    eyes.ask("POST", f"/contributions/{first.id}/withdraw", json=gone)
    server.publish()
    eyes.look(first, second)
    return eyes.seen


def test_what_a_sees_is_the_same_whatever_b_brought(
    worlds: Callable[[str], Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = [
        everything_a_sees(worlds(b.__name__), b, monkeypatch)
        for b in (nothing, disjoint, same_people)
    ]
    assert len(seen[0]) > 40
    for other in seen[1:]:
        assert [pair for pair in zip(seen[0], other, strict=True) if pair[0] != pair[1]] == []


def test_the_same_eyes_would_see_a_difference(
    worlds: Callable[[str], Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The harness is not blind: were a partner told how many bundles there are, it would fail."""
    look = tests.fakes.server.Server.call

    def leaking(self: Server, who: str | None, method: str, path: str, **more: Any) -> Any:
        answer = look(self, who, method, path, **more)
        if path == "/contributions" and method == "GET":
            answer.headers["x-lists"] = str(len(self.units.run("n", contributions.listed)))
        return answer

    monkeypatch.setattr(Server, "call", leaking)
    alone = everything_a_sees(worlds("alone"), nothing, monkeypatch)
    both = everything_a_sees(worlds("both"), same_people, monkeypatch)
    assert alone != both

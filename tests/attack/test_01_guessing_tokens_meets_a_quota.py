"""Whoever holds a partner's key and all the time in the world learns at most a quota of guesses.

Threat: docs/threat-model.md, OPRF guess enumeration. The quota is the custodian's own, durable,
charged
before anything is evaluated; a repeat is the same bytes and never a second evaluation.
"""

import base64
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from consortium.custodian.errors import Refused
from matching import group
from matching.crypto_errors import MessageRefused, PointRefused
from matching.evaluation import BATCH, Request, sign_request
from matching.statement import Statement
from tests.fakes.custodians import World


@dataclass
class Asker:
    """A custodian's front, without the network."""

    world: World
    statement: Statement

    def body(self, raw: bytes, nonce: str = "", **other: Any) -> dict[str, Any]:
        request = Request(
            sid=self.statement.sid,
            version=1,
            actor="union",
            batch="b",
            purpose="match",
            nonce=nonce or os.urandom(16).hex(),
            expires=self.world.now + timedelta(hours=1),
            points=hashlib.sha256(raw).hexdigest(),
        )
        message = sign_request(replace(request, **other), self.world.keys["union"].sign)
        return {"request": message, "points": base64.b64encode(raw).decode()}

    def ask(self, body: dict[str, Any]) -> dict[str, Any]:
        return self.world.hosts["ann"].custodian.evaluate(body)

    @property
    def spent(self) -> int:
        return int(self.world.hosts["ann"].ledger.status()["spent"].get("union", 0))


@pytest.fixture
def asker(tmp_path: Path) -> Iterator[Asker]:
    world = World(tmp_path)
    yield Asker(world, world.deal())
    world.client.close()
    for host in world.hosts.values():
        host.ledger.close()


POINTS = b"".join(group.from_hash(hashlib.sha512(b"%d" % n).digest()) for n in range(BATCH))


def test_a_repeat_is_answered_with_the_same_bytes_and_charged_once(asker: Asker) -> None:
    body = asker.body(POINTS)
    assert asker.ask(body) == asker.ask(body)
    assert asker.spent == BATCH


def test_the_same_nonce_for_other_points_is_refused(asker: Asker) -> None:
    first = asker.body(POINTS)
    asker.ask(first)
    nonce = first["request"]["body"]["nonce"]
    other = POINTS[32:] + POINTS[:32]
    with pytest.raises(Refused, match="nonce-used"):
        asker.ask(asker.body(other, nonce))
    assert asker.spent == BATCH


@pytest.mark.parametrize(
    "point", [bytes(32), b"\xff" * 32, (2**255 - 19).to_bytes(32, "little"), b"\x01" + bytes(31)]
)
def test_a_point_that_is_none_is_refused_and_its_answer_leaks_nothing(
    asker: Asker, point: bytes
) -> None:
    with pytest.raises(PointRefused):
        asker.ask(asker.body(POINTS[:-32] + point))


def test_every_field_of_a_request_is_held_to(asker: Asker) -> None:
    now = asker.world.now
    for other, name in [
        ({"expires": now}, "expired"),
        ({"expires": now + timedelta(days=30)}, "expired"),
        ({"sid": "00" * 32}, "no-key"),
        ({"purpose": "seal"}, "wrong-key"),
        ({"version": 2}, "wrong-version"),
        ({"points": "00" * 32}, "not-signed"),
    ]:
        with pytest.raises(Refused, match=name):
            asker.ask(asker.body(POINTS, **other))
    with pytest.raises(Refused, match="wrong-batch-size"):
        asker.ask(asker.body(POINTS[:-32]))
    forged = asker.body(POINTS)
    forged["request"]["by"] = "league"
    with pytest.raises(MessageRefused):
        asker.ask(forged)
    assert asker.spent == 0


def test_the_sealing_key_never_evaluates_points_of_a_callers_choosing(asker: Asker) -> None:
    seal = asker.world.deal("seal")
    with pytest.raises(Refused, match="wrong-key"):
        asker.ask(asker.body(POINTS, sid=seal.sid))
    with pytest.raises(Refused, match="wrong-key"):
        asker.ask(asker.body(POINTS, sid=seal.sid, purpose="seal"))

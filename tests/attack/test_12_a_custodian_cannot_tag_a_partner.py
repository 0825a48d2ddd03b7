"""A custodian that answers one partner with another key, or bends one element, is caught with
evidence.

Threat: docs/threat-model.md, one custodian. Without the proof it could split the population and
recognise its victims.
"""

import base64
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from consortium.cli import tokenise
from consortium.custodians import CustodianAddress, CustodianDown, CustodianLied
from matching import group
from matching.crypto_errors import ProofRefused
from matching.evaluation import Request, answer, check_response, sign_request, sign_response
from matching.statement import Statement
from tests.fakes.custodians import World, public

Bend = Callable[[bytes, bytes, bytes], tuple[bytes, bytes]]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "hosts")
    yield made
    made.client.close()
    for host in made.hosts.values():
        host.ledger.close()


def flipped(raw: bytes, at: int) -> bytes:
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


OTHER = group.reduce(hashlib.sha512(b"another key").digest())
BENDS: dict[str, Bend] = {
    "another key": lambda share, points, _: (group.mult_each(OTHER, points), b""),
    "one element under another key": lambda share, points, proof: (
        group.mult(OTHER, points[:32]) + group.mult_each(share, points)[32:],
        proof,
    ),
    "two answers swapped": lambda share, points, proof: (
        (good := group.mult_each(share, points))[32:64] + good[:32] + good[64:],
        proof,
    ),
    "the last answer repeated": lambda share, points, proof: (
        (good := group.mult_each(share, points))[:-32] + good[:32],
        proof,
    ),
    "the points themselves": lambda share, points, proof: (points, proof),
    "an identity among the answers": lambda share, points, proof: (
        group.mult_each(share, points)[:-32] + bytes(32),
        proof,
    ),
    "one answer missing": lambda share, points, proof: (
        group.mult_each(share, points)[:-32],
        proof,
    ),
    "a bent proof": lambda share, points, proof: (
        group.mult_each(share, points),
        flipped(proof, 40),
    ),
    "no proof": lambda share, points, proof: (group.mult_each(share, points), bytes(64)),
    "a proof of half a length": lambda share, points, proof: (
        group.mult_each(share, points),
        proof[:32],
    ),
}


@pytest.mark.parametrize("bend", BENDS)
def test_every_deviation_is_caught_and_named(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bend: str
) -> None:
    statement = world.deal()
    keys = {one: host.ledger.key_of(statement.sid) for one, host in world.hosts.items()}

    def custodian(_: Any, address: CustodianAddress, path: str, body: Any) -> dict[str, Any]:
        assert path == "/evaluate"
        message, points = body["request"], base64.b64decode(body["points"])
        key = keys[address.id]
        assert key is not None
        commitment = statement.share(address.id)
        evaluated, proof = answer(message, points, share=key.share, commitment=commitment)
        if address.id == "bea":
            evaluated, bent = BENDS[bend](key.share, points, proof)
            if bend == "another key":  # it proves that key honestly: only the log says it is wrong
                _, bent = answer(message, points, share=OTHER, commitment=group.base(OTHER))
            proof = bent
        said = sign_response(
            message,
            evaluated,
            proof,
            custodian=address.id,
            total=4096,
            allowed=8192,
            sign=world.keys[address.id].sign,
        )
        return {"response": said, "evaluations": base64.b64encode(evaluated).decode()}

    monkeypatch.setattr(tokenise, "call", custodian)
    # Small batches here: what is tested is the check, and a batch of 4,096 is checked elsewhere.
    monkeypatch.setattr(tokenise, "BATCH", 8)
    with pytest.raises(CustodianLied) as lied:
        tokenise.evaluate_inputs(
            [b"ada", b"bob"],
            statement=statement,
            custodians=world.addresses[:2],
            actor="union",
            sign=world.keys["union"].sign,
            batch="b",
            state=tmp_path / "state",
            state_key=b"k",
            workers=1,
            client=world.client,
        )
    assert lied.value.custodian == "bea"
    assert lied.value.evidence is not None
    third_party_agrees(json.loads(lied.value.evidence.read_text()), world)


def third_party_agrees(shown: dict[str, Any], world: World) -> None:
    """From the file and the registry alone, anybody reaches the same verdict."""
    with pytest.raises(ProofRefused):
        check_response(
            shown["request"],
            bytes.fromhex(shown["points"]),
            shown["response"],
            bytes.fromhex(shown["evaluations"]),
            custodian=shown["custodian"],
            public=public(world.keys[shown["custodian"]]),
            statement=Statement.from_json(shown["statement"]),
        )


def test_nobody_in_between_can_frame_a_custodian(world: World) -> None:
    statement = world.deal()
    key = world.hosts["ann"].ledger.key_of(statement.sid)
    assert key is not None
    points = group.from_hash(os.urandom(64))
    request = Request(
        sid=statement.sid,
        version=1,
        actor="union",
        batch="b",
        purpose="match",
        nonce="00" * 16,
        expires=world.now + timedelta(hours=1),
        points=hashlib.sha256(points).hexdigest(),
    )
    message = sign_request(request, world.keys["union"].sign)
    evaluated, proof = answer(message, points, share=key.share, commitment=statement.share("ann"))
    forged = sign_response(
        message,
        group.mult(OTHER, points),
        proof,
        custodian="ann",
        total=1,
        allowed=1,
        sign=world.keys["union"].sign,  # not ann's key
    )
    with pytest.raises(Exception, match="signature") as refused:
        check_response(
            message,
            points,
            forged,
            group.mult(OTHER, points),
            custodian="ann",
            public=public(world.keys["ann"]),
            statement=statement,
        )
    assert not isinstance(refused.value, ProofRefused | CustodianDown)
    assert len(evaluated) == 32

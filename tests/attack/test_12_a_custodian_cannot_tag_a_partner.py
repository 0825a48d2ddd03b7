"""A custodian that answers one partner with another key, or bends one element, is caught with
evidence.

Threat: docs/threat-model.md, one custodian. Without the proof it could split the population and
recognise its victims.
"""

import hashlib
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from consortium.cli import quorum, tokenise
from consortium.custodians import (
    CustodianDown,
    CustodianLied,
    CustodianProblem,
    CustodianRefused,
)
from matching import evaluation, group
from matching.crypto_errors import ProofRefused
from matching.evaluation import Request, answer, check_response, sign_request, sign_response
from tests.fakes.custodians import World, public, serving
from tests.fakes.liars import ABOUT_TOKENS, OTHER, Court, corrupted


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One consortium for all lies: starting servers is most of what they cost."""
    with serving(World(tmp_path_factory.mktemp("hosts"))) as made:
        made.statement = made.deal()  # type: ignore[attr-defined]
        made.court = Court(made, made.statement)  # type: ignore[attr-defined]
        for one in made.ids:
            made.quota(one, "union", 10**6)
        yield made


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "hosts")
    yield made
    made.client.close()
    for host in made.hosts.values():
        host.ledger.close()


def shrink(patch: pytest.MonkeyPatch) -> None:
    """What is tested is the check; a batch of 4,096 is checked elsewhere."""
    patch.setattr(tokenise, "BATCH", 8)
    patch.setattr(evaluation, "BATCH", 8)
    patch.setattr(evaluation, "BATCH_BYTES", 8 * 32)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink(monkeypatch)


INPUTS = [b"member %d" % n for n in range(27)]  # four batches, the last of them padded


def tokens(world: World, folder: Path, **more: Any) -> list[bytes]:
    said: dict[str, Any] = {
        "statement": world.statement,  # type: ignore[attr-defined]
        "custodians": world.addresses,
        "actor": "union",
        "sign": world.keys["union"].sign,
        "batch": "b",
        "state": folder / "state",
        "state_key": b"k" * 32,
        "workers": 1,
        "client": world.client,
        "key": world.court.key,  # type: ignore[attr-defined]
    }
    return tokenise.evaluate_inputs(INPUTS, **{**said, **more})


@pytest.fixture(scope="module")
def honest(hosts: World, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """What comes out when nobody lies."""
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        named: list[CustodianProblem] = []
        found = tokens(hosts, tmp_path_factory.mktemp("honest"), named=named.append)
        assert named == []
        return found


@pytest.mark.parametrize("lie", ABOUT_TOKENS)
def test_every_deviation_is_caught_and_named_and_the_others_go_on(
    hosts: World, honest: list[bytes], tmp_path: Path, lie: str
) -> None:
    about, convicted = ABOUT_TOKENS[lie]
    named: list[CustodianProblem] = []
    with corrupted(hosts, "bea", about=about):
        assert tokens(hosts, tmp_path / "lied", named=named.append) == honest
    assert {one.custodian for one in named} == {"bea"}
    if not convicted:
        assert all(isinstance(one, CustodianDown | CustodianRefused) for one in named)
        return
    assert [type(one) for one in named] == [CustodianLied]
    assert isinstance(named[0], CustodianLied)
    assert named[0].evidence is not None
    assert hosts.court.finds(named[0].evidence) == ("guilty", "bea")  # type: ignore[attr-defined]


def test_when_too_few_are_left_the_run_ends_with_who_lied(hosts: World, tmp_path: Path) -> None:
    about = ABOUT_TOKENS["two answers swapped"][0]
    with corrupted(hosts, "bea", about=about), pytest.raises(CustodianLied, match="bea"):
        tokens(hosts, tmp_path, custodians=hosts.addresses[:2])


def test_a_key_for_this_partner_alone_would_pass_without_the_logged_commitment(
    hosts: World, honest: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: whoever believes a commitment that comes with the answer takes tagged tokens."""
    monkeypatch.setattr(quorum, "_check", lambda answer, points, statement: 10**9)
    monkeypatch.setattr(quorum.Quorum, "_total", lambda *_: None)
    about = ABOUT_TOKENS["another key for this partner, with a valid proof of it"][0]
    named: list[CustodianProblem] = []
    with corrupted(hosts, "bea", about=about):
        tagged = tokens(hosts, tmp_path / "tagged", named=named.append)
    assert not named
    assert not set(tagged) & set(honest)


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

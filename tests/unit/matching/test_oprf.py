"""The RFC's vectors come out, from one key and from any quorum of its shares."""

import itertools
import json
import os
from pathlib import Path
from typing import Any

import pytest

from matching import group, oprf
from matching.crypto_errors import ProofRefused
from matching.threshold import lagrange
from tests.fakes.dealer import split
from tests.fakes.dealing import deal_again, keys_of

GOLDEN = Path(__file__).parents[2] / "golden" / "rfc9497_vectors.json"
SUITES: list[dict[str, Any]] = json.loads(GOLDEN.read_text())["suites"]
KEYS = keys_of([f"c{n}" for n in range(1, 10)])
VECTORS = [(suite, vector) for suite in SUITES for vector in suite["vectors"]]


def parts(text: str) -> list[bytes]:
    return [bytes.fromhex(part) for part in text.split(",")]


@pytest.mark.parametrize(("suite", "vector"), VECTORS)
def test_the_rfcs_vectors_come_out(suite: dict[str, Any], vector: dict[str, Any]) -> None:
    ctx, key = oprf.context(suite["mode"]), bytes.fromhex(suite["skSm"])
    inputs, blinds = parts(vector["Input"]), b"".join(parts(vector["Blind"]))
    blinded = oprf.blind(inputs, blinds, ctx)
    assert blinded == b"".join(parts(vector["BlindedElement"]))
    evaluated = oprf.evaluate(key, blinded)
    assert evaluated == b"".join(parts(vector["EvaluationElement"]))
    if "Proof" in vector:
        public = group.base(key)
        assert public.hex() == suite["pkSm"]
        nonce = bytes.fromhex(vector["Proof"]["r"])
        proof = oprf.prove(key, public, blinded, evaluated, nonce, ctx)
        assert proof.to_bytes().hex() == vector["Proof"]["proof"]
        oprf.check_proof(public, blinded, evaluated, proof, ctx)
    unblinded = oprf.unblind(blinds, [(group.ONE, evaluated)])
    assert oprf.finalise(inputs, unblinded) == parts(vector["Output"])


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(("threshold", "count"), [(1, 1), (2, 3), (3, 5), (5, 9)])
@pytest.mark.parametrize(("suite", "vector"), VECTORS)
def test_any_quorum_of_shares_gives_the_same_bits_before_and_after_a_resharing(
    suite: dict[str, Any], vector: dict[str, Any], threshold: int, count: int, version: int
) -> None:
    ctx = oprf.context(suite["mode"])
    inputs, blinds = parts(vector["Input"]), b"".join(parts(vector["Blind"]))
    ids = tuple(f"c{n}" for n in range(1, count + 1))
    statement, shares = split(bytes.fromhex(suite["skSm"]), threshold=threshold, ids=ids)
    if version == 2:
        dealt = deal_again(statement, shares, KEYS, ids=ids, threshold=threshold)
        statement, shares = dealt.statement, dealt.shares()
    assert statement.version == version
    blinded = oprf.blind(inputs, blinds, ctx)
    quorums = list(itertools.combinations(range(1, count + 1), threshold))
    for quorum in quorums[:: max(1, len(quorums) // 4)]:
        answers = []
        for j in quorum:
            evaluated = oprf.evaluate(shares[f"c{j}"], blinded)
            nonce = group.reduce(os.urandom(64))
            public = statement.share(f"c{j}")
            proof = oprf.prove(shares[f"c{j}"], public, blinded, evaluated, nonce, ctx)
            oprf.check_proof(public, blinded, evaluated, proof, ctx)
            answers.append((lagrange(j, quorum), evaluated))
        whole = oprf.combine_each(answers)
        assert whole == b"".join(parts(vector["EvaluationElement"]))
        assert oprf.finalise(inputs, oprf.unblind(blinds, answers)) == parts(vector["Output"])


def test_a_proof_fails_for_another_key_and_for_one_altered_element() -> None:
    key, other = group.reduce(os.urandom(64)), group.reduce(os.urandom(64))
    blinds = group.reduce_each(os.urandom(64 * 5))
    blinded = oprf.blind([b"a", b"b", b"c", b"d", b"e"], blinds)
    evaluated = oprf.evaluate(key, blinded)
    proof = oprf.prove(key, group.base(key), blinded, evaluated, group.reduce(os.urandom(64)))
    oprf.check_proof(group.base(key), blinded, evaluated, proof)
    swapped = evaluated[32:64] + evaluated[:32] + evaluated[64:]
    wrong = oprf.evaluate(other, blinded)
    for public, answer in [
        (group.base(other), evaluated),
        (group.base(key), swapped),
        (group.base(key), wrong),
        (group.base(key), evaluated[:-32] + wrong[-32:]),
        (group.base(key), evaluated[:-32] + group.IDENTITY),
        (group.base(key), evaluated[:-32]),
    ]:
        with pytest.raises(ProofRefused):
            oprf.check_proof(public, blinded, answer, proof)


def test_a_proof_with_a_scalar_that_is_not_canonical_is_refused() -> None:
    over = (group.ORDER + 5).to_bytes(32, "little")
    with pytest.raises(ProofRefused):
        oprf.Proof.from_bytes(over + group.ONE)
    with pytest.raises(ProofRefused):
        oprf.Proof.from_bytes(group.ONE + group.ZERO)
    with pytest.raises(ProofRefused):
        oprf.Proof.from_bytes(bytes(63))

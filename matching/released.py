"""A custodian's signed answers for a chunk of locks, and what of them proves it wrong to anybody.

A released share carries no proof. So two things convict: a proof that it signed when asked and
that does not hold, or two signed answers to one question that differ in a lock that both answer.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from matching import locks
from matching.crypto_errors import CryptoRefused, MessageRefused, ProofRefused
from matching.envelope import Message, open_, signer
from matching.oprf import Proof
from matching.statement import Statement

RELEASED = "released"
RETIRED = bytes(32)
"""Stands where a lock was retired: no share of it leaves again."""


@dataclass(frozen=True, slots=True)
class Answered:
    """One signed answer with the bytes it speaks of: 32 for each lock, in order."""

    response: Message = field(repr=False)
    locks: bytes = field(repr=False)
    answers: bytes = field(repr=False)

    @property
    def question(self) -> dict[str, Any]:
        """What was answered: campaign, chunk, quorum, locks and whatever else was signed."""
        body = self.response["body"]
        return {name: body[name] for name in body if name not in ("answers", "proof")}


def check_signed(answered: Answered, *, custodian: str, public: bytes) -> dict[str, Any]:
    """Check that this is the custodian's signed word on these locks and answers; its body.

    Raises:
        MessageRefused: anything else.
    """
    body = open_(RELEASED, answered.response, public=public)
    said = (signer(answered.response), body.get("locks"), body.get("answers"))
    raws = (answered.locks, answered.answers)
    if said != (custodian, *(hashlib.sha256(raw).hexdigest() for raw in raws)):
        raise MessageRefused("an answer to other locks, or by another custodian")
    if len(answered.answers) != len(answered.locks) or len(answered.locks) % 32:
        raise MessageRefused("an answer has another length than its locks")
    return body


def check_proof(answered: Answered, statement: Statement, custodian: str) -> None:
    """Hold the proof in a signed answer against the share commitment of the logged statement.

    Raises:
        ProofRefused: it does not hold, or is no proof.
    """
    body = answered.response["body"]
    given = [
        (lock, answer)
        for lock, answer in zip(_each(answered.locks), _each(answered.answers), strict=True)
        if answer != RETIRED
    ]
    if not given:
        return
    try:
        proof = Proof.from_bytes(bytes.fromhex(str(body.get("proof", ""))))
        quorum: Sequence[int] = [int(one) for one in body["quorum"]]
        locks.check_answers(
            statement.share(custodian),
            statement.index(custodian),
            quorum,
            b"".join(lock for lock, _ in given),
            b"".join(answer for _, answer in given),
            proof,
        )
    except (CryptoRefused, KeyError, TypeError, ValueError) as error:
        raise ProofRefused("the proof of a released chunk does not hold") from error


def check_same(first: Answered, again: Answered) -> None:
    """Check that two signed answers to one question are one; a lock retired meanwhile may be zero.

    Raises:
        ProofRefused: they differ, so one of them is wrong.
        MessageRefused: they answer different questions and show nothing.
    """
    if first.question != again.question:
        raise MessageRefused("the two answers are to different questions")
    for one, other in zip(_each(first.answers), _each(again.answers), strict=True):
        if one != other and RETIRED not in (one, other):
            raise ProofRefused("two signed answers to one question differ")


def to_json(answered: Sequence[Answered], statement: Statement, custodian: str) -> dict[str, Any]:
    """Evidence as a file holds it; locks and shares say nothing about a person."""
    return {
        "kind": RELEASED,
        "custodian": custodian,
        "statement": statement.to_json(),
        "locks": answered[0].locks.hex(),
        "answered": [{"response": one.response, "answers": one.answers.hex()} for one in answered],
    }


def judge(shown: Mapping[str, Any], *, public: bytes) -> None:
    """Judge evidence by itself: what the custodian signed, and the statement it is held to.

    Args:
        shown: as ``to_json`` wrote it; that its statement is the logged one is the caller's check.
        public: the accused custodian's 32-byte key, from a registry that the judge trusts.

    Returns:
        Nothing: it shows no wrong.

    Raises:
        ProofRefused: the custodian signed a wrong answer.
        MessageRefused: not signed by it, or malformed: it proves nothing.
    """
    try:
        custodian, whole = str(shown["custodian"]), bytes.fromhex(shown["locks"])
        statement = Statement.from_json(shown["statement"])
        answered = [
            Answered(dict(one["response"]), whole, bytes.fromhex(one["answers"]))
            for one in shown["answered"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise MessageRefused("not evidence of a release") from error
    for one in answered:
        if "proof" in check_signed(one, custodian=custodian, public=public):
            check_proof(one, statement, custodian)
    for one in answered[1:]:
        check_same(answered[0], one)


def _each(raw: bytes) -> list[bytes]:
    return [raw[n : n + 32] for n in range(0, len(raw), 32)]

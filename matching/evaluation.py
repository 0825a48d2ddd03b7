"""The signed request and response of a token evaluation, and the checks on both sides.

Request and response are signed messages (`matching.envelope`); points, evaluations and proof
travel beside them and
are bound by their digests, so a wrong answer leaves evidence that anybody can check.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from matching import group, oprf
from matching.crypto_errors import MessageRefused, ProofRefused
from matching.envelope import Message, Signer, canonical, close, open_, signer
from matching.statement import Statement

BATCH = 4096
BATCH_BYTES = BATCH * group.SIZE
REQUEST, RESPONSE = "evaluate", "evaluated"

TOKENS_A_ROW = 15
"""Fourteen recipes and the address token (`matching.recipes`)."""
LEAST_CLASS = 4096
"""Smaller lists declare this: how small an organisation is concerns no custodian."""
MOST_CLASS = 2**24
DEFAULT_CLASS = 2**17
STEWARD_CLASS = 2**23


def class_of(rows: int) -> int:
    """Return the smallest power of two from ``LEAST_CLASS`` that holds so many rows.

    Raises:
        MessageRefused: below 1, or above ``MOST_CLASS``.
    """
    if not 1 <= rows <= MOST_CLASS:
        raise MessageRefused(f"a list has from 1 to {MOST_CLASS:,} rows")
    return max(LEAST_CLASS, 1 << (rows - 1).bit_length())


def block_points(size: int) -> int:
    """Return the points of one reservation: a list of this class once, in whole batches."""
    return -(-size * TOKENS_A_ROW // BATCH) * BATCH


def allowance(size: int) -> int:
    """Return the points of an epoch for a list of this class: the list, and as much again."""
    return 2 * block_points(size)


@dataclass(frozen=True, slots=True)
class Request:
    """What one caller asks of a custodian: one batch of exactly 4,096 points.

    Attributes:
        version: of the shares, as in the key statement; versions never mix.
        batch: the caller's name for what this belongs to (a contribution, a roll).
        nonce: 32 hex digits, fresh per request and kept for its repeats.
        points: SHA-256 of the points, hex.
        after: by custodian, the digest of an answer known when this was signed. It was charged
            before this one, so a total that goes down can be shown.
    """

    sid: str
    version: int
    actor: str
    batch: str
    purpose: str
    nonce: str
    expires: datetime
    points: str
    after: Mapping[str, str] = field(default_factory=dict)


def sign_request(request: Request, sign: Signer) -> Message:
    """Return the signed message for ``request``."""
    body = {
        "sid": request.sid,
        "version": request.version,
        "batch": request.batch,
        "purpose": request.purpose,
        "nonce": request.nonce,
        "expires": stamp(request.expires),
        "points": request.points,
        "after": dict(request.after),
    }
    return close(REQUEST, body, by=request.actor, sign=sign)


def read_request(message: object, *, public: bytes) -> Request:
    """Check a request's signature and shape.

    Raises:
        MessageRefused: malformed, or not signed by the actor it names.
    """
    body = open_(REQUEST, message, public=public)
    try:
        return Request(
            sid=str(body["sid"]),
            version=int(body["version"]),
            actor=signer(message),
            batch=str(body["batch"]),
            purpose=str(body["purpose"]),
            nonce=_hex(body["nonce"], 16),
            expires=moment(body["expires"]),
            points=_hex(body["points"], 32),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise MessageRefused("an evaluation request lacks a field, or has one misshapen") from error


def request_digest(message: Mapping[str, Any]) -> str:
    """Return what a response is bound to: SHA-256 over the whole signed request, hex."""
    return hashlib.sha256(canonical(dict(message))).hexdigest()


def response_digest(message: Mapping[str, Any]) -> str:
    """Return what a later request names an answer by: SHA-256 of the signed response, hex."""
    return hashlib.sha256(canonical(dict(message))).hexdigest()


def answer(
    message: Mapping[str, Any],
    points: bytes,
    *,
    share: bytes,
    commitment: bytes,
) -> tuple[bytes, bytes]:
    """Evaluate a batch and prove it; the same request gives the same bytes.

    Args:
        share: x_i; ``commitment`` is x_i*G.

    Returns:
        Evaluations (32 bytes each) and the 64-byte proof.

    Raises:
        PointRefused: any point is malformed or the identity.
    """
    evaluated = oprf.evaluate(share, points)
    # H(secret, request, answer): a second proof with this nonce is over the same transcript.
    seed = share + bytes.fromhex(request_digest(message)) + hashlib.sha512(evaluated).digest()
    nonce = group.reduce(hashlib.sha512(b"trellis/evaluate-nonce/v1" + seed).digest())
    return evaluated, oprf.prove(share, commitment, points, evaluated, nonce).to_bytes()


def sign_response(
    message: Mapping[str, Any],
    evaluated: bytes,
    proof: bytes,
    *,
    custodian: str,
    total: int,
    allowed: int,
    sign: Signer,
) -> Message:
    """Return the custodian's signed word on what it answered and what it has charged so far."""
    body = {
        "request": request_digest(message),
        "evaluations": hashlib.sha256(evaluated).hexdigest(),
        "proof": proof.hex(),
        "total": total,
        "allowed": allowed,
    }
    return close(RESPONSE, body, by=custodian, sign=sign)


def check_response(
    message: Mapping[str, Any],
    points: bytes,
    response: object,
    evaluated: bytes,
    *,
    custodian: str,
    public: bytes,
    statement: Statement,
) -> int:
    """Check an answer against the share commitment of the logged statement.

    Returns:
        The running total the custodian signed.

    Raises:
        MessageRefused: not this custodian's signed answer to this request.
        ProofRefused: signed, but not made with the stated share: evidence against it.
    """
    body = check_signed(message, response, evaluated, custodian=custodian, public=public)
    proof = oprf.Proof.from_bytes(bytes.fromhex(_proof(body)))
    if len(evaluated) != len(points):
        raise ProofRefused("the answer has another length than the request")
    oprf.check_proof(statement.share(custodian), points, evaluated, proof)
    return int(body["total"])


def _proof(body: Mapping[str, Any]) -> str:
    try:
        return _hex(body["proof"], 64)
    except (KeyError, ValueError) as error:
        raise ProofRefused("the answer carries no proof") from error


def check_signed(
    message: Mapping[str, Any],
    response: object,
    evaluated: bytes,
    *,
    custodian: str,
    public: bytes,
) -> dict[str, Any]:
    """Check that ``response`` is this custodian's signed word on these bytes; return its body.

    Raises:
        MessageRefused: anything else.
    """
    body = open_(RESPONSE, response, public=public)
    if signer(response) != custodian or body.get("request") != request_digest(message):
        raise MessageRefused("an answer to another request, or by another custodian")
    if body.get("evaluations") != hashlib.sha256(evaluated).hexdigest():
        raise MessageRefused("the evaluations are not the ones the custodian signed")
    if not isinstance(body.get("total"), int):
        raise MessageRefused("the answer does not say what has been charged")
    return body


def stamp(at: datetime) -> str:
    """Write a time as ``2026-11-21T14:00:00Z``."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: object) -> datetime:
    """Read ``2026-11-21T14:00:00Z``.

    Raises:
        ValueError: no time, or one without a zone.
    """
    at = datetime.fromisoformat(str(text))
    if at.tzinfo is None:
        raise ValueError("a time needs its zone")
    return at


def _hex(text: object, size: int) -> str:
    raw = bytes.fromhex(str(text))
    if len(raw) != size or raw.hex() != text:
        raise ValueError(f"expected {size} bytes as lower-case hex")
    return raw.hex()

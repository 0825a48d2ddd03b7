"""Blind, evaluate, prove, verify, finalise (RFC 9497), ristretto255-SHA512.

Elements travel as one ``bytes`` of 32 each. Randomness is given by the caller, 64 uniform bytes
per scalar.

Source:
    RFC 9497: 3.3.1 (OPRF), 3.3.2 (VOPRF), 2.2 (proofs), 4.1 (suite); RFC 9380, 5.3.1
    (expand_message_xmd).
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from matching import group
from matching.crypto_errors import ProofRefused, ScalarRefused

SUITE = "ristretto255-SHA512"
MODE_OPRF = 0x00
MODE_VOPRF = 0x01
OUTPUT_BYTES = 64
#: The base point, as an element: 1*G.
GENERATOR = bytes.fromhex("e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76")


def context(mode: int) -> bytes:
    """Return the suite's context string for ``mode``."""
    return b"OPRFV1-" + bytes([mode]) + b"-" + SUITE.encode()


CONTEXT = context(MODE_VOPRF)
_PADDED = hashlib.sha512(bytes(128))  # expand_message_xmd begins with one block of zeros


def _expand(message: bytes, dst: bytes) -> bytes:
    """Return 64 uniform bytes: expand_message_xmd with SHA-512 and a length of one block."""
    suffix = dst + bytes([len(dst)])
    first = _PADDED.copy()
    first.update(message + b"\x00\x40\x00" + suffix)
    return hashlib.sha512(first.digest() + b"\x01" + suffix).digest()


def hash_to_scalar(data: bytes, ctx: bytes = CONTEXT) -> bytes:
    """Map any bytes to a scalar."""
    return group.reduce(_expand(data, b"HashToScalar-" + ctx))


def blind(inputs: Sequence[bytes], blinds: bytes, ctx: bytes = CONTEXT) -> bytes:
    """Blind each input under its own scalar.

    Args:
        inputs: private inputs, any length below 2**16.
        blinds: as many scalars, 32 bytes each, fresh for every element.

    Returns:
        Blinded elements, 32 bytes each, in order.
    """
    return group.mult_pairs(blinds, hash_inputs(inputs, ctx))


def hash_inputs(inputs: Sequence[bytes], ctx: bytes = CONTEXT) -> bytes:
    """Map each input to its point, unblinded; 32 bytes each."""
    dst = b"HashToGroup-" + ctx
    return b"".join([group.from_hash(_expand(one, dst)) for one in inputs])


def evaluate(key: bytes, elements: bytes) -> bytes:
    """Return key*C for every element C; a malformed element or the identity is refused."""
    return group.mult_each(key, elements)


def finalise(inputs: Sequence[bytes], elements: bytes) -> list[bytes]:
    """Hash each input with its unblinded element into 64 bytes."""
    sha512, tail = hashlib.sha512, b"Finalize"
    return [
        sha512(
            len(one).to_bytes(2, "big") + one + b"\x00\x20" + elements[32 * n : 32 * n + 32] + tail
        ).digest()
        for n, one in enumerate(inputs)
    ]


@dataclass(frozen=True, slots=True)
class Proof:
    """Batch proof of equal discrete logarithms: challenge and response, 32 bytes each."""

    challenge: bytes
    response: bytes

    def to_bytes(self) -> bytes:
        """Return 64 bytes, challenge first."""
        return self.challenge + self.response

    @classmethod
    def from_bytes(cls, raw: bytes) -> "Proof":
        """Read 64 bytes.

        Raises:
            ProofRefused: wrong length, or a scalar that is not canonical.
        """
        if len(raw) != 64:
            raise ProofRefused("a proof is 64 bytes")
        try:
            group.check_scalar(raw[:32])
            group.check_scalar(raw[32:])
        except ScalarRefused as error:
            raise ProofRefused("a proof holds two canonical scalars") from error
        return cls(raw[:32], raw[32:])


def _sized(raw: bytes) -> bytes:
    return len(raw).to_bytes(2, "big") + raw


def _weights(public: bytes, elements: bytes, evaluated: bytes, ctx: bytes) -> bytes:
    """Return the composite weights d_i (RFC 9497, 2.2.1, ComputeComposites), 32 bytes each."""
    seed = hashlib.sha512(_sized(public) + _sized(b"Seed-" + ctx)).digest()
    head, dst = _sized(seed), b"HashToScalar-" + ctx
    uniform = [
        _expand(
            head
            + n.to_bytes(2, "big")
            + b"\x00\x20"
            + elements[32 * n : 32 * n + 32]
            + b"\x00\x20"
            + evaluated[32 * n : 32 * n + 32]
            + b"Composite",
            dst,
        )
        for n in range(len(elements) // 32)
    ]
    return group.reduce_each(b"".join(uniform))


def _challenge(public: bytes, parts: Sequence[bytes], ctx: bytes) -> bytes:
    transcript = b"".join(_sized(part) for part in (public, *parts)) + b"Challenge"
    return hash_to_scalar(transcript, ctx)


def prove(
    key: bytes,
    public: bytes,
    elements: bytes,
    evaluated: bytes,
    nonce: bytes,
    ctx: bytes = CONTEXT,
) -> Proof:
    """Prove that log_G(public) is the key that took ``elements`` to ``evaluated``.

    Args:
        key: the share; ``public`` is key*G.
        elements, evaluated: at most 65,535 points, 32 bytes each.
        nonce: a fresh secret scalar. Used twice for different inputs it gives away the key, so a
            custodian derives it from its secret, the request and the answer.

    Source:
        RFC 9497, 2.2.1, with ComputeCompositesFast.
    """
    weights = _weights(public, elements, evaluated, ctx)
    mixed = group.weighted_sum(weights, elements)
    mixed_out = group.mult(key, mixed)
    parts = (mixed, mixed_out, group.base(nonce), group.mult(nonce, mixed))
    challenge = _challenge(public, parts, ctx)
    return Proof(challenge, group.scalar_sub(nonce, group.scalar_mul(challenge, key)))


def check_proof(
    public: bytes, elements: bytes, evaluated: bytes, proof: Proof, ctx: bytes = CONTEXT
) -> None:
    """Check that one key took G to ``public`` and every element to its evaluation.

    Raises:
        ProofRefused: anything at all is wrong, malformed points included.

    Source:
        RFC 9497, 2.2.2.
    """
    if len(elements) != len(evaluated) or not elements:
        raise ProofRefused("as many evaluations as elements are needed")
    try:
        weights = _weights(public, elements, evaluated, ctx)
        mixed = group.weighted_sum(weights, elements)
        mixed_out = group.weighted_sum(weights, evaluated)
        c, s = proof.challenge, proof.response
        second = group.add(group.base(s), group.mult(c, public))
        third = group.add(group.mult(s, mixed), group.mult(c, mixed_out))
    except Exception as error:
        raise ProofRefused("an element of the proof is malformed") from error
    expected = _challenge(public, (mixed, mixed_out, second, third), ctx)
    if not hmac.compare_digest(expected, c):
        raise ProofRefused("the evaluation was not made with the key that was stated")


def unblind(blinds: bytes, evaluated: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Combine several custodians' evaluations and take the blinds off, in one go.

    Args:
        blinds: the scalars used in `blind`, 32 bytes each.
        evaluated: per custodian its Lagrange coefficient and its evaluations (32 bytes each).

    Returns:
        sum(lambda_j * D_j) / blind for each element: t multiplications, since lambda/blind is one
        scalar.
    """
    inverses = group.invert_each(blinds)
    total = b""
    for weight, elements in evaluated:
        part = group.mult_pairs(group.scale_each(inverses, weight), elements)
        total = group.add_pairs(total, part) if total else part
    return total


def combine_each(evaluated: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Combine evaluations of inputs that were not blinded: sum(lambda_j * D_j) for each element."""
    total = b""
    for weight, elements in evaluated:
        part = group.mult_each(weight, elements)
        total = group.add_pairs(total, part) if total else part
    return total

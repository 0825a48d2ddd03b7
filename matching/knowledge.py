"""Schnorr proofs that somebody knows the scalar behind a point, each bound to its own context.

A proof is 64 bytes, challenge then response. What the proof is for is hashed into the challenge,
so one
made for a ceremony says nothing about a lock.
"""

import hashlib
import hmac

from matching import group
from matching.crypto_errors import CryptoRefused, ProofRefused

PROOF_BYTES = 64


def _challenge(context: bytes, public: bytes, commitment: bytes) -> bytes:
    return group.reduce(hashlib.sha512(context + public + commitment).digest())


def prove(context: bytes, secret: bytes, public: bytes) -> bytes:
    """Prove knowledge of ``secret``, where ``public`` is secret*G.

    The nonce is a hash of the secret and of everything signed, so that it never repeats for another
    challenge even when the machine's randomness does.

    Args:
        context: what the proof is for; of fixed layout, so that no two contexts collide.
    """
    seed = hashlib.sha512(b"trellis/knowledge-nonce/v1" + secret + context + public).digest()
    nonce = group.reduce(seed)
    challenge = _challenge(context, public, group.base(nonce))
    return challenge + group.scalar_sub(nonce, group.scalar_mul(challenge, secret))


def check(context: bytes, public: bytes, proof: bytes) -> None:
    """Check a proof of knowledge.

    Raises:
        ProofRefused: always, when anything at all is wrong.
    """
    if len(proof) != PROOF_BYTES:
        raise ProofRefused("a proof of knowledge is 64 bytes")
    challenge, response = proof[:32], proof[32:]
    try:
        # Scalars only need to be canonical where two encodings would be two proofs: here they
        # would.
        group.check_scalar(challenge)
        group.check_scalar(response)
        commitment = group.add(group.base(response), group.mult(challenge, public))
    except CryptoRefused as error:
        raise ProofRefused("a proof of knowledge is malformed") from error
    if not hmac.compare_digest(_challenge(context, public, commitment), challenge):
        raise ProofRefused("the maker does not know the scalar behind this point")

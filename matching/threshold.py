"""Shares and their combination: polynomials, Lagrange coefficients, share commitments.

Indices are public and are the only numbers that become Python integers here; shares and
coefficients
stay in libsodium.
"""

from collections.abc import Sequence

from matching import group
from matching.crypto_errors import QuorumRefused


def polynomial(coefficients: Sequence[bytes], index: int) -> bytes:
    """Return f(index) for the secret polynomial whose constant term comes first (Horner)."""
    at, total = group.small(index), coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        total = group.scalar_add(group.scalar_mul(total, at), coefficient)
    return total


def committed(commitments: Sequence[bytes], index: int) -> bytes:
    """Return f(index)*G from the commitments f_m*G alone (Feldman)."""
    at, total = group.small(index), commitments[-1]
    for commitment in reversed(commitments[:-1]):
        # The identity cannot be multiplied through libsodium; zero times anything is itself.
        step = total if total == group.IDENTITY else group.mult(at, total)
        total = group.add(step, commitment)
    return total


def check_quorum(quorum: Sequence[int], *, size: int | None = None) -> None:
    """Check that ``quorum`` holds distinct indices from 1 upwards, and ``size`` of them if given.

    Raises:
        QuorumRefused: anything else.
    """
    if not quorum or len(set(quorum)) != len(quorum) or min(quorum) < 1:
        raise QuorumRefused("a quorum is distinct indices from 1 upwards")
    if size is not None and len(quorum) != size:
        raise QuorumRefused(f"exactly {size} custodians are needed, {len(quorum)} were named")


def lagrange(index: int, quorum: Sequence[int]) -> bytes:
    """Return the coefficient of share ``index`` when exactly ``quorum`` combines, at zero.

    Raises:
        QuorumRefused: ``index`` is not in the quorum, or indices repeat.
    """
    check_quorum(quorum)
    if index not in quorum:
        raise QuorumRefused(f"index {index} is not in the quorum")
    top = bottom = 1
    for other in quorum:
        if other != index:
            top, bottom = top * other % group.ORDER, bottom * (other - index) % group.ORDER
    return group.small(top * pow(bottom, -1, group.ORDER))

"""A dealer who splits a key it knows: for tests only, since in the real ceremony nobody ever
holds it.
"""

import hashlib

from matching import group
from matching.oprf import SUITE
from matching.statement import Statement
from matching.threshold import committed, polynomial


def split(
    secret: bytes,
    *,
    threshold: int,
    ids: tuple[str, ...],
    purpose: str = "match",
    epoch: str = "2026",
) -> tuple[Statement, dict[str, bytes]]:
    """Return a statement under ``secret`` and the share of each custodian."""
    seeds = [hashlib.sha512(b"dealer" + secret + bytes([m])).digest() for m in range(1, threshold)]
    coefficients = [secret, *(group.reduce(seed) for seed in seeds)]
    commitments = tuple(group.base(c) for c in coefficients)
    shares = {one: polynomial(coefficients, j) for j, one in enumerate(ids, 1)}
    sid = hashlib.sha256(b"dealt" + secret + bytes([threshold, len(ids)])).hexdigest()
    publics = tuple(committed(commitments, j) for j in range(1, len(ids) + 1))
    return Statement(sid, epoch, purpose, SUITE, threshold, ids, commitments, publics), shares

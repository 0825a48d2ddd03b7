"""What a token, an evaluation, a released share and a lock cost, beside the primitives they cannot
do without.

Ours and the floor are measured in one run, through the same binding, in alternating rounds; the
best of each is kept.
"""

import hashlib
import os
from collections.abc import Callable
from time import perf_counter
from typing import Any

from matching import group, locks, oprf
from matching.evaluation import BATCH
from matching.statement import Statement
from matching.threshold import committed, lagrange, polynomial

_COUNT = 1024
_ROUNDS = 3
_US = 1e6


def rows(count: int = _COUNT, rounds: int = _ROUNDS) -> list[dict[str, Any]]:
    """Return one row per figure: name, ours, floor, ratio, goal, unit.

    Args:
        count: points per round, at most a batch.
    """
    bench = _Bench(min(count, BATCH))
    measured = [
        ("client, per token (2 of 3, proofs checked)", bench.client, bench.client_floor, 1.25),
        (
            "custodian, evaluation with proof, per point",
            bench.custodian,
            bench.custodian_floor,
            1.2,
        ),
        ("custodian, released share, per lock", bench.release, bench.release_floor, 1.2),
        ("partner, lock with tag and proof, per row", bench.lock, bench.lock_floor, 1.3),
    ]
    return [
        _row(name, ours, floor, goal, bench.count, rounds) for name, ours, floor, goal in measured
    ]


def _row(
    name: str,
    ours: Callable[[], object],
    floor: Callable[[], object],
    goal: float,
    count: int,
    rounds: int,
) -> dict[str, Any]:
    times: dict[str, list[float]] = {"ours": [], "floor": []}
    for _ in range(rounds):
        for side, work in (("ours", ours), ("floor", floor)):
            began = perf_counter()
            work()
            times[side].append((perf_counter() - began) / count * _US)
    best, least = min(times["ours"]), min(times["floor"])
    return {
        "name": name,
        "ours": round(best, 2),
        "floor": round(least, 2),
        "ratio": round(best / least, 3),
        "goal": goal,
        "unit": "us",
    }


def _scalars(count: int) -> bytes:
    return group.reduce_each(os.urandom(64 * count))


class _Bench:
    """Inputs made once; each method is one round over ``count`` of them."""

    def __init__(self, count: int) -> None:
        self.count, self.quorum = count, (1, 2)
        coefficients = [_scalars(1), _scalars(1)]
        self.shares = [polynomial(coefficients, j) for j in (1, 2, 3)]
        commitments = tuple(group.base(c) for c in coefficients)
        publics = tuple(committed(commitments, j) for j in (1, 2, 3))
        ids = ("a", "b", "c")
        self.statement = Statement(
            "00" * 32, "bench", "match", oprf.SUITE, 2, ids, commitments, publics
        )
        self.inputs = [hashlib.sha256(b"%d" % n).digest() for n in range(count)]
        self.hashes = [os.urandom(64) for _ in range(count)]
        self.nonce, self.blinds = _scalars(1), _scalars(count)
        self.points = oprf.blind(self.inputs, self.blinds)
        self.answers = [self._answer(j) for j in self.quorum]

    def _answer(self, j: int) -> tuple[bytes, oprf.Proof]:
        evaluated = oprf.evaluate(self.shares[j - 1], self.points)
        public = self.statement.shares[j - 1]
        proof = oprf.prove(self.shares[j - 1], public, self.points, evaluated, self.nonce)
        return evaluated, proof

    def client(self) -> None:
        """Blind, check two proofs, unblind with the Lagrange coefficients folded in, finalise."""
        blinds = _scalars(self.count)
        oprf.blind(self.inputs, blinds)
        for j, (evaluated, proof) in zip(self.quorum, self.answers, strict=True):
            oprf.check_proof(self.statement.shares[j - 1], self.points, evaluated, proof)
        weighted = [
            (lagrange(j, self.quorum), evaluated)
            for j, (evaluated, _) in zip(self.quorum, self.answers, strict=True)
        ]
        oprf.finalise(self.inputs, oprf.unblind(self.blinds, weighted))

    def client_floor(self) -> None:
        """Hash to group, 1 + t multiplications, t - 1 additions, a shared inversion; 2 + 2 a
        proof.
        """
        for one in self.hashes:
            group.from_hash(one)
        group.mult_pairs(self.blinds, self.points)
        group.invert_each(self.blinds)
        parts = [group.mult_pairs(self.blinds, evaluated) for evaluated, _ in self.answers]
        group.add_pairs(*parts)
        for evaluated, _ in self.answers:
            for elements in (self.points, evaluated):
                group.weighted_sum(self.blinds, elements)

    def custodian(self) -> None:
        """Evaluate a batch and prove it."""
        self._answer(1)

    def custodian_floor(self) -> None:
        """Two multiplications and one addition a point."""
        group.mult_each(self.shares[0], self.points)
        group.weighted_sum(self.blinds, self.points)

    def release(self) -> None:
        """Answer a chunk of locks for a quorum."""
        locks.share_answers(self.shares[0], 1, self.quorum, self.points)

    def release_floor(self) -> None:
        """One multiplication a lock."""
        group.mult_each(self.shares[0], self.points)

    def lock(self) -> None:
        """Make a row's roster entry and the point that goes into its key."""
        public = self.statement.public
        for n, secret in enumerate(self.inputs):
            r = self.blinds[32 * n : 32 * n + 32]
            locks.make_entry("bench", secret, r)
            locks.shared_point(r, public)

    def lock_floor(self) -> None:
        """r*G, the proof's commitment, r*X; and the proof's arithmetic on scalars."""
        public = self.statement.public
        for n in range(self.count):
            r = self.blinds[32 * n : 32 * n + 32]
            group.base(r)
            group.base(r)
            group.mult(r, public)
            group.reduce(self.hashes[n])
            group.reduce(self.hashes[n])
            group.scalar_sub(r, group.scalar_mul(r, r))

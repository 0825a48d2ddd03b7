"""What a token, an evaluation, a released share and a lock cost, beside the primitives they cannot
do without.

Ours and the floor are measured in one run, through the same binding, in alternating rounds; the
best of each is kept. One process's time is the processor's, which neighbours hardly change; that of
two together is the clock's. Where a limit is agreed and no floor is meant, the limit stands in the
floor's place and the goal is 1: a ratio below its goal is good in every row.
"""

import hashlib
import hmac
import multiprocessing
import os
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import cache
from time import perf_counter, process_time
from typing import Any

import rfc8785
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from consortium.cli import bench_upload
from mailer import keys
from mailer.seal import NONCE, PAYLOAD_BYTES, Payload, new_wrapped_key, row_key, seal
from matching import group, locks, oprf
from matching.evaluation import BATCH
from matching.statement import Statement
from matching.threshold import committed, lagrange, polynomial

_COUNT = 256
_ROUNDS = 20
_US = 1e6
_LISTS = ((1_000_000, "hash"), (20_000, "custodians"))
_KINDS = {"hash": "with a keyed hash", "custodians": "with custodians' answers"}
_MEGABYTES = 600.0
_OPEN_US = 60.0
_TOGETHER = 2


def rows(
    count: int = _COUNT, rounds: int = _ROUNDS, lists: Sequence[tuple[int, str]] = _LISTS
) -> list[dict[str, Any]]:
    """Return one row per figure: name, ours, floor, ratio, goal, unit.

    Args:
        count: points per round, at most a batch.
        lists: rows and kind of each list whose upload's memory is measured; the long one takes ten
            minutes.
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
        ("partner, lock, proof and seal, per row", bench.seal, bench.seal_floor, 1.3),
    ]
    if bench.prepare_open():
        measured.append(
            ("mailer, combine two answers and open, per row", bench.open, bench.open_floor, 1.6)
        )
    found = [
        _row(name, ours, floor, goal, bench.count, rounds) for name, ours, floor, goal in measured
    ]
    if len(measured) > _ALONE:
        opened = found[-1]["ours"]
        found.append(_told("mailer, the same / 60 us allowed", opened, _OPEN_US, 1, "us"))
    return [*found, _together(bench.count, rounds), *(_memory(*one) for one in lists)]


def opening(count: int = _COUNT, rounds: int = _ROUNDS) -> dict[str, Any] | None:
    """The row of opening one seal: shares from two custodians, combined, opened.

    Both custodians' work is done here, one after the other; in truth each has a machine of its own.
    None where the mail machine's part is not installed.
    """
    bench = _Bench(min(count, BATCH))
    if not bench.prepare_open():
        return None
    name = "opening the seal: two custodians' shares, combined, opened / their bare operations"
    return _row(name, bench.unlock, bench.unlock_floor, 1.3, bench.count, rounds)


_ALONE = 5
"""Rows that need no part of the mail machine."""


def _told(name: str, ours: float, floor: float, goal: float, unit: str) -> dict[str, Any]:
    return {
        "name": name,
        "ours": round(ours, 2),
        "floor": round(floor, 2),
        "ratio": round(ours / floor, 3),
        "goal": goal,
        "unit": unit,
    }


def _memory(count: int, kind: str) -> dict[str, Any]:
    """The most memory that an upload takes, from the CSV to the last byte sent."""
    name = f"partner, peak memory, {count:,} rows {_KINDS[kind]} / {_MEGABYTES:.0f} MB allowed"
    return _told(name, bench_upload.peak(count, kind), _MEGABYTES, 1, "MB")


def _together(count: int, rounds: int) -> dict[str, Any]:
    """Two processes that tokenise, beside two that do the bare operations, at one time.

    0.9 of what the bare ones reach together is 1 / 0.9 of their time a token.
    """
    times: dict[str, list[float]] = {"client": [], "client_floor": []}
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        pools = [
            stack.enter_context(ProcessPoolExecutor(1, mp_context=context))
            for _ in range(_TOGETHER)
        ]
        for work in [*times] * (rounds + 1):
            spent = [pool.submit(_spent, work, count) for pool in pools]
            times[work].append(max(one.result() for one in spent) / _TOGETHER)
    # The first round of each built what it measures.
    best, least = (min(spent[1:]) for spent in times.values())
    name = "client, two processes together, per token (0.9 of two bare ones is 1.11)"
    return _told(name, best / count * _US, least / count * _US, 1.11, "us")


@cache
def _bench(count: int) -> "_Bench":
    return _Bench(count)


def _spent(work: str, count: int) -> float:
    """Seconds for one round in this process."""
    act = getattr(_bench(count), work)
    began = perf_counter()
    act()
    return perf_counter() - began


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
            began = process_time()
            work()
            times[side].append((process_time() - began) / count * _US)
    return _told(name, min(times["ours"]), min(times["floor"]), goal, "us")


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
        self.payload, self.padded = Payload("reader@example.net", "Ana", "en"), bytes(PAYLOAD_BYTES)
        self.bundle, self.dek = uuid.uuid4(), os.urandom(32)
        self.bounds = [self.bundle.bytes + os.urandom(64) for _ in range(count)]

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

    def seal(self) -> None:
        """Make a row's roster entry, and seal its payload under both locks."""
        public = self.statement.public
        for n, secret in enumerate(self.inputs):
            r = self.blinds[32 * n : 32 * n + 32]
            entry = locks.make_entry("bench", secret, r)
            seal(
                self.payload,
                dek=self.dek,
                shared=locks.shared_point(r, public),
                bundle=self.bundle.bytes,
                tag=entry.tag,
                lock=entry.lock,
            )

    def seal_floor(self) -> None:
        """The lock's primitives, one HKDF (two HMACs) and one ChaCha20-Poly1305."""
        self.lock_floor()
        for bound in self.bounds:
            ChaCha20Poly1305(self._derived(bound)).encrypt(NONCE, self.padded, bound)

    def prepare_open(self) -> bool:
        """Seal what ``open`` opens; False where the mail machine's part is not installed.

        One module may open seals, so it is that module which is measured.
        """
        try:
            from consortium.jobs.mailing import Opener
            from consortium.service.post_office import SealedRow
        except ModuleNotFoundError:
            return False
        pair = keys.generate()
        header = {"bundle": str(self.bundle)}
        wrapped, commitment = new_wrapped_key(pair.public, rfc8785.dumps(header), self.dek)
        told = {**header, "commitment": commitment.hex()}
        locked = b"".join(group.base(self.blinds[32 * n :][:32]) for n in range(self.count))
        self.locked = locked
        self.released = [
            locks.share_answers(self.shares[j - 1], j, self.quorum, locked) for j in self.quorum
        ]
        points = locks.combine(self.released)
        self.rows = []
        for n in range(self.count):
            tag, lock = os.urandom(32), locked[32 * n :][:32]
            bound = self.bundle.bytes + tag + lock
            key = row_key(self.dek, points[32 * n :][:32], bound)
            row = SealedRow(
                str(self.bundle),
                tag,
                lock,
                seal(
                    self.payload,
                    dek=self.dek,
                    shared=points[32 * n :][:32],
                    bundle=self.bundle.bytes,
                    tag=tag,
                    lock=lock,
                ),
                wrapped,
                told,
            )
            self.rows.append((row, bound, key))
        self.opener = Opener(pair.private)
        return True

    def open(self) -> None:
        """Add two custodians' answers lock by lock, and open each row."""
        points = locks.combine(self.released)
        for n, (row, _, _) in enumerate(self.rows):
            self.opener(row, points[32 * n : 32 * n + 32])

    def open_floor(self) -> None:
        """One addition of points, one HKDF (two HMACs) and one ChaCha20-Poly1305."""
        group.add_pairs(*self.released)
        for row, bound, key in self.rows:
            self._derived(bound)
            ChaCha20Poly1305(key).decrypt(NONCE, row.sealed, bound)

    def unlock(self) -> None:
        """Two custodians answer for the locks, and the mailer opens their rows."""
        self.released = [
            locks.share_answers(self.shares[j - 1], j, self.quorum, self.locked)
            for j in self.quorum
        ]
        self.open()

    def unlock_floor(self) -> None:
        """Two multiplications a lock, and what opening cannot do without."""
        for j in self.quorum:
            group.mult_each(self.shares[j - 1], self.locked)
        self.open_floor()

    def _derived(self, bound: bytes) -> bytes:
        extracted = hmac.digest(bytes(32), self.dek + bound[:32], hashlib.sha256)
        return hmac.digest(extracted, bound + b"\x01", hashlib.sha256)

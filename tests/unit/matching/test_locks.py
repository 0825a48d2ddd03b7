"""A lock opens with enough shares, and only a lock whose maker knew it gets into a roster."""

import itertools
import os

import pytest

from matching import group, locks
from matching.crypto_errors import LockRefused, ProofRefused, QuorumRefused
from matching.locks import RosterEntry
from tests.fakes.dealer import split


def draw() -> bytes:
    return group.reduce(os.urandom(64))


def test_any_quorum_opens_what_the_sealer_mixed_in() -> None:
    statement, shares = split(draw(), threshold=2, ids=("a", "b", "c"), purpose="seal")
    r = draw()
    entry = locks.make_entry("2026", os.urandom(32), r)
    locks.check_entry("2026", RosterEntry.from_bytes(entry.to_bytes()))
    shared = locks.shared_point(r, statement.public)
    for quorum in itertools.combinations((1, 2, 3), 2):
        answers = [
            locks.share_answers(shares[statement.ids[j - 1]], j, quorum, entry.lock) for j in quorum
        ]
        assert locks.combine(answers) == shared
    assert locks.combine(answers[:1]) != shared


def test_a_malleated_lock_is_refused() -> None:
    entry, a = locks.make_entry("2026", os.urandom(32), draw()), draw()
    stretched = group.mult(a, entry.lock)
    other = locks.make_entry("2026", os.urandom(32), draw())
    for wrong in (
        RosterEntry(entry.tag, stretched, entry.proof),
        RosterEntry(os.urandom(32), entry.lock, entry.proof),  # one's own tag on another's lock
        RosterEntry(other.tag, entry.lock, other.proof),
        RosterEntry(entry.tag, group.IDENTITY, entry.proof),
        RosterEntry(entry.tag, b"\xff" * 32, entry.proof),
        RosterEntry(entry.tag, entry.lock, bytes(64)),
    ):
        with pytest.raises(LockRefused):
            locks.check_entry("2026", wrong)
    with pytest.raises(LockRefused):
        locks.check_entry("2027", entry)


def test_the_proof_of_a_released_chunk_finds_the_liar() -> None:
    statement, shares = split(draw(), threshold=2, ids=("a", "b", "c"), purpose="seal")
    raw = b"".join(locks.make_entry("2026", os.urandom(32), draw()).lock for _ in range(4))
    quorum = (1, 3)
    answers = locks.share_answers(shares["c"], 3, quorum, raw)
    proof = locks.prove_answers(shares["c"], 3, quorum, raw, answers)
    locks.check_answers(statement.share("c"), 3, quorum, raw, answers, proof)
    lie = answers[:-32] + group.mult(draw(), answers[-32:])
    with pytest.raises(ProofRefused):
        locks.check_answers(statement.share("c"), 3, quorum, raw, lie, proof)
    with pytest.raises(ProofRefused):
        locks.check_answers(statement.share("a"), 3, quorum, raw, answers, proof)


def test_a_quorum_must_name_who_answers_once() -> None:
    share, lock = draw(), locks.make_entry("2026", os.urandom(32), draw()).lock
    for quorum in ((2, 3), (1, 1), (0, 1), ()):
        with pytest.raises(QuorumRefused):
            locks.share_answers(share, 1, quorum, lock)


def test_audience_leaves_are_sorted_and_hide_their_order() -> None:
    each = [os.urandom(32) for _ in range(5)]
    leaves = locks.audience_leaves(b"n" * 32, each)
    assert leaves == sorted(leaves)
    assert leaves == locks.audience_leaves(b"n" * 32, each[::-1])
    assert locks.audience_leaf(b"n" * 32, each[0]) in leaves

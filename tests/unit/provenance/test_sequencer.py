"""Entries become promised at the swap, public with the quorum, and never twice or never."""

from datetime import timedelta

import pytest

from provenance.backend import CHECKPOINT
from provenance.errors import LockLost, RecoveryRefused
from provenance.merkle import check_consistency, consistency_path, leaf_hash, tree_root
from provenance.note import Signer
from provenance.quorum import Policy
from provenance.receipt import check_receipt
from provenance.sequencer import (
    Cosign,
    ProofFor,
    Sequencer,
    prove,
)
from provenance.tiles import TileReader, tiles_of
from tests.fakes.actors import LOG, NOON, POLICY, WITNESSES, trusting
from tests.fakes.log import MemoryBackend, MemoryLock, entry_at


def entries(start: int, count: int) -> list[bytes]:
    return [f"entry {n}".encode() for n in range(start, start + count)]


class World:
    def __init__(self, cosign: Cosign | None = None) -> None:
        self.backend, self.lock = MemoryBackend(), MemoryLock()
        self.log = self.opened(cosign)

    def opened(self, cosign: Cosign | None = None) -> Sequencer:
        return Sequencer(self.backend, self.lock, LOG, POLICY, cosign or trusting())


@pytest.mark.parametrize(
    "batches",
    [[1], [5], [256], [1, 1, 1], [255, 1, 1], [256, 256], [300, 300, 1], [1000], [513, 255, 1]],
    ids=str,
)
def test_a_log_holds_its_entries_under_the_right_root_in_the_right_tiles(
    batches: list[int],
) -> None:
    world = World()
    size = 0
    for count in batches:
        assert world.log.append(entries(size, count), NOON) == range(size, size + count)
        size += count
        tree = world.log.published()
        assert (tree.size, tree.root) == (size, tree_root(entries(0, size)))
        assert {tile.path for tile in tiles_of(size)} <= set(world.backend.files)
    assert world.backend.staging == {}


def test_tiles_above_the_first_level_hold_the_roots_of_the_full_ones() -> None:
    world = World()
    for at in range(0, 66_000, 22_000):
        world.log.append(entries(at, 22_000), NOON)
    tree = world.log.published()
    assert tree.root == tree_root(entries(0, 66_000))
    for tile in tiles_of(66_000):
        assert tile.path in world.backend.files
    assert world.backend.files["tile/2/000.p/1"] == tree_root(entries(0, 65_536))


def test_every_entry_can_be_read_and_proved() -> None:
    world = World()
    world.log.append(entries(0, 300), NOON)
    note = world.backend.files[CHECKPOINT]
    for index in (0, 1, 255, 256, 299):
        entry = entry_at(world.backend, index, 300)
        assert entry == entries(index, 1)[0]
        found, cosigned = check_receipt(entry, prove(world.backend, index, note), POLICY)
        assert (found, cosigned.checkpoint.size) == (index, 300)


def test_growth_is_proved_from_the_tiles() -> None:
    world = World()
    world.log.append(entries(0, 270), NOON)
    world.log.append(entries(270, 600), NOON)
    check_consistency(
        270,
        870,
        consistency_path(270, 870, TileReader(world.backend.read, 870).node),
        tree_root(entries(0, 270)),
        tree_root(entries(0, 870)),
    )


def test_without_a_quorum_nothing_is_published_but_all_is_promised() -> None:
    world = World(trusting(WITNESSES[:1]))
    world.log.append(entries(0, 3), NOON)
    world.log.append(entries(3, 3), NOON)
    assert CHECKPOINT not in world.backend.files
    assert (world.log.committed().size, world.log.published().size) == (6, 0)
    later = world.opened()
    later.recover()
    published = later.publish(NOON)
    assert published is not None
    assert (published.size, later.published().size) == (6, 6)
    assert world.backend.staging == {}


def test_one_witness_that_signs_badly_does_not_stop_the_others() -> None:
    good = trusting()

    def ask(note: bytes, proof_for: ProofFor) -> list[bytes]:
        lines = good(note, proof_for)
        forged = Signer(WITNESSES[0].verifier, lambda message: bytes(64))
        return [*trusting([forged])(note, proof_for), b"not a line", *lines[1:]]

    world = World(ask)
    world.log.append(entries(0, 3), NOON)
    assert set(POLICY.check(world.backend.files[CHECKPOINT]).cosignatures) == {
        "witness.example/w2",
        "witness.example/w3",
    }


def test_a_cosignature_from_the_future_is_not_published() -> None:
    world = World()
    world.log.append(entries(0, 3), NOON - timedelta(hours=1))
    assert CHECKPOINT not in world.backend.files


def test_the_proofs_given_to_witnesses_lead_to_the_new_root() -> None:
    sizes = []
    good = trusting()

    def ask(note: bytes, proof_for: ProofFor) -> list[bytes]:
        for old in range(7):
            proof = proof_for(old)
            root = tree_root(entries(0, old))
            check_consistency(old, 7, proof, root, tree_root(entries(0, 7)))
            sizes.append(old)
        return good(note, proof_for)

    World(ask).log.append(entries(0, 7), NOON)
    assert sizes == list(range(7))


def test_the_slower_of_two_processes_loses_and_changes_nothing() -> None:
    world = World()
    world.log.append(entries(0, 3), NOON)

    class Late(MemoryLock):
        def swap(self, origin: str, old: bytes | None, new: bytes) -> None:
            world.opened().append(entries(3, 2), NOON)
            world.lock.swap(origin, old, new)

        def load(self, origin: str) -> bytes | None:
            return world.lock.load(origin)

    with pytest.raises(LockLost):
        Sequencer(world.backend, Late(), LOG, POLICY, trusting()).append([b"late"], NOON)
    assert world.opened().recover().root == tree_root(entries(0, 5))
    world.log.append(entries(5, 1), NOON)
    assert world.log.published().root == tree_root(entries(0, 6))


def test_an_entry_already_promised_is_not_logged_twice() -> None:
    world = World()
    world.log.append(entries(0, 300), NOON)
    again = [*entries(298, 4), *entries(301, 1)]
    assert world.log.append_once(again, 290, NOON) == [298, 299, 300, 301, 301]
    assert world.log.append_once(again, 290, NOON) == [298, 299, 300, 301, 301]
    assert world.log.committed().size == 302
    assert world.log.leaves(299) == [leaf_hash(one) for one in entries(299, 3)]
    assert world.log.leaves(302) == []


def test_a_lock_older_than_the_log_refuses_to_start() -> None:
    world = World()
    world.log.append(entries(0, 3), NOON)
    old = dict(world.lock.notes)
    world.log.append(entries(3, 3), NOON)
    world.lock.notes = old
    with pytest.raises(RecoveryRefused, match="old copy"):
        world.opened().recover()


def test_a_lost_lock_refuses_to_start() -> None:
    world = World()
    world.log.append(entries(0, 3), NOON)
    world.lock.notes.clear()
    with pytest.raises(RecoveryRefused, match="old copy"):
        world.opened().recover()


@pytest.mark.parametrize("others", [3, 5])
def test_another_tree_in_the_lock_refuses_to_start(others: int) -> None:
    one, other = World(), World()
    one.log.append(entries(0, 3), NOON)
    other.log.append(entries(100, others), NOON)
    for path, data in other.backend.files.items():
        if path != CHECKPOINT:
            one.backend.files[path] = data
    one.lock.notes = other.lock.notes
    with pytest.raises(RecoveryRefused, match="forked"):
        one.opened().recover()


def test_a_promise_whose_tiles_are_gone_refuses_to_start() -> None:
    world = World()
    world.log.append(entries(0, 3), NOON)
    del world.backend.files["tile/entries/000.p/3"]
    with pytest.raises(RecoveryRefused, match="not all there"):
        world.opened().recover()


def test_a_lock_of_another_key_refuses_to_start() -> None:
    world = World()
    world.log.append(entries(0, 3), NOON)
    stranger = Signer.from_seed(LOG.verifier.name, bytes(32))
    policy = Policy.of(stranger.verifier, [one.verifier for one in WITNESSES], 2)
    with pytest.raises(RecoveryRefused, match="this log's key"):
        Sequencer(world.backend, world.lock, stranger, policy, trusting()).recover()


def test_a_staged_batch_that_was_never_committed_is_swept_away() -> None:
    world = World()
    world.log.append(entries(0, 3), NOON)
    world.backend.stage("9-" + "00" * 32, b"")
    assert world.opened().recover().size == 3
    assert world.backend.staging == {}

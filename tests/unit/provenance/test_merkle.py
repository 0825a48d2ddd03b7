"""Every proof of every small tree is accepted, and every altered one is refused."""

from collections.abc import Iterator

import pytest

from provenance.errors import ConsistencyRefused, InclusionRefused
from provenance.merkle import (
    EMPTY_ROOT,
    CompactRange,
    check_consistency,
    check_inclusion,
    consistency_path,
    inclusion_path,
    leaf_hash,
    leaf_hashes,
    node_hash,
    nodes_of,
    tree_root,
)

LIMIT = 100
WRONG = bytes(32)


def entries(count: int) -> list[bytes]:
    return [b"%d" % n for n in range(count)]


HELD = entries(LIMIT)
ROOTS = [tree_root(HELD[:size]) for size in range(LIMIT)]
NODES = nodes_of(leaf_hashes(HELD))  # a perfect subtree is the same in every tree that has it


def altered(path: list[bytes]) -> Iterator[list[bytes]]:
    """The ways a path can be wrong: longer, shorter, any one hash changed or gone, two swapped."""
    yield [*path, WRONG]
    yield [WRONG, *path]
    for at, one in enumerate(path):
        yield path[:at] + path[at + 1 :]
        yield [*path[:at], bytes([one[0] ^ 1]) + one[1:], *path[at + 1 :]]
        yield [*path[:at], one[:31], *path[at + 1 :]]
        yield [*path[:at], one, *path[at:]]
    for at in range(len(path) - 1):
        if path[at] != path[at + 1]:
            yield [*path[:at], path[at + 1], path[at], *path[at + 2 :]]


def included(entry: bytes, index: int, size: int, path: list[bytes], root: bytes) -> bool:
    try:
        check_inclusion(entry, index, size, path, root)
    except InclusionRefused:
        return False
    return True


def extends(old: int, size: int, path: list[bytes], before: bytes, root: bytes) -> bool:
    try:
        check_consistency(old, size, path, before, root)
    except ConsistencyRefused:
        return False
    return True


def test_every_inclusion_proof_below_a_hundred_holds() -> None:
    count = 0
    for size in range(1, LIMIT):
        for index in range(size):
            path = inclusion_path(index, size, NODES)
            check_inclusion(HELD[index], index, size, path, ROOTS[size])
            count += 1
    assert count == 4950


def test_every_consistency_proof_below_a_hundred_holds() -> None:
    count = 0
    for size in range(1, LIMIT):
        for old in range(1, size + 1):
            path = consistency_path(old, size, NODES)
            check_consistency(old, size, path, ROOTS[old], ROOTS[size])
            count += 1
    assert count == 4950


def test_no_altered_inclusion_proof_below_a_hundred_holds() -> None:
    for size in range(1, LIMIT):
        for index in range(size):
            path, root = inclusion_path(index, size, NODES), ROOTS[size]
            for wrong in altered(path):
                assert not included(HELD[index], index, size, wrong, root), (index, size)
            assert not included(b"other", index, size, path, root)
            assert not included(HELD[index], index, size, path, WRONG)
            for other in (index - 1, index + 1):
                assert not included(HELD[index], other, size, path, root), (index, size)


def test_no_altered_consistency_proof_below_a_hundred_holds() -> None:
    for size in range(1, LIMIT):
        for old in range(1, size + 1):
            path, before, root = consistency_path(old, size, NODES), ROOTS[old], ROOTS[size]
            for wrong in altered(path):
                assert not extends(old, size, wrong, before, root), (old, size)
            assert not extends(old, size, path, WRONG, root)
            assert not extends(old, size, path, before, WRONG)
            for other in (old - 1, old + 1):
                assert not extends(other, size, path, before, root), (old, size)


def test_a_proof_does_not_pin_the_size_so_a_receipt_takes_it_from_the_checkpoint() -> None:
    path = inclusion_path(2, 5, NODES)
    assert included(HELD[2], 2, 5, path, ROOTS[5])
    assert included(HELD[2], 2, 6, path, ROOTS[5])  # the same hashes, another size
    assert not included(HELD[2], 2, 6, path, ROOTS[6])


@pytest.mark.parametrize("index", [-1, 3, 4])
def test_an_index_outside_of_the_tree_is_refused(index: int) -> None:
    with pytest.raises(InclusionRefused):
        check_inclusion(b"0", index, 3, [], tree_root(entries(3)))
    with pytest.raises(InclusionRefused):
        inclusion_path(index, 3, nodes_of([WRONG] * 3))


def test_an_old_tree_larger_than_the_new_one_is_refused() -> None:
    with pytest.raises(ConsistencyRefused):
        check_consistency(4, 3, [], WRONG, WRONG)
    with pytest.raises(ConsistencyRefused):
        consistency_path(4, 3, nodes_of([WRONG] * 3))


def test_growth_from_nothing_takes_no_proof_and_proves_nothing() -> None:
    check_consistency(0, 3, [], EMPTY_ROOT, tree_root(entries(3)))
    check_consistency(0, 0, [], EMPTY_ROOT, EMPTY_ROOT)
    for old, path, before, root in (
        (0, [WRONG], EMPTY_ROOT, tree_root(entries(3))),
        (0, [], WRONG, tree_root(entries(3))),
    ):
        with pytest.raises(ConsistencyRefused):
            check_consistency(old, 3, path, before, root)
    with pytest.raises(ConsistencyRefused):
        check_consistency(0, 0, [], WRONG, WRONG)


def test_a_compact_range_has_the_root_of_every_prefix() -> None:
    edge = CompactRange()
    for count, entry in enumerate(entries(130), 1):
        edge.append(leaf_hash(entry))
        assert edge.root() == tree_root(entries(count))
    again = CompactRange(edge.size, edge.roots)
    again.append(leaf_hash(b"130"))
    assert again.root() == tree_root(entries(131))
    with pytest.raises(ValueError, match="one root"):
        CompactRange(3, [WRONG])


def test_a_compact_range_grows_by_many_as_it_grows_by_one() -> None:
    leaves = leaf_hashes(entries(130))
    for first in range(0, 70, 3):
        for more in (0, 1, 2, 5, 31, 32, 33, 60):
            edge, one_by_one = CompactRange(), CompactRange()
            edge.extend(leaves[:first])
            edge.extend(leaves[first : first + more])
            for leaf in leaves[: first + more]:
                one_by_one.append(leaf)
            assert (edge.size, edge.roots) == (one_by_one.size, one_by_one.roots)


def test_a_lone_last_hash_moves_up_and_is_not_doubled() -> None:
    first, second, third = (leaf_hash(one) for one in entries(3))
    assert tree_root(entries(3)) == node_hash(node_hash(first, second), third)
    assert tree_root([]) == EMPTY_ROOT

"""Every proof of every small tree is accepted, and every altered one is refused."""

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
    node_hash,
    nodes_of,
    tree_root,
)

SIZES = [pytest.param(40), pytest.param(100, marks=pytest.mark.soak)]
WRONG = bytes(32)


def entries(count: int) -> list[bytes]:
    return [b"%d" % n for n in range(count)]


def altered(path: list[bytes]) -> list[list[bytes]]:
    """The ways a path can be wrong: longer, shorter, one hash changed, two swapped."""
    found = [[*path, WRONG], [WRONG, *path]]
    if path:
        found += [path[:-1], path[1:], [*path[:-1], WRONG], [WRONG, *path[1:]]]
        found.append([*path[:-1], path[-1][:31]])
    if len(path) > 1 and path[0] != path[1]:
        found.append([path[1], path[0], *path[2:]])
    return found


@pytest.mark.parametrize("limit", SIZES)
def test_every_inclusion_proof_holds_and_no_altered_one(limit: int) -> None:
    for size in range(1, limit):
        held = entries(size)
        nodes, root = nodes_of([leaf_hash(one) for one in held]), tree_root(held)
        for index in range(size):
            path = inclusion_path(index, size, nodes)
            check_inclusion(held[index], index, size, path, root)
            for wrong in altered(path):
                with pytest.raises(InclusionRefused):
                    check_inclusion(held[index], index, size, wrong, root)
            with pytest.raises(InclusionRefused):
                check_inclusion(b"other", index, size, path, root)
            with pytest.raises(InclusionRefused):
                check_inclusion(held[index], index, size, path, WRONG)
            if size > 1:
                with pytest.raises(InclusionRefused):
                    check_inclusion(held[index], (index + 1) % size, size, path, root)


@pytest.mark.parametrize("limit", SIZES)
def test_every_consistency_proof_holds_and_no_altered_one(limit: int) -> None:
    for size in range(1, limit):
        held = entries(size)
        nodes, root = nodes_of([leaf_hash(one) for one in held]), tree_root(held)
        for old in range(1, size + 1):
            path, before = consistency_path(old, size, nodes), tree_root(held[:old])
            check_consistency(old, size, path, before, root)
            for wrong in altered(path):
                with pytest.raises(ConsistencyRefused):
                    check_consistency(old, size, wrong, before, root)
            for roots in ((WRONG, root), (before, WRONG)):
                with pytest.raises(ConsistencyRefused):
                    check_consistency(old, size, path, *roots)


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


def test_a_lone_last_hash_moves_up_and_is_not_doubled() -> None:
    first, second, third = (leaf_hash(one) for one in entries(3))
    assert tree_root(entries(3)) == node_hash(node_hash(first, second), third)
    assert tree_root([]) == EMPTY_ROOT

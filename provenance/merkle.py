"""Tree hashes, inclusion and consistency proofs."""

import hashlib
import hmac
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from provenance.errors import ConsistencyRefused, InclusionRefused

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()

Nodes: TypeAlias = Callable[[int, int], bytes]
"""``nodes(height, place)``: the root of the perfect subtree over
``[place * 2**height, (place + 1) * 2**height)``."""


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256(0x00 || entry). Source: RFC 6962, 2.1."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right). Source: RFC 6962, 2.1."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def leaf_hashes(entries: Iterable[bytes]) -> list[bytes]:
    """The leaf hash of each entry."""
    sha256 = hashlib.sha256
    return [sha256(b"\x00" + entry).digest() for entry in entries]


def root_of_hashes(hashes: Sequence[bytes]) -> bytes:
    """Root of the tree over leaf hashes, or over the roots of equally high perfect subtrees."""
    if not hashes:
        return EMPTY_ROOT
    # Written out instead of calling ``node_hash``: a call costs as much as the hash.
    level, sha256 = list(hashes), hashlib.sha256
    while len(level) > 1:
        odd = level[-1:] if len(level) & 1 else []
        pairs = zip(level[::2], level[1::2], strict=False)
        level = [sha256(b"\x01" + left + right).digest() for left, right in pairs] + odd
    return level[0]


def tree_root(entries: Iterable[bytes]) -> bytes:
    """Root of the tree over these entries' own bytes."""
    return root_of_hashes(leaf_hashes(entries))


class CompactRange:
    """The roots of the perfect subtrees of a growing tree, left to right: all one needs to append.

    Args:
        size: leaves so far.
        roots: one hash per one-bit of ``size``, the largest subtree first.
    """

    def __init__(self, size: int = 0, roots: Sequence[bytes] = ()) -> None:
        if len(roots) != size.bit_count():
            raise ValueError("one root per one-bit of the size")
        self.size = size
        self.roots = list(roots)

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash."""
        self._push(leaf, 0)

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Add these leaf hashes, the largest aligned subtrees at once."""
        at = 0
        while at < len(leaves):
            height = (len(leaves) - at).bit_length() - 1
            if self.size:
                # No subtree may be higher than its place is aligned.
                height = min(height, (self.size & -self.size).bit_length() - 1)
            self._push(root_of_hashes(leaves[at : at + (1 << height)]), height)
            at += 1 << height

    def _push(self, root: bytes, height: int) -> None:
        self.roots.append(root)
        carry = self.size >> height
        while carry & 1:
            right = self.roots.pop()
            self.roots.append(node_hash(self.roots.pop(), right))
            carry >>= 1
        self.size += 1 << height

    def root(self) -> bytes:
        """Root of the tree so far."""
        if not self.roots:
            return EMPTY_ROOT
        here = self.roots[-1]
        for left in reversed(self.roots[:-1]):
            here = node_hash(left, here)
        return here


def perfect_subtrees(size: int) -> list[tuple[int, int]]:
    """``(height, place)`` of the perfect subtrees of a tree of ``size``, the largest first."""
    found, start = [], 0
    for height in range(size.bit_length() - 1, -1, -1):
        if size >> height & 1:
            found.append((height, start >> height))
            start += 1 << height
    return found


def tree_root_at(size: int, nodes: Nodes) -> bytes:
    """Root of the tree of the first ``size`` leaves."""
    return CompactRange(size, [nodes(*place) for place in perfect_subtrees(size)]).root()


def inclusion_path(index: int, size: int, nodes: Nodes) -> list[bytes]:
    """Hashes that lead from leaf ``index`` to the root of ``size`` leaves.

    Returns:
        32-byte hashes, the leaf's sibling first.

    Source:
        RFC 6962, 2.1.1.
    """
    if not 0 <= index < size:
        raise InclusionRefused("index outside the tree")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        split = start + _split(end - start)
        if index < split:
            path.append(_range_root(split, end, nodes))
            end = split
        else:
            path.append(_range_root(start, split, nodes))
            start = split
    return path[::-1]


def consistency_path(old: int, size: int, nodes: Nodes) -> list[bytes]:
    """Hashes that show that the first ``old`` of ``size`` leaves are the older tree.

    Returns:
        32-byte hashes in the order of RFC 6962; empty when ``old`` is 0 or ``size``.

    Source:
        RFC 6962, 2.1.2.
    """
    if not 0 <= old <= size:
        raise ConsistencyRefused("the old tree is larger than the new one")
    if old in (0, size):
        return []
    path: list[bytes] = []
    start, end, whole = 0, size, True
    while old != end:
        split = start + _split(end - start)
        if old <= split:
            path.append(_range_root(split, end, nodes))
            end = split
        else:
            path.append(_range_root(start, split, nodes))
            start, whole = split, False
    if not whole:
        path.append(_range_root(start, end, nodes))
    return path[::-1]


def nodes_of(leaves: Sequence[bytes]) -> Nodes:
    """A node source over leaf hashes held in memory; every level is computed once."""
    levels = [list(leaves)]

    def node(height: int, place: int) -> bytes:
        while len(levels) <= height:
            below = levels[-1]
            levels.append([node_hash(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)])
        return levels[height][place]

    return node


def check_inclusion(
    entry: bytes, index: int, size: int, path: Sequence[bytes], root: bytes
) -> None:
    """Check that ``entry`` is leaf ``index`` of the tree of ``size`` leaves with this root.

    Args:
        entry: the entry's own bytes, not its hash: the caller cannot skip hashing.
        index: 0-based, from the oldest.
        size: leaves under ``root``; both from one verified checkpoint, since a proof does not
            pin the size.
        path: 32-byte hashes from the leaf's sibling upwards.
        root: 32 bytes.

    Raises:
        InclusionRefused: always, when anything at all is wrong. Never returns a flag.

    Source:
        RFC 9162, 2.1.3.2.
    """
    if not 0 <= index < size:
        raise InclusionRefused("index outside the tree")
    node, last, here = index, size - 1, leaf_hash(entry)
    for sibling in path:
        if last == 0 or len(sibling) != HASH_BYTES:
            raise InclusionRefused("path longer than the tree is high, or not made of hashes")
        if node & 1 or node == last:
            here = node_hash(sibling, here)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            here = node_hash(here, sibling)
        node, last = node >> 1, last >> 1
    if last != 0 or not hmac.compare_digest(here, root):
        raise InclusionRefused("path does not lead to this root")


def check_consistency(
    old: int, size: int, path: Sequence[bytes], old_root: bytes, root: bytes
) -> None:
    """Check that the tree of ``size`` leaves extends the tree of ``old`` leaves.

    Raises:
        ConsistencyRefused: always, when anything at all is wrong.

    Source:
        RFC 9162, 2.1.4.2. An old size of 0 proves nothing and takes an empty path.
    """
    if not 0 <= old <= size:
        raise ConsistencyRefused("the old tree is larger than the new one")
    if old == 0 or old == size:
        if path:
            raise ConsistencyRefused("no path is needed here")
        if not hmac.compare_digest(old_root, root if old == size else EMPTY_ROOT):
            raise ConsistencyRefused("two roots for one size")
        if size == 0 and root != EMPTY_ROOT:
            raise ConsistencyRefused("an empty tree has the empty root")
        return
    hashes = list(path)
    if not hashes or any(len(one) != HASH_BYTES for one in hashes):
        raise ConsistencyRefused("path empty, or not made of hashes")
    if old & (old - 1) == 0:
        hashes.insert(0, old_root)
    node, last = old - 1, size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    older = newer = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise ConsistencyRefused("path longer than the tree is high")
        if node & 1 or node == last:
            older, newer = node_hash(sibling, older), node_hash(sibling, newer)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            newer = node_hash(newer, sibling)
        node, last = node >> 1, last >> 1
    if (
        last != 0
        or not hmac.compare_digest(older, old_root)
        or not hmac.compare_digest(newer, root)
    ):
        raise ConsistencyRefused("path does not lead from the old root to the new one")


def _split(size: int) -> int:
    """The largest power of two below ``size``."""
    return 1 << (size - 1).bit_length() - 1


def _range_root(start: int, end: int, nodes: Nodes) -> bytes:
    """Root over ``[start, end)``, where start is a multiple of the size's power of two."""
    roots, here = [], start
    for height, _ in perfect_subtrees(end - start):
        roots.append(nodes(height, here >> height))
        here += 1 << height
    return CompactRange(end - start, roots).root()

"""Several leaves proved under one root at once: hashes that their paths share are written once."""

import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from provenance.errors import InclusionRefused
from provenance.merkle import HASH_BYTES, leaf_hash, node_hash

MOST = 1 << 12
"""Leaves in one proof; no reader is made to do more."""

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Path:
    """One leaf's own inclusion proof: its place and the hashes from its sibling upwards."""

    index: int
    hashes: tuple[bytes, ...]


def share(paths: Sequence[Path], size: int) -> list[bytes]:
    """Join inclusion proofs of one tree into one.

    Args:
        paths: each leaf's own; of one tree, which the caller has checked.
        size: leaves of that tree.

    Returns:
        The 32-byte roots of the largest subtrees without any of these leaves, from left to right.

    Raises:
        InclusionRefused: a path has not the length that its place and the size ask for.
    """
    known: dict[Range, bytes] = {}
    for one in paths:
        beside = list(_beside(one.index, size))
        if len(beside) != len(one.hashes):
            raise InclusionRefused("a path has not the length of its place")
        known.update(zip(beside, reversed(one.hashes), strict=True))
    places = sorted({one.index for one in paths})
    return [known[one] for one in _gaps(places, 0, size)]


def check_shared(
    entries: Mapping[int, bytes], size: int, hashes: Sequence[bytes], root: bytes
) -> None:
    """Check that each of ``entries`` is the leaf at its index in the tree with this root.

    Args:
        entries: index to the entry's own bytes.
        size: leaves under ``root``; both from one verified checkpoint.
        hashes: what ``share`` returned.

    Raises:
        InclusionRefused: always, when anything at all is wrong. Never returns a flag.
    """
    places = sorted(entries)
    if not places or len(places) > MOST or places[0] < 0 or places[-1] >= size:
        raise InclusionRefused("an index outside the tree, or none, or too many")
    if any(len(one) != HASH_BYTES for one in hashes):
        raise InclusionRefused("a shared path is made of hashes")
    left = list(reversed(hashes))
    here = _root(places, 0, size, entries, left)
    if left or not hmac.compare_digest(here, root):
        raise InclusionRefused("the shared path does not lead to this root")


def _root(
    places: Sequence[int], start: int, end: int, entries: Mapping[int, bytes], left: list[bytes]
) -> bytes:
    if not places:
        if not left:
            raise InclusionRefused("the shared path is too short")
        return left.pop()
    if end - start == 1:
        return leaf_hash(entries[start])
    split, before, after = _parted(places, start, end)
    first = _root(before, start, split, entries, left)
    return node_hash(first, _root(after, split, end, entries, left))


def _gaps(places: Sequence[int], start: int, end: int) -> Iterator[Range]:
    """The largest subtrees within a range that hold none of the places, from left to right."""
    if not places:
        yield start, end
    elif end - start > 1:
        split, before, after = _parted(places, start, end)
        yield from _gaps(before, start, split)
        yield from _gaps(after, split, end)


def _beside(index: int, size: int) -> Iterator[Range]:
    """The subtrees whose roots stand in a leaf's own path, from the root downwards."""
    if not 0 <= index < size:
        raise InclusionRefused("index outside the tree")
    start, end = 0, size
    while end - start > 1:
        split, before, _ = _parted([index], start, end)
        yield (split, end) if before else (start, split)
        start, end = (start, split) if before else (split, end)


def _parted(
    places: Sequence[int], start: int, end: int
) -> tuple[int, Sequence[int], Sequence[int]]:
    """Where a subtree splits (RFC 6962, 2.1), and the places on each side."""
    split = start + (1 << (end - start - 1).bit_length() - 1)
    before = [one for one in places if one < split]
    return split, before, places[len(before) :]

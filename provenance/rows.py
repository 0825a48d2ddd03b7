"""A list's rows as one tree: salted commitments among random ones, each at a place drawn at random.

Only the root and the padded size are logged. One row is opened without any other, and neither its
place nor its proof tells how many rows there are. One secret per row makes whatever else is random
about it: whoever deletes the secret lets go of the row.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from provenance.errors import InclusionRefused
from provenance.merkle import (
    HASH_BYTES,
    CompactRange,
    check_inclusion,
    inclusion_path,
    leaf_hash,
    nodes_of,
)

ROW_LABEL = b"trellis/row/v1\n"
LEAVE_LABEL = b"trellis/row-label/v1\n"
_BLOCK = HASH_BYTES << 12


@dataclass(frozen=True, slots=True)
class RowOpening:
    """What turns one commitment back into its row. Holds nothing of a person, sealed or not.

    Attributes:
        salt: 32 bytes, from the row's secret.
        label: 32 bytes, from the row's secret: the name under which the log says that it left.
        lock: 32 bytes: what custodians open, and what an audience's root is over.
        rest: SHA-256 of everything else of the row.
    """

    salt: bytes = field(repr=False)
    label: bytes = field(repr=False)
    lock: bytes = field(repr=False)
    rest: bytes = field(repr=False)

    @classmethod
    def of(cls, secret: bytes, lock: bytes, *rest: bytes) -> "RowOpening":
        """Open a row whose secret one has; ``rest`` is its other cells, in order."""
        # Lengths, so that no two rows' cells can be the same bytes.
        told = b"".join(len(one).to_bytes(4, "big") + one for one in rest)
        return cls(
            _derived(secret, b"row-salt"), row_label(secret), lock, hashlib.sha256(told).digest()
        )

    def commitment(self) -> bytes:
        """The 32 bytes that stand for the row in its list's tree."""
        parts = (self.salt, self.label, self.lock, self.rest)
        if any(len(one) != HASH_BYTES for one in parts):
            raise InclusionRefused("the parts of an opened row have 32 bytes each")
        return hashlib.sha256(ROW_LABEL + b"".join(parts)).digest()


def row_label(secret: bytes) -> bytes:
    """The row's random name, 32 bytes, which tells neither its secret nor its tag."""
    return label_of(row_leave(secret))


def row_leave(secret: bytes) -> bytes:
    """What withdraws the row, 32 bytes; who was only shown its label cannot."""
    return _derived(secret, b"row-leave")


def label_of(leave: bytes) -> bytes:
    """The label of the row that this withdraws."""
    return hashlib.sha256(LEAVE_LABEL + leave).digest()


def _derived(secret: bytes, purpose: bytes) -> bytes:
    return hmac.digest(secret, purpose, hashlib.sha256)


class Tree:
    """A list's tree while it is written: 32 bytes a place, little of it in memory at a time.

    Args:
        file: empty; written and read again.
        size: places, a power of two: the list's size class.
        random: as many fresh random bytes as it is asked for.
    """

    def __init__(self, file: BinaryIO, size: int, random: Callable[[int], bytes]) -> None:
        self._file = file
        for at in range(0, size * HASH_BYTES, _BLOCK):
            # Whatever no row is put over stays: a commitment to nothing, like any other.
            file.write(random(min(_BLOCK, size * HASH_BYTES - at)))

    def put(self, place: int, commitment: bytes) -> None:
        """Put a row's commitment at a place that no other row has."""
        self._file.seek(place * HASH_BYTES)
        self._file.write(commitment)

    def root(self) -> bytes:
        """The root over all places as they are now."""
        self._file.seek(0)
        growing = CompactRange()
        for one in _each(self._file):
            growing.append(leaf_hash(one))
        return growing.root()


def _each(tree: BinaryIO) -> Iterator[bytes]:
    while block := tree.read(_BLOCK):
        for at in range(0, len(block), HASH_BYTES):
            yield block[at : at + HASH_BYTES]


@dataclass(frozen=True, slots=True)
class RowProof:
    """Where a row stands in its list's tree, and the hashes from its sibling upwards."""

    place: int
    path: tuple[bytes, ...] = field(repr=False)


def prove_row(tree: bytes, opening: RowOpening) -> RowProof:
    """Prove one row of a file that ``Tree`` wrote.

    Raises:
        InclusionRefused: the row is not in it.
    """
    wanted = opening.commitment()
    at = tree.find(wanted)
    while at % HASH_BYTES:  # neither the beginning of a place, nor missing when it is -1
        if at < 0:
            raise InclusionRefused("the row is not in this tree")
        at = tree.find(wanted, at + 1)
    size = len(tree) // HASH_BYTES
    leaves = [leaf_hash(tree[one : one + HASH_BYTES]) for one in range(0, len(tree), HASH_BYTES)]
    place = at // HASH_BYTES
    return RowProof(place, tuple(inclusion_path(place, size, nodes_of(leaves))))


def check_row(opening: RowOpening, proof: RowProof, size: int, root: bytes) -> None:
    """Check that a row is in the list whose size class and root were logged.

    Raises:
        InclusionRefused: always, when anything at all is wrong.
    """
    check_inclusion(opening.commitment(), proof.place, size, proof.path, root)

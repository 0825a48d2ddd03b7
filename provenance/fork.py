"""Two checkpoints of one log: does one extend the other, or did the log sign two histories?"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from provenance.canonical import JSON
from provenance.checkpoint import Checkpoint, open_checkpoint
from provenance.errors import ConsistencyRefused, ForkRefused, NoteRefused, TileRefused
from provenance.merkle import (
    EMPTY_ROOT,
    HASH_BYTES,
    Nodes,
    check_consistency,
    consistency_path,
    tree_root_at,
)
from provenance.note import Verifier, from_base64, to_base64

FORMAT = "trellis/fork/v1"

Verdict: TypeAlias = Literal["same", "extends", "forked"]


@dataclass(frozen=True, slots=True)
class Fork:
    """Evidence that one log signed two trees that contradict each other.

    Attributes:
        older, newer: signed checkpoint notes, verbatim; ``newer`` covers as many entries or more.
        prefix: the root that the newer tree had when it was as large as the older one.
        path: the consistency path that leads from ``prefix`` to the newer root. It is what makes
            this a proof: nobody can find one for a prefix that the newer tree never had.
    """

    older: bytes = field(repr=False)
    newer: bytes = field(repr=False)
    prefix: bytes
    path: tuple[bytes, ...]

    def to_json(self) -> dict[str, JSON]:
        """The evidence file: notes as text, hashes in base64, in words what it shows."""
        return {
            "format": FORMAT,
            "says": "One log signed both checkpoints, and the newer tree does not begin with the "
            "older one. Anybody can check this with the log's key: trellis audit diff FILE --vkey",
            "older": self.older.decode("utf-8"),
            "newer": self.newer.decode("utf-8"),
            "prefix": to_base64(self.prefix),
            "path": [to_base64(one) for one in self.path],
        }

    @classmethod
    def from_json(cls, value: JSON) -> "Fork":
        """Read what ``to_json`` wrote, or ``ForkRefused``; nothing is believed yet."""
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            raise ForkRefused(f"this is no evidence of a fork ({FORMAT})")
        older, newer, path = value.get("older"), value.get("newer"), value.get("path")
        if not isinstance(older, str) or not isinstance(newer, str) or not isinstance(path, list):
            raise ForkRefused("evidence of a fork is two checkpoints, a root and a path")
        return cls(
            older.encode("utf-8"),
            newer.encode("utf-8"),
            _hash(value.get("prefix")),
            tuple(_hash(one) for one in path),
        )


def check_fork(fork: Fork, logs: Sequence[Verifier]) -> tuple[Checkpoint, Checkpoint]:
    """Check evidence of a fork offline; return the two checkpoints that contradict each other.

    Args:
        logs: keys of the log, from somewhere other than the evidence.

    Raises:
        ForkRefused: it does not show a fork.
        NoteRefused, CheckpointRefused, SignatureRefused: a checkpoint is not this log's.
    """
    older, _ = open_checkpoint(fork.older, logs)
    newer, _ = open_checkpoint(fork.newer, logs)
    if older.origin != newer.origin:
        raise ForkRefused("the checkpoints are of two logs")
    if older.root == fork.prefix:
        raise ForkRefused("the newer tree begins with the older one; nothing is wrong")
    try:
        check_consistency(older.size, newer.size, fork.path, fork.prefix, newer.root)
    except ConsistencyRefused as refused:
        raise ForkRefused(f"what the newer tree began with is not proved: {refused}") from refused
    return older, newer


def compare(older: bytes, newer: bytes, logs: Sequence[Verifier], nodes: Nodes | None) -> Verdict:
    """Say how two signed checkpoints of one log stand to each other; a fork is `find_fork`'s.

    Args:
        older, newer: notes; ``newer`` covers as many entries or more.
        nodes: of the newer tree; not needed where both cover equally many.

    Raises:
        ForkRefused: it cannot be told: other logs, or no nodes that lead to the newer root.
        ProvenanceError: a note is not signed by the log.
    """
    before, _ = open_checkpoint(older, logs)
    after, _ = open_checkpoint(newer, logs)
    if before.origin != after.origin:
        raise ForkRefused(f"two logs: {before.origin} and {after.origin}")
    if before.size == after.size:
        return "same" if before.root == after.root else "forked"
    return "extends" if _prefix(before, after, nodes) == before.root else "forked"


def find_fork(older: bytes, newer: bytes, logs: Sequence[Verifier], nodes: Nodes | None) -> Fork:
    """Make the evidence, and check it as anybody will; arguments as for `compare`.

    Raises:
        ForkRefused: there is no fork.
        ProvenanceError: as `compare`.
    """
    before, _ = open_checkpoint(older, logs)
    after, _ = open_checkpoint(newer, logs)
    path: Sequence[bytes] = ()
    if before.size < after.size and nodes is not None:
        path = consistency_path(before.size, after.size, nodes)
    made = Fork(older, newer, _prefix(before, after, nodes), tuple(path))
    check_fork(made, logs)
    return made


def _prefix(before: Checkpoint, after: Checkpoint, nodes: Nodes | None) -> bytes:
    """The root of as many entries of the newer tree as the older one covers."""
    if before.size > after.size:
        raise ForkRefused("the older checkpoint covers more entries than the newer one")
    if before.size == after.size:
        return after.root
    if before.size == 0:
        return EMPTY_ROOT
    if nodes is None:
        raise ForkRefused(
            f"whether {after.size} entries extend {before.size} cannot be told from two "
            "checkpoints alone: give the larger log as a folder or an address"
        )
    try:
        if tree_root_at(after.size, nodes) != after.root:
            raise ForkRefused("the tiles beside the larger checkpoint do not lead to its root")
        return tree_root_at(before.size, nodes)
    except (TileRefused, IndexError) as refused:
        raise ForkRefused(f"the larger tree cannot be read: {refused}") from refused


def _hash(value: JSON) -> bytes:
    try:
        raw = from_base64(value if isinstance(value, str) else "")
    except NoteRefused as refused:
        raise ForkRefused("a hash in the evidence is not base64") from refused
    if len(raw) != HASH_BYTES:
        raise ForkRefused(f"a hash in the evidence has not {HASH_BYTES} bytes")
    return raw

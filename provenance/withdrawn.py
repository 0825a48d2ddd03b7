"""Which rows left, as a pure function of the log: random labels in padded batches, nothing else.

Every row has a random label, which only its commitment binds to it. What leaves does so in batches
of one length, mixed from all lists and filled up with labels of no row, so that a batch tells
neither whose rows left nor how many. All labels so far, sorted, make a tree; two neighbours in it
prove that whatever would stand between them has not left.
"""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from provenance.canonical import JSON, unhex
from provenance.errors import CanonicalRefused, InclusionRefused, StoryRefused
from provenance.merkle import inclusion_path, leaf_hash, nodes_of, root_of_hashes
from provenance.shared import Path, check_shared, share

LABEL_BYTES = 32
LOWEST = bytes(LABEL_BYTES)
HIGHEST = b"\xff" * LABEL_BYTES
"""No row's labels: the two ends of every tree, so that each label has a neighbour on both sides."""
BATCH = 64
"""Labels in one batch: the most that leave in one publication, and the fewest that seem to."""
LIST_LABEL = b"trellis/list-label/v1\n"


def list_label(root: bytes) -> bytes:
    """The name under which a whole list leaves: random to whoever was not told its tree's root."""
    return hashlib.sha256(LIST_LABEL + root).digest()


@dataclass(frozen=True, slots=True)
class Batch:
    """What leaves at once: exactly ``BATCH`` labels, sorted, each once."""

    labels: tuple[bytes, ...] = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.labels) != BATCH:
            raise StoryRefused(f"a batch of withdrawals has {BATCH} labels")
        if any(len(one) != LABEL_BYTES for one in self.labels):
            raise StoryRefused(f"a label has {LABEL_BYTES} bytes")
        # Any other order could tell in which order, or by whom, they came.
        if any(a >= b for a, b in zip(self.labels, self.labels[1:], strict=False)):
            raise StoryRefused("the labels of a batch are sorted, each once")
        if self.labels[0] == LOWEST or self.labels[-1] == HIGHEST:
            raise StoryRefused("the ends of the tree are nobody's labels")


@dataclass(frozen=True, slots=True)
class State:
    """Everything that left so far.

    Attributes:
        number: batches so far.
        labels: sorted, with the two ends; what ``root`` is over.
    """

    number: int = 0
    labels: tuple[bytes, ...] = field(default=(LOWEST, HIGHEST), repr=False)

    @property
    def size(self) -> int:
        """Leaves of the tree, its two ends included."""
        return len(self.labels)

    def root(self) -> bytes:
        """The root over all labels, each an entry of its own (RFC 6962, 2.1)."""
        return root_of_hashes([leaf_hash(one) for one in self.labels])

    def __contains__(self, label: bytes) -> bool:
        at = bisect.bisect_left(self.labels, label)
        return at < self.size and self.labels[at] == label

    def after(self, batch: Batch) -> State:
        """The state with one more batch; raises StoryRefused if something leaves twice."""
        if any(one in self for one in batch.labels):
            raise StoryRefused("a batch holds a label that left before")
        return State(self.number + 1, tuple(sorted((*self.labels, *batch.labels))))

    @classmethod
    def of(cls, number: int, labels: Sequence[bytes]) -> State:
        """The state that a server says, to be held against the root that the log has."""
        if any(len(one) != LABEL_BYTES for one in labels):
            raise StoryRefused(f"a label has {LABEL_BYTES} bytes")
        return cls(number, (LOWEST, *sorted(labels), HIGHEST))

    def facts(self, batch: Batch) -> dict[str, JSON]:
        """What the log says of the batch that led to this state."""
        return {
            "kind": "state",
            "number": self.number,
            "labels": b"".join(batch.labels).hex(),
            "size": self.size,
            "root": self.root().hex(),
        }


def mix(
    waiting: Sequence[bytes], state: State, fresh: Callable[[], bytes]
) -> tuple[Batch, tuple[bytes, ...]]:
    """Make the next batch, in every publication, whether or not anything waits.

    Args:
        waiting: labels of rows that are leaving, of all lists, oldest first; known ones are no
            error.
        fresh: 32 random bytes at each call.

    Returns:
        The batch, and what has to wait for the next one.
    """
    leaving = [one for one in dict.fromkeys(waiting) if one not in state]
    chosen = set(leaving[:BATCH])
    while len(chosen) < BATCH:
        filler = fresh()
        if filler not in state:
            chosen.add(filler)
    return Batch(tuple(sorted(chosen))), tuple(leaving[BATCH:])


def follow(state: State, facts: Mapping[str, JSON]) -> State:
    """The state after an entry's facts; from ``State()`` on, in the log's order, the present one.

    Raises:
        StoryRefused: a batch is missing, comes twice, or is not what a batch must be; or the
            entry states another size or root than follows.
    """
    if facts.get("kind") != "state" or facts.get("number") != state.number + 1:
        raise StoryRefused(f"after batch {state.number} comes batch {state.number + 1}")
    try:
        raw = unhex(facts.get("labels"), BATCH * LABEL_BYTES)
    except CanonicalRefused as refused:
        raise StoryRefused(f"batch {state.number + 1}: its labels are {refused}") from refused
    batch = Batch(tuple(_cut(raw)))
    after = state.after(batch)
    if after.facts(batch) != dict(facts):
        raise StoryRefused(f"batch {after.number}: its size or root is not what follows from it")
    return after


def _cut(raw: bytes) -> Iterator[bytes]:
    for at in range(0, len(raw), LABEL_BYTES):
        yield raw[at : at + LABEL_BYTES]


@dataclass(frozen=True, slots=True)
class Absence:
    """Two neighbours in a state's tree, and hashes that prove both at once.

    ``place`` is the lower one's; the upper one's is the next.
    """

    place: int
    lower: bytes = field(repr=False)
    upper: bytes = field(repr=False)
    hashes: tuple[bytes, ...] = field(repr=False)


def prove_absent(state: State, label: bytes) -> Absence:
    """Prove that a label has not left; raises InclusionRefused when it has."""
    if label in state or not LOWEST < label < HIGHEST:
        raise InclusionRefused("that label has left, or is no label")
    upper = bisect.bisect_left(state.labels, label)
    nodes = nodes_of([leaf_hash(one) for one in state.labels])
    paths = [Path(at, tuple(inclusion_path(at, state.size, nodes))) for at in (upper - 1, upper)]
    hashes = tuple(share(paths, state.size))
    return Absence(upper - 1, state.labels[upper - 1], state.labels[upper], hashes)


def check_absent(label: bytes, proof: Absence, size: int, root: bytes) -> None:
    """Check that a label has not left, in the state whose size and root the log holds.

    Raises:
        InclusionRefused: always, when anything at all is wrong. Never returns a flag.
    """
    if len(label) != LABEL_BYTES or not proof.lower < label < proof.upper:
        raise InclusionRefused("the label does not lie between the two neighbours")
    # That their places follow one another is all that keeps a third from standing between them.
    pair = {proof.place: proof.lower, proof.place + 1: proof.upper}
    check_shared(pair, size, proof.hashes, root)

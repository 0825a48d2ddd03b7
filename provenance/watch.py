"""One look at a log by somebody who looked before: it only grew, or what is wrong is shown."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from provenance.audit import Source
from provenance.backend import CHECKPOINT
from provenance.checkpoint import Checkpoint, open_checkpoint
from provenance.errors import (
    AuditRefused,
    ForkRefused,
    LogForked,
    LogWentBack,
    ProvenanceError,
    TileRefused,
)
from provenance.fork import compare, find_fork
from provenance.merkle import CompactRange, nodes_of, tree_root_at
from provenance.quorum import Cosigned, Policy
from provenance.tiles import WIDTH, TileReader


@dataclass(frozen=True, slots=True)
class Kept:
    """What an earlier look kept: the last checkpoint believed, and the leaf hashes under it."""

    note: bytes = field(repr=False)
    leaves: Sequence[bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Seen:
    """A log that holds against what was kept.

    Attributes:
        note: the checkpoint to keep from now on, verbatim.
        fresh: leaf hashes to keep after those that were kept before.
        cosigned: who stands under it.
    """

    note: bytes = field(repr=False)
    fresh: tuple[bytes, ...] = field(repr=False)
    cosigned: Cosigned


def read_kept(note: bytes, leaves: Sequence[bytes], policy: Policy) -> Kept:
    """Check what was kept against itself: its own signature, and that its leaves lead to its root.

    Raises:
        AuditRefused: it is another log's, or was damaged.
    """
    kept = "the kept checkpoint"
    try:
        here, _ = open_checkpoint(note, policy.logs)
    except ProvenanceError as refused:
        raise AuditRefused(kept, str(refused)) from refused
    if _root(leaves) != here.root or len(leaves) != here.size:
        raise AuditRefused(kept, "the hashes kept with it do not lead to its root")
    return Kept(note, leaves)


def look(source: Source, policy: Policy, kept: Kept | None) -> Seen:
    """Read a log's checkpoint and the hashes that are new, and hold them against what was kept.

    What contradicts is looked for first, whoever cosigned it: the log's own signature convicts it.

    Raises:
        LogForked: with the evidence.
        LogWentBack: fewer entries than before, without a contradiction.
        AuditRefused: the checkpoint or a tile does not hold, or the quorum is missing.
    """
    raw = source.read(CHECKPOINT)
    if raw is None:
        raise AuditRefused(CHECKPOINT, "is missing")
    try:
        here, _ = open_checkpoint(raw, policy.logs)
    except ProvenanceError as refused:
        raise AuditRefused(CHECKPOINT, str(refused)) from refused
    if kept is not None:
        _not_back(kept, raw, here, policy)
    fresh = _grown(source, policy, kept, raw, here)
    try:
        return Seen(raw, fresh, policy.check(raw))
    except ProvenanceError as refused:
        raise AuditRefused(CHECKPOINT, str(refused)) from refused


def _not_back(kept: Kept, raw: bytes, here: Checkpoint, policy: Policy) -> None:
    """Refuse another root for a size that was seen, and a size below it."""
    count = len(kept.leaves)
    if here.size > count:
        return
    nodes = nodes_of(kept.leaves)
    if (tree_root_at(here.size, nodes) if here.size else _root(())) != here.root:
        fork = find_fork(raw, kept.note, policy.logs, nodes)
        raise LogForked(_words(here.size, count), fork.to_json())
    if here.size < count:
        raise LogWentBack(
            f"the log covers {here.size} entries now; {count} were seen before. It was put back, "
            "or this is an old copy of it",
            {"before": kept.note.decode("utf-8"), "now": raw.decode("utf-8")},
        )


def _grown(
    source: Source, policy: Policy, kept: Kept | None, raw: bytes, here: Checkpoint
) -> tuple[bytes, ...]:
    """The new leaf hashes, after the kept ones they lead to the new root; or what is wrong."""
    old = list(kept.leaves) if kept is not None else []
    if len(old) == here.size:
        return ()  # `_not_back` has compared the roots
    reader = TileReader(source.read, here.size)
    try:
        fresh = [
            leaf
            for number in range(len(old) // WIDTH, -(-here.size // WIDTH))
            for leaf in reader.hashes(0, number)[max(0, len(old) - number * WIDTH) :]
        ]
        if _root([*old, *fresh]) == here.root:
            return tuple(fresh)
        if kept is not None and compare(kept.note, raw, policy.logs, reader.node) == "forked":
            fork = find_fork(kept.note, raw, policy.logs, reader.node)
            raise LogForked(_words(len(old), here.size), fork.to_json())
    except (TileRefused, ForkRefused) as refused:
        raise AuditRefused("tile", str(refused)) from refused
    raise AuditRefused("tile/0", "its hashes do not lead to the root of the checkpoint")


def _words(older: int, newer: int) -> str:
    if older == newer:
        return f"the log has forked: it signed two roots for {older} entries"
    return f"the log has forked: its tree of {newer} entries does not begin with its {older}"


def _root(leaves: Sequence[bytes]) -> bytes:
    grown = CompactRange()
    for leaf in leaves:
        grown.append(leaf)
    return grown.root()

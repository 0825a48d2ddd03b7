"""Walk a log from its public bytes and check every claim."""

import fnmatch
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from provenance.backend import CHECKPOINT
from provenance.checkpoint import Checkpoint, open_checkpoint
from provenance.entry import ENTRY_BYTES, parse
from provenance.errors import AuditRefused, ProvenanceError, TileRefused
from provenance.merkle import EMPTY_ROOT, CompactRange, leaf_hashes, root_of_hashes
from provenance.note import Note
from provenance.quorum import Cosigned, Policy
from provenance.tiles import (
    HEIGHT,
    WIDTH,
    Tile,
    pack_entries,
    pack_hashes,
    parse_path,
    unpack_entries,
)

BESIDE = ("log.vkey", "witness-*.vkey", "policy", "index.html", "*.tlog-proof")
"""Files that may lie beside the tree in a folder; an audit does not read them."""

OLD = "--old"
MOST_BYTES = 1 << 25
"""No file of a log is nearly as large: a full tile of entries has 256 times 1,538 bytes."""


class Source(Protocol):
    """The public bytes of a log, wherever they are."""

    def read(self, path: str) -> bytes | None:
        """The bytes under a path, None when there are none."""

    def list(self) -> Iterable[str] | None:
        """Every path there is, or None where that cannot be known (over HTTP)."""


@dataclass(frozen=True, slots=True)
class FolderSource:
    """A log as a folder of files."""

    folder: Path

    def read(self, path: str) -> bytes | None:
        """See ``Source.read``."""
        try:
            with (self.folder / path).open("rb") as file:
                raw = file.read(MOST_BYTES + 1)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        if len(raw) > MOST_BYTES:
            raise AuditRefused(path, f"is larger than {MOST_BYTES:,} bytes")
        return raw

    def list(self) -> Iterable[str]:
        """See ``Source.list``."""
        for path in self.folder.rglob("*"):
            if not path.is_dir() or path.is_symlink():
                yield path.relative_to(self.folder).as_posix()


@dataclass(frozen=True, slots=True)
class Report:
    """What an audit checked, and in words what it could not."""

    origin: str
    size: int
    root: bytes
    cosigned_at: datetime
    witnesses: tuple[str, ...]
    kinds: dict[str, int]
    files: int
    checked: tuple[str, ...]
    unchecked: tuple[str, ...]


def audit(
    source: Source,
    policy: Policy,
    *,
    old: bytes | None = None,
    each: Callable[[bytes, str], None] | None = None,
) -> Report:
    """Recompute a log from its entries and compare every public byte with that.

    Args:
        source: the log's public bytes.
        policy: whose signatures count, from somewhere other than the log.
        old: a checkpoint note that somebody kept from an earlier day.
        each: is shown every entry and its type, oldest first. Nothing of it may be believed before
            this function has returned.

    Raises:
        AuditRefused: with the path at fault, at the first thing that does not hold.
    """
    cosigned = _checkpoint(source, policy)
    here = cosigned.checkpoint
    before = None if old is None else _older(old, policy, here)
    walk = _Walk(source, here, before, each or _nobody)
    walk.run()
    return _report(walk, cosigned, policy)


def check_tree(source: Source, here: Checkpoint) -> int:
    """The Merkle part of an audit alone: what the entries say is not looked at.

    Args:
        here: a checkpoint whose signatures were checked.

    Returns:
        How many files were read.

    Raises:
        AuditRefused: with the path at fault.
    """
    walk = _Walk(source, here, None, forms=False)
    walk.run()
    return walk.files


def _checkpoint(source: Source, policy: Policy) -> Cosigned:
    raw = source.read(CHECKPOINT)
    if raw is None:
        raise AuditRefused(CHECKPOINT, "is missing")
    try:
        cosigned = policy.check(raw)
    except ProvenanceError as refused:
        raise AuditRefused(CHECKPOINT, str(refused)) from refused
    _no_damaged_line(cosigned.note, policy)
    return cosigned


def _no_damaged_line(note: Note, policy: Policy) -> None:
    """Refuse a line that has half of a known key's marks while that key's own line is missing.

    A reader ignores such a line, as the format wants; for an audit it is an altered byte.
    """
    for known in (*policy.logs, *policy.verifiers):
        if note.lines_of(known):
            continue
        if any(known.name == one.name or known.key_id == one.key_id for one in note.signatures):
            raise AuditRefused(CHECKPOINT, f"the signature line of {known.name} is damaged")


def _older(raw: bytes, policy: Policy, here: Checkpoint) -> Checkpoint:
    try:
        old, _ = open_checkpoint(raw, policy.logs)
    except ProvenanceError as refused:
        raise AuditRefused(OLD, str(refused)) from refused
    if old.origin != here.origin:
        raise AuditRefused(OLD, "is a checkpoint of another log")
    if old.size > here.size:
        raise AuditRefused(
            CHECKPOINT,
            f"covers {here.size} entries, but an older one that was kept covers {old.size}: "
            "the log was rolled back",
        )
    return old


def _nobody(entry: bytes, kind: str) -> None:
    """Nobody looks on."""


@dataclass(slots=True)
class _Walk:
    """One pass over the bundles, from the oldest, that rebuilds every tile on the way."""

    source: Source
    here: Checkpoint
    before: Checkpoint | None
    each: Callable[[bytes, str], None] = _nobody
    forms: bool = True
    kinds: Counter[str] = field(default_factory=Counter)
    files: int = 1
    listed: dict[tuple[int, int], set[int]] | None = None
    levels: list[list[bytes]] = field(default_factory=lambda: [[]])
    done: Counter[int] = field(default_factory=Counter)
    earlier: CompactRange = field(default_factory=CompactRange)
    differs: list[Tile] = field(default_factory=list)
    where: dict[Tile, int] = field(default_factory=dict)

    def run(self) -> None:
        self._list()
        for number in range(-(-self.here.size // WIDTH)):
            self._bundle(number)
        root = self._close()
        self._judge(root)
        self._compare_earlier()

    def _list(self) -> None:
        """Sort what lies in a folder; whatever is not part of this tree is foreign."""
        paths = self.source.list()
        if paths is None:
            return
        self.listed = {}
        for path in sorted(paths):
            if path == CHECKPOINT or _beside(path):
                continue
            try:
                tile = parse_path(path)
            except TileRefused:
                raise AuditRefused(path, "is not a file of a log") from None
            here = (self.here.size >> HEIGHT * max(tile.level, 0)) - tile.number * WIDTH
            if tile.width > here:
                raise AuditRefused(
                    path, f"does not belong to a tree of {self.here.size} entries (unpublished?)"
                )
            self.listed.setdefault((tile.level, tile.number), set()).add(tile.width)

    def _bundle(self, number: int) -> None:
        tile = Tile(-1, number, min(WIDTH, self.here.size - number * WIDTH))
        raw, found = self._read(tile)
        try:
            entries = unpack_entries(raw, found.width)[: tile.width]
        except TileRefused as refused:
            raise AuditRefused(found.path, str(refused)) from refused
        if self.forms:
            self._look(found, number, entries)
        self._others(tile, found, lambda width: pack_entries(entries[:width]))
        leaves = leaf_hashes(entries)
        if self.before is not None:
            self.earlier.extend(leaves[: self.before.size - self.earlier.size])
        if len(leaves) == WIDTH:
            self._tile(0, leaves)
            self._push(1, root_of_hashes(leaves))
        else:
            self.levels[0] = leaves

    def _look(self, found: Tile, number: int, entries: list[bytes]) -> None:
        """The form of each entry."""
        for place, entry in enumerate(entries):
            try:
                kind = parse(entry).kind
            except ProvenanceError as refused:
                index = number * WIDTH + place
                raise AuditRefused(found.path, f"entry {index}: {refused}") from refused
            self.kinds[kind] += 1
            self.each(entry, kind)

    def _push(self, level: int, value: bytes) -> None:
        if level == len(self.levels):
            self.levels.append([])
        self.levels[level].append(value)
        if len(self.levels[level]) == WIDTH:
            hashes, self.levels[level] = self.levels[level], []
            self._tile(level, hashes)
            self._push(level + 1, root_of_hashes(hashes))

    def _close(self) -> bytes:
        """The right edge: partial tiles, and the root over all levels."""
        rest: list[bytes] = []
        for level, hashes in enumerate(self.levels):
            if hashes:
                self._tile(level, hashes)
            over = [*hashes, *rest]
            rest = [root_of_hashes(over)] if over else []
        return rest[0] if rest else EMPTY_ROOT

    def _tile(self, level: int, hashes: list[bytes]) -> None:
        tile = Tile(level, self.done[level], len(hashes))
        self.done[level] += 1
        raw, found = self._read(tile)
        expected = pack_hashes(hashes)
        if found == tile and len(raw) != len(expected):
            raise AuditRefused(found.path, f"has not the {len(expected)} bytes of such a tile")
        if raw[: len(expected)] != expected:
            self.differs.append(found)
            self.where[found] = next(
                place
                for place, value in enumerate(hashes)
                if raw[32 * place : 32 * place + 32] != value
            )
        self._others(tile, found, lambda width: expected[: width * 32])

    def _read(self, tile: Tile) -> tuple[bytes, Tile]:
        """A tile that the checkpoint implies; the full one where the partial is gone."""
        for one in (tile, tile.full):
            raw = self.source.read(one.path)
            if raw is not None:
                self.files += 1
                return raw, one
            if self.listed is not None:
                break  # in a folder of exactly this tree there is no fuller tile
        raise AuditRefused(tile.path, "is missing")

    def _others(self, tile: Tile, found: Tile, expected: "_Prefix") -> None:
        """Partial tiles left over from earlier sizes must be the beginning of this one."""
        if self.listed is None:
            return
        for width in self.listed.get((tile.level, tile.number), set()) - {found.width}:
            other = Tile(tile.level, tile.number, width)
            self.files += 1
            if self.source.read(other.path) != expected(width):
                self.differs.append(other)
                self.where[other] = -1

    def _judge(self, root: bytes) -> None:
        """Say which file is at fault."""
        if root == self.here.root:
            # The entries are the signed ones, so whatever disagrees with them was altered.
            for tile in self.differs:
                what = "entries" if tile.level < 0 else "hashes"
                raise AuditRefused(tile.path, f"does not hold the {what} of this log")
            return
        for tile in self.differs:
            place = self.where[tile]
            if place >= 0:
                # A tile, still as signed, disagrees with entries below it.
                first = (tile.number * WIDTH + place) << HEIGHT * tile.level
                bundle = first // WIDTH
                width = min(WIDTH, self.here.size - bundle * WIDTH)
                raise AuditRefused(
                    Tile(-1, bundle, width).path,
                    f"its entries are not those of {tile.path} and of the checkpoint"
                    + (" (or those of a bundle soon after it)" if tile.level else ""),
                )
        raise AuditRefused(CHECKPOINT, "its root is not the root of the entries and tiles here")

    def _compare_earlier(self) -> None:
        if self.before is not None and self.earlier.root() != self.before.root:
            raise AuditRefused(
                OLD,
                f"the log's first {self.before.size} entries are not those of the checkpoint that "
                "was kept: history was rewritten",
            )


def _beside(path: str) -> bool:
    return "/" not in path and any(fnmatch.fnmatchcase(path, one) for one in BESIDE)


class _Prefix(Protocol):
    def __call__(self, width: int) -> bytes: ...


def _report(walk: _Walk, cosigned: Cosigned, policy: Policy) -> Report:
    size = walk.here.size
    names = tuple(sorted(cosigned.cosignatures))
    checked = [
        f"the log's signature on its checkpoint of {size} entries",
        f"{size} entries: each {ENTRY_BYTES} bytes, in one canonical form, of a known type",
        f"{walk.files} files: every hash of every tile recomputed from the entries",
    ]
    unchecked = [
        "What the entries say: they hold salted commitments. Whoever has an opening can check "
        "its entry with: trellis audit receipt",
        "Which entries are dummies that say nothing: an operator may mix them in, so that counts "
        "do not tell how much is done, and can open them (trellis operator dummies).",
        "Who made each entry: its signature can be checked only under the opened actor.",
        "Things done outside of this log. It proves what was recorded, not that nothing else was "
        "done, and not that what was recorded is true.",
    ]
    if policy.quorum:
        checked.append(
            f"cosignatures by {len(names)} of {len(policy.witnesses)} witnesses "
            f"({', '.join(names)}); {policy.quorum} are asked for"
        )
    else:
        unchecked.insert(
            0,
            "Whether others are shown the same log: no quorum of witnesses was asked for "
            "(--witness, --quorum).",
        )
    if walk.before is not None:
        checked.append(f"the first {walk.before.size} entries are those of the older checkpoint")
    else:
        unchecked.append(
            "Whether the log is the one you saw before: keep this checkpoint and give it as --old."
        )
    if walk.listed is None:
        unchecked.append("Files that nothing asks for: over HTTP they cannot be listed.")
    else:
        checked.append("no file is there that does not belong to the log")
    return Report(
        origin=walk.here.origin,
        size=size,
        root=walk.here.root,
        cosigned_at=cosigned.at,
        witnesses=names,
        kinds=dict(sorted(walk.kinds.items())),
        files=walk.files,
        checked=tuple(checked),
        unchecked=tuple(unchecked),
    )

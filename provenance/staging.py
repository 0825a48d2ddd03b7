"""What one append adds to a log: its new files, all of them in one that is staged and read back."""

import re
from collections.abc import Callable, Mapping, Sequence

from provenance.checkpoint import Checkpoint
from provenance.errors import RecoveryRefused, TileRefused
from provenance.merkle import CompactRange, leaf_hashes, root_of_hashes, tree_root_at
from provenance.tiles import HEIGHT, WIDTH, TileReader, pack_entries, pack_hashes, tiles_between

LONGEST_HEAD = 256
_HEAD = re.compile(rb"([!-~]+) ([0-9]{1,12})")


def grown(
    reader: TileReader, edge: CompactRange, old: int, entries: Sequence[bytes]
) -> dict[str, bytes]:
    """The files that these entries add to a log of ``old`` entries, by path.

    Args:
        reader: of the tiles so far.
        edge: the right edge so far, checked against a checkpoint; it grows by the entries.
    """
    size, fresh = old + len(entries), leaf_hashes(entries)
    edge.extend(fresh)
    files: dict[str, bytes] = {}
    # Per level: the index of the first hash at hand, and the hashes from there on.
    start, hashes = old - old % WIDTH, list(fresh)
    begun = b""
    if old % WIDTH:
        hashes = reader.hashes(0, old // WIDTH) + hashes
        begun = reader.bundle(old // WIDTH)  # as it is: ``reread`` takes all of it apart
    for tile in tiles_between(old, size):
        if tile.level < 0:
            at = tile.number * WIDTH - old
            more = pack_entries(entries[max(at, 0) : at + tile.width])
            files[tile.path] = begun + more if at < 0 else more
    level = 0
    while hashes:
        for tile in tiles_between(old, size):
            if tile.level == level:
                at = tile.number * WIDTH - start
                files[tile.path] = pack_hashes(hashes[at : at + tile.width])
        start, hashes, level = _raised(hashes, level, old, reader)
    return files


def _raised(
    hashes: list[bytes], level: int, old: int, reader: TileReader
) -> tuple[int, list[bytes], int]:
    """One level up: the roots of the full tiles at hand, after what that level already had."""
    up = [
        root_of_hashes(hashes[at : at + WIDTH]) for at in range(0, len(hashes) - WIDTH + 1, WIDTH)
    ]
    had = old >> HEIGHT * (level + 1)
    kept = reader.hashes(level + 1, had // WIDTH) if up and had % WIDTH else []
    return had - had % WIDTH, kept + up if up else [], level + 1


def reread(
    raw: bytes | None, read: Callable[[str], bytes | None], old: int, after: Checkpoint
) -> dict[str, bytes]:
    """The files in what was read back from the stage; the root is recomputed from them alone.

    Args:
        read: what is published already, for the tiles that did not change.
        old: entries before.

    Raises:
        OSError: it is not there, or reads back as something else.
    """
    if raw is None:
        raise OSError("what was staged cannot be read back")
    try:
        files = unpack(raw)
        reader = TileReader(lambda path: files.get(path) or read(path), after.size)
        if tree_root_at(after.size, reader.node) != after.root:
            raise OSError("what was staged reads back with another root")
        for number in range(old // WIDTH, -(-after.size // WIDTH)):
            if leaf_hashes(reader.entries(number)) != reader.hashes(0, number):
                raise OSError("what was staged reads back with other entries")
    except (RecoveryRefused, TileRefused) as refused:
        raise OSError(f"what was staged reads back as something else ({refused})") from refused
    return files


def stage_name(tree: Checkpoint) -> str:
    """Under which name the files that lead to a tree are staged."""
    return f"{tree.size}-{tree.root.hex()}"


def stage_size(name: str) -> int:
    """Entries of the tree that a stage leads to; 0 where the name does not say it."""
    size, _, _ = name.partition("-")
    return int(size) if size.isascii() and size.isdigit() else 0


def pack(files: Mapping[str, bytes]) -> bytes:
    """All new files in one: for each a line ``path length``, then its bytes."""
    # Path and bytes apart, so that a bundle is copied once.
    heads = ((f"{path} {len(data)}\n".encode(), data) for path, data in files.items())
    return b"".join(part for pair in heads for part in pair)


def unpack(raw: bytes) -> dict[str, bytes]:
    """What ``pack`` made; raises RecoveryRefused for anything else."""
    files: dict[str, bytes] = {}
    at = 0
    while at < len(raw):
        head, _, _ = raw[at : at + LONGEST_HEAD].partition(b"\n")
        found = _HEAD.fullmatch(head)
        if found is None:
            raise RecoveryRefused("a staging file is damaged")
        start = at + len(head) + 1
        at = start + int(found[2])
        if at > len(raw):
            raise RecoveryRefused("a staging file is cut short")
        files[found[1].decode("ascii")] = raw[start:at]
    return files

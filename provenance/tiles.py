"""Tile paths and bytes (c2sp.org/tlog-tiles)."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from provenance.errors import TileRefused
from provenance.merkle import HASH_BYTES, root_of_hashes

WIDTH = 256
HEIGHT = 8
MAX_ENTRY = 65_535

_PATH = re.compile(
    r"tile/(?P<level>entries|[0-9]|[1-5][0-9]|6[0-3])/"
    r"(?P<groups>(?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """One tile or entry bundle.

    Attributes:
        level: 0..63, or -1 for an entry bundle.
        number: place in its level.
        width: hashes or entries in it, 1..256; 256 is full.
    """

    level: int
    number: int
    width: int

    @property
    def path(self) -> str:
        """Its path below the log's prefix."""
        level = "entries" if self.level < 0 else str(self.level)
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{level}/{_number(self.number)}{partial}"

    @property
    def full(self) -> "Tile":
        """The full tile at the same place."""
        return Tile(self.level, self.number, WIDTH)


def _number(number: int) -> str:
    groups = [f"{number % 1000:03d}"]
    while number := number // 1000:
        groups.append(f"x{number % 1000:03d}")
    return "/".join(reversed(groups))


def parse_path(path: str) -> Tile:
    """The tile that ``path`` names, in its one allowed spelling.

    Raises:
        TileRefused: the path names none.
    """
    found = _PATH.fullmatch(path)
    if found is None:
        raise TileRefused("not a tile path")
    level = -1 if found["level"] == "entries" else int(found["level"])
    number = int(found["groups"].replace("x", "").replace("/", ""))
    tile = Tile(level, number, int(found["width"] or WIDTH))
    if tile.path != path:  # x000/001, .p/256 and the like
        raise TileRefused("not a tile path")
    return tile


def partial_width(level: int, size: int) -> int:
    """Hashes in the last, partial tile of a level; 0 means that there is none."""
    return (size >> HEIGHT * max(level, 0)) % WIDTH


def tiles_of(size: int) -> Iterator[Tile]:
    """Every tile and bundle that a tree of ``size`` leaves implies, bundles first."""
    yield from tiles_between(0, size)


def tiles_between(old: int, size: int) -> Iterator[Tile]:
    """The tiles and bundles that change when a tree grows from ``old`` to ``size`` leaves."""
    level = -1
    while True:
        shift = HEIGHT * max(level, 0)
        before, after = old >> shift, size >> shift
        if after == 0:
            return
        if after > before:
            for number in range(before // WIDTH, after // WIDTH):
                yield Tile(level, number, WIDTH)
            if after % WIDTH:
                yield Tile(level, after // WIDTH, after % WIDTH)
        level += 1


def pack_hashes(hashes: Sequence[bytes]) -> bytes:
    """The bytes of a hash tile."""
    return b"".join(hashes)


def unpack_hashes(raw: bytes, width: int) -> list[bytes]:
    """The hashes of a tile of this width, or ``TileRefused``."""
    if len(raw) != width * HASH_BYTES:
        raise TileRefused(f"a tile of {width} hashes has {width * HASH_BYTES} bytes")
    return [raw[i : i + HASH_BYTES] for i in range(0, len(raw), HASH_BYTES)]


def pack_entries(entries: Sequence[bytes]) -> bytes:
    """The bytes of an entry bundle: a big-endian uint16 length before each entry."""
    if any(len(entry) > MAX_ENTRY for entry in entries):
        raise TileRefused(f"an entry has at most {MAX_ENTRY} bytes")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def unpack_entries(raw: bytes, width: int) -> list[bytes]:
    """The entries of a bundle of this width; nothing may follow the last one.

    Raises:
        TileRefused: fewer or more entries, or bytes left over.
    """
    entries: list[bytes] = []
    at = 0
    for _ in range(width):
        end = at + 2 + int.from_bytes(raw[at : at + 2], "big")
        if at + 2 > len(raw) or end > len(raw):
            raise TileRefused(f"the bundle ends before entry {len(entries) + 1} of {width}")
        entries.append(raw[at + 2 : end])
        at = end
    if at != len(raw):
        raise TileRefused(f"bytes follow the last of {width} entries")
    return entries


class TileReader:
    """Reads nodes and entries of one tree from its tiles.

    Args:
        read: path to bytes, None when there is no such file.
        size: of the tree, from a verified checkpoint; only tiles that it implies are asked for.
    """

    def __init__(self, read: Callable[[str], bytes | None], size: int) -> None:
        self._read = read
        self._size = size
        self._kept: dict[Tile, list[bytes]] = {}

    def node(self, height: int, place: int) -> bytes:
        """Root of the perfect subtree of ``2**height`` leaves at ``place``."""
        level, within = divmod(height, HEIGHT)
        first = place << within
        hashes = self.hashes(level, first // WIDTH)
        return root_of_hashes(hashes[first % WIDTH : first % WIDTH + (1 << within)])

    def hashes(self, level: int, number: int) -> list[bytes]:
        """The hashes of one tile, as wide as the tree makes it."""
        tile = self._tile(level, number)
        if tile not in self._kept:
            if len(self._kept) >= 4096:
                self._kept.clear()
            self._kept[tile] = self._load(tile, lambda raw, width: unpack_hashes(raw, width))
        return self._kept[tile]

    def entries(self, number: int) -> list[bytes]:
        """The entries of one bundle."""
        return self._load(self._tile(-1, number), unpack_entries)

    def bundle(self, number: int) -> bytes:
        """The bytes of one bundle, not yet held against its tile."""
        tile = self._tile(-1, number)
        raw = self._read(tile.path)
        return pack_entries(self.entries(number)) if raw is None else raw

    def leaf(self, index: int) -> bytes:
        """The leaf hash at ``index``."""
        return self.hashes(0, index // WIDTH)[index % WIDTH]

    def _tile(self, level: int, number: int) -> Tile:
        width = min(WIDTH, (self._size >> HEIGHT * max(level, 0)) - number * WIDTH)
        if width <= 0:
            raise TileRefused("this tile lies outside the tree")
        return Tile(level, number, width)

    def _load(self, tile: Tile, unpack: Callable[[bytes, int], list[bytes]]) -> list[bytes]:
        raw = self._read(tile.path)
        if raw is not None:
            return self._named(tile, raw, tile.width, unpack)
        # A partial tile may be deleted once the full one exists: cut that one instead.
        whole = self._read(tile.full.path) if tile.width < WIDTH else None
        if whole is None:
            raise TileRefused(f"{tile.path} is missing")
        return self._named(tile.full, whole, WIDTH, unpack)[: tile.width]

    def _named(
        self, tile: Tile, raw: bytes, width: int, unpack: Callable[[bytes, int], list[bytes]]
    ) -> list[bytes]:
        try:
            return unpack(raw, width)
        except TileRefused as refused:
            raise TileRefused(f"{tile.path}: {refused}") from refused

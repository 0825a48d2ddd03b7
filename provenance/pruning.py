"""Partial tiles go once the published tree has the full ones; safe at any instant."""

import contextlib

from provenance.backend import Backend
from provenance.errors import TileRefused
from provenance.merkle import leaf_hash, root_of_hashes
from provenance.tiles import (
    HEIGHT,
    WIDTH,
    Tile,
    TileReader,
    parse_path,
    unpack_entries,
    unpack_hashes,
)


class Partials:
    """Which tiles of a log still have partial ones beside them.

    The format wants a partial tile for every size that had a checkpoint until the full one is
    there; a reader with an old checkpoint then cuts the full one. What a crash leaves undeleted is
    found by the listing of the next process.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._found: set[Tile] | None = None
        self._sure: set[Tile] = set()

    def saw(self, path: str) -> None:
        """A file was written, and what lies there compared with what belongs there."""
        with contextlib.suppress(TileRefused):
            tile = parse_path(path)
            if tile.width == WIDTH:
                self._sure.add(tile)
            elif self._found is not None:
                self._found.add(tile.full)

    def drop(self, size: int) -> None:
        """Delete every partial tile that the published tree of ``size`` has in full.

        A full tile that this process did not just write is first read back and compared with the
        tree: while it is not what its parent or its bundle says, the partial ones stay, for
        whoever has to repair it.
        """
        if self._found is None:  # once a process: what others left
            found: set[Tile] = set()
            for path in self._backend.list("tile/"):
                self._add(found, path)
            self._found = found
        reader = TileReader(self._backend.read, size)
        for tile in sorted(self._found):
            if (tile.number + 1) * WIDTH << HEIGHT * max(tile.level, 0) <= size and (
                tile in self._sure or self._holds(tile, reader)
            ):
                self._backend.drop_partials(tile.path)
                self._found.discard(tile)
        self._sure.clear()

    def _holds(self, tile: Tile, reader: TileReader) -> bool:
        raw = self._backend.read(tile.path)
        if raw is None:
            return False
        try:
            if tile.level < 0:
                leaves = [leaf_hash(entry) for entry in unpack_entries(raw, WIDTH)]
                return leaves == reader.hashes(0, tile.number)
            root = root_of_hashes(unpack_hashes(raw, WIDTH))
            return root == reader.node(HEIGHT * (tile.level + 1), tile.number)
        except TileRefused:
            return False

    @staticmethod
    def _add(found: set[Tile], path: str) -> None:
        try:
            tile = parse_path(path)
        except TileRefused:
            return  # not ours to delete
        if tile.width < WIDTH:
            found.add(tile.full)

"""The two parts of a bundle as files: rows that are kept, outputs that are sealed to the pepper.

Parquet, written group by group, read through DuckDB. Sealing is HPKE in frames, so that a part of
any size passes through little memory and a frame cannot be moved, repeated, dropped or cut off.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import duckdb
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from matching.errors import ArtefactRefused, BundleRefused
from matching.parquet import write_table
from matching.scratch import scratch

__all__ = [
    "SHARED", "BundleRow", "OutputRow", "Sealing", "check_outputs", "check_rows", "count_rows",
    "open_file", "read_links", "read_outputs", "read_rows", "row_of_tag", "rows_of_tags",
    "seal_file", "seal_outputs", "size_class", "without_rows", "write_links", "write_outputs",
    "write_rows",
]  # fmt: skip

FRAME = 4 << 20
"""Plaintext bytes in every frame but the last."""
SHARED = "outputs: a token is shared by two rows; decoys are missing"
_BATCH = 50_000
SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
_OVERHEAD = 32 + 16

_ROWS = (
    ("row", "BIGINT"),
    ("tag", "BLOB"),
    ("lock", "BLOB"),
    ("proof", "BLOB"),
    ("sealed", "BLOB"),
)
_LINKS = (("row", "BIGINT"), ("roll_row", "BIGINT"), ("score", "DOUBLE"))
_OUTPUTS = (("row", "BIGINT"), ("recipe", "UTINYINT"), ("output", "BLOB"))


class BundleRow(NamedTuple):
    """One kept row: its number in the bundle (not in the file), and nothing anyone can read."""

    row: int
    tag: bytes
    lock: bytes
    proof: bytes
    sealed: bytes


class OutputRow(NamedTuple):
    """One token's 64-byte VOPRF output; recipe 255 is the address token."""

    row: int
    recipe: int
    output: bytes


def size_class(rows: int) -> int:
    """The next power of two: all that is told of a list's length."""
    return 1 << max(0, rows - 1).bit_length()


def write_rows(path: Path, rows: Iterable[BundleRow]) -> None:
    """Write the rows part. Their order must say nothing: number them after shuffling."""
    _write(path, _ROWS, rows)


def read_rows(path: Path) -> Iterator[BundleRow]:
    """Read the rows part in the order of ``row``; run ``check_rows`` first on a stranger's file."""
    for cells in _read(path, _ROWS, "row"):
        yield BundleRow(*cells)


def check_rows(path: Path, *, rows: int | None = None, sealed_bytes: int | None = None) -> int:
    """Check that a rows part is what the format says, and nothing else.

    Args:
        rows: how many the header promises.
        sealed_bytes: the constant length of a sealed payload.

    Returns:
        The number of rows.

    Raises:
        BundleRefused: other columns, a gap in 0..n-1, a length, a tag or lock that comes twice.
    """
    _check_schema(path, _ROWS, "rows")
    found = _one(
        path,
        "SELECT count(*), count(DISTINCT row), min(row), max(row), count(DISTINCT tag),"
        " count(DISTINCT lock), count(*) FILTER (coalesce(octet_length(tag), 0) <> 32),"
        " count(*) FILTER (coalesce(octet_length(lock), 0) <> 32),"
        " count(*) FILTER (coalesce(octet_length(proof), 0) <> 64),"
        " min(coalesce(octet_length(sealed), 0)), max(octet_length(sealed))"
        " FROM read_parquet(?)",
    )
    n, numbers, low, high, tags, locks, bad_tag, bad_lock, bad_proof, shortest, longest = found
    if not n or (rows is not None and n != rows):
        raise BundleRefused("rows: their number is not the one the header promises")
    if numbers != n or low != 0 or high != n - 1:
        raise BundleRefused("rows: their numbers are not 0 to n-1, each once")
    if tags != n or locks != n:
        raise BundleRefused("rows: a tag or a lock comes twice")
    if bad_tag or bad_lock or bad_proof:
        raise BundleRefused("rows: a tag, lock or proof is not 32, 32 and 64 bytes")
    if shortest != longest or shortest != (sealed_bytes or shortest) or shortest < 17:
        raise BundleRefused("rows: the sealed payloads are not all of the one length")
    return int(n)


def count_rows(path: Path) -> int:
    """How many rows a part has, by its foot alone."""
    return _one(path, "SELECT count(*) FROM read_parquet(?)")[0]


def write_outputs(path: Path, outputs: Iterable[tuple[int, int, bytes]]) -> None:
    """Write the outputs part: (row, recipe, 64 bytes) triples; a missing token has none."""
    _write(path, _OUTPUTS, outputs)


def write_links(path: Path, links: Iterable[tuple[int, int, float]]) -> None:
    """Write links as ``engine.link`` does, for rows whose voter is known without matching."""
    _write(path, _LINKS, links)


def read_links(path: Path) -> Iterator[tuple[int, int, float]]:
    """Read links, sorted by row, as ``write_links`` and ``engine.link`` write them."""
    yield from _read(path, _LINKS, "row")


def rows_of_tags(path: Path, tags: Sequence[bytes]) -> dict[bytes, int]:
    """The row number behind each of these tags that a rows part has."""
    with scratch() as base:
        found = base.execute(
            "SELECT tag, row FROM read_parquet(?) WHERE tag IN (SELECT unnest(?::BLOB[]))",
            [str(path), list(tags)],
        ).fetchall()
    return {bytes(tag): row for tag, row in found}


def row_of_tag(path: Path, tag: bytes) -> BundleRow:
    """The one row of a rows part that has this tag.

    Raises:
        BundleRefused: none has it.
    """
    names = ", ".join(name for name, _ in _ROWS)
    with scratch() as base:
        query = f"SELECT {names} FROM read_parquet(?) WHERE tag = ?"  # noqa: S608 - fixed words
        found = base.execute(query, [str(path), tag]).fetchone()
    if found is None:
        raise BundleRefused("rows: no row has that tag")
    return BundleRow(*found)


def without_rows(path: Path, out: Path, rows: Iterable[int]) -> int:
    """Write a part's successor: the same columns and order, less some rows.

    Args:
        path: any Parquet file with a column ``row``.
        rows: numbers that leave; those that are not there are no error.

    Returns:
        How many rows of the file left.
    """
    gone = list(rows)
    with scratch() as base:
        base.execute("SET preserve_insertion_order = true")
        base.execute(
            "CREATE TABLE part AS SELECT * FROM read_parquet($1)"
            " WHERE row NOT IN (SELECT unnest($2::BIGINT[]))",
            [str(path), gone],
        )
        base.table("part").write_parquet(str(out), compression="zstd")
    count = "SELECT count(*) FROM read_parquet(?)"
    return _one(path, count)[0] - _one(out, count)[0]


def read_outputs(path: Path) -> Iterator[OutputRow]:
    """Read the outputs part, sorted by row and recipe."""
    for cells in _read(path, _OUTPUTS, "row, recipe"):
        yield OutputRow(*cells)


def check_outputs(
    path: Path, *, recipes: int, address: bool, unique: bool = False, rows: int | None = None
) -> int:
    """Check an outputs part: columns, lengths, recipes in range, none twice for one row.

    Args:
        recipes: how many recipes there are, fewer than 63.
        address: whether recipe 255 must be there once for every row (a bundle) or not at all
            (a roll).
        unique: whether no output may be shared by two rows, as in a roll with its decoys.
        rows: of the rows part beside it; then each of its rows, 0 to n-1, must be here.

    Returns:
        The number of distinct rows.
    """
    _check_schema(path, _OUTPUTS, "outputs")
    lengths, unknown = _one(
        path,
        "SELECT count(*) FILTER (coalesce(octet_length(output), 0) <> 64),"
        " count(*) FILTER (recipe >= ? AND recipe <> 255 OR recipe IS NULL"
        " OR row IS NULL) FROM read_parquet(?)",
        recipes,
    )
    if lengths or unknown:
        raise BundleRefused("outputs: an output is not 64 bytes, or its recipe is not known")
    # A group for each row, not for each token: a roll of millions has fifteen times as many.
    found, low, high, twice, addresses = _one(
        path,
        "SELECT count(*), min(row), max(row), count(*) FILTER (tokens <> bit_count(bits)),"
        " coalesce(sum(addresses), 0)::BIGINT + count(*) FILTER (addresses > 1) FROM (SELECT row,"
        " count(*) FILTER (recipe <> 255) AS tokens,"
        " count(*) FILTER (recipe = 255) AS addresses,"
        " coalesce(bit_or(1::BIGINT << (recipe % 63)::INTEGER) FILTER (recipe <> 255), 0) AS bits"
        " FROM read_parquet(?) GROUP BY row)",
    )
    if twice:
        raise BundleRefused("outputs: one row has one recipe twice")
    if addresses != (found if address else 0):
        raise BundleRefused("outputs: the address token must be there once per row, or never")
    if rows is not None and (found != rows or (rows and (low, high) != (0, rows - 1))):
        raise BundleRefused("outputs: their rows are not those of the rows part")
    if unique:
        total, distinct = _one(
            path, "SELECT count(*), count(DISTINCT (recipe, output)) FROM read_parquet(?)"
        )
        if distinct != total:
            raise BundleRefused(SHARED)
    return int(found)


def _write(
    path: Path, columns: Sequence[tuple[str, str]], rows: Iterable[tuple[object, ...]]
) -> None:
    with path.open("wb") as file:
        write_table(file, columns, rows)


def _read(path: Path, columns: Sequence[tuple[str, str]], order: str) -> Iterator[tuple[Any, ...]]:
    names = ", ".join(name for name, _ in columns)
    with scratch() as base:
        base.execute(f"SELECT {names} FROM read_parquet(?) ORDER BY {order}", [str(path)])  # noqa: S608 - fixed words
        while batch := base.fetchmany(_BATCH):
            yield from batch


def _one(path: Path, query: str, *more: object) -> tuple[int, ...]:
    try:
        with scratch() as base:
            found = base.execute(query, [*more, str(path)]).fetchone()
    except duckdb.Error:
        # Its foot may promise pages that are not there.
        raise BundleRefused("the file is not a whole Parquet file") from None
    assert found is not None
    return tuple(found)


def _check_schema(path: Path, columns: Sequence[tuple[str, str]], part: str) -> None:
    try:
        with scratch() as base:
            described = base.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)])
            found = tuple((str(row[0]), str(row[1])) for row in described.fetchall())
    except duckdb.Error:
        raise BundleRefused(f"{part}: is not a Parquet file") from None
    if found != tuple(columns):
        raise BundleRefused(f"{part}: the columns are not {', '.join(n for n, _ in columns)}")


# --- sealing a file to one X25519 key ------------------------------------------------------------


class Sealing:
    """A file on its way into HPKE frames: takes bytes in order, keeps one frame in memory.

    Frame: u32 big-endian length || enc || ciphertext. HPKE draws its own randomness per frame.

    Args:
        public: 32-byte X25519 key of the pepper process, from the log.
        info: what the file is; each frame adds its number and whether it is the last.
    """

    def __init__(self, target: BinaryIO, public: bytes, info: bytes) -> None:
        self._target, self._key = target, X25519PublicKey.from_public_bytes(public)
        self._info, self._held, self._number = info, bytearray(), 0

    def write(self, raw: bytes, /) -> None:
        """Take the next bytes; a frame leaves once it is known not to be the last."""
        self._held += raw
        while len(self._held) > FRAME:
            self._frame(last=False)

    def end(self) -> None:
        """Write the last frame, which says that it is."""
        self._frame(last=True)

    def _frame(self, *, last: bool) -> None:
        info = _frame_info(self._info, self._number, last=last)
        sealed = SUITE.encrypt(bytes(self._held[:FRAME]), self._key, info)
        self._target.write(len(sealed).to_bytes(4, "big") + sealed)
        del self._held[:FRAME]
        self._number += 1


def seal_file(plain: Path, out: Path, public: bytes, info: bytes) -> None:
    """Seal a file by HPKE, frame by frame; arguments as of ``Sealing``."""
    with plain.open("rb") as source, out.open("wb") as target:
        sealing = Sealing(target, public, info)
        while part := source.read(FRAME):
            sealing.write(part)
        sealing.end()
        _flushed(target)


def seal_outputs(
    out: Path, outputs: Iterable[tuple[int, int, bytes]], public: bytes, info: bytes
) -> None:
    """Write the outputs part and seal it on the way: nothing of it stands on the disk in clear."""
    with out.open("wb") as target:
        sealing = Sealing(target, public, info)
        write_table(sealing, _OUTPUTS, outputs)
        sealing.end()
        _flushed(target)


def _flushed(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def open_file(sealed: Path, out: Path, private: bytes, info: bytes) -> None:
    """Open what ``seal_file`` made; ``out`` is only there when all of it opened.

    Raises:
        ArtefactRefused: another key or info, a frame changed, moved, missing, or the end cut off.
    """
    key = X25519PrivateKey.from_private_bytes(private)
    try:
        with sealed.open("rb") as source, out.open("xb") as target:
            os.chmod(out, 0o600)
            frame, number = _frame(source), 0
            while frame:
                following = _frame(source)
                info_here = _frame_info(info, number, last=not following)
                target.write(SUITE.decrypt(frame, key, info_here))
                frame, number = following, number + 1
            if not number:
                raise ArtefactRefused("the sealed file is empty")
    except (InvalidTag, ValueError):
        out.unlink(missing_ok=True)
        raise ArtefactRefused("a frame of the sealed file does not open") from None
    except ArtefactRefused:
        out.unlink(missing_ok=True)
        raise


def _frame_info(info: bytes, number: int, *, last: bool) -> bytes:
    return b"consortium/file/v1" + info + number.to_bytes(4, "big") + bytes([last])


def _frame(source: BinaryIO) -> bytes:
    head = source.read(4)
    if not head:
        return b""
    length = int.from_bytes(head, "big")
    if len(head) != 4 or not _OVERHEAD <= length <= FRAME + _OVERHEAD:
        raise ArtefactRefused("a frame of the sealed file has no true length")
    frame = source.read(length)
    if len(frame) != length:
        raise ArtefactRefused("the sealed file was cut off")
    return frame

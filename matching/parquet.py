"""Write Parquet row group by row group, so that a file of any length passes through little memory.

Only what bundles need: required columns, PLAIN pages, one page a column and group. Columns of small
numbers are gzipped; tags, locks, outputs and ciphertexts look random and are not. DuckDB's own
writer wants the whole table first, and would put it on the disk when it is large.

Source:
    Apache Parquet format 2 (parquet.thrift), Thrift compact protocol.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, Protocol

__all__ = ["GROUP", "Sink", "write_table"]

GROUP = 1 << 14
"""Rows in every group but the last."""
_MAGIC = b"PAR1"
_PLAIN, _RLE = 0, 3
_BARE, _GZIP = 0, 2
_GZIP_BITS = 31

_I32, _I64, _TEXT, _LIST, _STRUCT = 5, 6, 8, 9, 12
_Field = tuple[int, int, bytes]


class Sink(Protocol):
    """Where bytes go, in order."""

    def write(self, raw: bytes, /) -> object:
        """Take the next bytes."""


def _numbers(code: str) -> Callable[[Sequence[Any]], bytes]:
    return lambda column: struct.pack(f"<{len(column)}{code}", *column)


def _blobs(column: Sequence[bytes]) -> bytes:
    return b"".join([part for one in column for part in (len(one).to_bytes(4, "little"), one)])


#: DuckDB's name of a type -> physical type, converted type or None, how a page is written, codec.
_KINDS: dict[str, tuple[int, int | None, Callable[[Sequence[Any]], bytes], int]] = {
    "UTINYINT": (1, 11, _numbers("i"), _GZIP),
    "BIGINT": (2, None, _numbers("q"), _GZIP),
    "DOUBLE": (5, None, _numbers("d"), _GZIP),
    "BLOB": (6, None, _blobs, _BARE),
}


def write_table(
    sink: Sink, columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[object]]
) -> int:
    """Write rows as one Parquet file; returns how many there were.

    Args:
        sink: takes the file's bytes in order; never sought in.
        columns: name and DuckDB's name of the type.
        rows: cells in the order of the columns; none is missing.
    """
    sink.write(_MAGIC)
    at, total, groups, source = len(_MAGIC), 0, list[bytes](), iter(rows)
    while batch := list(islice(source, GROUP)):
        chunks, began = [], at
        for (name, kind), cells in zip(columns, zip(*batch, strict=True), strict=True):
            page, described = _chunk(name, kind, cells, at)
            sink.write(page)
            at += len(page)
            chunks.append(described)
        groups.append(_struct(_list(1, _STRUCT, chunks), _i64(2, at - began), _i64(3, len(batch))))
        total += len(batch)
    footer = _footer(columns, groups, total)
    sink.write(footer + len(footer).to_bytes(4, "little") + _MAGIC)
    return total


def _chunk(name: str, kind: str, cells: Sequence[object], at: int) -> tuple[bytes, bytes]:
    """One column of one group: its page with header, and how the footer describes it."""
    physical, _, encode, codec = _KINDS[kind]
    raw = encode(cells)
    packed = _gzipped(raw) if codec == _GZIP else raw
    about = _struct(_i32(1, len(cells)), _i32(2, _PLAIN), _i32(3, _RLE), _i32(4, _RLE))
    header = _struct(_i32(1, 0), _i32(2, len(raw)), _i32(3, len(packed)), (5, _STRUCT, about))
    described = _struct(
        _i32(1, physical),
        _list(2, _I32, [_zigzag(_PLAIN)]),
        _list(3, _TEXT, [_lengthed(name.encode())]),
        _i32(4, codec),
        _i64(5, len(cells)),
        _i64(6, len(header) + len(raw)),
        _i64(7, len(header) + len(packed)),
        _i64(9, at),
    )
    return header + packed, _struct(_i64(2, at), (3, _STRUCT, described))


def _gzipped(raw: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, _GZIP_BITS)
    return packer.compress(raw) + packer.flush()


def _footer(columns: Sequence[tuple[str, str]], groups: Sequence[bytes], total: int) -> bytes:
    schema = [_struct(_text(4, "part"), _i32(5, len(columns)))]
    for name, kind in columns:
        physical, converted, _, _ = _KINDS[kind]
        more = [] if converted is None else [_i32(6, converted)]
        schema.append(_struct(_i32(1, physical), _i32(3, 0), _text(4, name), *more))
    return _struct(
        _i32(1, 1),
        _list(2, _STRUCT, schema),
        _i64(3, total),
        _list(4, _STRUCT, groups),
        _text(6, "trellis"),
    )


# --- Thrift, compact -----------------------------------------------------------------------------


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _zigzag(number: int) -> bytes:
    # Nothing here is negative.
    return _varint(number << 1)


def _lengthed(raw: bytes) -> bytes:
    return _varint(len(raw)) + raw


def _i32(id: int, number: int) -> _Field:
    return id, _I32, _zigzag(number)


def _i64(id: int, number: int) -> _Field:
    return id, _I64, _zigzag(number)


def _text(id: int, said: str) -> _Field:
    return id, _TEXT, _lengthed(said.encode())


def _list(id: int, kind: int, items: Sequence[bytes]) -> _Field:
    count = len(items)
    head = bytes([count << 4 | kind]) if count < 15 else bytes([0xF0 | kind]) + _varint(count)
    return id, _LIST, head + b"".join(items)


def _struct(*fields: _Field) -> bytes:
    out, last = [], 0
    for id, kind, body in fields:
        out.append(bytes([(id - last) << 4 | kind]) + body)
        last = id
    return b"".join(out) + b"\x00"

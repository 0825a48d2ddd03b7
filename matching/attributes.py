"""The attributes part of a roll slice: written, checked, and counted in cells without row ids."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from matching.coarsen import Attributes
from matching.errors import BundleRefused
from matching.scratch import scratch

__all__ = ["SCHEMA", "Cells", "cells", "write_attributes"]

SCHEMA = (
    ("row_id", "BIGINT"),
    ("precinct", "VARCHAR"),
    ("congressional", "VARCHAR"),
    ("senate", "VARCHAR"),
    ("house", "VARCHAR"),
    ("local", "VARCHAR"),
    ("zip", "VARCHAR"),
    ("age_band", "VARCHAR"),
    ("votes", "VARCHAR"),
    ("primaries", "VARCHAR"),
    ("household", "BIGINT"),
)
"""Columns and DuckDB's names of their types."""
_EARLIER = tuple(one for one in SCHEMA if one[0] != "primaries")
"""Of slices that tell nothing of primaries."""
_KEYED = ("row_id", "household")
_BATCH = 50_000


def write_attributes(path: Path, rows: Sequence[Attributes]) -> None:
    """Write the part: Parquet, one row per voter, in the order of the random ids."""
    columns = ", ".join(f"{name} {kind}" for name, kind in SCHEMA)
    fill = ", ".join(f"unnest(?::{kind}[])" for _, kind in SCHEMA)
    with scratch() as base:
        base.execute(f"CREATE TABLE part ({columns})")
        for start in range(0, len(rows), _BATCH):
            batch = rows[start : start + _BATCH]
            cells = [[getattr(row, name) for row in batch] for name, _ in SCHEMA]
            base.execute(f"INSERT INTO part SELECT {fill}", cells)
        base.table("part").write_parquet(str(path), compression="zstd")


@dataclass(frozen=True, slots=True)
class Cells:
    """A slice as anybody with the same voter file and the same rules finds it.

    Row ids and household numbers are keyed by the steward; all else of a row is a function of the
    file. ``leaves`` are the different rows without the keyed numbers, each with its count, as
    JSON arrays in the order of the part's columns, sorted by their bytes.
    """

    leaves: tuple[bytes, ...]
    voters: int
    smallest: int
    by_precinct: Mapping[str, int]


def cells(path: Path) -> Cells:
    """Check an attributes part and count it; memory is that of the different rows.

    Raises:
        BundleRefused: no Parquet, other columns, an empty cell where there is none, no voter, or
            one row id twice.
    """
    try:
        with scratch() as base:
            described = base.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)])
            schema = tuple((str(r[0]), str(r[1])) for r in described.fetchall())
            if schema not in (SCHEMA, _EARLIER):
                names = ", ".join(name for name, _ in SCHEMA)
                raise BundleRefused(f"attributes: the columns are not {names}")
            said = [name for name, _ in schema if name not in _KEYED]
            ids = base.execute(
                "SELECT count(*) - count(DISTINCT row_id) FROM read_parquet(?)", [str(path)]
            ).fetchone()
            found = base.execute(
                f"SELECT {', '.join(said)}, count(*) FROM read_parquet(?) GROUP BY ALL",  # noqa: S608 - fixed words
                [str(path)],
            ).fetchall()
    except duckdb.Error:
        raise BundleRefused("attributes: is not a whole Parquet file") from None
    if ids is None or ids[0] or not found:
        raise BundleRefused("attributes: no voter at all, or a row id that comes twice")
    if any(value is None for row in found for value in row):
        raise BundleRefused("attributes: a value is missing; what is not told is an empty text")
    by_precinct: dict[str, int] = {}
    for row in found:
        by_precinct[row[0]] = by_precinct.get(row[0], 0) + row[-1]
    return Cells(
        leaves=tuple(sorted(map(_leaf, found))),
        voters=sum(row[-1] for row in found),
        smallest=min(row[-1] for row in found),
        by_precinct=by_precinct,
    )


def _leaf(row: Sequence[object]) -> bytes:
    return json.dumps(list(row), ensure_ascii=False, separators=(",", ":")).encode()

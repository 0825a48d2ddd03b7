"""Facts of places (where and when people vote) as a steward loads them: a CSV, checked by cell."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

from mailer.errors import PlacesRefused
from mailer.fields import MAX_VALUE, PLACE_DAYS, PLACE_TEXTS, tidy
from mailer.links import written_links

EVERYWHERE = "*"
"""The row whose facts hold wherever a precinct's own row says nothing else."""
LANGUAGES = ("es",)
MAX_BYTES = 8 * 2**20
MAX_ROWS = 50_000
TEXTS = (*PLACE_TEXTS, *(f"{name}_{code}" for name in PLACE_TEXTS for code in LANGUAGES))
COLUMNS = ("precinct", *TEXTS, *PLACE_DAYS)
_MONTHS = [
    "enero",
    "febrero",
    "marzo",
    "abril",
    "mayo",
    "junio",
    "julio",
    "agosto",
    "septiembre",
    "octubre",
    "noviembre",
    "diciembre",
]


@dataclass(frozen=True, slots=True)
class PlaceTable:
    """What letters may say of each precinct; public, and the same for everybody there.

    Args:
        rows: by precinct, by column of ``COLUMNS``; empty cells are left out. Days are ISO dates.
    """

    rows: Mapping[str, Mapping[str, str]]

    def to_bytes(self) -> bytes:
        """Return the one spelling under which a table is signed: sorted keys, no spaces, UTF-8."""
        return json.dumps(
            self.rows, sort_keys=True, ensure_ascii=False, separators=(",", ":")
        ).encode()

    def digest(self) -> str:
        """Return the SHA-256, in hex, of ``to_bytes``."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def facts(self, precinct: str, language: str) -> dict[str, str]:
        """Return what a letter in a language may say to readers of a precinct."""
        cells = {**self.rows.get(EVERYWHERE, {}), **self.rows.get(precinct, {})}
        said = {
            name: cells.get(f"{name}_{language}") or cells.get(name, "") for name in PLACE_TEXTS
        }
        said |= {
            name: spoken(date.fromisoformat(cells[name]), language)
            for name in PLACE_DAYS
            if name in cells
        }
        return {name: text for name, text in said.items() if text}

    def only(self, names: Collection[str]) -> dict[str, dict[str, str]]:
        """Return what a letter with these fields can say, so that two tables can be compared."""
        kept = {
            precinct: {c: text for c, text in cells.items() if _field(c) in names}
            for precinct, cells in self.rows.items()
        }
        return {precinct: cells for precinct, cells in kept.items() if cells}


def _field(column: str) -> str:
    return column if column not in TEXTS or column in PLACE_TEXTS else column.rpartition("_")[0]


def load(raw: bytes) -> PlaceTable:
    """Read a table back from ``to_bytes``; it was checked when it was read first."""
    return PlaceTable(json.loads(raw))


def read(raw: bytes, *, file: str, precincts: Collection[str]) -> PlaceTable:
    """Read and check a steward's CSV.

    Args:
        raw: UTF-8, the first row its headers: ``precinct`` and any of ``COLUMNS``. A ``*`` as
            precinct is every precinct whose own row leaves the cell empty.
        file: its name, for messages.
        precincts: every precinct of the voter file here, as it is coded there.

    Raises:
        PlacesRefused: the first thing wrong, by row and column, and what to do; no value.
    """
    if len(raw) > MAX_BYTES:
        raise PlacesRefused(file, 0, "", "is larger than 8 MB: keep one row a precinct")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise PlacesRefused(file, 0, "", "is not UTF-8: save it as CSV UTF-8") from None
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip().lower() for name in next(lines, [])]
        _header(file, header)
        rows: dict[str, dict[str, str]] = {}
        for number, cells in enumerate(lines, start=2):
            if not any(cell.strip() for cell in cells):
                continue
            if number > MAX_ROWS:
                raise PlacesRefused(file, number, "", f"there are more than {MAX_ROWS:,} rows")
            _row(file, number, header, cells, precincts, rows)
    except csv.Error:
        raise PlacesRefused(file, lines.line_num, "", "is not CSV: look at its quotes") from None
    if not rows:
        raise PlacesRefused(file, 2, "", "has no row: write one for each precinct")
    return PlaceTable(rows)


def _header(file: str, header: list[str]) -> None:
    if "precinct" not in header:
        raise PlacesRefused(file, 1, "precinct", "is missing: name the column with the precincts")
    for name in header:
        if name not in COLUMNS:
            known = ", ".join(("precinct", *PLACE_TEXTS, *PLACE_DAYS))
            raise PlacesRefused(file, 1, name[:40], f"is not known: take it out, or use {known}")
        if header.count(name) > 1:
            raise PlacesRefused(file, 1, name, "stands twice: keep one")


def _row(
    file: str,
    number: int,
    header: list[str],
    cells: list[str],
    precincts: Collection[str],
    rows: dict[str, dict[str, str]],
) -> None:
    if len(cells) != len(header):
        raise PlacesRefused(file, number, "", f"has {len(cells)} cells, not {len(header)}")
    found = {name: _cell(file, number, name, c) for name, c in zip(header, cells, strict=True)}
    precinct = found.pop("precinct")
    if precinct != EVERYWHERE and precinct not in precincts:
        why = "is no precinct of the voter file here: spell it as `trellis coordinator places` does"
        raise PlacesRefused(file, number, "precinct", why)
    if precinct in rows:
        raise PlacesRefused(file, number, "precinct", "has a row already: keep one")
    rows[precinct] = {name: text for name, text in found.items() if text}


def _cell(file: str, number: int, column: str, typed: str) -> str:
    kept = typed.strip()
    if column == "precinct" or not kept:
        return kept
    if column in PLACE_DAYS:
        try:
            return date.fromisoformat(kept).isoformat()
        except ValueError:
            raise PlacesRefused(file, number, column, "is no day: write 2026-10-09") from None
    if tidy(column, kept) != kept or len(kept) > MAX_VALUE:
        why = f"is longer than {MAX_VALUE} letters, or has a line break or a hidden letter"
        raise PlacesRefused(file, number, column, why)
    if written_links(kept) or set(kept) & set("<>{}@"):
        why = "looks like a link, an address or markup: letters say it in words"
        raise PlacesRefused(file, number, column, why)
    return kept


def spoken(day: date, language: str) -> str:
    """Return a day as a letter says it: ``November 3``, or ``3 de noviembre``."""
    if language == "es":
        return f"{day.day} de {_MONTHS[day.month - 1]}"
    return f"{day:%B} {day.day}"

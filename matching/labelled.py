"""Labelled files: people of two lists in one plain layout, and who is truly who, to measure with.

People are CSV with a header of ``COLUMNS`` in any order, of which only ``id`` must be there; the
truth is CSV with ``member_id, voter_id``. UTF-8, a comma between cells. A cell that cannot be read
(a birth date of no known form) is missing, as on the real path, and counted in ``unread``; a file
that is not in this layout is refused with the row and the column, never with what stood there.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from matching.errors import LabelsRefused
from matching.recipes import Record, make_record

__all__ = [
    "COLUMNS",
    "TRUTH",
    "People",
    "Unread",
    "open_people",
    "read_truth",
    "write_people",
    "write_truth",
]

COLUMNS = ("id", "first", "middle", "last", "suffix", "dob", "house_number", "street", "unit",
           "city", "state", "zip", "phone", "email")  # fmt: skip
_STAND_IN = re.compile("[\udc80-\udcff]")
TRUTH = ("member_id", "voter_id")
READ = {"dob": "birth", "zip": "zip", "phone": "phone"}
"""Columns whose cells have a form, and the field of a record that one becomes."""


@dataclass(frozen=True, slots=True)
class Unread:
    """Cells of one column that hold something and could not be read; they count as missing."""

    cells: int
    first: int


@dataclass(frozen=True, slots=True)
class People:
    """One file of people, its header read. ``ignored`` are columns that have no meaning here."""

    path: Path
    header: tuple[str, ...]
    ignored: tuple[str, ...]
    unread: dict[str, Unread] = field(default_factory=dict)
    """By column, of the rows that ``records`` has given; a column that could be read has none."""
    _numbers: dict[str, int] = field(default_factory=dict, repr=False)

    def records(self) -> Iterator[Record]:
        """Each row's normalised fields, in the file's order; their ids are in ``numbers`` then.

        Raises:
            LabelsRefused: a row of another width, or one whose id is empty or was there before.
        """
        self._numbers.clear()
        self.unread.clear()
        for row, cells in _rows(self.path, self.header):
            cell = dict(zip(self.header, cells, strict=True))
            name = cell["id"]
            if not name:
                raise LabelsRefused(self.path.name, "is empty: give each row an id",
                                    row=row, column="id")  # fmt: skip
            if name in self._numbers:
                raise LabelsRefused(self.path.name, "was in an earlier row: give each row its own",
                                    row=row, column="id")  # fmt: skip
            self._numbers[name] = len(self._numbers)
            record = _record(cell)
            for column in READ:
                if cell.get(column) and not getattr(record, READ[column]):
                    seen = self.unread.get(column, Unread(0, row))
                    self.unread[column] = Unread(seen.cells + 1, seen.first)
            yield record

    def numbers(self) -> Mapping[str, int]:
        """From id to position in the file, of the rows that ``records`` has given."""
        return self._numbers


def _record(cell: Mapping[str, str]) -> Record:
    line = " ".join(filter(None, (cell.get("house_number", ""), cell.get("street", ""))))
    unit = cell.get("unit", "")
    return make_record(
        first=cell.get("first", ""),
        middle=cell.get("middle", ""),
        last=cell.get("last", ""),
        suffix=cell.get("suffix", ""),
        phone=cell.get("phone", ""),
        birth=cell.get("dob", ""),
        # A bare "4" is a flat's number to no reader of addresses; with a sign it is.
        address=f"{line} # {unit}" if unit and unit.isalnum() else f"{line} {unit}".strip(),
        zip=cell.get("zip", ""),
    )


def open_people(path: Path) -> People:
    """Read the header of a file of people.

    Raises:
        LabelsRefused: no such text, no header, a column twice, or no ``id``.
    """
    header = _header(path)
    if "id" not in header:
        why = f"is not in the header: it must be, beside any of {', '.join(COLUMNS[1:])}"
        raise LabelsRefused(path.name, why, row=1, column="id")
    return People(path, header, tuple(name for name in header if name not in COLUMNS))


def read_truth(
    path: Path, members: Mapping[str, int], voters: Mapping[str, int], *, files: Sequence[str]
) -> dict[int, int]:
    """Who is who: position of a member in its file to position of the voter in the other.

    A member that is not named, or whose ``voter_id`` is empty, is on no roll.

    Args:
        members, voters: ids to positions, as ``People.numbers`` has them.
        files: what the two files are called, for what is said of an id that is in neither.

    Raises:
        LabelsRefused: another header, an id that is in no file, or a member named twice.
    """
    header = _header(path)
    for name in TRUTH:
        if name not in header:
            raise LabelsRefused(path.name, f"is not in the header: it is {', '.join(TRUTH)}",
                                row=1, column=name)  # fmt: skip
    mine, theirs = header.index(TRUTH[0]), header.index(TRUTH[1])
    truth: dict[int, int] = {}
    for row, cells in _rows(path, header):
        if cells[mine] not in members:
            raise LabelsRefused(path.name, f"is no id of {files[0]}", row=row, column=TRUTH[0])
        if not cells[theirs]:
            continue
        if cells[theirs] not in voters:
            raise LabelsRefused(path.name, f"is no id of {files[1]}", row=row, column=TRUTH[1])
        if members[cells[mine]] in truth:
            raise LabelsRefused(path.name, "was in an earlier row: a member is one voter at most",
                                row=row, column=TRUTH[0])  # fmt: skip
        truth[members[cells[mine]]] = voters[cells[theirs]]
    return truth


def write_people(path: Path, rows: Iterator[Mapping[str, str]]) -> None:
    """Write people in this layout, every column."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_truth(path: Path, pairs: Iterator[tuple[str, str]]) -> None:
    """Write who is who."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(TRUTH)
        writer.writerows(pairs)


def _header(path: Path) -> tuple[str, ...]:
    first = next(_records(path), (1, []))[1]
    header = tuple(name.casefold() for name in first)
    if not any(header):
        raise LabelsRefused(path.name, "is empty: a header is the first row", row=1)
    for at, name in enumerate(header):
        if name in header[:at] and name in (*COLUMNS, *TRUTH):
            raise LabelsRefused(path.name, "is in the header twice", row=1, column=name)
    return header


def _rows(path: Path, header: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Row number, the header being 1, and the cells, trimmed; blank rows are passed over."""
    for row, cells in _records(path):
        if row == 1 or not any(cells):
            continue
        if len(cells) != len(header):
            why = f"has {len(cells)} cells where the header has {len(header)}"
            raise LabelsRefused(path.name, why, row=row)
        yield row, cells


def _records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Every record of a file, its cells trimmed.

    Bytes that are no UTF-8 pass as stand-ins, which no UTF-8 becomes: a decoder that stops at them
    has read ahead, and could not say in which row they stand.
    """
    row = 0
    try:
        with path.open("r", encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
            for row, cells in enumerate(csv.reader(text, strict=True), 1):
                if any(map(_STAND_IN.search, cells)):
                    raise LabelsRefused(path.name, "is not UTF-8: save it so", row=row)
                yield row, [cell.strip() for cell in cells]
    except csv.Error as error:
        if "limit" in str(error):
            most = csv.field_size_limit()
            why = f"has a cell longer than {most:,} letters: is a quotation mark not closed?"
        else:
            why = "has a quotation mark that is not closed, or one inside a cell"
        raise LabelsRefused(path.name, why, row=row + 1) from None

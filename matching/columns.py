"""Read a partner's list: which column is which, and which rows may be written to.

Streaming, so a list of any length needs the same memory. ``row`` is the record's number in the
file with the header counted as 1: the first member is row 2, and a blank line is counted too, so
that it is the number a spreadsheet shows.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from matching import normalise
from matching.consent import address_and_status, file_status, flags_of, fold_status, stricter
from matching.errors import ListRefused, RowRefused
from matching.headers import (
    check_email,
    choose,
    fold_header,
    header_key,
    places_of,
    status_places,
    system_of,
)
from matching.recipes import Record, make_record
from matching.systems import LANGUAGES
from matching.texts import delimiter_of, encoding_of, records_of

__all__ = ["Chosen", "Listing", "MemberRow", "Reading", "fold_status", "open_list", "stops_of"]

_KEPT_REFUSALS = 1000


@dataclass(frozen=True, slots=True, repr=False)
class MemberRow:
    """One member who can be used. ``email`` is the address as it is written to."""

    row: int
    record: Record
    email: str
    first_name: str
    language: str
    status: str
    mailable: bool

    def __repr__(self) -> str:
        return f"MemberRow(row={self.row})"


@dataclass(slots=True)
class Reading:
    """What a pass over the rows found; filled while the rows are read.

    ``refused`` keeps the first thousand; ``refused_total`` counts them all, ``told`` hears of each.
    """

    usable: int = 0
    mailable: int = 0
    blank: int = 0
    refused_total: int = 0
    refused: list[RowRefused] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    told: Callable[[RowRefused], object] | None = None

    def refuse(self, refusal: RowRefused) -> None:
        self.refused_total += 1
        if self.told is not None:
            self.told(refusal)
        if len(self.refused) < _KEPT_REFUSALS:
            self.refused.append(refusal)


@dataclass(frozen=True, slots=True)
class Listing:
    """A list whose columns are understood. Each ``rows()`` reads the file anew from the start.

    Attributes:
        mapping: field to the header it is read from, as it stands in the file.
        unknown_columns: headers that are not read at all; their cells never leave this file.
        notes: what the partner should look at, such as an encoding that had to be supposed.
        flags: the columns beside the status that can only say no, and what they mean.
        has_status: whether the file itself says who may be written to; a column that can only
            say no does not.
    """

    path: Path
    system: str
    encoding: str
    delimiter: str
    header: tuple[str, ...]
    mapping: Mapping[str, str]
    unknown_columns: tuple[str, ...]
    notes: tuple[str, ...]
    has_status: bool
    flags: tuple[tuple[str, str], ...]
    _places: Mapping[str, int]

    def rows(
        self,
        reading: Reading | None = None,
        *,
        attested: bool = False,
        stops: Mapping[bytes, str] | None = None,
    ) -> Iterator[MemberRow]:
        """Yield the usable rows in file order; the rest are put into ``reading``.

        Args:
            reading: filled as the rows pass; complete only after the last one.
            attested: the partner vouches for a consent basis, so that "unknown" may be written
                to. It never overrides a status that says no, on this row or on another row with
                the same address: the most restrictive wins.
            stops: what ``stops_of`` found in other files; it weighs as much as this one.
        """
        seen = reading if reading is not None else Reading()
        strictest = self._strictest()
        for key, status in (stops or {}).items():
            strictest[key] = stricter(strictest.get(key, "subscribed"), status)
        for number, cells in _records(self, seen):
            try:
                row = _member(self, number, cells, strictest, attested)
            except RowRefused as refusal:
                seen.refuse(refusal)
                continue
            seen.usable += 1
            seen.mailable += row.mailable
            seen.statuses[row.status] += 1
            yield row

    def check(self, *, attested: bool = False) -> Reading:
        """Read all rows once and say what is in them, for the partner to confirm."""
        reading = Reading()
        for _ in self.rows(reading, attested=attested):
            pass
        return reading

    def _strictest(self) -> dict[bytes, str]:
        """By address, the most restrictive status of those who are not simply subscribed."""
        found: dict[bytes, str] = {}
        if not self._status_columns():
            return found
        for _, cells in _records(self, Reading()):
            address, status = address_and_status(self, cells)
            if address and status != "subscribed":
                key = _address_digest(address)
                found[key] = stricter(found.get(key, "subscribed"), status)
        return found

    def whole(self, cells: list[str]) -> bool:
        """Whether the cells are a member by themselves: as many as the header, and an address."""
        width = len(self.header)
        fits = len(cells) >= width and not any(cell.strip() for cell in cells[width:])
        return fits and bool(normalise.mailbox(cells[self._places["email"]]))

    def _status_columns(self) -> bool:
        return self.has_status or any(key.startswith("~") for key in self._places)

    def cell(self, cells: list[str], field: str) -> str:
        """The cell of one field, trimmed; empty when the file has no such column."""
        place = self._places.get(field)
        return cells[place].strip() if place is not None else ""


Chosen = Mapping[str, str] | Callable[[str], Mapping[str, str]]


def stops_of(
    paths: Iterable[Path], told: Callable[[RowRefused], object] = lambda _refused: None
) -> dict[bytes, str]:
    """Read lists of people who said no; nothing but address and status is taken from them.

    Args:
        told: hears of each row that says no without an address.

    Returns:
        By a digest of the address, the status: at least "unsubscribed", unless the file itself
        says "subscribed" of a row.

    Raises:
        ListRefused: a file is no list of addresses, or a row of it cannot be read: who said no
            there would be written to.
    """
    found: dict[bytes, str] = {}
    for path in paths:
        try:
            _take_stops(open_list(path), found, told)
        except ListRefused as refused:
            where = f"{path.name}: {refused.reason}"
            raise ListRefused(where, column=refused.column, todo=refused.todo) from None
    return found


def _take_stops(
    listing: Listing, found: dict[bytes, str], told: Callable[[RowRefused], object]
) -> None:
    reading = Reading()
    for number, cells in _records(listing, reading):
        address, status = address_and_status(listing, cells)
        if status == "subscribed":
            continue
        if not normalise.email(address):
            if any(cell.strip() for cell in cells):
                why = "is no address: nobody is stopped by this row"
                told(RowRefused(number, "email", why, file=listing.path.name))
            continue
        key = _address_digest(address)
        found[key] = stricter(found.get(key, "unsubscribed"), status)
    if reading.refused_total:
        first = reading.refused[0]
        raise ListRefused(
            f"{reading.refused_total:,} rows cannot be read, the first is row {first.row}, and "
            "whoever said no there would be written to",
            todo=f"Mend them or export it again; row {first.row} {first.reason}",
        )


def open_list(path: Path, chosen: Chosen | None = None) -> Listing:
    """Understand a file's encoding, delimiter and columns, before any row is looked at.

    Args:
        chosen: what a person said of the columns: field to header, or to "" for a field that is
            not to be read. Or a look-up of that by the header's ``header_key``. What is not said
            is found by the system's own names.

    Raises:
        ListRefused: it is a workbook or binary, has no header, or no column holds email addresses.
    """
    encoding, notes = encoding_of(path)
    with path.open("r", encoding=encoding, newline="") as text:
        sample = text.read(1 << 16)
        delimiter = delimiter_of(sample)
    header: tuple[str, ...] = ()
    with path.open("r", encoding=encoding, newline="") as text:
        for cells in records_of(text, delimiter):
            if isinstance(cells, list) and any(cell.strip() for cell in cells):
                header = tuple(cell.strip("\ufeff").strip() for cell in cells)
                while not header[-1]:
                    header = header[:-1]
                break
    if not header:
        raise ListRefused("the file is empty", todo="Export the list again, with its header row")
    folded = [fold_header(cell) for cell in header]
    system = system_of(folded)
    said = chosen(header_key(header)) if callable(chosen) else chosen
    places = choose(places_of(system, folded), header, said or {})
    check_email(header, folded, places)
    extra = status_places(system, folded)
    used = {*places.values(), *extra.values()}
    return Listing(
        path=path,
        system=system.slug,
        encoding=encoding,
        delimiter=delimiter,
        header=header,
        mapping={field: header[at] for field, at in places.items() if not field.startswith("~")},
        unknown_columns=tuple(h for at, h in enumerate(header) if at not in used and h),
        notes=tuple(notes),
        flags=flags_of(extra),
        has_status="status" in places or bool(file_status(system.slug, path)),
        _places={**places, **extra},
    )


# --- the rows ----------------------------------------------------------------------------------


def _records(listing: Listing, reading: Reading) -> Iterator[tuple[int, list[str]]]:
    """Number the records and hold back those that do not fit the header."""
    number, width, header_seen = 0, len(listing.header), False
    with listing.path.open("r", encoding=listing.encoding, newline="") as text:
        for cells in records_of(text, listing.delimiter, listing.whole):
            number += 1
            if cells is not None and not any(cell.strip() for cell in cells):
                reading.blank += header_seen
                continue
            if not header_seen:
                # Blank lines above the header are not counted: it is row 1 by definition.
                number, header_seen = 1, True
                continue
            if cells is None:
                why = "has a quotation mark that is not closed or stands inside a cell, or a far too long cell: export again"  # noqa: E501
                reading.refuse(RowRefused(number, "the whole row", why))
                continue
            if any("\x00" in cell for cell in cells):
                why = "holds a null byte: export again, or remove the row"
                reading.refuse(RowRefused(number, "the whole row", why))
                continue
            while len(cells) > width and not cells[-1].strip():
                cells.pop()
            if len(cells) != width:
                why = (
                    f"has {len(cells)} cells where the header has {width}: put quotation marks "
                    "around a cell that holds the delimiter, or remove the line break"
                )
                reading.refuse(RowRefused(number, "the whole row", why))
                continue
            yield number, cells


def _member(
    listing: Listing,
    number: int,
    cells: list[str],
    strictest: Mapping[bytes, str],
    attested: bool,
) -> MemberRow:
    typed, status = address_and_status(listing, cells)
    if not typed:
        raise RowRefused(number, "email", "is empty: add an address or remove the row")
    address = normalise.mailbox(typed)
    if not address:
        raise RowRefused(number, "email", "is not one email address: correct it or remove the row")
    status = stricter(status, strictest.get(_address_digest(typed), "subscribed"))
    first, last = listing.cell(cells, "first"), listing.cell(cells, "last")
    if not (first and last) and (full := listing.cell(cells, "full")):
        first, last = normalise.parted(full)
    street, zip_code = _address(listing, cells)
    record = make_record(
        first=first,
        middle=listing.cell(cells, "middle"),
        last=last,
        suffix=listing.cell(cells, "suffix"),
        phone=listing.cell(cells, "phone"),
        birth=listing.cell(cells, "birth"),
        address=street,
        zip=zip_code,
    )
    mailable = status == "subscribed" or (attested and status == "unknown")
    language = _language(listing.cell(cells, "language"))
    return MemberRow(number, record, address, _greeting(first), language, status, mailable)


def _address(listing: Listing, cells: list[str]) -> tuple[str, str]:
    """The street with its unit, and the ZIP."""
    street, unit = listing.cell(cells, "address"), listing.cell(cells, "unit")
    zip_code = listing.cell(cells, "zip")
    if listing.system == "mailchimp":
        # One cell holds the whole address, its parts two blanks from each other.
        parts = re.split(r"\s{2,}", street)
        street = ", ".join(parts)
        zips = [part for part in parts[1:] if re.fullmatch(r"[0-9]{5}(-[0-9]{4})?", part)]
        zip_code = zip_code or (zips[-1] if zips else "")
    return (f"{street} # {unit}" if street and unit else street), zip_code


def _greeting(first: str) -> str:
    """The first name as a letter greets with it: one line, printable, no shouting."""
    shown = "".join(c for c in first if c.isprintable()).strip()[:MAX_GREETING]
    return shown.title() if shown.isupper() or shown.islower() else shown


MAX_GREETING = 40


def _language(typed: str) -> str:
    folded = fold_header(unicodedata.normalize("NFKD", typed).encode("ascii", "ignore").decode())
    code = LANGUAGES.get(folded) or folded.partition(" ")[0]
    return code if re.fullmatch(r"[a-z]{2}", code) else "en"


def _address_digest(typed: str) -> bytes:
    # Digests in memory only, so that a long list of stops stays small.
    return hashlib.blake2b(normalise.email(typed).encode(), digest_size=12).digest()

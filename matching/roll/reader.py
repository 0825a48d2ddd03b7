"""Read a voter file's folder into voters: everything as text, bad lines counted and set aside."""

from __future__ import annotations

import codecs
import csv
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from matching import normalise
from matching.errors import RollRefused, RowRefused
from matching.recipes import Record, make_record
from matching.roll import co
from matching.roll.layout import Layout, recognise

__all__ = ["Roll", "Voter", "open_roll"]


@dataclass(frozen=True, slots=True, repr=False)
class Voter:
    """One registered voter, as the steward reads them. Its repr shows nothing."""

    voter_id: str
    record: Record
    precinct: str
    congressional: str
    senate: str
    house: str
    zip: str
    birth_year: int | None
    votes: frozenset[date]
    household: str
    status: str

    def __repr__(self) -> str:
        return "Voter()"


@dataclass(slots=True)
class Roll:
    """A voter file whose files and headers are understood.

    ``quarantined`` and ``history_quarantined`` are filled by ``voters()``: which lines were set
    aside and why, never what they said.
    """

    folder: Path
    layout: Layout
    files: tuple[Path, ...]
    history: tuple[Path, ...]
    quarantined: list[RowRefused] = field(default_factory=list)
    history_quarantined: list[RowRefused] = field(default_factory=list)
    generals: frozenset[date] = frozenset()

    def voters(self) -> Iterator[Voter]:
        """Yield every voter who is active or inactive, in the file's order.

        A voter id that came before is set aside: two rows would be two people in every count.
        """
        self.quarantined.clear()
        self.history_quarantined.clear()
        votes, self.generals = _history(self.history, self.history_quarantined)
        seen: set[str] = set()
        for path in self.files:
            for line, row in _rows(path, self.layout, self.quarantined):
                try:
                    voter = _voter(line, row, votes)
                    if voter.voter_id in seen:
                        raise RowRefused(line, "VOTER_ID", "stands here for the second time")
                except RowRefused as refused:
                    self.quarantined.append(refused)
                    continue
                seen.add(voter.voter_id)
                yield voter

    def source_digest(self) -> str:
        """SHA-256 over the raw files in the order of their names, as hex: what was enrolled."""
        digest = hashlib.sha256()
        for path in (*self.files, *self.history):
            with path.open("rb") as raw:
                digest.update(hashlib.file_digest(raw, "sha256").digest())
        return digest.hexdigest()


def open_roll(folder: Path) -> Roll:
    """Find a folder's voter and history files and check every header before a line is read.

    Raises:
        RollRefused: no voter file is there, or a header is of no known layout.
    """
    texts = sorted(p for p in folder.iterdir() if p.suffix.lower() in {".txt", ".csv"})
    files = _named(texts, co.MASTER.files)
    if not files:
        raise RollRefused("no voter file in the folder: expected a name that begins with EX-003")
    layouts = {recognise(_header(path), co.LAYOUTS) for path in files}
    if len(layouts) > 1:
        raise RollRefused("the parts of the voter file are of different layouts")
    history = _named(texts, co.EX_002.files)
    for path in history:
        recognise(_header(path), co.HISTORY)
    return Roll(folder, layouts.pop(), files, history)


def _named(paths: Sequence[Path], beginnings: Sequence[str]) -> tuple[Path, ...]:
    return tuple(p for p in paths if p.name.startswith(tuple(beginnings)))


def _encoding(path: Path) -> str:
    with path.open("rb") as raw:
        return "utf-8-sig" if raw.read(3) == codecs.BOM_UTF8 else "latin-1"


@contextmanager
def _opened(path: Path) -> Iterator[Iterator[list[str] | None]]:
    with path.open("r", encoding=_encoding(path), newline="") as text:
        yield _records(text)


def _records(text: Iterator[str]) -> Iterator[list[str] | None]:
    # Not strict: a quotation mark inside a name is usual here; the column count finds real damage.
    reader = csv.reader(text)
    while True:
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield None


def _header(path: Path) -> list[str]:
    with _opened(path) as records:
        return next(records, None) or []


def _rows(
    path: Path, layout: Layout, bad: list[RowRefused]
) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows with the record's number, the header being 1."""
    with _opened(path) as records:
        next(records, None)
        for line, cells in enumerate(records, 2):
            if cells == []:
                continue
            if cells is None or len(cells) != len(layout.columns):
                found = "a broken quotation" if cells is None else f"{len(cells)} columns"
                bad.append(
                    RowRefused(line, "the whole line", f"{found}, not {len(layout.columns)}")
                )
                continue
            yield line, dict(zip(layout.columns, (cell.strip() for cell in cells), strict=True))


_HOUSE = (
    "HOUSE_NUM", "HOUSE_SUFFIX", "PRE_DIR", "STREET_NAME", "STREET_TYPE", "POST_DIR", "UNIT_TYPE",
    "UNIT_NUM",
)  # fmt: skip


def _voter(line: int, row: Mapping[str, str], votes: Mapping[str, frozenset[date]]) -> Voter:
    if not re.fullmatch(r"\d{1,12}", row["VOTER_ID"]):
        raise RowRefused(line, "VOTER_ID", "is not a number")
    if not re.fullmatch(r"\d{10}", row["PRECINCT"]):
        raise RowRefused(line, "PRECINCT", "is not ten digits")
    status = row["STATUS"].casefold()
    if status not in {"active", "inactive"}:
        raise RowRefused(line, "STATUS", "is neither Active nor Inactive")
    # A confidential voter's blank address stays blank: it is never repaired.
    street = " ".join(row[name] for name in _HOUSE if row[name]) if row["HOUSE_NUM"] else ""
    record = make_record(
        first=row["FIRST_NAME"],
        middle=row["MIDDLE_NAME"],
        last=row["LAST_NAME"],
        suffix=row["NAME_SUFFIX"],
        phone=row["PHONE_NUM"],
        birth=row["BIRTH_YEAR"],
        address=street or row["RESIDENTIAL_ADDRESS"],
        zip=row["RESIDENTIAL_ZIP_CODE"],
    )
    return Voter(
        voter_id=row["VOTER_ID"],
        record=record,
        precinct=row["PRECINCT"],
        congressional=row["CONGRESSIONAL"],
        senate=row["STATE_SENATE"],
        house=row["STATE_HOUSE"],
        zip=record.zip,
        birth_year=record.birth.year if record.birth else None,
        votes=votes.get(row["VOTER_ID"], frozenset()),
        household=normalise.address_key(record.address, record.zip),
        status=status,
    )


def _history(
    paths: Sequence[Path], bad: list[RowRefused]
) -> tuple[dict[str, frozenset[date]], frozenset[date]]:
    """Dates voted by voter, and the dates of all general elections that occur."""
    votes: dict[str, frozenset[date]] = {}
    generals: set[date] = set()
    known: dict[frozenset[date], frozenset[date]] = {}
    for path in paths:
        for line, row in _rows(path, co.EX_002, bad):
            day = _date(row["ELECTION_DATE"])
            if day is None:
                bad.append(RowRefused(line, "ELECTION_DATE", "is not a date of this age"))
                continue
            if "general" in row["ELECTION_TYPE"].casefold():
                generals.add(day)
            more = votes.get(row["VOTER_ID"], frozenset()) | {day}
            # Most voters share a handful of histories: keep each set once.
            votes[row["VOTER_ID"]] = known.setdefault(more, more)
    return votes, frozenset(generals)


def _date(typed: str) -> date | None:
    found = re.fullmatch(r"(\d{1,2})/(\d{1,2})/(\d{4})", typed)
    try:
        day = date(int(found[3]), int(found[1]), int(found[2])) if found else None
    except ValueError:
        return None
    # Years such as 0202 are in real files.
    return day if day and day.year >= 1980 else None

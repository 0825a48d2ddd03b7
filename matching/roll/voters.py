"""One line of a voter file as a voter: which columns become what, and who is left out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from matching import normalise
from matching.errors import RowRefused
from matching.recipes import Record, make_record
from matching.roll.dates import FIRST_BIRTH, FIRST_REGISTERED, day
from matching.roll.history import Ballot
from matching.roll.layout import Known, state

__all__ = ["LeftOut", "Plan", "Voter"]

_DISTRICTS = ("congressional", "senate", "house")
_YOUNGEST = 16
"""Who is younger cannot be on a roll, not even preregistered: the year is a slip."""


@dataclass(frozen=True, slots=True, repr=False)
class Voter:
    """One registered voter, as the steward reads them. Its repr shows nothing.

    ``votes`` are the days of ``ballots`` whose day is known; ``county`` is a FIPS code; ``places``
    are (kind, code) of other areas that the file names.
    """

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
    county: str = ""
    party: str = ""
    registered: date | None = None
    ballots: tuple[Ballot, ...] = ()
    places: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        return "Voter()"


class LeftOut(Exception):
    """A good line whose voter is not to be enrolled; the word says why."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Plan:
    """How the lines of one file become voters; made once from its layout.

    ``doubted`` counts values that are out of any range and were read as not given.
    """

    def __init__(self, known: Known, last: date) -> None:
        of, reads = state(known.layout.state), known.layout.reads
        self._known, self._reads, self._last = known, reads, last
        self._counties = of.counties
        self._counties_folded = {name.casefold(): found for name, found in of.counties.items()}
        self._statuses = {
            word: kind for kind, words in of.words["statuses"].items() for word in words
        }
        self._status_why = str(of.words.get("status_why", "is a status this layout does not know"))
        self._phrases: Mapping[str, str] = of.words["phrases"]
        self._id = re.compile(reads["id"])
        precinct_is = reads.get("precinct_is")
        self._precinct_is = re.compile(precinct_is[0]) if precinct_is else None
        self._one = {name: self._at(name) for name in (
            "voter_id", "first", "middle", "last", "suffix", "birth", "unit_type", "unit",
            "address_else", "zip", "county", *_DISTRICTS, "party", "registered", "status",
        )}  # fmt: skip
        self._address = [known.at(column) for column in reads["address"]]
        self._phone = [known.at(column) for column in reads.get("phone", ())]
        self._places = [(kind, self._ats(columns)) for kind, columns in
                        reads.get("places", {}).items()]  # fmt: skip
        self._precinct = self._parts(reads["precinct"])
        inside = reads.get("precinct_in", {})
        self._elsewhere = frozenset(inside.get("counties", ()))
        self._precinct_there = self._parts(inside.get("parts", ()))
        hidden = reads.get("confidential")
        self._hidden = known.at(hidden["column"]) if hidden else -1
        self._hides = frozenset(hidden["words"]) if hidden else frozenset[str]()
        self.doubted: dict[str, int] = {}

    def _at(self, name: str) -> int:
        return self._known.at(self._reads[name]) if name in self._reads else -1

    def _ats(self, columns: str | Sequence[str]) -> list[int]:
        return [self._known.at(c) for c in ([columns] if isinstance(columns, str) else columns)]

    def _parts(self, parts: Sequence[Sequence[str]]) -> list[tuple[str, int]]:
        """Labels and places; -1 stands for the county's name."""
        return [(label, -1 if c == "@county" else self._known.at(c)) for label, c in parts]

    def voter(self, line: int, cells: list[str], ballots: tuple[Ballot, ...]) -> Voter:
        """Read one line.

        Raises:
            LeftOut: a confidential voter, or a status that is no registration in force.
            RowRefused: something without which the voter cannot be placed is not readable.
        """
        voter_id = self._cell(cells, "voter_id")
        if not self._id.fullmatch(voter_id):
            raise self._refused(line, "voter_id", "is no voter id of this state")
        if self._hidden >= 0 and cells[self._hidden].strip().upper() in self._hides:
            raise LeftOut("confidential")
        # Before the place: of the removed, states blank precinct and address.
        status = self._statuses.get(self._cell(cells, "status").upper())
        if status is None:
            raise self._refused(line, "status", self._status_why)
        if status == "left out":
            raise LeftOut("not registered in force")
        precinct, county = self._where(line, cells)
        record = self._record(cells)
        congressional, senate, house = (self._district(cells, name) for name in _DISTRICTS)
        return Voter(
            voter_id=voter_id,
            record=record,
            precinct=precinct,
            congressional=congressional,
            senate=senate,
            house=house,
            zip=record.zip,
            birth_year=record.birth.year if record.birth else None,
            votes=frozenset(b.election.day for b in ballots if b.election.day),
            household=normalise.address_key(record.address, record.zip),
            status=status,
            county=county,
            party=self._cell(cells, "party"),
            registered=self._registered(cells),
            ballots=ballots,
            places=self._other_places(cells),
        )

    def county_code(self, cells: Sequence[str]) -> str:
        """The county as the file writes it, without the zeros before a number."""
        typed = cells[self._one["county"]].strip()
        return typed.lstrip("0") if typed.isdigit() else typed

    def _cell(self, cells: Sequence[str], name: str) -> str:
        at = self._one[name]
        return cells[at].strip() if at >= 0 else ""

    def _refused(self, line: int, name: str, why: str) -> RowRefused:
        column = self._reads[name]
        return RowRefused(line, column if isinstance(column, str) else name, why)

    def _where(self, line: int, cells: Sequence[str]) -> tuple[str, str]:
        """Precinct in readable words, and the county's FIPS code."""
        code = self.county_code(cells)
        found = self._counties.get(code) or self._counties_folded.get(code.casefold())
        parts = self._precinct_there if code in self._elsewhere else self._precinct
        # Without its county, a precinct's number is that of one in each other county.
        if found is None and (code or any(at < 0 for _, at in parts)):
            raise self._refused(line, "county", "is no county of this state")
        fips, name = found or ("", "")
        said = []
        told = False
        for label, at in parts:
            value = name if at < 0 else cells[at].strip()
            told = told or (at >= 0 and bool(value))
            if value:
                said.append(label + value)
        precinct = " ".join(said)
        if not told:
            raise self._refused(line, "precinct", "is empty")
        if self._precinct_is and not self._precinct_is.fullmatch(precinct):
            column = self._known.columns[parts[0][1]]
            raise RowRefused(line, column, self._reads["precinct_is"][1])
        return precinct, fips

    def _record(self, cells: list[str]) -> Record:
        phone = "".join(cells[at].strip() for at in self._phone)
        record = make_record(
            first=self._cell(cells, "first"),
            middle=self._cell(cells, "middle"),
            last=self._cell(cells, "last"),
            suffix=self._cell(cells, "suffix"),
            phone=phone,
            birth=self._cell(cells, "birth"),
            address=self._street(cells),
            zip=self._cell(cells, "zip"),
        )
        typed = self._cell(cells, "birth")
        oldest, youngest = FIRST_BIRTH, self._last.year - _YOUNGEST
        if record.birth is None or not oldest <= record.birth.year <= youngest:
            if any(c.isdigit() for c in typed):
                self.doubted["birth"] = self.doubted.get("birth", 0) + 1
            return replace(record, birth=None) if record.birth else record
        return record

    def _street(self, cells: list[str]) -> str:
        # A blank address stays blank: it is never repaired.
        if not cells[self._address[0]].strip():
            return self._cell(cells, "address_else")
        said = [cells[at].strip() for at in self._address]
        if unit := self._cell(cells, "unit"):
            said += [self._cell(cells, "unit_type") or "APT", unit]
        return " ".join(word for word in said if word)

    def _district(self, cells: Sequence[str], name: str) -> str:
        """A district in words that tell it from the same number of another house."""
        code = self._cell(cells, name)
        return f"{self._phrases[name]} {int(code)}" if code.isdecimal() else code

    def _registered(self, cells: Sequence[str]) -> date | None:
        typed = self._cell(cells, "registered")
        found = day(typed, FIRST_REGISTERED, self._last)
        if found is None and any(c.isdigit() for c in typed):
            self.doubted["registration"] = self.doubted.get("registration", 0) + 1
        return found

    def _other_places(self, cells: Sequence[str]) -> tuple[tuple[str, str], ...]:
        """Further areas, the first of several columns that says one."""
        found = []
        for kind, ats in self._places:
            for at in ats:
                if value := cells[at].strip():
                    found.append((kind, value))
                    break
        return tuple(found)

"""Read what a state gave into voters: everything as text, bad lines counted and set aside.

Streaming: the voters of a file pass one by one, and what stays is 10 to 20 bytes a voter by which a
second line with the same id is known. Histories in tables of their own stay too, six bytes a vote.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import NoReturn

from matching.errors import RollRefused, RowRefused
from matching.roll.history import PRIMARIES, Field, Table, Wide
from matching.roll.ids import Seen
from matching.roll.layout import STATES, Known, Layout, recognise, state
from matching.roll.returns import Returns
from matching.roll.sources import Source, sources
from matching.roll.text import head, records
from matching.roll.voters import LeftOut, Plan, Voter

__all__ = ["LAST", "Part", "Roll", "Voter", "listed", "open_returns", "open_roll"]

LAST = date(2100, 1, 1)
"""Without a day that the caller knows, later dates than this are absurd."""
_SAMPLED = 2_000
"""Bad lines after which a file in which most are bad is not of the layout it seemed to be."""
_MANY = 100_000
"""Rows that cannot be used after which a file in which most are such is not gone on with: it is
the same file twice, say, or its counties are written anew. Each is remembered."""
_WHOLE = "the whole line"


@dataclass(frozen=True, slots=True)
class Part:
    """One file and what it is."""

    source: Source
    known: Known


@dataclass(slots=True)
class Roll:
    """A voter file whose files and headers are understood.

    All but the files are filled by ``voters()``: which lines were set aside and why, never what
    they said; how many voters were left out by which rule; values out of any range.
    """

    parts: tuple[Part, ...]
    history: tuple[Part, ...]
    last: date = LAST
    passed: tuple[str, ...] = ()
    """What else lies there and was not read, by name."""
    quarantined: list[RowRefused] = field(default_factory=list)
    history_quarantined: list[RowRefused] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    doubted: Counter[str] = field(default_factory=Counter)
    generals: frozenset[date] = frozenset()
    primaries: frozenset[int] = frozenset()
    """Years in which the histories know of a primary: some files tell no day of one."""
    not_votes: int = 0
    tokens: int = 0
    unread: Counter[str] = field(default_factory=Counter)
    """History tokens nobody can read, by the county's code."""
    vague: int = 0
    """History tokens that tell a year alone, and no kind of election."""
    untied: int = 0
    """Voters of the histories' tables who stand in no line of the voter file."""

    @property
    def layout(self) -> Layout:
        return self.parts[0].known.layout

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(dict.fromkeys(part.source.path for part in self.parts))

    def says(self) -> str:
        """State, date of the layout and number of columns, in one line."""
        return self.parts[0].known.says()

    def voters(self) -> Iterator[Voter]:
        """Yield every voter whose registration is in force, in the files' order.

        A voter id that came before is set aside: two rows would be two people in every count.

        Raises:
            RollRefused: most lines of a file are bad, or the histories are of nobody in it.
        """
        self._forget()
        table = self._table()
        generals = set(_generals(table)) if table else set()
        primaries = _primaries(table) if table else set()
        seen = Seen()
        for part in self.parts:
            plan = Plan(part.known, self.last)
            reads = part.known.layout.reads
            history = _own_history(part.known, self.last)
            if isinstance(history, Wide):
                self.history_quarantined += _strange(history, part.source.name)
            id_at = part.known.at(reads["voter_id"])
            field_at = part.known.at(reads["history"]) if "history" in reads else -1
            aside = _Aside(part.source.name, self.quarantined)
            for line, cells in _lines(part, aside):
                county = plan.county_code(cells)
                if isinstance(history, Field):
                    ballots = history.of(cells[field_at].strip(), county)
                elif history is not None:
                    ballots = history.of(cells, county)
                else:
                    ballots = table.of(cells[id_at].strip()) if table else ()
                try:
                    voter = plan.voter(line, cells, ballots)
                    if not seen.add(voter.voter_id):
                        why = "stands here for the second time"
                        raise RowRefused(line, reads["voter_id"], why)
                except LeftOut as out:
                    self.left_out[out.why] += 1
                    continue
                except RowRefused as refused:
                    aside.refused(refused.row, refused.field, refused.reason)
                    continue
                yield voter
            self.doubted.update(plan.doubted)
            if history is not None:
                generals |= _generals(history)
                primaries |= _primaries(history)
                self.tokens += history.tokens
                self.unread.update(history.unread)
                self.vague += history.vague if isinstance(history, Field) else 0
            self.generals, self.primaries = frozenset(generals), frozenset(primaries)
        self.generals, self.primaries = frozenset(generals), frozenset(primaries)
        if table:
            self._tie(table, seen.count)

    def source_digest(self) -> str:
        """SHA-256 over the raw files in the order of their names, as hex: what was enrolled."""
        digest = hashlib.sha256()
        for path in dict.fromkeys(part.source.path for part in (*self.parts, *self.history)):
            with path.open("rb") as raw:
                digest.update(hashlib.file_digest(raw, "sha256").digest())
        return digest.hexdigest()

    def _forget(self) -> None:
        self.quarantined.clear()
        self.history_quarantined.clear()
        for counter in (self.left_out, self.doubted, self.unread):
            counter.clear()
        self.not_votes = self.tokens = self.vague = self.untied = 0

    def _tie(self, table: Table, voters: int) -> None:
        """Count whom the histories tell of and the file does not; raises RollRefused if all."""
        people, self.untied = table.people
        if people and voters and self.untied == people:
            raise RollRefused(
                f"none of the {people:,} voters of the history is in the voter file: are the two "
                "of one county and vintage, and are the ids written alike?"
            )

    def _table(self) -> Table | None:
        if not self.history:
            return None
        table = Table(self.layout.state, self.last)
        for part in self.history:
            aside = _Aside(part.source.name, self.history_quarantined)
            table.read(_lines(part, aside), part.known, aside.refused)
        self.not_votes = table.not_votes
        return table


class _Aside:
    """The lines of one file that are set aside; stops where they are most of it."""

    def __init__(self, name: str, bad: list[RowRefused]) -> None:
        self._name, self._bad, self._began = name, bad, len(bad)
        self._broken = 0
        self.good = 0

    def told(self, line: int, what: str, why: str) -> None:
        """Set aside a line that is no row of the layout."""
        self._add(line, what, why)
        self._broken += 1
        if self._broken > max(_SAMPLED, self.good):
            self._stop("are not as its layout says", why)

    def refused(self, line: int, what: str, why: str) -> None:
        """Set aside a row that was taken for a good one."""
        self._add(line, what, why)
        self.good -= 1
        if len(self._bad) - self._began > max(_MANY, self.good):
            self._stop("cannot be used", f"{what} {why}")

    def _add(self, line: int, what: str, why: str) -> None:
        self._bad.append(RowRefused(line, what, why, file=self._name))

    def _stop(self, how: str, why: str) -> NoReturn:
        first = self._bad[self._began].row
        raise RollRefused(f"{self._name}: most lines {how}, from line {first} on: {why}")


def _lines(part: Part, aside: _Aside) -> Iterator[tuple[int, list[str]]]:
    with part.source.opened() as raw:
        for row in records(raw, part.known, lambda line, why: aside.told(line, _WHOLE, why)):
            aside.good += 1
            yield row


def _own_history(known: Known, last: date) -> Field | Wide | None:
    if "history" in known.layout.reads:
        return Field(known.layout.state, last)
    return Wide(known, last) if known.layout.tail else None


def _strange(history: Wide, file: str) -> list[RowRefused]:
    """Columns that name no day of an election, as what was set aside of the header's line."""
    why = "is on no day of this age: the column is not read"
    return [RowRefused(1, name, why, file=file) for name in history.strange]


def _generals(history: Table | Field | Wide) -> set[date]:
    return {one.day for one in history.elections if one.kind == "general" and one.day}


def _primaries(history: Table | Field | Wide) -> set[int]:
    return {one.year for one in history.elections if one.kind in PRIMARIES}


def open_roll(place: Path, *, last: date = LAST) -> Roll:
    """Find the voter and history files of a folder, or take one file; every layout is known first.

    Args:
        last: no date in a voter file is later, such as the day of the election to come.

    Raises:
        RollRefused: no voter file is there, a file is of no known layout, or of another state.
    """
    parts, passed = _parts(place)
    by_what: Mapping[str, list[Part]] = {"voters": [], "history": [], "ballots": []}
    for part in parts:
        by_what[part.known.layout.what].append(part)
    if not by_what["voters"]:
        raise RollRefused(
            "no voter file is there: expected the text files that a state gives, such as "
            "Colorado's EX-003, New York's AllNYSVoters or Ohio's SWVF, also in a zip"
            + (f"; not read: {listed(passed)}" if passed else "")
        )
    if len({part.known.layout for part in by_what["voters"]}) > 1:
        raise RollRefused("the parts of the voter file are of different layouts")
    passed += tuple(f"{one.source.name} ({one.known.says()})" for one in by_what["ballots"])
    return Roll(tuple(by_what["voters"]), tuple(by_what["history"]), last=last, passed=passed)


def open_returns(place: Path, election: date) -> tuple[Returns, list[RowRefused]]:
    """Read a state's early and mail ballots of one election; the second is what was set aside.

    Raises:
        RollRefused: no file of ballots is there, one of no known layout, or of another election.
    """
    every, passed = _parts(place)
    parts = [part for part in every if part.known.layout.what == "ballots"]
    if not parts:
        raise RollRefused(
            "no file of ballots is there: Colorado's CE-068, North Carolina's absentee file and "
            "Florida's vote-by-mail requests are known"
            + (f"; not read: {listed(passed)}" if passed else "")
        )
    returns, bad = Returns(parts[0].known.layout.state, election), list[RowRefused]()
    returns.passed = passed
    for part in parts:
        aside = _Aside(part.source.name, bad)
        returns.read(_lines(part, aside), part.known, aside.refused)
    returns.check_days()
    return returns, bad


def listed(names: Sequence[str], most: int = 12) -> str:
    """Names in a line; of many the first."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _parts(place: Path) -> tuple[list[Part], tuple[str, ...]]:
    """Every text file there with its layout, all of one state, and what else lies there.

    Raises:
        RollRefused: a file is of no known layout, or they are of several states.
    """
    ignore = [name for code in STATES for name in state(code).words.get("ignore", ())]
    layouts = [layout for code in STATES for layout in state(code).layouts]
    found, passed = sources(place, ignore)
    parts = [_part(source, layouts) for source in found]
    if len({part.known.layout.state for part in parts}) > 1:
        raise RollRefused("these are files of more than one state: read each by itself")
    return parts, passed


def _part(source: Source, layouts: list[Layout]) -> Part:
    with source.opened() as raw:
        sample = head(raw)
    try:
        return Part(source, recognise(sample, layouts))
    except RollRefused as refused:
        raise refused.of(source.name) from None

"""Who voted when, in one form for all states: an election is its state, day and kind.

New York keeps it in one text field, Ohio in a column per election, Colorado, North Carolina,
Florida and Washington in tables of their own. What is no vote ("eligible did not vote", a ballot
that was not counted) is counted and left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from matching.roll.dates import FIRST_ELECTION, by_calendar, day, november
from matching.roll.ids import Votes
from matching.roll.layout import Known, State, state

__all__ = ["KINDS", "METHODS", "PRIMARIES", "Ballot", "Election", "Field", "Table", "Wide", "Words"]

KINDS = (
    "general", "primary", "presidential primary", "runoff", "special", "coordinated", "local",
    "other", "unknown",
)  # fmt: skip
PRIMARIES = frozenset({"primary", "presidential primary"})
METHODS = ("mail", "early", "polls", "provisional", "unknown")
Told = Callable[[int, str, str], None]
_REMEMBERED = 200_000
"""Different history tokens that are remembered; real files have some thousands."""


@dataclass(frozen=True, slots=True)
class Election:
    """One election. ``day`` is None where a file tells the year alone."""

    state: str
    day: date | None
    year: int
    kind: str


@dataclass(frozen=True, slots=True)
class Ballot:
    """One counted vote: which election, by which way, with which party's ballot if one is named."""

    election: Election
    method: str = "unknown"
    party: str = ""


_GAPS = re.compile(r"[^A-Z0-9]+")
_NO_VOTE = re.compile(r"DID NOT VOTE|NOT COUNTED|REJECTED")
"""In whatever words a file puts it."""


class Words:
    """A state's words for elections and ways of voting, from its file."""

    def __init__(self, of: State) -> None:
        words = of.words
        self.state = of.code
        self._kinds = [(_word(word), kind) for word, kind in words["kinds"]]
        self._methods = [(_word(word), method) for word, method in words["methods"]]
        self._none = frozenset(words["not_votes"])
        codes = {str(word) for word, _ in words["methods"]} if "exact_methods" in words else None
        self._codes = codes and codes | self._none
        self._always = str(words.get("always", "unknown"))
        self._by_calendar = "calendar" in words
        self._november = "november" in words
        self._local: Mapping[str, Sequence[Sequence[str]]] = words.get("dictionary", {})

    def kind(self, said: str, county: str = "") -> str:
        """The kind of election that words name; a county's own dictionary goes first."""
        local = [(_word(word), kind) for word, kind in self._local.get(county, ())]
        found = (kind for pattern, kind in (*local, *self._kinds) if pattern.search(said.upper()))
        return next(found, "unknown")

    def method(self, said: str) -> str:
        found = (way for pattern, way in self._methods if pattern.search(said.upper()))
        return next(found, self._always)

    def is_vote(self, said: str) -> bool:
        """Whether a row with this way of voting is a vote that counted."""
        word = said.strip().upper()
        return word not in self._none and not _NO_VOTE.search(_GAPS.sub(" ", word))

    def knows(self, said: str) -> bool:
        """Whether a way of voting may stand there: where ways are codes, one of them."""
        return self._codes is None or said.strip().upper() in self._codes

    def election(self, held: date, said: str) -> Election:
        kind = by_calendar(held) if self._by_calendar else self.kind(said)
        return Election(self.state, held, held.year, kind)

    def of_year(self, year: int, said: str, county: str) -> Election:
        """An election known by its year alone; a general one has its day by law."""
        kind = self.kind(said, county)
        known = november(year) if kind == "general" and self._november else None
        return Election(self.state, known, year, kind)


def _word(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Z]){re.escape(word)}(?![A-Z])")


@dataclass(frozen=True, slots=True)
class _Not:
    """Which part of a row cannot be read, and why."""

    what: str
    why: str


class Table:
    """The histories of a state that keeps them in tables of their own, one row a vote."""

    def __init__(self, code: str, last: date) -> None:
        self._words = Words(state(code))
        self._last = last
        self._votes = Votes()
        self._ballots: list[Ballot] = []
        self._numbers: dict[tuple[str, ...], int | _Not] = {}
        self.not_votes = 0

    def read(self, rows: Iterable[tuple[int, list[str]]], known: Known, told: Told) -> None:
        """Take in one table; ``told`` hears line, field and reason of each row set aside."""
        reads = known.layout.reads
        id_at, date_at = known.at(reads["voter_id"]), known.at(reads["date"])
        ats = [known.at(c) for c in reads["kind"]]
        ways = [known.at(reads[name]) if name in reads else -1 for name in ("method", "party")]
        for line, cells in rows:
            said = (
                cells[date_at].strip(),
                " ".join(cells[at].strip() for at in ats),
                *(cells[at].strip() if at >= 0 else "" for at in ways),
            )
            found, voter = self._number(said), cells[id_at].strip()
            if isinstance(found, _Not):
                told(line, str(reads[found.what]), found.why)
            elif not voter:
                told(line, str(reads["voter_id"]), "is empty")
            elif found < 0:
                self.not_votes += 1
            else:
                self._votes.add(voter, found)

    def of(self, voter: str) -> tuple[Ballot, ...]:
        """A voter's ballots, the earliest first, each election once."""
        return _sorted(self._ballots[number] for number in self._votes.of(voter))

    @property
    def elections(self) -> frozenset[Election]:
        return frozenset(ballot.election for ballot in self._ballots)

    @property
    def people(self) -> tuple[int, int]:
        """How many voters the table tells of, and how many of them nobody asked for."""
        return self._votes.asked

    def _number(self, said: tuple[str, ...]) -> int | _Not:
        """The number of a ballot, -1 for what is no vote, or why the row cannot be read."""
        found = self._numbers.get(said)
        if found is None:
            found = self._new(*said)
            if len(self._numbers) < _REMEMBERED:
                self._numbers[said] = found
        return found

    def _new(self, typed: str, kind: str, method: str, party: str) -> int | _Not:
        held = day(typed, FIRST_ELECTION, self._last)
        if held is None:
            return _Not("date", "is not a date of this age")
        if not self._words.knows(method):
            return _Not("method", "is a code this layout does not know")
        if not self._words.is_vote(method):
            return -1
        election = self._words.election(held, kind)
        made = Ballot(election, self._words.method(method), party)
        if made in self._ballots:
            return self._ballots.index(made)
        if len(self._ballots) > 0xFFFF:
            return _Not("date", "is one kind of vote more than this reader can tell apart")
        self._ballots.append(made)
        return len(self._ballots) - 1


def _sorted(ballots: Iterable[Ballot]) -> tuple[Ballot, ...]:
    by_election: dict[Election, Ballot] = {}
    for ballot in ballots:
        by_election.setdefault(ballot.election, ballot)
    return tuple(sorted(by_election.values(), key=_when))


def _when(ballot: Ballot) -> tuple[int, date, str]:
    one = ballot.election
    return one.year, one.day or date.min, one.kind


class Field:
    """New York's histories: one text per voter, tokens parted by semicolons, codes by county."""

    _DAY = re.compile(r"(?<!\d)(\d{8}|\d{1,2}/\d{1,2}/\d{4})(?!\d)")
    _YEAR = re.compile(r"(?<!\d)((?:19|20)\d{2})(?!\d)")

    def __init__(self, code: str, last: date) -> None:
        self._words, self._last = Words(state(code)), last
        self._known: dict[tuple[str, str], Ballot | None] = {}
        self.tokens = 0
        self.unread: Counter[str] = Counter()
        """Tokens that nobody can read, by county: the states' dictionaries differ by county."""
        self.vague = 0
        """Tokens that tell a year alone: such a vote counts in no band."""

    def of(self, said: str, county: str) -> tuple[Ballot, ...]:
        """The ballots of one voter's field."""
        if not said:
            return ()
        found = []
        for token in said.split(";"):
            token = token.strip()
            if not token:
                continue
            self.tokens += 1
            ballot = self._token(token, county)
            if ballot is None:
                self.unread[county] += 1
            else:
                self.vague += ballot.election.kind == "unknown"
                found.append(ballot)
        return _sorted(found)

    @property
    def elections(self) -> frozenset[Election]:
        return frozenset(ballot.election for ballot in self._known.values() if ballot)

    def _token(self, token: str, county: str) -> Ballot | None:
        key = (token, county)
        if key in self._known:
            return self._known[key]
        ballot = self._new(token.upper(), county)
        if len(self._known) < _REMEMBERED:
            self._known[key] = ballot
        return ballot

    def _new(self, token: str, county: str) -> Ballot | None:
        if not self._words.is_vote(token):
            return None
        method = self._words.method(token)
        if typed := self._DAY.search(token):
            held = day(typed[1], FIRST_ELECTION, self._last)
            if held is None:
                return None
            kind = self._words.kind(token, county)
            return Ballot(Election(self._words.state, held, held.year, kind), method)
        year = self._YEAR.search(token)
        if year is None or not FIRST_ELECTION.year <= int(year[1]) <= self._last.year:
            return None
        return Ballot(self._words.of_year(int(year[1]), token, county), method)


class Wide:
    """Ohio's histories: a column per election, a letter in it where somebody voted."""

    def __init__(self, known: Known, last: date) -> None:
        of = state(known.layout.state)
        words = Words(of)
        self._cells: Mapping[str, str] = of.words["cells"]
        self._columns: list[tuple[int, Election]] = []
        self.strange: list[str] = []
        """Columns of elections on a day that none was held: they are not read."""
        for at, name in enumerate(known.columns):
            kind, mark, typed = name.strip().partition("-")
            held = day(typed, FIRST_ELECTION, last) if mark else None
            if at < len(known.layout.columns):
                continue
            if held:
                self._columns.append((at, words.election(held, kind)))
            else:
                self.strange.append(name.strip())
        self._known: dict[tuple[int, str], Ballot | None] = {}
        self.tokens = 0
        self.unread: Counter[str] = Counter()

    def of(self, cells: Sequence[str], county: str) -> tuple[Ballot, ...]:
        """The ballots of one voter's row."""
        found = []
        for at, election in self._columns:
            said = cells[at]
            if not said or said.isspace():
                continue
            self.tokens += 1
            ballot = self._cell(at, election, said.strip().upper())
            if ballot is None:
                self.unread[county] += 1
            else:
                found.append(ballot)
        return _sorted(found)

    @property
    def elections(self) -> frozenset[Election]:
        return frozenset(election for _, election in self._columns)

    def _cell(self, at: int, election: Election, said: str) -> Ballot | None:
        key = (at, said)
        if key not in self._known:
            party = self._cells.get(said)
            self._known[key] = None if party is None else Ballot(election, "unknown", party)
        return self._known[key]

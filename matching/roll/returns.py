"""This election's ballots: who has voted, whose ballot is out, whose must be cured.

Colorado's CE-068, North Carolina's absentee file, Florida's vote-by-mail requests. Several rows per
voter are usual: the latest counts, but who has once voted has voted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from matching.errors import RollRefused
from matching.roll.dates import FIRST_ELECTION, day
from matching.roll.history import Told, Words
from matching.roll.layout import Known, state

__all__ = ["STATES_OF_BALLOT", "Return", "Returns"]

STATES_OF_BALLOT = ("voted", "out", "cure", "none")
"""Has voted; has a ballot and has not sent it; must mend it to count; has none in force."""
_BEFORE, _AFTER = timedelta(days=150), timedelta(days=30)
"""When, around its day, an election's ballots are sent and come back."""

_SLIPS = 20
"""Absurd dates that are usual in a file of the right election."""


@dataclass(frozen=True, slots=True, repr=False)
class Return:
    """Where one voter's ballot is. ``day`` is None where the file tells none, or an absurd one."""

    state: str
    day: date | None
    method: str

    def __repr__(self) -> str:
        return "Return()"


@dataclass(slots=True)
class Returns:
    """The ballots of one election; filled by ``read``.

    ``doubted`` counts absurd dates among the ``dated`` ballots that came back: a ballot received
    on one has been received. ``other`` counts
    rows of other elections; ``passed`` names what lay there and was not read.
    """

    code: str
    election: date
    by_voter: dict[str, Return] = field(default_factory=dict, repr=False)
    doubted: int = 0
    dated: int = 0
    other: int = 0
    passed: tuple[str, ...] = ()
    _when: dict[str, date] = field(default_factory=dict, repr=False)

    def read(self, rows: Iterable[tuple[int, list[str]]], known: Known, told: Told) -> None:
        """Take in one file; ``told`` hears line, field and reason of each row set aside."""
        row_of = _Columns(known)
        words, ballots = Words(state(self.code)), state(self.code).words["ballots"]
        states = {word: where for where, listed in ballots.items() for word in listed}
        id_is = re.compile(state(self.code).words["reads"]["voters"]["id"])
        for line, cells in rows:
            voter = cells[row_of.voter].strip()
            if not id_is.fullmatch(voter):
                why = "is no voter id of this state" if voter else "is empty"
                told(line, row_of.names["voter_id"], why)
                continue
            if not self._same(row_of, cells):
                self.other += 1
                continue
            found = self._return(row_of, cells, states, words)
            if found is None:
                told(line, row_of.names.get("status", ""), "is a status this layout does not know")
            else:
                self._take(voter, found, self._changed(row_of, cells) or found.day)

    def counts(self) -> Counter[str]:
        """How many voters stand where."""
        return Counter(one.state for one in self.by_voter.values())

    def _same(self, row_of: _Columns, cells: Sequence[str]) -> bool:
        if row_of.election < 0:
            return True
        return day(cells[row_of.election], FIRST_ELECTION, date.max) == self.election

    def _return(
        self, row_of: _Columns, cells: Sequence[str], states: Mapping[str, str], words: Words
    ) -> Return | None:
        said = cells[row_of.status].strip().upper() if row_of.status >= 0 else ""
        method = words.method(cells[row_of.method]) if row_of.method >= 0 else "mail"
        back = self._day(cells, row_of.voted)
        if said in states:
            when = back or self._changed(row_of, cells)
            if states[said] == "voted" and any(cells[at].strip() for at in row_of.changed):
                self._count(when)
            return Return(states[said], when, method)
        if any(cells[at].strip() for at in row_of.voted):
            self._count(back)
            return Return("voted", back, method)
        if row_of.always_out or any(cells[at].strip() for at in row_of.out):
            # A status nobody knows beside a return's date could be anything: it is set aside.
            if said and row_of.strict:
                return None
            return Return("out", self._day(cells, row_of.out), method)
        return None if said and row_of.strict else Return("none", None, method)

    def _count(self, back: date | None) -> None:
        self.dated += 1
        self.doubted += back is None

    def check_days(self) -> None:
        """Refuse a file of another election: who voted in that one has not voted in this.

        Raises:
            RollRefused: most ballots came back far from the election's day.
        """
        if self.doubted > _SLIPS and 2 * self.doubted > self.dated:
            raise RollRefused(
                f"{self.doubted:,} of {self.dated:,} ballots came back on days far from "
                f"{self.election}: is this the file of another election?"
            )

    def _day(self, cells: Sequence[str], ats: Iterable[int]) -> date | None:
        found = (day(cells[at], self.election - _BEFORE, self.election + _AFTER) for at in ats)
        return next((one for one in found if one), None)

    def _changed(self, row_of: _Columns, cells: Sequence[str]) -> date | None:
        return self._day(cells, row_of.changed)

    def _take(self, voter: str, found: Return, when: date | None) -> None:
        known = self.by_voter.get(voter)
        if known is not None:
            if known.state == "voted":
                return
            later = (when or date.min) >= self._when.get(voter, date.min)
            if found.state != "voted" and not later:
                return
        self.by_voter[voter] = found
        if when is not None:
            self._when[voter] = when


class _Columns:
    """The places of the columns that a file of ballots is read by."""

    def __init__(self, known: Known) -> None:
        self.names: Mapping[str, str] = known.layout.reads
        reads = known.layout.reads
        self.voter = known.at(reads["voter_id"])
        self.election = known.at(reads["election"]) if "election" in reads else -1
        self.status = known.at(reads["status"]) if "status" in reads else -1
        named = str(reads["method"])
        self.method = -1 if named.startswith("@") else known.at(named)
        self.voted = [known.at(column) for column in reads["voted"]]
        self.out = [known.at(column) for column in reads["out"]]
        self.changed = [known.at(reads[one]) for one in ("changed", "also") if one in reads]
        self.always_out = bool(reads.get("always_out", False))
        self.strict = bool(reads.get("strict", False))

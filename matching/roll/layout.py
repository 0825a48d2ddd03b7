"""A voter file's layout as dated data, and the fingerprint by which a file says which it is.

One JSON file per state under ``matching/data/layouts``: the dated layouts with their columns,
which column is read as what, the words of statuses, elections and methods, and the counties. A file
with a header is known by its columns' names, one without by their number and the look of a few.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import Any

from matching.errors import RollRefused

__all__ = ["STATES", "Known", "Layout", "State", "cells_of", "fingerprint", "recognise", "state"]

STATES = ("CO", "FL", "NC", "NY", "OH", "WA")
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September",
           "October", "November", "December")  # fmt: skip
_MARKS = {",": "commas", "\t": "tabs", "|": "bars", ";": "semicolons"}
_LOOKS = 0.8
"""The share of a sample's lines that must look as the layout says."""


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """One vintage of one state's file. States change theirs without notice, so it is dated.

    Attributes:
        what: "voters", "history" (who voted when) or "ballots" (this election's returns).
        since: the first year or month the layout was seen.
        files: beginnings of the file names it usually comes in; a file is known by its content.
        key: the column that names a voter.
        delimiters: the marks between columns that were seen.
        header: whether the first line names the columns.
        needs: the columns given are those that must be there; others may stand among them.
        tail: a pattern for any number of further columns (an election each).
        anywhere: columns whose place among the others is not known.
        optional: columns that may be absent.
        shape: patterns of a few columns, by which a file without header is known.
        reads: which column is read as what.
    """

    state: str
    place: str
    name: str
    what: str
    since: str
    files: tuple[str, ...]
    columns: tuple[str, ...]
    key: str
    delimiters: tuple[str, ...]
    quoted: bool
    header: bool
    needs: bool
    tail: str
    anywhere: frozenset[str]
    optional: frozenset[str]
    shape: Mapping[str, str]
    reads: Mapping[str, Any]

    def says(self, columns: int | None = None) -> str:
        """One line for a person: state, kind, date and number of columns."""
        year, _, month = self.since.partition("-")
        when = f"{_MONTHS[int(month) - 1]} {year}" if month else year
        what = "" if self.name == "voters" else f", {self.name}"
        return f"{self.place}{what}, layout of {when}, {columns or len(self.columns)} columns"


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What one state's files share: its layouts, its words, its counties by their code."""

    code: str
    name: str
    layouts: tuple[Layout, ...]
    counties: Mapping[str, tuple[str, str]]
    """County code in the file, to FIPS code (five digits) and name; never computed from it."""
    words: Mapping[str, Any]
    """The rest of the state's file as it stands."""


@dataclass(frozen=True, slots=True)
class Known:
    """A file whose layout is known: with the columns and the delimiter it really has."""

    layout: Layout
    columns: tuple[str, ...]
    delimiter: str

    def at(self, column: str) -> int:
        """The place of a column, however its name is written; raises KeyError."""
        try:
            return [_fold(name) for name in self.columns].index(_fold(column))
        except ValueError:
            raise KeyError(column) from None

    def says(self) -> str:
        return self.layout.says(len(self.columns))


@cache
def state(code: str) -> State:
    """A state's layouts and words, from its file."""
    text = resources.files("matching").joinpath(f"data/layouts/{code.lower()}.json")
    raw = json.loads(text.read_text("utf-8"))
    layouts = tuple(_layout(raw, one) for one in raw["layouts"])
    counties = {key: (fips, name) for key, (fips, name) in raw["counties"].items()}
    return State(code, raw["name"], layouts, counties, raw)


def _layout(raw: Mapping[str, Any], one: Mapping[str, Any]) -> Layout:
    merged = {**raw["reads"][one["what"]], **one.get("reads", {})}
    reads = {name: column for name, column in merged.items() if column is not None}
    return Layout(
        state=raw["state"],
        place=raw["name"],
        name=one["name"],
        what=one["what"],
        since=one["since"],
        files=tuple(one["files"]),
        columns=tuple(one["columns"]),
        key=reads["voter_id"],
        delimiters=tuple(one["delimiters"]),
        quoted=one["quoted"],
        header=one["header"],
        needs=one.get("needs", False),
        tail=one.get("tail", ""),
        anywhere=frozenset(map(_fold, one.get("anywhere", ()))),
        optional=frozenset(map(_fold, one.get("optional", ()))),
        shape=one.get("shape", {}),
        reads=reads,
    )


def fingerprint(header: Sequence[str]) -> str:
    """SHA-256 over the header's names in their order, trimmed, in capitals."""
    return hashlib.sha256("\x1f".join(map(_fold, header)).encode()).hexdigest()


def cells_of(line: str, delimiter: str, *, quoted: bool = True) -> list[str]:
    """One line's cells; an unclosed quotation mark takes the rest, a broken line has none."""
    try:
        if quoted:
            return next(csv.reader([line], delimiter=delimiter), [])
        return next(csv.reader([line], delimiter=delimiter, quoting=csv.QUOTE_NONE), [])
    except csv.Error:
        return []


def recognise(sample: Sequence[str], layouts: Iterable[Layout]) -> Known:
    """Find the layout of a file by its first lines.

    Args:
        sample: some dozens of lines, decoded; the first is the header where there is one.

    Raises:
        RollRefused: none fits; names what differs from the nearest, and no cell of a voter.
    """
    known = tuple(layouts)
    for layout in known:
        for delimiter in layout.delimiters:
            found = _columns(sample, layout, delimiter)
            if found:
                return Known(layout, found, delimiter)
    raise _difference(sample, known)


def _columns(sample: Sequence[str], layout: Layout, delimiter: str) -> tuple[str, ...]:
    """The file's own columns if it is of this layout, else nothing."""
    if not sample:
        return ()
    if layout.header:
        header = tuple(
            name.strip("\ufeff \t") for name in cells_of(sample[0], delimiter, quoted=True)
        )
        return header if _fits(header, layout) else ()
    return layout.columns if not _misfits(sample, layout, delimiter) else ()


def _fits(header: tuple[str, ...], layout: Layout) -> bool:
    names = [_fold(name) for name in header]
    wanted = [_fold(name) for name in layout.columns]
    if len(set(names)) != len(names):
        return False
    if layout.needs:
        return set(wanted) <= set(names)
    if not layout.anywhere <= set(names):
        return False
    if layout.tail:
        rest = names[len(wanted) :]
        names = names[: len(wanted)]
        if not all(re.fullmatch(layout.tail, name) for name in rest):
            return False
    loose = layout.anywhere | layout.optional
    return [n for n in names if n not in loose] == [n for n in wanted if n not in loose]


def _misfits(sample: Sequence[str], layout: Layout, delimiter: str) -> list[str]:
    """What of a file without header does not look as the layout says; empty if all does."""
    rows = [cells_of(line, delimiter, quoted=layout.quoted) for line in sample]
    right = [row for row in rows if len(row) == len(layout.columns)]
    if _too_few(len(right), len(rows)):
        return ["the number of columns"]
    found = []
    for column, pattern in layout.shape.items():
        at = layout.columns.index(column)
        looks = sum(re.fullmatch(pattern, row[at].strip()) is not None for row in right)
        if _too_few(looks, len(right)):
            found.append(f"column {at + 1} ({column})")
    return found


def _too_few(right: int, of: int) -> bool:
    """Whether too few of a sample look right; two or three odd lines are usual."""
    return not right or (right < _LOOKS * of and right + 3 < of)


def _difference(sample: Sequence[str], layouts: Sequence[Layout]) -> RollRefused:
    """Say how the file differs from the nearest layout, so that a person can see what changed."""
    if not sample:
        return RollRefused("the file is empty")
    marks = (",", "\t", "|", ";")
    headers = [[_fold(name) for name in cells_of(sample[0], mark)] for mark in marks]
    scored = [
        (len(set(names) & set(map(_fold, layout.columns))), names, layout)
        for layout in layouts
        if layout.header
        for names in headers
    ]
    shared, names, nearest = max(scored, key=lambda one: (one[0], -len(one[2].columns)))
    if shared >= 3 or shared * 2 > len(names):
        return _header_difference(names, nearest)
    return _headless_difference(sample, [layout for layout in layouts if not layout.header], marks)


def _header_difference(names: Sequence[str], nearest: Layout) -> RollRefused:
    folded = [_fold(name) for name in nearest.columns]
    missing = tuple(
        name
        for name, fold in zip(nearest.columns, folded, strict=True)
        if fold not in names and fold not in nearest.optional
    )
    tail = re.compile(nearest.tail) if nearest.tail else None
    sure = 2 * len(set(names) & set(folded)) > len(folded)
    new = tuple(
        _printable(name, sure=sure)
        for name in names
        if name not in folded and not (tail and tail.fullmatch(name))
    )
    when = nearest.says().partition(", layout")[0]
    reason = f"the header is not the one of {when} ({nearest.since})"
    if nearest.needs:
        new = ()
    twice = [name for name, times in Counter(names).items() if times > 1 and name in folded]
    if twice:
        reason += f": {', '.join(twice)} stands there more than once"
    elif list(names) == folded:
        marks = " or ".join(_MARKS.get(mark, mark) for mark in nearest.delimiters)
        reason += f": the same columns, but not parted by {marks}"
    elif not missing and not new:
        at = next(
            (n for n, (a, b) in enumerate(zip(names, folded, strict=False)) if a != b), len(folded)
        )
        reason += f": the same columns in another order, from column {at + 1} on"
    return RollRefused(reason, missing=missing, new=new[:20])


def _headless_difference(
    sample: Sequence[str], layouts: Sequence[Layout], marks: Sequence[str]
) -> RollRefused:
    """No header is known in it: by the number of columns, then by the look of a few."""
    best: tuple[int, int, Layout, str] | None = None
    for rank, layout in enumerate(layouts):
        for mark in marks:
            width = _usual(sample, mark, quoted=layout.quoted)
            one = (abs(width - len(layout.columns)), rank, layout, mark)
            best = one if best is None or one[:2] < best[:2] else best
    assert best is not None
    gap, _, nearest, mark = best
    width = _usual(sample, mark, quoted=nearest.quoted)
    seen = f"the first line names no known columns, and most lines have {width} columns"
    if gap:
        return RollRefused(f"{seen}; the nearest is {nearest.says()}")
    if mark not in nearest.delimiters:
        return RollRefused(f"{seen} as {nearest.says()} has, but parted by another mark")
    wrong = _misfits(sample, nearest, mark)
    return RollRefused(f"{seen} as {nearest.says()} has, but other contents in {', '.join(wrong)}")


def _usual(sample: Sequence[str], mark: str, *, quoted: bool) -> int:
    widths = Counter(len(cells_of(line, mark, quoted=quoted)) for line in sample)
    return widths.most_common(1)[0][0]


@lru_cache(maxsize=4096)
def _fold(name: str) -> str:
    return re.sub(r"\s+", "_", name.strip("\ufeff ï»¿\t").strip()).upper()


def _printable(name: str, *, sure: bool) -> str:
    """A header as it may be shown. A file without one begins with a voter: that is not shown.

    Where more than half of a layout's columns are named, the line is a header for sure.
    """
    plain = re.fullmatch(r"[A-Z0-9_/() .-]{1,40}", name) if sure else None
    if plain or (name.replace("_", "").isalpha() and len(name) <= 32):
        return name
    return "(not a column name)"

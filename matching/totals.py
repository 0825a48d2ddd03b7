"""Voters per precinct held against other counts of the same precincts; every difference named."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from matching.errors import RollRefused

__all__ = ["COUNTED", "Difference", "check_slice", "differences", "read_totals"]

COUNTED = ("registered", "active")
"""What an official list may count: voters active or inactive, or the active alone."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One precinct that two counts do not agree on."""

    precinct: str
    expected: int
    found: int

    def __str__(self) -> str:
        more = self.found - self.expected
        return (
            f"precinct {self.precinct}: {self.expected:,} expected, {self.found:,} read ({more:+,})"
        )


def differences(expected: Mapping[str, int], found: Mapping[str, int]) -> tuple[Difference, ...]:
    """Every precinct of either count that the other has not, or has otherwise; by its code."""
    return tuple(
        Difference(precinct, expected.get(precinct, 0), found.get(precinct, 0))
        for precinct in sorted({*expected, *found})
        if expected.get(precinct, 0) != found.get(precinct, 0)
    )


def read_totals(path: Path) -> tuple[str, dict[str, int]]:
    """Read official totals: CSV in UTF-8 whose header has ``precinct`` and one of ``COUNTED``.

    Returns:
        What is counted, and how many by precinct.

    Raises:
        RollRefused: the text, the header, or the first row that is no code and whole number, or
            repeats one.
    """
    try:
        return _read(path)
    except (UnicodeDecodeError, csv.Error):
        raise RollRefused(f"{path.name}: is not CSV in UTF-8: save it as 'CSV UTF-8'") from None


def _read(path: Path) -> tuple[str, dict[str, int]]:
    with path.open(encoding="utf-8-sig", newline="") as text:
        rows = csv.DictReader(text)
        names = {name.strip().casefold(): name for name in rows.fieldnames or () if name}
        counted = next((word for word in COUNTED if word in names), None)
        if counted is None or "precinct" not in names:
            raise RollRefused(f"{path.name}: needs the columns precinct and registered (or active)")
        found: dict[str, int] = {}
        for number, row in enumerate(rows, 2):
            code = (row[names["precinct"]] or "").strip()
            typed = (row[names[counted]] or "").strip().replace(",", "")
            if not code or code in found:
                what = "is empty" if not code else "stands here for the second time"
                raise RollRefused(f"{path.name}, row {number}, precinct: {what}")
            if not (typed.isascii() and typed.isdigit()):
                raise RollRefused(f"{path.name}, row {number}, {counted}: is not a whole number")
            found[code] = int(typed)
    return counted, found


def check_slice(voters: Mapping[str, int], rows: Mapping[str, int]) -> tuple[str, ...]:
    """Check that a slice holds each precinct's voters; returns the precincts merged into none.

    Args:
        voters: by precinct, as the file says.
        rows: by precinct, as the part that is sent says; "" holds what was merged.

    Raises:
        RollRefused: a precinct has another number of rows than of voters, and is not merged.
    """
    merged = tuple(sorted(code for code in voters if code and code not in rows))
    expected = {code: count for code, count in voters.items() if code not in merged}
    expected[""] = voters.get("", 0) + sum(voters[code] for code in merged)
    wrong = differences({code: n for code, n in expected.items() if n}, rows)
    if wrong:
        raise RollRefused(f"the slice does not hold the file's voters: {wrong[0]}; enrol it anew")
    return merged

"""A voter file's layout as dated data, and the fingerprint by which a file says which it is."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from matching.errors import RollRefused

__all__ = ["Layout", "fingerprint", "recognise"]


@dataclass(frozen=True, slots=True)
class Layout:
    """One vintage of one state's file. States change theirs without notice, so it is dated.

    ``since`` is the first month the layout was seen, ``files`` the beginnings of the file names it
    comes in, ``key`` the column that names a voter.
    """

    state: str
    name: str
    since: str
    files: tuple[str, ...]
    columns: tuple[str, ...]
    key: str


def fingerprint(header: Sequence[str]) -> str:
    """SHA-256 over the header's names in their order, trimmed, in capitals."""
    return hashlib.sha256("\x1f".join(_trim(header)).encode()).hexdigest()


def recognise(header: Sequence[str], layouts: Sequence[Layout]) -> Layout:
    """Find the layout with exactly this header.

    Raises:
        RollRefused: none has it; names the columns that are missing from and new to the nearest.
    """
    seen = fingerprint(header)
    for layout in layouts:
        if fingerprint(layout.columns) == seen:
            return layout
    names = _trim(header)
    nearest = max(layouts, key=lambda layout: len(set(layout.columns) & set(names)))
    missing = tuple(name for name in nearest.columns if name not in names)
    new = tuple(_printable(name) for name in names if name not in nearest.columns)
    reason = f"the header is not the one of {nearest.state} {nearest.name} ({nearest.since})"
    if not missing and not new:
        at = next(n for n, (a, b) in enumerate(zip(names, nearest.columns, strict=False)) if a != b)
        reason += f": the same columns in another order, from column {at + 1} on"
    raise RollRefused(reason, missing=missing, new=new[:20])


def _trim(header: Sequence[str]) -> tuple[str, ...]:
    return tuple(name.strip("\ufeff ï»¿\t").strip().upper() for name in header)


def _printable(name: str) -> str:
    """A header as it may be shown. A file without one begins with a voter: that is not shown."""
    return name if name.replace("_", "").isalpha() and len(name) <= 32 else "(not a column name)"

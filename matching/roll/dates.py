"""Dates as voter files write them, the absurd ones told apart: a year 0202 is in real files."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta

__all__ = ["FIRST_BIRTH", "FIRST_ELECTION", "by_calendar", "day", "november"]

FIRST_ELECTION = date(1980, 1, 1)
FIRST_REGISTERED = date(1920, 1, 1)
FIRST_BIRTH = 1900
"""Older years stand for "not given" in real files, as does 1 January 1900."""
_FORMS = (
    re.compile(r"(?P<m>\d{1,2})/(?P<d>\d{1,2})/(?P<y>\d{4})"),
    re.compile(r"(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})"),
    re.compile(r"(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})"),
)
_TIME = re.compile(r"(?<=\d)[ T].*")
_SHORT = re.compile(r"\d{1,2}-[A-Za-z]{3}-\d{2,4}")


def day(typed: str, first: date, last: date) -> date | None:
    """A date in any of the states' forms, if it lies within ``first`` and ``last``.

    ``MM/DD/YYYY`` (also unpadded), ``YYYY-MM-DD``, ``YYYYMMDD``, ``DD-MON-YY``; a time behind it is
    left off. None for anything else, masks such as ``##/##/####`` included.
    """
    found = _read(_TIME.sub("", typed.strip()))
    return found if found and first <= found <= last else None


def _read(said: str) -> date | None:
    try:
        for form in _FORMS:
            if match := form.fullmatch(said):
                return date(int(match["y"]), int(match["m"]), int(match["d"]))
        if _SHORT.fullmatch(said):
            year = "%Y" if len(said.rpartition("-")[2]) == 4 else "%y"
            return datetime.strptime(said, f"%d-%b-{year}").date()  # noqa: DTZ007 - a day, no time
    except ValueError:
        pass
    return None


def november(year: int) -> date:
    """The Tuesday after the first Monday in November."""
    return _tuesday(date(year, 11, 2))


def by_calendar(held: date) -> str:
    """What an election of this day is by Washington's calendar (RCW 29A.04.311, 29A.04.321)."""
    if held == november(held.year):
        return "general"
    return "primary" if held == _tuesday(date(held.year, 8, 1)) else "unknown"


def _tuesday(begin: date) -> date:
    return begin + timedelta(days=(1 - begin.weekday()) % 7)

"""Two snapshots of one roll compared: who came, who went, who moved, as numbers alone."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

from matching.errors import RollRefused
from matching.scratch import scratch

__all__ = ["MOST_VANISHED", "Changed", "check_vanished", "compare"]

MOST_VANISHED = 0.05
"""Of the voters before; more than that looks like a file that was cut off, not like a month."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What is different in the later snapshot.

    ``vanished`` voters were there before and are not now: no row of the later slice is theirs.
    ``moved`` are in both, under another precinct, district or ZIP.
    """

    before: int
    after: int
    kept: int
    new: int
    vanished: int
    moved: int


def compare(before: Path, after: Path, *, known: Set[str], read: Set[str]) -> Changed:
    """Compare two slices of one steward, whose row ids are the same for the same voter.

    Args:
        before: the earlier attributes part.
        after: the later one.
        known: voter ids of the earlier slice.
        read: voter ids of the later one.
    """
    kept = len(known & read)
    return Changed(
        before=len(known),
        after=len(read),
        kept=kept,
        new=len(read) - kept,
        vanished=len(known) - kept,
        moved=_moved(before, after),
    )


def _moved(before: Path, after: Path) -> int:
    """Rows of both parts with another place; a place not told on either side says nothing."""
    differs = " OR ".join(
        f"(a.{name} <> '' AND b.{name} <> '' AND a.{name} <> b.{name})"
        for name in ("precinct", "congressional", "senate", "house", "zip")
    )
    with scratch() as base:
        found = base.execute(
            "SELECT count(*) FROM read_parquet(?) AS a JOIN read_parquet(?) AS b USING (row_id)"  # noqa: S608 - fixed words
            f" WHERE {differs}",
            [str(before), str(after)],
        ).fetchone()
    assert found is not None
    return int(found[0])


def check_vanished(changed: Changed, most: float = MOST_VANISHED) -> None:
    """Refuse a file that lost too many voters at once.

    Raises:
        RollRefused: says how many; a list that is cut off would leave them without a letter.
    """
    if changed.vanished > most * changed.before:
        raise RollRefused(
            f"{changed.vanished:,} of {changed.before:,} voters enrolled before are not in this "
            f"file, more than {most:.0%}: is a part of it missing? If the state did remove them, "
            "say so with --accept-vanished"
        )

"""What of a voter may enter the store: a few coarse attributes, merged until k share each.

Also the decoys: every token that several voters share is replaced, so that the roll is no graph.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from matching.roll.reader import Voter

__all__ = ["AGE_BANDS", "VOTES_BANDS", "Attributes", "Coarsened", "Merged", "coarsen", "decoys"]

AGE_BANDS = ("18-34", "35-49", "50-64", "65+")
VOTES_BANDS = ("0", "1-2", "3-4")
MAX_HOUSEHOLD = 8


@dataclass(frozen=True, slots=True)
class Attributes:
    """One row of the roll slice. An empty value says "not told": no filter ever selects it."""

    row_id: int
    precinct: str
    congressional: str
    senate: str
    house: str
    zip: str
    age_band: str
    votes: str
    household: int


@dataclass(frozen=True, slots=True)
class Merged:
    """One thing that was taken back in one precinct, and for how many voters."""

    precinct: str
    what: str
    voters: int


@dataclass(frozen=True, slots=True)
class Coarsened:
    """The slice, the steward's own map back (row id to voter id), and what was merged."""

    rows: tuple[Attributes, ...]
    voter_ids: Mapping[int, str]
    merged: tuple[Merged, ...]


def coarsen(
    voters: Iterable[Voter],
    *,
    on: date,
    generals: Iterable[date],
    name: Callable[[str], int],
    k: int = 10,
    households: bool = True,
) -> Coarsened:
    """Reduce voters to coarse attributes under ids that only the steward can trace.

    Args:
        voters: as the roll's reader yields them.
        on: the election's date; ages are counted in its year.
        generals: dates of general elections; the last four before ``on`` are counted.
        name: 63-bit integers from a keyed function of a label, so that a voter's row and a
            household keep their ids in every later slice: stops, caps and ghosts hang on them.
        k: every (precinct, age band, votes) that occurs is shared by at least so many voters, and
            so is every (precinct, ZIP) and (precinct, district).
        households: whether voters of one address share a number. Who lives with whom can be read
            in the public file, so such numbers make the roll a map: `tests/attack` measures it.

    Returns:
        Rows sorted by their id, so that the file's order is gone. Where too few share a
        value it becomes "": first the votes of the smallest groups, then age, then the precinct.
    """
    last_four = tuple(sorted(day for day in set(generals) if day < on)[-4:])
    rows: list[Attributes] = []
    ids: dict[int, str] = {}
    homes = _Households(name)
    for voter in voters:
        label = f"voter|{voter.voter_id}"
        row_id = name(label)
        while row_id in ids:  # once in 2^63 a pair; the later one in the file moves
            label += "|"
            row_id = name(label)
        ids[row_id] = voter.voter_id
        rows.append(
            Attributes(
                row_id=row_id,
                precinct=voter.precinct,
                congressional=voter.congressional,
                senate=voter.senate,
                house=voter.house,
                zip=voter.zip,
                age_band=_age_band(voter.birth_year, on),
                votes=_votes_band(len(voter.votes.intersection(last_four))),
                household=homes.of(voter.household if households else "", voter.voter_id),
            )
        )
    merged: list[Merged] = []
    rows = _merge_precincts(rows, k, merged)
    by_precinct: dict[str, list[Attributes]] = defaultdict(list)
    for row in rows:
        by_precinct[row.precinct].append(row)
    done: list[Attributes] = []
    for precinct in sorted(by_precinct):
        done += _merge_cells(precinct, by_precinct[precinct], k, merged)
    return Coarsened(tuple(sorted(done, key=lambda row: row.row_id)), ids, tuple(merged))


def _age_band(year: int | None, on: date) -> str:
    if year is None:
        return ""
    age = on.year - year
    return AGE_BANDS[0 if age < 35 else 1 if age < 50 else 2 if age < 65 else 3]


def _votes_band(count: int) -> str:
    return VOTES_BANDS[0 if count == 0 else 1 if count < 3 else 2]


class _Households:
    """An id per address; a crowded one is split, so that no id marks a dormitory."""

    def __init__(self, name: Callable[[str], int]) -> None:
        self._name = name
        self._sizes: dict[bytes, int] = {}

    def of(self, address: str, voter_id: str) -> int:
        if not address:
            return self._name(f"alone|{voter_id}")
        key = hashlib.blake2b(address.encode(), digest_size=16).digest()
        size = self._sizes.get(key, 0)
        self._sizes[key] = size + 1
        return self._name(f"household|{key.hex()}|{size // MAX_HOUSEHOLD}")


def _too_small(counts: Mapping[str, int], k: int) -> set[str]:
    """Which values must become "" so that every one left, and "" itself, has none or >= k."""
    left = dict(counts)
    none = left.pop("", 0)
    gone = {value for value, count in left.items() if count < k}
    none += sum(left.pop(value) for value in gone)
    while 0 < none < k and left:
        smallest = min(left, key=lambda value: (left[value], value))
        none += left.pop(smallest)
        gone.add(smallest)
    return gone


def _merge_precincts(rows: list[Attributes], k: int, merged: list[Merged]) -> list[Attributes]:
    gone = _too_small(Counter(row.precinct for row in rows), k)
    if not gone:
        return rows
    merged.append(Merged("", "precinct", sum(row.precinct in gone for row in rows)))
    return [replace(row, precinct="") if row.precinct in gone else row for row in rows]


def _merge_cells(
    precinct: str, rows: list[Attributes], k: int, merged: list[Merged]
) -> list[Attributes]:
    """Within one precinct: rare districts and ZIPs, then rare ages, then rare votes of an age."""
    for what in ("congressional", "senate", "house", "zip", "age_band"):
        gone = _too_small(Counter(getattr(row, what) for row in rows), k)
        rows = _blanked(precinct, rows, what, gone, merged)
    by_age: dict[str, list[Attributes]] = defaultdict(list)
    for row in rows:
        by_age[row.age_band].append(row)
    done: list[Attributes] = []
    for age in sorted(by_age):
        gone = _too_small(Counter(row.votes for row in by_age[age]), k)
        done += _blanked(precinct, by_age[age], "votes", gone, merged)
    return done


def _blanked(
    precinct: str, rows: list[Attributes], what: str, gone: set[str], merged: list[Merged]
) -> list[Attributes]:
    hit = sum(getattr(row, what) in gone for row in rows)
    if not hit:
        return rows
    merged.append(Merged(precinct, what, hit))
    blank = {what: ""}
    return [
        replace(row, **blank) if getattr(row, what) in gone else row  # type: ignore[arg-type]
        for row in rows
    ]


def decoys(
    outputs_by_row: Mapping[int, Sequence[bytes | None]],
    *,
    steward_key: bytes,
    stable_ids: Mapping[int, str] | None = None,
) -> dict[int, tuple[bytes, ...]]:
    """Replace every output that more than one voter has, per recipe, by one nobody else has.

    What is missing gets a decoy too: which of a voter's fields are empty can be read in the public
    file, and would place one voter in four hundred by itself.

    Args:
        outputs_by_row: 64-byte outputs by row id, in the recipes' order; None where missing.
        steward_key: 32 bytes that never leave the steward.
        stable_ids: the steward's map to voter ids; with it a voter's decoys are the same in every
            snapshot although row ids are drawn anew, and two snapshots show no one who moved.

    Returns:
        The same rows; a decoy is HMAC-SHA-512(steward key, LV(id) || recipe): 64 bytes too.
    """
    shared = [
        {output for output, times in Counter(column).items() if output is not None and times > 1}
        for column in zip(*outputs_by_row.values(), strict=True)
    ]
    names = stable_ids or {}
    done: dict[int, tuple[bytes, ...]] = {}
    for row, outputs in outputs_by_row.items():
        name = names.get(row, str(row)).encode()
        done[row] = tuple(
            output
            if output is not None and output not in shared[recipe]
            else _decoy(steward_key, name, recipe)
            for recipe, output in enumerate(outputs)
        )
    return done


def _decoy(key: bytes, name: bytes, recipe: int) -> bytes:
    said = len(name).to_bytes(2, "big") + name + bytes([recipe])
    return hmac.digest(key, said, "sha512")

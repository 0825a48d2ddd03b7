"""What of a voter may enter the store: a few coarse attributes, merged until k share each.

Also the decoys: every token that several voters share is replaced, so that the roll is no graph.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import date

from matching.roll.history import PRIMARIES
from matching.roll.local import local_codes
from matching.roll.reader import Voter

__all__ = ["AGE_BANDS", "ORDER", "PRIMARIES_BANDS", "VOTES_BANDS", "Attributes", "Coarsened",
           "Merged", "coarsen", "decoys"]  # fmt: skip

ORDER = ("congressional", "senate", "house", "local", "zip", "age_band", "votes", "primaries")
"""In which order attributes part a precinct's voters: the later one gives way to the earlier."""
AGE_BANDS = ("18-34", "35-49", "50-64", "65+")
VOTES_BANDS = ("0", "1-2", "3-4", "new")
"""Of the last four general elections; "new" registered after the last of them."""
PRIMARIES_BANDS = ("0", "1-2", "3-4")
"""Of the last four years with a primary: in how many of them one voted in one."""
MAX_HOUSEHOLD = 8


@dataclass(frozen=True, slots=True)
class Attributes:
    """One row of the roll slice. An empty value says "not told": no filter ever selects it.

    ``local`` holds the codes of county and local districts, sorted, with ``|`` between them.
    """

    row_id: int
    precinct: str
    congressional: str
    senate: str
    house: str
    local: str
    zip: str
    age_band: str
    votes: str
    primaries: str
    household: int


@dataclass(frozen=True, slots=True)
class Merged:
    """One attribute that was taken back in one precinct, for how many voters, and why.

    ``before`` and ``after`` count the combinations that it makes with what came before it in
    ``ORDER``; ``smallest`` voters shared the rarest of them, which were fewer than k, or had to
    go along so that "" is not rare itself. An empty precinct stands for those merged into none.
    """

    precinct: str
    what: str
    voters: int
    before: int = 0
    after: int = 0
    smallest: int = 0


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
    withheld: Set[str] = frozenset(),
    primaries: Iterable[int] = (),
    parties: Set[str] = frozenset(),
    counties: Mapping[str, str] | None = None,
) -> Coarsened:
    """Reduce voters to coarse attributes under ids that only the steward can trace.

    Args:
        voters: as the roll's reader yields them.
        on: the election's date; ages are counted in its year.
        generals: dates of general elections; the last four before ``on`` are counted. None: the
            file does not tell, and neither does the slice.
        name: 63-bit integers from a keyed function of a label, so that a voter's row and a
            household keep their ids in every later slice: stops, caps and ghosts hang on them.
        k: every whole row but its ids is shared by at least so many voters, if there are so many.
        households: whether voters of one address share a number. Who lives with whom can be read
            in the public file, so such numbers make the roll a map: `tests/attack` measures it.
        withheld: voter ids of whom nothing is told: every attribute is "".
        primaries: years in which a primary was held; the last four up to ``on`` are counted. None:
            the file does not tell, and neither does the slice.
        parties: whose primary this election is, in the file's word: then a primary of which the
            history says another party's ballot does not count.
        counties: FIPS code to name.

    Returns:
        Rows sorted by their id, so that the file's order is gone. Where too few share a
        value it becomes "": precincts first, then within each what ``ORDER`` says, one after
        the other, so that primaries give way before votes, votes before age, age before ZIP.
    """
    counted = frozenset(sorted(day for day in set(generals) if day < on)[-4:])
    years = frozenset(sorted(year for year in set(primaries) if year <= on.year)[-4:])
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
        hidden = voter.voter_id in withheld
        home = homes.of(voter.household if households and not hidden else "", voter.voter_id)
        if hidden:
            rows.append(Attributes(row_id, "", "", "", "", "", "", "", "", "", home))
        else:
            local = "|".join(local_codes(voter, counties or {}))
            row = _coarse(voter, row_id, home, local, on, counted)
            rows.append(replace(row, primaries=_primaries_band(voter, years, parties)))
    merged: list[Merged] = []
    done: list[Attributes] = []
    for group in _told([rows], "precinct", k, "", merged):
        parts = [group]
        for what in ORDER:
            parts = _told(parts, what, k, group[0].precinct, merged)
        done += [row for part in parts for row in part]
    return Coarsened(tuple(sorted(done, key=lambda row: row.row_id)), ids, tuple(merged))


def _coarse(
    voter: Voter, row_id: int, household: int, local: str, on: date, counted: frozenset[date]
) -> Attributes:
    return Attributes(
        row_id=row_id,
        precinct=voter.precinct,
        congressional=voter.congressional,
        senate=voter.senate,
        house=voter.house,
        local=local,
        zip=voter.zip,
        age_band=_age_band(voter.birth_year, on),
        votes=_votes_band(voter, counted),
        primaries="",
        household=household,
    )


def _age_band(year: int | None, on: date) -> str:
    if year is None:
        return ""
    age = on.year - year
    return AGE_BANDS[0 if age < 35 else 1 if age < 50 else 2 if age < 65 else 3]


def _votes_band(voter: Voter, counted: frozenset[date]) -> str:
    if not counted:
        return ""
    count = len(voter.votes & counted)
    if count == 0 and voter.registered and voter.registered > max(counted):
        return VOTES_BANDS[3]
    return VOTES_BANDS[0 if count == 0 else 1 if count < 3 else 2]


def _primaries_band(voter: Voter, years: frozenset[int], parties: Set[str]) -> str:
    if not years:
        return ""
    voted = {
        one.election.year
        for one in voter.ballots
        if one.election.kind in PRIMARIES and (not parties or one.party in ("", *parties))
    }
    count = len(voted & years)
    return PRIMARIES_BANDS[0 if count == 0 else 1 if count < 3 else 2]


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


def _told(
    groups: Sequence[list[Attributes]], what: str, k: int, precinct: str, merged: list[Merged]
) -> list[list[Attributes]]:
    """Take back rare values of one attribute in each group; part the groups by what is left.

    A group has k voters or more, and so has each of its parts; a smaller group stays whole.
    """
    done: list[list[Attributes]] = []
    hit = before = 0
    smallest = sum(map(len, groups))
    for group in groups:
        counts = Counter(getattr(row, what) for row in group)
        gone = _too_small(counts, k)
        parts: dict[str, list[Attributes]] = defaultdict(list)
        for row in group:
            value = getattr(row, what)
            if value in gone:
                parts[""].append(_blank(row, what))
            else:
                parts[value].append(row)
        hit, before = hit + sum(counts[value] for value in gone), before + len(counts)
        smallest = min([smallest, *counts.values()])
        done += [parts[value] for value in sorted(parts)]
    if hit:
        merged.append(Merged(precinct, what, hit, before, len(done), smallest))
    return done


def _blank(row: Attributes, what: str) -> Attributes:
    gone = {what: ""}
    return replace(row, **gone)  # type: ignore[arg-type]


def decoys(
    outputs_by_row: Mapping[int, Sequence[bytes | None]],
    *,
    steward_key: bytes,
    stable_ids: Mapping[int, str] | None = None,
) -> dict[int, tuple[bytes | None, ...]]:
    """Replace every output that more than one voter has, per recipe, by one nobody else has.

    What is missing gets a decoy too: which of a voter's fields are empty can be read in the public
    file, and would place one voter in four hundred by itself. What the whole file lacks (whole
    birth dates, phones) stays away for everybody: that names nobody, and lets the scorer tell a
    roll that does not say from one that says otherwise.

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
    said = [any(column) for column in zip(*outputs_by_row.values(), strict=True)]
    names = stable_ids or {}
    done: dict[int, tuple[bytes | None, ...]] = {}
    for row, outputs in outputs_by_row.items():
        name = names.get(row, str(row)).encode()
        done[row] = tuple(
            output
            if output is not None and output not in shared[recipe]
            else (_decoy(steward_key, name, recipe) if said[recipe] else None)
            for recipe, output in enumerate(outputs)
        )
    return done


def _decoy(key: bytes, name: bytes, recipe: int) -> bytes:
    said = len(name).to_bytes(2, "big") + name + bytes([recipe])
    return hmac.digest(key, said, "sha512")

"""Train the scorer on a generated town with decoys in place: nobody's data, the same bytes again.

One town has a roll that knows everything, and a list of many habits. What a roll of birth years or
one without phones would give is the same comparison less some recipes, so one town teaches every
kind of roll. Twelve small towns tell what the same is worth on a small roll. Thresholds come from
a second town of full size, whose people and errors no weight has seen.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import duckdb

from matching import engine, listing, people, quality
from matching.recipes import DATED, PHONED, RECIPES, ZIPPED, Record
from matching.score import Weights, train

__all__ = ["MEMBERS", "SEEDS", "VOTERS", "Sample", "sample", "train_on_generated"]

SEEDS = tuple(range(100, 126))
"""Of the towns; nothing is ever measured on them."""
VOTERS, MEMBERS = 1_000_000, 105_000
SMALLER, TOWNS = 100, 12
"""Besides the two large towns, twice so many are so many times smaller: half of them tell what
agreement is worth there, half where the thresholds stand."""
NOISE = listing.Noise(birth=0.03, given=0.01, digit=0.01)
LIKELY, CERTAIN = 0.98, 0.996
"""Precision that the two thresholds are set to, on the worst kind of roll."""

WITHOUT: Mapping[str, frozenset[int]] = {
    "birth dates, phones": frozenset(),
    "birth years, phones": DATED,
    "birth dates": PHONED,
    "birth years": DATED | PHONED,
    "birth dates, no ZIP": PHONED | ZIPPED,
}
"""What a roll says, and the recipes that it has no fields for."""
ROLLS = tuple(WITHOUT)[:4]
"""Those that states publish; thresholds are set on them."""


_Links = Sequence[tuple[float, bool]]
_Counts = Mapping[tuple[int, int], tuple[int, int]]
"""Agreed and differed bits to pairs that are one person, and that are not."""


@dataclass(frozen=True, slots=True, repr=False)
class Sample:
    """A generated town: its roll, the rows of a list, and the truth.

    The records are made as they are asked for: a city's would fill a small computer.
    """

    place: people.Town
    listed: tuple[listing.Entry, ...]
    phones: tuple[bool, ...]
    dated: bool
    truth: Mapping[int, int]

    def members(self) -> Iterator[tuple[int, Record]]:
        """Row and record of the list."""
        return ((row, listing.entry_record(entry)) for row, entry in enumerate(self.listed))

    def voters(self) -> Iterator[tuple[int, Record]]:
        """Position and record of the roll."""
        pairs = zip(self.place.voters, self.phones, strict=True)
        return (
            (at, people.person_record(person, phone=phone, dated=self.dated))
            for at, (person, phone) in enumerate(pairs)
        )

    def list_rows(self) -> Iterator[dict[str, str]]:
        """The list as ``labelled`` writes it; row n has the id ``mn``."""
        for row, entry in enumerate(self.listed):
            number, _, street = entry.address.partition(" ")
            month, day, year = entry.birth.split("/") if entry.birth else ("", "", "")
            yield {
                "id": f"m{row}", "first": entry.first, "middle": entry.middle, "last": entry.last,
                "suffix": entry.suffix, "dob": f"{year}-{month:0>2}-{day:0>2}" if year else "",
                "house_number": number, "street": street,
                "city": entry.city if entry.address else "", "zip": entry.zip,
                "phone": entry.phone, "email": entry.email,
            }  # fmt: skip

    def roll_rows(self) -> Iterator[dict[str, str]]:
        """The roll as ``labelled`` writes it; position n has the id ``vn``."""
        pairs = zip(self.place.voters, self.phones, strict=True)
        for at, (one, phone) in enumerate(pairs):
            home = one.home
            whole = f"{one.year}-{one.month:02}-{one.day:02}"
            yield {
                "id": f"v{at}", "first": one.first, "middle": one.middle, "last": one.last,
                "suffix": one.suffix, "dob": whole if self.dated else str(one.year),
                "house_number": str(home.number),
                "street": " ".join(filter(None, (home.direction, home.street, home.kind))),
                "unit": home.unit, "city": home.city, "state": "CO", "zip": home.zip,
                "phone": one.phone if phone else "",
            }  # fmt: skip


def sample(
    seed: int,
    *,
    voters: int,
    members: int,
    dated: bool = False,
    noise: listing.Noise = NOISE,
    habits: Mapping[str, listing.Habits] = listing.HABITS,
) -> Sample:
    """Generate a town; the list mixes ``habits`` evenly, one row per person."""
    chance = random.Random(seed)  # noqa: S311 - generated people need no secret
    place = people.town(chance, voters=voters, year=2026)
    phones = tuple(chance.random() < 0.45 for _ in place.voters)
    share = members // len(habits)
    listed: list[listing.Entry] = []
    for each in habits.values():
        listed += listing.entries(chance, place, count=share, habits=each, noise=noise)
    # One row per person: the scorer is used within one list.
    once = tuple({entry.person.number: entry for entry in listed}.values())
    where = {person.number: at for at, person in enumerate(place.voters)}
    truth = {
        row: where[entry.person.number]
        for row, entry in enumerate(once)
        if entry.person.number in where
    }
    return Sample(place, once, phones, dated, truth)


def train_on_generated(
    *, seed: int, voters: int, members: int
) -> tuple[Weights, dict[str, dict[str, object]]]:
    """Train on a large town and on a dozen small ones; set the thresholds on as many others.

    ``likely`` stands where F1 is best, or higher, where links are as precise as `LIKELY`: on the
    worst kind of roll.

    Returns:
        The weights, and what they reach on the second large town by kind of roll.
    """
    few = max(500, voters // SMALLER)
    seeds = range(seed + 2, seed + 2 + TOWNS)
    whole = train(_counted(seed, voters, members))
    there = train(_sum(_counted(each, few, few // 3) for each in seeds))
    weights = replace(
        whole, voters=voters, few=few, small=(there.bias, *there.agree, *there.differ)
    )
    town = _Town.of(weights, seed + 1, voters, members)
    towns = [_Town.of(weights, each + TOWNS, few, few // 3) for each in seeds]
    likely = max(_bar(town.links[kind], town.true) for kind in ROLLS)
    weights = replace(
        weights,
        threshold=likely,
        certain=max(likely, *(_least(town.links[kind], CERTAIN) for kind in ROLLS)),
        lift=round(likely - max(_bar(*_pooled(towns, kind)) for kind in ROLLS), 6),
    )
    figures = {
        kind: quality.report(links, true=town.true, pairs=town.pairs[kind], weights=weights)
        for kind, links in town.links.items()
    }
    return weights, {kind: report.figures() for kind, report in figures.items()}


@dataclass(frozen=True, slots=True, repr=False)
class _Town:
    """A town's links by kind of roll: score and rightness of each, the highest first."""

    links: dict[str, _Links]
    pairs: dict[str, int]
    true: int

    @classmethod
    def of(cls, weights: Weights, seed: int, voters: int, members: int) -> _Town:
        town = sample(seed, voters=voters, members=members, dated=True)
        links: dict[str, _Links] = {}
        pairs: dict[str, int] = {}
        with quality.tables(town.members(), town.voters()) as base:
            for kind, without in WITHOUT.items():
                _arrange(base, without)
                links[kind], pairs[kind] = quality.linked(base, town.truth, weights)
        return cls(links, pairs, len(town.truth))


def _pooled(towns: Sequence[_Town], kind: str) -> tuple[_Links, int]:
    links = [one for town in towns for one in town.links[kind]]
    return sorted(links, key=lambda one: -one[0]), sum(town.true for town in towns)


def _sum(towns: Iterable[_Counts]) -> _Counts:
    found: dict[tuple[int, int], tuple[int, int]] = {}
    for town in towns:
        for pattern, (yes, no) in town.items():
            before = found.get(pattern, (0, 0))
            found[pattern] = before[0] + yes, before[1] + no
    return found


def _counted(seed: int, voters: int, members: int) -> _Counts:
    town = sample(
        seed, voters=voters, members=members, dated=True, noise=NOISE, habits=listing.PATTERNS
    )
    with quality.tables(town.members(), town.voters()) as base:
        quality.hide(base)
        engine.compare_tables(base)
        return _patterns(base, town.truth)


def _arrange(base: duckdb.DuckDBPyConnection, without: frozenset[int]) -> None:
    quality.hide(base)
    base.execute("DELETE FROM roll WHERE list_contains(?::UTINYINT[], recipe)", [sorted(without)])


def _patterns(base: duckdb.DuckDBPyConnection, truth: Mapping[int, int]) -> _Counts:
    """How often each pattern is one person and how often not, over every kind of roll."""
    base.execute("CREATE TABLE truth (row BIGINT, roll_row BIGINT)")
    base.execute(
        "INSERT INTO truth SELECT unnest(?::BIGINT[]), unnest(?::BIGINT[])",
        [list(truth), list(truth.values())],
    )
    yes: Counter[tuple[int, int]] = Counter()
    every: Counter[tuple[int, int]] = Counter()
    for without in WITHOUT.values():
        kept = (1 << len(RECIPES)) - 1 - sum(1 << recipe for recipe in without)
        rows = base.execute(
            "SELECT agreed & $kept, differed & $kept, count(t.row), count(*) FROM compared"
            " LEFT JOIN truth AS t USING (row, roll_row) WHERE agreed & $kept <> 0 GROUP BY 1, 2",
            {"kept": kept},
        ).fetchall()
        for agreed, differed, right, all_of in rows:
            yes[agreed, differed] += right
            every[agreed, differed] += all_of
    return {pattern: (yes[pattern], every[pattern] - yes[pattern]) for pattern in every}


def _bar(links: _Links, true: int) -> float:
    """Where F1 is best, or higher, where the links are as precise as `LIKELY`."""
    right, best, bar = 0, 0.0, 0.0
    for taken, (score, good) in enumerate(links, 1):
        right += good
        if _ends(links, taken) and right / (taken + true) > best:
            best, bar = right / (taken + true), score
    return max(round(bar - 1e-6, 6), _least(links, LIKELY))


def _least(links: _Links, precision: float) -> float:
    """The lowest score from which on the links are as precise as wanted."""
    right, best = 0, links[0][0] if links else 0.0
    for taken, (score, good) in enumerate(links, 1):
        right += good
        if _ends(links, taken) and right / taken >= precision:
            best = score
    return round(best - 1e-6, 6)


def _ends(links: _Links, taken: int) -> bool:
    """Whether these are all that score so: a threshold parts no two of them."""
    return taken == len(links) or links[taken][0] < links[taken - 1][0]

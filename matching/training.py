"""Train the scorer on a generated town with decoys in place: nobody's data, the same bytes again.

One town has a roll that knows everything, and a list of many habits. What a roll of birth years or
one without phones would give is the same comparison less some recipes, so one town teaches every
kind of roll. A small town tells how the odds change with a roll's size. Thresholds come from a
second town of full size, whose people and errors no weight has seen.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import duckdb

from matching import engine, people, quality
from matching.recipes import DATED, PHONED, RECIPES, ZIPPED, Record
from matching.score import Weights, sized, train

__all__ = ["MEMBERS", "SEEDS", "VOTERS", "Sample", "sample", "train_on_generated"]

SEEDS = tuple(range(100, 106))
"""Of the towns; nothing is ever measured on them."""
VOTERS, MEMBERS = 200_000, 30_000
SMALLER = 20
"""From the third on the towns are so many times smaller: they tell what size alone does."""
NOISE = people.Noise(birth=0.03)
LIKELY, CERTAIN = 0.975, 0.996
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


@dataclass(frozen=True, slots=True, repr=False)
class Sample:
    """A generated town: its roll, the rows of a list, and the truth.

    The records are made as they are asked for: a city's would fill a small computer.
    """

    place: people.Town
    listed: tuple[people.Entry, ...]
    phones: tuple[bool, ...]
    dated: bool
    truth: Mapping[int, int]

    def members(self) -> Iterator[tuple[int, Record]]:
        """Row and record of the list."""
        return ((row, people.entry_record(entry)) for row, entry in enumerate(self.listed))

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
    noise: people.Noise = NOISE,
    habits: Mapping[str, people.Habits] = people.HABITS,
) -> Sample:
    """Generate a town; the list mixes ``habits`` evenly, one row per person."""
    chance = random.Random(seed)  # noqa: S311 - generated people need no secret
    place = people.town(chance, voters=voters, year=2026)
    phones = tuple(chance.random() < 0.45 for _ in place.voters)
    share = members // len(habits)
    listed: list[people.Entry] = []
    for each in habits.values():
        listed += people.entries(chance, place, count=share, habits=each, noise=noise)
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
    """Train on one town, learn the effect of size on a small one, set the thresholds on a second.

    Returns:
        The weights, and what they reach on the second town by kind of roll.
    """
    weights = train(_counted(seed, voters, members))
    towns = [
        _counted(seed + nth, voters // SMALLER, voters // SMALLER // 3)
        for nth in range(2, len(SEEDS))
    ]
    small = {
        pattern: (
            sum(town.get(pattern, (0, 0))[0] for town in towns),
            sum(town.get(pattern, (0, 0))[1] for town in towns),
        )
        for pattern in set().union(*towns)
    }
    weights = sized(small, replace(weights, voters=voters), smaller=SMALLER)
    town = sample(seed + 1, voters=voters, members=members, dated=True, noise=NOISE)
    found: dict[str, tuple[list[tuple[float, bool]], int]] = {}
    with quality.tables(town.members(), town.voters()) as base:
        for kind, without in WITHOUT.items():
            _arrange(base, without)
            found[kind] = quality.linked(base, town.truth, weights)
    weights = replace(
        weights,
        threshold=max(_least(found[kind][0], LIKELY) for kind in ROLLS),
        certain=max(_least(found[kind][0], CERTAIN) for kind in ROLLS),
    )
    figures = {
        kind: quality.report(links, true=len(town.truth), pairs=pairs, weights=weights).figures()
        for kind, (links, pairs) in found.items()
    }
    return weights, figures


def _counted(seed: int, voters: int, members: int) -> dict[tuple[int, int], tuple[int, int]]:
    town = sample(
        seed, voters=voters, members=members, dated=True, noise=NOISE, habits=people.PATTERNS
    )
    with quality.tables(town.members(), town.voters()) as base:
        quality.hide(base)
        engine.compare_tables(base)
        return _patterns(base, town.truth)


def _arrange(base: duckdb.DuckDBPyConnection, without: frozenset[int]) -> None:
    quality.hide(base)
    base.execute("DELETE FROM roll WHERE list_contains(?::UTINYINT[], recipe)", [sorted(without)])


def _patterns(
    base: duckdb.DuckDBPyConnection, truth: Mapping[int, int]
) -> dict[tuple[int, int], tuple[int, int]]:
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


def _least(links: Sequence[tuple[float, bool]], precision: float) -> float:
    """The lowest score from which on the links are as precise as wanted."""
    right, best = 0, links[0][0] if links else 0.0
    for taken, (score, true) in enumerate(links, 1):
        right += true
        if right / taken >= precision:
            best = score
    return round(best - 1e-6, 6)

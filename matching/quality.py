"""How good linking is, and whom the design says is linked: measured in the clear, on test people.

The same recipes, decoys, engine and weights as the real path; only the threshold VOPRF is replaced
by a keyed hash, so that this runs in seconds. For tests, training and the demo's own figures.
"""

from __future__ import annotations

import hashlib
import hmac
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import duckdb

from matching import engine, people
from matching.coarsen import decoys
from matching.recipes import Record, token_inputs
from matching.score import Weights, load, train

__all__ = ["Quality", "best_threshold", "measure", "reference_links", "train_on_generated"]

_STAND_IN = b"a stand-in for the custodians' key"


@dataclass(frozen=True, slots=True)
class Quality:
    """Precision and recall of links against the truth; recall counts all who have a voter."""

    linked: int
    right: int
    true: int

    @property
    def precision(self) -> float:
        """Of those linked, how many to the right voter; 1 when none is linked."""
        return self.right / self.linked if self.linked else 1.0

    @property
    def recall(self) -> float:
        """Of those who are on the roll, how many were linked to themselves."""
        return self.right / self.true if self.true else 1.0


def measure(links: Mapping[int, object], truth: Mapping[int, object]) -> Quality:
    """Compare links (row to voter) with the truth (row to voter; nobody is absent or empty)."""
    real = {row: voter for row, voter in truth.items() if voter not in (None, "")}
    right = sum(real.get(row) == voter for row, voter in links.items())
    return Quality(len(links), right, len(real))


def reference_links(
    members: Mapping[int, Record], voters: Sequence[Record], *, weights: Weights | None = None
) -> dict[int, int]:
    """Whom the design links, by the plain way: row of ``members`` to position in ``voters``."""
    with duckdb.connect() as base:
        _tables(base, members, voters)
        engine.link_tables(base, weights or load())
        found = base.execute("SELECT row, roll_row FROM links").fetchall()
    return dict(found)


def _outputs(record: Record) -> tuple[bytes | None, ...]:
    return tuple(
        None if each is None else hmac.digest(_STAND_IN, each, "sha512")
        for each in token_inputs(record)
    )


def _tables(
    base: duckdb.DuckDBPyConnection, members: Mapping[int, Record], voters: Sequence[Record]
) -> None:
    roll = decoys({at: _outputs(record) for at, record in enumerate(voters)}, steward_key=_STAND_IN)
    _fill(base, "members", {row: _outputs(record) for row, record in members.items()})
    _fill(base, "roll", roll)


def _fill(
    base: duckdb.DuckDBPyConnection, table: str, outputs: Mapping[int, Sequence[bytes | None]]
) -> None:
    rows: list[tuple[int, int, int, int]] = []
    for row, each in outputs.items():
        for recipe, output in enumerate(each):
            if output is not None:
                kept = hashlib.sha256(output).digest()
                hi, lo = kept[:8], kept[8:16]
                rows.append(
                    (
                        row,
                        recipe,
                        int.from_bytes(hi, "big", signed=True),
                        int.from_bytes(lo, "big", signed=True),
                    )
                )
    base.execute(f"CREATE TABLE {table} (row BIGINT, recipe UTINYINT, hi BIGINT, lo BIGINT)")
    for start in range(0, len(rows), 100_000):
        part = rows[start : start + 100_000]
        base.execute(
            f"INSERT INTO {table} SELECT unnest(?::BIGINT[]), unnest(?::UTINYINT[]),"
            " unnest(?::BIGINT[]), unnest(?::BIGINT[])",
            [list(column) for column in zip(*part, strict=True)],
        )


# --- training ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, repr=False)
class Sample:
    """A generated town's roll and one list, with the truth."""

    members: Mapping[int, Record]
    voters: Sequence[Record]
    truth: Mapping[int, int]


def sample(seed: int, *, voters: int, members: int) -> Sample:
    """Generate a town; the list mixes the habits of the three systems."""
    chance = random.Random(seed)  # noqa: S311 - generated people need no secret
    place = people.town(chance, voters=voters, year=2026)
    rolls = [people.person_record(p, phone=chance.random() < 0.45) for p in place.voters]
    where = {person.number: at for at, person in enumerate(place.voters)}
    third = members // 3
    listed: list[people.Entry] = []
    for habits in people.HABITS.values():
        listed += people.entries(chance, place, count=third, habits=habits)
    # One row per person: the scorer is used within one list.
    once = {entry.person.number: entry for entry in listed}
    rows = dict(enumerate(once.values()))
    return Sample(
        {row: people.entry_record(entry) for row, entry in rows.items()},
        rolls,
        {
            row: where[entry.person.number]
            for row, entry in rows.items()
            if entry.person.number in where
        },
    )


def train_on_generated(
    *, seed: int, voters: int, members: int, precision: float = 0.995
) -> tuple[Weights, Quality]:
    """Train on one town, set the threshold on a second, and measure on a third."""
    towns = [sample(seed + n, voters=voters, members=members) for n in range(3)]
    weights = train(_patterns(towns[0]))
    weights = best_threshold(weights, towns[1], precision=precision)
    links = reference_links(towns[2].members, towns[2].voters, weights=weights)
    return weights, measure(links, towns[2].truth)


def _patterns(town: Sample) -> dict[tuple[int, int], tuple[int, int]]:
    counts: Counter[tuple[int, int, bool]] = Counter()
    with duckdb.connect() as base:
        _tables(base, town.members, town.voters)
        engine.compare_tables(base)
        for row, roll_row, agreed, differed in base.execute("FROM compared").fetchall():
            counts[agreed, differed, town.truth.get(row) == roll_row] += 1
    return {
        (a, d): (counts[a, d, True], counts[a, d, False]) for a, d in {(a, d) for a, d, _ in counts}
    }


def best_threshold(weights: Weights, town: Sample, *, precision: float) -> Weights:
    """The lowest threshold from which on the links of ``town`` are as precise as wanted."""
    low = replace(weights, threshold=-2.0)
    with duckdb.connect() as base:
        _tables(base, town.members, town.voters)
        engine.link_tables(base, low)
        links = base.execute(
            "SELECT score, row, roll_row FROM links ORDER BY score DESC"
        ).fetchall()
    scored: Iterable[tuple[float, bool]] = (
        (score, town.truth.get(row) == roll_row) for score, row, roll_row in links
    )
    right, best = 0, max((score for score, _, _ in links), default=0.0)
    for taken, (score, true) in enumerate(scored, 1):
        right += true
        if right / taken >= precision:
            best = score
    return replace(weights, threshold=round(best - 1e-6, 6))

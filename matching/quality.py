"""How good linking is, and whom the design says is linked: measured in the clear, on test people.

The same recipes, decoys, engine and weights as the real path; only the custodians are replaced, by
one key on this computer or by a keyed hash, under which the same inputs stay equal.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice

import duckdb

from matching import engine, group, oprf
from matching.recipes import RECIPES, Record, token_inputs
from matching.score import Weights, load
from matching.scratch import scratch

__all__ = ["Outputs", "Quality", "Report", "hide", "keyed_hash", "linked", "measure",
           "one_key", "reference_links", "report", "show", "tables"]  # fmt: skip

Outputs = Callable[[Sequence[bytes]], Sequence[bytes]]
"""From token inputs to 16 bytes each; equal inputs, equal bytes."""

_STAND_IN = b"a stand-in for the custodians' key"
_BATCH = 20_000
_LOWEST = -3.0
"""Log-odds from which on links are looked at when a whole curve is wanted."""


def keyed_hash(inputs: Sequence[bytes]) -> list[bytes]:
    """Stand in for the custodians by a hash under a fixed key: the same equality, in seconds."""
    return [hashlib.blake2b(one, key=_STAND_IN, digest_size=16).digest() for one in inputs]


def one_key(inputs: Sequence[bytes]) -> list[bytes]:
    """The outputs of custodians whose shares make one fixed test key; about 0.1 ms each."""
    key = group.reduce(hashlib.sha512(_STAND_IN).digest())
    points = oprf.evaluate(key, oprf.hash_inputs(inputs)) if inputs else b""
    return [hashlib.sha256(one).digest()[:16] for one in oprf.finalise(inputs, points)]


# --- figures -------------------------------------------------------------------------------------


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

    @property
    def f1(self) -> float:
        """The harmonic mean of both; 0 when nothing is right."""
        return 2 * self.right / (self.linked + self.true) if self.right else 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """What the two fixed thresholds reach, and what any threshold could."""

    likely: Quality
    certain: Quality
    f1_best: float
    recall_at_p99: float
    recall_at_p999: float
    pairs: int

    def figures(self) -> dict[str, object]:
        """The figures by name, rounded to six places."""
        return {
            "precision": round(self.likely.precision, 6),
            "recall": round(self.likely.recall, 6),
            "f1": round(self.likely.f1, 6),
            "certain": {
                "precision": round(self.certain.precision, 6),
                "recall": round(self.certain.recall, 6),
            },
            "recall_at_p99": round(self.recall_at_p99, 6),
            "recall_at_p999": round(self.recall_at_p999, 6),
            "f1_best": round(self.f1_best, 6),
            "pairs": self.pairs,
        }


def measure(links: Mapping[int, object], truth: Mapping[int, object]) -> Quality:
    """Compare links (row to voter) with the truth (row to voter; nobody is absent or empty)."""
    real = {row: voter for row, voter in truth.items() if voter not in (None, "")}
    right = sum(real.get(row) == voter for row, voter in links.items())
    return Quality(len(links), right, len(real))


def report(
    links: Sequence[tuple[float, bool]], *, true: int, pairs: int, weights: Weights
) -> Report:
    """Figures of links.

    Args:
        links: score, and whether it is right, the highest score first; from ``_LOWEST`` on.
        true: how many members are on the roll.
    """
    curve = list(_curve(links, true))

    def at(threshold: float) -> Quality:
        within = [right for score, right in links if score >= threshold]
        return Quality(len(within), sum(within), true)

    def recall(least: float) -> float:
        return max((one.recall for one in curve if one.precision >= least), default=0.0)

    return Report(
        at(weights.threshold),
        at(weights.certain),
        max((one.f1 for one in curve), default=0.0),
        recall(0.99),
        recall(0.999),
        pairs,
    )


def _curve(links: Sequence[tuple[float, bool]], true: int) -> Iterator[Quality]:
    """The quality at every threshold: one point for each score that occurs."""
    right = 0
    for taken, (score, good) in enumerate(links, 1):
        right += good
        if taken == len(links) or links[taken][0] < score:
            yield Quality(taken, right, true)


# --- linking -------------------------------------------------------------------------------------


def reference_links(
    members: Mapping[int, Record], voters: Sequence[Record], *, weights: Weights | None = None
) -> dict[int, int]:
    """Whom the design links, by the plain way: row of ``members`` to position in ``voters``."""
    with tables(members.items(), enumerate(voters)) as base:
        hide(base)
        engine.link_tables(base, weights or load())
        found = base.execute("SELECT row, roll_row FROM links").fetchall()
    return dict(found)


def linked(
    base: duckdb.DuckDBPyConnection, truth: Mapping[int, int], weights: Weights
) -> tuple[list[tuple[float, bool]], int]:
    """Link what ``tables`` filled and ``hide`` or ``show`` made a roll of, below the threshold too.

    Returns:
        Score and rightness of each link, the highest first; and how many pairs were compared.
    """
    engine.link_tables(base, replace(weights, threshold=_LOWEST))
    found = base.execute(
        "SELECT score, row, roll_row FROM links ORDER BY score DESC, row"
    ).fetchall()
    count = base.execute("SELECT count(*) FROM compared").fetchone()
    assert count is not None
    return [(score, truth.get(row) == voter) for score, row, voter in found], int(count[0])


@contextmanager
def tables(
    members: Iterable[tuple[int, Record]],
    voters: Iterable[tuple[int, Record]],
    *,
    outputs: Outputs = keyed_hash,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database with the tokens of both: ``members``, and ``plain`` for ``hide`` or ``show``.

    The records pass through once, in batches; nothing of them but tokens is kept.
    """
    with scratch() as base:
        base.execute("SET preserve_insertion_order = false")
        _fill(base, "plain", voters, outputs)
        _fill(base, "members", members, outputs)
        yield base


def _fill(
    base: duckdb.DuckDBPyConnection,
    table: str,
    records: Iterable[tuple[int, Record]],
    outputs: Outputs,
) -> None:
    base.execute(f"CREATE TABLE {table} (row BIGINT, recipe UTINYINT, hi BIGINT, lo BIGINT)")
    left = iter(records)
    while batch := list(islice(left, _BATCH)):
        rows: list[int] = []
        kinds: list[int] = []
        inputs: list[bytes] = []
        for row, record in batch:
            for recipe, one in enumerate(token_inputs(record)):
                if one is not None:
                    rows.append(row)
                    kinds.append(recipe)
                    inputs.append(one)
        halves = array("q", b"".join(outputs(inputs)))
        base.execute(
            f"INSERT INTO {table} SELECT unnest(?::BIGINT[]), unnest(?::UTINYINT[]),"
            " unnest(?::BIGINT[]), unnest(?::BIGINT[])",
            [rows, kinds, halves[0::2].tolist(), halves[1::2].tolist()],
        )


def hide(base: duckdb.DuckDBPyConnection) -> None:
    """From ``plain`` to ``roll`` as ``coarsen.decoys`` does it: a shared or missing token is a
    decoy, which equals nothing; a recipe that no voter has the fields for stays away."""
    _empty_roll(base)
    for recipe in range(len(RECIPES)):
        # One recipe at a time: the counting table of all would not fit a small computer.
        base.execute(
            "INSERT INTO roll SELECT min(row), recipe, hi, lo FROM plain WHERE recipe = ?"
            " GROUP BY recipe, hi, lo HAVING count(*) = 1",
            [recipe],
        )
        base.execute(
            "INSERT INTO roll SELECT row, $recipe, row, -1 - $recipe FROM"
            " (SELECT DISTINCT row FROM plain) AS every"
            " ANTI JOIN (SELECT row FROM roll WHERE recipe = $recipe) AS alone USING (row)"
            " WHERE EXISTS (SELECT 1 FROM plain WHERE recipe = $recipe)",
            {"recipe": recipe},
        )


def show(base: duckdb.DuckDBPyConnection) -> None:
    """From ``plain`` to ``roll`` without decoys, less the blocks above the engine's cap."""
    _empty_roll(base)
    for recipe in range(len(RECIPES)):
        base.execute(
            "INSERT INTO roll SELECT row, recipe, hi, lo FROM plain WHERE recipe = $recipe"
            " QUALIFY count(*) OVER (PARTITION BY hi, lo) <= $cap",
            {"recipe": recipe, "cap": engine.BLOCK_CAP},
        )


def _empty_roll(base: duckdb.DuckDBPyConnection) -> None:
    for table in ("roll", "pairs", "compared", "sums_agreed", "sums_differed", "links"):
        base.execute(f"DROP TABLE IF EXISTS {table}")
    base.execute("CREATE TABLE roll (row BIGINT, recipe UTINYINT, hi BIGINT, lo BIGINT)")

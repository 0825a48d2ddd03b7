"""Pepper, link, choose: the three things the store does with tokens, in DuckDB.

Tokens meet as two 64-bit integers, artefacts stay encrypted at rest and are opened into a private
folder for as long as one step runs. Values reach SQL as parameters only.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from matching.atrest import lock_file, unlocked
from matching.bundle import SHARED, read_outputs, without_rows
from matching.errors import BundleRefused, DefinitionRefused
from matching.linking import BLOCK_CAP, Duck, compare, sql, tie
from matching.recipes import ADDRESS_RECIPE, RECIPES
from matching.score import Weights
from matching.scratch import opened, scratch

__all__ = [
    "BLOCK_CAP", "Eligible", "Source", "address_tokens", "agreements", "audience",
    "compare_tables", "count_people", "homes", "link", "link_tables", "linked", "linking",
    "pepper_outputs", "places", "precincts_of", "store_token", "tells_primaries", "without_tokens",
]  # fmt: skip

_BATCH = 100_000


@dataclass(frozen=True, slots=True)
class Source:
    """One bundle's links, and whose it is."""

    bundle: str
    partner: str
    links: Path


@dataclass(frozen=True, slots=True, order=True)
class Eligible:
    """One row that the definition selects."""

    bundle: str
    row: int
    roll_row: int


def _lv(piece: bytes) -> bytes:
    return len(piece).to_bytes(2, "big") + piece


def store_token(pepper: bytes, epoch: str, recipe: int, output: bytes) -> tuple[int, int]:
    """What the store keeps of a token, as two signed 64-bit integers.

    Source:
        spec of tokens, "What the store keeps": HMAC-SHA-256(pepper, LV(label) || LV(epoch) ||
        LV(recipe) || output), the first 16 bytes; the recipe is its number in one byte.
    """
    said = _lv(b"consortium/store/v1") + _lv(epoch.encode()) + _lv(bytes([recipe])) + output
    kept = hmac.digest(pepper, said, "sha256")[:16]
    return int.from_bytes(kept[:8], "big", signed=True), int.from_bytes(
        kept[8:], "big", signed=True
    )


def pepper_outputs(
    plain: Path,
    out: Path,
    *,
    pepper: bytes,
    epoch: str,
    key: bytes,
    unique: bool = False,
    memory: str | None = None,
) -> None:
    """Turn an outputs part into the tokens artefact, encrypted at rest.

    Args:
        plain: the opened outputs part; the caller deletes it afterwards.
        out: Parquet ``row BIGINT, recipe UTINYINT, hi BIGINT, lo BIGINT, has INTEGER, block
            INTEGER``, locked under ``key``. ``has`` and ``block`` as ``sql/counted.sql`` says; on
            a roll with its decoys every block is 1.
        pepper: 32 bytes that only the pepper process has.
        key: 32 bytes of the matcher.
        unique: whether no token may be shared by two rows, as on a roll with its decoys.
        memory: as `scratch` takes it.

    Raises:
        BundleRefused: two rows share a token that must be unique.
    """
    with TemporaryDirectory(prefix="matching-") as folder, scratch(memory) as base:
        base.execute("CREATE TABLE tokens (row BIGINT, recipe UTINYINT, hi BIGINT, lo BIGINT)")
        outputs = read_outputs(plain)
        while batch := list(islice(outputs, _BATCH)):
            halves = [store_token(pepper, epoch, each.recipe, each.output) for each in batch]
            base.execute(
                "INSERT INTO tokens SELECT unnest(?::BIGINT[]), unnest(?::UTINYINT[]),"
                " unnest(?::BIGINT[]), unnest(?::BIGINT[])",
                [
                    [each.row for each in batch],
                    [each.recipe for each in batch],
                    [hi for hi, _ in halves],
                    [lo for _, lo in halves],
                ],
            )
        base.execute(sql("counted"))
        if unique and base.execute("SELECT 1 FROM counted WHERE block > 1 LIMIT 1").fetchone():
            raise BundleRefused(SHARED)
        _write_counted(base, Path(folder) / "tokens.parquet", out, key)


def _write_counted(base: duckdb.DuckDBPyConnection, plain: Path, out: Path, key: bytes) -> None:
    """From ``counted`` in ``base`` to the artefact, the same bytes for the same tokens."""
    base.table("counted").order("recipe, hi, lo, row").write_parquet(str(plain), compression="zstd")
    lock_file(plain, out, key=key)


def link(
    members: Path,
    roll: Path,
    out: Path,
    *,
    key: bytes,
    weights: Weights,
    memory: str | None = None,
) -> None:
    """Tie the members of one list to voters, one to one.

    Args:
        members: tokens artefact of a bundle.
        roll: tokens artefact of a roll slice, its shared tokens already decoys.
        out: Parquet ``row BIGINT, roll_row BIGINT, score DOUBLE``, sorted by row.
        weights: for the recipes both sides used.
        memory: as `scratch` takes it; what is more is joined on the disk, in a private folder.
    """
    with opened(key=key, memory=memory, members=members, roll=roll) as base:
        link_tables(base, weights)
        base.table("links").order("row").write_parquet(str(out), compression="zstd")


@contextmanager
def linking(memory: str | None = None) -> Iterator[Callable[..., None]]:
    """What links, with ``memory`` as `link` takes it; another engine starts and ends here."""
    yield partial(link, memory=memory)


def link_tables(base: duckdb.DuckDBPyConnection, weights: Weights) -> Weights:
    """From ``members`` and ``roll`` in ``base`` to the tables ``compared`` and ``links``.

    Returns:
        The weights as they are on a roll of this size.
    """
    return tie(Duck(base), weights)


def compare_tables(base: duckdb.DuckDBPyConnection) -> None:
    """From ``members`` and ``roll`` to ``compared``: what each pair agrees and differs in."""
    compare(Duck(base))


def without_tokens(members: Path, out: Path, rows: Sequence[int], *, key: bytes) -> int:
    """Write a tokens artefact's successor, less some rows; how many tokens left."""
    with (
        unlocked(members, key=key) as plain,
        TemporaryDirectory(prefix="matching-") as folder,
        scratch() as base,
    ):
        kept = Path(folder) / "kept.parquet"
        left = without_rows(plain, kept, rows)
        # Counted anew: a block would tell of who left.
        base.execute(
            "CREATE TABLE tokens AS SELECT row, recipe, hi, lo FROM read_parquet(?)", [str(kept)]
        )
        base.execute(sql("counted"))
        _write_counted(base, Path(folder) / "tokens.parquet", out, key)
    return left


def address_tokens(members: Path, key: bytes) -> dict[int, bytes]:
    """The 16-byte address token of every row, to recognise one address on two lists."""
    with unlocked(members, key=key) as plain, scratch() as base:
        found = base.execute(
            "SELECT row, hi, lo FROM read_parquet(?) WHERE recipe = ?", [str(plain), ADDRESS_RECIPE]
        ).fetchall()
    return {
        row: hi.to_bytes(8, "big", signed=True) + lo.to_bytes(8, "big", signed=True)
        for row, hi, lo in found
    }


def audience(
    definition: Mapping[str, Any], attributes: Path, sources: Sequence[Source]
) -> list[Eligible]:
    """Every row of the sources that the definition selects, sorted by bundle and row.

    Args:
        definition: the normal form: ``{"places": {"district": [...], "precinct": [...], "zip":
            [...]}, "age": [...], "votes": [...], "primaries": [...]}``; places are a
            union, an absent filter is any.

    Raises:
        DefinitionRefused: it is not that, or names no place.
    """
    found: list[Eligible] = []
    with _chosen(definition, attributes) as base:
        for source in sources:
            rows = base.execute(
                "SELECT l.row, l.roll_row FROM read_parquet(?) AS l"
                " SEMI JOIN chosen ON chosen.row_id = l.roll_row",
                [str(source.links)],
            ).fetchall()
            found += [Eligible(source.bundle, row, roll_row) for row, roll_row in rows]
    return sorted(found)


def count_people(definition: Mapping[str, Any], attributes: Path, sources: Sequence[Source]) -> int:
    """How many different voters the audience holds: exact, and never to be shown as it is."""
    if not sources:
        return 0
    with _chosen(definition, attributes) as base:
        found = base.execute(
            "SELECT count(DISTINCT l.roll_row) FROM read_parquet(?) AS l"
            " SEMI JOIN chosen ON chosen.row_id = l.roll_row",
            [[str(source.links) for source in sources]],
        ).fetchone()
    assert found is not None
    return int(found[0])


def agreements(
    members: Path, roll: Path, links: Path, *, key: bytes, memory: str | None = None
) -> dict[int, int]:
    """How many links agree in each recipe, by its number: exact, and never to be shown as it is."""
    with opened(key=key, memory=memory, members=members, roll=roll) as base:
        found = base.execute(sql("agreements"), {"links": str(links)}).fetchall()
    return dict.fromkeys(range(len(RECIPES)), 0) | {int(at): int(count) for at, count in found}


def linked(links: Path, certain: float) -> tuple[int, int]:
    """How many links there are, and how many of them score so much: exact, likewise."""
    with scratch() as base:
        found = base.execute(
            "SELECT count(*), count(*) FILTER (score >= ?) FROM read_parquet(?)",
            [certain, str(links)],
        ).fetchone()
    assert found is not None
    return int(found[0]), int(found[1])


def places(attributes: Path) -> dict[str, dict[str, int]]:
    """Registered voters by precinct, district of any kind, and ZIP: exact; the caller rounds."""
    columns = {
        "precinct": ("precinct",),
        "district": ("congressional", "senate", "house"),
        "zip": ("zip",),
    }
    found: dict[str, dict[str, int]] = {}
    with scratch() as base:
        for kind, names in columns.items():
            found[kind] = {}
            for name in names:
                rows = base.execute(
                    f"SELECT {name}, count(*) FROM read_parquet(?) WHERE {name} <> ''"  # noqa: S608 - fixed words
                    " GROUP BY 1 ORDER BY 1",
                    [str(attributes)],
                ).fetchall()
                found[kind].update({code: int(count) for code, count in rows})
        found["district"].update(_local(base, attributes))
    return found


def _local(base: duckdb.DuckDBPyConnection, attributes: Path) -> dict[str, int]:
    """Registered voters by county and local district; none in a slice of an earlier version."""
    rows = base.execute(
        "SELECT code, count(*) FROM (SELECT unnest(string_split(local, '|')) AS code FROM ("
        " SELECT NULL::VARCHAR AS local WHERE false"
        " UNION ALL BY NAME SELECT * FROM read_parquet(?)))"
        " WHERE code <> '' GROUP BY code ORDER BY code",
        [str(attributes)],
    ).fetchall()
    return {code: int(count) for code, count in rows}


def tells_primaries(attributes: Path) -> bool:
    """Whether a slice says of anybody in how many primaries they voted."""
    with scratch() as base:
        found = base.execute(
            "SELECT count(*) FROM (SELECT NULL::VARCHAR AS primaries WHERE false"
            " UNION ALL BY NAME SELECT * FROM read_parquet(?)) WHERE primaries <> ''",
            [str(attributes)],
        ).fetchone()
    assert found is not None
    return bool(found[0])


def homes(definition: Mapping[str, Any], attributes: Path) -> dict[tuple[str, str], int]:
    """Registered voters whom a definition selects, by ZIP and precinct: of the roll, exact."""
    with _chosen(definition, attributes) as base:
        found = base.execute(
            "SELECT zip, precinct, count(*) FROM read_parquet(?) AS a"
            " SEMI JOIN chosen ON chosen.row_id = a.row_id GROUP BY ALL ORDER BY ALL",
            [str(attributes)],
        ).fetchall()
    return {(zip_, precinct): int(count) for zip_, precinct, count in found}


def precincts_of(attributes: Path, rows: Sequence[int]) -> dict[int, str]:
    """The precinct of those of ``rows`` that a roll has."""
    with scratch() as base:
        found = base.execute(
            "SELECT row_id, precinct FROM read_parquet(?)"
            " WHERE row_id IN (SELECT unnest(?::BIGINT[]))",
            [str(attributes), list(rows)],
        ).fetchall()
    return dict(found)


_FILTERS = ("age", "votes", "primaries")
_KEYS = {"places", *_FILTERS}
_PLACES = ("district", "precinct", "zip")


def _texts(values: Any, key: str) -> list[str]:
    good = isinstance(values, (list, tuple)) and all(isinstance(v, str) and v for v in values)
    if not good or not values:
        raise DefinitionRefused(f"{key}: must be a list of texts with at least one")
    return list(values)


@contextmanager
def _chosen(definition: Mapping[str, Any], attributes: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection whose table ``chosen`` holds the voters that the definition selects."""
    if set(definition) - _KEYS or not isinstance(definition.get("places"), Mapping):
        raise DefinitionRefused(
            "the definition must have places, and may have age, votes and primaries"
        )
    named = definition["places"]
    if set(named) - set(_PLACES) or not any(named.values()):
        raise DefinitionRefused("places: must name districts, precincts or ZIPs")
    at = {
        kind: _texts(named[kind], f"places.{kind}") if named.get(kind) else [] for kind in _PLACES
    }
    only = {key: _texts(definition[key], key) if key in definition else None for key in _FILTERS}
    with scratch() as base:
        base.execute(sql("chosen"), {"attributes": str(attributes), **at, **only})
        yield base

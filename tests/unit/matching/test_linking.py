"""Linking against a plain reckoning, counted beforehand or not, in memory or on the disk."""

import math
import os
import random
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import duckdb
import pytest

from matching import bundle, engine, linking
from matching.atrest import unlocked
from matching.recipes import RECIPES
from matching.score import Weights
from matching.scratch import scratch

KEY, PEPPER = b"k" * 32, b"p" * 32
Token = tuple[int, int, int, int]  # row, recipe, hi, lo
WEIGHTS = Weights(
    -1.0,
    tuple(1 + at / 7 for at in range(len(RECIPES))),
    tuple(-0.3 - at / 11 for at in range(len(RECIPES))),
    0.5,
)


def people(seed: int, voters: int, members: int) -> tuple[list[Token], list[Token]]:
    """A list and a roll: some tokens missing, some of a neighbour, some of a whole crowd."""
    chance = random.Random(seed)
    kinds = range(len(RECIPES))
    roll = [
        (1000 + voter, recipe, voter, recipe)
        for voter in range(voters)
        for recipe in kinds
        if chance.random() < 0.8
    ]
    listed = []
    for row in range(members):
        for recipe in kinds:
            voter = row + chance.choice((0, 0, 0, 0, 1, 2, voters))
            if row % 2 and recipe == 3:
                voter = 5  # more than the cap: it says nothing
            if chance.random() < 0.7:
                listed.append((row, recipe, voter, recipe))
    return listed, roll


def reckoned(listed: Iterable[Token], roll: Iterable[Token]) -> list[tuple[int, int]]:
    """Whom linking ties, by loops over dictionaries."""
    mine: dict[int, dict[int, tuple[int, int]]] = defaultdict(dict)
    theirs: dict[int, dict[int, tuple[int, int]]] = defaultdict(dict)
    for side, tokens in ((mine, listed), (theirs, roll)):
        for row, recipe, hi, lo in tokens:
            side[row][recipe] = hi, lo
    crowd = Counter((recipe, token) for one in mine.values() for recipe, token in one.items())
    scores: dict[tuple[int, int], float] = {}
    for row, one in mine.items():
        for voter, other in theirs.items():
            both = one.keys() & other.keys()
            same = {r for r in both if one[r] == other[r]}
            agreed = {r for r in same if crowd[r, one[r]] <= engine.BLOCK_CAP}
            if agreed:
                agreeing = sum(WEIGHTS.agree[r] for r in sorted(agreed))
                differing = sum(WEIGHTS.differ[r] for r in sorted(both - agreed))
                scores[row, voter] = round(WEIGHTS.bias + agreeing + differing, 9)
    kept = {pair: score for pair, score in scores.items() if score >= -5}
    found = []
    for (row, voter), score in kept.items():
        others = [s for (r, v), s in kept.items() if r == row and v != voter]
        rivals = [(-s, r) for (r, v), s in kept.items() if v == voter]
        second = max(others, default=-99.0)
        alone = second < score and min(rivals)[1] == row
        if alone and score - math.log(1 + math.exp(second)) >= WEIGHTS.threshold:
            found.append((row, voter))
    return sorted(found)


def fill(base: duckdb.DuckDBPyConnection, name: str, tokens: list[Token]) -> None:
    base.execute(f"CREATE TABLE {name} (row BIGINT, recipe UTINYINT, hi BIGINT, lo BIGINT)")
    columns = [list(column) for column in zip(*tokens, strict=True)]
    base.execute(f"INSERT INTO {name} SELECT unnest(?), unnest(?), unnest(?), unnest(?)", columns)


@pytest.mark.parametrize("seed", [1, 2])
def test_links_are_those_of_a_plain_reckoning(seed: int) -> None:
    listed, roll = people(seed, 140, 120)
    wanted = reckoned(listed, roll)
    assert 60 < len(wanted) < 115
    with scratch() as base:
        fill(base, "members", listed)
        fill(base, "roll", roll)
        engine.link_tables(base, WEIGHTS)
        assert base.execute("SELECT row, roll_row FROM links").fetchall() == wanted
        (crowded,) = base.execute("SELECT max(block) FROM members_counted").fetchone() or (0,)
    assert crowded > 20


def test_a_crowded_token_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = [(row, 3, 5, 3) for row in range(4)]
    for cap, pairs in ((4, 4), (3, 0)):
        monkeypatch.setattr(linking, "BLOCK_CAP", cap)
        with scratch() as base:
            fill(base, "members", listed)
            fill(base, "roll", [(1005, 3, 5, 3)])
            engine.compare_tables(base)
            assert base.execute("SELECT count(*) FROM compared").fetchone() == (pairs,)


def artefact(path: Path, rows: Iterable[tuple[int, int, str]]) -> Path:
    outputs = [(row, recipe, said.ljust(64, ".").encode()) for row, recipe, said in rows]
    bundle.write_outputs(path.with_suffix(".plain"), outputs)
    engine.pepper_outputs(path.with_suffix(".plain"), path, pepper=PEPPER, epoch="2026", key=KEY)
    return path


def counted(path: Path) -> list[tuple[int, int, int, int]]:
    with unlocked(path, key=KEY) as plain, scratch() as base:
        query = "SELECT row, recipe, has, block FROM read_parquet(?) ORDER BY row, recipe"
        return base.execute(query, [str(plain)]).fetchall()


def test_an_artefact_says_how_many_rows_share_a_token_and_what_each_row_has(
    tmp_path: Path,
) -> None:
    rows = [(0, 0, "a"), (0, 2, "b"), (0, 255, "x"), (1, 2, "b"), (1, 255, "x"), (2, 255, "y")]
    made = artefact(tmp_path / "members", rows)
    both = [(0, 0, 5, 1), (0, 2, 5, 2), (0, 255, 5, 2), (1, 2, 4, 2), (1, 255, 4, 2)]
    assert counted(made) == [*both, (2, 255, 0, 1)]
    # What is left when a row has gone tells nothing of it, by its counts neither.
    left = tmp_path / "left"
    assert engine.without_tokens(made, left, [1], key=KEY) == 2
    rest = artefact(tmp_path / "rest", [row for row in rows if row[0] != 1])
    assert counted(left) == counted(rest) == [(0, 0, 5, 1), (0, 2, 5, 1), (0, 255, 5, 1),
                                              (2, 255, 0, 1)]  # fmt: skip
    assert left.read_bytes() == rest.read_bytes()


def test_an_artefact_of_before_is_counted_when_it_is_linked(tmp_path: Path) -> None:
    listed, roll = people(3, 140, 120)
    found = []
    for columns in ("row, recipe, hi, lo", "*"):
        with scratch() as base:
            for name, tokens in (("members", listed), ("roll", roll)):
                fill(base, "tokens", tokens)
                base.execute(linking.sql("counted"))
                base.execute(f"CREATE TABLE {name} AS SELECT {columns} FROM counted")
                base.execute("DROP TABLE tokens")
                base.execute("DROP TABLE counted")
            engine.link_tables(base, WEIGHTS)
            found.append(base.execute("SELECT * FROM links").fetchall())
    assert found[0] == found[1]
    assert len(found[0]) > 60


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_what_does_not_fit_is_private_and_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private, here = tmp_path / "private", tmp_path / "here"
    private.mkdir()
    here.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(private))
    monkeypatch.chdir(here)
    query = "CREATE TABLE much AS SELECT hash(range) AS a, hash(range, 1) AS b FROM range(5000000)"
    with scratch("40MB") as base:
        base.execute("SET threads = 1")
        base.execute(query)
        spilled = files(private)
        assert sum(path.stat().st_size for path in spilled) > 20_000_000
        (folder,) = private.iterdir()
        assert folder.stat().st_mode & 0o77 == 0
    assert files(tmp_path) == []
    assert os.listdir(private) == []
    # The control: without being told, DuckDB spills where the process was started.
    with duckdb.connect(config={"memory_limit": "40MB", "threads": 1}) as base:
        base.execute(query)
        assert files(here) != []


def test_links_made_on_the_disk_are_those_made_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    kinds, found = len(RECIPES), []
    for memory in (None, "30MB"):
        with scratch(memory) as base:
            base.execute("SET threads = 1")
            for name, rows, step in (("roll", 60_000, 1), ("members", 30_000, 2)):
                base.execute(
                    f"CREATE TABLE {name} AS SELECT r.range * {step} AS row, k.range AS recipe,"
                    f" hash(r.range * {step}, k.range)::BIT::BIGINT AS hi,"
                    f" hash(k.range, r.range * {step})::BIT::BIGINT AS lo,"
                    f" {2**kinds - 1} AS has, 1 AS block"
                    f" FROM range({rows}) r, range({kinds}) k"
                )
            spilled = bool(files(tmp_path))
            engine.link_tables(base, WEIGHTS)
            found.append((spilled, base.execute("SELECT * FROM links").fetchall()))
    assert [spilled for spilled, _ in found] == [False, True]
    assert found[0][1] == found[1][1]
    assert len(found[0][1]) == 30_000
    assert files(tmp_path) == []

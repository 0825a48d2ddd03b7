"""A list that a newer roll does not touch has the links that it would get by meeting it anew."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from matching import engine, score
from matching.atrest import lock_file
from matching.updates import Update

KEY = b"k" * 32
RECIPES = (0, 2, 5, 8)
Tokens = set[tuple[int, int, int]]
"""Row, recipe and value."""

ROWS = st.integers(0, 5)
VALUES = st.integers(0, 9)
LISTS = st.sets(st.tuples(ROWS, st.sampled_from(RECIPES), VALUES), min_size=1, max_size=16)


@st.composite
def rolls(draw: st.DrawFn) -> list[Tokens]:
    """A roll and newer ones: each voter has a token of each recipe, which nobody shares.

    Below zero is a decoy. A newer roll has some voters more, fewer, or with other tokens.
    """
    voters = draw(st.integers(2, 7))
    found: list[Tokens] = []
    now: dict[tuple[int, int], int] = {}
    for at in range(draw(st.integers(2, 4))):
        changing = range(voters) if not at else draw(st.sets(st.integers(0, voters - 1)))
        for voter in changing:
            gone = bool(at) and draw(st.booleans())
            for recipe in RECIPES:
                now.pop((voter, recipe), None)
                taken = {value for (_, of), value in now.items() if of == recipe}
                value = draw(VALUES)
                if not gone:
                    now[voter, recipe] = -1 - voter if value in taken else value
        found.append({(voter, recipe, value) for (voter, recipe), value in now.items()})
    return found


def artefact(path: Path, tokens: Tokens) -> Path:
    """Tokens as the store keeps them, encrypted."""
    plain = path.with_suffix(".plain")
    with duckdb.connect() as base:
        base.execute("CREATE TABLE tokens (row BIGINT, recipe UTINYINT, hi BIGINT, lo BIGINT)")
        rows = [(row, recipe, value, recipe) for row, recipe, value in sorted(tokens)]
        if rows:
            base.executemany("INSERT INTO tokens VALUES (?, ?, ?, ?)", rows)
        base.execute(engine.sql("counted"))
        base.table("counted").order("recipe, hi, lo, row").write_parquet(str(plain))
    lock_file(plain, path, key=KEY)
    plain.unlink()
    return path


@settings(max_examples=12, deadline=None)
@given(members=LISTS, seen=rolls())
def test_incremental_runs_end_with_the_links_of_a_whole_run(
    members: Tokens, seen: list[Tokens]
) -> None:
    weights = score.load()
    with TemporaryDirectory() as folder:
        here = Path(folder)
        mine = artefact(here / "list", members)
        # Every link counts: a threshold would hide the difference of most of them.
        low = score.Weights.from_json(weights.to_json().replace(
            f'"threshold": {weights.threshold}', '"threshold": -50.0'))  # fmt: skip
        assert low.threshold == -50.0
        met = kept = None
        for at, tokens in enumerate(seen):
            roll = artefact(here / f"roll{at}", tokens)
            whole = here / f"whole{at}"
            engine.link(mine, roll, whole, key=KEY, weights=low)
            if met is None or Update(met, roll, here, key=KEY).touches(mine):
                kept = whole.read_bytes()
            assert kept == whole.read_bytes()
            met = roll

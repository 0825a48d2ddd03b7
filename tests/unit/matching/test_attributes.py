"""Two stewards of other keys find the same cells; one voter elsewhere is another root."""

import random
from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import pytest

from matching import engine
from matching.attributes import Cells, cells, write_attributes
from matching.bundle import write_links
from matching.coarsen import PRIMARIES_BANDS, Coarsened, coarsen
from matching.errors import BundleRefused
from matching.roll.reader import Voter
from tests.unit.matching.test_coarsen import GENERALS, PRIMARIES, named, voters_of

SIZES = {"6304418001": 300, "6304418002": 140, "6304418003": 6}


def made(voters: list[Voter], key: str, k: int = 10) -> Coarsened:
    return coarsen(voters, on=date(2026, 11, 3), generals=GENERALS, name=named(key), k=k)


def counted(folder: Path, slice_: Coarsened, name: str = "a") -> Cells:
    path = folder / f"{name}.parquet"
    write_attributes(path, slice_.rows)
    return cells(path)


def test_two_stewards_of_other_keys_find_the_same_leaves_in_another_order_of_the_file(
    tmp_path: Path,
) -> None:
    voters = voters_of(random.Random(4), SIZES)
    one, other = made(voters, "one"), made([*reversed(voters)], "other")
    assert {row.row_id for row in one.rows}.isdisjoint(row.row_id for row in other.rows)
    assert counted(tmp_path, one).leaves == counted(tmp_path, other, "b").leaves


def test_one_voter_in_another_precinct_changes_the_leaves(tmp_path: Path) -> None:
    voters = voters_of(random.Random(4), SIZES)
    moved = [replace(voters[0], precinct="6304418002"), *voters[1:]]
    before = counted(tmp_path, made(voters, "one"))
    after = counted(tmp_path, made(moved, "one"), "b")
    assert before.leaves != after.leaves
    assert before.voters == after.voters == 446


def test_cells_count_every_voter_and_none_holds_fewer_than_k(tmp_path: Path) -> None:
    slice_ = made(voters_of(random.Random(4), SIZES), "one")
    found = counted(tmp_path, slice_)
    assert found.by_precinct == Counter(row.precinct for row in slice_.rows)
    assert found.smallest >= 10
    # Control: without merging somebody stands alone.
    bare = counted(tmp_path, made(voters_of(random.Random(4), SIZES), "one", k=1), "b")
    assert bare.smallest == 1
    assert len(bare.leaves) > len(found.leaves)


def test_a_slice_of_before_there_were_primaries_is_still_one(tmp_path: Path) -> None:
    path, earlier = tmp_path / "a.parquet", tmp_path / "earlier.parquet"
    write_attributes(path, made(voters_of(random.Random(4), SIZES), "one").rows)
    with duckdb.connect() as base:
        base.read_parquet(str(path)).create_view("part")
        base.sql("SELECT * EXCLUDE (primaries) FROM part").write_parquet(str(earlier))
        base.sql("SELECT * EXCLUDE (votes) FROM part").write_parquet(str(tmp_path / "odd"))
    assert cells(earlier).by_precinct == cells(path).by_precinct
    assert (engine.tells_primaries(earlier), engine.tells_primaries(path)) == (False, False)
    definition = {"places": {"precinct": ["6304418001"]}}
    ghosts = [engine.Source("b", "p", links(tmp_path, path))]
    assert engine.count_people(definition, earlier, ghosts) == 300
    assert engine.count_people({**definition, "primaries": ["0"]}, earlier, ghosts) == 0
    with pytest.raises(BundleRefused):
        cells(tmp_path / "odd")


def links(folder: Path, attributes: Path) -> Path:
    """Everybody of a slice on one list."""
    with duckdb.connect() as base:
        rows = base.execute("SELECT row_id FROM read_parquet(?)", [str(attributes)]).fetchall()
    write_links(folder / "links", [(n, row, 1.0) for n, (row,) in enumerate(sorted(rows))])
    return folder / "links"


def test_who_votes_in_primaries_is_selected_and_who_is_not_told_never_is(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    voters = voters_of(random.Random(4), SIZES)
    slice_ = coarsen(
        voters, on=date(2026, 11, 3), generals=GENERALS, name=named("k"), primaries=PRIMARIES
    )
    write_attributes(path, slice_.rows)
    assert engine.tells_primaries(path)
    everybody = [engine.Source("b", "p", links(tmp_path, path))]
    found = {
        band: engine.count_people(
            {"places": {"precinct": ["6304418001"]}, "primaries": [band]}, path, everybody
        )
        for band in PRIMARIES_BANDS
    }
    rows = [row for row in slice_.rows if row.precinct == "6304418001"]
    assert found == {band: sum(row.primaries == band for row in rows) for band in PRIMARIES_BANDS}
    assert 0 < sum(found.values()) < 300  # of some nothing is told


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE part DROP COLUMN local",
        "UPDATE part SET row_id = 5",
        "UPDATE part SET zip = NULL",
        "DELETE FROM part",
    ],
)
def test_a_part_that_is_not_as_its_format_says_is_refused(tmp_path: Path, change: str) -> None:
    good, bad = tmp_path / "a.parquet", tmp_path / "bad.parquet"
    write_attributes(good, made(voters_of(random.Random(4), SIZES), "one").rows)
    with duckdb.connect() as base:
        base.execute("CREATE TABLE part AS SELECT * FROM read_parquet(?)", [str(good)])
        base.execute(change)
        base.table("part").write_parquet(str(bad))
    cells(good)
    with pytest.raises(BundleRefused):
        cells(bad)
    bad.write_bytes(good.read_bytes()[:-9])
    with pytest.raises(BundleRefused):
        cells(bad)

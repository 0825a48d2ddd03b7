"""DuckDB over artefacts: each piece of a precinct has its cell, an audience keeps its order."""

from pathlib import Path

import pytest

from consortium.store import frames
from mailer.seal import SEALED_BYTES
from matching.bundle import BundleRow, write_links, write_rows
from tests.fakes.server import some_voters, write_attributes


@pytest.fixture
def roll(tmp_path: Path) -> Path:
    path = tmp_path / "attributes.parquet"
    write_attributes(path, some_voters(40))
    return path


def links(path: Path, pairs: dict[int, int]) -> Path:
    write_links(path, [(row, voter, 9.0) for row, voter in pairs.items()])
    return path


def test_a_person_on_two_lists_is_one_person(roll: Path, tmp_path: Path) -> None:
    both = [
        links(tmp_path / "a.parquet", {0: 0, 1: 2, 2: 4}),
        links(tmp_path / "b.parquet", {0: 0, 1: 2, 2: 1}),
    ]
    found = {cell.precinct: cell.people for cell in frames.cells(roll, both)}
    assert found == {"44-0": 3, "44-1": 1}


def test_a_cell_without_anybody_is_there_all_the_same(roll: Path) -> None:
    """A cell that appears only with somebody in it would tell of the first."""
    assert [cell.people for cell in frames.cells(roll, [])] == [0, 0]
    assert [cell.districts() for cell in frames.cells(roll, [])] == [
        ("Congress 9", "State Senate 2", "State House 44")
    ] * 2


def test_a_link_to_nobody_on_the_roll_counts_nobody(roll: Path, tmp_path: Path) -> None:
    astray = links(tmp_path / "a.parquet", {0: 999})
    assert [cell.people for cell in frames.cells(roll, [astray])] == [0, 0]


def test_rows_of_a_precinct_are_sorted(roll: Path) -> None:
    found = frames.precinct_rows(roll)
    assert found == {"44-0": list(range(0, 40, 2)), "44-1": list(range(1, 40, 2))}


def bundle(path: Path, first: int, rows: int = 5) -> Path:
    """Rows whose locks run against their numbers."""
    write_rows(
        path,
        [
            BundleRow(
                row,
                bytes([first + row]) * 32,
                bytes([255 - first - row]) * 32,
                bytes(64),
                bytes(SEALED_BYTES),
            )
            for row in range(rows)
        ],
    )
    return path


def test_an_audience_is_written_by_lock_and_read_back_the_same(roll: Path, tmp_path: Path) -> None:
    parts = [
        frames.Part("a", "union", bundle(tmp_path / "a", 1), {0: 0, 3: 7}, {0: b"t" * 16}),
        frames.Part("ghosts", "", bundle(tmp_path / "b", 50), {1: 3}, {}),
        frames.Part("empty", "parks", tmp_path / "not-opened", {}, {}),
    ]
    out = tmp_path / "audience.parquet"
    locks = frames.write_audience(out, roll, parts)
    assert locks == sorted(locks)
    found = frames.read_audience(out)
    assert [one.lock for one in found] == locks
    assert {(one.bundle, one.row, one.roll_row) for one in found} == {
        ("a", 0, 0),
        ("a", 3, 7),
        ("ghosts", 1, 3),
    }
    by_row = {(one.bundle, one.row): one for one in found}
    first, ghost = by_row["a", 0], by_row["ghosts", 1]
    assert (first.partner, first.address_token) == ("union", b"t" * 16)
    assert (first.precinct, first.zip, first.house) == ("44-0", "43600", "State House 44")
    assert (ghost.partner, ghost.address_token) == ("", None)
    assert by_row["a", 3].address_token is None


def test_the_same_audience_is_the_same_bytes(roll: Path, tmp_path: Path) -> None:
    """Its digest is signed: made again after a crash it must be what it was."""
    parts = [frames.Part("a", "union", bundle(tmp_path / "a", 1), {0: 0, 3: 7, 4: 9}, {})]
    one, two = tmp_path / "one.parquet", tmp_path / "two.parquet"
    frames.write_audience(one, roll, parts)
    frames.write_audience(two, roll, parts)
    assert one.read_bytes() == two.read_bytes()


def test_whatever_is_made_on_the_way_is_gone_afterwards_and_can_be_made_again(
    roll: Path, tmp_path: Path
) -> None:
    """One engine serves the whole process: what one question leaves, the next would find."""
    part = frames.Part("a", "union", bundle(tmp_path / "a", 1), {0: 0, 3: 7}, {})
    frames.cells(roll, [links(tmp_path / "l.parquet", {0: 0})])
    frames.write_audience(tmp_path / "audience.parquet", roll, [part])
    for name in ("first", "second"):
        out = tmp_path / f"{name}.parquet"
        assert frames.without(tmp_path / "audience.parquet", out, "a", [3], locks=True) == 1
        assert [row.bundle for row in frames.read_audience(out)].count("a") == 1
    with frames._connection() as db:
        assert db.execute("SELECT table_name FROM duckdb_tables()").fetchall() == []

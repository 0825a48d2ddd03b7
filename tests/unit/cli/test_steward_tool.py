"""Enrolling a voter file: what leaves names nobody, shared tokens are decoys, a re-run goes on."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from consortium.cli.home import Home
from matching.bundle import check_outputs, open_file
from matching.recipes import RECIPES
from matching.roll import co
from tests.unit.cli.conftest import Desk

CANARY = "zqxcanary"


@pytest.fixture
def roll(tmp_path: Path) -> Path:
    """60 voters in Colorado's layout, two of one name and address, and two bad lines."""
    folder = tmp_path / "roll"
    folder.mkdir()
    columns = list(co.MASTER.columns)
    lines = [",".join(columns)]
    for n in range(60):
        twin = 0 if n < 2 else n
        known = {
            "VOTER_ID": str(1000 + n),
            "PRECINCT": "6304418001" if n % 2 else "6304418002",
            "CONGRESSIONAL": "Congressional 4",
            "STATE_SENATE": "State Senate 4",
            "STATE_HOUSE": "State House 44",
            "STATUS": "Active",
            "FIRST_NAME": f"{CANARY}a{chr(97 + twin % 26)}",
            "LAST_NAME": f"{CANARY}b{chr(97 + twin // 26)}",
            "HOUSE_NUM": str(twin + 1),
            "STREET_NAME": CANARY,
            "RESIDENTIAL_ZIP_CODE": "80134",
            "BIRTH_YEAR": str(1950 + twin % 40),
        }
        lines.append(",".join(known.get(column, "") for column in columns))
    lines += [",".join("" for _ in columns), "short,line"]
    (folder / f"{co.MASTER.files[0]}_sample.txt").write_text("\n".join(lines) + "\n")
    return folder


def test_a_roll_leaves_as_coarse_attributes_and_tokens_that_no_two_voters_share(
    seat: Callable[[str], Desk], roll: Path, tmp_path: Path
) -> None:
    desk = seat("steward")
    result = desk.json("enrol", roll, "--yes")
    assert (result["voters"], result["quarantined"]) == (60, 2)
    world, made = desk.world, result["id"]
    attributes, outputs = tmp_path / "attributes.parquet", tmp_path / "outputs"
    attributes.write_bytes(world.parts[f"{made}/attributes"])
    outputs.write_bytes(world.parts[f"{made}/outputs"])
    open_file(outputs, tmp_path / "plain", world.pepper.private_bytes_raw(), made.encode())
    assert check_outputs(tmp_path / "plain", recipes=len(RECIPES), address=False, unique=True) == 60
    with duckdb.connect() as base:
        base.execute("SELECT * FROM read_parquet(?)", [str(attributes)])
        names = [column[0] for column in base.description or ()]
        rows = base.fetchall()
    assert names == [
        "row_id", "precinct", "congressional", "senate", "house", "zip", "age_band", "votes",
        "household",
    ]  # fmt: skip
    assert len(rows) == 60
    ids = Home(desk.home).vault.read(desk.home / "rolls" / made / "map.enc")
    assert sorted(ids.values(), key=int) == [str(1000 + n) for n in range(60)]
    assert {str(row[0]) for row in rows} == set(ids)
    assert CANARY.encode() not in b"\n".join(world.bodies)


def test_an_enrolment_cut_off_keeps_its_row_ids_and_the_same_files_are_enrolled_once(
    seat: Callable[[str], Desk], roll: Path
) -> None:
    desk = seat("steward")
    desk.world.down = {"c1", "c3"}
    cut = desk.run("enrol", roll, "--yes")
    assert cut.exit_code == 3
    assert CANARY not in cut.output
    (folder,) = (desk.home / "rolls").iterdir()
    kept = (folder / "attributes.parquet").read_bytes()
    desk.world.down = set()
    assert desk.json("enrol", roll, "--yes")["id"] == folder.name
    assert desk.world.parts[f"{folder.name}/attributes"] == kept
    asked = desk.world.evaluated
    assert desk.json("enrol", roll, "--yes")["id"] == folder.name
    assert desk.world.evaluated == asked


def test_a_folder_without_a_voter_file_is_refused(
    seat: Callable[[str], Desk], tmp_path: Path
) -> None:
    (tmp_path / "nothing").mkdir()
    done = seat("steward").run("enrol", tmp_path / "nothing", "--yes")
    assert done.exit_code == 1
    assert "EX-003" in done.output

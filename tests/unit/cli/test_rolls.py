"""The steward's tool on real layouts: what is said, what is kept, what is enrolled."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from consortium.cli import steward
from tests.fakes import rolls
from tests.unit.cli.conftest import Desk


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """40 voters of New York, half in Kings County, with bad lines."""
    path = tmp_path / "AllNYSVoters_20260105.txt"
    bad = ("short", "null", "id", "county", "twice", "quote")
    rolls.write(path, rolls.newest("NY"), rolls.voters("NY", 40), bad=bad)
    return path


def test_one_look_says_the_layout_and_every_bad_line_and_no_name(file: Path) -> None:
    ran = CliRunner().invoke(steward.command, ["read", str(file), "--json"])
    assert ran.exit_code == 0, ran.output
    said = json.loads(ran.stdout.splitlines()[-1])
    assert (said["state"], said["columns"], said["voters"], said["quarantined"]) == (
        "NY", 47, 40, 6
    )  # fmt: skip
    assert "New York, layout of December 2021, 47 columns; 40 voters" in ran.output
    assert "general elections: 2020-11-03, 2022-11-08, 2024-11-05" in ran.output
    assert not any(name in ran.output for name in (*rolls.FIRST, "ALDERTON", "SPARKY"))


def test_a_slice_is_taken_by_place_and_a_place_without_voters_is_refused(file: Path) -> None:
    run = CliRunner().invoke
    half = run(steward.command, ["read", str(file), "--only", "county=36047", "--json"])
    assert json.loads(half.stdout.splitlines()[-1])["voters"] == 20
    none = run(steward.command, ["read", str(file), "--only", "house=State Assembly 53"])
    assert (none.exit_code, "nobody in the voter file lives in" in none.output) == (1, True)
    wrong = run(steward.command, ["read", str(file), "--only", "name=ANA"])
    assert wrong.exit_code == 2


def test_a_slice_of_new_york_is_enrolled_straight_from_the_states_file(
    seat: Callable[[str], Desk], file: Path, tmp_path: Path
) -> None:
    desk = seat("steward")
    result = desk.json("enrol", file, "--only", "county=36047", "--yes")
    assert (result["voters"], result["quarantined"]) == (20, 6)
    attributes = tmp_path / "attributes.parquet"
    attributes.write_bytes(desk.world.parts[f"{result['id']}/attributes"])
    with duckdb.connect() as base:
        base.execute("SELECT DISTINCT house FROM read_parquet(?)", [str(attributes)])
        assert base.fetchall() == [("State Assembly 52",)]
    with (desk.home / "state" / "set-aside.csv").open() as text:
        kept = list(csv.DictReader(text))
    assert [row["file"] for row in kept] == [file.name] * 6
    assert "SPARKY" not in str(kept)
    assert desk.json("enrol", file, "--only", "county=36047", "--yes")["id"] == result["id"]
    # Another slice of the same file is another enrolment; here it ends at the question.
    assert desk.run("enrol", file).exit_code != 0
    assert len(list((desk.home / "rolls").iterdir())) == 2


def test_returns_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "CE-068.txt"
    path.write_text("VOTER_ID|MAIL_BALLOT_RECEIVE_DATE|IN_PERSON_VOTE_DATE|VOTE_METHOD\n"
                    "1|10/20/2026||Mail\n2|||Mail\nshort\n")  # fmt: skip
    words = ["returns", str(path), "--election", "2026-11-03", "--json"]
    ran = CliRunner().invoke(steward.command, words)
    assert json.loads(ran.stdout.splitlines()[-1]) == {
        "state": "CO", "election": "2026-11-03", "voted": 1, "out": 1, "cure": 0, "none": 0,
        "doubted": 0, "other": 0, "not_read": [], "quarantined": 1,
    }  # fmt: skip
    assert "1 have voted, 1 are out" in ran.output


def test_a_file_of_which_nobody_can_be_enrolled_says_why(
    seat: Callable[[str], Desk], tmp_path: Path
) -> None:
    rows = [row | {"COUNTYCODE": "63"} for row in rolls.voters("NY", 30)]
    rolls.write(tmp_path / "voters.txt", rolls.newest("NY"), rows)
    ran = seat("steward").run("enrol", tmp_path / "voters.txt", "--yes")
    assert ran.exit_code == 1
    assert "nobody in the voter file can be enrolled: 30 lines are set aside" in ran.output
    assert "COUNTYCODE is no county of this state" in ran.output

"""A voter file becomes the inputs of its tokens one voter at a time, and the memory shows it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from consortium.cli.match import command
from matching.recipes import token_inputs
from matching.roll.reader import open_roll
from tests.fakes import rolls

BAD = ("short", "null", "break", "id", "county", "twice", "quote", "open")


def test_the_inputs_of_every_voter_are_counted_and_bad_lines_told(tmp_path: Path) -> None:
    path = tmp_path / "voters.txt"
    rolls.write(path, rolls.newest("NY"), rolls.voters("NY", 500), bad=BAD)
    ran = CliRunner().invoke(command, ["normalise", str(path)])
    assert ran.exit_code == 0, ran.output
    assert "8 voter lines are set aside" in ran.output
    made = [made for voter in open_roll(path).voters() for made in token_inputs(voter.record)]
    assert f"{sum(one is not None for one in made):,} inputs in " in ran.output
    said = json.loads(CliRunner().invoke(command, ["normalise", str(path), "--json"]).output)
    assert said["rows"] == 500
    assert said["rows_per_second_per_core"] > 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's own count")
def test_the_peak_is_this_programs_own_and_not_its_parents(tmp_path: Path) -> None:
    path = tmp_path / "voters.txt"
    rolls.write(path, rolls.newest("NY"), rolls.voters("NY", 20))
    held = bytearray(400 << 20)
    held[:: 1 << 12] = b"x" * len(held[:: 1 << 12])  # touched, so that it is really held
    assert _measured(path)["peak_mb"] < 200


def _measured(path: Path) -> dict[str, float]:
    """What the command says of a file, in a process of its own."""
    ran = subprocess.run(
        [sys.executable, "-m", "consortium.cli.main", "match", "normalise", str(path), "--json"],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    said: dict[str, float] = json.loads(ran.stdout)
    return said


@pytest.mark.soak
def test_a_million_voters_of_new_york_pass_in_flat_memory(tmp_path: Path) -> None:
    path = tmp_path / "AllNYSVoters.txt"
    rolls.write(path, rolls.newest("NY"), rolls.voters("NY", 1_000_000), bad=BAD)
    said = _measured(path)
    sys.stdout.write(f"\n{said}\n")
    assert said["rows"] == 1_000_000
    # Ids are known by 8 bytes a place: 16 MB for a million, and 8 more while the table doubled.
    assert said["peak_mb"] - said["first_mb"] < 30
    assert said["peak_mb"] < 200

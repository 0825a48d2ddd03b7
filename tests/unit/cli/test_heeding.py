"""A partner sees which of its own rows said stop, by the numbers of its own file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from consortium.cli.heeding import ENDS, Said, as_csv
from consortium.service.tell import ToldStop
from tests.fakes.api import RACE
from tests.unit.cli.test_saying_yes import Uploaded, uploaded

__all__ = ["uploaded"]


def stop(lock: bytes, **other: Any) -> dict[str, Any]:
    return {"lock": lock.hex(), "scope": "race", "race": RACE, "day": "2026-11-21", **other}


def test_stops_are_shown_by_the_row_of_the_own_file_and_nothing_else_of_it(
    uploaded: Uploaded, tmp_path: Path
) -> None:
    assert "Nobody said stop" in uploaded.desk.run("stops").output
    one, two = uploaded.rows[3], uploaded.rows[0]
    strange = b"\x07" * 32
    uploaded.world.stops = [stop(one.lock), stop(two.lock, scope="all"), stop(strange)]
    out = tmp_path / "stops.csv"
    done = uploaded.desk.run("stops", "--out", out, "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout.splitlines()[-1])
    assert [(each["row"], each["scope"]) for each in said["stops"]] == sorted(
        [(one.row, "race"), (two.row, "all")]
    )
    assert said["unknown"] == 1
    lines = out.read_text().split()
    assert lines[0] == "list,row,stop,race,day"
    assert f"{uploaded.id},{one.row},race,{RACE},2026-11-21" in lines
    assert len(lines) == 3
    text = uploaded.desk.run("stops").output
    assert ENDS["race"] in text
    assert "of a complaint, nobody is told." in " ".join(text.split())
    for secret in (one.lock.hex(), one.secret.hex(), "@", strange.hex()):
        assert secret not in text + out.read_text()


@pytest.mark.parametrize(
    "wrong",
    [
        "=cmd|x",
        [1],
        {"lock": "00", "scope": "race", "race": RACE, "day": "2026-11-21"},
        stop(b"\x07" * 32, scope="=1+1"),
        stop(b"\x07" * 32, race="-2+3"),
        stop(b"\x07" * 32, day="=TODAY()"),
        stop(b"\x07" * 32, day=20261121),
    ],
)
def test_a_servers_misshapen_answer_is_refused_whole_and_not_quoted(
    uploaded: Uploaded, wrong: Any
) -> None:
    uploaded.world.stops = [stop(uploaded.rows[0].lock), wrong]
    done = uploaded.desk.run("stops")
    assert done.exit_code != 0
    assert "misshapen" in str(done.exception) + done.output
    assert "cmd" not in done.output
    assert "TODAY" not in done.output


def test_a_list_that_was_withdrawn_here_is_not_asked_about(uploaded: Uploaded) -> None:
    uploaded.world.stops = [stop(uploaded.rows[0].lock)]
    assert uploaded.desk.json("stops")["stops"]
    assert uploaded.desk.run("withdraw", uploaded.id, "--yes").exit_code == 0
    assert uploaded.desk.json("stops") == {"stops": [], "unknown": 0}


def test_every_reach_that_the_service_tells_has_words_and_a_cell_no_spreadsheet_runs() -> None:
    assert ToldStop.__slots__ == ("lock", "scope", "race", "day")
    assert {*ENDS} == {"race", "partner", "all"}
    made = as_csv([Said("list", 2, scope, RACE, "2026-11-21") for scope in ENDS]).decode()
    cells = [cell for line in made.split() for cell in line.split(",")]
    assert not [cell for cell in cells if cell[0] in "=+-@\t'"]

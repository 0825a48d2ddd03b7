"""`trellis bench` prints a table, and with --json ends with one line a machine can read."""

import json
import sys
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner

from consortium.cli.bench import command

ROW = {"name": "a token", "ours": 0.3, "floor": 0.2, "ratio": 1.5, "goal": 2.0, "unit": "ms"}


def bench(monkeypatch: pytest.MonkeyPatch, rows: list[dict[str, Any]]) -> None:
    module = ModuleType("consortium.cli.bench_tokens")
    module.rows = lambda: rows  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "consortium.cli.bench_tokens", module)


def test_json_is_the_last_line_and_the_only_one_on_standard_output(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench(monkeypatch, [ROW])
    ran = CliRunner().invoke(command, ["tokens", "--json"])
    assert ran.exit_code == 0
    assert json.loads(ran.stdout) == {"bench": "tokens", "rows": [ROW], "over": []}


def test_the_table_shows_ours_beside_its_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    bench(monkeypatch, [ROW])
    said = CliRunner().invoke(command, ["tokens"]).output
    assert "a token" in said
    assert "1.5" in said


def test_the_end_says_which_goals_hold_and_names_each_that_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench(monkeypatch, [ROW])
    assert CliRunner().invoke(command, ["tokens"]).output.endswith("All 1 goals hold.\n")
    bench(monkeypatch, [ROW, {**ROW, "name": "a slow one", "ratio": 2.5}])
    ran = CliRunner().invoke(command, ["tokens", "--json"])
    assert "1 of 2 goals hold; over: a slow one (2.50, 2)." in ran.stderr
    assert json.loads(ran.stdout)["over"] == ["a slow one"]


def test_a_row_without_its_floor_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    bench(monkeypatch, [{key: value for key, value in ROW.items() if key != "floor"}])
    ran = CliRunner().invoke(command, ["tokens"])
    assert ran.exit_code == 1
    assert "lacks floor" in ran.output

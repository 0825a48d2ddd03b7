"""Matching is measured on people it was not trained on, and the shipped weights can be remade."""

import json
from importlib import resources
from pathlib import Path

from click.testing import CliRunner, Result

from consortium.cli.match import command


def run(*words: str) -> Result:
    return CliRunner().invoke(command, list(words))


def test_evaluating_says_precision_and_recall_of_a_world_of_any_size() -> None:
    said = json.loads(run("evaluate", "--voters", "3000", "--members", "600", "--json").stdout)
    assert said["voters"] == 3000
    assert 400 < said["rows"] <= 600
    assert 0 < said["right"] <= said["linked"] <= said["rows"]
    assert said["precision"] == round(said["right"] / said["linked"], 6) > 0.98
    assert said["recall"] == round(said["right"] / said["on_roll"], 6) > 0.7
    shown = run("evaluate", "--voters", "1000", "--members", "90").stdout
    assert "precision" in shown
    assert "Made-up people" in shown


def test_the_people_of_the_training_are_not_evaluated_on() -> None:
    refused = run("evaluate", "--seed", "101")
    assert refused.exit_code == 2
    assert "take another one" in refused.stderr


def test_weights_of_other_recipes_are_refused_in_a_sentence(tmp_path: Path) -> None:
    other = tmp_path / "weights.json"
    other.write_text('{"recipes": "of another version"}')
    refused = run("evaluate", "--weights", str(other))
    assert refused.exit_code == 1
    assert "Traceback" not in refused.output
    assert "weights" in refused.stderr


def test_training_again_makes_the_shipped_file_bit_for_bit(tmp_path: Path) -> None:
    out = tmp_path / "weights.json"
    said = json.loads(run("train", "--out", str(out), "--json").stdout)
    assert said["same_as_shipped"] is True
    assert (
        out.read_bytes() == resources.files("matching").joinpath("data/weights.json").read_bytes()
    )
    assert said["precision"] > 0.99


def test_other_numbers_make_other_weights_and_it_says_so() -> None:
    said = run("train", "--voters", "600", "--members", "120", "--seed", "7").stdout
    assert said.startswith("other bytes than the shipped file")


def test_what_is_not_built_is_not_in_the_help() -> None:
    assert "explain" not in run("--help").stdout

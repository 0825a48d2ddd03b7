"""Matching is measured on people it was not trained on, and the shipped weights can be remade."""

import csv
import json
from collections import Counter
from datetime import date
from importlib import resources
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from consortium.cli.match import command
from consortium.cli.world import make
from matching import marginal
from matching.errors import RecipeRefused
from matching.recipes import RECIPES, token_inputs
from matching.roll.reader import open_roll

FIGURES = {
    "precision", "recall", "f1", "certain", "recall_at_p99", "recall_at_p999", "f1_best", "pairs",
    "seconds", "peak_mb",
}  # fmt: skip


def run(*words: str) -> Result:
    return CliRunner().invoke(command, list(words))


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("town")
    made = run("make", "--out", str(out), "--voters", "800", "--members", "150", "--seed", "5")
    assert made.exit_code == 0, made.output
    return out


def files(folder: Path) -> list[str]:
    names = (("--members", "members"), ("--roll", "roll"), ("--truth", "truth"))
    return [f"{option}={folder / name}.csv" for option, name in names]


def test_evaluating_says_precision_and_recall_of_a_town_of_any_size() -> None:
    said = json.loads(run("evaluate", "--voters", "3000", "--members", "600", "--json").stdout)
    assert said["voters"] == 3000
    assert 400 < said["rows"] <= 600
    assert set(said) > FIGURES
    assert said["precision"] > 0.98
    assert said["recall"] > 0.7
    shown = run("evaluate", "--voters", "1000", "--members", "90").stdout
    assert "precision" in shown
    assert "Made-up people" in shown


def test_labelled_files_end_with_one_line_of_figures(town: Path) -> None:
    ran = run("evaluate", *files(town), "--keyed-hash")
    last = json.loads(ran.stdout.splitlines()[-1])
    assert set(last) >= FIGURES
    assert last["decoys"] is True
    assert last["certain"]["precision"] >= last["precision"] > 0.95
    assert last["f1_best"] >= last["f1"] > 0.85
    assert last["without_decoys"]["pairs"] >= last["pairs"] > 100
    assert len(run("evaluate", *files(town), "--keyed-hash", "--json").stdout.splitlines()) == 1


def test_without_decoys_is_what_stands_beside_them(town: Path) -> None:
    both = json.loads(run("evaluate", *files(town), "--keyed-hash", "--json").stdout)
    bare = json.loads(run("evaluate", *files(town), "--keyed-hash", "--no-decoys", "--json").stdout)
    assert bare["decoys"] is False
    assert {name: bare[name] for name in both["without_decoys"]} == both["without_decoys"]


def test_a_keyed_hash_keeps_the_equality_of_the_custodians_tokens(town: Path) -> None:
    hashed = json.loads(run("evaluate", *files(town), "--keyed-hash", "--json").stdout)
    real = json.loads(run("evaluate", *files(town), "--json").stdout)
    for told in (hashed, real):
        del told["seconds"], told["peak_mb"]
    assert hashed == real


def test_a_truth_of_other_people_gives_other_figures(town: Path, tmp_path: Path) -> None:
    lines = (town / "truth.csv").read_text().splitlines()
    mine = [line.split(",")[0] for line in lines[1:]]
    theirs = [line.split(",")[1] for line in lines[1:]]
    moved = [f"{m},{v}" for m, v in zip(mine, theirs[1:] + theirs[:1], strict=True)]
    (tmp_path / "truth.csv").write_text("\n".join([lines[0], *moved]) + "\n")
    words = [*files(town)[:2], f"--truth={tmp_path / 'truth.csv'}", "--keyed-hash", "--json"]
    assert json.loads(run("evaluate", *words).stdout)["precision"] < 0.1


def test_a_bad_file_is_refused_by_file_row_and_column_and_never_by_what_it_says(
    town: Path, tmp_path: Path
) -> None:
    lines = (town / "roll.csv").read_text().splitlines()
    (tmp_path / "roll.csv").write_text("\n".join([*lines[:4], lines[2]]) + "\n")
    ran = run("evaluate", f"--members={town / 'members.csv'}", f"--roll={tmp_path / 'roll.csv'}",
              f"--truth={town / 'truth.csv'}", "--keyed-hash")  # fmt: skip
    assert ran.exit_code == 1
    assert "roll.csv, row 5, column id: was in an earlier row" in ran.stderr
    assert lines[2].split(",")[1] not in ran.stderr


def test_dates_of_no_known_form_are_told_by_file_and_column(town: Path, tmp_path: Path) -> None:
    other = tmp_path / "members.csv"
    rows = list(csv.DictReader((town / "members.csv").read_text().splitlines()))
    with other.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({**row, "dob": "born in May"} for row in rows)
    words = (f"--members={other}", *files(town)[1:], "--keyed-hash", "--json")
    ran = run("evaluate", *words)
    assert json.loads(ran.stdout)["recall"] > 0.5
    said = f"members.csv, column dob: {len(rows)} cells cannot be read and count as missing, the"
    assert said in ran.stderr
    assert "May" not in ran.output
    assert "dob" not in run("evaluate", *files(town), "--keyed-hash", "--json").stderr


def test_labelled_files_are_three(town: Path) -> None:
    for words in (files(town)[:2], files(town)[:1], [f"--truth={town / 'truth.csv'}"]):
        assert run("evaluate", *words).exit_code == 2


def test_the_people_of_the_training_are_not_evaluated_on() -> None:
    refused = run("evaluate", "--seed", "101")
    assert refused.exit_code == 2
    assert "take another one" in refused.stderr


def test_weights_of_other_recipes_are_refused_in_a_sentence(tmp_path: Path) -> None:
    other = tmp_path / "weights.json"
    for text in (b'{"recipes": "of another version"}', b"\xff\xfe no text"):
        other.write_bytes(text)
        refused = run("evaluate", "--weights", str(other))
        assert refused.exit_code == 1
        assert not refused.exception or isinstance(refused.exception, SystemExit)
    assert "Traceback" not in refused.output
    assert "weights" in refused.stderr


@pytest.mark.soak
def test_training_again_makes_the_shipped_file_bit_for_bit(tmp_path: Path) -> None:
    out = tmp_path / "weights.json"
    said = json.loads(run("train", "--out", str(out), "--json").stdout)
    assert said["same_as_shipped"] is True
    shipped = resources.files("matching").joinpath("data/weights.json").read_bytes()
    assert out.read_bytes() == shipped


def test_the_same_numbers_make_the_same_weights_and_others_are_told(tmp_path: Path) -> None:
    words = ("train", "--voters", "600", "--members", "120", "--seed", "7", "--out")
    one, two = tmp_path / "one", tmp_path / "two"
    assert run(*words, str(one)).stdout.startswith("other bytes than the shipped file")
    run(*words, str(two))
    assert one.read_bytes() == two.read_bytes()


def test_a_link_is_explained_by_recipes_that_add_up_and_not_by_who_it_is(town: Path) -> None:
    linked = (town / "truth.csv").read_text().splitlines()[1:40]
    for line in linked:
        words = ("explain", line.split(",")[0], *files(town)[:2])
        ran = run(*words, "--json")
        if ran.exit_code == 0:
            break
    said = json.loads(ran.stdout)
    total = said["bias"] + said["second_best"] + sum(one["weight"] for one in said["recipes"])
    assert total == pytest.approx(said["score"], abs=1e-5)
    assert {one["is"] for one in said["recipes"]} >= {"agrees"}
    shown = run(*words)
    assert shown.stdout.count("agrees") == sum(one["is"] == "agrees" for one in said["recipes"])
    members = csv.DictReader((town / "members.csv").read_text().splitlines())
    row = next(one for one in members if one["id"] == words[1])
    told = ran.output + shown.output
    assert not [value for value in row.values() if len(value) > 2 and value in told]


def test_what_cannot_be_explained_says_why(town: Path, tmp_path: Path) -> None:
    assert run("explain", "nobody", *files(town)[:2]).exit_code == 2
    assert run("explain", "m1").exit_code == 2
    # Somebody of whom only an id is known has no token at all.
    bare = tmp_path / "bare.csv"
    bare.write_text("id\nx\n")
    refused = run("explain", "x", f"--members={bare}", f"--roll={town / 'roll.csv'}")
    assert refused.exit_code == 1
    assert "no voter shares a token" in refused.stderr


def test_each_recipe_is_shown_with_what_it_adds_and_a_common_one_is_refused() -> None:
    ran = run("recipes", "--voters", "500", "--members", "90", "--json")
    told = json.loads(ran.stdout.splitlines()[0])
    assert [one["recipe"] for one in told] == [recipe.says for recipe in RECIPES]
    assert all(one["bits"] > 7 and one["biggest"] <= 5 for one in told)
    assert ran.exit_code == 0
    common = [marginal.Row("last initial", 1.0, 0.0, 60, 3.0, 0.0, 0.0)]
    with pytest.raises(RecipeRefused, match="60 of 500 voters"):
        marginal.refuse_common(common, 500)


def test_how_common_each_recipes_tokens_are_is_said_of_a_voter_file_and_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, voters=600, members=[30], seed=5, today=date(2026, 11, 21))
    ran = run("recipes", "--roll", str(tmp_path / "roll"), "--json")
    told = {one["recipe"]: one for one in json.loads(ran.stdout.splitlines()[0])}
    assert ran.exit_code == 0
    assert [*told] == [recipe.says for recipe in RECIPES]
    names = Counter(
        token_inputs(voter.record)[0] for voter in open_roll(tmp_path / "roll").voters()
    )
    assert told["first root, last"]["biggest"] == max(names.values())
    assert told["first root, last"]["alone"] == round([*names.values()].count(1) / 600, 4)
    monkeypatch.setattr(marginal, "LEAST", 1)
    monkeypatch.setattr(marginal, "BOUND", 0.0)
    refused = run("recipes", "--roll", str(tmp_path / "roll"))
    assert refused.exit_code == 1
    assert "of 600 voters share a token" in refused.stderr
    assert run("recipes", "--roll", str(tmp_path / "truth.csv")).exit_code == 1

"""One link of an installation explained: by its own artefacts, to its operator, and never who."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from click.testing import CliRunner, Result

from consortium.cli.match import command
from consortium.store import contributions
from matching import score
from tests.fakes.season import DATABASE, LISTS, Season, kept_season, row_id, season, voter
from tests.fakes.server import EPOCH

__all__ = ["kept_season", "season"]

Ask = Callable[..., Result]


@pytest.fixture
def ask(season: Season, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """``trellis match explain LINK --home`` at this operator's home."""
    monkeypatch.setenv("TRELLIS_DATABASE", f"sqlite:///{season.folder / DATABASE}")
    monkeypatch.setenv("TRELLIS_ARTEFACTS", str(season.folder / "artefacts"))

    def run(link: str, *more: str) -> Result:
        return CliRunner().invoke(command, ["explain", link, "--home", str(season.home), *more])

    return run


def bundle_of(season: Season, partner: str = "union") -> contributions.Contribution:
    return next(one for one in season.bundles() if one.partner == partner)


def test_a_link_of_an_installation_is_explained_recipe_by_recipe(season: Season, ask: Ask) -> None:
    one = bundle_of(season)
    said = json.loads(ask(f"{one.id}:3", "--json").stdout)
    assert said["linked"] is True
    assert said["same_weights"] is True
    assert said["verdict"] == "certain"
    assert {each["is"] for each in said["recipes"]} == {"agrees", "missing"}
    total = said["bias"] + said["second_best"] + sum(each["weight"] for each in said["recipes"])
    assert total == pytest.approx(said["score"], abs=1e-5)
    shown = ask(f"{one.id}:3")
    assert shown.exit_code == 0, shown.output
    assert shown.output.count("agrees") == sum(each["is"] == "agrees" for each in said["recipes"])
    assert "The run linked this row: yes." in shown.output


def test_the_explanation_holds_nobody(season: Season, ask: Ask) -> None:
    one = bundle_of(season)
    told = ask(f"{one.id}:3").output + ask(f"{one.id}:3", "--json").output
    for number in LISTS["union"]:
        record = voter(number)
        assert str(row_id(number)) not in told
        assert record.first not in told.casefold()
        assert record.last not in told.casefold()


@pytest.mark.parametrize("link", ["", "nothing", "a:b", ":3", "x:-1", "x:²", "x:99999999999"])
def test_what_is_no_link_is_a_matter_of_spelling(ask: Ask, link: str) -> None:
    asked = ask(link)
    assert asked.exit_code == 2
    assert "CONTRIBUTION:ROW" in asked.output


def test_a_list_or_a_row_that_is_not_there_is_said(season: Season, ask: Ask) -> None:
    assert "no list has that id here" in ask("00000000-0000-0000-0000-000000000000:1").output
    gone = ask(f"{bundle_of(season).id}:100")
    assert (gone.exit_code, "no such row" in gone.output) == (1, True)


def test_what_was_withdrawn_or_is_not_matched_yet_is_not_explained(
    season: Season, ask: Ask
) -> None:
    one, other = bundle_of(season), bundle_of(season, "parks")
    season.units.run("row", lambda unit: contributions.take_back(unit, one.id, [3]))
    assert "that row was withdrawn" in ask(f"{one.id}:3").output
    assert ask(f"{one.id}:4").exit_code == 0
    for change, said in (
        ({"links_digest": None, "linked_roll": None}, "has met no roll yet"),
        ({"state": "withdrawn"}, "is withdrawn"),
    ):
        season.units.run("gone", lambda u, c=change: contributions.change(u, other.id, **c))  # type: ignore[misc]
        asked = ask(f"{other.id}:3")
        assert (asked.exit_code, said in asked.output) == (1, True)


def test_another_home_or_an_ended_epochs_keys_are_named_as_what_is_missing(
    season: Season, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = bundle_of(season)
    for key in (season.home / "epochs" / EPOCH).iterdir():
        key.unlink()
    asked = ask(f"{one.id}:3")
    assert (asked.exit_code, f"keys of epoch {EPOCH}" in asked.output) == (1, True)
    monkeypatch.setenv("TRELLIS_DATABASE", f"sqlite:///{season.folder / 'none.sqlite'}")
    asked = ask(f"{one.id}:3")
    assert (asked.exit_code, "no operator's database" in asked.output) == (1, True)


def test_a_run_by_other_weights_is_not_passed_off_as_this_sum(
    season: Season, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = bundle_of(season)
    other = replace(score.load(), bias=score.load().bias - 0.5)
    monkeypatch.setattr(score, "load", lambda: other)
    asked = ask(f"{one.id}:3")
    assert "other weights than this version" in asked.output

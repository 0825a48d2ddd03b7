"""A partner asks how its own list meets the roll: noised, paid for once, told to nobody else."""

from __future__ import annotations

import math
from typing import Any

import pytest

from consortium.service import choose, gauge
from consortium.store import contributions, ledger
from matching.recipes import RECIPES, token_inputs
from policies.parts import OWN_ROWS
from tests.fakes.season import LISTS, Season, kept_season, season, voter
from tests.fakes.server import RACE

__all__ = ["kept_season", "season"]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Noise of nothing, so that what is counted can be seen; the sigmas that were asked for."""
    sigmas: list[float] = []

    def noisy(value: int, sigma: float) -> int:
        sigmas.append(sigma)
        return value

    monkeypatch.setattr(gauge.disclosure, "noisy", noisy)
    return sigmas


def bundle_of(season: Season, partner: str = "union") -> str:
    return next(one.id for one in season.bundles() if one.partner == partner)


def ask(season: Season, id: str, who: str = "union", method: str = "POST") -> Any:
    return season.server.call(who, method, f"/contributions/{id}/quality")


def read(season: Season, id: str, who: str = "union") -> Any:
    return ask(season, id, who, "GET")


def charges(season: Season) -> list[tuple[str, int]]:
    found = season.units.run("charges", lambda unit: ledger.charges(unit, RACE))
    return [(one.part, one.units) for one in found]


def exact(season: Season, id: str) -> dict[str, int]:
    """What was drawn for each recipe, before it is rounded for reading."""

    def look(unit: Any) -> dict[str, int]:
        one = contributions.get(unit, id)
        return ledger.named(unit, RACE, gauge._question(one, gauge.BY_RECIPE))

    return season.units.run("exact", look)


def test_every_link_is_counted_and_every_recipe_that_agrees_in_it(
    season: Season, drawn: list[float]
) -> None:
    id = bundle_of(season)
    assert read(season, id).json() == {"state": "waiting"}
    assert ask(season, id).status_code == 202
    assert read(season, id).json() == {"state": "waiting"}  # nothing is counted by the web process
    gauge.draw(season.bench, id)
    agrees = {
        recipe.id: sum(token_inputs(voter(n))[at] is not None for n in LISTS["union"])
        for at, recipe in enumerate(RECIPES)
    }
    assert exact(season, id) == agrees
    assert {0, 100} == set(agrees.values())
    said = read(season, id).json()
    assert said["state"] == "told"
    assert said["found"]["shown"] == "fewer than 250"  # 100 of 100: as any figure so small
    assert [one["recipe"] for one in said["recipes"]] == [recipe.says for recipe in RECIPES]


def test_all_recipes_together_are_paid_as_one_answer_because_they_are_noisier(
    season: Season, drawn: list[float]
) -> None:
    id = bundle_of(season)
    ask(season, id)
    assert charges(season) == [("D:union", OWN_ROWS.units)] * 3
    gauge.draw(season.bench, id)
    assert drawn == [OWN_ROWS.sigma] * 2 + [gauge.RECIPE_SIGMA] * len(RECIPES)
    assert pytest.approx(OWN_ROWS.sigma * math.sqrt(len(RECIPES))) == gauge.RECIPE_SIGMA
    rho = len(RECIPES) / (2 * gauge.RECIPE_SIGMA**2)
    assert rho <= OWN_ROWS.units / 1e6
    said = read(season, id).json()
    assert said["answers_left"] == OWN_ROWS.limit // OWN_ROWS.units - 3


def test_the_same_question_is_free_and_has_the_same_answer(season: Season) -> None:
    id = bundle_of(season)
    ask(season, id)
    gauge.draw(season.bench, id)
    first = exact(season, id)
    for _ in range(3):
        ask(season, id)
        gauge.draw(season.bench, id)
    assert exact(season, id) == first
    assert len(charges(season)) == 3
    assert len(set(first.values())) > 2  # it is noised: two numbers alone would be the exact ones


def test_it_is_paid_before_it_is_drawn_and_drawn_once_after_a_crash(
    season: Season, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = bundle_of(season)
    gauge.draw(season.bench, id)  # nobody asked
    assert (charges(season), exact(season, id)) == ([], {})
    ask(season, id)

    def crash(*_: Any) -> int:
        raise MemoryError

    with monkeypatch.context() as broken:
        broken.setattr(gauge.disclosure, "noisy", crash)
        with pytest.raises(MemoryError):
            gauge.draw(season.bench, id)
    assert read(season, id).json() == {"state": "waiting"}
    gauge.draw(season.bench, id)
    assert read(season, id).json()["state"] == "told"


def test_nobody_else_is_told_and_nobody_else_can_spend_it(season: Season) -> None:
    id = bundle_of(season)
    for who, status in (("parks", 404), ("cora", 403), ("stella", 403), ("ann", 403)):
        assert ask(season, id, who).status_code == status
        assert read(season, id, who).status_code == status
    assert charges(season) == []
    assert ask(season, bundle_of(season, "parks"), "parks").status_code == 202
    assert [part for part, _ in charges(season)] == ["D:parks"] * 3


def test_when_the_answers_are_spent_it_is_refused_and_none_is_half_paid(season: Season) -> None:
    id = bundle_of(season)

    def spend(unit: Any) -> None:
        for n in range(14):
            choose.pay(unit, RACE, "D:union", f"{n:064}", "union", season.clock(), False)

    season.units.run("spend", spend)
    refused = ask(season, id)
    assert (refused.status_code, refused.json()["type"][-12:]) == (429, "budget-spent")
    assert len(charges(season)) == 14
    assert read(season, id).json() == {"state": "waiting"}


def test_a_list_withdrawn_meanwhile_is_not_counted(season: Season) -> None:
    id = bundle_of(season)
    ask(season, id)
    season.units.run("gone", lambda unit: contributions.change(unit, id, state="withdrawn"))
    gauge.draw(season.bench, id)
    assert exact(season, id) == {}
    assert read(season, id).status_code == 409

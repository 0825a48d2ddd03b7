"""A race moves when everything is there, and until then it is said of whom something is missing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from consortium.service import agree, choose, freeze, look, succeed
from consortium.service.errors import NotReady, WrongState
from consortium.store import campaigns, contributions, epochs, ledger, texts
from consortium.wiring import adopt_keys, epoch_keys, make_epoch_keys
from policies.authorise import Caller
from tests.fakes.season import EPOCH, NEXT, Season, kept_season, overlap, season
from tests.fakes.server import PARTNERS, RACE

__all__ = ["kept_season", "overlap", "season"]


def missing(season: Season, **more: Any) -> list[str]:
    with pytest.raises(NotReady) as refused:
        season.move(**more)
    assert season.race().epoch == EPOCH
    return str(refused.value).partition(": ")[2].split("; ")


def invite(season: Season) -> dict[str, Any]:
    return dict(json.loads(season.units.run("invite", lambda u: texts.get(u, "invite"))))


def test_what_is_missing_is_said_of_whom_step_by_step(season: Season) -> None:
    with pytest.raises(WrongState, match="not open"):
        season.move()
    assert season.open_bare()
    assert (invite(season)["epoch"], invite(season)["next_epoch"]) == (EPOCH, NEXT)
    lists = [f"{one} has not uploaded its list to it" for one in sorted(PARTNERS)]
    roll = "the steward has not enrolled the roll under its keys"
    quorum = "key is not in the log with quorum"
    every = [f"its {name} {quorum}" for name in ("match", "seal", "mailer", "pepper")]
    assert missing(season) == [*every, roll, *lists]
    season.ceremonies(NEXT)  # posted, and not published yet: nobody could check them
    assert missing(season) == [*every, roll, *lists]
    season.server.publish()
    assert missing(season) == [every[2], roll, *lists]
    season.announce(NEXT)
    season.server.publish()
    season.upload("union", NEXT)
    assert missing(season) == [roll, lists[0], "the list of union is not matched yet"]
    season.enrol(NEXT)
    season.upload("parks", NEXT)
    season.work()
    waiting = season.campaign()
    assert missing(season) == [f"campaign {waiting} is approved and not over"]
    season.mail(waiting)
    assert season.move()
    assert not season.move()  # again changes nothing
    assert season.race().epoch == NEXT


def test_a_key_that_not_every_present_custodian_signed_moves_nobody(overlap: Season) -> None:
    broken = dict(invite(overlap))
    broken["custodians"] = broken["custodians"][:2]
    overlap.units.run("put", lambda unit: texts.put(unit, "invite", json.dumps(broken)))
    said = "key is not one that all present custodians signed"
    assert missing(overlap) == [f"its match {said}", f"its seal {said}"]


def test_a_partner_that_does_not_upload_again_can_be_left_behind_by_name(season: Season) -> None:
    season.open()
    season.enrol(NEXT)
    season.upload("union", NEXT)
    season.work()
    assert missing(season) == ["parks has not uploaded its list to it"]
    assert season.move(without=["parks"])
    assert {row.partner for row in season.audience(season.campaign())} == {"union"}


@pytest.mark.parametrize("state", succeed.GOING)
def test_a_race_with_a_campaign_that_somebody_said_yes_to_does_not_move(
    overlap: Season, state: str
) -> None:
    one = overlap.campaign(state=state)
    assert missing(overlap) == [f"campaign {one} is approved and not over"]
    overlap.units.run("over", lambda unit: campaigns.change(unit, one, state="stopped"))
    assert overlap.move()


@pytest.mark.parametrize("state", ["draft", "submitted", "stopped", "closed"])
def test_a_campaign_that_nobody_said_yes_to_moves_along(overlap: Season, state: str) -> None:
    one = overlap.campaign(state=state)
    assert overlap.move()
    if state == "submitted":
        overlap.units.run("yes", lambda unit: campaigns.change(unit, one, state="approved"))
        freeze.freeze(overlap.bench, one)
        here = {bundle.id for bundle in overlap.bundles() if bundle.epoch == NEXT}
        assert {row.bundle for row in overlap.audience(one)} == here


def test_counts_cost_the_same_race_and_no_budget_comes_back(
    overlap: Season, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("policies.definition.MIN_REGISTERED", 1)
    caller = Caller("cora", "coordinator", None)
    question = {"places": {"zip": ["43601"]}}

    def ask() -> choose.Counted:
        return choose.count(
            overlap.units, caller, RACE, question, artefacts=overlap.artefacts, clock=overlap.clock
        )

    before = ask()
    spent = overlap.units.run("spent", lambda unit: ledger.charges(unit, RACE))
    assert before.fresh
    assert not ask().fresh
    overlap.move()
    overlap.end()
    after = ask()  # of other links: a new answer, paid like any
    charges = overlap.units.run("spent", lambda unit: ledger.charges(unit, RACE))
    assert after.fresh
    assert charges[: len(spent)] == spent
    assert len(charges) == len(spent) + 1
    assert after.looks_left == before.looks_left - 1


def test_a_third_epoch_opens_only_when_the_first_is_gone_and_no_name_comes_back(
    overlap: Season,
) -> None:
    with pytest.raises(WrongState, match=f"{EPOCH}, {NEXT}"):
        overlap.open_bare("2028-season")
    assert not overlap.open_bare(NEXT)  # again changes nothing
    overlap.move()
    overlap.end()
    assert (invite(overlap)["epoch"], invite(overlap).get("next_epoch")) == (NEXT, None)
    with pytest.raises(WrongState, match="has ended"):
        overlap.units.run("again", lambda unit: succeed.may_open(unit, EPOCH))
    for bad in ("", "UP", "a/b", "../x", "x" * 41):
        with pytest.raises(WrongState):
            overlap.units.run("bad", lambda unit, bad=bad: succeed.may_open(unit, bad))
    assert overlap.open_bare("2028-season")
    assert invite(overlap)["next_epoch"] == "2028-season"


def test_where_each_epoch_stands_is_said(overlap: Season) -> None:
    first, second = overlap.units.run(
        "standing", lambda unit: succeed.standing(unit, overlap.server.backend)
    )
    assert (first.id, first.races, first.missing) == (EPOCH, (RACE,), ())
    assert (second.id, second.races, second.lists) == (NEXT, (), tuple(sorted(PARTNERS)))
    assert set(second.keys) == {"match", "seal", "mailer", "pepper"}
    assert second.missing == ()
    overlap.move()
    overlap.end()
    first, second = overlap.units.run(
        "standing", lambda unit: succeed.standing(unit, overlap.server.backend)
    )
    assert (first.state, first.races, first.lists) == ("gone", (), ())
    assert second.races == (RACE,)


def test_a_partner_sees_which_of_its_lists_is_in_use(overlap: Season) -> None:
    caller = Caller("union", "partner", "union")

    def stands() -> dict[str, tuple[str, str]]:
        found = overlap.units.run("look", lambda unit: look.contribution_list(unit, caller))
        under = {one.id: one.epoch for one in overlap.bundles()}
        return {under[one.id]: (one.state, one.stands) for one in found}

    assert stands() == {EPOCH: ("matched", "now"), NEXT: ("matched", "next")}
    overlap.move()
    assert stands() == {EPOCH: ("matched", "past"), NEXT: ("matched", "now")}
    overlap.end()
    assert stands() == {EPOCH: ("ended", "past"), NEXT: ("matched", "now")}


def test_an_epoch_that_is_only_named_takes_no_upload(season: Season) -> None:
    season.open()
    live = season.units.run("open", epochs.open_now)
    assert live == [EPOCH, NEXT]
    season.dealt["2031-season"] = season.dealt[EPOCH]
    make_epoch_keys(season.home, "2031-season")
    assert season.offer("union", "2031-season")[1].status_code == 422
    assert {one.epoch for one in season.units.run("all", contributions.listed)} == {EPOCH}


def test_keys_of_an_installation_that_knew_one_epoch_move_and_stay_the_same(
    season: Season,
) -> None:
    keys = epoch_keys(season.home, EPOCH)
    folder = season.home / "epochs" / EPOCH
    for path in folder.iterdir():
        path.rename(season.home / path.name)
    folder.rmdir()
    (season.home / "tokens.key").rename(season.home / "kept")  # a crash after the first of them
    folder.mkdir()
    (season.home / "kept").rename(folder / "tokens.key")
    for _ in range(2):
        adopt_keys(season.home, EPOCH)
        assert epoch_keys(season.home, EPOCH) == keys
    assert not list(season.home.glob("*.key"))
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_the_agreement_opens_the_first_epoch_and_no_other(season: Season) -> None:
    season.units.run(
        "again", lambda unit: agree.open_race(unit, season.server.agreement, "2031-season")
    )
    assert season.units.run("open", epochs.open_now) == [EPOCH]
    assert season.race().epoch == EPOCH

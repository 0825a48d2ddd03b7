"""A tool believes the newest shares of a key only along the line of who held the ones before."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from consortium.cli import founding
from consortium.cli.api import Api
from consortium.cli.differences import differences
from consortium.cli.errors import CheckRefused, HomeRefused
from consortium.cli.home import Home, checked_invite
from consortium.custodians import CustodianDown, CustodianRefused, TooFewCustodians
from matching import group
from matching.crypto_errors import StatementRefused
from matching.statement import Statement
from tests.fakes.actors import private
from tests.fakes.api import CUSTODIANS, EPOCH, NOW, FakeWorld, hex_public
from tests.fakes.dealer import split
from tests.fakes.dealing import deal_again
from tests.unit.cli.conftest import Desk

KEYS = {one: private(one) for one in (*CUSTODIANS, "c4")}
STALE = CustodianRefused("c1", "wrong-version", "")


def api_of(desk: Desk) -> Api:
    home = Home(desk.home)
    return Api(home, transport=desk.world.transport(), clock=lambda: NOW, sleep=lambda _: None)


def dealt_again(world: FakeWorld, ids: tuple[str, ...] = CUSTODIANS) -> Statement:
    """Deal the matching key again and log it."""
    made = deal_again(world.match, world.shares, KEYS, ids=ids, threshold=2)
    return logged(world, made.statement)


def logged(world: FakeWorld, statement: Statement) -> Statement:
    first = world.keys["match"]
    world.keys["match"] = world.put(world._statement(statement))
    world.lines = {"match": [first, world.keys["match"]]}
    return statement


def test_the_newest_version_is_taken_and_an_older_one_is_not_taken_after_it(
    seat: Callable[[str], Desk],
) -> None:
    desk = seat("partner")
    first = dict(desk.world.keys)
    assert api_of(desk).key_statements().match.version == 1
    newest = dealt_again(desk.world)
    keys = api_of(desk).key_statements()
    assert keys.match == newest
    assert keys.match.public == desk.world.match.public
    assert api_of(desk).match_keys()[0] == newest
    desk.world.keys, desk.world.lines = first, {}
    with pytest.raises(CheckRefused, match="older than this home saw"):
        api_of(desk).key_statements()


def test_another_key_for_the_same_epoch_is_refused(seat: Callable[[str], Desk]) -> None:
    desk = seat("partner")
    api_of(desk).key_statements()
    other, _ = split(group.reduce(b"o" * 64), threshold=2, ids=CUSTODIANS, epoch=EPOCH)
    desk.world.keys["match"] = desk.world.put(desk.world._statement(other))
    with pytest.raises(CheckRefused, match="another than this home saw"):
        api_of(desk).key_statements()
    (desk.home / "keys.json").unlink()  # who sees it first has only the custodians' signatures
    assert api_of(desk).key_statements().match == other


def test_a_version_that_its_dealers_did_not_sign_is_refused(seat: Callable[[str], Desk]) -> None:
    desk = seat("partner")
    made = deal_again(desk.world.match, desk.world.shares, KEYS, ids=CUSTODIANS, threshold=2)
    logged(desk.world, replace(made.statement, previous="00" * 32))
    with pytest.raises(StatementRefused, match="does not follow"):
        api_of(desk).key_statements()
    desk.world.lines = {}  # the newest alone, without the line that leads to it
    with pytest.raises(StatementRefused, match="begin with its first version"):
        api_of(desk).key_statements()


def test_a_line_through_a_former_custodian_needs_the_invite_to_say_who_that_was(
    seat: Callable[[str], Desk],
) -> None:
    desk = seat("partner")
    newest = dealt_again(desk.world, ("c1", "c2", "c4"))
    with pytest.raises(StatementRefused, match="c4 is not in the registry"):
        api_of(desk).key_statements()
    invite = json.loads((desk.home / "invite.json").read_text())
    invite["custodians"][2] = {**invite["custodians"][2], "id": "c4", "public": hex_public("c4")}
    (desk.home / "invite.json").write_text(json.dumps(invite))
    with pytest.raises(StatementRefused, match="c3 is not in the registry"):
        api_of(desk).match_keys()
    invite["former"] = [{"id": "c3", "url": "http://c3.test", "public": hex_public("c3")}]
    (desk.home / "invite.json").write_text(json.dumps(invite))
    assert api_of(desk).match_keys()[0] == newest


@pytest.mark.parametrize("stale", [STALE, TooFewCustodians(2, {"c1": STALE})])
def test_after_a_resharing_the_newest_statement_is_fetched_once(
    seat: Callable[[str], Desk], stale: Exception
) -> None:
    tried: list[int] = []

    def work(version: int) -> None:
        tried.append(version)
        if version == 1:
            raise stale

    api = api_of(seat("partner"))
    api.newer_keys(1, work, lambda: 2)
    assert tried == [1, 2]
    with pytest.raises(type(stale)):
        api.newer_keys(1, work, lambda: 1)
    assert tried == [1, 2, 1, 1]


def test_any_other_no_is_not_asked_again(seat: Callable[[str], Desk]) -> None:
    api = api_of(seat("partner"))
    for problem in (
        CustodianRefused("c1", "quota-exceeded", ""),
        CustodianDown("c1", "is down"),
        TooFewCustodians(2, {"c1": CustodianDown("c1", "is down")}),
    ):

        def work(_: int, problem: Exception = problem) -> None:
            raise problem

        with pytest.raises(type(problem)):
            api.newer_keys(1, work, lambda: pytest.fail("fetched"))


def test_nobody_becomes_a_former_custodian_who_was_none(world: FakeWorld) -> None:
    before = checked_invite(world.invite())
    gone: Any = before["custodians"][2]
    after = {**before, "custodians": before["custodians"][:2], "former": [gone]}
    assert not [one for one in differences(before, after).grave if "former" in one]
    invented = {**gone, "id": "c9", "public": hex_public("c9")}
    other_key = {**gone, "public": hex_public("c9")}
    for one in (invented, other_key):
        grave = differences(before, {**after, "former": [one]}).grave
        assert [words for words in grave if f"former: {one['id']} was no custodian" in words]
    assert not differences(after, after).grave
    with pytest.raises(HomeRefused, match="as present and as former"):
        checked_invite({**before, "former": [gone]})
    with pytest.raises(HomeRefused, match="'former'"):
        checked_invite({**after, "former": [{"id": "c3"}]})


def test_a_new_invite_keeps_who_left(tmp_path: Path) -> None:
    def people(*ids: str) -> list[dict[str, Any]]:
        return [{"id": one, "role": "custodian"} for one in ids]

    assert founding._former(tmp_path, people("c1", "c2")) == []
    known = [{"id": one, "url": "", "public": ""} for one in ("c1", "c2", "c3")]
    (tmp_path / "invite.json").write_text(json.dumps({"custodians": known[:2]}))
    assert founding._former(tmp_path, people("c2", "c3")) == known[:1]
    (tmp_path / "invite.json").write_text(
        json.dumps({"custodians": known[1:], "former": known[:1]})
    )
    assert founding._former(tmp_path, people("c1", "c2")) == known[2:]

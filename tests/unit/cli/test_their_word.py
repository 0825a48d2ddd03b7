"""What a partner's staff hears of each custodian, and whose word it is."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from consortium.cli import their_word
from consortium.custodian.for_partners import for_partner
from consortium.custodian.standing import Account, Campaign
from consortium.custodians import CustodianAddress, CustodianDown
from tests.fakes.actors import private, public
from tests.fakes.api import EPOCH, NOW, PARTNER, FakeWorld
from tests.unit.cli.conftest import Desk


def test_each_custodian_says_what_this_partner_used_and_what_it_finds_odd(union: Desk) -> None:
    union.world.down = {"c3"}
    done = union.run("custodians")
    assert done.exit_code == 3
    assert "c1 answers; uploads at any time" in done.output
    used = "19 of 26 batches used; not enough for another full upload, changed rows still go"
    assert f"river-union, epoch {EPOCH}: {used}" in done.output
    assert "it finds this odd: river-union has used 1.9 times what its" in done.output
    assert f"holds a share of the match key of {EPOCH}, version 1; it takes 2 of 3" in done.output
    assert "has opened spring (open)" in done.output
    assert "custodian c3 does not answer" in done.output
    assert "ask it" not in done.output


def test_a_machine_gets_the_same_in_its_last_line(union: Desk) -> None:
    said = union.json("custodians")
    assert [one["custodian"] for one in said["custodians"]] == ["c1", "c2", "c3"]
    assert said["missing"] == []
    assert said["custodians"][0]["quotas"][0]["used"] == 19


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"splits": (12,)}, "it was shown a log that contradicts itself"),
        ({"forks": 1}, "it was shown a log that contradicts itself"),
        ({"restored": True}, "its books were put back from a copy"),
        ({"doubts": 2}, "its books were put back from a copy"),
        ({"entries": 0, "seen": None}, "it has not seen the log yet"),
        ({"seen": NOW - timedelta(days=2)}, "the newest log it has seen is of Wed 30 Sep 12:00"),
    ],
)
def test_what_every_partner_should_hear_of_a_custodian_is_said(
    union: Desk, change: dict[str, Any], words: str
) -> None:
    assert words not in union.run("custodians").output
    union.world.stands["c2"] = change
    assert f"ask it about this: {words}" in union.run("custodians").output


def test_nothing_of_another_partners_list_is_in_what_a_custodian_signs(world: FakeWorld) -> None:
    here = world.standing("c1")
    other = Account("valley-league", "partner", EPOCH, used=50, allowed=52, uploads=0, odd=("x",))
    changed = replace(
        here,
        accounts=(here.accounts[0], other),
        campaigns=(Campaign("spring", 1, 2, "open"),),
        locks=9,
        withdrawn=8,
        doubts=0,
    )
    assert changed.to_json() != here.to_json()  # the custodian's own status tells the two apart
    said = [for_partner(one, PARTNER, "n", NOW) for one in (here, changed)]
    assert said[0] == said[1]
    mine = replace(here, accounts=(replace(here.accounts[0], used=20),))
    assert for_partner(mine, PARTNER, "n", NOW) != said[0]


# -- whose word it is ------------------------------------------------------------------------------

C1 = CustodianAddress("c1", "http://c1.example", public("c1"))


def asked(transport: httpx.MockTransport, address: CustodianAddress = C1) -> their_word.Word:
    with httpx.Client(transport=transport) as client:
        return their_word.ask(
            address, by=PARTNER, sign=private(PARTNER).sign, clock=lambda: NOW, client=client
        )


def test_an_answer_under_another_key_or_to_an_older_question_is_nobodys_word(
    world: FakeWorld,
) -> None:
    real = world.transport()
    kept: list[httpx.Response] = []

    def replayed(request: httpx.Request) -> httpx.Response:
        kept.append(real.handle_request(request))
        return kept[0]

    old = httpx.MockTransport(replayed)
    assert asked(old).custodian == "c1"
    with pytest.raises(CustodianDown, match="answers another question than was asked"):
        asked(old)
    with pytest.raises(CustodianDown, match="does not answer under its own key"):
        asked(real, CustodianAddress("c1", C1.url, public("c2")))


def test_what_a_custodian_says_cannot_move_a_terminals_cursor(union: Desk) -> None:
    odd = Account(PARTNER, "partner", EPOCH, 1, 26, 1, odd=("is fine\x1b[2J\r\nc2 answers",))
    union.world.stands["c1"] = {"accounts": (odd,)}
    shown = union.run("custodians").output
    assert "river-union is fine?[2J??c2 answers" in shown
    assert "\x1b" not in shown

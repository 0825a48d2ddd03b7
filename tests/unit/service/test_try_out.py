"""A test goes to its author's proven address alone; seeds get a letter before anybody else."""

from __future__ import annotations

import email
import re
from dataclasses import replace
from email import policy

import pytest

from consortium.service import hear_back, try_out
from consortium.service.errors import NotReady, WrongState
from consortium.store import trials
from consortium.store.errors import Missing
from mailer import dkim, stops
from mailer.transports import Deferred, Failed
from policies.authorise import Caller
from policies.errors import Denied
from tests.fakes.post import Post
from tests.fakes.server import RACE
from tests.unit.service.test_pass_on import everything, master

CORA = Caller("cora", "coordinator", RACE)
UNION = Caller("union", "partner", "union")
OWN, SEED = "cora@home.example", "staff@union.example"


def named(post: Post, caller: Caller, address: str) -> None:
    sealed = address.encode()
    post.units.run("own", lambda unit: try_out.type_box(unit, caller, sealed, post.clock()))
    turn(post)


def turn(post: Post) -> None:
    made = replace(master(post), open_typed=lambda sealed: (try_out.OWN, sealed.decode()))
    try_out.turn(made)


def link(post: Post, to: str) -> str:
    raw = next(m for _, who, m in post.mta.taken if who == to).decode().replace("=\r\n", "")
    found = re.search(r"/own/([\w-]{22})", raw)
    assert found is not None
    return found[1]


def proven(post: Post, caller: Caller, address: str) -> None:
    named(post, caller, address)
    token = link(post, address)
    post.units.run("prove", lambda unit: try_out.prove_box(unit, token, yes=True))
    post.mta.taken.clear()


def order(post: Post, id: str, caller: Caller = CORA) -> str:
    return post.units.run("order", lambda unit: try_out.order(unit, caller, id, post.clock()))


def campaign(post: Post, id: str = "c1", **other: object) -> str:
    members = [(n, f"m{n}@example.net") for n in (1, 2, 3)]
    part = post.bundle("union", int(id[1:]), members)
    return post.campaign(id, part, **other)


def test_a_test_goes_to_the_authors_proven_address_alone_and_is_marked(post: Post) -> None:
    id = campaign(post)
    with pytest.raises(WrongState, match="no address of yours is proven"):
        order(post, id)
    named(post, CORA, OWN)
    assert post.mta.to == [OWN], "asked, whether it is theirs"
    with pytest.raises(WrongState, match="no address of yours is proven"):
        order(post, id)
    token = link(post, OWN)
    post.units.run("prove", lambda unit: try_out.prove_box(unit, token, yes=True))
    post.mta.taken.clear()
    order(post, id)
    turn(post)
    turn(post)
    assert post.mta.to == [OWN], "once, and nobody else"
    message = email.message_from_bytes(post.mta.taken[0][2], policy=policy.default)
    assert message["subject"] == "[Test] Saturday"
    assert "Ana" not in message.as_string()  # what real rows here are called
    assert post.letters(id) == []


def test_a_tests_links_stop_nothing_and_nobody(post: Post) -> None:
    id = campaign(post)
    proven(post, CORA, OWN)
    trial = order(post, id)
    turn(post)
    message = email.message_from_bytes(post.mta.taken[0][2], policy=policy.default)
    found = re.search(r"/u/([\w-]{22})", str(message["list-unsubscribe"]))
    assert found is not None
    with pytest.raises(Missing):
        post.units.run("stop", lambda u: hear_back.stop(u, found[1], "all", post.clock()))
    back = stops.parse_verp(post.office.keys.delivery, post.mta.taken[0][0]).hex()
    assert back == trial
    assert post.units.run("back", lambda unit: try_out.came_back(unit, back, "hard"))
    post.go(id)
    assert len(post.mta.to) == 4, "the campaign itself goes on as it would have"


def test_it_is_signed_as_every_letter_is(post: Post) -> None:
    id = campaign(post)
    proven(post, CORA, OWN)
    order(post, id)
    signer = dkim.Signer("union.example", "trellis", dkim.generate_key())
    try_out.turn(replace(master(post), signers={"union": signer}))
    message = email.message_from_bytes(post.mta.taken[0][2], policy=policy.default)
    assert "d=union.example" in str(message["dkim-signature"])


def test_an_address_is_nowhere_in_the_clear(post: Post) -> None:
    proven(post, CORA, OWN)
    order(post, campaign(post))
    turn(post)
    assert "cora@" not in everything(post)
    post.units.run("typed", lambda unit: try_out.type_box(unit, CORA, b"cora@x", post.clock()))
    assert "cora@" in everything(post), "control: were it not sealed, it would be seen here"


def test_both_are_limited_by_the_day(post: Post) -> None:
    id = campaign(post)
    proven(post, CORA, OWN)
    for n in range(2):
        named(post, CORA, f"other{n}@home.example")
    with pytest.raises(NotReady, match="try again tomorrow"):
        named(post, CORA, OWN)
    post.later(days=1, minutes=1)
    proven(post, CORA, OWN)
    for _ in range(try_out.MOST_TESTS):
        order(post, id)
    with pytest.raises(NotReady, match="try again tomorrow"):
        order(post, id)
    post.later(days=1, minutes=1)
    order(post, id)


def test_the_link_ends_after_three_days_and_a_no_deletes(post: Post) -> None:
    named(post, CORA, OWN)
    token = link(post, OWN)
    post.later(days=3)
    with pytest.raises(Missing):
        post.units.run("prove", lambda unit: try_out.prove_box(unit, token, yes=True))
    turn(post)
    assert post.units.read("own", lambda unit: trials.box(unit, "cora")) is None
    post.mta.taken.clear()
    named(post, CORA, OWN)
    token = link(post, OWN)
    post.units.run("no", lambda unit: try_out.prove_box(unit, token, yes=False))
    assert post.units.read("own", lambda unit: trials.box(unit, "cora")) is None


def test_only_its_author_orders_a_test_and_only_people_of_ours_name_an_address(post: Post) -> None:
    id = campaign(post)
    with pytest.raises(Denied):
        order(post, id, UNION)
    with pytest.raises(Missing):
        order(post, id, Caller("eve", "coordinator", RACE))
    with pytest.raises(Denied):
        named(post, Caller("op", "operator"), OWN)


def test_who_stopped_everything_is_not_even_asked(post: Post) -> None:
    post.go(campaign(post))
    letter = post.sent_to("m1@example.net")
    post.units.run("stop", lambda u: hear_back.suppress(u, letter, "protect", "stop", post.clock()))
    post.mta.taken.clear()
    named(post, CORA, "m1@example.net")
    assert post.mta.to == []
    assert post.units.read("own", lambda unit: trials.box(unit, "cora")) is None


def test_a_seed_refused_pauses_and_who_resumes_tests_again(post: Post) -> None:
    proven(post, UNION, SEED)
    id = campaign(post)
    for refusal in (Failed(550, "spam", "dot", "5.7.1"), Deferred(451, "later", "dot", "4.7.1")):
        post.mta.answers[SEED] = [refusal]
        post.go(id)
        turn(post)
        post.go(id)
        assert (post.mta.to, post.state(id).state) == ([], "paused")
        assert f"{refusal.code} {refusal.enhanced}" in post.state(id).waiting_for
        post.change(id, state="logged", before_pause=None)
    post.go(id)
    turn(post)
    assert post.mta.to == [SEED]
    post.later(minutes=11)
    post.go(id)
    assert sorted(post.mta.to[1:]) == [f"m{n}@example.net" for n in (1, 2, 3)]


def test_a_mail_server_that_is_away_is_not_held_against_a_seed(post: Post) -> None:
    proven(post, UNION, SEED)
    id = campaign(post)
    post.mta.answers[SEED] = [Deferred(0, "no route", "connect")]
    post.go(id)
    turn(post)
    post.go(id)
    assert post.state(id).state == "logged"
    turn(post)
    assert post.mta.to == [SEED]


def test_a_mailer_killed_at_a_seed_sends_none_again_by_itself(post: Post) -> None:
    class Killed(BaseException):
        """As SIGKILL."""

    def die(recipient: str) -> None:
        raise Killed

    proven(post, UNION, SEED)
    id = campaign(post)
    post.go(id)
    post.mta.before.append(die)
    with pytest.raises(Killed):
        turn(post)
    post.mta.before.clear()
    turn(post)
    post.go(id)
    assert (post.mta.to, post.state(id).state) == ([], "logged")
    post.later(minutes=6)
    post.go(id)
    assert post.state(id).state == "paused"


def test_a_seed_that_comes_back_late_holds_a_campaign_that_has_begun(post: Post) -> None:
    proven(post, UNION, SEED)
    id = campaign(post)
    post.go(id)
    turn(post)
    back = stops.parse_verp(post.office.keys.delivery, post.mta.taken[0][0]).hex()
    post.change(id, state="sending")
    post.units.run("auto", lambda unit: try_out.came_back(unit, back, "auto_reply"))
    assert post.state(id).state == "sending"
    post.units.run("back", lambda unit: try_out.came_back(unit, back, "hard"))
    assert (post.state(id).state, post.state(id).before_pause) == ("paused", "sending")
    assert not post.units.run("x", lambda unit: try_out.came_back(unit, "0" * 32, "hard"))


def test_a_stop_between_look_and_seed_test_stays_a_stop(post: Post) -> None:
    proven(post, UNION, SEED)
    id = campaign(post)
    before = post.state(id)
    post.change(id, state="stopped", waiting_for="")
    assert post.units.run("hold", lambda u: try_out.seeds_hold(u, before, post.clock()))
    assert (post.state(id).state, post.state(id).waiting_for) == ("stopped", "")
    turn(post)
    assert post.mta.to == []

"""Who gets a letter, once: plans, claims, outcomes, recovery; each against a real store."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import delete

from consortium import wiring
from consortium.custodians import CustodianLied, TooFewCustodians
from consortium.service import decide, hand_over, hear_back, lanes, lend, release, send
from consortium.store import (
    begun,
    campaigns,
    contributions,
    deliveries,
    log,
    messengers,
    suppressions,
)
from consortium.store.errors import LeaseLost
from consortium.store.messengers import Messenger
from consortium.store.tables import SentDayRow
from mailer import pace, stops
from mailer.errors import LetterRefused
from mailer.transports import Deferred, Failed, InDoubt
from policies import agreement
from provenance import entry
from tests.fakes import server as fake_server
from tests.fakes.post import Mta, Post, refused
from tests.fakes.server import RACE

NO_SUCH = Failed(550, "no such user", "rcpt", "5.1.1")


def crowd(count: int, start: int = 1, name: str = "m") -> list[tuple[int, str]]:
    return [(n, f"{name}{n}@example.net") for n in range(start, start + count)]


def token_of(post: Post, address: str) -> str:
    """The secret in the links of the letter that an address got."""
    letter = post.sent_to(address)
    return stops.capability(post.office.keys.delivery, bytes.fromhex(letter.id)).token


def stop(post: Post, address: str, scope: str = "race") -> None:
    token = token_of(post, address)
    post.units.run("stop", lambda unit: hear_back.stop(unit, token, scope, post.clock()))


def decided(post: Post, letter: str, *, sent: bool) -> None:
    """A person settles one letter."""
    pen = wiring.pen("operator", b"o" * 32)
    post.units.run(
        "decide",
        lambda unit: decide.decide(unit, pen, [letter], sent=sent, by="Cora", looked="mailbox"),
    )


# Who


def test_everybody_gets_one_letter_and_a_second_turn_sends_none(post: Post) -> None:
    id = post.campaign("c1", post.bundle("union", 1, crowd(60)))
    post.go(id)
    post.go(id)
    assert sorted(post.mta.to) == sorted(address for _, address in crowd(60))
    assert post.states(id) == {"sent": 60}
    assert all(one.stop_key and one.queue_id for one in post.letters(id))


def test_somebody_on_two_lists_gets_one_letter_always_from_the_same_list(post: Post) -> None:
    union = post.bundle("union", 1, crowd(30))
    parks = post.bundle("parks", 2, crowd(30, name="other"))
    ids = [post.campaign("c1", union, parks)]
    post.go(ids[0])
    first = {one.person: one.partner for one in post.letters(ids[0])}
    assert len(post.mta.to) == len(first) == 30
    assert set(first.values()) == {"union", "parks"}
    post.later(days=7)
    window = {"opens": "2026-11-21T00:00:00Z", "closes": "2026-12-01T00:00:00Z"}
    ids.append(post.campaign("c2", union, parks, template={"window": window}))
    post.clock.now = post.clock.now.replace(hour=16)
    post.go(ids[1])
    assert {one.person: one.partner for one in post.letters(ids[1])} == first
    assert post.states(ids[1]) == {"sent": 30}


def test_one_address_of_two_people_gets_one_letter(post: Post) -> None:
    id = post.campaign(
        "c1", post.bundle("union", 1, [(1, "ours@example.net"), (2, "ours@example.net")])
    )
    post.go(id)
    assert post.mta.to == ["ours@example.net"]


def test_two_spellings_of_one_mailbox_get_one_letter(post: Post) -> None:
    members = [(1, "ana.reyes@gmail.com"), (2, "anareyes+news@gmail.com")]
    id = post.campaign("c1", post.bundle("union", 1, members))
    post.go(id)
    assert len(post.mta.to) == 1
    assert post.states(id) == {"sent": 1, "dropped": 1}


def test_under_once_address_somebody_with_two_addresses_may_get_two(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = fake_server.document().replace(b'"once":"person"', b'"once":"address"')
    terms = agreement.parse(document)
    monkeypatch.setattr(send.agree, "signed_terms", lambda *_: terms)
    id = post.campaign(
        "c1",
        post.bundle("union", 1, [(1, "ana@example.net")]),
        post.bundle("parks", 2, [(1, "ana@work.example")]),
    )
    post.go(id)
    assert sorted(post.mta.to) == ["ana@example.net", "ana@work.example"]


def test_who_was_written_to_this_week_is_left_alone(post: Post) -> None:
    union = post.bundle("union", 1, crowd(20))
    post.go(post.campaign("c1", union))
    more = post.bundle("parks", 2, crowd(25))
    post.go(post.campaign("c2", more))
    assert max(Counter(post.mta.to).values()) == 1
    assert sorted(one.person for one in post.letters("c2")) == [21, 22, 23, 24, 25]


@pytest.mark.parametrize("scope", ["race", "all", "protect"])
def test_a_stop_holds_on_every_list_and_at_every_address_of_the_person(
    post: Post, scope: str
) -> None:
    union = post.bundle("union", 1, crowd(100))
    post.go(post.campaign("c1", union))
    stop(post, "m1@example.net", scope)
    stop(post, "m1@example.net", scope)
    post.later(days=7)
    parks = post.bundle("parks", 2, [(1, "m1@elsewhere.example"), (500, "m1@example.net")])
    late = {"opens": "2026-11-21T00:00:00Z", "closes": "2026-12-01T00:00:00Z"}
    before = len(post.mta.to)
    post.go(post.campaign("c2", union, parks, template={"window": late}))
    assert not {"m1@example.net", "m1@elsewhere.example"} & set(post.mta.to[before:])
    assert len(post.mta.to) - before == 99
    assert len(post.units.run("n", lambda unit: suppressions.stops_by_partner(unit, "oh-house-44")))


def test_a_stop_of_one_sender_leaves_the_other_lists(post: Post) -> None:
    union = post.bundle("union", 1, [(1, "ana@example.net"), *crowd(99, start=2)])
    post.go(post.campaign("c1", union))
    stop(post, "ana@example.net", "partner")
    post.later(days=7)
    late = {"opens": "2026-11-21T00:00:00Z", "closes": "2026-12-01T00:00:00Z"}
    parks = post.bundle("parks", 2, [(1, "ana@example.net")])
    post.go(post.campaign("c2", union, parks, template={"window": late}))
    [one] = [letter for letter in post.letters("c2") if letter.person == 1]
    assert one.partner == "parks"


# One bad letter


def test_a_row_that_does_not_open_fails_alone_after_proofs_were_asked_for(post: Post) -> None:
    members = [*crowd(10), (99, "torn@example.net")]
    id = post.campaign("c1", post.bundle("union", 1, members))
    post.go(id)
    assert post.states(id) == {"sent": 10, "dropped": 1}
    assert post.custodians.proofs == 1


def test_a_custodian_that_lies_is_named_and_nobody_is_dropped(post: Post) -> None:
    id = post.campaign("c1", post.bundle("union", 1, crowd(10)))
    post.custodians.lies = True
    with pytest.raises(CustodianLied, match="c2"):
        post.go(id)
    assert post.states(id) == {"pending": 10}
    post.custodians.lies = False
    post.go(id)
    assert post.states(id) == {"sent": 10}


def test_too_few_custodians_open_nothing_and_it_is_tried_again(post: Post) -> None:
    id = post.campaign("c1", post.bundle("union", 1, crowd(10)))
    post.custodians.broken = TooFewCustodians(2, {})
    with pytest.raises(TooFewCustodians):
        post.go(id)
    assert post.states(id) == {"pending": 10}
    post.custodians.broken = None
    post.go(id)
    assert post.states(id) == {"sent": 10}


@pytest.mark.parametrize("error", [refused(), LetterRefused("subject", "has a line end")])
def test_a_letter_that_cannot_be_written_fails_alone(post: Post, error: Exception) -> None:
    id = post.campaign("c1", post.bundle("union", 1, crowd(10)))
    post.mta.answers["m3@example.net"] = [error]
    post.go(id)
    assert post.states(id) == {"sent": 9, "failed": 1}
    assert "@" not in "".join(str(one.outcome) for one in post.letters(id))


def test_an_address_that_is_none_fails_alone(post: Post) -> None:
    id = post.campaign("c1", post.bundle("union", 1, [*crowd(3), (9, "no address")]))
    post.go(id)
    assert post.states(id) == {"sent": 3, "dropped": 1}


# What the server says


def test_a_dead_address_is_silenced_everywhere_and_the_next_copy_goes(post: Post) -> None:
    union = post.bundle("union", 1, [(1, "ana@example.net"), *crowd(20, start=2)])
    parks = post.bundle("parks", 2, [(1, "ana@work.example")])
    id = post.campaign("c1", union, parks)
    for address in ("ana@example.net", "ana@work.example"):
        post.mta.answers[address] = [NO_SUCH]
        break
    post.mta.answers["ana@work.example"] = [NO_SUCH]
    post.go(id)
    mine = [one for one in post.letters(id) if one.person == 1]
    assert sorted(one.state for one in mine) == ["failed", "failed"]
    assert {one.partner for one in mine} == {"union", "parks"}
    assert not {"ana@example.net", "ana@work.example"} & set(post.mta.to)


def test_a_dead_first_copy_lets_the_second_go_and_a_doubt_does_not(post: Post) -> None:
    both = [[(n, f"{name}{n}@example.net") for n in range(1, 21)] for name in ("a", "b")]
    union, parks = post.bundle("union", 1, both[0]), post.bundle("parks", 2, both[1])
    id = post.campaign("c1", union, parks)
    for n in range(1, 21):
        answer = NO_SUCH if n % 2 else InDoubt("the connection ended")
        post.mta.answers[f"a{n}@example.net"] = [answer]
    for _ in range(3):
        post.go(id)
        post.change(id, state="sending")  # so many dead addresses pause it; somebody resumes
    people = Counter(one.person for one in post.letters(id))
    first = {one.person: one.partner for one in post.letters(id) if one.state != "sent"}
    for n in range(1, 21):
        if first.get(n) == "union" and n % 2:
            assert people[n] == 2
            assert f"b{n}@example.net" in post.mta.to
        elif first.get(n) == "union":
            assert people[n] == 1
            assert f"b{n}@example.net" not in post.mta.to
    assert "union" in first.values()


@pytest.mark.parametrize(
    "outcome",
    [
        Failed(550, "refused", "rcpt"),
        Failed(550, "policy", "rcpt", "5.7.1"),
        Failed(550, "your own address", "rcpt", "5.1.8"),
    ],
)
def test_other_refusals_fail_that_letter_and_silence_nobody(post: Post, outcome: Failed) -> None:
    id = post.campaign("c1", post.bundle("union", 1, crowd(5)))
    post.mta.answers["m2@example.net"] = [outcome]
    post.go(id)
    assert post.states(id) == {"sent": 4, "failed": 1}
    assert post.units.run("n", lambda unit: suppressions.suppressions(unit, id, "hard")) == 0


def test_a_deferred_letter_waits_ever_longer_and_then_goes(post: Post) -> None:
    id = post.campaign("c1", post.bundle("union", 1, crowd(5)))
    busy = Deferred(450, "busy", "rcpt", "4.2.1")
    post.mta.answers["m2@example.net"] = [busy, busy]
    post.go(id)
    assert post.states(id) == {"sent": 4, "deferred": 1}
    [one] = [letter for letter in post.letters(id) if letter.state == "deferred"]
    assert one.stop_key is None
    post.later(minutes=4)
    post.go(id)
    assert post.states(id)["deferred"] == 1
    post.later(minutes=2)
    post.go(id)
    post.later(minutes=6)
    post.go(id)
    assert post.states(id) == {"sent": 4, "deferred": 1}
    post.later(minutes=10)
    post.go(id)
    assert post.states(id) == {"sent": 5}


def test_a_new_sending_domain_sends_its_days_letters_over_all_campaigns_and_more_tomorrow(
    post: Post,
) -> None:
    other = [(n, f"p{n}@example.net") for n in range(101, 111)]
    parts = [post.bundle("union", 1, crowd(60)), post.bundle("parks", 2, other)]
    first = post.campaign("c1", *parts)
    new = post.new_office("new", first_day=20)
    post.go(first, new)
    assert post.states(first) == {"sent": 30, "pending": 40}
    assert sum(to.startswith("p") for to in post.mta.to) == 10, "each domain has its own"
    assert "union.example are new to receivers" in post.state(first).waiting_for
    assert post.state(first).state == "sending"
    heir = post.new_office("heir", first_day=20, dead=frozenset({"new"}))
    post.go(first, heir)
    assert len(post.mta.to) == 30, "the day's letters are kept, whoever sends"
    second = post.campaign("c2", post.bundle("union", 3, crowd(5, start=201, name="x")))
    post.go(second, heir)
    assert len(post.mta.to) == 30
    post.later(days=1)
    post.go(first, heir)
    assert post.states(first) == {"sent": 70}
    post.go(second, heir)
    assert len(post.mta.to) == 70
    post.later(days=1)
    post.go(second, heir)
    assert post.states(second) == {"sent": 5}


def test_a_mail_server_that_takes_nothing_uses_up_no_day(post: Post) -> None:
    id = post.campaign("c1", post.bundle("union", 1, crowd(10)))
    office = post.new_office("new", first_day=4)
    for _, address in crowd(10):
        post.mta.answers[address] = [Deferred(0, "no connection", "connect")] * 2
    for _ in range(4):
        post.go(id, office)
        post.later(seconds=3)
    post.mta.answers.clear()
    post.go(id, office)
    assert post.states(id) == {"sent": 4, "pending": 6}


SLOW_DOWN = Deferred(421, "too many from you", "rcpt", "4.7.28")


def test_a_domain_that_asks_for_fewer_rests_alone_and_no_row_tells_which_it_is(post: Post) -> None:
    quick = [(n, f"m{n}@quick.example") for n in range(1, 41)]
    slow = [(n, f"m{n}@slow.example") for n in range(41, 81)]
    id = post.campaign("c1", post.bundle("union", 1, quick + slow))
    for _, address in slow:
        post.mta.answers[address] = [SLOW_DOWN]
    for _ in range(3):
        post.go(id)
    assert sorted(post.mta.to) == sorted(address for _, address in quick)
    asked = [n for n in post.mta.answers.values() if not n]
    assert len(asked) == 1, "one answer was enough"
    states = post.states(id)
    assert states == {"sent": 40, "deferred": 1, "pending": 39}
    assert max(one.attempt for one in post.letters(id) if one.state == "pending") == 0
    # Those that wait share nothing in the outbox that the sent ones do not.
    said = {one.outcome for one in post.letters(id) if one.state == "pending"}
    assert said <= {None, send.HELD}
    assert post.state(id).waiting_for == lanes.SLOWED
    with closing(post.units.engine.raw_connection()) as raw:
        assert "slow.example" not in "\n".join(raw.iterdump())  # type: ignore[attr-defined]
    assert "slow.example" not in repr(post.office)
    for planned in post.mta.answers.values():
        planned.clear()
    post.later(seconds=61)
    post.go(id)
    assert len(post.mta.to) == 79
    assert post.state(id).state == "sending"
    post.later(minutes=5)
    post.go(id)
    assert post.states(id) == {"sent": 80}


def test_a_full_mailbox_slows_nobody_else_of_its_domain(post: Post) -> None:
    members = [(n, f"m{n}@slow.example") for n in range(1, 31)]
    id = post.campaign("c1", post.bundle("union", 1, members))
    post.mta.answers["m7@slow.example"] = [Deferred(452, "mailbox full", "rcpt", "4.2.2")]
    post.go(id)
    assert post.states(id) == {"sent": 29, "deferred": 1}


def test_letters_to_one_domain_keep_their_distance_and_others_go_between(post: Post) -> None:
    slow = [(n, f"m{n}@slow.example") for n in range(1, 6)]
    quick = [(n, f"m{n}@d{n}.example") for n in range(6, 16)]
    id = post.campaign("c1", post.bundle("union", 1, slow + quick))
    office = post.new_office("paced", lanes=pace.Lanes(4.0), sleep=lambda s: post.later(seconds=s))
    began = post.clock()
    at: dict[str, float] = {}
    post.mta.before.append(lambda to: at.update({to: (post.clock() - began).total_seconds()}))
    post.go(id, office)
    assert post.states(id) == {"sent": 15}
    times = sorted(at[address] for _, address in slow)
    assert all(later - sooner >= 0.249 for sooner, later in pairwise(times))
    assert max(at[address] for _, address in quick) < 0.25, "nobody waits for another domain"


def test_a_letter_in_which_the_line_broke_goes_again_at_once_but_only_once(post: Post) -> None:
    id = post.campaign("c1", post.bundle("union", 1, crowd(5)))
    broke = Deferred(0, "the line broke", "body")
    post.mta.answers["m2@example.net"] = [broke]
    post.mta.answers["m3@example.net"] = [broke, broke]
    post.go(id)
    assert post.states(id) == {"sent": 4, "deferred": 1}
    post.later(minutes=16)
    post.go(id)
    assert post.states(id) == {"sent": 5}
    assert len(post.mta.to) == len(set(post.mta.to)) == 5


def test_a_letter_deferred_to_the_end_fails_and_is_not_tried_for_ever(post: Post) -> None:
    id = post.campaign("c1", post.bundle("union", 1, crowd(1)))
    post.mta.answers["m1@example.net"] = [Deferred(450, "busy", "rcpt")] * 20
    for _ in range(40):
        post.go(id)
        post.clock.now += timedelta(hours=3)
        if not 14 <= post.clock.now.hour <= 23:
            post.clock.now = post.clock.now.replace(hour=14) + timedelta(days=1)
        if post.state(id).state == "closed":
            break
    assert post.states(id) in ({"failed": 1}, {"dropped": 1})
    assert len(post.mta.answers["m1@example.net"]) >= 14


@pytest.mark.parametrize(
    ("serves", "refusal"),
    [
        ("nobody", Deferred(0, "no connection", "connect")),
        ("nobody", Deferred(0, "no answer", "mail")),
        ("nobody", Failed(554, "not you", "connect", "5.7.1")),
        ("nobody", Deferred(452, "insufficient system storage", "mail", "4.3.1")),
        ("nobody", Deferred(421, "going down", "mail", "4.3.2")),
        ("nobody", Deferred(451, "server configuration error", "mail", "4.3.5")),
        ("nobody", Deferred(452, "no room", "mail")),
        ("nobody", Deferred(421, "going down", "mail")),
        ("others", Deferred(451, "not you", "mail")),
        ("others", Deferred(421, "too many from you", "mail", "4.7.0")),
        ("others", Failed(552, "too long", "mail", "5.3.4")),
        ("others", Deferred(452, "mailbox full", "rcpt", "4.2.2")),
        ("others", Deferred(452, "no room for this one", "dot", "4.3.1")),
        ("others", InDoubt("no answer")),
    ],
)
def test_only_what_would_be_the_same_for_every_letter_is_about_the_server(
    serves: str, refusal: Any
) -> None:
    assert hand_over.about_the_server(refusal) is (serves == "nobody")


@pytest.mark.parametrize(
    ("code", "stage", "enhanced"), [(0, "connect", ""), (0, "mail", ""), (452, "mail", "4.3.1")]
)
def test_a_server_that_serves_nobody_uses_up_no_tries(
    post: Post, code: int, stage: Any, enhanced: str
) -> None:
    id = post.campaign("c1", post.bundle("union", 1, crowd(60)))
    for _, address in crowd(60):
        post.mta.answers[address] = [Deferred(code, "not now", stage, enhanced)] * 30
    for _ in range(8):
        post.go(id)
        post.later(seconds=3)
    assert post.states(id) == {"pending": 60}
    assert {one.attempt for one in post.letters(id)} == {0}
    assert "mail server" in post.state(id).waiting_for
    post.mta.answers.clear()
    post.go(id)
    assert post.states(id) == {"sent": 60}
    assert post.state(id).waiting_for == ""


def test_a_letter_is_handed_over_with_the_instant_before_its_last_look(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, handed = [], []
    look, kept = send.last_look, post.mta.send

    def last_look(run: Any, item: Any) -> str:
        looks.append(time.monotonic())
        return look(run, item)

    def hand(sender: str, recipient: str, message: bytes, **asked: Any) -> Any:
        handed.append((asked["looked"], looks[-1]))
        return kept(sender, recipient, message, **asked)

    monkeypatch.setattr(send, "last_look", last_look)
    post.mta.send = hand  # type: ignore[method-assign]
    post.go(post.campaign("c1", post.bundle("union", 1, crowd(8))))
    assert len(handed) == 8
    assert all(looked <= began for looked, began in handed), "it stood still after it, not before"
    assert all(looked > before for (looked, _), (_, before) in pairwise(reversed(handed)))


@pytest.mark.parametrize("kind", [Deferred, Failed])
def test_a_refused_sender_rests_alone_and_ever_longer_while_the_others_go_on(
    post: Post, kind: Any
) -> None:
    other = [(n, f"p{n}@example.net") for n in range(101, 131)]
    id = post.campaign("c1", post.bundle("union", 1, crowd(60)), post.bundle("parks", 2, other))
    for _, address in crowd(60):
        post.mta.answers[address] = [kind(550 if kind is Failed else 451, "not you", "mail")] * 30
    tries = []
    kept = post.mta.send

    def count(sender: str, recipient: str, message: bytes, **asked: Any) -> Any:
        if recipient.startswith("m"):
            tries.append(post.clock())
        return kept(sender, recipient, message, **asked)

    post.mta.send = count  # type: ignore[method-assign]
    for _ in range(40):
        post.go(id)
        post.later(minutes=1)
    assert sorted(post.mta.to) == sorted(address for _, address in other)
    gaps = [(b - a).total_seconds() / 60 for a, b in pairwise(tries)]
    assert gaps == [5, 15], "one letter asks for all, and waits longer each time"
    assert {one.attempt for one in post.letters(id) if one.state == "pending"} == {0}
    assert "union.example" in post.state(id).waiting_for
    post.mta.answers.clear()
    post.later(minutes=60)
    post.go(id)
    assert post.states(id) == {"sent": 90}
    assert post.state(id).waiting_for == ""


def test_a_list_of_dead_addresses_pauses_its_campaign(post: Post) -> None:
    id = post.campaign("c1", post.bundle("union", 1, crowd(120)))
    for _, address in crowd(120)[::2]:
        post.mta.answers[address] = [NO_SUCH]
    post.go(id)
    one = post.state(id)
    assert (one.state, one.before_pause) == ("paused", "sending")
    assert "addresses" in one.waiting_for
    assert post.states(id)["pending"] == 70


# In the middle of a batch


def test_a_pause_in_mid_batch_holds_the_rest_and_costs_no_try(post: Post) -> None:
    id = post.campaign("c1", post.bundle("union", 1, crowd(20)))
    post.mta.before.append(lambda _: len(post.mta.taken) == 4 and post.change(id, state="paused"))
    post.go(id)
    assert post.states(id) == {"sent": 5, "pending": 15}
    assert {one.attempt for one in post.letters(id) if one.state == "pending"} == {0}
    post.mta.before.clear()
    post.change(id, state="sending")
    post.go(id)
    assert post.states(id) == {"sent": 20}


def test_a_stopped_campaign_sends_nothing_more_and_its_totals_are_asked_for(post: Post) -> None:
    id = post.campaign("c1", post.bundle("union", 1, crowd(20)))
    post.mta.before.append(lambda _: len(post.mta.taken) == 4 and post.change(id, state="stopped"))
    post.go(id)
    assert id in send.due(post.office)
    post.go(id)
    assert post.states(id) == {"sent": 5, "dropped": 15}
    assert post.custodians.closed == [id]
    assert id not in send.due(post.office)


def test_a_stop_between_claim_and_dot_is_heeded_and_answered(post: Post) -> None:
    union = post.bundle("union", 1, crowd(100))
    post.go(post.campaign("c1", union))
    token = token_of(post, "m7@example.net")
    post.later(days=7)
    late = {"opens": "2026-11-21T00:00:00Z", "closes": "2026-12-01T00:00:00Z"}
    id = post.campaign("c2", union, template={"window": late})
    before = len(post.mta.to)
    naps: list[float] = []

    def act(recipient: str) -> None:
        if len(post.mta.to) == before and recipient != "m7@example.net":
            hear_back.stop_and_wait(post.units, token, "race", post.clock(), sleep=naps.append)
            post.mta.before.clear()

    # m7's letter may be claimed in the same batch; the POST waits for it, but only so long.
    hear_back.PATIENCE, kept = 0.05, hear_back.PATIENCE
    try:
        post.mta.before.append(act)
        post.go(id)
    finally:
        hear_back.PATIENCE = kept
    second = post.mta.to[before:]
    assert "m7@example.net" not in second[1:]
    assert len(second) in (99, 100)


def test_a_withdrawn_bundle_stops_in_mid_batch(post: Post) -> None:
    union = post.bundle("union", 1, crowd(20))
    id = post.campaign("c1", union)

    def withdraw(_: str) -> None:
        if len(post.mta.taken) == 4:
            post.units.run(
                "w",
                lambda unit: contributions.change(
                    unit, union.bundle, state="withdrawn", wrapped=None
                ),
            )

    post.mta.before.append(withdraw)
    post.go(id)
    assert post.states(id) == {"sent": 5, "dropped": 15}
    assert {one.outcome for one in post.letters(id) if one.state == "dropped"} == {"withdrawn"}


def test_the_window_closes_in_mid_batch(post: Post) -> None:
    window = {"opens": "2026-11-21T16:00:00Z", "closes": "2026-11-21T17:00:00Z"}
    id = post.campaign("c1", post.bundle("union", 1, crowd(20)), template={"window": window})
    post.mta.before.append(lambda _: len(post.mta.taken) == 4 and post.later(seconds=3590))
    post.mta.before.append(lambda _: len(post.mta.taken) == 5 and post.later(seconds=20))
    with pytest.raises(LeaseLost):
        post.go(id)  # an hour passed in one letter: the lease is gone too
    assert len(post.mta.taken) == 5
    post.later(hours=1)
    for _ in range(2):
        post.go(id)
        post.later(minutes=1)
    post.go(id)
    assert post.state(id).state == "closed"
    assert post.states(id) == {"sent": 5, "dropped": 15}


def test_quiet_hours_hold_letters_and_say_so(post: Post) -> None:
    id = post.campaign("c1", post.bundle("union", 1, crowd(5)))
    post.clock.now = post.clock.now.replace(hour=23) + timedelta(hours=4)  # 22:00 there
    post.go(id)
    assert post.mta.to == []
    assert "quiet" in post.state(id).waiting_for


# Death and recovery


class Killed(BaseException):
    """As SIGKILL: nothing after it runs in this worker."""


def killed_at(post: Post, id: str, letter: int, *, taken: bool) -> None:
    """Let the first worker die around the final dot of one letter."""

    def die(_: str) -> None:
        if len(post.mta.taken) == letter:
            raise Killed

    class Dying(Mta):
        def send(self, sender: str, recipient: str, message: bytes, **asked: Any) -> Any:
            if not taken:
                die(recipient)
            outcome = post.mta.send(sender, recipient, message, **asked)
            if taken:
                die(recipient)
            return outcome

    post.office.transport = lambda: Dying(post.log)
    with pytest.raises(Killed):
        post.go(id)


@pytest.mark.parametrize("taken", [False, True])
def test_after_a_death_a_complete_log_settles_every_letter(post: Post, taken: bool) -> None:
    id = post.campaign("c1", post.bundle("union", 1, crowd(20)))
    killed_at(post, id, 5, taken=taken)
    assert post.states(id)["claimed"] >= 15
    heir = post.new_office("heir", dead=frozenset({"first"}))
    post.go(id, heir)
    assert post.states(id)["claimed"] >= 15, "the dead worker's session may still be open"
    post.later(seconds=31)
    post.go(id, heir)
    assert post.states(id) == {"sent": 20}
    assert max(Counter(post.mta.to).values()) == 1


@pytest.mark.parametrize(
    ("within", "log", "writes"), [(1e9, True, 1), (-1.0, True, 20), (1e9, False, 20)]
)
def test_letters_that_were_taken_are_written_together_only_where_a_log_can_tell_of_them(
    post: Post, monkeypatch: pytest.MonkeyPatch, within: float, log: bool, writes: int
) -> None:
    monkeypatch.setattr(hand_over, "TOLD_WITHIN", within)
    post.office.doubts = post.log if log else None
    id = post.campaign("c1", post.bundle("union", 1, crowd(20)))
    post.go(id)
    assert post.states(id) == {"sent": 20}
    assert post.units.runs["settle"] == writes


def test_a_letter_kept_waiting_keeps_no_earlier_one_unwritten(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hand_over, "TOLD_WITHIN", 1e9)
    id = post.campaign("c1", post.bundle("union", 1, crowd(6)))
    seen: list[dict[str, int]] = []

    class Slow(Mta):
        def send(self, sender: str, recipient: str, message: bytes, **asked: Any) -> Any:
            before = post.states(id)
            assert asked["still"]()
            seen.append({**before, "after": post.states(id).get("sent", 0)})
            return super().send(sender, recipient, message, **asked)

    post.office.transport = lambda: Slow(post.log)
    post.go(id)
    assert [one["after"] for one in seen] == [0, 1, 2, 3, 4, 5]
    assert [one.get("sent", 0) for one in seen] == [0, 0, 1, 2, 3, 4]


def test_a_fault_in_mid_batch_loses_no_word_of_letters_that_were_taken(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hand_over, "TOLD_WITHIN", 1e9)
    id = post.campaign("c1", post.bundle("union", 1, crowd(10)))
    look, looks = send.last_look, iter(range(10))

    def fails(run: Any, item: Any) -> str:
        if next(looks) == 4:
            raise RuntimeError
        return str(look(run, item))

    monkeypatch.setattr(send, "last_look", fails)
    with pytest.raises(RuntimeError):
        post.go(id)
    assert post.states(id) == {"sent": 4, "claimed": 6}


def test_after_a_death_without_a_log_everything_in_flight_is_listed_for_a_person(
    post: Post,
) -> None:
    post.office.doubts = None  # so each outcome is written before the next letter begins
    id = post.campaign("c1", post.bundle("union", 1, crowd(20)))
    killed_at(post, id, 5, taken=True)
    heir = post.new_office("heir", dead=frozenset({"first"}), doubts=None)
    for _ in range(3):
        post.go(id, heir)
        post.later(seconds=31)
    assert post.states(id) == {"sent": 4, "in_doubt": 16}
    listed = post.units.run("doubts", lambda unit: decide.doubts(unit, None))
    assert len(listed) == 16
    # A person decides; who was not written to is written to, and the others never again.
    for one in listed:
        verp = stops.verp_address(
            post.office.keys.delivery, bytes.fromhex(one.id), f"{one.partner}.example"
        )
        was = verp in post.log.taken
        decided(post, one.id, sent=was)
    post.go(id, heir)
    assert post.states(id) == {"sent": 20}
    assert max(Counter(post.mta.to).values()) == 1


def test_a_log_that_is_not_complete_proves_what_was_taken_and_nothing_else(post: Post) -> None:
    post.log.complete = False
    id = post.campaign("c1", post.bundle("union", 1, crowd(20)))
    killed_at(post, id, 5, taken=True)
    heir = post.new_office("heir", dead=frozenset({"first"}))
    for _ in range(3):
        post.go(id, heir)
        post.later(seconds=31)
    # Five more were claimed and never began; without a complete log nobody can know.
    assert post.states(id) == {"sent": 5, "in_doubt": 15} or post.states(id) == {
        "sent": 6, "in_doubt": 14,
    }  # fmt: skip
    assert max(Counter(post.mta.to).values()) == 1


@pytest.mark.parametrize("fault", ["unreadable", "rotated"])
def test_a_log_that_fails_while_it_is_searched_proves_nothing(
    post: Post, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(hand_over, "TOLD_WITHIN", 1e9)
    id = post.campaign("c1", post.bundle("union", 1, crowd(20)))
    killed_at(post, id, 5, taken=True)

    def search(_: str) -> None:
        post.log.complete = False  # replaced between the question and the search
        if fault == "unreadable":
            raise PermissionError("mail.log")

    monkeypatch.setattr(post.log, "accepted", search)
    heir = post.new_office("heir", dead=frozenset({"first"}))
    for _ in range(3):
        post.log.complete = True
        post.go(id, heir)
        post.later(seconds=31)
    assert len(post.mta.to) == 5
    assert post.states(id) == {"in_doubt": 20}


def test_a_letter_that_the_log_saw_begin_and_not_end_waits_for_a_person(post: Post) -> None:
    id = post.campaign("c1", post.bundle("union", 1, crowd(3)))
    post.mta.answers["m2@example.net"] = [InDoubt("neither taken nor refused")]
    post.go(id)
    [open_still] = [one for one in post.letters(id) if one.state == "in_doubt"]
    name = stops.message_id(b"d" * 32, bytes.fromhex(open_still.id), "union.example")
    post.log.broken_off.add(name)
    for _ in range(3):
        post.go(id)
        post.later(minutes=6)
    assert post.states(id) == {"sent": 2, "in_doubt": 1}
    post.log.broken_off.clear()
    post.go(id)
    assert post.states(id) == {"sent": 3}


def test_a_letter_in_doubt_is_looked_up_again_and_never_sent_on_a_guess(post: Post) -> None:
    id = post.campaign("c1", post.bundle("union", 1, crowd(3)))
    post.mta.answers["m1@example.net"] = [InDoubt("taken")]
    post.mta.answers["m2@example.net"] = [InDoubt("not taken")]
    post.go(id)
    assert post.states(id) == {"sent": 1, "in_doubt": 2}
    post.go(id)
    post.later(seconds=31)
    post.go(id)
    assert post.states(id) == {"sent": 3}
    assert sorted(post.mta.to) == ["m1@example.net", "m2@example.net", "m3@example.net"]


@pytest.mark.parametrize("ended", ["paused", "stopped", "closed"])
def test_letters_left_by_a_death_are_settled_whatever_became_of_the_campaign(
    post: Post, ended: str
) -> None:
    id = post.campaign("c1", post.bundle("union", 1, crowd(20)))
    killed_at(post, id, 5, taken=True)
    post.change(id, state=ended)
    heir = post.new_office("heir", dead=frozenset({"first"}))
    for _ in range(3):
        for due in send.due(heir):
            post.go(due, heir)
        post.later(seconds=31)
    states = post.states(id)
    assert "claimed" not in states
    assert states == {"sent": len(post.mta.to), "pending" if ended == "paused" else "dropped": 15}


def test_a_worker_that_may_live_keeps_its_lease_until_it_runs_out(post: Post) -> None:
    id = post.campaign("c1", post.bundle("union", 1, crowd(20)))
    killed_at(post, id, 5, taken=False)
    stranger = post.new_office("stranger")
    with pytest.raises(LeaseLost):
        post.go(id, stranger)
    post.later(seconds=91)
    post.go(id, stranger)
    post.later(seconds=31)
    post.go(id, stranger)
    assert post.states(id) == {"sent": 20}


def test_a_slow_worker_that_was_replaced_sends_no_further_letter(post: Post) -> None:
    id = post.campaign("c1", post.bundle("union", 1, crowd(20)))
    heir = post.new_office("heir", transport=lambda: Mta(post.log))

    def fall_asleep(_: str) -> None:
        if len(post.mta.taken) == 5:
            post.mta.before.clear()
            post.later(seconds=95)
            post.go(id, heir)  # takes the campaign over; the claimed ones are not its to send yet

    post.mta.before.append(fall_asleep)
    with pytest.raises(LeaseLost):
        post.go(id)
    assert len(post.mta.taken) == 6, "the letter in hand, and not one more"
    others = Mta(post.log)
    heir.transport = lambda: others
    post.later(seconds=31)
    post.go(id, heir)
    post.go(id, heir)
    everybody = Counter([*post.mta.to, *others.to])
    assert max(everybody.values()) == 1
    assert len(everybody) == 20
    assert post.states(id) == {"sent": 20}


def test_two_workers_at_one_campaign_send_each_letter_once(post: Post) -> None:
    id = post.campaign("c1", post.bundle("union", 1, crowd(150)))
    taken: list[str] = []
    start = threading.Barrier(2)

    def work(name: str) -> None:
        mta = Mta(post.log)
        office = post.new_office(name, transport=lambda: mta)
        start.wait()
        for _ in range(3):
            try:
                post.go(id, office)
            except LeaseLost:
                continue
        taken.extend(mta.to)

    threads = [threading.Thread(target=work, args=(f"worker {n}",)) for n in (1, 2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(taken) == sorted(address for _, address in crowd(150))


# What is known is not opened


def watched(post: Post) -> set[bytes]:
    """The locks of all rows that are opened from now on."""
    seen: set[bytes] = set()
    kept = post.office.open_row

    def look(row: send.SealedRow, shared: bytes) -> Any:
        seen.add(row.lock)
        return kept(row, shared)

    post.office.open_row = look
    return seen


def hold_then(post: Post, id: str, act: Any) -> list[deliveries.Delivery]:
    """Plan a campaign, hold it before anything is opened, act upon letters, and let it go on."""
    post.custodians.broken = TooFewCustodians(2, {})
    with pytest.raises(TooFewCustodians):
        post.go(id)
    post.custodians.broken = None
    chosen = post.letters(id)
    post.units.run("act", lambda unit: act(unit, chosen))
    return chosen


@pytest.mark.parametrize("known", ["token", "person", "capped", "withdrawn"])
def test_whom_we_know_to_leave_out_is_never_opened(post: Post, known: str) -> None:
    union, parks = (
        post.bundle("union", 1, crowd(20)),
        post.bundle("parks", 2, [(200, "p@x.example")]),
    )
    id = post.campaign("c1", union, parks)

    def act(unit: Any, chosen: list[deliveries.Delivery]) -> None:
        mine = next(one for one in chosen if one.partner == "parks")
        if known == "withdrawn":
            contributions.change(unit, parks.bundle, state="withdrawn")
        elif known == "capped":
            twin = {"campaign": "old", "id": "f" * 32, "lock": "e" * 64}
            twin |= {"verp": "v", "capability_hash": "c"}
            was = {**{n: getattr(mine, n) for n in mine.__slots__}, **twin, "address_token": ""}
            campaigns.add(unit, replace(campaigns.get(unit, id), id="old", state="closed"))
            sent = {"state": "sent", "claimed_at": post.clock(), "stop_key": "d" * 64}
            deliveries.plan(unit, [deliveries.Delivery(**{**was, **sent})])
        else:
            who = {
                "token": {"address_token": mine.address_token},
                "person": {"person": mine.person},
            }
            about = {"stop_key": None, "address_token": None, "person": None, **who[known]}
            stop = suppressions.Suppression(
                scope="race", race="oh-house-44", partner=None, epoch="2026-season", bundle=None,
                reason="stop", delivery=None, at=post.clock(), **about,  # type: ignore[arg-type]
            )  # fmt: skip
            suppressions.suppress(unit, stop)

    chosen = hold_then(post, id, act)
    opened = watched(post)
    post.go(id)
    [mine] = [one for one in chosen if one.partner == "parks"]
    assert len(opened) == 20
    assert bytes.fromhex(mine.lock) not in opened
    [after] = [one for one in post.letters(id) if one.id == mine.id]
    said = "withdrawn" if known == "withdrawn" else "capped" if known == "capped" else "stopped"
    assert (after.state, after.outcome) == ("dropped", said)


def test_a_bundle_is_read_once_for_many_batches_and_never_kept_whole(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release, "KEPT", 100)
    reads: list[int] = []
    kept = release.frames.read_sealed

    def count(path: Any, rows: Any) -> Any:
        reads.append(len(rows))
        return kept(path, rows)

    monkeypatch.setattr(release.frames, "read_sealed", count)
    id = post.campaign("c1", post.bundle("union", 1, crowd(130)))
    post.go(id)
    assert post.states(id) == {"sent": 130}
    assert reads == [100, 30]
    assert len(post.office.rows.get(id, {})) <= 100


# One strange letter


def test_a_letter_that_breaks_its_writer_fails_alone(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = post.campaign("c1", post.bundle("union", 1, crowd(10)))
    kept = hand_over._letter

    def write(run: Any, item: Any, payload: Any) -> Any:
        if payload.email == "m3@example.net":
            raise ValueError("m3@example.net is strange")
        return kept(run, item, payload)

    monkeypatch.setattr(hand_over, "_letter", write)
    post.go(id)
    assert post.states(id) == {"sent": 9, "failed": 1}
    assert "@" not in "".join(str(one.outcome) for one in post.letters(id))


def test_a_row_that_breaks_its_opener_is_dropped_alone(post: Post) -> None:
    id = post.campaign("c1", post.bundle("union", 1, crowd(10)))
    kept, opened = post.office.open_row, []

    def look(row: send.SealedRow, shared: bytes) -> Any:
        payload = kept(row, shared)
        opened.append(payload.email)
        if payload.email == "m3@example.net":
            raise RuntimeError("m3@example.net")
        return payload

    post.office.open_row = look
    for _ in range(3):
        post.go(id)
    assert post.states(id) == {"sent": 9, "dropped": 1}
    assert len(opened) == 10


def test_a_transport_that_breaks_at_one_letter_leaves_that_one_in_doubt_and_starts_afresh(
    post: Post,
) -> None:
    post.log.complete = False
    id = post.campaign("c1", post.bundle("union", 1, crowd(10)))
    post.mta.answers["m3@example.net"] = [RuntimeError("strange")] * 9
    closes: list[int] = []
    kept = post.mta.close
    post.mta.close = lambda: (closes.append(len(post.mta.taken)), kept())[1]  # type: ignore[method-assign, func-returns-value]
    for _ in range(4):
        post.go(id)
        post.later(minutes=6)
    assert post.states(id) == {"sent": 9, "in_doubt": 1}
    assert len(post.mta.answers["m3@example.net"]) == 8
    assert len(closes) == 2, "the session that broke was ended, and its turn's last one"


def test_a_letter_that_kills_every_worker_is_given_up_and_costs_nobody_else(post: Post) -> None:
    id = post.campaign("c1", post.bundle("union", 1, crowd(60)))
    deaths = 0

    def die(recipient: str) -> None:
        if recipient == "m3@example.net":
            raise Killed

    post.mta.before.append(die)
    dead: frozenset[str] = frozenset()
    for n in range(12):
        office = post.new_office(f"worker {n}", dead=dead)
        dead |= {office.name}
        for _ in range(2):
            try:
                post.go(id, office)
            except Killed:
                deaths += 1
                break
            post.later(seconds=31)
        if post.states(id).get("failed"):
            break
    assert deaths == 6
    assert post.states(id) == {"sent": 59, "failed": 1}
    assert max(Counter(post.mta.to).values()) == 1


# Closed with the custodians too


@pytest.mark.parametrize("how", ["stopped", "closed"])
def test_custodians_are_asked_to_close_until_enough_have(post: Post, how: str) -> None:
    window = {"opens": "2026-11-21T16:00:00Z", "closes": "2026-11-21T17:00:00Z"}
    id = post.campaign("c1", post.bundle("union", 1, crowd(5)), template={"window": window})
    post.go(id)
    assert post.states(id) == {"sent": 5}, "nothing is left for a stop to drop"
    assert post.custodians.closed == []
    post.custodians.answering = 1
    if how == "stopped":
        post.change(id, state="stopped")
    else:
        post.later(hours=1)
    for _ in range(3):
        assert id in send.due(post.office)
        post.go(id)
        assert post.state(id).state == how
        post.go(id)  # at once again: they are left alone for a while
        post.later(seconds=31)
    assert post.custodians.closed == [id] * 3
    pen = wiring.pen("mailer", b"m" * 32)
    heir = post.new_office("heir", dead=frozenset({"first"}), pen=pen)
    post.custodians.answering = 2
    assert id in send.due(heir), "it is remembered beyond a death"
    assert post.units.run("said", lambda unit: log.of_kind(unit, "sent")) == []
    post.go(id, heir)
    assert id not in send.due(heir)
    post.later(minutes=5)
    post.go(id, heir)
    assert post.custodians.closed == [id] * 4
    (said,) = post.units.run("said", lambda unit: log.of_kind(unit, "sent", "mailer"))
    opened = entry.opened(said.entry, entry.openings_from_json(said.openings or {}))
    assert opened.facts == {"kind": "closed", "campaign": id, "letters": 5}
    assert opened.actor == pen.public


def test_a_campaign_stopped_before_it_was_opened_asks_no_custodian(post: Post) -> None:
    id = post.campaign("c1", post.bundle("union", 1, crowd(5)))
    post.change(id, state="stopped")
    post.go(id)
    assert post.custodians.closed == []
    assert id not in send.due(post.office)


# What others may see


def test_the_end_and_the_progress_are_functions_of_the_noised_size(post: Post) -> None:
    ends = {}
    for count, name in ((20, "few"), (90, "many")):
        id = post.campaign(name, post.bundle("union", count, crowd(count, start=1000 * count)))
        post.change(id, estimate=300)
        office = post.new_office(name, per_second=1.0)
        began, seen = post.clock(), []
        post.go(id, office)
        assert post.state(id).progress == 0
        while post.state(id).state != "closed":
            post.later(seconds=30)
            post.go(id, office)
            seen.append(post.state(id).progress)
        ends[name] = (post.clock() - began, seen)
    assert ends["few"] == ends["many"]
    assert ends["few"][0] == timedelta(seconds=300)


def shown_of(post: Post, id: str) -> tuple[str, int, str, bool]:
    """What pages and API say of how far a campaign is."""
    one = post.state(id)
    return one.state, one.progress, one.waiting_for, one.closed is not None


def seen_of_crowds(post: Post, cold: int) -> list[Any]:
    """What is shown of campaigns to nobody, to one person, and to more than a cold day allows."""
    found = []
    for count in (0, 1, 30, 45):
        part = post.bundle("union", count + 1, crowd(max(1, count), start=1000 * count))
        id = post.campaign(f"c{count}", part)
        if not count:
            post.units.run(
                "gone", lambda u, it=part.bundle: contributions.change(u, it, state="withdrawn")
            )
        post.change(id, estimate=300, scheduled=post.clock() + timedelta(minutes=1))
        office = post.new_office(f"w{count}", per_second=1.0, first_day=cold)
        began, seen = post.clock(), []
        post.later(minutes=30)  # another campaign was before it, or it was night
        for turn in range(24):
            post.go(id, office)
            seen.append(shown_of(post, id))
            post.later(**({"seconds": 30} if turn < 20 else {"days": 2}))
        found.append(seen)
        post.units.run("forget", lambda unit: unit.session.execute(delete(SentDayRow)))
        post.clock.now = began
    return found


@pytest.mark.parametrize("cold", [0, 20])
def test_how_far_a_campaign_is_tells_nobody_whether_anybody_gets_it(post: Post, cold: int) -> None:
    found = seen_of_crowds(post, cold)
    assert found[1:] == found[:1] * 3
    assert found[0][-1] == ("closed", 100, "", True)
    assert len({one[1] for one in found[0]}) > (3 if cold else 2)


@pytest.mark.parametrize("cold", [0, 20])
def test_reckoned_from_the_first_letter_to_the_last_it_would_tell(
    post: Post, monkeypatch: pytest.MonkeyPatch, cold: int
) -> None:
    monkeypatch.setattr(begun, "get", lambda unit, campaign: None)
    found = seen_of_crowds(post, cold)
    assert found[0] != found[1]
    assert not cold or found[1] != found[3]


def test_a_limit_that_a_volunteer_sets_meanwhile_does_not_tell_how_many_letters_they_sign(
    post: Post,
) -> None:
    """With a limit of one the day of the last letter would be the number of them."""
    found = []
    for count in (3, 5):
        ann = Messenger(f"ann{count}", RACE, "Maria Trujillo", f"Toledo {count}", post.clock(),
                        None, lend._hash(f"ann{count}"))  # fmt: skip
        post.units.run("lend", lambda unit, new=ann: messengers.add(unit, new))  # type: ignore[misc]
        part = post.bundle("union", count, crowd(count, start=1000 * count))
        named = {"messenger": {"name": ann.name, "place": ann.place}}
        slow = post.campaign(f"c{count}", part, template=named)
        office = post.new_office(f"w{count}", per_second=1.0)

        def limit(_: str, link: str = ann.id) -> None:
            post.units.run("limit", lambda unit: lend.confirm(unit, link, post.clock(), 1))

        began, seen = post.clock(), []
        post.mta.before[:] = [limit]
        for _ in range(8):
            post.go(slow, office)
            post.mta.before.clear()
            seen.append(shown_of(post, slow))
            post.later(days=1)
        found.append(seen)
        post.clock.now = began
    assert found[0] == found[1]
    assert [one[0] for one in found[0]] == ["sending"] * 6 + ["closed"] * 2


def test_a_campaign_that_was_held_half_way_tells_nobody_how_many_there_are(post: Post) -> None:
    found = []
    for count in (20, 200):
        part = post.bundle("union", count, crowd(count, start=1000 * count))
        half = post.campaign(f"c{count}", part)
        post.change(half, estimate=300)
        office = post.new_office(f"w{count}", per_second=1.0)

        def pause(_: str, after: int = count // 2, held: str = half) -> None:
            if len(post.mta.taken) == after:
                post.change(held, state="paused", before_pause="sending")

        post.mta.taken.clear()
        post.mta.before[:] = [pause]
        post.go(half, office)
        post.mta.before.clear()
        assert 0 < post.states(half)["pending"] < count
        seen = [shown_of(post, half)]
        post.later(minutes=3)
        post.change(half, state="sending")
        for _ in range(4):
            post.go(half, office)
            seen.append(shown_of(post, half))
            post.later(minutes=3)
        found.append(seen)
    assert found[0] == found[1]
    assert found[0][1][1] not in (0, 100)


def test_nothing_of_a_person_is_in_what_the_post_office_shows_of_itself(post: Post) -> None:
    id = post.campaign("c1", post.bundle("union", 1, crowd(3)))
    post.go(id)
    shown = repr(post.office) + repr(post.letters(id)) + repr(post.state(id))
    assert "example.net" not in shown
    assert "s" * 32 not in shown
    assert "d" * 32 not in shown  # fewer come about by chance in a digest

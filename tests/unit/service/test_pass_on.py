"""A reply reaches the messenger only after its writer's yes; nobody else's answer ever does."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from sqlalchemy import text

from consortium.service import hear_back, lend, pass_on
from consortium.service.errors import NotReady
from consortium.store import deliveries, replies, suppressions
from consortium.store.errors import Missing
from consortium.store.unit import Unit
from mailer import stops, unseal
from mailer.held import seal_held
from mailer.transports import Deferred, Failed, InDoubt
from policies.authorise import Caller
from tests.fakes import autoreplies
from tests.fakes.post import Post
from tests.fakes.server import RACE

WRITER, MESSENGER = "m1@example.net", "maria@home.example"
KEY = b"h" * 32
WORDS = "Yes, I will come on Saturday. Is there a ramp?"


def master(post: Post) -> pass_on.Postmaster:
    nonces = iter(range(1, 10_000))
    return pass_on.Postmaster(
        units=post.units,
        clock=post.clock,
        delivery=post.office.keys.delivery,
        stop=post.office.keys.stop,
        transport=lambda: post.mta,
        signers={},
        public_url="https://trellis.example",
        seal=lambda plain, about: seal_held(KEY, plain, about, next(nonces).to_bytes(12, "big")),
        open_held=lambda sealed, about: unseal.open_held(sealed, KEY, about),
        open_typed=lambda sealed: (pass_on.BOX, sealed.decode()),
    )


def sent(post: Post) -> str:
    """A letter to the writer, signed by a messenger who lends their name; its Message-ID."""
    cora = Caller("cora", "coordinator", RACE)
    _, token = post.units.run(
        "invite",
        lambda unit: lend.invite(
            unit, cora, RACE, name="Maria Trujillo", place="Toledo", now=post.clock()
        ),
    )
    post.units.run("confirm", lambda unit: lend.confirm(unit, token, post.clock()))
    members = [(n, f"m{n}@example.net") for n in (1, 2, 3)]
    post.go(post.campaign("c1", post.bundle("union", 1, members)))
    letter = post.sent_to(WRITER)
    post.lent = token  # type: ignore[attr-defined]
    raw = bytes.fromhex(letter.id)
    return stops.message_id(post.office.keys.delivery, raw, "union.example")


@pytest.fixture
def about(post: Post) -> str:
    """The same, and the messenger has proved where replies go."""
    named = sent(post)
    prove(post)
    return named


def prove(post: Post) -> None:
    token = post.lent  # type: ignore[attr-defined]
    post.units.run(
        "type", lambda unit: pass_on.type_box(unit, token, MESSENGER.encode(), post.clock())
    )
    pass_on.turn(master(post))
    link = links(post, MESSENGER)[-1]
    post.units.run("prove", lambda unit: pass_on.prove_box(unit, link, yes=True))
    post.mta.taken.clear()


def links(post: Post, to: str) -> list[str]:
    whole = [message.decode() for _, who, message in post.mta.taken if who == to]
    plain = [one.replace("=\r\n", "") for one in whole]
    return [found for one in plain for found in re.findall(r"/repl(?:y|ies)/([\w-]{22})", one)]


def reply(about: str, words: str = WORDS, sender: str = WRITER) -> bytes:
    return (
        f"From: Ana <{sender}>\r\nTo: reply@union.example\r\nSubject: Re: Saturday\r\n"
        f"In-Reply-To: {about}\r\n\r\n{words}\r\n"
    ).encode()


def answer(post: Post, token: str, *, yes: bool) -> None:
    post.units.run("answer", lambda unit: pass_on.answer(unit, token, yes=yes))
    pass_on.turn(master(post))


def everything(post: Post) -> str:
    """All that the database holds, as text."""

    def dump(unit: Unit) -> str:
        names = unit.session.execute(text("SELECT name FROM sqlite_master WHERE type='table'"))
        return "\n".join(
            repr(tuple(row))
            for (name,) in names.all()
            for row in unit.session.execute(text(f'SELECT * FROM "{name}"'))
        )

    return post.units.read("dump", dump)


def test_a_reply_waits_and_reaches_the_messenger_once_after_its_writers_yes(
    post: Post, about: str
) -> None:
    assert pass_on.hear(master(post), reply(about)) == "held"
    assert post.mta.to == [WRITER], "its writer is asked, and nobody else gets anything"
    for _ in range(3):
        pass_on.turn(master(post))
        assert pass_on.hear(master(post), reply(about)) == "held"
    assert post.mta.to == [WRITER], "asked once"
    [token] = set(links(post, WRITER))
    for _ in range(3):
        answer(post, token, yes=True)
    assert post.mta.to == [WRITER, MESSENGER]
    message = post.mta.taken[-1][2].decode()
    assert f"Reply-To: {WRITER}" in message
    assert "Is there a ramp?" in message
    assert "Auto-Submitted: auto-generated" in message


def test_a_persons_reply_is_a_sign_of_life_and_a_machines_is_none(post: Post) -> None:
    post.office.sunset = 1
    about = sent(post)
    letters = {one.person: one for one in post.letters("c1")}
    theirs = stops.message_id(
        post.office.keys.delivery, bytes.fromhex(letters[2].id), "union.example"
    )
    away = b"Auto-Submitted: auto-replied\r\n" + reply(theirs, sender="m2@example.net")
    assert pass_on.hear(master(post), away) == "machine"
    assert pass_on.hear(master(post), reply(about)) == "unheard", "nobody takes replies: still one"
    post.later(days=8)
    late = {"window": {"opens": "2026-11-21T00:00:00Z", "closes": "2026-12-01T00:00:00Z"}}
    members = [(n, f"m{n}@example.net") for n in (1, 2, 3)]
    before = len(post.mta.to)
    post.go(post.campaign("c2", post.bundle("union", 2, members), template=late))
    assert post.mta.to[before:] == [WRITER], "who never answered gets no second letter"


def test_the_question_shows_neither_the_reply_nor_where_it_would_go(post: Post, about: str) -> None:
    pass_on.hear(master(post), reply(about))
    asked = post.mta.taken[-1][2].decode()
    assert "ramp" not in asked
    assert MESSENGER not in asked
    assert "Auto-Submitted: auto-replied" in asked


def test_after_a_no_or_after_seven_days_nothing_of_it_is_left(post: Post, about: str) -> None:
    pass_on.hear(master(post), reply(about))
    answer(post, links(post, WRITER)[0], yes=False)
    answer(post, links(post, WRITER)[0], yes=True)
    assert MESSENGER not in post.mta.to
    pass_on.hear(master(post), reply(about, "Another one."))
    second = links(post, WRITER)[-1]
    post.later(days=7)
    pass_on.turn(master(post))
    with pytest.raises(Missing):
        answer(post, second, yes=True)
    assert MESSENGER not in post.mta.to
    assert "held_replies" not in everything(post)
    count = "SELECT count(*) FROM held_replies"
    assert post.units.read("c", lambda unit: unit.session.scalar(text(count))) == 0


def test_a_yes_that_comes_too_late_passes_nothing_on(post: Post, about: str) -> None:
    pass_on.hear(master(post), reply(about))
    post.later(days=7)
    post.units.run("late", lambda u: pass_on.answer(u, links(post, WRITER)[0], yes=True))
    pass_on.turn(master(post))
    assert MESSENGER not in post.mta.to


def test_nothing_of_it_stands_in_the_database_in_the_clear(post: Post, about: str) -> None:
    pass_on.hear(master(post), reply(about))
    held = everything(post)
    assert "held" in held, "the control: it was looked at while a reply waits"
    for secret in (WRITER, MESSENGER, "ramp", links(post, WRITER)[0]):
        assert secret not in held


def test_all_shapes_of_machines_answers_to_a_true_letter_reach_nobody(
    post: Post, about: str
) -> None:
    for shape in autoreplies.SHAPES:
        done = pass_on.hear(master(post), autoreplies.letter(shape, "reply@union.example", about))
        assert done == "machine", shape[0]
    pass_on.turn(master(post))
    assert post.mta.to == []
    # Those that nothing tells from a person's are asked about, and press no button.
    for shape in autoreplies.SLY:
        pass_on.hear(master(post), autoreplies.letter(shape, "reply@union.example", about))
    for _ in range(9):
        post.later(days=1)
        pass_on.turn(master(post))
    assert set(post.mta.to) == {"ana@example.net"}


def test_a_machine_that_answers_our_questions_gets_few_of_them(post: Post, about: str) -> None:
    for n in range(20):
        pass_on.hear(master(post), reply(about, f"I am away, {n}."))
    assert post.mta.to == [WRITER] * pass_on.MOST_REPLIES


def test_who_is_named_by_somebody_else_gets_one_letter_at_most(post: Post, about: str) -> None:
    for n in range(20):
        pass_on.hear(master(post), reply(about, f"{n}", sender="victim@example.net"))
    assert post.mta.to == ["victim@example.net"]


def test_who_stopped_everything_is_not_even_asked(post: Post, about: str) -> None:
    letter = post.units.run("one", lambda unit: _letter(unit, post, about))
    pass_on_stop(post, letter.id)
    assert pass_on.hear(master(post), reply(about)) == "silenced"
    assert post.mta.to == []


def _letter(unit: Unit, post: Post, about: str) -> deliveries.Delivery:
    return deliveries.get(unit, stops.parse_message_id(post.office.keys.delivery, about).hex())


def pass_on_stop(post: Post, id: str) -> None:
    token = stops.capability(post.office.keys.delivery, bytes.fromhex(id)).token
    post.units.run("stop", lambda unit: hear_back.stop(unit, token, "all", post.clock()))


def test_a_reply_that_says_stop_is_a_stop(post: Post, about: str) -> None:
    assert pass_on.hear(master(post), reply(about, "Unsubscribe please")) == "stopped"
    assert post.mta.to == []
    letter = post.units.run("one", lambda unit: _letter(unit, post, about))
    assert post.units.read(
        "silenced",
        lambda unit: suppressions.suppressed(
            unit,
            race=RACE,
            partner="parks",
            epoch="2026-season",
            stop_key=letter.stop_key,
            address_token=None,
            person=None,
        ),
    )


def test_what_quotes_no_letter_of_ours_is_nobodys(post: Post) -> None:
    for quoted in ("<nobody@union.example>", "", "<" + "a" * 42 + "@union.example>"):
        assert pass_on.hear(master(post), reply(quoted)) == "nobodys"
        assert pass_on.hear(master(post), reply(quoted, "stop")) == "nobodys"
    assert post.mta.to == []


def test_without_a_proven_address_a_reply_is_not_kept_and_its_writer_is_told(post: Post) -> None:
    about = sent(post)
    post.mta.taken.clear()
    assert pass_on.hear(master(post), reply(about)) == "unheard"
    pass_on.turn(master(post))
    assert post.mta.to == [WRITER]
    assert "takes no" in post.mta.taken[0][2].decode()
    [held] = post.units.read("g", lambda unit: replies.in_state(unit, "gone", 9))
    assert held.sealed is None


def test_an_address_gets_no_reply_before_somebody_there_said_yes(post: Post) -> None:
    about = sent(post)
    post.mta.taken.clear()
    token = post.lent  # type: ignore[attr-defined]
    post.units.run("t", lambda u: pass_on.type_box(u, token, MESSENGER.encode(), post.clock()))
    assert pass_on.hear(master(post), reply(about)) == "unheard"
    for _ in range(3):
        pass_on.turn(master(post))
    assert post.mta.to == [WRITER, MESSENGER], "one question to each"
    assert MESSENGER not in everything(post)
    post.later(days=7)
    pass_on.turn(master(post))
    with pytest.raises(Missing):
        post.units.run("p", lambda u: pass_on.prove_box(u, links(post, MESSENGER)[0], yes=True))


def test_a_messenger_who_takes_their_name_back_gets_nothing_that_waited(
    post: Post, about: str
) -> None:
    pass_on.hear(master(post), reply(about))
    token = post.lent  # type: ignore[attr-defined]
    post.units.run("refuse", lambda unit: lend.refuse(unit, token, post.clock()))
    answer(post, links(post, WRITER)[0], yes=True)
    assert MESSENGER not in post.mta.to


def test_a_reply_in_doubt_is_never_sent_twice_and_a_deferred_one_is_tried_again(
    post: Post, about: str
) -> None:
    pass_on.hear(master(post), reply(about))
    post.mta.answers[MESSENGER] = [Deferred(450, "later", "rcpt"), InDoubt("taken")]
    answer(post, links(post, WRITER)[0], yes=True)
    for _ in range(4):
        pass_on.turn(master(post))
    assert post.mta.to.count(MESSENGER) == 1
    pass_on.hear(master(post), reply(about, "Another."))
    post.mta.answers[MESSENGER] = [Failed(550, "no", "rcpt", "5.1.1")]
    answer(post, links(post, WRITER)[-1], yes=True)
    pass_on.turn(master(post))
    assert post.mta.to.count(MESSENGER) == 1


def test_a_page_about_a_reply_shows_who_asks_and_nothing_else(post: Post, about: str) -> None:
    pass_on.hear(master(post), reply(about))
    view = post.units.read("show", lambda unit: pass_on.show(unit, links(post, WRITER)[0]))
    assert (view.messenger_name, view.state) == ("Maria Trujillo", "held")
    assert WRITER not in repr(view)
    over = replace(view, state="gone")
    post.later(days=7)
    late = post.units.read("show", lambda unit: pass_on.show(unit, links(post, WRITER)[0]))
    assert late == over


def test_whoever_holds_a_messengers_link_cannot_have_strangers_written_to_at_will(
    post: Post,
) -> None:
    sent(post)
    token = post.lent  # type: ignore[attr-defined]
    before = len(post.mta.to)

    def name(address: str | None) -> None:
        typed = None if address is None else address.encode()
        post.units.run("t", lambda u: pass_on.type_box(u, token, typed, post.clock()))
        pass_on.turn(master(post))

    for _ in range(pass_on.MOST_BOXES):
        name("stranger@example.org")
        name(None)  # dropping it gives no new turn
    with pytest.raises(NotReady, match="tomorrow"):
        name("stranger@example.org")
    assert post.mta.to[before:] == ["stranger@example.org"] * pass_on.MOST_BOXES
    post.later(hours=25)
    name("another@example.org")
    assert post.mta.to[-1] == "another@example.org"


def test_who_stopped_everything_is_not_asked_as_a_messenger_either(post: Post, about: str) -> None:
    written = len(post.mta.to)
    letter = post.units.run("l", lambda unit: _letter(unit, post, about))
    post.units.run("s", lambda u: hear_back.suppress(u, letter, "all", "stop", post.clock()))
    token = post.lent  # type: ignore[attr-defined]
    post.units.run("t", lambda u: pass_on.type_box(u, token, WRITER.encode(), post.clock()))
    pass_on.turn(master(post))
    assert len(post.mta.to) == written
    assert post.units.run("b", lambda u: pass_on.show_box(u, token)).state == ""

"""A machine's answer is heard as one in every shape seen; a person's is read without its quotes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.bounce import read
from mailer.bounce.reply import MAX_TEXT, own_words, read_reply
from tests.fakes import autoreplies

ABOUT = "<abcdefghijklmnopqrstuvwxyzabcdefghijklmnop@mail.parks.example>"
TO = "reply@mail.parks.example"
HEAD = (
    f"From: Ana Alves <ana@example.net>\r\nTo: {TO}\r\nSubject: Re: Saturday\r\n"
    f"In-Reply-To: {ABOUT}\r\nReferences: <x@other.example> {ABOUT}\r\n"
)


def said(words: str, subject: str = "Re: Saturday") -> bytes:
    head = HEAD.replace("Re: Saturday", subject)
    return f"{head}Content-Type: text/plain; charset=utf-8\r\n\r\n{words}".encode()


def test_fifty_shapes_are_fifty() -> None:
    assert len({name for name, *_ in autoreplies.SHAPES}) == len(autoreplies.SHAPES) >= 50


@pytest.mark.parametrize("shape", autoreplies.SHAPES, ids=[one[0] for one in autoreplies.SHAPES])
def test_no_machine_is_taken_for_a_person(shape: tuple[str, str, str, str]) -> None:
    assert read_reply(autoreplies.letter(shape, TO, ABOUT)) is None


@pytest.mark.parametrize("shape", autoreplies.SHAPES, ids=[one[0] for one in autoreplies.SHAPES])
def test_no_machines_answer_suppresses_anybody(shape: tuple[str, str, str, str]) -> None:
    to = "r-abcdefghijklmnopqrstuvwxyz-abcdefghijklmnop@mail.parks.example"
    expected = {"hard"} if shape[0] == "bounce to the reply address" else {"auto_reply", "unknown"}
    assert read(autoreplies.letter(shape, to, ABOUT)).kind in expected


@pytest.mark.parametrize("shape", autoreplies.SLY, ids=[one[0] for one in autoreplies.SLY])
def test_what_nothing_tells_from_a_person_is_read_as_one(shape: tuple[str, str, str, str]) -> None:
    """The control: the shapes above are not refused for what they share with a person's mail."""
    assert read_reply(autoreplies.letter(shape, TO, ABOUT)) is not None


def test_a_persons_answer_is_read_whole_and_shown_to_nobody() -> None:
    found = read_reply(said("I will come.\r\n\r\nOn Sunday Maria wrote:\r\n> Come on Saturday\r\n"))
    assert found is not None
    assert found.sender == "ana@example.net"
    assert found.subject == "Re: Saturday"
    assert own_words(found.text) == "I will come."
    assert found.about == (ABOUT, "<x@other.example>")
    assert "ana" not in repr(found)
    assert "come" not in repr(found)


@pytest.mark.parametrize(
    "words",
    [
        "stop",
        "STOP!",
        "Unsubscribe",
        "Please remove me from your list.",
        "take me off this list please",
        "Don't email me",
        "No more letters, thank you",
        "Basta",
        "Darme de baja por favor",
        "no me escriban más",
        "Stop emailing me\r\n\r\nOn Sunday Maria wrote:\r\n> Will you come? It will not stop.",
        "stop\r\n-- \r\nAna Alves, Toledo",
        "Unsubscribe\r\n\r\nSent from my phone",
    ],
)
def test_words_that_only_say_no_are_a_stop(words: str) -> None:
    found = read_reply(said(words))
    assert found is not None
    assert found.is_no


@pytest.mark.parametrize(
    "words",
    [
        "I will stop by on Saturday.",
        "Does the bus stop there?",
        "Please don't stop, this is important work.",
        "How do I unsubscribe my late mother?",
        "Yes!",
        "no",
        "I would come, but cannot.\r\n> stop",
        "baja California?",
    ],
)
def test_a_sentence_that_holds_such_a_word_is_no_stop(words: str) -> None:
    found = read_reply(said(words))
    assert found is not None
    assert not found.is_no


def test_a_subject_that_says_no_above_no_words_is_a_stop() -> None:
    empty = read_reply(said("", "unsubscribe"))
    assert empty is not None
    assert empty.is_no
    worded = read_reply(said("Thank you for this.", "unsubscribe"))
    assert worded is not None
    assert not worded.is_no


def test_markup_is_read_as_its_words_and_nothing_else_of_it_is_kept() -> None:
    marked = (
        f"{HEAD}MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
        "<html><head><style>p{x:y}</style></head><body><p>I come.</p><script>steal()</script>"
        "<img src='https://track.example/x.png'><blockquote>Saturday</blockquote></body></html>"
    )
    found = read_reply(marked.encode())
    assert found is not None
    assert own_words(found.text) == "I come."
    assert not any(word in found.text for word in ("steal", "track", "p{", "<"))


@pytest.mark.parametrize(
    "sender",
    ["", "ana", "Ana <ana@example.net>, Ben <ben@example.net>", '"a b"@example.net', "<>"],
)
def test_without_one_plain_sender_nothing_is_read(sender: str) -> None:
    octets = said("I come.").replace(b"Ana Alves <ana@example.net>", sender.encode())
    assert read_reply(octets) is None


def test_hidden_letters_go_and_a_long_reply_is_cut() -> None:
    found = read_reply(said("I\u202ecome\x00\x1b[31m\r\n" + "x" * 10 * MAX_TEXT))
    assert found is not None
    assert len(found.text) <= MAX_TEXT
    assert all(one.isprintable() or one == "\n" for one in found.text)


@given(noise=st.binary(max_size=400), at=st.integers(0, 300))
def test_no_bytes_make_reading_fail(noise: bytes, at: int) -> None:
    whole = said("I come.\r\n> x")
    read_reply(whole[:at] + noise + whole[at:])
    read_reply(noise)

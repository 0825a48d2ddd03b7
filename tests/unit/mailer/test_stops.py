"""Stops find every spelling of a mailbox; links and return paths cannot be guessed or forged."""

import re

import pytest

from mailer import stops
from mailer.addresses import envelope
from mailer.errors import AddressRefused, TokenRefused

KEY = b"k" * 32
LETTER = stops.delivery_id(KEY, "spring", b"\x01" * 32)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ana@Example.ORG", " ana@example.org "),
        ("a.n.a@gmail.com", "ana+list@googlemail.com"),
        ("ana@bücher.example", "ana@xn--bcher-kva.example"),
        ("ａｎａ@example.org", "ana@example.org"),
    ],
)
def test_spellings_of_one_mailbox_have_one_stop(one: str, other: str) -> None:
    assert stops.stop_key(KEY, one) == stops.stop_key(KEY, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("a.na@example.org", "ana@example.org"), ("ana+x@example.org", "ana@example.org")],
)
def test_two_mailboxes_have_two_stops(one: str, other: str) -> None:
    assert stops.stop_key(KEY, one) != stops.stop_key(KEY, other)


def test_a_stop_key_is_worthless_without_the_key() -> None:
    assert stops.stop_key(KEY, "ana@example.org") != stops.stop_key(b"j" * 32, "ana@example.org")


@pytest.mark.parametrize("typed", ["", "ana", "@example.org", "ana@", "ana@localhost", "a@-b.c"])
def test_what_is_no_address_has_no_stop(typed: str) -> None:
    with pytest.raises(AddressRefused):
        stops.stop_key(KEY, typed)


def test_a_letter_has_one_id_whatever_the_attempt() -> None:
    assert stops.delivery_id(KEY, "spring", b"\x01" * 32) == LETTER
    others = {
        LETTER,
        stops.delivery_id(KEY, "autumn", b"\x01" * 32),
        stops.delivery_id(KEY, "spring", b"\x02" * 32),
        stops.delivery_id(b"j" * 32, "spring", b"\x01" * 32),
    }
    assert {len(one) for one in others} == {16}
    assert len(others) == 4


def test_a_return_path_comes_back_in_any_case_and_fits_an_envelope() -> None:
    path = stops.verp_address(KEY, LETTER, "mail.union.example")
    assert envelope(path) == path
    assert stops.parse_verp(KEY, path) == LETTER
    assert stops.parse_verp(KEY, f" <{path.upper()}> ") == LETTER
    assert len(path.split("@")[0]) == 45


def test_a_forged_return_path_is_refused() -> None:
    path = stops.verp_address(KEY, LETTER, "mail.union.example")
    with pytest.raises(TokenRefused):
        stops.parse_verp(b"j" * 32, path)
    for at in range(45):
        for letter in "ab2":
            forged = path[:at] + letter + path[at + 1 :]
            if forged != path:
                with pytest.raises(TokenRefused):
                    stops.parse_verp(KEY, forged)


def test_a_reply_leads_back_to_its_letter_by_the_message_id_that_it_quotes() -> None:
    named = stops.message_id(KEY, LETTER, "mail.union.example")
    assert stops.parse_message_id(KEY, named) == LETTER
    assert stops.parse_message_id(KEY, f" {named.upper()} ") == LETTER
    path = stops.verp_address(KEY, LETTER, "mail.union.example")
    borrowed = f"<{path[2:28]}{path[29:45]}@mail.union.example>"
    for forged in ("", "<x@y.example>", named[1:-1], borrowed, named.replace(named[30], "q", 1)):
        if forged != named:
            with pytest.raises(TokenRefused):
                stops.parse_message_id(KEY, forged)
    with pytest.raises(TokenRefused):
        stops.parse_message_id(b"j" * 32, named)


@pytest.mark.parametrize("text", ["", "x@y.z", "r-" + "a" * 26 + "-" + "a" * 16, "r-é-a@b.c"])
def test_what_is_no_return_path_is_refused(text: str) -> None:
    with pytest.raises(TokenRefused):
        stops.parse_verp(KEY, text)


def test_a_capability_is_128_bits_and_only_its_hash_is_kept() -> None:
    link = stops.capability(KEY, LETTER)
    assert re.fullmatch(r"[\w-]{22}", link.token, re.ASCII)
    assert stops.stored_hash(link.token) == link.stored
    assert link.token not in repr(link)
    assert stops.capability(KEY, LETTER) == link


def test_no_purpose_yields_another_purposes_output() -> None:
    texts = [
        stops.capability(KEY, LETTER).token,
        stops.message_id(KEY, LETTER, "a.example")[27:43],
        stops.verp_address(KEY, LETTER, "a.example")[2:28],
        stops.verp_address(KEY, LETTER, "a.example")[29:45],
    ]
    assert len({text[:8] for text in texts}) == 4

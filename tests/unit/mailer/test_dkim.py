"""Signatures verify with an independent verifier, and break when what they cover changes."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import dkim
import pytest

from mailer.dkim import Signer, dns_record, from_pem, generate_key, to_pem
from mailer.errors import KeyRefused, LetterRefused

KEY = generate_key()
NOON = datetime(2026, 1, 21, 12, tzinfo=UTC)
SIGNER = Signer("mail.union.example", "t1", KEY)
LETTER = (
    b'From: "Maria for Union" <maria@mail.union.example>\r\n'
    b"To: ana@example.net\r\n"
    b"Subject: One  two\r\n three\r\n"
    b"Date: Sat, 21 Nov 2026 12:00:00 +0000\r\n"
    b"Message-ID: <x@mail.union.example>\r\n"
    b"List-Unsubscribe: <https://example.org/s/x>\r\n"
    b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    b"\r\n"
    b"Hello\r\n.dot  \r\n\r\n\r\n"
)


def verifies(message: bytes) -> bool:
    def lookup(name: bytes, timeout: int = 5) -> bytes:
        assert name == b"t1._domainkey.mail.union.example."
        return dns_record(KEY.public_key()).encode()

    return bool(dkim.verify(message, dnsfunc=lookup))


def signed(message: bytes = LETTER) -> bytes:
    return SIGNER.sign(message, at=NOON) + message


def test_a_signature_verifies_with_dkimpy() -> None:
    assert verifies(signed())
    assert max(map(len, SIGNER.sign(LETTER, at=NOON).split(b"\r\n"))) < 80 + 350


@pytest.mark.parametrize("body", [b"", b"\r\n\r\n", b"x", b"x\r\n", b"x \r\n\r\n"])
def test_bodies_that_end_in_any_way_verify(body: bytes) -> None:
    assert verifies(signed(LETTER.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + body))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Maria", b"Mario"),
        (b"ana@", b"ben@"),
        (b"/s/x", b"/s/y"),
        (b"One-Click", b"No-Click"),
        (b"Hello", b"Hullo"),
    ],
)
def test_what_is_covered_cannot_change(old: bytes, new: bytes) -> None:
    assert not verifies(signed().replace(old, new, 1))


@pytest.mark.parametrize(
    "added",
    [b"From: x@y.z", b"Subject: x", b"To: x@y.z", b"List-Unsubscribe: <https://evil.example>"],
)
def test_a_second_header_above_or_below_breaks_the_signature(added: bytes) -> None:
    whole = signed()
    assert not verifies(added + b"\r\n" + whole)
    assert not verifies(whole.replace(b"\r\nDate:", b"\r\n" + added + b"\r\nDate:"))


def test_relaxed_headers_may_be_folded_anew() -> None:
    assert verifies(signed().replace(b"Subject: One  two\r\n three", b"subject:One two three"))


def test_every_header_that_stands_is_covered() -> None:
    names = re.search(rb"h=([^;]+);", signed())
    assert names is not None
    listed = re.sub(rb"\s", b"", names[1]).split(b":")
    for name in (b"from", b"to", b"subject", b"list-unsubscribe", b"list-unsubscribe-post"):
        assert listed.count(name) == 2
    assert b"message-id" in listed


def test_a_letter_without_from_or_with_two_is_not_signed() -> None:
    with pytest.raises(LetterRefused):
        SIGNER.sign(LETTER.partition(b"\r\n")[2], at=NOON)
    with pytest.raises(LetterRefused):
        SIGNER.sign(b"From: x@y.z\r\n" + LETTER, at=NOON)


def test_a_key_survives_its_file_and_a_short_one_is_refused() -> None:
    assert to_pem(from_pem(to_pem(KEY))) == to_pem(KEY)
    with pytest.raises(KeyRefused):
        from_pem(b"no key")
    assert "RSA" not in repr(SIGNER)


@pytest.mark.parametrize(("domain", "selector"), [("x", "t1"), ("a.b\r\n", "t"), ("a.b", "T;")])
def test_a_signer_of_no_domain_is_refused(domain: str, selector: str) -> None:
    with pytest.raises(Exception, match=r"domain|selector"):
        Signer(domain, selector, KEY)

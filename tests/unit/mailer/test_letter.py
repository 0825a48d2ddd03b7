"""A letter has every header once, two parts with the same links, and no line too long."""

from __future__ import annotations

import binascii
import email
import quopri
import re
from dataclasses import replace
from datetime import datetime
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import default

import dkim
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.addresses import mailbox
from mailer.dkim import Signer, dns_record, generate_key
from mailer.errors import AddressRefused, FactsRefused, LetterRefused
from mailer.letter import Recipient, Slice, _quoted, _stands, prepare, stuff
from tests.fakes.letters import AT, COMMON, SENDER, compiled, recipient

SLICE = prepare(compiled(), sender=SENDER, common=COMMON, campaign="spring", at=AT)
ONCE = [
    *("From", "Date", "Message-ID", "Subject", "MIME-Version", "To", "Reply-To"),
    *("List-Unsubscribe", "List-Unsubscribe-Post", "List-Id", "Feedback-ID"),
    *("Auto-Submitted", "Content-Type"),
]


def parsed(letter: bytes) -> EmailMessage:
    message = email.message_from_bytes(letter, policy=default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


def part(letter: bytes, kind: str) -> str:
    body = parsed(letter).get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


def test_every_header_stands_once() -> None:
    message = parsed(SLICE.write(recipient(1, first_name="Ana")))
    assert sorted(message.keys()) == sorted(ONCE)


def test_the_headers_say_what_receivers_ask_for() -> None:
    letter = SLICE.write(recipient(1))
    message = parsed(letter)
    assert letter.startswith(
        b'From: "Maria Trujillo for Steel City Teachers"\r\n'
        b" <maria.trujillo@mail.teachers.example>\r\n"
    )
    assert message["To"] == "reader1@example.net"
    assert message["Date"] == "Wed, 21 Jan 2026 15:00:00 +0000"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert re.fullmatch(
        r"<https://letters\.example/stop/[\w-]{22}>,"
        r" <mailto:stop-[\w-]{22}@mail\.teachers\.example\?subject=stop>",
        message["List-Unsubscribe"],
    )
    assert message["List-Id"] == "<house-44.lists.example>"
    assert message["Feedback-ID"] == "spring:teachers:letter:trellis"
    assert message["Auto-Submitted"] == "no"
    assert message.get_content_type() == "multipart/alternative"


def test_lines_end_in_crlf_and_are_short_and_seven_bit() -> None:
    letter = SLICE.write(recipient(1, first_name="Zoë " * 9))
    assert letter.isascii()
    assert letter.count(b"\r\n") == letter.count(b"\n") == letter.count(b"\r")
    assert max(map(len, letter.split(b"\r\n"))) <= 78


@pytest.mark.parametrize("first_name", ["", "Ana", "Zoë", "x" * 40, "=3D", "é" * 40, "A = B"])
def test_a_name_of_any_length_and_script_comes_out_as_it_was(first_name: str) -> None:
    letter = SLICE.write(recipient(1, first_name=first_name))
    assert f"Hi {first_name or 'there'}," in part(letter, "plain")
    assert f"Hi {first_name or 'there'}," in part(letter, "html")


@given(st.text(st.sampled_from("Ana Zoë.=\t_'-0é~"), max_size=90))
def test_what_is_its_own_encoding_is_exactly_what_encoding_would_leave_as_it_is(text: str) -> None:
    whole = _quoted(text, last=False)
    assert whole.endswith(b"=\r\n")
    assert max(map(len, whole.split(b"\r\n"))) <= 76
    assert quopri.decodestring(whole).decode() == text
    if _stands(text):
        assert whole == binascii.b2a_qp(text.encode(), istext=True) + b"=\r\n"


@pytest.mark.parametrize("first_name", ["Ana", ".", "..", ".n"])
def test_a_letter_travels_stuffed_as_if_it_were_stuffed_as_a_whole(first_name: str) -> None:
    letter = SLICE.write(recipient(1, first_name=first_name))
    assert letter.wire == stuff(letter) != letter


def test_the_parts_are_those_of_the_preview() -> None:
    from mailer.compose import render

    reader = recipient(1, first_name="Ana")
    shown = render(compiled(), {**COMMON, **reader.facts, "stop_url": reader.stop_url})
    letter = SLICE.write(reader)
    assert part(letter, "plain").strip() == shown.text.strip()
    assert part(letter, "html").strip() == shown.html.strip()


def test_the_same_letter_is_the_same_bytes_on_every_attempt() -> None:
    again = prepare(compiled(), sender=SENDER, common=COMMON, campaign="spring", at=AT)
    assert again.write(recipient(7)) == SLICE.write(recipient(7))


def test_a_signed_letter_verifies() -> None:
    key = generate_key()
    signer = Signer(SENDER.domain, "t1", key)
    letter = prepare(
        compiled(), sender=SENDER, common=COMMON, campaign="spring", at=AT, signer=signer
    ).write(recipient(1, first_name="Zoë"))
    assert letter.startswith(b"DKIM-Signature: ")
    assert dkim.verify(letter, dnsfunc=lambda *_, **__: dns_record(key.public_key()).encode())


@pytest.mark.parametrize(
    ("messenger", "subject"),
    [
        ("María José Ñuñoa-Østergård 李", "Grüße aus Pueblo " * 8),
        ("Ana", "=?utf-8?q?x?= " + "y" * 80),
    ],
)
def test_other_scripts_and_long_subjects_survive_their_headers(
    messenger: str, subject: str
) -> None:
    long = replace(compiled(), subject=subject.strip())
    letter = prepare(
        long, sender=replace(SENDER, messenger=messenger), common=COMMON, campaign="s", at=AT
    ).write(recipient(1))
    assert letter.isascii()
    assert max(map(len, letter.partition(b"\r\n\r\n")[0].split(b"\r\n"))) <= 100
    message = parsed(letter)
    assert message["Subject"] == subject.strip()
    raw = email.message_from_bytes(letter)["From"]
    shown = str(make_header(decode_header(raw)))
    # The standard library adds a space that encoded words do not have, before the address.
    assert " ".join(shown.replace('"', "").split()) == (
        f"{messenger} for Steel City Teachers <maria.trujillo@mail.teachers.example>"
    )


BREAKS = ["a\r\nBcc: x@y.z", "a\nb", "a\rb", "a\0b", "a\u2028b", ""]


@pytest.mark.parametrize("bad", BREAKS)
@pytest.mark.parametrize(
    "name", ["messenger", "partner", "partner_id", "slug", "domain", "reply_to", "list_id"]
)
def test_no_source_of_a_shared_header_can_break_it(name: str, bad: str) -> None:
    with pytest.raises((LetterRefused, AddressRefused)):
        prepare(
            compiled(),
            sender=replace(SENDER, **{name: bad}),
            common=COMMON,
            campaign="spring",
            at=AT,
        )


@pytest.mark.parametrize("bad", BREAKS)
def test_no_source_of_the_campaigns_headers_can_break_them(bad: str) -> None:
    with pytest.raises(LetterRefused):
        prepare(compiled(), sender=SENDER, common=COMMON, campaign=bad, at=AT)
    broken = replace(compiled(), subject=bad)
    with pytest.raises(LetterRefused):
        prepare(broken, sender=SENDER, common=COMMON, campaign="spring", at=AT)


@pytest.mark.parametrize("bad", BREAKS)
@pytest.mark.parametrize("name", ["address", "message_id", "stop_url", "stop_mailto"])
def test_no_source_of_a_readers_headers_can_break_them(name: str, bad: str) -> None:
    with pytest.raises((LetterRefused, AddressRefused, FactsRefused)) as refused:
        SLICE.write(replace(recipient(1), **{name: bad}))
    assert not bad or bad not in str(refused.value)


NO_NAMES = {
    "an address in quotes": 'Maria" <x@y.z>',
    "an address": "president@example.org",
    "an address with a wide @": "president\uff20example.org",
    "a small @": "president\ufe6bexample.org",
    "wide angles": "Maria \uff1cx\uff1e",
    "a wide quote": "Maria\uff02",
    "an escape": "a\\b",
    "angles": "<b>",
    "right to left": "Maria\u202enairtsehC",
    "an isolate": "Maria\u2067x\u2069",
    "a mark of direction": "Maria\u200f",
    "nothing wide": "Ma\u200bria",
    "a folded line": "Maria\r\n Bcc: x",
    "81 letters": "M" * 81,
}


@pytest.mark.parametrize("name", NO_NAMES.values(), ids=NO_NAMES)
def test_a_name_cannot_pretend_to_be_an_address(name: str) -> None:
    with pytest.raises(LetterRefused):
        prepare(
            compiled(),
            sender=replace(SENDER, messenger=name),
            common=COMMON,
            campaign="spring",
            at=AT,
        )


@pytest.mark.parametrize(
    "name",
    [
        "Ruiz, Ana, Bo",
        "Ana (Bo) Ruiz; Cy: x",
        "=?utf-8?q?president=40example.org?=",
        "=?utf-8?b?cHJlc2lkZW50QGV4YW1wbGUub3Jn?= Ana",
        "\u041c\u0430ri\u0430 Trujillo",  # letters that look like others
        "M" * 80,
        "\u674e" * 80,
        "O'Neill-Ray Jr.",
    ],
)
def test_whatever_a_name_is_there_is_one_from_one_mailbox_and_the_name_as_it_was(name: str) -> None:
    whole = prepare(
        compiled(), sender=replace(SENDER, messenger=name), common=COMMON, campaign="s", at=AT
    ).write(recipient(1))
    message = parsed(whole)
    plain = parsed(SLICE.write(recipient(1)))
    assert sorted(message.keys()) == sorted(plain.keys())
    [mailbox] = message["From"].addresses
    assert mailbox.addr_spec == "maria.trujillo@mail.teachers.example"
    # Of encoded words in an address the standard library's newer parser keeps the folds.
    raw = email.message_from_bytes(whole)["From"]
    shown, _, _ = str(make_header(decode_header(raw))).rpartition("<")
    assert shown.strip().strip('"') == f"{name} for Steel City Teachers"
    assert raw.count("<") == raw.count("@") == 1


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(LetterRefused):
        prepare(
            compiled(),
            sender=SENDER,
            common=COMMON,
            campaign="s",
            at=datetime(2026, 1, 1),  # noqa: DTZ001
        )


def test_a_letter_without_its_why_link_is_not_written() -> None:
    reader: Recipient = replace(recipient(1), facts={})
    with pytest.raises(FactsRefused):
        SLICE.write(reader)
    assert isinstance(SLICE, Slice)


def test_an_address_beyond_ascii_stands_as_it_is_and_is_signed() -> None:
    key = generate_key()
    slice_ = prepare(
        compiled(),
        sender=SENDER,
        common=COMMON,
        campaign="spring",
        at=AT,
        signer=Signer(SENDER.domain, "s1", key),
    )
    letter = slice_.write(replace(recipient(1), address="jose\u0301@espa\u00f1a.example"))
    assert "To: josé@xn--espaa-rta.example\r\n".encode() in letter
    assert dkim.verify(letter, dnsfunc=lambda *_, **__: dns_record(key.public_key()).encode())


@pytest.mark.parametrize(
    "local", ["é" * 33, "é x", "é<", "é\r\nBcc: x", "é\u202e", "é\u200b", "é\u00a0", "é@é", ""]
)
def test_an_address_beyond_ascii_that_needs_repair_is_refused(local: str) -> None:
    with pytest.raises(AddressRefused):
        mailbox(f"{local}@españa.example")

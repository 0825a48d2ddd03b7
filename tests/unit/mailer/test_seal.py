"""A row opens under exactly its own two locks, and looks the same whatever is in it."""

import hashlib
import hmac
import os

import pytest

from mailer import keys
from mailer.errors import KeyRefused, PayloadRefused, UnsealRefused
from mailer.seal import SEALED_BYTES, Payload, new_wrapped_key, seal
from mailer.unseal import unseal, unwrap

PAIR = keys.generate()
HEADER = b'{"bundle":"x"}'
DEK = bytes(range(32))
ROW = {
    "dek": DEK,
    "shared": b"\x05" * 32,
    "bundle": b"\x01" * 16,
    "tag": b"\x02" * 32,
    "lock": b"\x03" * 32,
}
ANA = Payload("ana.reyes@example.org", "Ana", "es")


def test_a_row_opens_to_what_was_sealed() -> None:
    assert unseal(seal(ANA, **ROW), **ROW) == ANA


def test_all_rows_are_one_length() -> None:
    longest = Payload("a" * 242 + "@example.org", "é" * 48, "x" * 24)
    assert len(seal(Payload("a@b.c"), **ROW)) == len(seal(longest, **ROW)) == SEALED_BYTES
    assert unseal(seal(longest, **ROW), **ROW) == longest


@pytest.mark.parametrize("name", sorted(ROW))
def test_one_wrong_bit_in_any_key_or_binding_is_refused(name: str) -> None:
    sealed = seal(ANA, **ROW)
    wrong = bytes([ROW[name][0] ^ 1]) + ROW[name][1:]
    with pytest.raises(UnsealRefused):
        unseal(sealed, **{**ROW, name: wrong})


@pytest.mark.parametrize("name", sorted(ROW))
def test_a_key_or_binding_of_another_length_is_refused(name: str) -> None:
    with pytest.raises(KeyRefused):
        seal(ANA, **{**ROW, name: ROW[name][:-1]})
    with pytest.raises(UnsealRefused):
        unseal(seal(ANA, **ROW), **{**ROW, name: ROW[name] + b"\0"})


@pytest.mark.parametrize("at", [0, 200, SEALED_BYTES - 1])
def test_an_altered_row_is_refused(at: int) -> None:
    sealed = bytearray(seal(ANA, **ROW))
    sealed[at] ^= 0x80
    with pytest.raises(UnsealRefused):
        unseal(bytes(sealed), **ROW)
    with pytest.raises(UnsealRefused):
        unseal(bytes(sealed[:at]), **ROW)


def test_the_neutral_point_is_no_lock() -> None:
    with pytest.raises(KeyRefused):
        seal(ANA, **{**ROW, "shared": bytes(32)})


def test_a_bundle_key_opens_under_its_own_header_and_key_only() -> None:
    wrapped, commitment = new_wrapped_key(PAIR.public, HEADER, DEK)
    assert unwrap(wrapped, commitment, HEADER, PAIR.private) == DEK
    assert commitment == hmac.digest(DEK, b"commit", hashlib.sha256)
    for change in (
        (wrapped, commitment, HEADER + b" ", PAIR.private),
        (wrapped, commitment, HEADER, keys.generate().private),
        (wrapped, bytes(32), HEADER, PAIR.private),
        (wrapped[:-1] + bytes([wrapped[-1] ^ 1]), commitment, HEADER, PAIR.private),
        (b"", commitment, HEADER, PAIR.private),
    ):
        with pytest.raises(UnsealRefused):
            unwrap(*change)


def test_wrapping_twice_gives_two_different_texts() -> None:
    assert (
        new_wrapped_key(PAIR.public, HEADER, DEK)[0]
        != (new_wrapped_key(PAIR.public, HEADER, DEK)[0])
    )


def test_keys_survive_their_byte_form() -> None:
    assert len(PAIR.public) == keys.PUBLIC_BYTES == 1216
    assert len(PAIR.private) == keys.PRIVATE_BYTES == 96
    assert keys.public_of(PAIR.private) == PAIR.public
    assert PAIR.private.hex() not in repr(PAIR)
    assert repr(PAIR.private)[2:-1] not in repr(PAIR)


@pytest.mark.parametrize("octets", [b"", b"x", os.urandom(1215), os.urandom(1217)])
def test_bytes_that_are_no_key_are_refused(octets: bytes) -> None:
    with pytest.raises(KeyRefused):
        keys.load_public(octets)
    with pytest.raises(KeyRefused):
        keys.load_private(octets)


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        (Payload(""), "email"),
        (Payload("a" * 255), "email"),
        (Payload("a@b.c\r\nBcc: x@y.z"), "email"),
        (Payload("a@b.c", "x" * 97), "first name"),
        (Payload("a@b.c", "A\0"), "first name"),
        (Payload("a@b.c", "\ud800"), "first name"),
        (Payload("a@b.c", "A", "x" * 25), "language"),
    ],
)
def test_a_payload_that_does_not_fit_says_which_field_and_not_what(
    payload: Payload, field: str
) -> None:
    with pytest.raises(PayloadRefused) as refused:
        seal(payload, **ROW)
    assert refused.value.field == field
    assert "a@b.c" not in f"{refused.value!s}{refused.value!r}"


def test_a_payload_shows_nothing_of_itself() -> None:
    assert repr(ANA) == "Payload()"

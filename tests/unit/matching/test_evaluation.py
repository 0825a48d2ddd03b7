"""A request and its answer hold together, and nothing else passes."""

import os
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from matching import evaluation, group
from matching.crypto_errors import MessageRefused
from matching.envelope import canonical, close, open_
from matching.evaluation import Request
from tests.fakes.dealer import split

KEY = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
PUBLIC = KEY.public_key().public_bytes_raw()
ASKED = Request(
    sid="ab" * 32,
    version=1,
    actor="union",
    batch="b",
    purpose="match",
    nonce="01" * 16,
    expires=datetime(2026, 11, 21, 14, tzinfo=UTC),
    points="cd" * 32,
)


def test_a_request_is_read_as_it_was_signed() -> None:
    message = evaluation.sign_request(ASKED, KEY.sign)
    assert evaluation.read_request(message, public=PUBLIC) == ASKED
    message["body"]["batch"] = "c"
    with pytest.raises(MessageRefused):
        evaluation.read_request(message, public=PUBLIC)


@pytest.mark.parametrize(
    "wrong", [{"nonce": "AB" * 16}, {"nonce": "00"}, {"points": "xx"}, {"sid": "", "nonce": ""}]
)
def test_a_misshapen_request_is_refused_though_signed(wrong: dict[str, str]) -> None:
    message = evaluation.sign_request(replace(ASKED, **wrong), KEY.sign)
    with pytest.raises(MessageRefused):
        evaluation.read_request(message, public=PUBLIC)


def test_the_same_request_gets_the_same_bytes_and_another_one_another_proof() -> None:
    statement, shares = split(group.reduce(os.urandom(64)), threshold=2, ids=("a", "b", "c"))
    points = b"".join(group.from_hash(os.urandom(64)) for _ in range(3))
    said = {"share": shares["a"], "commitment": statement.share("a")}
    one = evaluation.sign_request(ASKED, KEY.sign)
    two = evaluation.sign_request(replace(ASKED, nonce="02" * 16), KEY.sign)
    first, again = evaluation.answer(one, points, **said), evaluation.answer(one, points, **said)
    other = evaluation.answer(two, points, **said)
    assert first == again
    assert other[0] == first[0]
    assert other[1] != first[1]


def test_a_message_of_one_kind_is_never_another() -> None:
    message = close("stop", {"campaign": "c"}, by="union", sign=KEY.sign)
    assert open_("stop", message, public=PUBLIC) == {"campaign": "c"}
    for kind, wrong in [
        ("retire", message),
        ("retire", {**message, "kind": "retire"}),
        ("stop", {**message, "by": "league"}),
        ("stop", {**message, "signature": "00" * 64}),
        ("stop", {**message, "signature": "zz"}),
        ("stop", "no message"),
        ("stop", {}),
    ]:
        with pytest.raises(MessageRefused):
            open_(kind, wrong, public=PUBLIC)


def test_what_is_signed_has_one_byte_form() -> None:
    assert canonical({"b": [1, "é"], "a": None}) == '{"a":null,"b":[1,"é"]}'.encode()
    for wrong in ({"a": 1.5}, {"é": 1}, [{"a": [0.1]}]):
        with pytest.raises(MessageRefused):
            canonical(wrong)

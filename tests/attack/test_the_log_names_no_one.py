"""Whoever reads the public log, today or in ten years, reads no partner, subject, size or minute.

Threat: docs/threat-model.md#T9. The attacker has every entry's bytes, and may know all but one
fact. Limit, shown here as well: who holds the actors' public keys can try them on a signature.
"""

import json
import secrets
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from provenance.entry import ENTRY_BYTES, Drafted, check_signature, draft, parse

KEY = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
PUBLIC = KEY.public_key().public_bytes_raw()
NOON = datetime(2026, 11, 21, 12, 34, 56, tzinfo=UTC)


def written(partner: str, size: int, at: datetime = NOON) -> Drafted:
    return draft(
        "contribution",
        at=at,
        actor=PUBLIC,
        facts={"kind": "bundle", "partner": partner, "size_class": size},
        salt=lambda: secrets.token_bytes(32),
        sign=KEY.sign,
    )


@given(st.from_regex(r"[a-z]{4,40}", fullmatch=True), st.integers(10**6, 2**40))
def test_an_entry_shows_neither_its_partner_nor_its_size(partner: str, size: int) -> None:
    entry = written(f"the-{partner}", size).entry
    assert len(entry) == ENTRY_BYTES
    assert f"the-{partner}".encode() not in entry
    assert f'"{size}"'.encode() not in entry
    assert f":{size}".encode() not in entry
    assert PUBLIC.hex().encode() not in entry


def test_the_same_fact_twice_shares_nothing_that_could_be_joined() -> None:
    one, two = (json.loads(written("river-union", 512).entry) for _ in range(2))
    assert one["actor"] != two["actor"]
    assert set(one["commitments"]) == set(two["commitments"])
    assert not set(one["commitments"].values()) & set(two["commitments"].values())


def test_a_guess_without_the_salt_is_not_confirmed() -> None:
    drafted = written("river-union", 512)
    shown = json.loads(drafted.entry)["commitments"]["partner"]
    salt = drafted.openings["partner"].salt
    assert len(salt) == 32
    assert salt.hex().encode() not in drafted.entry
    again = json.loads(written("river-union", 512).entry)["commitments"]["partner"]
    assert shown != again


def test_an_entry_tells_the_hour_and_not_the_minute() -> None:
    early, late = (written("river-union", 512, NOON.replace(minute=m)) for m in (1, 59))
    assert {json.loads(one.entry)["at"] for one in (early, late)} == {"2026-11-21T12Z"}


def test_limit_a_signature_tells_its_actor_to_who_tries_the_right_public_key() -> None:
    check_signature(
        parse(written("river-union", 512).entry), PUBLIC
    )  # docs/threat-model.md says so

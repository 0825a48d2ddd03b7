"""Entries all look alike; only who holds an opening can say what one means."""

import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from provenance.canonical import (
    Opening,
    canonical,
    commitment,
    openings_from_json,
    openings_to_json,
)
from provenance.entry import ENTRY_BYTES, KINDS, draft, opened, parse
from provenance.errors import (
    CanonicalRefused,
    CommitmentRefused,
    EntryRefused,
    SignatureRefused,
)
from tests.fakes.actors import NOON, made, private, public


def test_every_type_of_entry_has_the_same_length_and_opens_again() -> None:
    for kind in KINDS:
        drafted = made("union", kind, kind="x", size_class=4096, sources=["a", "b"])
        assert len(drafted.entry) == ENTRY_BYTES == 1536
        found = opened(drafted.entry, drafted.openings)
        assert (found.kind, found.actor) == (kind, public("union"))
        assert found.facts == {"kind": "x", "size_class": 4096, "sources": ["a", "b"]}


def test_the_public_sees_type_and_hour_only() -> None:
    at = datetime(2026, 11, 21, 14, 59, 31, tzinfo=timezone(timedelta(hours=1)))
    drafted = made("union", "intent", at, kind="send", campaign="riverside", race="council")
    body = json.loads(drafted.entry)
    assert (body["type"], body["at"]) == ("intent", "2026-11-21T13Z")
    for word in (b"riverside", b"council", public("union").hex().encode()):
        assert word not in drafted.entry


def test_the_same_fact_twice_looks_different() -> None:
    one, two = (made("union", "sent", kind="closed", campaign="c") for _ in range(2))
    assert parse(one.entry).commitments["campaign"] != parse(two.entry).commitments["campaign"]
    assert parse(one.entry).actor != parse(two.entry).actor


def test_the_largest_intent_fits() -> None:
    names = ("campaign", "race", "digest", "root", "nonce", "size_class", "opens", "closes")
    facts = dict.fromkeys([*names, "agreement"], "f" * 64)
    drafted = made("operator", "intent", kind="send", sources=["a" * 40] * 20, **facts)
    assert len(drafted.entry) == ENTRY_BYTES


def test_too_many_facts_and_bad_words_are_refused() -> None:
    with pytest.raises(EntryRefused, match="do not fit"):
        made("union", "key", kind="x", **{f"fact{n}": n for n in range(30)})
    with pytest.raises(EntryRefused, match="type"):
        made("union", "gossip", kind="x")
    with pytest.raises(EntryRefused, match="kind"):
        made("union", "key", campaign="x")
    with pytest.raises(EntryRefused, match="time zone"):
        made("union", "key", NOON.replace(tzinfo=None), kind="x")


def test_a_key_that_is_not_the_actors_is_found_when_drafting() -> None:
    with pytest.raises(SignatureRefused):
        draft(
            "key",
            at=NOON,
            actor=public("union"),
            facts={"kind": "x"},
            salt=lambda: bytes(32),
            sign=private("somebody else").sign,
        )


def altered(change: dict[str, object]) -> bytes:
    """A well-formed entry of the right length with some fields replaced, signature kept."""
    body = json.loads(made("union", "sent", kind="closed", campaign="c").entry)
    body.update(change)
    spare = ENTRY_BYTES - len(canonical({**body, "pad": ""}))
    return canonical({**body, "pad": change.get("pad", "0" * spare)})


@pytest.mark.parametrize(
    "change",
    [
        {"at": "2026-11-21T14:00Z"},
        {"at": "2026-11-21T24Z"},
        {"at": "2026-1-21T14Z"},
        {"at": 5},
        {"type": "gossip"},
        {"actor": "AA" * 32},
        {"actor": "aa" * 31},
        {"signature": "zz" * 64},
        {"extra": 1},
        {"commitments": {}},
        {"commitments": {"campaign": "aa" * 32}},
        {"commitments": {"kind": "aa" * 32, "actor": "aa" * 32}},
        {"commitments": {"kind": "aa" * 32, "Bad Name": "aa" * 32}},
        {"commitments": []},
        {"pad": "1"},
    ],
    ids=str,
)
def test_anything_unusual_in_an_entry_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(EntryRefused):
        parse(altered(change))


@pytest.mark.parametrize("change", [{"type": "intent"}, {"at": "2026-11-21T13Z"}], ids=str)
def test_a_changed_entry_is_not_signed(change: dict[str, object]) -> None:
    drafted = made("union", "sent", kind="closed")
    body = {**json.loads(drafted.entry), **change}
    spare = ENTRY_BYTES - len(canonical({**body, "pad": ""}))
    with pytest.raises(SignatureRefused):
        opened(canonical({**body, "pad": "0" * spare}), drafted.openings)


def test_json_in_another_spelling_is_refused() -> None:
    entry = made("union", "sent", kind="closed").entry
    spaced = entry.replace(b'","', b'", "', 1)[:-4] + b'0"}'
    doubled = entry.replace(b'"pad":"' + b"0" * 14, b'"pad":"","pad":"', 1)
    for wrong in (spaced, doubled, entry[:-1], entry + b" ", b"\xff" * ENTRY_BYTES):
        with pytest.raises(EntryRefused):
            parse(wrong)


def test_an_opening_that_is_wrong_missing_or_superfluous_is_refused() -> None:
    drafted = made("union", "sent", kind="closed", campaign="c")
    good = drafted.openings
    salt = good["campaign"].salt
    for wrong in (
        {**good, "campaign": Opening(salt, "d")},
        {**good, "campaign": Opening(bytes(32), "c")},
        {**good, "campaign": Opening(salt + b"x", "c")},
        {**good, "actor": Opening(good["actor"].salt, public("other").hex())},
        {name: one for name, one in good.items() if name != "campaign"},
        {name: one for name, one in good.items() if name != "actor"},
        {**good, "race": Opening(bytes(32), "r")},
    ):
        with pytest.raises(CommitmentRefused):
            opened(drafted.entry, wrong)


def test_a_fact_may_stay_closed_when_the_reader_allows_it() -> None:
    drafted = made("union", "sent", kind="closed", campaign="c")
    some = {name: one for name, one in drafted.openings.items() if name != "campaign"}
    assert opened(drafted.entry, some, partial=True).facts == {"kind": "closed"}
    del some["kind"]
    with pytest.raises(CommitmentRefused):
        opened(drafted.entry, some, partial=True)


def test_openings_travel_as_json() -> None:
    drafted = made("union", "sent", kind="closed", released=5)
    travelled = json.loads(json.dumps(openings_to_json(drafted.openings)))
    assert openings_from_json(travelled) == drafted.openings
    for wrong in ([], {"kind": "x"}, {"kind": {"salt": "AA" * 32, "value": 1}}, {"kind": {}}):
        with pytest.raises(CommitmentRefused):
            openings_from_json(wrong)


def test_an_opening_shows_nothing_when_printed() -> None:
    assert "secret" not in repr(Opening(bytes(32), "secret"))


def test_a_value_without_one_form_is_refused() -> None:
    for wrong in (float("nan"), 2**60, object(), "\ud800", {1: 2}):
        with pytest.raises(CanonicalRefused):
            canonical(wrong)


def test_a_commitment_is_the_labelled_hash() -> None:
    expected = hashlib.sha256(b"trellis/commit/v1\n" + bytes(32) + b'{"a":1,"b":[]}').digest()
    assert commitment(bytes(32), {"b": [], "a": 1}) == expected


def test_the_hour_is_in_utc() -> None:
    assert parse(made("union", "sent", kind="closed").entry).at == datetime(
        2026, 11, 21, 12, tzinfo=UTC
    )


def test_the_bytes_of_an_entry_are_rfc_8785() -> None:
    for kind in KINDS:
        entry = made("union", kind, kind="x", zone="a", campaign="b").entry
        assert canonical(json.loads(entry)) == entry

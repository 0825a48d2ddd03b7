"""The agreement: what is written is what is obeyed, and nothing else is."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from policies.agreement import OPTIONAL, Agreement, digest, parse, to_bytes
from policies.errors import AgreementRefused

Make = Callable[..., Agreement]


def test_its_bytes_give_it_back(agreement: Agreement) -> None:
    document = to_bytes(agreement)
    assert parse(document) == agreement
    assert to_bytes(parse(document)) == document


def test_its_digest_is_that_of_the_exact_bytes(agreement: Agreement) -> None:
    document = to_bytes(agreement)
    assert digest(document) == hashlib.sha256(document).hexdigest()
    spaced = json.dumps(json.loads(document), indent=1).encode()
    assert parse(spaced) == agreement
    assert digest(spaced) != digest(document)


def test_the_default_is_the_one_of_the_paper(agreement: Agreement) -> None:
    assert agreement.purposes == ("gotv", "event")
    assert (agreement.caps.letters_per_week, agreement.caps.letters_per_race) == (1, 5)
    assert agreement.approval.rule == "all"
    assert (agreement.threshold, len(agreement.custodians)) == (2, 3)
    assert (agreement.trust, agreement.once) == ("threshold", "person")
    assert (agreement.retention_days, agreement.holdout_share) == (30, 0.0)
    assert agreement.use_terms["fundraising"] is False


def changed(agreement: Agreement, path: str, value: Any) -> bytes:
    document = json.loads(to_bytes(agreement))
    *outer, last = path.split(".")
    here = document
    for step in outer:
        here = here[int(step)] if isinstance(here, list) else here[step]
    here[int(last) if isinstance(here, list) else last] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        ("version", 2, "version"),
        ("version", True, "version"),
        ("race.time_zone", "Mars/Olympus", "race.time_zone"),
        ("race.time_zone", "../../etc/passwd", "race.time_zone"),
        ("race.polls_close", "2026-11-04", "race.polls_close"),
        ("race.id", "Ohio 44", "race.id"),
        ("wall", "both", "wall"),
        ("purposes", [], "purposes"),
        ("purposes", ["gotv", "gotv"], "purposes"),
        ("fields", ["first_name"], "fields"),
        ("fields", ["email", "donations"], "fields"),
        ("closes", "2026-09-01T00:00:00Z", "closes"),
        ("closes", "2026-11-05T00:00:00Z", "closes"),
        ("blackout", ["soon"], "blackout.0"),
        ("caps.letters_per_week", 0, "caps.letters_per_week"),
        ("caps.letters_per_week", True, "caps.letters_per_week"),
        ("approval", {"rule": "k of n"}, "approval.k"),
        ("approval", {"rule": "k of n", "k": 4}, "approval.k"),
        ("approval.rule", "silence", "approval.rule"),
        ("parties", [], "parties"),
        ("parties.1.public", "AA", "parties.1.public"),
        ("parties.1.public", "a" * 64, "parties"),
        ("parties.1.id", "union", "parties"),
        ("custodians.0.id", "c2", "custodians"),
        ("threshold", 4, "threshold"),
        ("threshold", 1, "trust"),
        ("trust", "operator", "trust"),
        ("holdout_share", 0.9, "holdout_share"),
        ("from_name", "{messenger}", "from_name"),
        ("from_name", "{partner} {password}", "from_name"),
        ("link_hosts", ["https://x.example/"], "link_hosts.0"),
        ("quiet_hours", ["25:00", "08:00"], "quiet_hours"),
        ("postal_address", " ", "postal_address"),
        ("postal_address", "x\r\nBcc: y", "postal_address"),
        ("use_terms.resale", True, "use_terms.resale"),
        ("use_terms.purposes", ["gotv"], "use_terms.purposes"),
        ("message_classes", ["persuasion"], "message_classes"),
        ("parties.0.tax_status", "candidate", "wall"),
        ("surprise", 1, "document"),
        ("caps.surprise", 1, "caps"),
    ],
)
def test_a_bad_value_is_refused_by_its_key(
    agreement: Agreement, path: str, value: Any, where: str
) -> None:
    with pytest.raises(AgreementRefused) as refused:
        parse(changed(agreement, path, value))
    assert refused.value.key == where


def test_an_optional_key_that_says_nothing_is_not_written(make: Make) -> None:
    document = json.loads(to_bytes(make()))
    assert not set(OPTIONAL) & set(document)
    named = make(candidates=["Ada Flores", "Bo Ray"])
    assert parse(to_bytes(named)).candidates == ("Ada Flores", "Bo Ray")
    for wrong in ([], ["Ada", "Ada"], [""], "Ada"):
        with pytest.raises(AgreementRefused, match="candidates"):
            parse(json.dumps({**document, "candidates": wrong}).encode())


@pytest.mark.parametrize("key", [k for k in Agreement.__dataclass_fields__ if k not in OPTIONAL])
def test_every_key_is_required(agreement: Agreement, key: str) -> None:
    document = json.loads(to_bytes(agreement))
    del document[key]
    with pytest.raises(AgreementRefused) as refused:
        parse(json.dumps(document).encode())
    assert refused.value.key == key


@pytest.mark.parametrize("document", [b"", b"[]", b"\xff", b"null", b'{"version":1', b"[" * 9999])
def test_what_is_no_object_is_refused(document: bytes) -> None:
    with pytest.raises(AgreementRefused):
        parse(document)


def test_a_key_written_twice_is_refused(agreement: Agreement) -> None:
    document = to_bytes(agreement).replace(b'"threshold":2', b'"threshold":2,"threshold":3')
    with pytest.raises(AgreementRefused):
        parse(document)


def test_one_of_one_custodians_must_be_said(make: Make) -> None:
    one = [{"id": "op", "public": "9" * 64}]
    with pytest.raises(AgreementRefused):
        make(custodians=one, threshold=1)
    assert make(custodians=one, threshold=1, trust="operator").trust == "operator"


def test_a_charity_stays_nonpartisan(make: Make) -> None:
    document = to_bytes(make())
    charity = document.replace(b'"tax_status":"other"', b'"tax_status":"501c3"', 1)
    assert parse(charity).party("union").tax_status == "501c3"
    with pytest.raises(AgreementRefused):
        parse(charity.replace(b'"wall":"nonpartisan"', b'"wall":"independent"'))

"""The conformance vectors, and the laws around them."""

import json
from importlib import resources
from typing import Any

import nicknames
import pytest

from matching import normalise

VECTORS: dict[str, Any] = json.loads(
    resources.files("matching").joinpath("data/vectors.json").read_text("utf-8")
)


def _cases(kind: str) -> list[Any]:
    return [
        pytest.param(case["typed"], case["is"], id=str(case["typed"])) for case in VECTORS[kind]
    ]


def test_the_vectors_are_of_this_version() -> None:
    assert VECTORS["version"] == normalise.VERSION


@pytest.mark.parametrize(("typed", "folded"), _cases("names"))
def test_names(typed: list[str], folded: list[str]) -> None:
    assert list(normalise.names(*typed)) == folded


@pytest.mark.parametrize("kind", ["root", "sound", "mailbox", "email", "phone", "zip5"])
def test_single_fields(kind: str) -> None:
    for case in VECTORS[kind]:
        assert getattr(normalise, kind)(case["typed"]) == case["is"]


@pytest.mark.parametrize(("typed", "date"), _cases("birth"))
def test_dates(typed: str, date: list[int] | None) -> None:
    found = normalise.birth(typed)
    assert (found and [found.year, found.month, found.day]) == date


@pytest.mark.parametrize(("typed", "parts"), _cases("address"))
def test_addresses(typed: str, parts: list[str] | None) -> None:
    found = normalise.address(typed)
    assert (found and [found.number, found.street, found.unit, found.full]) == parts


def test_spellings_of_one_street_agree() -> None:
    spelt = ["45 First Avenue", "45 1st Ave.", "45 FIRST AV", "45 N First Ave Apt 9"]
    assert len({(a.number, a.street) for s in spelt if (a := normalise.address(s))}) == 1


def test_an_internationalised_domain_is_an_address() -> None:
    assert normalise.mailbox("ana@xn--e1afmkfd.xn--p1ai")
    assert not normalise.mailbox("ana@10.0.0.12")


def test_the_frozen_nicknames_are_known_to_the_package_they_came_from() -> None:
    table = json.loads(
        resources.files("matching").joinpath("data/nickname_roots.json").read_text("utf-8")
    )
    assert table["version"] == normalise.VERSION
    namer = nicknames.NickNamer()
    for nick in ("bob", "peggy", "liz", "ted"):
        assert table["roots"][nick] in namer.canonicals_of(nick)


def test_a_commoner_canonical_wins_and_chains_are_one_step() -> None:
    roots = normalise.roots_from(
        [("robert", "bob"), ("bobson", "bob"), ("hannah", "anneke"), ("x", "hannah")],
        {"robert": 3.0, "bobson": 0.1, "hannah": 1.0, "x": 2.0},
    )
    assert (roots["bob"], roots["anneke"], roots["hannah"]) == ("robert", "hannah", "x")


def test_what_holds_a_person_prints_nothing() -> None:
    found = normalise.address("12 Canary Street")
    assert "canary" not in repr(found).lower()
    assert "1970" not in repr(normalise.birth("1970"))

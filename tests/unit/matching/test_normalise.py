"""The conformance vectors, and the laws around them."""

import json
import tracemalloc
from collections import Counter
from importlib import resources
from itertools import pairwise
from typing import Any

import nicknames
import pytest

from mailer import addresses
from matching import normalise

VECTORS: dict[str, Any] = json.loads(
    resources.files("matching").joinpath("data/vectors.json").read_text("utf-8")
)
CASES: list[dict[str, Any]] = VECTORS["cases"]
NAME = ("first", "middle", "last", "suffix")
ADDRESS = ("number", "street", "unit", "full")
BIRTH = ("year", "month", "day")


def _birth(raw: str) -> dict[str, int] | None:
    found = normalise.birth(raw)
    return found and {part: getattr(found, part) for part in BIRTH}


def _address(raw: str) -> dict[str, str] | None:
    found = normalise.address(raw)
    return found and {part: getattr(found, part) for part in ADDRESS}


RUN = {
    "letters": normalise.letters,
    "names": lambda typed: dict(zip(NAME, normalise.names(*map(typed.get, NAME)), strict=True)),
    "parted": lambda typed: list(normalise.parted(typed)),
    "surnames": lambda typed: list(normalise.surnames(typed)),
    "root": normalise.root,
    "sound": normalise.sound,
    "mailbox": normalise.mailbox,
    "email": normalise.email,
    "phone": normalise.phone,
    "zip": normalise.zip5,
    "birth": _birth,
    "address": _address,
    "household": lambda typed: normalise.address_key(
        normalise.address(typed["address"]), normalise.zip5(typed["zip"])
    ),
}


def _outputs(kind: str) -> list[Any]:
    return [case["output"] for case in CASES if case["kind"] == kind]


def test_the_vectors_are_of_this_version_and_say_nothing_but_their_four_fields() -> None:
    assert VECTORS["version"] == normalise.VERSION
    assert set(VECTORS) == {"version", "cases"}
    assert all(set(case) == {"kind", "locale", "input", "output"} for case in CASES)
    asked = Counter(json.dumps([case["kind"], case["input"]]) for case in CASES)
    assert asked.most_common(1)[0][1] == 1


def test_there_are_vectors_of_every_kind_and_at_least_four_hundred() -> None:
    assert len(CASES) >= 400
    assert {case["kind"] for case in CASES} == set(RUN)


@pytest.mark.parametrize("kind", sorted(RUN))
def test_every_vector_is_reproduced(kind: str) -> None:
    wrong = [
        (case["input"], case["output"], RUN[kind](case["input"]))
        for case in CASES
        if case["kind"] == kind and RUN[kind](case["input"]) != case["output"]
    ]
    assert wrong == []


@pytest.mark.parametrize("kind", ["letters", "mailbox", "email", "phone", "zip"])
def test_what_comes_out_goes_in_again_unchanged(kind: str) -> None:
    assert [out for out in _outputs(kind) if RUN[kind](out) != out] == []


def test_names_that_come_out_go_in_again_unchanged() -> None:
    changed = [out for out in _outputs("names") if RUN["names"](out) != out]
    assert changed == []


def test_everything_that_comes_out_of_tokens_is_plain_text() -> None:
    for kind in ("letters", "root", "sound", "phone", "zip", "household"):
        assert all(out.isascii() for out in _outputs(kind))
    assert all("".join(out.values()).isascii() for out in _outputs("names"))
    assert all("".join(out.values()).isascii() for out in _outputs("address") if out)


def test_a_mailbox_that_is_written_to_can_always_be_recognised() -> None:
    for case in CASES:
        if case["kind"] in ("mailbox", "email"):
            typed = case["input"]
            assert bool(normalise.mailbox(typed)) == bool(normalise.email(typed))


def test_a_stop_and_an_address_token_spell_one_mailbox_alike() -> None:
    typed = [case["input"] for case in CASES if case["kind"] == "email"]
    spelt = {found for each in typed if (found := normalise.mailbox(each))}
    assert len(spelt) > 10
    for address in spelt:
        assert addresses.normalise(address).decode() == normalise.email(address)


def test_spellings_of_one_street_agree() -> None:
    spelt = ["45 First Avenue", "45 1st Ave.", "45 FIRST AV", "45 N First Ave Apt 9"]
    assert len({(a.number, a.street) for s in spelt if (a := normalise.address(s))}) == 1


def test_neighbours_on_one_street_are_two_households() -> None:
    homes = ["45 Oak St", "45 1/2 Oak St", "45B Oak St", "45 Oak St Apt 2", "45 N Oak St"]
    assert len({normalise.address_key(normalise.address(home), "80202") for home in homes}) == 5


def test_an_internationalised_domain_is_an_address() -> None:
    assert normalise.mailbox("ana@xn--e1afmkfd.xn--p1ai")
    assert not normalise.mailbox("ana@10.0.0.12")


@pytest.mark.parametrize("char", ["\ud800", "\x00", "(", '"', "\u0301", "9", "\u202e", "İ"])
@pytest.mark.parametrize("kind", sorted(set(RUN) - {"names", "household", "root", "sound"}))
def test_hostile_text_of_any_length_is_missing_and_costs_no_memory(kind: str, char: str) -> None:
    tracemalloc.start()
    found = RUN[kind](char * 1_000_001)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert not found or not any(found)
    assert peak < 30_000_000


def test_a_field_is_read_up_to_a_thousand_characters_and_not_beyond() -> None:
    lengths = [len(normalise.letters("a" * size)) for size in (999, 1000, 1001)]
    assert lengths == [40, 40, 0]
    assert all(a >= b for a, b in pairwise(lengths))


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

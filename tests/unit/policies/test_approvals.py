"""Exactly these bytes, and enough of exactly these partners."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from policies.agreement import Agreement, digest, to_bytes
from policies.approvals import check_against, check_manifest, enough, manifest_digest
from policies.errors import ManifestRefused, NotYetApproved

MANIFEST: dict[str, Any] = {
    "campaign": "0b0e5a36-4f0e-4b1e-9d6e-0c3c0d8f6a11",
    "race": "oh-house-44",
    "definition": {"places": {"district": ["State House 44"]}},
    "sources": ["parks", "union"],
    "agreement": "d" * 64,
    "template": "e" * 64,
    "sender": {
        "parks": {"from": "Maria for Parks", "domain": "parks.example"},
        "union": {"from": "Maria for Union", "domain": "union.example"},
    },
    "links": ["https://vote.example/where"],
    "window": {"opens": "2026-10-05T12:00:00Z", "closes": "2026-10-07T12:00:00Z"},
    "size_class": 4096,
    "messenger": {"name": "Maria", "place": "Toledo"},
}


def test_a_changed_comma_is_another_digest() -> None:
    check_manifest(MANIFEST)
    rules = {"age": ["65+"], "primaries": ["3-4"], "votes": ["new"]}
    check_manifest({**MANIFEST, "definition": {**MANIFEST["definition"], **rules}})
    turned = dict(reversed(list(MANIFEST.items())))
    assert manifest_digest(turned) == manifest_digest(MANIFEST)
    comma = {**MANIFEST, "messenger": {"name": "Maria,", "place": "Toledo"}}
    assert manifest_digest(comma) != manifest_digest(MANIFEST)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("campaign", ""),
        ("race", "Ohio"),
        ("agreement", "d"),
        ("template", "E" * 64),
        ("sources", []),
        ("sources", ["union", "parks"]),
        ("sources", ["union", "union"]),
        ("links", "https://x"),
        ("definition", {}),
        ("definition", {"places": {"zip": ["1"]}, "partner": "union"}),
        ("sender", {}),
        ("sender", {"parks": {}, "union": {}}),
        ("window", {"opens": "2026-10-07T12:00:00Z", "closes": "2026-10-05T12:00:00Z"}),
        ("window", {"opens": "soon", "closes": "later"}),
        ("messenger", {"name": "Maria"}),
        ("size_class", 1000),
        ("size_class", True),
    ],
)
def test_a_strange_manifest_is_refused_by_its_key(key: str, value: Any) -> None:
    with pytest.raises(ManifestRefused):
        check_manifest({**MANIFEST, key: value})


@pytest.mark.parametrize("key", sorted(MANIFEST))
def test_every_key_is_needed_and_no_other(key: str) -> None:
    short = copy.deepcopy(MANIFEST)
    del short[key]
    for wrong in (short, {**MANIFEST, "note": "x"}):
        with pytest.raises(ManifestRefused):
            check_manifest(wrong)


def test_a_manifest_stays_inside_its_agreement(make: Callable[..., Agreement]) -> None:
    agreement = make(link_hosts=["vote.example"], size_class_max=4096)
    named = digest(to_bytes(agreement))
    good = {**MANIFEST, "agreement": named}
    check_against(good, agreement, named)
    window = {"opens": "2026-09-05T12:00:00Z", "closes": "2026-10-07T12:00:00Z"}
    sender = {s: {"from": "x", "domain": "y"} for s in ("parks", "stranger")}
    for key, changes in [
        ("agreement", {"agreement": "d" * 64}),
        ("race", {"race": "other"}),
        ("size_class", {"size_class": 8192}),
        ("window", {"window": window}),
        ("sources", {"sources": ["parks", "stranger"], "sender": sender}),
        ("links", {"links": ["https://vote.example.evil.example/"]}),
        ("links", {"links": ["https://vote.example@evil.example/"]}),
    ]:
        with pytest.raises(ManifestRefused) as refused:
            check_against({**good, **changes}, agreement, named)
        assert refused.value.key == key


def test_all_means_every_source(agreement: Agreement) -> None:
    enough(agreement, ["union", "parks"], ["parks", "union"])
    with pytest.raises(NotYetApproved) as refused:
        enough(agreement, ["union", "parks"], ["parks", "parks", "tenants"])
    assert (refused.value.missing, refused.value.needed) == (("union",), 1)


def test_k_of_n_counts_each_source_once(make: Callable[..., Agreement]) -> None:
    two = make(approval={"rule": "k of n", "k": 2})
    every = ["union", "parks", "tenants"]
    enough(two, every, ["union", "tenants"])
    enough(two, ["union"], ["union"])
    with pytest.raises(NotYetApproved):
        enough(two, every, ["union", "union"])
    with pytest.raises(NotYetApproved):
        enough(two, ["union"], [])


def test_nobody_and_strangers_approve_nothing(agreement: Agreement) -> None:
    for sources in ([], ["stranger"]):
        with pytest.raises(NotYetApproved):
            enough(agreement, sources, ["stranger", "union", "parks", "tenants"])


SEVERAL = {
    **MANIFEST,
    "messengers": [{"name": "Ana", "place": "Toledo"}, {"name": "Maria", "place": "Toledo"}],
    "sender": {
        one: {"from": f"{{messenger}} for {one.title()}", "domain": f"{one}.example"}
        for one in ("parks", "union")
    },
}


def test_several_messengers_are_all_named_and_each_from_line_says_where_a_name_goes() -> None:
    check_manifest(SEVERAL)
    fewer = {**SEVERAL, "messengers": SEVERAL["messengers"][1:]}
    check_manifest(fewer)
    assert manifest_digest(fewer) != manifest_digest(SEVERAL)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("messengers", []),
        ("messengers", [{"name": "Maria"}]),
        ("messengers", list(reversed(SEVERAL["messengers"]))),
        ("messengers", [SEVERAL["messengers"][1]] * 2),
        ("messengers", SEVERAL["messengers"][:1]),  # whom previews name is not among them
        ("sender", MANIFEST["sender"]),
        ("somebody", {}),
    ],
)
def test_a_list_of_messengers_that_could_hide_somebody_is_refused(key: str, value: Any) -> None:
    with pytest.raises(ManifestRefused):
        check_manifest({**SEVERAL, key: value})


def test_the_shares_of_arms_are_part_of_what_is_approved() -> None:
    shared = {**MANIFEST, "arms": [2, 1]}
    check_manifest(shared)
    assert manifest_digest(shared) != manifest_digest({**MANIFEST, "arms": [1, 2]})


@pytest.mark.parametrize("value", [[], [1], [1] * 5, [0, 1], [1, 101], [True, 1], [1.0, 1], "2,1"])
def test_shares_that_are_none_are_refused(value: Any) -> None:
    with pytest.raises(ManifestRefused, match="arms"):
        check_manifest({**MANIFEST, "arms": value})

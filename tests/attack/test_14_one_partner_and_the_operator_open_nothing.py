"""The operator and one partner open no row of the others: not by an agreement they chose.

Threat: docs/threat-model.md, operator with live mailer and a willing partner. They may write any
agreement, invite, manifest and intent, and sign with both of their keys; each way is refused by
its own name.
"""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consortium.custodian.errors import Refused
from matching.locks import make_entry
from tests.fakes.campaign import Campaign, make_agreement, make_campaign, make_rows, put_roster
from tests.fakes.custodians import EPOCH, World, public

OWN, VICTIMS = make_rows(1), make_rows(5)
ENTRIES = [make_entry(EPOCH, secret, r) for secret, r in OWN + VICTIMS]
ALONE = ("union",)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.deal("seal")
    put_roster(made, ENTRIES)
    yield made
    made.client.close()
    for host in made.hosts.values():
        host.ledger.close()


def only_union(world: World, agreement: bytes, **more: Any) -> Campaign:
    """Everything that the operator and the union can sign between them."""
    return make_campaign(
        world,
        ENTRIES,
        sources=ALONE,
        agreement=agreement,
        signers=ALONE,
        attesters=ALONE,
        **more,
    )


def toy(world: World) -> Campaign:
    return only_union(world, json.dumps({"caps": {"opens_per_week": 1000}}).encode())


def real_but_for_one(world: World) -> Campaign:
    return only_union(world, make_agreement(world, parties=["union"]))


def sybil(world: World) -> Campaign:
    """A partner that the operator invented, in a new invite that the custodian took."""
    world.keys["sybil"] = Ed25519PrivateKey.generate()
    held = public(world.keys["sybil"]).hex()
    world.invite["actors"].append(  # type: ignore[attr-defined]
        {"id": "sybil", "role": "partner", "name": "sybil", "public": held}
    )
    for host in world.hosts.values():
        (host.settings.home / "invite.json").write_text(json.dumps(world.invite))
    two = ("sybil", "union")
    return make_campaign(
        world,
        ENTRIES,
        sources=two,
        agreement=make_agreement(world, parties=two),
        signers=two,
        attesters=two,
    )


def a_party_under_the_operators_key(world: World) -> Campaign:
    """The victims are named as parties, under keys that the operator holds."""
    known = dict(world.keys)
    for one in ("league", "parks"):
        world.keys[one] = Ed25519PrivateKey.generate()
    campaign = make_campaign(world, ENTRIES, agreement=make_agreement(world))
    world.keys.update(known)
    return campaign


def own_custodians(world: World) -> Campaign:
    own = [{"id": one, "public": os.urandom(32).hex()} for one in world.ids]
    return make_campaign(world, ENTRIES, agreement=make_agreement(world, custodians=own))


def a_custodian_less(world: World) -> Campaign:
    fewer = [{"id": one, "public": public(world.keys[one]).hex()} for one in world.ids[:2]]
    return make_campaign(world, ENTRIES, agreement=make_agreement(world, custodians=fewer))


def another_threshold(world: World) -> Campaign:
    return make_campaign(world, ENTRIES, agreement=make_agreement(world, threshold=3))


def another_race(world: World) -> Campaign:
    return make_campaign(world, ENTRIES, agreement=make_agreement(world, race="kent-45"))


def not_signed_by_all(world: World) -> Campaign:
    return make_campaign(world, ENTRIES, signers=("league", "union"))


def non_source_did_not_attest(world: World) -> Campaign:
    return make_campaign(world, ENTRIES, attesters=("league", "union"))


def only_union_attests(world: World) -> Campaign:
    return make_campaign(world, ENTRIES, sources=ALONE, attesters=ALONE)


def before_the_agreement(world: World) -> Campaign:
    return make_campaign(world, ENTRIES, days=(-2, 3))


def after_the_agreement(world: World) -> Campaign:
    return make_campaign(world, ENTRIES, days=(-0.5, 31))


def larger_than_agreed(world: World) -> Campaign:
    small = make_agreement(world, size_class_max=8)
    return make_campaign(world, ENTRIES, size_class=16, agreement=small)


WAYS: dict[str, tuple[Callable[[World], Campaign], str]] = {
    "a toy agreement": (toy, "agreement-unreadable"),
    "an agreement with nobody else": (real_but_for_one, "wrong-parties"),
    "a sybil in a new invite": (sybil, "wrong-parties"),
    "a party under the operator's key": (a_party_under_the_operators_key, "wrong-parties"),
    "custodians of one's own": (own_custodians, "wrong-custodians"),
    "a custodian less": (a_custodian_less, "wrong-custodians"),
    "another threshold": (another_threshold, "wrong-custodians"),
    "another race": (another_race, "wrong-race"),
    "a party that did not sign": (not_signed_by_all, "not-agreed"),
    "a non-source that did not attest": (non_source_did_not_attest, "not-attested"),
    "one source that attests alone": (only_union_attests, "not-attested"),
    "a window that opens too early": (before_the_agreement, "outside-agreement"),
    "a window that closes too late": (after_the_agreement, "outside-agreement"),
    "a set larger than agreed": (larger_than_agreed, "too-large"),
}


@pytest.mark.parametrize("way", WAYS)
def test_each_way_round_the_others_is_refused_by_its_name(world: World, way: str) -> None:
    make, name = WAYS[way]
    campaign = make(world)
    for to in world.ids:
        with pytest.raises(Refused) as refused:
            world.hosts[to].custodian.open_release(campaign.body(world, to))
        assert refused.value.name == name
        assert world.hosts[to].ledger.status()["opens"] == 0


def test_one_source_opens_once_every_party_has_looked_for_its_own_rows(world: World) -> None:
    campaign = make_campaign(world, ENTRIES[:1], sources=ALONE)
    for to in ("ann", "bea"):
        world.hosts[to].custodian.open_release(campaign.body(world, to))
        assert world.hosts[to].ledger.status()["opens"] == 1


def test_how_often_is_what_the_signed_document_says(world: World) -> None:
    caps = {"letters_per_week": 1, "letters_per_race": 5, "opens_per_week": 1}
    agreed = make_agreement(world, caps=caps)
    first = make_campaign(world, ENTRIES, agreement=agreed)
    world.hosts["ann"].custodian.open_release(first.body(world, "ann"))
    second = make_campaign(world, ENTRIES, name="c2", agreement=agreed)
    with pytest.raises(Refused, match="opened-too-often"):
        world.hosts["ann"].custodian.open_release(second.body(world, "ann"))


@pytest.mark.parametrize(
    ("field", "value"),
    [("size_class", "16"), ("size_class", True), ("race", 7), ("agreement", None)],
)
def test_a_misshapen_manifest_is_refused_and_not_a_fault(
    world: World, field: str, value: object
) -> None:
    campaign = make_campaign(world, ENTRIES)
    campaign.manifest[field] = value
    with pytest.raises(Refused, match="malformed"):
        world.hosts["ann"].custodian.open_release(campaign.body(world, "ann"))

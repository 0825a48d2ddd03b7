"""A campaign with all its evidence, made with the actors of `tests.fakes.custodians`."""

import base64
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from consortium.custodians import Shown
from matching import group, locks
from matching.envelope import canonical
from matching.evaluation import stamp
from matching.locks import RosterEntry
from policies import agreement as agreements
from provenance.merkle import tree_root
from tests.fakes.custodians import EPOCH, RACE, World, public


@dataclass
class Campaign:
    """Everything POST /release needs, still in pieces so that a test can leave one out."""

    manifest: dict[str, Any]
    agreement: bytes
    evidence: dict[str, Any]
    nonce: bytes
    locks: list[bytes]
    rows: list[tuple[bytes, bytes]] = field(default_factory=list)

    @property
    def digest(self) -> str:
        return hashlib.sha256(canonical(self.manifest)).hexdigest()

    @property
    def root(self) -> str:
        return tree_root(locks.audience_leaves(self.nonce, self.locks)).hex()

    @property
    def shown(self) -> Shown:
        return Shown(self.manifest, self.agreement, self.evidence, self.nonce, self.locks)

    def body(self, world: World, to: str, by: str = "mailer") -> dict[str, Any]:
        raw = b"".join(self.locks)
        said = {"digest": self.digest, "locks": hashlib.sha256(raw).hexdigest(), "version": 1}
        return {
            "call": world.signed("release-open", by, to, said),
            "manifest": self.manifest,
            "agreement": base64.b64encode(self.agreement).decode(),
            "evidence": self.evidence,
            "nonce": self.nonce.hex(),
            "locks": base64.b64encode(raw).decode(),
        }


def make_rows(count: int) -> list[tuple[bytes, bytes]]:
    """Row secrets and scalars."""
    return [(os.urandom(32), group.reduce(os.urandom(64))) for _ in range(count)]


def put_roster(
    world: World, entries: list[RosterEntry], chunk: int = 0, epoch: str = EPOCH
) -> dict[str, Any]:
    """Log a roster chunk and let custodians pull it; returns its evidence."""
    whole = [entry.to_bytes() for entry in entries]
    raw = b"".join(whole)
    proof = world.entry(
        "operator",
        kind="roster",
        epoch=epoch,
        chunk=chunk,
        digest=hashlib.sha256(raw).hexdigest(),
        root=tree_root(whole).hex(),
        size=len(entries),
    )
    world.rosters.of(epoch)[chunk] = (raw, proof)
    return proof


def intent(world: World, campaign: Campaign, **other: Any) -> dict[str, Any]:
    """Log the intent of a campaign."""
    manifest = campaign.manifest
    facts = {
        "kind": "send",
        "campaign": manifest["campaign"],
        "race": RACE,
        "digest": campaign.digest,
        "root": campaign.root,
        "nonce": campaign.nonce.hex(),
        "size_class": manifest["size_class"],
        "opens": manifest["window"]["opens"],
        "closes": manifest["window"]["closes"],
        "agreement": manifest["agreement"],
        "sources": manifest["sources"],
        "places": manifest["definition"]["places"],
        "subject": "A made-up subject",
    }
    return world.entry("operator", **{**facts, **other})


def parties_of(world: World) -> list[str]:
    """The partners of the world's registry."""
    actors: Any = world.invite["actors"]
    return sorted(one["id"] for one in actors if one["role"] == "partner")


def make_agreement(
    world: World, *, parties: Sequence[str] | None = None, race: str = RACE, **terms: Any
) -> bytes:
    """A real agreement over the world's own keys; ``terms`` replace keys of the document."""
    polls = max(world.now, datetime.now(UTC)) + timedelta(days=60)
    made = agreements.default(
        race={
            "id": race,
            "name": "Kent 44",
            "office": "State Representative",
            "state": "OH",
            "jurisdiction": "Ohio",
            "election_date": polls.date().isoformat(),
            "polls_close": stamp(polls),
            "time_zone": "America/New_York",
        },
        parties=[
            {
                "id": one,
                "name": one.title(),
                "domain": f"{one}.example",
                "relation": "member",
                "public": public(world.keys[one]).hex(),
            }
            for one in (parties or parties_of(world))
        ],
        **{
            "custodians": [
                {"id": one, "public": public(world.keys[one]).hex()} for one in world.ids
            ],
            "threshold": world.threshold,
            "opens": world.now - timedelta(days=1),
            "closes": world.now + timedelta(days=30),
            "postal_address": "1 Main Street, Kent OH 44240",
            "trust": "operator" if world.threshold == 1 else "threshold",
            **terms,
        },
    )
    return agreements.to_bytes(made)


def make_campaign(
    world: World,
    entries: list[RosterEntry],
    *,
    name: str = "c1",
    size_class: int = 16,
    sources: Sequence[str] = ("league", "union"),
    agreement: bytes | None = None,
    signers: Sequence[str] | None = None,
    attesters: Sequence[str] | None = None,
    days: tuple[float, float] = (-1 / 24, 3),
) -> Campaign:
    """Agreement, approvals, attestations and intent of a campaign over these rows.

    Args:
        agreement: its bytes, if not the default one.
        signers, attesters: who signs the agreement and attests; every partner unless told.
        days: when the window opens and closes, counted from the world's now.
    """
    agreement = agreement or make_agreement(world)
    everyone = parties_of(world)
    window = {
        "opens": stamp(world.now + timedelta(days=days[0])),
        "closes": stamp(world.now + timedelta(days=days[1])),
    }
    manifest = {
        "campaign": name,
        "race": RACE,
        "definition": {"places": {"precinct": ["44-1204"]}},
        "sources": list(sources),
        "agreement": hashlib.sha256(agreement).hexdigest(),
        "template": "ab" * 32,
        "window": window,
        "size_class": size_class,
    }
    each = [entry.lock for entry in entries]
    campaign = Campaign(manifest, agreement, {}, os.urandom(32), each)
    said = {"campaign": name, "digest": campaign.digest}
    signed = {"race": RACE, "digest": manifest["agreement"]}
    campaign.evidence = {
        "agreement": [world.entry(one, kind="sign", **signed) for one in signers or everyone],
        "approvals": [world.entry(one, kind="approve", **said) for one in sources],
        "attestations": [
            world.entry(one, kind="attest", root=campaign.root, **said)
            for one in attesters or everyone
        ],
        "intent": intent(world, campaign),
    }
    return campaign

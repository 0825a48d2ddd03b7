"""A campaign with all its evidence, made with the actors of `tests.fakes.custodians`."""

import base64
import hashlib
import json
import os
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from matching import group, locks
from matching.envelope import canonical
from matching.evaluation import stamp
from matching.locks import RosterEntry
from provenance.merkle import tree_root
from tests.fakes.custodians import EPOCH, RACE, World


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

    def body(self, world: World, to: str, by: str = "mailer") -> dict[str, Any]:
        raw = b"".join(self.locks)
        said = {"digest": self.digest, "locks": hashlib.sha256(raw).hexdigest()}
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


def put_roster(world: World, entries: list[RosterEntry], chunk: int = 0) -> dict[str, Any]:
    """Log a roster chunk and let custodians pull it; returns its evidence."""
    whole = [entry.to_bytes() for entry in entries]
    raw = b"".join(whole)
    proof = world.entry(
        "operator",
        kind="roster",
        epoch=EPOCH,
        chunk=chunk,
        digest=hashlib.sha256(raw).hexdigest(),
        root=tree_root(whole).hex(),
        size=len(entries),
    )
    world.rosters.chunks[chunk] = (raw, proof)
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
    }
    return world.entry("operator", **{**facts, **other})


def make_campaign(
    world: World,
    entries: list[RosterEntry],
    *,
    name: str = "c1",
    size_class: int = 16,
    opens_per_week: int = 2,
    trust: str = "custodians",
) -> Campaign:
    """Agreement, approvals, attestations and intent of a campaign over these rows."""
    terms = {"caps": {"opens_per_week": opens_per_week}, "trust": trust}
    agreement = json.dumps(terms).encode()
    window = {
        "opens": stamp(world.now - timedelta(hours=1)),
        "closes": stamp(world.now + timedelta(days=3)),
    }
    manifest = {
        "campaign": name,
        "race": RACE,
        "definition": {"places": {"precinct": ["44-1204"]}},
        "sources": ["league", "union"],
        "agreement": hashlib.sha256(agreement).hexdigest(),
        "template": "ab" * 32,
        "window": window,
        "size_class": size_class,
    }
    each = [entry.lock for entry in entries]
    campaign = Campaign(manifest, agreement, {}, os.urandom(32), each)
    said = {"campaign": name, "digest": campaign.digest}
    signed = {"race": RACE, "digest": manifest["agreement"]}
    both = ("league", "union")
    campaign.evidence = {
        "agreement": [world.entry(one, kind="sign", **signed) for one in both],
        "approvals": [world.entry(one, kind="approve", **said) for one in both],
        "attestations": [
            world.entry(one, kind="attest", root=campaign.root, **said) for one in both
        ],
        "intent": intent(world, campaign),
    }
    return campaign

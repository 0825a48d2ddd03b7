"""One entry with its openings and its proof: all that somebody else needs to believe a fact."""

import base64
import binascii
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from provenance.canonical import JSON, Opening, openings_from_json, openings_to_json
from provenance.entry import opened, parse
from provenance.errors import ReceiptRefused
from provenance.quorum import Cosigned, Policy
from provenance.receipt import check_receipt


@dataclass(frozen=True, slots=True)
class Evidence:
    """One entry, what opens it, and the tlog-proof that the log holds it."""

    entry: bytes = field(repr=False)
    openings: dict[str, Opening] = field(repr=False)
    proof: str = field(repr=False)

    def to_json(self) -> dict[str, JSON]:
        """``{"entry": base64, "openings": {...}, "proof": text}``."""
        return {
            "entry": base64.b64encode(self.entry).decode("ascii"),
            "openings": openings_to_json(self.openings),
            "proof": self.proof,
        }

    def only(self, *names: str) -> "Evidence":
        """The same with no more opened than who acted and these facts."""
        kept = {name: one for name, one in self.openings.items() if name in ("actor", *names)}
        return Evidence(self.entry, kept, self.proof)

    @classmethod
    def from_json(cls, value: JSON) -> "Evidence":
        """Read what ``to_json`` wrote, or ``ReceiptRefused``/``CommitmentRefused``."""
        if not isinstance(value, dict) or set(value) != {"entry", "openings", "proof"}:
            raise ReceiptRefused("evidence is {entry, openings, proof}")
        if not isinstance(value["entry"], str) or not isinstance(value["proof"], str):
            raise ReceiptRefused("entry and proof of evidence are text")
        try:
            entry = base64.b64decode(value["entry"], validate=True)
        except (binascii.Error, ValueError) as refused:
            raise ReceiptRefused("the entry of evidence is not base64") from refused
        return cls(entry, openings_from_json(value["openings"]), value["proof"])


@dataclass(frozen=True, slots=True)
class Checked:
    """What checked evidence says.

    Attributes:
        kind: the entry's type.
        at: its hour.
        actor: public key of who signed it.
        facts: the opened facts.
        index, size, root: its place, and the tree it was proved in.
        cosigned_at: when the quorum had seen that tree (see ``Cosigned.at``).
        closed: names of facts that it commits to and that nobody opened here.
    """

    kind: str
    at: datetime
    actor: bytes
    facts: dict[str, JSON] = field(repr=False)
    index: int
    size: int
    root: bytes
    cosigned_at: datetime
    closed: tuple[str, ...] = ()


def check(
    evidence: Evidence,
    policy: Policy,
    *,
    partial: bool = False,
    seen: MutableMapping[bytes, Cosigned] | None = None,
) -> Checked:
    """Check one piece of evidence: place in the log, openings, the actor's signature.

    Args:
        partial: allow facts other than ``kind`` to stay closed.
        seen: see ``check_receipt``.

    Raises:
        ProvenanceError: one of its kinds, always, when anything at all is wrong.
    """
    index, cosigned = check_receipt(evidence.entry, evidence.proof, policy, seen)
    found = opened(evidence.entry, evidence.openings, partial=partial)
    here = cosigned.checkpoint
    return Checked(
        kind=found.kind,
        at=found.at,
        actor=found.actor,
        facts=found.facts,
        index=index,
        size=here.size,
        root=here.root,
        cosigned_at=cosigned.at,
        closed=closed_of(evidence.entry, found.facts) if partial else (),
    )


def closed_of(entry: bytes, facts: Mapping[str, JSON]) -> tuple[str, ...]:
    """Names of what an entry commits to beside these facts."""
    return tuple(sorted(set(parse(entry).commitments) - set(facts)))


@dataclass(frozen=True, slots=True)
class EvidenceFile:
    """What a receipt file holds: evidence, and optionally the policy and who is who.

    ``browser_keys`` are partners' keys in browsers, as `provenance.people.browsers` checks them.
    """

    evidences: tuple[Evidence, ...]
    policy: Policy | None = None
    actors: dict[str, bytes] = field(default_factory=dict)
    browser_keys: tuple[JSON, ...] = ()


def write_file(
    evidences: Sequence[Evidence], policy: Policy, actors: Mapping[str, bytes]
) -> dict[str, JSON]:
    """The JSON of a receipt file; ``actors`` is id to 32-byte public key."""
    return {
        "evidence": [one.to_json() for one in evidences],
        "policy": policy.to_text(),
        "actors": {name: public.hex() for name, public in sorted(actors.items())},
    }


def read_file(value: JSON) -> EvidenceFile:
    """Read a receipt file: what ``write_file`` made, a bare list of evidence, or one piece."""
    if isinstance(value, list):
        return EvidenceFile(tuple(Evidence.from_json(one) for one in value))
    if not isinstance(value, dict):
        raise ReceiptRefused("a receipt file is a JSON object or a list")
    if "proof" in value:
        return EvidenceFile((Evidence.from_json(value),))
    evidences, actors = value.get("evidence"), value.get("actors", {})
    policy, vouched = value.get("policy"), value.get("browser_keys", [])
    if (
        not isinstance(evidences, list)
        or not isinstance(vouched, list)
        or not isinstance(actors, dict)
        or not isinstance(policy, str | None)
    ):
        raise ReceiptRefused("a receipt file is {evidence: [...], policy: text, actors: {...}}")
    try:
        publics = {name: bytes.fromhex(public) for name, public in actors.items()}
    except (TypeError, ValueError) as refused:
        raise ReceiptRefused("actors of a receipt file are id to public key in hex") from refused
    return EvidenceFile(
        tuple(Evidence.from_json(one) for one in evidences),
        None if policy is None else Policy.from_text(policy),
        publics,
        tuple(vouched),
    )


__all__ = [
    "Checked",
    "Evidence",
    "EvidenceFile",
    "Policy",
    "check",
    "read_file",
    "write_file",
]

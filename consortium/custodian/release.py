"""What must be proved before a custodian helps to open one row: each missing piece has a name.

Nothing here trusts the caller. Keys come from this custodian's own registry, time from its own
clock, locks from
rosters it checked, and every promise from an entry in the log with a quorum of witnesses.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from consortium.custodian.agreed import check_terms, read_terms
from consortium.custodian.errors import Refused
from consortium.custodian.ledger import Release
from consortium.custodian.log import Logged
from consortium.custodian.settings import Registry
from consortium.custodian.trees import Trees
from matching.envelope import canonical
from matching.evaluation import moment
from matching.locks import audience_leaves
from matching.statement import Statement
from policies.agreement import Agreement
from provenance.entry import BROWSER_KEY
from provenance.merkle import tree_root

_AHEAD = timedelta(minutes=5)  # clocks of witnesses may run ahead of ours by this much


@dataclass(frozen=True, slots=True)
class Asked:
    """A release as asked for; nothing in it has been believed yet."""

    manifest: Mapping[str, Any]
    agreement: bytes = field(repr=False)
    evidence: Mapping[str, Any] = field(repr=False)
    nonce: bytes
    locks: bytes = field(repr=False)

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest's canonical bytes, hex: what approvals name."""
        return hashlib.sha256(canonical(dict(self.manifest))).hexdigest()

    @property
    def root(self) -> str:
        """RFC 6962 root over the sorted SHA-256(nonce || lock), hex."""
        each = [self.locks[n : n + 32] for n in range(0, len(self.locks), 32)]
        return tree_root(audience_leaves(self.nonce, each)).hex()


def unpack(raw: object, size: int) -> bytes:
    """Read standard base64 of a whole number of ``size`` bytes.

    Raises:
        Refused: ``malformed``.
    """
    try:
        blob = base64.b64decode(str(raw), validate=True)
    except binascii.Error as error:
        raise Refused("malformed", "a part of the call is not base64", 400) from error
    if len(blob) % size:
        raise Refused("malformed", f"a part of the call is not in {size}s of bytes", 400)
    return blob


def read_asked(body: Mapping[str, Any]) -> Asked:
    """Read the body of POST /release.

    Raises:
        Refused: ``malformed``.
    """
    try:
        asked = Asked(
            manifest=dict(body["manifest"]),
            agreement=unpack(body["agreement"], 1),
            evidence=dict(body["evidence"]),
            nonce=bytes.fromhex(body["nonce"]),
            locks=unpack(body["locks"], 32),
        )
        sources = asked.manifest["sources"]
        fits = isinstance(sources, list) and sources and len(set(sources)) == len(sources)
        window, size = asked.manifest["window"], asked.manifest["size_class"]
        named = (window["opens"], window["closes"], asked.manifest["campaign"])
        texts = (*named, asked.manifest["race"], asked.manifest["agreement"], *sources)
    except (KeyError, TypeError, ValueError) as error:
        raise Refused(
            "malformed", "the release lacks a field, or has one misshapen", 400
        ) from error
    each = {asked.locks[n : n + 32] for n in range(0, len(asked.locks), 32)}
    if not fits or not each or len(each) * 32 != len(asked.locks):
        raise Refused("malformed", "sources and locks are lists without repeats", 400)
    if type(size) is not int or not all(isinstance(one, str) for one in texts):
        raise Refused("malformed", "the manifest has a field of the wrong kind", 400)
    return asked


@dataclass(frozen=True, slots=True)
class Gate:
    """The checks of one custodian, in the order in which they are made."""

    registry: Registry
    log: Trees
    now: Callable[[], datetime]
    fresh: timedelta
    key: Statement

    def check(self, asked: Asked, mailer: str) -> tuple[Release, int]:
        """Check everything but roster, retirement and opens, which need the ledger.

        Returns:
            The release to open, and how often a week the agreement lets one lock be opened.

        Raises:
            Refused: ``not-logged``, ``rolled-back``, ``split-view``, ``not-fresh``,
                ``wrong-manifest``, ``not-agreed``, ``agreement-unreadable``, ``not-approved``,
                ``not-attested``, ``outside-window``, ``too-large``, ``wrong-root``, and what
                `check_terms` raises.
        """
        self._intent(asked)
        terms = self._agreement(asked)
        parties = [party.id for party in terms.parties]
        digest, campaign, root = asked.digest, asked.manifest["campaign"], asked.root
        self._by_each(
            asked.manifest["sources"],
            asked.evidence.get("approvals"),
            {"kind": "approve", "campaign": campaign, "digest": digest},
            Refused("not-approved", "a source has not approved exactly this manifest"),
            self._vouched(asked),
        )
        # A party that is no source attests too: that none of its rows are in the set. Nobody else
        # can tell whose rows these are, the custodian least of all.
        self._by_each(
            parties,
            asked.evidence.get("attestations"),
            {"kind": "attest", "campaign": campaign, "digest": digest, "root": root},
            Refused("not-attested", "a party has not attested its rows under exactly this root"),
        )
        window = asked.manifest["window"]
        self.check_window(str(window["opens"]), str(window["closes"]))
        if len(asked.locks) // 32 > asked.manifest["size_class"]:
            raise Refused("too-large", "more locks than the manifest's size class")
        opens, closes = str(window["opens"]), str(window["closes"])
        release = Release(campaign, digest, root, opens, closes, asked.locks, mailer)
        return release, terms.caps.opens_per_week

    def check_window(self, opens: str, closes: str) -> None:
        """Check that this custodian's own clock is inside the window.

        Raises:
            Refused: ``outside-window``.
        """
        try:
            inside = moment(opens) <= self.now() < moment(closes)
        except ValueError as error:
            raise Refused("malformed", "the window has no times", 400) from error
        if not inside:
            raise Refused("outside-window", "the campaign is not open at this time")

    def _intent(self, asked: Asked) -> None:
        logged = self._believe(asked.evidence.get("intent"), since=self.log.newest)
        now = self.now()
        if not now - self.fresh <= logged.cosigned_at <= now + _AHEAD:
            raise Refused("not-fresh", "the intent is not under a recent cosigned checkpoint")
        operators = {
            bytes.fromhex(actor["public"])
            for actor in self.registry.invite["actors"]
            if actor["role"] == "operator"
        }
        manifest, facts = asked.manifest, logged.facts
        definition = manifest.get("definition")
        wanted = {
            "kind": "send",
            "campaign": manifest["campaign"],
            "race": manifest["race"],
            "digest": asked.digest,
            "nonce": asked.nonce.hex(),
            "size_class": manifest.get("size_class"),
            "opens": manifest["window"]["opens"],
            "closes": manifest["window"]["closes"],
            "agreement": manifest.get("agreement"),
            "sources": manifest["sources"],
            "places": definition.get("places") if isinstance(definition, dict) else None,
        }
        if logged.actor not in operators or any(facts.get(k) != v for k, v in wanted.items()):
            raise Refused("wrong-manifest", "the intent in the log names another manifest")
        if facts.get("root") != asked.root:
            raise Refused("wrong-root", "these locks do not lead to the root in the log")

    def _agreement(self, asked: Asked) -> Agreement:
        digest = hashlib.sha256(asked.agreement).hexdigest()
        not_agreed = Refused("not-agreed", "a party has not signed exactly this agreement")
        if digest != asked.manifest["agreement"]:
            raise not_agreed
        terms = read_terms(asked.agreement)
        check_terms(terms, asked.manifest, self.registry.invite, self.key)
        wanted = {"kind": "sign", "race": terms.race.id, "digest": digest}
        parties = [party.id for party in terms.parties]
        self._by_each(parties, asked.evidence.get("agreement"), wanted, not_agreed)
        return terms

    def _vouched(self, asked: Asked) -> dict[str, set[bytes]]:
        """Keys in browsers by partner, each vouched for under that partner's own key.

        The operator passes them on and cannot make one: the signature is the partner's tool's.
        """
        found: dict[str, set[bytes]] = {}
        stated = asked.evidence.get("browser_keys", [])
        for one in stated if isinstance(stated, list) else []:
            try:
                partner, public = str(one["partner"]), bytes.fromhex(str(one["public"]))
                own = self.registry.actor(partner, "partner").public
                Ed25519PublicKey.from_public_bytes(own).verify(
                    bytes.fromhex(str(one["signature"])), BROWSER_KEY + public
                )
            except (KeyError, TypeError, ValueError, InvalidSignature, Refused):
                continue  # it vouches for nobody
            found.setdefault(partner, set()).add(public)
        return found

    def _by_each(
        self,
        partners: Iterable[str],
        part: object,
        wanted: Mapping[str, Any],
        missing: Refused,
        also: Mapping[str, set[bytes]] | None = None,
    ) -> None:
        """Find what is wanted under each partner's own key, or one that it vouched for."""
        said = {
            logged.actor
            for logged in self._believe_all(part)
            if all(logged.facts.get(k) == v for k, v in wanted.items())
        }
        for partner in partners:
            own = {self.registry.actor(partner, "partner").public}
            if not said & (own | (also or {}).get(partner, set())):
                raise missing

    def _believe_all(self, part: object) -> Iterable[Logged]:
        return [self._believe(one) for one in part] if isinstance(part, list) else []

    def _believe(self, evidence: object, *, since: int = 0) -> Logged:
        if not isinstance(evidence, Mapping):
            raise Refused("not-logged", "evidence is missing")
        return self.log.believe(evidence, since=since)

"""What a custodian needs of the log: post an entry, find one, believe evidence."""

import base64
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any, Protocol

import httpx
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from consortium.custodian.errors import LogUnreachable, Refused
from provenance.canonical import commitment, openings_from_json, openings_to_json
from provenance.entry import draft, parse
from provenance.entry import opened as open_entry
from provenance.errors import ProvenanceError
from provenance.evidence import Evidence, Policy, check
from provenance.merkle import leaf_hash

_OWN = "trellis/own-entry/v1"


@dataclass(frozen=True, slots=True)
class Logged:
    """One entry proved to be in the log, its facts opened.

    Attributes:
        actor: the key that signed it.
        cosigned_at: when the quorum had cosigned the tree it was proved in.
        size, root: that tree; ``checkpoint`` is its signed and cosigned note, verbatim.
    """

    actor: bytes
    facts: dict[str, Any] = field(repr=False)
    cosigned_at: datetime
    size: int
    root: bytes
    checkpoint: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Opened:
    """A drafted entry of another custodian: the key that signed it, what it says, its leaf."""

    actor: bytes
    facts: dict[str, Any] = field(repr=False)
    leaf: str


class Log(Protocol):
    """The log as a custodian sees it; `tests/fakes/memory_log.py` is its twin."""

    def draft(self, type: str, facts: Mapping[str, Any], name: str = "") -> dict[str, Any]:
        """Write an entry; kept by the caller before `submit`, so that a repeat is the same.

        Args:
            name: of the fact, when this custodian must recognise its own entry in the log after
                its books were lost; without one nobody can.
        """

    def leaf(self, drafted: Mapping[str, Any]) -> str:
        """Return the leaf of a drafted entry, hex."""

    def is_own(self, entry: bytes, facts: Mapping[str, Any], name: str) -> bool:
        """Whether an entry in the log is what `draft` wrote of these facts under this name."""

    def opened(self, drafted: Mapping[str, Any]) -> Opened:
        """Open somebody's drafted entry; raises Refused when its openings or signature are bad."""

    def submit(self, drafted: Mapping[str, Any]) -> str:
        """Hand a drafted entry to the log and return its leaf, hex."""

    def find(self, leaf: str) -> Logged | None:
        """Return a published entry, proved, or nothing while it is pending."""

    def believe(self, evidence: object) -> Logged:
        """Check evidence that a caller brought; raises Refused when it does not hold."""


class Salts:
    """Salts of own entries, which this custodian can make again and nobody else can guess."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def of(self, name: str, at: datetime) -> Callable[[], bytes]:
        """Return salt after salt for the entry of this name and hour; 32 bytes each.

        The hour is in them because a fact may be said twice: two commitments to it under one salt
        would show that they are the same.
        """
        hour = at.astimezone(UTC).strftime("%Y-%m-%dT%H")
        key = HKDF(SHA256(), 32, salt=None, info=f"{_OWN}|{hour}|{name}".encode())
        stem, numbers = key.derive(self._secret), count()
        return lambda: hmac.digest(stem, next(numbers).to_bytes(4, "big"), "sha256")


class ApiLog:
    """The operator's API, believed only as far as the witnesses' cosignatures go."""

    def __init__(
        self,
        invite: Mapping[str, Any],
        *,
        public: bytes,
        sign: Callable[[bytes], bytes],
        now: Callable[[], datetime],
        salts: Salts,
        client: httpx.Client | None = None,
    ) -> None:
        self._base, self._salts = invite["api"].rstrip("/") + "/api/v1", salts
        self._files = str(invite["log_url"]).rstrip("/") + "/"
        self._policy = Policy.from_invite(invite)
        self._public, self._sign, self._now = public, sign, now
        self._client = client or httpx.Client(timeout=30)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def draft(self, type: str, facts: Mapping[str, Any], name: str = "") -> dict[str, Any]:
        """Write and sign an entry; its salts are fresh, or follow from its name and hour."""
        now = self._now()
        made = draft(
            type,
            at=now,
            actor=self._public,
            facts=facts,
            salt=self._salts.of(name, now) if name else lambda: secrets.token_bytes(32),
            sign=self._sign,
        )
        evidence = Evidence(made.entry, made.openings, "").to_json()
        return {"entry": evidence["entry"], "openings": openings_to_json(made.openings)}

    def leaf(self, drafted: Mapping[str, Any]) -> str:
        """SHA-256(0x00 || entry), hex."""
        return leaf_hash(base64.b64decode(drafted["entry"])).hex()

    def is_own(self, entry: bytes, facts: Mapping[str, Any], name: str) -> bool:
        """Compare each commitment with what this name, the entry's hour and these facts make."""
        read = parse(entry)
        salt = self._salts.of(name, read.at)
        if read.actor != commitment(salt(), self._public.hex()) or set(facts) != set(
            read.commitments
        ):
            return False
        return all(read.commitments[one] == commitment(salt(), facts[one]) for one in facts)

    def opened(self, drafted: Mapping[str, Any]) -> Opened:
        """Check commitments and signature of an entry that another custodian showed us."""
        try:
            entry = base64.b64decode(str(drafted["entry"]), validate=True)
            said = open_entry(entry, openings_from_json(drafted["openings"]))
        except (KeyError, ValueError, ProvenanceError) as error:
            raise Refused("not-logged", "an entry does not open", 403) from error
        return Opened(said.actor, said.facts, leaf_hash(entry).hex())

    def file(self, path: str) -> bytes | None:
        """Return one of the log's public files, as anybody reads it; nothing if it is not there."""
        try:
            answer = self._client.get(self._files + path)
            if answer.status_code == 404:
                return None
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise LogUnreachable(f"GET {path}: {type(error).__name__}") from error
        return answer.content

    def submit(self, drafted: Mapping[str, Any]) -> str:
        """POST the entry; the API answers the same leaf for a repeat."""
        answer = self._call("POST", "/log/entries", json=dict(drafted))
        return str(answer.json()["leaf"])

    def find(self, leaf: str) -> Logged | None:
        """GET the entry and check its evidence against the invite's own policy."""
        answer = self._call("GET", f"/log/entries/{leaf}").json()
        return self.believe(answer["evidence"]) if answer["state"] == "published" else None

    def believe(self, evidence: object) -> Logged:
        """Check place, openings and signature; a failed check is a refusal by name."""
        try:
            shown = Evidence.from_json(evidence)
            checked = check(shown, self._policy)
        except ProvenanceError as error:
            raise Refused("not-logged", f"evidence does not hold: {error}") from error
        note = shown.proof.partition("\n\n")[2]
        at, size, root = checked.cosigned_at, checked.size, checked.root
        return Logged(checked.actor, checked.facts, at, size, root, note)

    def roster(self, epoch: str) -> list[dict[str, Any]]:
        """Return the chunks the operator has published in an epoch: number and evidence each."""
        return list(self._call("GET", "/roster", params={"epoch": epoch}).json()["chunks"])

    def roster_chunk(self, epoch: str, chunk: int) -> bytes:
        """Return one chunk's bytes, unchecked."""
        return self._call("GET", f"/roster/{chunk}", params={"epoch": epoch}).content

    def keys(self, epoch: str) -> dict[str, Any]:
        """Return what the log holds of an epoch's keys, unchecked: ``lines`` by purpose."""
        return dict(self._call("GET", f"/keys/{epoch}").json())

    def _call(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            answer = self._client.request(method, self._base + path, **more)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise LogUnreachable(f"{method} {path}: {type(error).__name__}") from error
        return answer

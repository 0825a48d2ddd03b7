"""What a custodian needs of the log: post an entry, find one, believe evidence."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import httpx

from consortium.custodian.errors import LogUnreachable, Refused
from provenance.canonical import openings_to_json
from provenance.entry import draft
from provenance.errors import ProvenanceError
from provenance.evidence import Evidence, Policy, check


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


class Log(Protocol):
    """The log as a custodian sees it; `tests/fakes/memory_log.py` is its twin."""

    def draft(self, type: str, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Write an entry; kept by the caller before `submit`, so that a repeat is the same."""

    def submit(self, drafted: Mapping[str, Any]) -> str:
        """Hand a drafted entry to the log and return its leaf, hex."""

    def find(self, leaf: str) -> Logged | None:
        """Return a published entry, proved, or nothing while it is pending."""

    def believe(self, evidence: object) -> Logged:
        """Check evidence that a caller brought; raises Refused when it does not hold."""


class ApiLog:
    """The operator's API, believed only as far as the witnesses' cosignatures go."""

    def __init__(
        self,
        invite: Mapping[str, Any],
        *,
        public: bytes,
        sign: Callable[[bytes], bytes],
        now: Callable[[], datetime],
        client: httpx.Client | None = None,
    ) -> None:
        self._base = invite["api"].rstrip("/") + "/api/v1"
        self._policy = Policy.from_invite(invite)
        self._public, self._sign, self._now = public, sign, now
        self._client = client or httpx.Client(timeout=30)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def draft(self, type: str, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Write and sign an entry with fresh salts."""
        made = draft(
            type,
            at=self._now(),
            actor=self._public,
            facts=facts,
            salt=lambda: secrets.token_bytes(32),
            sign=self._sign,
        )
        evidence = Evidence(made.entry, made.openings, "").to_json()
        return {"entry": evidence["entry"], "openings": openings_to_json(made.openings)}

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

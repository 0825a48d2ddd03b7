"""The mailer's client for opening an audience with the custodians.

Sync httpx, used by the mail machine alone. It signs every call with the mailer's key and believes
an answer only as far
as the row's AEAD tag does; proofs are asked for when a row does not open, to find out who lied.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from consortium.custodians import (
    CustodianAddress,
    CustodianDown,
    CustodianLied,
    CustodianProblem,
    CustodianRefused,
    TooFewCustodians,
    call,
)
from matching import locks as lock_maths
from matching.crypto_errors import CryptoRefused, ProofRefused
from matching.envelope import Message, Signer, canonical, close, open_
from matching.evaluation import stamp
from matching.oprf import Proof
from matching.statement import Statement

__all__ = [
    "CHUNK_LOCKS",
    "CustodianAddress",
    "CustodianDown",
    "CustodianLied",
    "CustodianProblem",
    "CustodianRefused",
    "Opened",
    "ReleaseClient",
    "TooFewCustodians",
]

CHUNK_LOCKS = lock_maths.CHUNK_LOCKS
_LIFE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Opened:
    """A campaign that enough custodians opened.

    Attributes:
        quorum: indices that will answer, in order.
        chunks: how many chunks of ``CHUNK_LOCKS`` locks there are.
        problems: custodians that did not open it, and why.
    """

    campaign: str
    quorum: tuple[int, ...]
    chunks: int
    locks: bytes = field(repr=False)
    problems: Mapping[str, CustodianProblem] = field(default_factory=dict)


class ReleaseClient:
    """One mailer's calls to the custodians of one sealing key."""

    def __init__(
        self,
        statement: Statement,
        custodians: Sequence[CustodianAddress],
        *,
        mailer: str,
        sign: Signer,
        client: httpx.Client | None = None,
    ) -> None:
        self._statement, self._mailer, self._sign = statement, mailer, sign
        self._by_index = {
            statement.index(one.id): one for one in custodians if one.id in statement.ids
        }
        self._owned = client is None
        self._client = client or httpx.Client(timeout=600)

    @property
    def quorum(self) -> int:
        """How many custodians open a row together."""
        return self._statement.threshold

    def __enter__(self) -> "ReleaseClient":
        """Use as a context manager to close the connections."""
        return self

    def __exit__(self, *failed: object) -> None:
        """Close the connections that this client opened."""
        self.close()

    def close(self) -> None:
        """Close the connections that this client opened."""
        if self._owned:
            self._client.close()

    def _signed(self, kind: str, custodian: str, body: Mapping[str, Any]) -> Message:
        said = {**body, "custodian": custodian, "expires": stamp(datetime.now(UTC) + _LIFE)}
        return close(kind, said, by=self._mailer, sign=self._sign)

    def open_release(
        self,
        manifest: Mapping[str, Any],
        *,
        agreement: bytes,
        evidence: Mapping[str, Any],
        nonce: bytes,
        locks: Sequence[bytes],
    ) -> Opened:
        """Show every custodian the whole evidence, until a quorum has counted the opens.

        Args:
            agreement: its exact bytes.
            evidence: ``{"agreement": [...], "approvals": [...], "attestations": [...], "intent":
            ...}`` in
                Evidence's JSON form.
            nonce: the campaign's, as in the intent.
            locks: the released set; chunks are cut from this order.

        Raises:
            TooFewCustodians: with each custodian's problem; a refusal's name says what is missing.
        """
        raw = b"".join(locks)
        whole = {
            "manifest": dict(manifest),
            "agreement": base64.b64encode(agreement).decode(),
            "evidence": dict(evidence),
            "nonce": nonce.hex(),
            "locks": base64.b64encode(raw).decode(),
        }
        said = {
            "digest": hashlib.sha256(canonical(dict(manifest))).hexdigest(),
            "locks": hashlib.sha256(raw).hexdigest(),
        }
        good: list[int] = []
        problems: dict[str, CustodianProblem] = {}
        chunks = -(-len(locks) // CHUNK_LOCKS)
        for index, address in sorted(self._by_index.items()):
            signed = self._signed("release-open", address.id, said)
            try:
                call(self._client, address, "/release", {**whole, "call": signed}, seconds=900)
            except CustodianProblem as problem:
                problems[address.id] = problem
                continue
            good.append(index)
            if len(good) == self._statement.threshold:
                # The others are not shown the audience: an open is counted only where it is needed.
                break
        if len(good) < self._statement.threshold:
            raise TooFewCustodians(self._statement.threshold, problems)
        return Opened(str(manifest["campaign"]), tuple(good), chunks, raw, problems)

    def answers(self, opened: Opened, chunk: int) -> list[bytes | None]:
        """Return r*X for every lock of a chunk, in order; None where a custodian has retired it.

        Raises:
            CustodianDown, CustodianRefused: naming the custodian; open again to form another
            quorum.
        """
        each = [self._answer(opened, chunk, index, proofs=False) for index in opened.quorum]
        return combined(each)

    def find_liar(self, opened: Opened, chunk: int) -> None:
        """Ask the quorum for proofs of a chunk in which a row did not open.

        Raises:
            CustodianLied: naming the first whose proof does not hold. Returning means all answered
            rightly, so
                the row itself was sealed wrongly.
        """
        for index in opened.quorum:
            self._answer(opened, chunk, index, proofs=True)

    def _answer(self, opened: Opened, chunk: int, index: int, *, proofs: bool) -> bytes:
        address, quorum = self._by_index[index], list(opened.quorum)
        said = {"campaign": opened.campaign, "chunk": chunk, "quorum": quorum, "proofs": proofs}
        path = f"/release/{opened.campaign}/{chunk}"
        answer = call(self._client, address, path, self._signed("release-answer", address.id, said))
        start = chunk * CHUNK_LOCKS * 32
        part = opened.locks[start : start + CHUNK_LOCKS * 32]
        try:
            raw = base64.b64decode(str(answer.get("answers")), validate=True)
            body = open_("released", answer.get("response"), public=address.public)
        except (ValueError, CryptoRefused) as error:
            raise CustodianDown(address.id, "does not answer under its own key") from error
        if (
            body.get("answers") != hashlib.sha256(raw).hexdigest()
            or body.get("locks") != hashlib.sha256(part).hexdigest()
            or len(raw) != len(part)
        ):
            raise CustodianDown(address.id, "signed an answer to other locks")
        if proofs:
            self._check(address, index, quorum, part, raw, body)
        return raw

    def _check(
        self,
        address: CustodianAddress,
        index: int,
        quorum: Sequence[int],
        part: bytes,
        raw: bytes,
        body: Mapping[str, Any],
    ) -> None:
        given = [
            (part[n : n + 32], raw[n : n + 32])
            for n in range(0, len(raw), 32)
            if raw[n : n + 32] != bytes(32)
        ]
        if not given:
            return
        asked, answered = b"".join(a for a, _ in given), b"".join(b for _, b in given)
        try:
            proof = Proof.from_bytes(bytes.fromhex(str(body.get("proof", ""))))
            commitment = self._statement.shares[index - 1]
            lock_maths.check_answers(commitment, index, quorum, asked, answered, proof)
        except (ProofRefused, ValueError) as error:
            raise CustodianLied(address.id) from error

    def close_release(self, campaign: str) -> dict[str, dict[str, Any]]:
        """End a campaign everywhere it was opened; return each custodian's signed total.

        Custodians that are down or never opened it are left out; call again until all have
        answered.
        """
        totals = {}
        for address in self._by_index.values():
            signed = self._signed("release-close", address.id, {"campaign": campaign})
            try:
                said = call(self._client, address, f"/release/{campaign}/close", signed)
                body = open_("release-total", said.get("response"), public=address.public)
            except (CustodianProblem, CryptoRefused):
                continue
            totals[address.id] = body
        return totals


def combined(answers: Sequence[bytes]) -> list[bytes | None]:
    """Add up a quorum's answers lock by lock; None where any of them is the 32 zero bytes of a
    retired lock.
    """
    total = lock_maths.combine(answers)
    gone = bytes(32)
    return [
        None if any(one[n : n + 32] == gone for one in answers) else total[n : n + 32]
        for n in range(0, len(total), 32)
    ]

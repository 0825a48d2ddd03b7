"""The mailer's client for opening an audience with the custodians.

Sync httpx, used by the mail machine alone. It signs every call with the mailer's key and believes
an answer only as far
as the row's AEAD tag does; proofs are asked for when a row does not open, to find out who lied.
"""

import base64
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from consortium.custodians import (
    CustodianAddress,
    CustodianDown,
    CustodianLied,
    CustodianNotNow,
    CustodianProblem,
    CustodianRefused,
    Shown,
    TooFewCustodians,
    call,
)
from matching import locks as lock_maths
from matching import released
from matching.crypto_errors import CryptoRefused, MessageRefused, ProofRefused
from matching.envelope import Message, Signer, canonical, close, open_
from matching.evaluation import stamp
from matching.released import Answered
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
    "Shown",
    "TooFewCustodians",
]

CHUNK_LOCKS = lock_maths.CHUNK_LOCKS
_LIFE = timedelta(minutes=10)
HANDLING = (
    "For auditors, not for publication: it names no person, but holds one custodian's shares for "
    "the rows of one letter; other custodians' shares and the mail machine's key with them open it."
)
"""What a file of evidence about a release may be used for."""
_STEP, _PATIENCE = 0.5, 20.0  # seconds; whoever is still waiting for the log is asked next turn


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
        evidence: Path | None = None,
        key: Mapping[str, Any] | None = None,
    ) -> None:
        """Args: ``evidence`` is the folder in which what shows a custodian wrong is kept, ``key``
        the statement's own evidence from the log, which goes into such a file.
        """
        self._statement, self._mailer, self._sign = statement, mailer, sign
        self._evidence, self._key = evidence, key
        self._first: dict[tuple[str, int, int], Answered] = {}
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

    def open_release(self, shown: Shown) -> Opened:
        """Show every custodian the whole evidence, until a quorum has counted the opens.

        Raises:
            TooFewCustodians: with each custodian's problem; a refusal's name says what is missing.
        """
        raw, manifest = b"".join(shown.locks), dict(shown.manifest)
        whole = {
            "manifest": manifest,
            "agreement": base64.b64encode(shown.agreement).decode(),
            "evidence": dict(shown.evidence),
            "nonce": shown.nonce.hex(),
            "locks": base64.b64encode(raw).decode(),
        }
        said = {
            "digest": hashlib.sha256(canonical(manifest)).hexdigest(),
            "locks": hashlib.sha256(raw).hexdigest(),
            "version": self._statement.version,
        }
        problems: dict[str, CustodianProblem] = dict(shown.without)
        chunks, until = -(-len(shown.locks) // CHUNK_LOCKS), time.monotonic() + _PATIENCE

        def ask(address: CustodianAddress) -> CustodianProblem | None:
            signed = self._signed("release-open", address.id, said)
            try:
                call(self._client, address, "/release", {**whole, "call": signed}, seconds=900)
            except CustodianProblem as problem:
                return problem
            return None

        good = self._quorum(ask, problems, until)
        return Opened(shown.campaign, tuple(good), chunks, raw, problems)

    def _quorum(
        self,
        ask: Callable[[CustodianAddress], CustodianProblem | None],
        problems: dict[str, CustodianProblem],
        until: float,
    ) -> list[int]:
        """Ask one after the other until enough have opened, and again those that wait for the log.

        No more are shown the audience than are needed: an open is counted wherever it was said.
        """
        good: set[int] = set()
        while True:
            waiting: dict[str, CustodianProblem] = {}
            for index, address in sorted(self._by_index.items()):
                if len(good) + len(waiting) == self._statement.threshold:
                    break
                if index in good or address.id in problems:
                    continue
                problem = ask(address)
                if problem is None:
                    good.add(index)
                elif isinstance(problem, CustodianNotNow) and problem.soon:
                    waiting[address.id] = problem
                else:
                    problems[address.id] = problem
            if len(good) == self._statement.threshold:
                return sorted(good)
            enough = len(good) + len(waiting) == self._statement.threshold
            if not enough or time.monotonic() > until:
                raise TooFewCustodians(self._statement.threshold, {**problems, **waiting})
            time.sleep(_STEP)

    def points(self, shown: Shown) -> tuple[Opened, list[bytes | None]]:
        """Open a campaign and have every lock answered, with other custodians for who falls silent.

        Returns:
            The quorum that answered all of it, and r*X for every lock, as ``answers``.

        Raises:
            TooFewCustodians: each custodian's problem is in it.
        """
        problems = dict(shown.without)
        while True:
            opened = self.open_release(replace(shown, without=problems))
            try:
                each = [self.answers(opened, chunk) for chunk in range(opened.chunks)]
            except CustodianProblem as problem:
                problems[problem.custodian] = problem
                continue
            return opened, [point for chunk in each for point in chunk]

    def answers(self, opened: Opened, chunk: int) -> list[bytes | None]:
        """Return r*X for every lock of a chunk, in order; None where a custodian has retired it.

        Raises:
            CustodianDown, CustodianRefused: naming the custodian; open again to form another
            quorum.
        """
        each = []
        for index in opened.quorum:
            answered = self._answer(opened, chunk, index, proofs=False)
            # Kept until it is known to be right: an honest proof later would else hide it.
            self._first[opened.campaign, chunk, index] = answered
            each.append(answered.answers)
        return combined(each)

    def find_liar(self, opened: Opened, chunk: int) -> None:
        """Ask the quorum for proofs of a chunk in which a row did not open.

        What is proved now must also be what was answered before: else a custodian could spoil one
        row and prove another answer when it is asked.

        Raises:
            CustodianLied: naming the first that is convicted. Returning means all answered
                rightly, so the row itself was sealed wrongly.
            CustodianDown, CustodianRefused: naming one that does not prove what it answered.
        """
        for index in opened.quorum:
            address = self._by_index[index]
            proven = self._answer(opened, chunk, index, proofs=True)
            first = self._first.get((opened.campaign, chunk, index), proven)
            try:
                if "proof" not in proven.response["body"] and any(proven.answers):
                    raise CustodianDown(address.id, "does not prove what it answered")
                released.check_proof(proven, self._statement, address.id)
                released.check_same(first, proven)
            except ProofRefused as error:
                raise CustodianLied(address.id, self._keep(address.id, first, proven)) from error
            except MessageRefused as error:
                raise CustodianDown(address.id, "proves another answer than it gave") from error

    def shut(self, opened: Opened, chunk: int) -> dict[str, int]:
        """Count the rows that one custodian alone says were retired.

        They stay shut: a partner may have reached that one only. But who says so of many keeps
        letters back, and no proof tells the two apart; so it is named, with how many.
        """
        each = {index: self._first[opened.campaign, chunk, index] for index in opened.quorum}
        gone = {
            index: {n for n in range(0, len(one.answers), 32) if not any(one.answers[n : n + 32])}
            for index, one in each.items()
        }
        alone = {
            self._by_index[index].id: len(
                rows - set().union(*(gone[other] for other in gone if other != index))
            )
            for index, rows in gone.items()
        }
        return {custodian: count for custodian, count in alone.items() if count}

    def forget(self, campaign: str) -> None:
        """Let go of what custodians answered for a campaign."""
        self._first = {at: one for at, one in self._first.items() if at[0] != campaign}

    def _keep(self, custodian: str, *answered: Answered) -> Path | None:
        if self._evidence is None:
            return None
        shown = {
            **released.to_json(answered, self._statement, custodian),
            "key": self._key,
            "handling": HANDLING,
        }
        text = json.dumps(shown, indent=1, sort_keys=True)
        name = f"evidence-{custodian}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
        self._evidence.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._evidence / name
        path.write_text(text)
        return path

    def _answer(self, opened: Opened, chunk: int, index: int, *, proofs: bool) -> Answered:
        address, quorum = self._by_index[index], list(opened.quorum)
        said = {"campaign": opened.campaign, "chunk": chunk, "quorum": quorum, "proofs": proofs}
        said["version"] = self._statement.version
        path = f"/release/{opened.campaign}/{chunk}"
        answer = call(self._client, address, path, self._signed("release-answer", address.id, said))
        start = chunk * CHUNK_LOCKS * 32
        part = opened.locks[start : start + CHUNK_LOCKS * 32]
        try:
            raw = base64.b64decode(str(answer.get("answers")), validate=True)
            answered = Answered(dict(answer["response"]), part, raw)
            body = released.check_signed(answered, custodian=address.id, public=address.public)
        except (KeyError, TypeError, ValueError, CryptoRefused) as error:
            problem = "does not answer these locks under its own key"
            raise CustodianDown(address.id, problem) from error
        if any(body.get(name) != said[name] for name in ("campaign", "chunk", "quorum", "version")):
            raise CustodianDown(address.id, "signed an answer to another question")
        return answered

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

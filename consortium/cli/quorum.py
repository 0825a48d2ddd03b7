"""Ask custodians for one batch until a threshold has answered: checked, totalled, named when wrong.

Two custodians are asked at once; every proof is checked against the share commitments of the logged
statement. Who lied is not asked again, and a file shows a third party what it signed.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any

import click
import httpx

from consortium.cli.batches import Hands
from consortium.cli.memory import Memory
from consortium.cli.vault import write_whole
from consortium.custodians import (
    CustodianAddress,
    CustodianDown,
    CustodianLied,
    CustodianProblem,
    CustodianRefused,
    TooFewCustodians,
    call,
    call_patiently,
)
from matching.crypto_errors import MessageRefused, ProofRefused
from matching.envelope import Message
from matching.evaluation import check_response, response_digest
from matching.statement import Statement

_PATIENCE = 4200.0  # seconds; longer than the log's hourly publication

SAID = {
    "evaluation": "answered with another key than the log states",
    "total": "signed a running total that cannot be true",
    "repeat": "answered the same request in two ways",
}
HANDLING = {
    True: "May be published. Whoever has no blinds sees points that fit every list equally well; "
    "shown besides: who asked, when, one padded batch of 4,096, and a running total.",
    False: "For auditors, not for publication. The points are those of a public voter file, not "
    "blinded: with other custodians' shares these answers are codes of its voters.",
}
"""What a file of evidence may be used for, by whether its points are blinded."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """One custodian's answer with what is needed to check it in a worker process."""

    id: str
    public: bytes
    message: Message = field(repr=False)
    response: object = field(repr=False)
    evaluated: bytes = field(repr=False)


@dataclass(slots=True)
class Quorum:
    """Who is asked, and what each has said so far in this run."""

    statement: Statement
    custodians: Sequence[CustodianAddress]
    memory: Memory
    blinded: bool
    client: httpx.Client
    workers: Hands
    askers: Executor
    evidence: Path
    named: Callable[[CustodianProblem], None]
    key: Mapping[str, Any] | None = None
    totals: dict[tuple[str, int], tuple[Message, Any]] = field(default_factory=dict)
    known: dict[str, tuple[Message, Any]] = field(default_factory=dict)
    down: dict[str, CustodianProblem] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def heard(self) -> dict[str, str]:
        """The last answer known of each custodian: what comes now was charged later."""
        found = {one.id: self.memory.heard(one.id) for one in self.custodians}
        return {id: response_digest(said[1]) for id, said in found.items() if said}

    def ask(self, message: Message, points: bytes) -> list[tuple[int, bytes]]:
        """Collect a threshold of checked answers, asking another custodian for each that fails.

        Who is down or refuses comes last from then on; who lied is not asked again.
        """
        good: dict[int, bytes] = {}
        waiting = [
            one
            for one in self.custodians
            if one.id in self.statement.ids and not isinstance(self.down.get(one.id), CustodianLied)
        ]
        # Those that were down before come last, so that a dead host is not waited for every time;
        # before them those that are closed by the hours in the invite.
        now = datetime.now(UTC)
        waiting.sort(key=lambda one: (one.id in self.down, not one.hours.open_at(now)))
        while len(good) < self.statement.threshold:
            missing = self.statement.threshold - len(good)
            asked, waiting = waiting[:missing], waiting[missing:]
            if len(asked) < missing:
                raise self._too_few()
            futures = [self.askers.submit(self._of, one, message, points) for one in asked]
            for one, future in zip(asked, futures, strict=True):
                try:
                    good[self.statement.index(one.id)] = future.result()
                except CustodianProblem as problem:
                    with self.lock:
                        known = self.down.get(one.id)
                        if not isinstance(known, CustodianLied):
                            self.down[one.id] = problem
                    if type(known) is not type(problem):
                        self.named(problem)
        return sorted(good.items())

    def _too_few(self) -> Exception:
        """Why too few are left: a lie before all else, then a refusal that all who failed gave."""
        failed = [self.down[id] for id in sorted(self.down)]
        lied = [one for one in failed if isinstance(one, CustodianLied)]
        refused = {one.name: one for one in failed if isinstance(one, CustodianRefused)}
        if lied:
            return lied[0]
        if len(refused) == 1 and all(isinstance(one, CustodianRefused) for one in failed):
            return next(iter(refused.values()))
        return TooFewCustodians(self.statement.threshold, self.down)

    def _of(self, address: CustodianAddress, message: Message, points: bytes) -> bytes:
        body = request_body(message, points)
        said = call_patiently(
            lambda: call(self.client, address, "/evaluate", body),
            patience=_PATIENCE,
            wait=self.named,
        )
        try:
            evaluated = base64.b64decode(str(said.get("evaluations")), validate=True)
        except binascii.Error as error:
            raise CustodianDown(address.id, "does not answer in base64") from error
        answer = _Answer(address.id, address.public, message, said.get("response"), evaluated)
        try:
            total = self.workers.submit(_check, answer, points, self.statement).result()
        except ProofRefused as error:
            raise self._lied(
                "evaluation", answer, points=points.hex(), evaluations=evaluated.hex()
            ) from error
        except MessageRefused as error:
            # Not signed by it: somebody in between, or a broken host. No evidence, no trust.
            raise CustodianDown(
                address.id, f"does not answer under its own key ({error})"
            ) from error
        self._total(total, answer)
        return evaluated

    def _total(self, total: int, answer: _Answer) -> None:
        """A signed running total that cannot be true is a lie about the quota."""
        if total < len(answer.evaluated) // 32:
            raise self._lied("total", answer)
        said = (answer.message, answer.response)
        with self.lock:
            last = self.memory.heard(answer.id)
            if last:
                self.known.setdefault(response_digest(last[1]), last)
            twin = self.totals.setdefault((answer.id, total), said)
            earlier = self.known.get(answer.message["body"]["after"].get(answer.id, ""))
        if last and last[0] == said[0] and last[1] != said[1]:
            raise self._lied("repeat", answer, before=last)
        if twin[0] != said[0]:
            raise self._lied("total", answer, before=twin)
        if earlier and total <= int(earlier[1]["body"]["total"]):
            raise self._lied("total", answer, before=earlier)
        assert isinstance(answer.response, dict)
        with self.lock:
            self.known[response_digest(answer.response)] = said
        self.memory.hear(answer.id, total, answer.message, answer.response)

    def _lied(
        self, kind: str, answer: _Answer, *, before: tuple[Any, Any] | None = None, **more: Any
    ) -> CustodianLied:
        """Keep what shows it, and name it; `matching.blame` says what a third party makes of it."""
        shown: dict[str, Any] = {
            "kind": kind,
            "custodian": answer.id,
            "request": answer.message,
            "response": answer.response,
            "statement": self.statement.to_json(),
            "key": dict(self.key) if self.key else None,
            "handling": HANDLING[self.blinded],
            **more,
        }
        if before is not None:
            shown["before"] = {"request": before[0], "response": before[1]}
        nonce = answer.message["body"]["nonce"]
        path = self.evidence / f"evidence-{answer.id}-{nonce}.json"
        write_whole(path, (json.dumps(shown, indent=1, sort_keys=True) + "\n").encode())
        return CustodianLied(answer.id, path, SAID[kind])


def name_aloud(problem: CustodianProblem) -> None:
    """Tell who runs the tool which custodian fails, while others go on."""
    click.echo(f"{problem}. Others are asked in its place.", err=True)


def _check(answer: _Answer, points: bytes, statement: Statement) -> int:
    return check_response(
        answer.message,
        points,
        answer.response,
        answer.evaluated,
        custodian=answer.id,
        public=answer.public,
        statement=statement,
    )


def request_body(message: Message, points: bytes) -> dict[str, Any]:
    """What is posted to a custodian to have a batch evaluated."""
    return {"request": message, "points": base64.b64encode(points).decode()}

"""Turn private inputs into token outputs with the custodians: blind, ask, check, unblind.

Used by the partner's and the steward's tools. Inputs stream through in batches of exactly 4,096;
two custodians are asked at once; every proof is checked against the share commitments of the logged
statement. What was answered is in the caller's memory and never asked again. What is needed to go
on after a crash (inputs, blinds, nonce) is in a folder, encrypted under a key of the caller's.

Crash order. A batch is in the folder before anybody is asked: whatever happens then, the same
request goes out again, which a custodian answers with the same bytes and charges nothing for. It is
in the memory before it leaves the folder. A request lives twelve hours; a run interrupted for
longer asks its open batches anew.
"""

import base64
import binascii
import hashlib
import json
import multiprocessing
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any

import click
import httpx
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from consortium.cli.memory import Memory
from consortium.cli.vault import private_folder, write_whole
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
from matching import group, oprf
from matching.crypto_errors import MessageRefused, ProofRefused
from matching.envelope import Message, Signer
from matching.evaluation import (
    BATCH,
    Request,
    check_response,
    moment,
    response_digest,
    sign_request,
)
from matching.statement import Statement
from matching.threshold import lagrange

__all__ = [
    "BATCH",
    "CustodianAddress",
    "CustodianDown",
    "CustodianLied",
    "CustodianProblem",
    "CustodianRefused",
    "TooFewCustodians",
    "cores",
    "evaluate_inputs",
    "evaluate_missing",
    "prepared",
]

_LIFE = timedelta(hours=12)
_PATIENCE = 4200.0  # seconds; longer than the log's hourly publication
_SPAWN_FROM = 4  # batches; below that, starting worker processes costs more than it saves
_LOOK_UP = 512  # inputs whose answers are looked for at once


def cores() -> int:
    """How many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class _Answer:
    """One custodian's answer with what is needed to check it in a worker process."""

    id: str
    public: bytes
    message: Message = field(repr=False)
    response: object = field(repr=False)
    evaluated: bytes = field(repr=False)


# -- work of one batch, run in worker processes
# ------------------------------------------------------


def _blind(inputs: Sequence[bytes], blinded: bool) -> tuple[bytes, bytes]:
    """Return blinds and points of one padded batch; no blinds when the inputs are public."""
    padding = b"".join(group.from_hash(os.urandom(64)) for _ in range(BATCH - len(inputs)))
    if not blinded:
        return b"", oprf.hash_inputs(inputs) + padding
    blinds = group.reduce_each(os.urandom(64 * len(inputs)))
    return blinds, oprf.blind(inputs, blinds) + padding


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


def _finish(blinds: bytes, size: int, answers: Sequence[tuple[int, bytes]]) -> bytes:
    """Combine a quorum's evaluations of ``size`` inputs and take the blinds off; 32 bytes each."""
    quorum = [index for index, _ in answers]
    weighted = [(lagrange(index, quorum), evaluated[: 32 * size]) for index, evaluated in answers]
    return oprf.unblind(blinds, weighted) if blinds else oprf.combine_each(weighted)


# -- the folder that makes it resumable
# --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Begun:
    """One batch that may have been asked for: all that the same request needs again."""

    name: str
    inputs: Sequence[bytes] = field(repr=False)
    nonce: str
    expires: datetime
    after: Mapping[str, str]
    blinds: bytes = field(repr=False)
    points: bytes = field(repr=False)
    version: int

    def to_bytes(self) -> bytes:
        """What is kept: a line of JSON, then inputs, blinds, points."""
        head = {
            "nonce": self.nonce,
            "expires": self.expires.isoformat(),
            "after": dict(self.after),
            "inputs": [len(one) for one in self.inputs],
            "blinds": len(self.blinds),
            "version": self.version,
        }
        return b"".join((json.dumps(head).encode(), b"\n", *self.inputs, self.blinds, self.points))

    @classmethod
    def from_bytes(cls, name: str, raw: bytes) -> "_Begun":
        """Read what was kept."""
        line, _, rest = raw.partition(b"\n")
        head, at, inputs = json.loads(line), 0, []
        for size in head["inputs"]:
            inputs.append(rest[at : at + size])
            at += size
        blinds, points = rest[at : at + head["blinds"]], rest[at + head["blinds"] :]
        expires = moment(head["expires"])
        nonce, after, version = head["nonce"], head["after"], head["version"]
        return cls(name, inputs, nonce, expires, after, blinds, points, version)


class _Drawer:
    """Encrypted files of one run, each bound to its name, key statement and caller's batch."""

    def __init__(self, folder: Path, key: bytes, bound: bytes) -> None:
        private_folder(folder)
        made = HKDF(SHA256(), 32, salt=None, info=b"trellis/tokenise-state/v1").derive(key)
        self._folder, self._aead, self._bound = folder, ChaCha20Poly1305(made), bound

    def names(self, suffix: str) -> list[str]:
        """The files of one kind, in order."""
        return sorted(path.name for path in self._folder.glob(f"*{suffix}"))

    def read(self, name: str) -> bytes | None:
        """Return what was kept under this name, if anything that is ours."""
        try:
            raw = (self._folder / name).read_bytes()
            return self._aead.decrypt(raw[:12], raw[12:], self._bound + name.encode())
        except (FileNotFoundError, InvalidTag, ValueError):
            return None

    def write(self, name: str, raw: bytes) -> None:
        """Keep ``raw`` durably and at once or not at all."""
        nonce = os.urandom(12)
        sealed = self._aead.encrypt(nonce, raw, self._bound + name.encode())
        write_whole(self._folder / name, nonce + sealed)

    def drop(self, name: str) -> None:
        """Remove what is of no more use."""
        (self._folder / name).unlink(missing_ok=True)


# -- one run
# -----------------------------------------------------------------------------------------


class _Hands:
    """Who does the arithmetic: threads for a few batches, a process for each core for more."""

    def __init__(self, workers: int, stack: ExitStack) -> None:
        self._workers, self._stack, self._batches = max(workers, 1), stack, 0
        self._threads = stack.enter_context(ThreadPoolExecutor(self._workers))
        self._processes: Executor | None = None

    def another(self) -> None:
        """One more batch begins."""
        self._batches += 1
        if self._batches == _SPAWN_FROM and self._workers > 1:
            # spawn: a forked child would inherit sockets and half-held locks of the asking threads.
            context = multiprocessing.get_context("spawn")
            self._processes = self._stack.enter_context(
                ProcessPoolExecutor(self._workers, mp_context=context)
            )

    def submit(self, work: Callable[..., Any], *given: object) -> "Future[Any]":
        """Have some arithmetic done."""
        return (self._processes or self._threads).submit(work, *given)


@dataclass(slots=True)
class _Run:
    statement: Statement
    custodians: Sequence[CustodianAddress]
    actor: str
    sign: Signer
    batch: str
    drawer: _Drawer
    memory: Memory
    blinded: bool
    client: httpx.Client
    workers: _Hands
    askers: Executor
    evidence: Path
    named: Callable[[CustodianProblem], None]
    key: Mapping[str, Any] | None = None
    totals: dict[tuple[str, int], tuple[Message, Any]] = field(default_factory=dict)
    known: dict[str, tuple[Message, Any]] = field(default_factory=dict)
    down: dict[str, CustodianProblem] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def work(self, inputs: Iterable[bytes]) -> Iterator[tuple[int, list[bytes] | _Begun]]:
        """Yield how many inputs are answered already, and each batch that is still to be asked.

        First what an earlier run may have asked for; then what nobody has, each input once.
        """
        for name in self.drawer.names(".begun"):
            begun = self._taken_up(name)
            if begun is not None:
                self.memory.asking(begun.inputs)
                yield 0, begun
        held: list[bytes] = []
        source, seen = iter(inputs), 0
        while looked := list(islice(source, _LOOK_UP)):
            new = self.memory.fresh(looked)
            self.memory.asking(new)
            held += new
            seen += len(looked) - len(new)
            while len(held) >= BATCH:
                yield seen, held[:BATCH]
                held, seen = held[BATCH:], 0
        yield seen, held

    def _taken_up(self, name: str) -> _Begun | None:
        """A batch of an earlier run, unless it is answered, or too old for its request to hold."""
        raw = self.drawer.read(name)
        begun = _Begun.from_bytes(name, raw) if raw is not None else None
        soon = datetime.now(UTC) + timedelta(minutes=5)
        if (
            begun is not None
            and begun.expires > soon
            # Answers of two share versions do not combine: after a resharing all are asked anew.
            and begun.version == self.statement.version
            and self.memory.fresh(begun.inputs)
        ):
            return begun
        # A crash between the memory and this line left an answered batch: here it goes.
        self.drawer.drop(name)
        return None

    def one(self, batch: list[bytes] | _Begun) -> int:
        """Have one batch evaluated and kept; returns how many inputs it had."""
        begun = batch if isinstance(batch, _Begun) else self.begin(batch)
        answers = self._ask(begun)
        size = len(begun.inputs)
        points = self.workers.submit(_finish, begun.blinds, size, answers).result()
        self.memory.put(begun.inputs, points)
        # Durable now, so the blinds are of no more use.
        self.drawer.drop(begun.name)
        return size

    def begin(self, inputs: Sequence[bytes]) -> _Begun:
        """Blind, and keep blinds and nonce before asking: a repeat is then not charged again."""
        self.workers.another()
        blinds, points = self.workers.submit(_blind, inputs, self.blinded).result()
        nonce = secrets.token_hex(16)
        expires = (datetime.now(UTC) + _LIFE).replace(microsecond=0)
        version, after = self.statement.version, self._after()
        begun = _Begun(f"{nonce}.begun", inputs, nonce, expires, after, blinds, points, version)
        self.drawer.write(begun.name, begun.to_bytes())
        return begun

    def _after(self) -> dict[str, str]:
        """The last answer known of each custodian: what comes now was charged later."""
        found = {one.id: self.memory.heard(one.id) for one in self.custodians}
        return {id: response_digest(said[1]) for id, said in found.items() if said}

    def signed(self, begun: _Begun) -> Message:
        """The signed request of a batch; the same batch is the same bytes."""
        request = Request(
            sid=self.statement.sid,
            version=self.statement.version,
            actor=self.actor,
            batch=self.batch,
            purpose=self.statement.purpose,
            nonce=begun.nonce,
            expires=begun.expires,
            points=hashlib.sha256(begun.points).hexdigest(),
            after=begun.after,
        )
        return sign_request(request, self.sign)

    def _ask(self, begun: _Begun) -> list[tuple[int, bytes]]:
        """Collect a threshold of checked answers, asking another custodian for each that fails.

        Who is down or refuses comes last from then on; who lied is not asked again.
        """
        message, points, good = self.signed(begun), begun.points, dict[int, bytes]()
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
        body = _body(message, points)
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
        if total < BATCH:
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


def _name(problem: CustodianProblem) -> None:
    click.echo(f"{problem}. Others are asked in its place.", err=True)


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


def _body(message: Message, points: bytes) -> dict[str, Any]:
    return {"request": message, "points": base64.b64encode(points).decode()}


@contextmanager
def _running(
    *,
    memory: Memory,
    statement: Statement,
    custodians: Sequence[CustodianAddress],
    actor: str,
    sign: Signer,
    batch: str,
    state: Path,
    state_key: bytes,
    blinded: bool = True,
    workers: int | None = None,
    client: httpx.Client | None = None,
    key: Mapping[str, Any] | None = None,
    evidence: Path | None = None,
    named: Callable[[CustodianProblem], None] | None = None,
) -> Iterator[_Run]:
    group.available()
    bound = hashlib.sha256(f"{statement.sid}/{batch}/{blinded}".encode()).digest()
    with ExitStack() as stack:
        drawer = _Drawer(state, state_key, bound)
        own = nullcontext(client) if client is not None else httpx.Client(timeout=120)
        yield _Run(
            statement,
            custodians,
            actor,
            sign,
            batch,
            drawer,
            memory,
            blinded,
            stack.enter_context(own),
            _Hands(workers or cores(), stack),
            stack.enter_context(ThreadPoolExecutor(2 * max(len(custodians), 1))),
            evidence or state,
            named or _name,
            key,
        )


def evaluate_missing(
    inputs: Iterable[bytes],
    *,
    memory: Memory,
    total: int,
    workers: int | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
    **about: Any,
) -> None:
    """Have every input evaluated under the custodians' joint key that the memory does not hold.

    Args:
        inputs: private inputs (`matching.recipes`); read once, a few batches ahead, kept nowhere.
        memory: where the answers are, and go.
        total: how many inputs there are, for ``progress``, which is told (done, total).
        workers: processes to blind, check and unblind in; every core of this process by default.
        statement: the key statement, taken from a cosigned log and checked; never from a custodian.
        custodians: the more of the n are given, the more may be down.
        actor, sign: the caller's id and Ed25519 signing function.
        batch: the caller's name for the whole, the same when it goes on after an interruption.
        state: a folder for this run; may be removed when it has ended well.
        state_key: secret bytes (the caller's signing seed) that the folder is encrypted under.
        blinded: False only for inputs that are public, a steward's roll.
        key: the statement's evidence from the log, which a file of evidence then holds.
        evidence: the folder for such files; ``state`` by default.
        named: told of each custodian that fails, while others go on; prints it by default.

    Raises: when fewer than the threshold are left,
        CustodianLied: one gave a wrong answer, with the file that shows it.
        CustodianRefused: they said no, by one name (quota-exceeded, unknown-actor, ...).
        TooFewCustodians: they do not answer, or refuse for different reasons.
    """
    hands = workers or cores()
    with (
        _running(memory=memory, workers=hands, **about) as run,
        # One batch more than hands, so that no core waits for a custodian's answer.
        ThreadPoolExecutor(hands + 1) as runners,
    ):
        flying: set[Future[int]] = set()
        done = 0
        try:
            for known, batch in run.work(inputs):
                done += known
                if batch:
                    flying.add(runners.submit(run.one, batch))
                while len(flying) > hands:
                    done += _landed(flying)
                progress(min(done, total), total)
            while flying:
                done += _landed(flying)
                progress(min(done, total), total)
        except BaseException:
            # The first failure ends the run; what is finished stays.
            for future in flying:
                future.cancel()
            raise


def _landed(flying: "set[Future[int]]") -> int:
    """Wait for a batch to end; how many inputs the ended ones had."""
    ended, _ = wait(flying, return_when=FIRST_COMPLETED)
    flying -= ended
    return sum(future.result() for future in ended)


def prepared(inputs: Iterable[bytes], **about: Any) -> Iterator[dict[str, Any]]:
    """Begin every batch that would be asked for, ask nobody; yield the bodies as they would leave.

    A run that follows within twelve hours sends these. Arguments as of `evaluate_missing`.
    """
    with _running(**about) as run:
        for _, batch in run.work(inputs):
            if batch:
                begun = batch if isinstance(batch, _Begun) else run.begin(batch)
                yield _body(run.signed(begun), begun.points)


def evaluate_inputs(
    inputs: Sequence[bytes], *, statement: Statement, state: Path, state_key: bytes, **about: Any
) -> list[bytes]:
    """Evaluate a few inputs, remembered in ``state`` alone; 64 bytes each, in order."""
    with Memory(state / "memory.sqlite", state_key, statement.sid) as memory:
        evaluate_missing(
            inputs,
            memory=memory,
            total=len(inputs),
            statement=statement,
            state=state,
            state_key=state_key,
            **about,
        )
        return memory.outputs(inputs)

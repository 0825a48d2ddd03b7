"""Turn private inputs into token outputs with the custodians: blind, ask, check, unblind.

Used by the partner's and the steward's tools. Batches of exactly 4,096; two custodians are asked
at once; every
proof is checked against the share commitments of the logged statement. What is needed to go on
after a crash
(blinds, nonce, finished outputs) is kept in a folder, encrypted under a key of the caller's.
"""

import base64
import binascii
import hashlib
import json
import multiprocessing
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any

import httpx
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from consortium.custodians import (
    CustodianAddress,
    CustodianDown,
    CustodianLied,
    CustodianProblem,
    CustodianRefused,
    TooFewCustodians,
    call,
)
from matching import group, oprf
from matching.crypto_errors import MessageRefused, ProofRefused
from matching.envelope import Message, Signer
from matching.evaluation import (
    BATCH,
    VERSION,
    Request,
    check_response,
    moment,
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
    "evaluate_inputs",
]

_LIFE = timedelta(hours=12)
_SPAWN_FROM = 4  # batches; below that, starting worker processes costs more than it saves


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


def _finish(
    inputs: Sequence[bytes], blinds: bytes, answers: Sequence[tuple[int, bytes]]
) -> list[bytes]:
    quorum, size = [index for index, _ in answers], 32 * len(inputs)
    weighted = [(lagrange(index, quorum), evaluated[:size]) for index, evaluated in answers]
    combine = oprf.unblind(blinds, weighted) if blinds else oprf.combine_each(weighted)
    return oprf.finalise(inputs, combine)


# -- the folder that makes it resumable
# --------------------------------------------------------------


class _Drawer:
    """Encrypted files of one run, each bound to its batch, key statement and inputs."""

    def __init__(self, folder: Path, key: bytes, bound: bytes) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = HKDF(SHA256(), 32, salt=None, info=b"trellis/tokenise-state/v1").derive(key)
        self._folder, self._aead, self._bound = folder, ChaCha20Poly1305(made), bound

    def _label(self, name: str, inputs: Sequence[bytes]) -> bytes:
        hashed = hashlib.sha256()
        for one in inputs:
            hashed.update(len(one).to_bytes(4, "big") + one)
        return self._bound + name.encode() + hashed.digest()

    def read(self, name: str, inputs: Sequence[bytes]) -> bytes | None:
        """Return what was kept for exactly these inputs, if anything."""
        try:
            raw = (self._folder / name).read_bytes()
            return self._aead.decrypt(raw[:12], raw[12:], self._label(name, inputs))
        except (FileNotFoundError, InvalidTag, ValueError):
            return None  # another list under the same folder: begin that batch anew

    def write(self, name: str, inputs: Sequence[bytes], raw: bytes) -> None:
        """Keep ``raw`` durably and at once or not at all."""
        nonce = os.urandom(12)
        sealed = nonce + self._aead.encrypt(nonce, raw, self._label(name, inputs))
        path = self._folder / name
        handle = os.open(path.with_suffix(".new"), os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(sealed)
            file.flush()
            os.fsync(file.fileno())
        path.with_suffix(".new").replace(path)

    def evidence(self, name: str, shown: dict[str, Any]) -> Path:
        """Keep what proves a custodian wrong; blinded, so it can be published."""
        path = self._folder / name
        path.write_text(json.dumps(shown, indent=1, sort_keys=True))
        return path


# -- one run
# -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Run:
    statement: Statement
    custodians: Sequence[CustodianAddress]
    actor: str
    sign: Signer
    batch: str
    drawer: _Drawer
    blinded: bool
    client: httpx.Client
    workers: Executor
    askers: Executor
    totals: dict[str, int] = field(default_factory=dict)
    down: dict[str, CustodianProblem] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def one(self, number: int, inputs: Sequence[bytes]) -> list[bytes]:
        """Tokenise one batch, or take its outputs from the folder."""
        name = f"batch-{number:06d}"
        done = self.drawer.read(name + ".done", inputs)
        if done is not None:
            return [done[n : n + 64] for n in range(0, len(done), 64)]
        begun = self._begin(name, inputs)
        answers = self._ask(name, begun)
        blinds = bytes.fromhex(begun["blinds"])
        outputs = self.workers.submit(_finish, inputs, blinds, answers).result()
        self.drawer.write(name + ".done", inputs, b"".join(outputs))
        return outputs

    def _begin(self, name: str, inputs: Sequence[bytes]) -> dict[str, Any]:
        """Blind, and keep blinds and nonce before asking: a repeat is then not charged again."""
        kept = self.drawer.read(name + ".begun", inputs)
        if kept is not None:
            begun = dict(json.loads(kept))
            if moment(begun["expires"]) > datetime.now(UTC) + timedelta(minutes=5):
                return begun
        blinds, points = self.workers.submit(_blind, inputs, self.blinded).result()
        begun = {
            "nonce": secrets.token_hex(16),
            "expires": (datetime.now(UTC) + _LIFE).isoformat(),
            "blinds": blinds.hex(),
            "points": points.hex(),
        }
        self.drawer.write(name + ".begun", inputs, json.dumps(begun).encode())
        return begun

    def _ask(self, name: str, begun: dict[str, Any]) -> list[tuple[int, bytes]]:
        """Collect a threshold of checked answers, asking another custodian for each that is
        down.
        """
        points = bytes.fromhex(begun["points"])
        request = Request(
            sid=self.statement.sid,
            version=VERSION,
            actor=self.actor,
            batch=self.batch,
            purpose=self.statement.purpose,
            nonce=begun["nonce"],
            expires=moment(begun["expires"]),
            points=hashlib.sha256(points).hexdigest(),
        )
        message, good = sign_request(request, self.sign), dict[int, bytes]()
        waiting = [one for one in self.custodians if one.id in self.statement.ids]
        # Those that were down before come last, so that a dead host is not waited for every time;
        # before them those that are closed by the hours in the invite.
        now = datetime.now(UTC)
        waiting.sort(key=lambda one: (one.id in self.down, not one.hours.open_at(now)))
        while len(good) < self.statement.threshold:
            missing = self.statement.threshold - len(good)
            asked, waiting = waiting[:missing], waiting[missing:]
            if len(asked) < missing:
                raise TooFewCustodians(self.statement.threshold, self.down)
            futures = [self.askers.submit(self._of, one, message, points, name) for one in asked]
            for one, future in zip(asked, futures, strict=True):
                try:
                    good[self.statement.index(one.id)] = future.result()
                except CustodianDown as down:
                    with self.lock:
                        self.down[one.id] = down
        return sorted(good.items())

    def _of(self, address: CustodianAddress, message: Message, points: bytes, name: str) -> bytes:
        body = {"request": message, "points": base64.b64encode(points).decode()}
        said = call(self.client, address, "/evaluate", body)
        try:
            evaluated = base64.b64decode(str(said.get("evaluations")), validate=True)
        except binascii.Error as error:
            raise CustodianDown(address.id, "does not answer in base64") from error
        answer = _Answer(address.id, address.public, message, said.get("response"), evaluated)
        try:
            total = self.workers.submit(_check, answer, points, self.statement).result()
        except ProofRefused as error:
            raise CustodianLied(address.id, self._evidence(name, answer, points)) from error
        except MessageRefused as error:
            # Not signed by it: somebody in between, or a broken host. No evidence, no trust.
            raise CustodianDown(
                address.id, f"does not answer under its own key ({error})"
            ) from error
        self._total(address, total, answer, name, points)
        return evaluated

    def _total(
        self, address: CustodianAddress, total: int, answer: _Answer, name: str, points: bytes
    ) -> None:
        """A signed running total below what this run alone was charged is a lie about the quota."""
        with self.lock:
            self.totals[address.id] = max(self.totals.get(address.id, 0), total)
        if total < BATCH:
            raise CustodianLied(address.id, self._evidence(name, answer, points))

    def _evidence(self, name: str, answer: _Answer, points: bytes) -> Path:
        shown = {
            "custodian": answer.id,
            "request": answer.message,
            "points": points.hex(),
            "response": answer.response,
            "evaluations": answer.evaluated.hex(),
            "statement": self.statement.to_json(),
        }
        return self.drawer.evidence(f"evidence-{answer.id}-{name}.json", shown)


@contextmanager
def _pool(workers: int, batches: int) -> Iterator[Executor]:
    if workers > 1 and batches >= _SPAWN_FROM:
        # spawn: a forked child would inherit sockets and half-held locks of the asking threads.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context) as processes:
            yield processes
    else:
        with ThreadPoolExecutor(max(workers, 1)) as threads:
            yield threads


def evaluate_inputs(
    inputs: Sequence[bytes],
    *,
    statement: Statement,
    custodians: Sequence[CustodianAddress],
    actor: str,
    sign: Signer,
    batch: str,
    state: Path,
    state_key: bytes,
    blinded: bool = True,
    workers: int = 2,
    progress: Callable[[int, int], None] = lambda done, of: None,
    client: httpx.Client | None = None,
) -> list[bytes]:
    """Evaluate every input under the custodians' joint key.

    Args:
        inputs: private inputs (`matching.recipes`), in the order in which outputs are wanted.
        statement: the key statement, taken from a cosigned log and checked; never from a custodian.
        custodians: the more of the n are given, the more may be down.
        actor, sign: the caller's id and Ed25519 signing function.
        batch: the caller's name for the whole, the same when it goes on after an interruption.
        state: a folder for this run; may be removed when the outputs are safe.
        state_key: secret bytes (the caller's signing seed) that the folder is encrypted under.
        blinded: False only for inputs that are public, a steward's roll.
        workers: processes to blind, check and unblind in.
        progress: called with (inputs done, inputs in all) after each batch.

    Returns:
        64 bytes per input, in order.

    Raises:
        CustodianRefused: a custodian said no, by name (quota-exceeded, unknown-actor, ...).
        CustodianLied: a wrong answer; its evidence file lies in ``state``.
        TooFewCustodians: fewer than the threshold answer.
    """
    group.available()
    bound = hashlib.sha256(f"{statement.sid}/{batch}/{blinded}".encode()).digest()
    chunks = [inputs[n : n + BATCH] for n in range(0, len(inputs), BATCH)]
    if not chunks:
        return []
    owned = client or httpx.Client(timeout=120)
    try:
        with (
            _pool(workers, len(chunks)) as pool,
            ThreadPoolExecutor(2 * len(custodians)) as askers,
            ThreadPoolExecutor(max(2, workers)) as runners,
        ):
            drawer = _Drawer(state, state_key, bound)
            run = _Run(
                statement, custodians, actor, sign, batch, drawer, blinded, owned, pool, askers
            )
            return _all(run, chunks, runners, len(inputs), progress)
    finally:
        if client is None:
            owned.close()


def _all(
    run: _Run,
    chunks: Sequence[Sequence[bytes]],
    runners: Executor,
    count: int,
    progress: Callable[[int, int], None],
) -> list[bytes]:
    futures = {runners.submit(run.one, n, chunk): n for n, chunk in enumerate(chunks)}
    outputs: list[list[bytes]] = [[] for _ in chunks]
    done = 0
    try:
        for future in as_completed(futures):
            number = futures[future]
            outputs[number] = future.result()
            done += len(outputs[number])
            progress(done, count)
    except BaseException:
        # The first failure ends the run; what is finished stays in the folder.
        for future in futures:
            future.cancel()
        raise
    return [one for chunk in outputs for one in chunk]

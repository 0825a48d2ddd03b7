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

import hashlib
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import httpx

from consortium.cli.batches import Begun, Drawer, Hands, blind, cores, finish
from consortium.cli.memory import Memory
from consortium.cli.quorum import Quorum, name_aloud, request_body
from consortium.custodians import (
    CustodianAddress,
    CustodianDown,
    CustodianLied,
    CustodianProblem,
    CustodianRefused,
    TooFewCustodians,
)
from matching import group
from matching.envelope import Message, Signer
from matching.evaluation import BATCH, Request, sign_request
from matching.statement import Statement

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
_LOOK_UP = 512  # inputs whose answers are looked for at once


@dataclass(slots=True)
class _Run:
    statement: Statement
    actor: str
    sign: Signer
    batch: str
    drawer: Drawer
    memory: Memory
    blinded: bool
    workers: Hands
    quorum: Quorum

    def work(self, inputs: Iterable[bytes]) -> Iterator[tuple[int, list[bytes] | Begun]]:
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

    def _taken_up(self, name: str) -> Begun | None:
        """A batch of an earlier run, unless it is answered, or too old for its request to hold."""
        raw = self.drawer.read(name)
        begun = Begun.from_bytes(name, raw) if raw is not None else None
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

    def one(self, batch: list[bytes] | Begun) -> int:
        """Have one batch evaluated and kept; returns how many inputs it had."""
        begun = batch if isinstance(batch, Begun) else self.begin(batch)
        answers = self.quorum.ask(self.signed(begun), begun.points)
        size = len(begun.inputs)
        points = self.workers.submit(finish, begun.blinds, size, answers).result()
        self.memory.put(begun.inputs, points)
        # Durable now, so the blinds are of no more use.
        self.drawer.drop(begun.name)
        return size

    def begin(self, inputs: Sequence[bytes]) -> Begun:
        """Blind, and keep blinds and nonce before asking: a repeat is then not charged again."""
        self.workers.another()
        blinds, points = self.workers.submit(blind, inputs, BATCH, self.blinded).result()
        nonce = secrets.token_hex(16)
        expires = (datetime.now(UTC) + _LIFE).replace(microsecond=0)
        version, after = self.statement.version, self.quorum.heard()
        begun = Begun(f"{nonce}.begun", inputs, nonce, expires, after, blinds, points, version)
        self.drawer.write(begun.name, begun.to_bytes())
        return begun

    def signed(self, begun: Begun) -> Message:
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
        drawer = Drawer(state, state_key, bound)
        own = nullcontext(client) if client is not None else httpx.Client(timeout=120)
        hands = Hands(workers or cores(), stack)
        quorum = Quorum(
            statement,
            custodians,
            memory,
            blinded,
            stack.enter_context(own),
            hands,
            stack.enter_context(ThreadPoolExecutor(2 * max(len(custodians), 1))),
            evidence or state,
            named or name_aloud,
            key,
        )
        yield _Run(statement, actor, sign, batch, drawer, memory, blinded, hands, quorum)


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
                begun = batch if isinstance(batch, Begun) else run.begin(batch)
                yield request_body(run.signed(begun), begun.points)


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

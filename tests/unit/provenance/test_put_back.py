"""A log whose lock and files were both put back from yesterday signs nothing."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from consortium.clock import Standing
from consortium.witness.app import make_app
from consortium.witness.ledger import Ledger
from consortium.witness_client import asker, shown
from provenance.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from provenance.errors import QuorumRefused, RecoveryRefused, Stopped
from provenance.merkle import tree_root
from provenance.note import Signer
from provenance.quorum import Policy, Witness
from provenance.sequencer import Sequencer
from tests.fakes.actors import LOG, NOON, POLICY, WITNESSES, trusting
from tests.fakes.log import MemoryBackend, MemoryLock

NAMES = [one.verifier.name for one in WITNESSES]


def entries(start: int, count: int) -> list[bytes]:
    return [f"entry {n}".encode() for n in range(start, start + count)]


@dataclass
class World:
    """A log, and what its witnesses show."""

    backend: MemoryBackend = field(default_factory=MemoryBackend)
    lock: MemoryLock = field(default_factory=MemoryLock)
    shows: dict[str, bytes | None] = field(default_factory=lambda: dict.fromkeys(NAMES))

    def opened(self, *, asks: bool = True) -> Sequencer:
        seen = (lambda: dict(self.shows)) if asks else None
        return Sequencer(self.backend, self.lock, LOG, POLICY, trusting(), None, seen)

    def grow(self, start: int, count: int) -> None:
        self.opened().append(entries(start, count), NOON)
        self.shows = dict.fromkeys(NAMES, self.backend.read("checkpoint"))


@pytest.fixture
def put_back() -> World:
    """Yesterday three entries, today five; lock and files are yesterday's again."""
    world = World()
    world.grow(0, 3)
    yesterday = copy.deepcopy((world.backend, world.lock))
    world.grow(3, 2)
    world.backend, world.lock = yesterday
    return world


def test_what_a_witness_saw_refuses_the_start(put_back: World) -> None:
    log = put_back.opened()
    with pytest.raises(RecoveryRefused, match=r"seen longer: .*5 entries.* only 3.* put back"):
        log.recover()
    with pytest.raises(Stopped, match="seen longer"):
        log.append(entries(9, 1), NOON)


def test_without_asking_it_would_sign_a_fork(put_back: World) -> None:
    """The control: the two checkpoints contradict each other and both are signed."""
    log = put_back.opened(asks=False)
    log.recover()
    log.append(entries(100, 2), NOON)
    seen = put_back.shows[NAMES[0]]
    assert seen is not None
    theirs = open_checkpoint(seen, [LOG.verifier])[0]
    assert (log.committed().size, theirs.size) == (5, 5)
    assert log.committed().root != theirs.root


def test_one_witness_that_saw_it_is_enough_to_refuse(put_back: World) -> None:
    put_back.shows |= dict.fromkeys(NAMES[1:])
    with pytest.raises(RecoveryRefused, match=NAMES[0]):
        put_back.opened().recover()


def test_while_too_few_witnesses_say_what_they_saw_nothing_new_is_signed(put_back: World) -> None:
    seen = put_back.shows
    put_back.shows = {NAMES[2]: None}
    log = put_back.opened()
    assert log.recover().size == 3
    before = dict(put_back.lock.notes)
    with pytest.raises(QuorumRefused, match=f"missing: {NAMES[0]}, {NAMES[1]}"):
        log.append(entries(9, 1), NOON)
    assert (put_back.lock.notes, put_back.backend.staging) == (before, {})
    put_back.shows = seen
    with pytest.raises(RecoveryRefused, match="seen longer"):
        log.append(entries(9, 1), NOON)


def test_a_lost_lock_and_empty_files_are_an_old_copy_too(put_back: World) -> None:
    put_back.backend, put_back.lock = MemoryBackend(), MemoryLock()
    with pytest.raises(RecoveryRefused, match="here are only 0"):
        put_back.opened().recover()


def test_another_history_of_the_same_length_is_refused(put_back: World) -> None:
    put_back.opened(asks=False).append(entries(100, 2), NOON)
    with pytest.raises(RecoveryRefused, match="seen otherwise"):
        put_back.opened().recover()


@pytest.mark.parametrize(
    "shown",
    [
        b"",
        b"not a note",
        sign_checkpoint(Checkpoint(LOG.verifier.name, 9, tree_root(entries(0, 9))),
                        Signer.from_seed(LOG.verifier.name, bytes(32))),
    ],
    ids=["nothing", "rubbish", "a longer log under another key"],
)  # fmt: skip
def test_a_witness_that_lies_stops_nothing(shown: bytes) -> None:
    world = World()
    world.grow(0, 3)
    world.shows[NAMES[0]] = shown
    log = world.opened()
    assert log.recover().size == 3
    assert log.append(entries(3, 1), NOON) == range(3, 4)


def test_it_is_asked_once_a_process_and_a_log_that_is_whole_goes_on() -> None:
    world = World()
    world.grow(0, 3)
    asked: list[int] = []

    def seen() -> Mapping[str, bytes | None]:
        asked.append(1)
        return world.shows

    log = Sequencer(world.backend, world.lock, LOG, POLICY, trusting(), None, seen)
    log.recover()
    log.append(entries(3, 1), NOON)
    log.append(entries(4, 1), NOON)
    assert asked == [1]


def test_a_real_witness_is_asked_over_http(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "witness.db")
    ledger.trust(LOG.verifier)
    app = make_app(ledger, WITNESSES[0], Standing(NOON))

    def call(request: httpx.Request) -> httpx.Response:
        async def over_asgi() -> httpx.Response:
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://w") as client:
                got = await client.request(request.method, request.url, content=request.content)
            return httpx.Response(got.status_code, headers=got.headers, content=got.content)

        return asyncio.run(over_asgi())

    away = Witness("w2", WITNESSES[1].verifier)
    policy = Policy.of(LOG.verifier, [Witness("w1", WITNESSES[0].verifier, "http://w/"), away], 1)
    transport = httpx.MockTransport(call)
    ask: Callable[[], Mapping[str, bytes | None]] = lambda: shown(policy, 5, transport=transport)  # noqa: E731
    assert ask() == {NAMES[0]: None}
    backend, lock = MemoryBackend(), MemoryLock()
    cosign = asker(policy, transport=transport)
    Sequencer(backend, lock, LOG, policy, cosign).append(entries(0, 3), NOON)
    yesterday = copy.deepcopy((backend, lock))
    Sequencer(backend, lock, LOG, policy, cosign).append(entries(3, 2), NOON)
    assert [*ask()] == [NAMES[0]]
    with pytest.raises(RecoveryRefused, match="seen longer"):
        Sequencer(*yesterday, LOG, policy, cosign, None, ask).recover()
    with pytest.raises(QuorumRefused, match="1 of 2 witnesses"):
        Sequencer(backend, lock, LOG, policy, cosign, None, ask).append([b"x"], NOON)

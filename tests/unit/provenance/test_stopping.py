"""A writer that cannot know what is durable, or that is not alone, stops for good and says so."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from consortium.clock import Standing
from provenance.audit import FolderSource, audit
from provenance.backend import Disk, FolderBackend
from provenance.errors import LockLost, RecoveryRefused, Stopped, WriterElsewhere
from provenance.sequencer import Sequencer
from tests.fakes.actors import LOG, NOON, POLICY, made, trusting
from tests.fakes.log import MemoryBackend, MemoryLease, MemoryLock

ENTRIES = [made("union", "contribution", kind="x", n=n).entry for n in range(260)]
WAYS = (
    lambda log: log.recover(),
    lambda log: log.append(ENTRIES[:1], NOON),
    lambda log: log.append_once(ENTRIES[:1], 0, NOON),
    lambda log: log.leaves(),
    lambda log: log.publish(NOON),
)


class Failing(Disk):
    """Fails once at the n-th call of one kind; afterwards it says that all is well."""

    def __init__(self, kind: str, at: int, number: int = errno.EIO) -> None:
        self.kind, self.at, self.number = kind, at, number
        self.calls = 0

    def _now(self, kind: str, path: Path) -> None:
        self.calls += kind == self.kind
        if kind == self.kind and self.calls == self.at:
            raise OSError(self.number, "it failed", str(path))

    def sync(self, path: Path) -> None:
        self._now("sync", path)
        super().sync(path)

    def write(self, path: Path, data: bytes) -> None:
        self._now("write", path)
        super().write(path, data)

    def link(self, source: Path, target: Path) -> None:
        self._now("link", target)
        super().link(source, target)

    def replace(self, source: Path, target: Path) -> None:
        self._now("replace", target)
        super().replace(source, target)

    def unlink(self, path: Path) -> None:
        self._now("unlink", path)
        super().unlink(path)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A log one entry before its first tile is full."""
    made = World(tmp_path_factory.mktemp("template"), MemoryLock())
    log = made.opened(Disk())
    log.recover()
    log.append(ENTRIES[:255], NOON)
    return made


@pytest.fixture
def world(template: World, tmp_path: Path) -> Callable[[str], World]:
    """Copies of it."""

    def copied(name: str = "one") -> World:
        lock = MemoryLock()
        lock.notes = dict(template.lock.notes)
        return World(shutil.copytree(template.folder, tmp_path / name), lock)

    return copied


@dataclass
class World:
    folder: Path
    lock: MemoryLock

    def opened(self, disk: Disk) -> Sequencer:
        backend = FolderBackend(self.folder / "log", disk=disk)
        return Sequencer(backend, self.lock, LOG, POLICY, trusting())

    def files(self) -> dict[Path, bytes]:
        return {one: one.read_bytes() for one in self.folder.rglob("*") if one.is_file()}

    def check(self) -> None:
        """A new process goes on in the one history."""
        log = self.opened(Disk())
        size = log.recover().size
        assert size in (255, 258)
        assert log.append(ENTRIES[size:259], NOON) == range(size, 259)
        report = audit(FolderSource(self.folder / "log"), POLICY)
        assert report.size == 259


def started_and_appended(log: Sequencer) -> None:
    log.recover()
    log.append(ENTRIES[255:258], NOON)


def failures(world: World, kind: str) -> int:
    """How many calls of one kind a start and an append make."""
    disk = Failing(kind, 0)
    log = world.opened(disk)
    log.recover()
    log.append(ENTRIES[255:258], NOON)
    return disk.calls


def test_after_any_fsync_that_failed_nothing_is_done_any_more(
    world: Callable[[str], World],
) -> None:
    total = failures(world("count"), "sync")
    assert total > 20
    for at in range(1, total + 1):
        here = world(str(at))
        disk = Failing("sync", at)
        try:
            log = here.opened(disk)  # its folders are synced, too
        except OSError:
            here.check()
            continue
        with pytest.raises(Stopped, match="could not be made durable") as told:
            started_and_appended(log)
        assert "Look at the disk" in str(told.value)
        assert "Start the worker again" in str(told.value)
        files = here.files()
        calls = disk.calls
        for way in WAYS:
            with pytest.raises(Stopped) as again:
                way(log)
            assert str(again.value) == str(told.value)
        assert disk.calls == calls, "and the disk was not even asked again"
        assert files == here.files()
        here.check()


@pytest.mark.parametrize("kind", ["link", "replace", "unlink", "write"])
def test_so_it_does_after_other_operations_but_for_staging_that_found_no_room(
    world: Callable[[str], World], kind: str
) -> None:
    for at in range(1, failures(world("count"), kind) + 1):
        here = world(str(at))
        log = here.opened(Failing(kind, at, errno.ENOSPC))
        log.recover()
        with pytest.raises((Stopped, OSError)) as told:
            log.append(ENTRIES[255:258], NOON)
        if isinstance(told.value, Stopped):
            with pytest.raises(Stopped):
                log.append(ENTRIES[255:258], NOON)
        else:
            assert log.committed().size == 255, "nothing was promised"
            assert log.append(ENTRIES[255:258], NOON) == range(255, 258)
        here.check()


def test_a_batch_that_found_no_room_was_never_promised_and_may_be_tried_again(
    world: Callable[[], World],
) -> None:
    log = world().opened(Failing("write", 1, errno.ENOSPC))
    log.recover()
    with pytest.raises(OSError, match="it failed"):
        log.append(ENTRIES[255:258], NOON)
    assert log.append(ENTRIES[255:258], NOON) == range(255, 258)


def test_a_lock_that_fails_at_the_commit_leaves_it_unknown_and_stops_the_log() -> None:
    class Torn(MemoryLock):
        def swap(self, origin: str, old: bytes | None, new: bytes) -> None:
            super().swap(origin, old, new)
            raise RuntimeError("server closed the connection unexpectedly")

    backend, lock = MemoryBackend(), Torn()
    log = Sequencer(backend, lock, LOG, POLICY, trusting())
    with pytest.raises(Stopped, match="whether it happened is not known"):
        log.append(ENTRIES[:2], NOON)
    with pytest.raises(Stopped):
        log.publish(NOON)
    again = Sequencer(backend, MemoryLock(), LOG, POLICY, trusting())
    again._lock.notes = lock.notes  # type: ignore[attr-defined]
    assert again.recover().size == 2


def test_who_lost_against_another_writer_stops_too() -> None:
    backend, lock = MemoryBackend(), MemoryLock()

    class Late(MemoryLock):
        def swap(self, origin: str, old: bytes | None, new: bytes) -> None:
            Sequencer(backend, lock, LOG, POLICY, trusting()).append(ENTRIES[:2], NOON)
            lock.swap(origin, old, new)

    loser = Sequencer(backend, Late(), LOG, POLICY, trusting())
    with pytest.raises(LockLost):
        loser.append(ENTRIES[2:3], NOON)
    with pytest.raises(Stopped, match="A log has one writer"):
        loser.append(ENTRIES[2:3], NOON)
    assert Sequencer(backend, lock, LOG, POLICY, trusting()).recover().size == 2


def test_a_writer_that_slept_while_witnesses_were_asked_cannot_take_the_log_back() -> None:
    backend, lock = MemoryBackend(), MemoryLock()
    good = trusting()

    def asleep(note: bytes, proof_for: Callable[[int], list[bytes]]) -> list[bytes]:
        lines = good(note, proof_for)
        Sequencer(backend, lock, LOG, POLICY, good).append(ENTRIES[3:5], NOON)
        return lines

    Sequencer(backend, lock, LOG, POLICY, good).append(ENTRIES[:3], NOON)
    slow = Sequencer(backend, lock, LOG, POLICY, asleep)
    with pytest.raises(LockLost):
        slow.publish(NOON)
    assert slow.published().size == 5


def test_a_disk_that_reads_back_other_bytes_than_were_staged_is_not_trusted(
    world: Callable[[], World],
) -> None:
    class Liar(Disk):
        def read(self, path: Path) -> bytes | None:
            found = super().read(path)
            return found and (found[:-1] + b"?" if path.name.startswith("258-") else found)

    log = world().opened(Liar())
    log.recover()
    with pytest.raises(Stopped, match="reads back with"):
        log.append(ENTRIES[255:258], NOON)
    assert log.committed().size == 255


def test_a_file_that_somebody_else_wrote_in_the_place_of_a_promised_one_is_named(
    world: Callable[[], World],
) -> None:
    here = world()
    log = here.opened(Disk())
    log.recover()
    (here.folder / "log" / "tile" / "0" / "000").write_bytes(b"foreign")
    with pytest.raises(RecoveryRefused, match=r"tile/0/000 .* keep that file as evidence"):
        log.append(ENTRIES[255:258], NOON)


class Died(BaseException):
    """The process is no more."""


def test_what_another_swept_away_cannot_be_committed_any_more() -> None:
    shared: dict[str, dict[str, Any]] = {}
    backend, clock = MemoryBackend(), Standing(NOON)

    def opened(lock: MemoryLease) -> Sequencer:
        return Sequencer(backend, lock, LOG, POLICY, trusting(), lock)

    class Asleep(MemoryLease):
        """Sleeps for longer than its lease before it commits, and dies right after."""

        def swap(self, origin: str, old: bytes | None, new: bytes) -> None:
            clock.now += timedelta(minutes=2)
            opened(MemoryLease(shared, "second", clock)).recover()
            super().swap(origin, old, new)
            raise Died

    with pytest.raises(WriterElsewhere):
        opened(Asleep(shared, "first", clock)).append(ENTRIES[:2], NOON)
    assert opened(MemoryLease(shared, "third", clock)).recover().size == 0


def test_without_a_lease_it_would_be_and_the_promise_could_not_be_kept() -> None:
    """The control: why a sequencer that is not alone needs a lease."""
    backend, lock = MemoryBackend(), MemoryLock()

    class Asleep(MemoryLock):
        def swap(self, origin: str, old: bytes | None, new: bytes) -> None:
            Sequencer(backend, lock, LOG, POLICY, trusting()).recover()
            lock.swap(origin, old, new)
            raise Died

    with pytest.raises(Died):
        Sequencer(backend, Asleep(), LOG, POLICY, trusting()).append(ENTRIES[:2], NOON)
    with pytest.raises(RecoveryRefused, match="not all there"):
        Sequencer(backend, lock, LOG, POLICY, trusting()).recover()

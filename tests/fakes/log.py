"""In-memory twins of the log's ports, and the one test class each port has."""

from collections.abc import Callable, Collection, Iterator
from datetime import timedelta
from typing import Any, Protocol

import pytest

from consortium.clock import Standing
from consortium.store.log_lock import LOG_LEASE
from provenance.backend import CHECKPOINT, OVERTAKEN, Backend, Lease, Lock
from provenance.errors import ImmutableRefused, LockLost, WriterElsewhere
from provenance.tiles import WIDTH, TileReader


def entry_at(backend: Backend, index: int, size: int) -> bytes:
    """One entry of a tree of ``size``, read from its tiles."""
    return TileReader(backend.read, size).entries(index // WIDTH)[index % WIDTH]


class MemoryLock:
    """A lock in a dictionary."""

    def __init__(self) -> None:
        self.notes: dict[str, bytes] = {}

    def load(self, origin: str) -> bytes | None:
        return self.notes.get(origin)

    def swap(self, origin: str, old: bytes | None, new: bytes) -> None:
        if self.notes.get(origin) != old:
            raise LockLost(origin)
        self.notes[origin] = new


class MemoryLease(MemoryLock):
    """A lock with a lease, over a dictionary that others share."""

    def __init__(
        self,
        shared: dict[str, dict[str, Any]],
        holder: str,
        clock: Standing,
        dead: Collection[str] = (),
    ) -> None:
        self.notes = shared.setdefault("notes", {})
        self.leases = shared.setdefault("leases", {})
        self.holder, self.clock, self.dead = holder, clock, dead
        self.fences: dict[str, int] = {}

    def hold(self, origin: str) -> None:
        holder, fence, until = self.leases.get(origin, (self.holder, 1, self.clock()))
        if holder != self.holder:
            if until > self.clock() and holder not in self.dead:
                raise WriterElsewhere(f"the log is another worker's until {until:%H:%M:%S}")
            fence += 1
        self.leases[origin] = (self.holder, fence, self.clock() + LOG_LEASE)
        self.fences[origin] = fence

    def drop(self, origin: str) -> None:
        holder, fence, _ = self.leases.get(origin, ("", 0, None))
        if holder == self.holder:
            self.leases[origin] = (holder, fence, self.clock())

    def swap(self, origin: str, old: bytes | None, new: bytes) -> None:
        ours = (self.holder, self.fences.get(origin))
        if self.leases.get(origin, ())[:2] != ours:
            raise WriterElsewhere("another process has taken the right to write the log")
        super().swap(origin, old, new)


class Leased(Lock, Lease, Protocol):
    """A lock and the lease that belongs to it."""


class MemoryBackend:
    """A log in two dictionaries."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.staging: dict[str, bytes] = {}

    def put(self, path: str, data: bytes) -> None:
        if self.files.setdefault(path, data) != data:
            raise ImmutableRefused(path)

    def read(self, path: str) -> bytes | None:
        return self.files.get(path)

    def publish(self, checkpoint: bytes, over: bytes | None) -> None:
        if self.files.get(CHECKPOINT) != over:
            raise LockLost(OVERTAKEN)
        self.files[CHECKPOINT] = checkpoint

    def drop_partials(self, path: str) -> None:
        if path not in self.files:
            raise ImmutableRefused(path)
        for one in list(self.list(f"{path}.p/")):
            del self.files[one]

    def list(self, prefix: str = "") -> Iterator[str]:
        yield from sorted(path for path in self.files if path.startswith(prefix))

    def stage(self, name: str, data: bytes) -> None:
        self.staging[name] = data

    def staged(self, name: str) -> bytes | None:
        return self.staging.get(name)

    def stages(self) -> Iterator[str]:
        yield from sorted(self.staging)

    def unstage(self, name: str) -> None:
        self.staging.pop(name, None)

    def sweep(self) -> None:
        """Nothing: a dictionary has no halves."""


class LockPort:
    """What every lock must do. Subclass it with a fixture ``fresh``: makes a new, empty lock."""

    def test_a_new_lock_knows_nothing(self, fresh: Callable[[], Lock]) -> None:
        assert fresh().load("log.example/a") is None

    def test_what_was_swapped_in_is_loaded(self, fresh: Callable[[], Lock]) -> None:
        lock = fresh()
        lock.swap("log.example/a", None, b"one")
        lock.swap("log.example/a", b"one", b"two")
        assert lock.load("log.example/a") == b"two"

    @pytest.mark.parametrize("old", [None, b"two", b""])
    def test_a_swap_from_something_else_is_lost(
        self, fresh: Callable[[], Lock], old: bytes | None
    ) -> None:
        lock = fresh()
        lock.swap("log.example/a", None, b"one")
        with pytest.raises(LockLost):
            lock.swap("log.example/a", old, b"three")
        assert lock.load("log.example/a") == b"one"

    def test_a_swap_from_something_on_an_empty_lock_is_lost(
        self, fresh: Callable[[], Lock]
    ) -> None:
        lock = fresh()
        with pytest.raises(LockLost):
            lock.swap("log.example/a", b"one", b"two")
        assert lock.load("log.example/a") is None

    def test_logs_do_not_share_a_lock(self, fresh: Callable[[], Lock]) -> None:
        lock = fresh()
        lock.swap("log.example/a", None, b"one")
        assert lock.load("log.example/b") is None


class LeasePort:
    """What every lock with a lease must do. Subclass it with a fixture ``holder``: opens the one
    lock of this test for a process of that name, given who is proven to have ended; the time
    is the fixture ``clock``."""

    def test_the_holder_renews_and_the_other_waits_until_it_has_run_out(
        self, holder: Callable[..., Leased], clock: Standing
    ) -> None:
        first, second = holder("first"), holder("second")
        first.hold("log.example/a")
        clock.now += timedelta(seconds=50)
        first.hold("log.example/a")
        clock.now += timedelta(seconds=50)
        with pytest.raises(WriterElsewhere, match="another worker's until 12:01:50"):
            second.hold("log.example/a")
        clock.now += timedelta(seconds=11)
        second.hold("log.example/a")
        with pytest.raises(WriterElsewhere):
            first.hold("log.example/a")

    def test_a_holder_that_was_overtaken_commits_nothing_although_its_old_checkpoint_stands(
        self, holder: Callable[..., Leased], clock: Standing
    ) -> None:
        first, second = holder("first"), holder("second")
        first.hold("log.example/a")
        first.swap("log.example/a", None, b"one")
        clock.now += timedelta(seconds=61)
        second.hold("log.example/a")
        with pytest.raises(WriterElsewhere):
            first.swap("log.example/a", b"one", b"late")
        assert second.load("log.example/a") == b"one"
        second.swap("log.example/a", b"one", b"two")
        assert first.load("log.example/a") == b"two"

    def test_a_slow_holder_that_nobody_overtook_commits(
        self, holder: Callable[..., Leased], clock: Standing
    ) -> None:
        lock = holder("first")
        lock.hold("log.example/a")
        clock.now += timedelta(hours=1)
        lock.swap("log.example/a", None, b"one")
        assert lock.load("log.example/a") == b"one"

    def test_who_came_back_after_another_has_a_new_fence_and_must_have_taken_it_anew(
        self, holder: Callable[..., Leased], clock: Standing
    ) -> None:
        first, again, second = holder("first"), holder("first"), holder("second")
        first.hold("log.example/a")
        first.drop("log.example/a")
        second.hold("log.example/a")
        second.drop("log.example/a")
        again.hold("log.example/a")
        with pytest.raises(WriterElsewhere):
            first.swap("log.example/a", None, b"one")
        again.swap("log.example/a", None, b"one")

    def test_without_ever_holding_it_nothing_is_committed(
        self, holder: Callable[..., Leased]
    ) -> None:
        with pytest.raises(WriterElsewhere):
            holder("first").swap("log.example/a", None, b"one")

    def test_a_lease_given_back_is_free_at_once_and_only_its_holder_gives_it_back(
        self, holder: Callable[..., Leased]
    ) -> None:
        first, second = holder("first"), holder("second")
        first.hold("log.example/a")
        second.drop("log.example/a")
        with pytest.raises(WriterElsewhere):
            second.hold("log.example/a")
        first.drop("log.example/a")
        second.hold("log.example/a")

    def test_a_holder_that_surely_ended_is_not_waited_for(
        self, holder: Callable[..., Leased]
    ) -> None:
        holder("first").hold("log.example/a")
        with pytest.raises(WriterElsewhere):
            holder("second", {"third"}).hold("log.example/a")
        holder("second", {"first"}).hold("log.example/a")

    def test_leases_of_two_logs_are_two(self, holder: Callable[..., Leased]) -> None:
        holder("first").hold("log.example/a")
        holder("second").hold("log.example/b")


class BackendPort:
    """What every backend must do. Subclass it with a fixture ``fresh``."""

    def test_what_was_put_is_read(self, fresh: Callable[[], Backend]) -> None:
        backend = fresh()
        backend.put("tile/0/x001/234.p/17", b"hashes")
        assert backend.read("tile/0/x001/234.p/17") == b"hashes"
        assert backend.read("tile/0/x001/234") is None
        assert backend.read("tile/0/x001") is None

    def test_putting_the_same_again_is_fine_and_other_bytes_are_refused(
        self, fresh: Callable[[], Backend]
    ) -> None:
        backend = fresh()
        backend.put("tile/0/000", b"one")
        backend.put("tile/0/000", b"one")
        with pytest.raises(ImmutableRefused):
            backend.put("tile/0/000", b"two")
        assert backend.read("tile/0/000") == b"one"

    def test_the_checkpoint_is_replaced(self, fresh: Callable[[], Backend]) -> None:
        backend = fresh()
        assert backend.read("checkpoint") is None
        backend.publish(b"one", None)
        backend.publish(b"two", b"one")
        assert backend.read("checkpoint") == b"two"

    @pytest.mark.parametrize("over", [None, b"zero", b"one"])
    def test_a_checkpoint_published_meanwhile_is_not_replaced(
        self, fresh: Callable[[], Backend], over: bytes | None
    ) -> None:
        backend = fresh()
        backend.publish(b"one", None)
        backend.publish(b"two", b"one")
        with pytest.raises(LockLost):
            backend.publish(b"late", over)
        assert backend.read("checkpoint") == b"two"

    def test_a_first_checkpoint_over_one_that_never_was_is_refused(
        self, fresh: Callable[[], Backend]
    ) -> None:
        backend = fresh()
        with pytest.raises(LockLost):
            backend.publish(b"one", b"zero")
        assert backend.read("checkpoint") is None

    def test_partial_tiles_go_once_the_full_one_is_there_and_no_sooner(
        self, fresh: Callable[[], Backend]
    ) -> None:
        backend = fresh()
        for path in ("tile/0/000.p/1", "tile/0/000.p/200", "tile/0/001.p/7", "tile/1/000.p/1"):
            backend.put(path, b"x")
        with pytest.raises(ImmutableRefused):
            backend.drop_partials("tile/0/000")
        assert len(list(backend.list("tile/"))) == 4
        backend.put("tile/0/000", b"full")
        backend.drop_partials("tile/0/000")
        backend.drop_partials("tile/0/000")
        assert list(backend.list()) == ["tile/0/000", "tile/0/001.p/7", "tile/1/000.p/1"]
        backend.put("tile/0/000.p/1", b"x")  # a writer that started before may still put it
        assert backend.read("tile/0/000.p/1") == b"x"

    def test_sweeping_leaves_what_is_public_or_staged(self, fresh: Callable[[], Backend]) -> None:
        backend = fresh()
        backend.stage("5-aa", b"staged")
        backend.put("tile/0/000.p/5", b"y")
        backend.sweep()
        assert list(backend.list()) == ["tile/0/000.p/5"]
        assert list(backend.stages()) == ["5-aa"]

    def test_public_files_are_listed_and_staging_files_are_not(
        self, fresh: Callable[[], Backend]
    ) -> None:
        backend = fresh()
        backend.stage("5-aa", b"staged")
        backend.put("tile/entries/000.p/5", b"x")
        backend.put("tile/0/000.p/5", b"y")
        backend.publish(b"z", None)
        assert list(backend.list()) == ["checkpoint", "tile/0/000.p/5", "tile/entries/000.p/5"]
        assert list(backend.list("tile/0/")) == ["tile/0/000.p/5"]

    def test_a_staging_file_comes_back_until_it_is_deleted(
        self, fresh: Callable[[], Backend]
    ) -> None:
        backend = fresh()
        backend.stage("5-aa", b"one")
        backend.stage("5-aa", b"two")
        assert backend.staged("5-aa") == b"two"
        assert list(backend.stages()) == ["5-aa"]
        backend.unstage("5-aa")
        backend.unstage("5-aa")
        assert backend.staged("5-aa") is None
        assert list(backend.stages()) == []

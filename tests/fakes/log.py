"""In-memory twins of the log's ports, and the one test class each port has."""

from collections.abc import Callable, Iterator

import pytest

from provenance.backend import CHECKPOINT, Backend, Lock
from provenance.errors import ImmutableRefused, LockLost
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

    def publish(self, checkpoint: bytes) -> None:
        self.files[CHECKPOINT] = checkpoint

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
        backend.publish(b"one")
        backend.publish(b"two")
        assert backend.read("checkpoint") == b"two"

    def test_public_files_are_listed_and_staging_files_are_not(
        self, fresh: Callable[[], Backend]
    ) -> None:
        backend = fresh()
        backend.stage("5-aa", b"staged")
        backend.put("tile/entries/000.p/5", b"x")
        backend.put("tile/0/000.p/5", b"y")
        backend.publish(b"z")
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

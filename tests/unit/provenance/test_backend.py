"""The folder and its in-memory twin do the same."""

import errno
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from consortium.clock import Standing
from provenance.backend import Backend, Disk, FolderBackend, Lock
from provenance.errors import LockLost
from tests.fakes.actors import NOON
from tests.fakes.log import (
    BackendPort,
    Leased,
    LeasePort,
    LockPort,
    MemoryBackend,
    MemoryLease,
    MemoryLock,
)


class TestMemoryLock(LockPort):
    @pytest.fixture
    def fresh(self) -> Callable[[], Lock]:
        return MemoryLock


class TestMemoryLease(LeasePort):
    @pytest.fixture
    def clock(self) -> Standing:
        return Standing(NOON)

    @pytest.fixture
    def holder(self, clock: Standing) -> Callable[..., Leased]:
        shared: dict[str, dict[str, Any]] = {}
        return lambda name, dead=(): MemoryLease(shared, name, clock, dead)


class TestMemoryBackend(BackendPort):
    @pytest.fixture
    def fresh(self) -> Callable[[], Backend]:
        return MemoryBackend


class TestFolderBackend(BackendPort):
    @pytest.fixture
    def fresh(self, tmp_path: Path) -> Callable[[], Backend]:
        return lambda: FolderBackend(tmp_path / "log")


def test_a_folder_opened_again_still_holds_everything(tmp_path: Path) -> None:
    first = FolderBackend(tmp_path / "log")
    first.put("tile/0/000.p/1", b"x")
    first.stage("1-aa", b"s")
    again = FolderBackend(tmp_path / "log")
    assert again.read("tile/0/000.p/1") == b"x"
    assert list(again.stages()) == ["1-aa"]


def test_no_temporary_file_ever_stands_in_the_public_folder(tmp_path: Path) -> None:
    backend = FolderBackend(tmp_path / "log")
    backend.put("tile/0/000.p/1", b"x")
    backend.publish(b"c", None)
    found = {p.name for p in (tmp_path / "log").rglob("*") if p.is_file()}
    assert found == {"1", "checkpoint"}


def test_a_folder_of_a_writer_that_died_is_swept_of_its_temporary_files_alone(
    tmp_path: Path,
) -> None:
    dead, alive = FolderBackend(tmp_path / "log"), FolderBackend(tmp_path / "log")
    left = [dead._write_temporary(b"half"), alive._write_temporary(b"mine")]
    alive.stage("1-aa", b"s")
    alive.sweep()
    assert [path.exists() for path in left] == [False, True]
    assert list(alive.stages()) == ["1-aa"]


def test_a_file_that_did_not_fit_leaves_its_room_to_others(tmp_path: Path) -> None:
    class Full(Disk):
        def write(self, path: Path, data: bytes) -> None:
            super().write(path, data[:1])
            raise OSError(errno.ENOSPC, "No space left on device")

    backend = FolderBackend(tmp_path / "log", disk=Full())
    with pytest.raises(OSError, match="No space"):
        backend.stage("1-aa", b"staged")
    assert [path.name for path in (tmp_path / "log.staging").iterdir()] == []


def test_two_processes_that_publish_at_once_do_it_one_after_the_other(tmp_path: Path) -> None:
    backends = [FolderBackend(tmp_path / "log") for _ in range(8)]
    together = Barrier(8)

    def publish(number: int) -> bool:
        together.wait(timeout=60)
        try:
            backends[number].publish(b"%d" % number, None)
        except LockLost:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(publish, range(8))) == [False] * 7 + [True]

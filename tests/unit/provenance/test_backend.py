"""The folder and its in-memory twin do the same."""

from collections.abc import Callable
from pathlib import Path

import pytest

from provenance.backend import Backend, FolderBackend, Lock
from tests.fakes.log import BackendPort, LockPort, MemoryBackend, MemoryLock


class TestMemoryLock(LockPort):
    @pytest.fixture
    def fresh(self) -> Callable[[], Lock]:
        return MemoryLock


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
    backend.publish(b"c")
    found = {p.name for p in (tmp_path / "log").rglob("*") if p.is_file()}
    assert found == {"1", "checkpoint"}

"""The log in a bucket and with a lock of its own does what it does in a folder and a database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import fsspec
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from consortium.clock import Standing
from consortium.settings import Settings
from consortium.store.log import SqlLock
from consortium.store.log_files import NOTE, TILE, RemoteFailed, S3Backend
from consortium.store.log_lock import LOG_LEASE, SqliteLock
from consortium.web.log_files import BucketFiles
from consortium.wiring import Process
from provenance.audit import audit
from provenance.backend import Backend, FolderBackend, Lock
from provenance.errors import LockLost, RecoveryRefused, Stopped, WriterElsewhere
from provenance.sequencer import Sequencer
from tests.fakes.actors import LOG, NOON, POLICY, made, trusting
from tests.fakes.log import BackendPort, Leased, LeasePort, LockPort, entry_at

ENTRIES = [made("union", "contribution", kind="x", n=n).entry for n in range(259)]


@pytest.fixture
def clock() -> Standing:
    return Standing(NOON)


@pytest.fixture
def bucket(s3: Mapping[str, Any]) -> str:
    """A new bucket; the log may share it with other things."""
    name = f"trellis-{uuid4().hex}"
    files = fsspec.filesystem("s3", skip_instance_cache=True, **s3)
    files.mkdir(name)
    files.pipe_file(f"{name}/log-of-another/checkpoint", b"not ours")
    return name


@pytest.fixture
def remote(bucket: str, s3: Mapping[str, Any]) -> Callable[[], S3Backend]:
    return lambda: S3Backend(f"s3://{bucket}/log", s3)


class TestS3Backend(BackendPort):
    """A bucket is the backend that the log expects."""

    @pytest.fixture
    def fresh(self, remote: Callable[[], S3Backend]) -> Callable[[], Backend]:
        return remote


class TestSqliteLock(LockPort):
    """A file of its own is the lock that the log expects."""

    @pytest.fixture
    def fresh(self, tmp_path: Path, clock: Standing) -> Callable[[], Lock]:
        return lambda: SqliteLock(tmp_path / "lock.sqlite", "", clock)


class TestSqliteLease(LeasePort):
    """So is its lease."""

    @pytest.fixture
    def holder(self, tmp_path: Path, clock: Standing) -> Callable[..., Leased]:
        path = tmp_path / "lock.sqlite"
        return lambda name, dead=(): SqliteLock(path, name, clock, dead=dead)


class Listed:
    """What an auditor sees of a bucket."""

    def __init__(self, backend: Backend) -> None:
        self.read, self.list = backend.read, backend.list


def opened(backend: Backend, lock: Leased) -> Sequencer:
    return Sequencer(backend, lock, LOG, POLICY, trusting(), lock)


def test_a_log_lives_in_a_bucket_with_a_lock_of_its_own(
    remote: Callable[[], S3Backend], tmp_path: Path, clock: Standing
) -> None:
    path = tmp_path / "lock.sqlite"
    first = opened(remote(), SqliteLock(path, "first", clock))
    first.recover()
    first.append(ENTRIES[:254], NOON)
    second = opened(remote(), SqliteLock(path, "second", clock))
    assert second.recover().size == 254
    second.append(ENTRIES[254:], NOON)
    there = remote()
    report = audit(Listed(there), POLICY)
    assert report.size == len(ENTRIES)
    assert entry_at(there, 255, report.size) == ENTRIES[255]
    assert [one for one in there.list() if ".p/" in one] == [
        "tile/0/001.p/3",
        "tile/1/000.p/1",
        "tile/entries/001.p/3",
    ]
    assert list(there.stages()) == []


def test_files_in_a_bucket_say_what_they_are_and_how_long_they_stay(
    remote: Callable[[], S3Backend], bucket: str, s3: Mapping[str, Any]
) -> None:
    backend = remote()
    backend.put("tile/0/000.p/1", b"x")
    backend.publish(b"note", None)
    files = fsspec.filesystem("s3", skip_instance_cache=True, **s3)

    def headers(key: str) -> tuple[str, str]:
        found = files.call_s3("head_object", Bucket=bucket, Key=f"log/{key}")
        return found["ContentType"], found["CacheControl"]

    tile = ("application/octet-stream", "public, max-age=31536000, immutable")
    assert headers("tile/0/000.p/1") == tile
    assert headers("checkpoint") == ("text/plain; charset=utf-8", "public, max-age=2")


def test_a_writer_that_slept_cannot_take_the_checkpoint_back(
    remote: Callable[[], S3Backend],
) -> None:
    slow, fast = remote(), remote()
    slow.publish(b"one", None)

    class Asleep(S3Backend):
        """Another publishes just before its bytes reach the bucket."""

        def _write(self, name: str, data: bytes, headers: Mapping[str, str], **only: str) -> None:
            fast.publish(b"two", b"one")
            super()._write(name, data, headers, **only)

    slow.__class__ = Asleep
    with pytest.raises(LockLost):
        slow.publish(b"late", b"one")
    assert fast.read("checkpoint") == b"two"


def test_a_bucket_that_pays_no_heed_to_conditions_is_not_used(
    remote: Callable[[], S3Backend], tmp_path: Path, clock: Standing
) -> None:
    class Heedless(S3Backend):
        def _write(self, name: str, data: bytes, headers: Mapping[str, str], **only: str) -> None:
            super()._write(name, data, headers)

    backend = remote()
    backend.__class__ = Heedless
    log = opened(backend, SqliteLock(tmp_path / "lock.sqlite", "first", clock))
    with pytest.raises(RecoveryRefused, match="conditional writes"):
        log.recover()
    with pytest.raises(Stopped, match="conditional writes"):
        log.append(ENTRIES[:1], NOON)


def test_a_bucket_out_of_reach_fails_a_batch_before_anything_is_promised(
    remote: Callable[[], S3Backend], tmp_path: Path, clock: Standing
) -> None:
    class Away(S3Backend):
        def _write(self, name: str, data: bytes, headers: Mapping[str, str], **only: str) -> None:
            if ".staging/" in name:
                raise RemoteFailed(None, "the store answered ConnectTimeoutError", name)
            super()._write(name, data, headers, **only)

    backend = remote()
    log = opened(backend, SqliteLock(tmp_path / "lock.sqlite", "first", clock))
    log.recover()
    backend.__class__ = Away
    with pytest.raises(RemoteFailed):
        log.append(ENTRIES[:1], NOON)
    backend.__class__ = S3Backend
    assert log.append(ENTRIES[:2], NOON) == range(2)


def test_what_another_had_staged_is_swept_only_when_it_can_be_committed_no_more(
    tmp_path: Path, clock: Standing, remote: Callable[[], S3Backend]
) -> None:
    path = tmp_path / "lock.sqlite"

    class Paused(SqliteLock):
        """Sleeps for longer than its lease between staging and the commit."""

        def swap(self, origin: str, old: bytes | None, new: bytes) -> None:
            with pytest.raises(WriterElsewhere):
                opened(remote(), SqliteLock(path, "second", clock)).recover()
            clock.now += LOG_LEASE + timedelta(seconds=1)
            opened(remote(), SqliteLock(path, "second", clock)).recover()
            super().swap(origin, old, new)

    first = opened(remote(), SqliteLock(path, "first", clock))
    first.append(ENTRIES[:3], NOON)
    with pytest.raises(WriterElsewhere):
        opened(remote(), Paused(path, "first", clock)).append(ENTRIES[3:5], NOON)
    third = opened(remote(), SqliteLock(path, "third", clock))
    assert third.recover().size == 3


def test_the_web_app_hands_out_a_log_that_lies_in_a_bucket(
    remote: Callable[[], S3Backend], tmp_path: Path
) -> None:
    backend = remote()
    backend.put("tile/0/000.p/1", b"hash")
    backend.publish(b"note", None)
    (tmp_path / "policy").write_bytes(b"words")
    app = Starlette(routes=[Mount("/log", BucketFiles(backend, tmp_path))])
    client = TestClient(app)
    tile = client.get("/log/tile/0/000.p/1")
    assert (tile.content, tile.headers["cache-control"]) == (b"hash", TILE["CacheControl"])
    note = client.get("/log/checkpoint")
    assert (note.content, note.headers["content-type"]) == (b"note", NOTE["ContentType"])
    assert client.head("/log/checkpoint").content == b""
    gone = client.get("/log/tile/0/000")
    assert (gone.status_code, gone.headers["cache-control"]) == (404, "no-store")
    assert client.get("/log/policy").content == b"words"
    assert client.post("/log/checkpoint").status_code == 405
    assert client.get("/log/../log.staging/1").status_code == 404


def test_settings_choose_where_the_log_and_its_lock_are(
    bucket: str, s3: Mapping[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", str(s3["key"]))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", str(s3["secret"]))
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", str(s3["endpoint_url"]))
    chosen = Settings(home=tmp_path, log_store=f"s3://{bucket}/log", log_lock=tmp_path / "lock")
    process = Process(chosen)
    process.log_files.publish(b"note", None)
    assert S3Backend(f"s3://{bucket}/log", s3).read("checkpoint") == b"note"
    lock = process.log_lock()
    assert isinstance(lock, SqliteLock)
    lock.hold("log.example/a")
    lock.swap("log.example/a", None, b"one")
    assert (tmp_path / "lock").exists()
    plain = Process(Settings(home=tmp_path, log_dir=tmp_path / "log"))
    assert isinstance(plain.log_files, FolderBackend)
    assert isinstance(plain.log_lock(), SqlLock)

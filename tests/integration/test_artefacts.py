"""A folder and an S3 store keep one promise: a name means exactly those bytes."""

import hashlib
import os
import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import fsspec
import pytest

from consortium.store.artefacts import Artefacts, artefacts
from consortium.store.errors import ArtefactRefused

LARGE = os.urandom(1 << 20) * 7
"""More than one part of a multipart upload."""


@pytest.fixture(params=["folder", "s3"])
def kept(
    request: pytest.FixtureRequest, tmp_path: Path
) -> tuple[Artefacts, Callable[[], list[str]]]:
    """A store, and a way to see every file in it that is not the store's own."""
    if request.param == "folder":
        folder = tmp_path / "artefacts"
        store = artefacts(str(folder))
        return store, lambda: [str(p) for p in folder.rglob("*") if p.is_file()]
    options = request.getfixturevalue("s3")
    files = fsspec.filesystem("s3", **options)
    bucket = f"trellis-{uuid4().hex}"
    files.mkdir(bucket)

    def listed() -> list[str]:
        files.invalidate_cache()
        return [str(p) for p in files.find(bucket)]

    return artefacts(f"s3://{bucket}/kept", options), listed


@pytest.fixture
def store(kept: tuple[Artefacts, Callable[[], list[str]]]) -> Artefacts:
    return kept[0]


@pytest.fixture
def files(kept: tuple[Artefacts, Callable[[], list[str]]]) -> Callable[[], list[str]]:
    return kept[1]


class TestArtefacts:
    """What every store of artefacts does."""

    def test_the_name_is_the_digest_of_the_bytes(self, store: Artefacts) -> None:
        digest = store.put(b"rows")
        assert digest == hashlib.sha256(b"rows").hexdigest()
        assert store.read(digest) == b"rows"
        assert store.exists(digest)

    def test_the_same_bytes_are_one_artefact(
        self, store: Artefacts, files: Callable[[], list[str]]
    ) -> None:
        assert store.put(b"twice") == store.put(b"twice")
        assert len(files()) == 1

    def test_nothing_is_an_artefact_too(self, store: Artefacts) -> None:
        assert store.read(store.put(b"")) == b""

    def test_a_large_file_comes_back_whole(self, store: Artefacts, tmp_path: Path) -> None:
        source = tmp_path / "large"
        source.write_bytes(LARGE)
        digest = store.put(source)
        with store.open(digest) as path:
            assert path.read_bytes() == LARGE
        assert source.read_bytes() == LARGE

    def test_a_stream_is_kept_under_the_digest_of_its_whole(self, store: Artefacts) -> None:
        assert store.put_stream(iter([b"a", b"", b"bc"])) == hashlib.sha256(b"abc").hexdigest()

    def test_a_stream_that_breaks_leaves_nothing(
        self, store: Artefacts, files: Callable[[], list[str]]
    ) -> None:
        def broken() -> Iterator[bytes]:
            yield b"half"
            raise ConnectionAbortedError

        with pytest.raises(ArtefactRefused):
            store.put_stream(broken())
        assert files() == []

    def test_the_deleted_is_gone_and_deleting_again_is_harmless(
        self, store: Artefacts, files: Callable[[], list[str]]
    ) -> None:
        digest = store.put(b"gone")
        store.delete(digest)
        store.delete(digest)
        assert not store.exists(digest)
        assert files() == []
        with pytest.raises(ArtefactRefused):
            store.read(digest)
        with pytest.raises(ArtefactRefused), store.open(digest):
            pass

    def test_what_is_there_can_be_listed_and_has_an_age_since_it_was_last_put(
        self, store: Artefacts
    ) -> None:
        here = {store.put(b"one"), store.put(b"two")}
        assert set(store.names()) == here
        gone = hashlib.sha256(b"three").hexdigest()
        assert store.age(gone) is None
        for digest in here:
            age = store.age(digest)
            assert age is not None
            assert abs(age) < timedelta(minutes=10)
        store.tidy(timedelta())
        assert set(store.names()) == here

    @pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n"])
    def test_what_is_no_digest_never_becomes_a_path(self, store: Artefacts, name: str) -> None:
        for ask in (store.read, store.delete, store.exists, store.age):
            with pytest.raises(ArtefactRefused):
                ask(name)

    def test_changed_bytes_are_never_lent(
        self, store: Artefacts, files: Callable[[], list[str]], request: pytest.FixtureRequest
    ) -> None:
        digest = store.put(b"true")
        (name,) = files()
        if Path(name).is_file():
            Path(name).chmod(0o600)
            Path(name).write_bytes(b"lie!")
        else:
            remote = fsspec.filesystem("s3", **request.getfixturevalue("s3"))
            remote.pipe_file(name, b"lie!")
        with pytest.raises(ArtefactRefused):
            store.read(digest)
        with pytest.raises(ArtefactRefused), store.open(digest):
            pass
        assert store.put(b"true") == digest
        assert store.read(digest) == b"true"


def test_a_full_disk_is_a_refusal_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = artefacts(str(tmp_path / "kept"))

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ArtefactRefused, match="No space left"):
        store.put(b"too much")
    assert [p for p in (tmp_path / "kept").rglob("*") if p.is_file()] == []


def test_a_store_that_is_not_there_is_a_refusal() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        away = artefacts(
            "s3://nowhere/x",
            {
                "key": "k",
                "secret": "s",
                "endpoint_url": f"http://127.0.0.1:{probe.getsockname()[1]}",
                "config_kwargs": {"retries": {"max_attempts": 0}, "connect_timeout": 1},
            },
        )
        with pytest.raises(ArtefactRefused):
            away.read("a" * 64)


def test_any_other_file_system_of_fsspec_works_too() -> None:
    store = artefacts(f"memory://trellis-{uuid4().hex}")
    digest = store.put(b"x")
    assert store.read(digest) == b"x"
    store.delete(digest)
    assert not store.exists(digest)


def test_what_a_dead_process_had_half_written_is_removed_once_it_is_old(tmp_path: Path) -> None:
    store = artefacts(str(tmp_path / "kept"))
    kept, half = store.put(b"whole"), tmp_path / "kept" / "aside" / "0123"
    half.write_bytes(b"half of some")
    store.tidy(timedelta(days=1))
    assert half.exists()
    os.utime(half, (0, 0))
    store.tidy(timedelta(days=1))
    assert not half.exists()
    assert store.read(kept) == b"whole"

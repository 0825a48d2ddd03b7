"""Immutable files named by their SHA-256, in a folder or in any store that fsspec knows."""

import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from consortium.store.errors import ArtefactRefused

CHUNK = 1 << 20
_OBJECTS = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "az"})  # a prefix there is no folder
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


class Artefacts(Protocol):
    """A store of immutable bytes; every digest is 64 lower-case hex characters."""

    def put(self, content: Path | bytes) -> str:
        """Keep a file or bytes; again is harmless. Raises ``ArtefactRefused``."""
        ...

    def put_stream(self, chunks: Iterable[bytes]) -> str:
        """Keep bytes as they arrive; if ``chunks`` fails, nothing is kept."""
        ...

    def open(self, digest: str) -> AbstractContextManager[Path]:
        """Lend a local, read-only file whose digest was checked. Raises ``ArtefactRefused``."""
        ...

    def read(self, digest: str) -> bytes:
        """Return the bytes, checked."""
        ...

    def delete(self, digest: str) -> None:
        """Remove the bytes; what is not there is already removed."""
        ...

    def exists(self, digest: str) -> bool:
        """Say whether the store has bytes under this name."""
        ...

    def names(self) -> Iterator[str]:
        """Every digest that the store has bytes under, in no order."""
        ...

    def age(self, digest: str) -> timedelta | None:
        """How long ago it was last put, by the store's own clock; None when it is not there."""
        ...

    def tidy(self, before: timedelta) -> None:
        """Remove what was begun longer ago than this, and never became an artefact."""
        ...


def artefacts(url: str, options: Mapping[str, Any] | None = None) -> Artefacts:
    """Return the store at a folder path or an fsspec URL.

    Args:
        url: a path, ``file://...``, or for instance ``s3://bucket/prefix``.
        options: passed to fsspec as they are, for instance ``key``, ``secret``, ``endpoint_url``.
    """
    if "://" not in url:
        return FolderArtefacts(Path(url))
    if url.startswith("file://"):
        return FolderArtefacts(Path(url.removeprefix("file://")))
    return RemoteArtefacts(url, dict(options or {}))


class FolderArtefacts:
    """Artefacts in a folder: written aside, synced, then renamed, so a name means whole bytes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._aside = folder / "aside"
        self._aside.mkdir(parents=True, exist_ok=True, mode=0o700)

    def put(self, content: Path | bytes) -> str:
        return self.put_stream(_chunks(content))

    def put_stream(self, chunks: Iterable[bytes]) -> str:
        aside = self._aside / uuid4().hex
        try:
            with _refusing("", "could not be written"):
                digest = _write(aside, chunks)
                self._name(aside, digest)
            return digest
        finally:
            # After the rename it is gone; after a failure nobody must find it.
            with suppress(OSError):
                aside.unlink(missing_ok=True)

    @contextmanager
    def open(self, digest: str) -> Iterator[Path]:
        path = self._path(digest)
        with _refusing(digest, "is missing or cannot be read"):
            found = _digest_of(path)
        _same(found, digest)
        yield path

    def read(self, digest: str) -> bytes:
        with _refusing(digest, "is missing or cannot be read"):
            content = self._path(digest).read_bytes()
        _same(hashlib.sha256(content).hexdigest(), digest)
        return content

    def delete(self, digest: str) -> None:
        path = self._path(digest)
        with _refusing(digest, "could not be deleted"):
            path.unlink(missing_ok=True)
            if path.parent.exists():
                _sync(path.parent)

    def exists(self, digest: str) -> bool:
        return self._path(digest).is_file()

    def names(self) -> Iterator[str]:
        for path in self._folder.glob("[0-9a-f][0-9a-f]/*"):
            if _DIGEST.match(path.name):
                yield path.name

    def age(self, digest: str) -> timedelta | None:
        return _age_of(self._path(digest))

    def tidy(self, before: timedelta) -> None:
        for path in self._aside.iterdir():
            age = _age_of(path)
            if age is not None and age > before:
                path.unlink(missing_ok=True)

    def _path(self, digest: str) -> Path:
        return self._folder / _checked(digest)[:2] / digest

    def _name(self, aside: Path, digest: str) -> None:
        path = self._path(digest)
        path.parent.mkdir(exist_ok=True, mode=0o700)
        # Even if the name is taken: a damaged file is healed by the same bytes.
        aside.replace(path)
        _sync(path.parent)
        _sync(self._folder)


class RemoteArtefacts:
    """Artefacts behind fsspec: checked here, sent whole, and lent as a private local copy."""

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        import fsspec  # here, so that a folder needs no fsspec

        self._files, root = fsspec.core.url_to_fs(url, **options)
        self._root = str(root).rstrip("/")

    def put(self, content: Path | bytes) -> str:
        return self.put_stream(_chunks(content))

    def put_stream(self, chunks: Iterable[bytes]) -> str:
        # To disk first: the name is known only at the end, and a store without rename shows an
        # object only when its upload is complete.
        with tempfile.TemporaryDirectory(prefix="trellis-") as folder:
            aside = Path(folder, "artefact")
            with _refusing("", "could not be written"):
                digest = _write(aside, chunks)
            name = self._name(digest)
            with _refusing(digest, "could not be sent to the store", Exception):
                if not _OBJECTS & {*_protocols(self._files)}:
                    self._files.makedirs(name.rpartition("/")[0], exist_ok=True)
                self._files.put_file(str(aside), name)
        return digest

    @contextmanager
    def open(self, digest: str) -> Iterator[Path]:
        name = self._name(digest)
        with tempfile.TemporaryDirectory(prefix="trellis-") as folder:
            path = Path(folder, digest)
            with _refusing(digest, "is missing or cannot be fetched", Exception):
                self._files.get_file(name, str(path))
                path.chmod(0o400)
                found = _digest_of(path)
            _same(found, digest)
            yield path

    def read(self, digest: str) -> bytes:
        with self.open(digest) as path:
            return path.read_bytes()

    def delete(self, digest: str) -> None:
        name = self._name(digest)
        with (
            _refusing(digest, "could not be deleted", Exception),
            suppress(FileNotFoundError),
        ):
            self._files.rm_file(name)

    def exists(self, digest: str) -> bool:
        name = self._name(digest)
        with _refusing(digest, "could not be looked up", Exception):
            self._files.invalidate_cache()
            return bool(self._files.isfile(name))

    def names(self) -> Iterator[str]:
        with _refusing("", "could not be listed", Exception):
            self._files.invalidate_cache()
            found = self._files.find(self._root)
        for path in found:
            name = str(path).rpartition("/")[2]
            if _DIGEST.match(name):
                yield name

    def age(self, digest: str) -> timedelta | None:
        name = self._name(digest)
        with _refusing(digest, "could not be looked up", Exception):
            self._files.invalidate_cache()
            try:
                put: datetime = self._files.modified(name)
            except FileNotFoundError:
                return None
        return datetime.now(UTC) - put

    def tidy(self, before: timedelta) -> None:
        """Nothing: an upload that broke off was never an object, and its copy here is temporary."""

    def _name(self, digest: str) -> str:
        return f"{self._root}/{_checked(digest)[:2]}/{digest}"


def _protocols(files: Any) -> tuple[str, ...]:
    return (files.protocol,) if isinstance(files.protocol, str) else tuple(files.protocol)


def _chunks(content: Path | bytes) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with content.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _write(path: Path, chunks: Iterable[bytes]) -> str:
    """Write and sync a new file of mode 0400; return its digest."""
    digest = hashlib.sha256()
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "wb") as file:
        for chunk in chunks:
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checked(digest: str) -> str:
    # A digest becomes a path: "../" must never get that far.
    if not _DIGEST.match(digest):
        raise ArtefactRefused("an artefact's name is 64 lower-case hex characters")
    return digest


def _age_of(path: Path) -> timedelta | None:
    try:
        return timedelta(seconds=time.time() - path.stat().st_mtime)
    except FileNotFoundError:
        return None


def _same(found: str, digest: str) -> None:
    if found != digest:
        raise ArtefactRefused(f"artefact {digest[:12]}: its bytes are not those of its name")


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _refusing(digest: str, reason: str, failures: type[Exception] = OSError) -> Iterator[None]:
    try:
        yield
    except ArtefactRefused:
        raise
    except failures as failed:
        number = getattr(failed, "errno", None)
        told = os.strerror(number) if number else type(failed).__name__
        named = digest[:12] or "new"
        raise ArtefactRefused(f"artefact {named}: {reason} ({told})") from failed

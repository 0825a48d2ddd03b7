"""The public log's files in an S3 bucket; two writers are told apart by conditional writes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

from provenance.backend import CHECKPOINT, OVERTAKEN
from provenance.errors import ImmutableRefused, LockLost, RecoveryRefused

TILE = {
    "ContentType": "application/octet-stream",
    "CacheControl": "public, max-age=31536000, immutable",
}
NOTE = {"ContentType": "text/plain; charset=utf-8", "CacheControl": "public, max-age=2"}
"""What c2sp.org/tlog-tiles wants readers to be told; the bucket keeps it with each file."""


CONDITIONS = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")


class RemoteFailed(OSError):
    """The store did not do, or did not confirm, what it was asked for."""


class Taken(Exception):
    """The condition of a write did not hold: somebody else has written there."""


class S3Backend:
    """``provenance.backend.Backend`` in a bucket.

    Args:
        url: ``s3://bucket/prefix``. Public files go below it; staging files go below
            ``prefix.staging``, which nobody else may read or write.
        options: passed to s3fs, for instance ``key``, ``secret``, ``endpoint_url``.
    """

    def __init__(self, url: str, options: Mapping[str, Any] | None = None) -> None:
        import fsspec  # here, so that a folder needs no fsspec

        root = url.removeprefix("s3://").strip("/")
        if not url.startswith("s3://") or "/" not in root:
            raise ValueError("the log's bucket is named as s3://bucket/prefix")
        # Without its caches: what another process wrote a moment ago must be seen.
        given = {"use_listings_cache": False, "skip_instance_cache": True, **(options or {})}
        self._files = fsspec.filesystem("s3", **given)
        self._root, self._staging = root, f"{root}.staging"

    def put(self, path: str, data: bytes) -> None:
        """See ``Backend.put``."""
        there = self.read(path)
        if there is None:
            # Created only if nobody has meanwhile; an answer that was lost is asked for again by
            # s3fs, which then finds our own bytes.
            with suppress(Taken):
                self._write(f"{self._root}/{path}", data, TILE, IfNoneMatch="*")
            there = self.read(path)
        if there != data:
            raise ImmutableRefused(f"{path} already holds other bytes")

    def read(self, path: str) -> bytes | None:
        """See ``Backend.read``."""
        return self._read(f"{self._root}/{path}")

    def publish(self, checkpoint: bytes, over: bytes | None) -> None:
        """See ``Backend.publish``."""
        name = f"{self._root}/{CHECKPOINT}"
        # First the tag, then the bytes: if they change in between, the tag fits no more.
        only = {"IfNoneMatch": "*"} if over is None else {"IfMatch": self._tag(name)}
        if self.read(CHECKPOINT) != over:
            raise LockLost(OVERTAKEN)
        try:
            self._write(name, checkpoint, NOTE, **only)
        except Taken as refused:
            if self.read(CHECKPOINT) != checkpoint:  # else only the first answer was lost
                raise LockLost(OVERTAKEN) from refused

    def list(self, prefix: str = "") -> Iterator[str]:
        """See ``Backend.list``."""
        for name in self._find(f"{self._root}/{prefix}"):
            yield name.removeprefix(f"{self._root}/")

    def drop_partials(self, path: str) -> None:
        """See ``Backend.drop_partials``."""
        if self.read(path) is None:
            raise ImmutableRefused(f"{path} is not there, so its beginnings stay")
        for name in self._find(f"{self._root}/{path}.p/"):
            self._delete(name)

    def stage(self, name: str, data: bytes) -> None:
        """See ``Backend.stage``."""
        self._write(f"{self._staging}/{name}", data, {})

    def staged(self, name: str) -> bytes | None:
        """See ``Backend.staged``."""
        return self._read(f"{self._staging}/{name}")

    def stages(self) -> Iterator[str]:
        """See ``Backend.stages``."""
        for name in self._find(f"{self._staging}/"):
            if not name.removeprefix(f"{self._staging}/").startswith("."):
                yield name.removeprefix(f"{self._staging}/")

    def unstage(self, name: str) -> None:
        """See ``Backend.unstage``."""
        self._delete(f"{self._staging}/{name}")

    def sweep(self) -> None:
        """See ``Backend.sweep``; also tries whether the store keeps two writers apart.

        Raises:
            RecoveryRefused: it takes conditional writes, and pays no heed to their condition.
        """
        name = f"{self._staging}/.probe-{uuid4().hex}"
        self._write(name, b"one", {}, IfNoneMatch="*")
        try:
            for only in ({"IfNoneMatch": "*"}, {"IfMatch": "0" * 32}):
                with suppress(Taken):
                    self._write(name, b"two", {}, **only)
                    raise RecoveryRefused(
                        "the log's bucket overwrites files although it is told not to, so two "
                        "writers could fork the log there. Use a store with conditional writes "
                        "(If-None-Match, If-Match), or a folder (TRELLIS_LOG_STORE empty)."
                    )
        finally:
            self._delete(name)

    def _tag(self, name: str) -> str:
        with _failing(name):
            try:
                return str(self._files.info(name)["ETag"])
            except FileNotFoundError:
                raise LockLost(OVERTAKEN) from None

    def _read(self, name: str) -> bytes | None:
        with _failing(name):
            try:
                return bytes(self._files.cat_file(name))
            except (FileNotFoundError, IsADirectoryError):
                return None

    def _find(self, prefix: str) -> tuple[str, ...]:
        with _failing(prefix):
            folder = prefix.rpartition("/")[0]
            found = sorted(map(str, self._files.find(folder)))
            return tuple(name for name in found if name.startswith(prefix))

    def _write(self, name: str, data: bytes, headers: Mapping[str, str], **only: str) -> None:
        with _failing(name):
            self._files.pipe_file(name, data, **headers, **only)

    def _delete(self, name: str) -> None:
        with _failing(name), suppress(FileNotFoundError):
            self._files.rm_file(name)


@contextmanager
def _failing(name: str) -> Iterator[None]:
    """Whatever an HTTP client can raise, as the one kind that stops a writer."""
    try:
        yield
    except LockLost:
        raise
    except Exception as failed:
        # s3fs has no error of its own for this one; its words come from the store.
        answer = getattr(failed.__cause__, "response", {})
        if answer.get("Error", {}).get("Code") in CONDITIONS:
            raise Taken(name) from failed
        raise RemoteFailed(None, f"the store answered {type(failed).__name__}", name) from failed

"""Where a log's public bytes live, and the lock that keeps it from forking: ports and a folder."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from provenance.errors import ImmutableRefused, LockLost

CHECKPOINT = "checkpoint"


OVERTAKEN = "another process has published since the checkpoint was read"


class SyncFailed(OSError):
    """The disk did not confirm that something is durable.

    The system may now believe the bytes to be written and answer the next fsync with success:
    only a new start, which writes again what is staged, can be trusted.
    """


class Lock(Protocol):
    """Remembers, durably, the last checkpoint a log committed to.

    One atomic compare-and-swap per origin; whoever wins it may publish.
    """

    def load(self, origin: str) -> bytes | None:
        """The signed checkpoint last swapped in, or None."""

    def swap(self, origin: str, old: bytes | None, new: bytes) -> None:
        """Replace ``old`` by ``new``, durably before returning.

        Raises:
            LockLost: what is stored is not ``old``; nothing was changed.
        """


class Lease(Protocol):
    """The right to be a log's one writer for a while; every new holder has a higher fence.

    Whoever lost it can commit nothing any more: the lock that belongs to it checks the fence in
    the transaction that swaps. So a new holder may sweep away what an earlier one had staged.
    """

    def hold(self, origin: str) -> None:
        """Take the lease, or renew it.

        Raises:
            WriterElsewhere: another process has it; the words say which, and until when.
        """

    def drop(self, origin: str) -> None:
        """Give it back before its time; nothing happens when it is not ours."""


class Backend(Protocol):
    """Holds the public files of one log, and its staging files apart from them.

    Every method has made its effect durable when it returns. An ``OSError`` means that the
    state is unknown: the process must end and recover.
    """

    def put(self, path: str, data: bytes) -> None:
        """Create an immutable file; the same bytes again are fine.

        Raises:
            ImmutableRefused: other bytes are there already.
        """

    def read(self, path: str) -> bytes | None:
        """The bytes of a public file, or None."""

    def publish(self, checkpoint: bytes, over: bytes | None) -> None:
        """Replace the file ``checkpoint`` atomically, and only if it still holds ``over``.

        Raises:
            LockLost: somebody else has published since ``over`` was read; nothing was changed.
        """

    def list(self, prefix: str = "") -> Iterator[str]:
        """Paths of the public files that begin with ``prefix``."""

    def drop_partials(self, path: str) -> None:
        """Delete the partial tiles beside the full one at ``path``, whichever are there.

        Raises:
            ImmutableRefused: there is no full one; nothing was deleted.
        """

    def stage(self, name: str, data: bytes) -> None:
        """Keep a staging file, replacing one of the same name."""

    def staged(self, name: str) -> bytes | None:
        """The bytes of a staging file, or None."""

    def stages(self) -> Iterator[str]:
        """Names of the staging files."""

    def unstage(self, name: str) -> None:
        """Delete a staging file if it is there."""

    def sweep(self) -> None:
        """Delete what writers that ended in the middle left behind, never a public file.

        A writer that still needs it is no longer the log's: its next step fails.
        """


class Disk:
    """The few file operations a folder needs. Tests replace it to cut the power between any two."""

    def mkdir(self, path: Path) -> None:
        """Create one directory if it is not there."""
        path.mkdir(exist_ok=True)

    def rmdir(self, path: Path) -> None:
        """Remove one directory if it is there and empty."""
        with contextlib.suppress(FileNotFoundError):
            path.rmdir()

    def write(self, path: Path, data: bytes) -> None:
        """Create a file whose name nobody has; not durable."""
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(handle, left) :]
        finally:
            os.close(handle)

    @contextlib.contextmanager
    def alone(self, path: Path) -> Iterator[None]:
        """Keep every other process out of the block that names the same folder."""
        handle = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)  # dropped with the process, however that ends
            yield
        finally:
            os.close(handle)

    def sync(self, path: Path) -> None:
        """fsync a file or a directory."""
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def link(self, source: Path, target: Path) -> None:
        """Give a file a second name; ``FileExistsError`` if the name is taken."""
        os.link(source, target)

    def replace(self, source: Path, target: Path) -> None:
        """Rename over whatever is there."""
        os.replace(source, target)

    def unlink(self, path: Path) -> None:
        """Remove a name if it is there."""
        path.unlink(missing_ok=True)

    def read(self, path: Path) -> bytes | None:
        """The bytes of a file, or None."""
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            parts, most = [], os.fstat(handle).st_size + 1
            while part := os.read(handle, most):
                parts.append(part)
            return b"".join(parts)
        except IsADirectoryError:
            return None
        finally:
            os.close(handle)

    def exists(self, path: Path) -> bool:
        """Whether the name is there."""
        return path.exists()

    def files(self, root: Path) -> Iterator[Path]:
        """Every file below ``root``, in order."""
        found = (Path(folder, name) for folder, _, names in os.walk(root) for name in names)
        yield from sorted(found)


class FolderBackend:
    """A log in a folder, to be served as static files.

    Args:
        root: the public folder; nothing but the log's own files is ever written to it, not even
            for a moment, so that an auditor can name anything else as foreign.
        staging: a folder on the same file system for staging and temporary files; the public
            folder's name with ``.staging`` by default.
    """

    def __init__(self, root: Path, staging: Path | None = None, disk: Disk | None = None) -> None:
        self._disk = disk or Disk()
        self._root = root
        self._staging = staging or root.with_name(root.name + ".staging")
        # Random: processes in two containers may have one number, and must not share a file.
        self._mark = uuid4().hex
        self._temporary = 0
        self._made: set[Path] = set()
        for folder in (self._root, self._staging):
            if not self._disk.exists(folder.parent):
                raise FileNotFoundError(f"the folder {folder.parent} is not there")
            self._folder(folder)

    def put(self, path: str, data: bytes) -> None:
        """See ``Backend.put``."""
        target = self._root / path
        self._folder(target.parent)
        there = self._disk.read(target)
        if there is None:
            temporary = self._write_temporary(data)
            # A link, not a rename: it fails when somebody else has created the file meanwhile.
            with contextlib.suppress(FileExistsError):
                self._disk.link(temporary, target)
            self._sync(target.parent)
            self._disk.unlink(temporary)
            there = self._disk.read(target)
        else:
            # It may have been linked just before a crash: its name is not yet known to be durable.
            self._sync(target.parent)
        if there != data:
            raise ImmutableRefused(f"{path} already holds other bytes")

    def read(self, path: str) -> bytes | None:
        """See ``Backend.read``."""
        return self._disk.read(self._root / path)

    def publish(self, checkpoint: bytes, over: bytes | None) -> None:
        """See ``Backend.publish``."""
        with self._disk.alone(self._staging):
            if self.read(CHECKPOINT) != over:
                raise LockLost(OVERTAKEN)
            self._replace(self._root / CHECKPOINT, checkpoint)

    def drop_partials(self, path: str) -> None:
        """See ``Backend.drop_partials``."""
        if self.read(path) is None:
            raise ImmutableRefused(f"{path} is not there, so its beginnings stay")
        folder = self._root / f"{path}.p"
        for one in list(self._disk.files(folder)):
            self._disk.unlink(one)
        self._disk.rmdir(folder)
        self._made.discard(folder)
        self._sync(folder.parent)

    def list(self, prefix: str = "") -> Iterator[str]:
        """See ``Backend.list``."""
        for path in self._disk.files(self._root / prefix.rpartition("/")[0]):
            name = path.relative_to(self._root).as_posix()
            if name.startswith(prefix):
                yield name

    def stage(self, name: str, data: bytes) -> None:
        """See ``Backend.stage``."""
        self._replace(self._staging / name, data)

    def staged(self, name: str) -> bytes | None:
        """See ``Backend.staged``."""
        return self._disk.read(self._staging / name)

    def stages(self) -> Iterator[str]:
        """See ``Backend.stages``."""
        for path in self._disk.files(self._staging):
            if not path.name.startswith("."):
                yield path.name

    def unstage(self, name: str) -> None:
        """See ``Backend.unstage``."""
        self._disk.unlink(self._staging / name)
        self._sync(self._staging)

    def sweep(self) -> None:
        """See ``Backend.sweep``."""
        for path in list(self._disk.files(self._staging)):
            if path.name.startswith(".tmp-") and not path.name.startswith(f".tmp-{self._mark}-"):
                self._disk.unlink(path)

    def _replace(self, target: Path, data: bytes) -> None:
        temporary = self._write_temporary(data)
        self._disk.replace(temporary, target)
        self._sync(target.parent)

    def _write_temporary(self, data: bytes) -> Path:
        self._temporary += 1
        # A leftover of a crash may be a second name of a published file: never write into one.
        path = self._staging / f".tmp-{self._mark}-{self._temporary}"
        try:
            self._disk.write(path, data)
            self._sync(path)
        except OSError:
            with contextlib.suppress(OSError):
                self._disk.unlink(path)  # a full disk wants its room back
            raise
        return path

    def _folder(self, folder: Path) -> None:
        if folder in self._made:
            return
        if folder not in (self._root, self._staging):
            self._folder(folder.parent)
        self._disk.mkdir(folder)
        # Also when it was there: a crash may have come between mkdir and this.
        self._sync(folder.parent)
        self._made.add(folder)

    def _sync(self, path: Path) -> None:
        try:
            self._disk.sync(path)
        except OSError as failed:
            raise SyncFailed(failed.errno, failed.strerror, str(path)) from failed

"""A disk that remembers what changed on it, so that a floor can do the same again, barely."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from provenance.backend import Disk


class Recorder(Disk):
    """A disk that remembers what changed on it: the floor does the same again, barely."""

    def __init__(self) -> None:
        self.done: list[tuple[str, Path, Path | bytes]] = []

    def mkdir(self, path: Path) -> None:
        """See ``Disk``."""
        super().mkdir(path)
        self.done.append(("mkdir", path, b""))

    def rmdir(self, path: Path) -> None:
        """See ``Disk``."""
        super().rmdir(path)
        self.done.append(("rmdir", path, b""))

    def write(self, path: Path, data: bytes) -> None:
        """See ``Disk``."""
        super().write(path, data)
        self.done.append(("write", path, data))

    def sync(self, path: Path) -> None:
        """See ``Disk``."""
        super().sync(path)
        self.done.append(("sync", path, b""))

    def link(self, source: Path, target: Path) -> None:
        """See ``Disk``."""
        super().link(source, target)
        self.done.append(("link", source, target))

    def replace(self, source: Path, target: Path) -> None:
        """See ``Disk``."""
        super().replace(source, target)
        self.done.append(("replace", source, target))

    def unlink(self, path: Path) -> None:
        """See ``Disk``."""
        super().unlink(path)
        self.done.append(("unlink", path, b""))


def moved(done: Sequence[tuple[str, Path, Path | bytes]], name: str) -> list[tuple[str, str, Any]]:
    """The same operations in the floor's own folder, and every name ready to be used."""
    ours, floor = str(Path(name) / "ours"), str(Path(name) / "floor")
    return [
        (
            what,
            str(path).replace(ours, floor, 1),
            more if isinstance(more, bytes) else str(more).replace(ours, floor, 1),
        )
        for what, path, more in done
    ]


def again(todo: Sequence[tuple[str, str, Any]]) -> None:
    """Do operations by the bare calls of the system, in their order."""
    for what, path, more in todo:
        if what == "write":
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            os.write(handle, more)
            os.close(handle)
        elif what == "sync":
            handle = os.open(path, os.O_RDONLY)
            os.fsync(handle)
            os.close(handle)
        elif what == "link":
            os.link(path, more)
        elif what == "replace":
            os.replace(path, more)
        elif what == "rmdir":
            os.rmdir(path)
        elif what == "mkdir":
            os.makedirs(path, exist_ok=True)
        elif what == "unlink" and os.path.lexists(path):
            os.unlink(path)

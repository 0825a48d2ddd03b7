"""A disk that forgets what was not synced, and a power cut between any two of its operations."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from provenance.backend import Disk
from tests.fakes.log import MemoryLock


class PowerCut(Exception):
    """The machine is off; whatever runs now is only a test's memory."""


@dataclass
class Power:
    """Counts operations down; at zero the next one does not happen."""

    left: int = 1 << 30
    used: int = 0

    def use(self) -> None:
        if self.left <= 0:
            raise PowerCut
        self.left -= 1
        self.used += 1


@dataclass
class Inode:
    """The bytes of one file: as written, and as they were when last synced."""

    data: bytes = b""
    synced: bytes = b""


class ForgetfulDisk(Disk):
    """Names and bytes each survive a power cut for sure only once they were synced."""

    def __init__(self, power: Power) -> None:
        self.power = power
        self.now: dict[Path, Inode] = {}
        self.safe: dict[Path, Inode] = {}
        self.dirs = {Path("/")}
        self.safe_dirs = {Path("/")}

    def mkdir(self, path: Path) -> None:
        self.power.use()
        self._reachable(path)
        self.dirs.add(path)

    def write(self, path: Path, data: bytes) -> None:
        self.power.use()
        self._reachable(path)
        self.now.setdefault(path, Inode()).data = data

    def sync(self, path: Path) -> None:
        self.power.use()
        if path in self.now:
            self.now[path].synced = self.now[path].data
            return
        for kept, present in ((self.safe, self.now),):
            for name in [one for one in kept if one.parent == path]:
                del kept[name]
            kept.update({name: one for name, one in present.items() if name.parent == path})
        self.safe_dirs |= {one for one in self.dirs if one.parent == path}

    def link(self, source: Path, target: Path) -> None:
        self.power.use()
        self._reachable(target)
        if target in self.now:
            raise FileExistsError(target)
        self.now[target] = self.now[source]

    def replace(self, source: Path, target: Path) -> None:
        self.power.use()
        self.now[target] = self.now.pop(source)

    def unlink(self, path: Path) -> None:
        self.power.use()
        self.now.pop(path, None)

    def read(self, path: Path) -> bytes | None:
        found = self.now.get(path)
        return None if found is None else found.data

    def exists(self, path: Path) -> bool:
        return path in self.dirs or path in self.now

    def files(self, root: Path) -> Iterator[Path]:
        yield from sorted(path for path in self.now if root in path.parents)

    def restart(self, power: Power, *, names: bool, data: bool) -> "ForgetfulDisk":
        """The disk after a power cut.

        Args:
            names: unsynced links, renames and removals happen to have been kept.
            data: unsynced bytes happen to have been kept; otherwise the first half of them.
        """
        after = ForgetfulDisk(power)
        after.dirs = set(self.dirs if names else self.safe_dirs)
        after.safe_dirs = set(after.dirs)
        for path, one in (self.now if names else self.safe).items():
            if path.parent not in after.dirs:
                continue
            unsynced = one.data != one.synced
            kept = one.data[: len(one.data) // 2] if unsynced and not data else one.data
            after.now[path] = Inode(kept, kept)
        after.safe = dict(after.now)
        return after

    def _reachable(self, path: Path) -> None:
        if path.parent not in self.dirs:
            raise FileNotFoundError(path)


class PoweredLock(MemoryLock):
    """A durable lock: a swap happens whole, or the power went first."""

    def __init__(self, power: Power) -> None:
        super().__init__()
        self.power = power

    def swap(self, origin: str, old: bytes | None, new: bytes) -> None:
        self.power.use()
        super().swap(origin, old, new)

"""A disk that forgets what was not synced, and a power cut between any two of its operations."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from provenance.backend import Disk
from tests.fakes.log import MemoryLock

Kept: TypeAlias = bool | Callable[[Path], bool]


def _kept(which: Kept, path: Path) -> bool:
    return which if isinstance(which, bool) else which(path)


class PowerCut(BaseException):
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

    def rmdir(self, path: Path) -> None:
        self.power.use()
        if not any(path in (one.parent, one) for one in (*self.now, *(self.dirs - {path}))):
            self.dirs.discard(path)

    @contextmanager
    def alone(self, path: Path) -> Iterator[None]:
        yield  # one process, and the lock goes with it

    def write(self, path: Path, data: bytes) -> None:
        self.power.use()
        self._reachable(path)
        if path in self.now:
            raise FileExistsError(path)
        self.now[path] = Inode(data)

    def sync(self, path: Path) -> None:
        self.power.use()
        if path in self.now:
            self.now[path].synced = self.now[path].data
            return
        for kept, present in ((self.safe, self.now),):
            for name in [one for one in kept if one.parent == path]:
                del kept[name]
            kept.update({name: one for name, one in present.items() if name.parent == path})
        self.safe_dirs = {one for one in self.safe_dirs if one.parent != path or one in self.dirs}
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

    def restart(self, power: Power, *, names: Kept, data: Kept) -> "ForgetfulDisk":
        """The disk after a power cut.

        Args:
            names: whether an unsynced link, rename, removal or new folder happens to have been
                kept; each for itself where a function decides.
            data: the same of unsynced bytes; of those not kept the first half is there.
        """
        after = ForgetfulDisk(power)
        here, sure = set(self.dirs), set(self.safe_dirs)
        after.dirs = {one for one in here | sure if one in (here if _kept(names, one) else sure)}
        after.safe_dirs = set(after.dirs)
        for path in sorted({*self.now, *self.safe}):
            one = (self.now if _kept(names, path) else self.safe).get(path)
            if one is None or path.parent not in after.dirs:
                continue
            whole = one.data == one.synced or _kept(data, path)
            kept = one.data if whole else one.data[: len(one.data) // 2]
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

"""One process at a time in a place; who takes it knows which earlier ones have surely ended."""

import fcntl
import os
from pathlib import Path

_kept: list[int] = []


def succeed(file: Path, name: str) -> frozenset[str]:
    """Take the one place that a file stands for; the names of those who surely left it.

    The operating system drops the lock with its process, however that ends, so whoever gets the
    lock knows that every earlier holder is dead and need not wait for their leases to run out. A
    second process in the same place gets no lock, and waits for leases like one on another host.
    """
    handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return frozenset()
    here = os.fstat(handle)
    place = f"{here.st_dev}:{here.st_ino}"
    words = os.pread(handle, 4096, 0).decode("ascii", "replace").split()
    # A copied home brings the names of processes that may be alive elsewhere: they do not count.
    earlier = words[1:] if words[:1] == [place] else []
    kept = [*earlier[-20:], name]
    os.pwrite(handle, " ".join([place, *kept, ""]).encode(), 0)
    os.fsync(handle)
    _kept.append(handle)  # held until this process ends
    return frozenset(earlier)

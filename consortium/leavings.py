"""Temporary files of one process in one private folder; the next start deletes what a kill left.

A step of matching opens tokens and outputs into files that go when it ends. A process that is
killed ends no step, and who finds its files needs no key any more.
"""

import atexit
import fcntl
import os
import shutil
import stat
import tempfile
import time
from pathlib import Path

PREFIX = "trellis-passing-"
HELD = "held"
UNHELD = 3600.0
"""Seconds after which a folder that nobody ever held is taken to be left behind."""
_kept: dict[Path, int] = {}


def contain() -> Path:
    """Let all temporary files of this process lie in one folder, and delete dead processes' ones.

    The operating system drops the lock of a process that ends, however that happens.
    """
    place = Path(tempfile.gettempdir())
    sweep(place)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
    handle = os.open(folder / HELD, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    _kept[folder] = handle  # held until this process ends
    tempfile.tempdir = str(folder)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def sweep(place: Path) -> int:
    """Delete the folders of processes that have ended; how many went."""
    return sum(_left(folder) for folder in place.glob(f"{PREFIX}*"))


def _left(folder: Path) -> bool:
    try:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            return False  # somebody else's, or a link to who knows where
        try:
            handle = os.open(folder / HELD, os.O_RDWR | os.O_NOFOLLOW)
        except FileNotFoundError:
            if time.time() - found.st_mtime < UNHELD:
                return False  # its process is about to hold it
            shutil.rmtree(folder, ignore_errors=True)
            return True
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(handle)
    except OSError:
        return False  # held, or gone meanwhile
    return True

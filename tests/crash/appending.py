"""A real process that recovers a log, appends to it and publishes: what strace breaks.

    python tests/crash/appending.py FOLDER HOLDER UP_TO

Prints a line for each batch once it is promised. Without UP_TO it appends one entry of its own
whenever it is told to on stdin, and waits before the commit while FOLDER/wait is there.
"""

import sys
import time
from itertools import count
from pathlib import Path

from consortium.clock import utc
from consortium.store.log_lock import SqliteLock
from provenance.backend import FolderBackend
from provenance.entry import draft
from provenance.errors import ProvenanceError
from provenance.sequencer import Sequencer
from tests.fakes.actors import LOG, NOON, POLICY, private, public, trusting

_SALTS = count()  # its own: this file is imported by two processes, which must make the same


def _entry(n: int) -> bytes:
    return draft(
        "contribution",
        at=NOON,
        actor=public("union"),
        facts={"kind": "x", "n": n},
        salt=lambda: next(_SALTS).to_bytes(32, "big"),
        sign=private("union").sign,
    ).entry


ENTRIES = [_entry(n) for n in range(300)]


def opened(folder: Path, holder: str, *dead: str) -> Sequencer:
    """The log in a folder, with a lock of its own beside it."""
    lock = SqliteLock(folder / "lock.sqlite", holder, utc, dead=dead)
    return Sequencer(FolderBackend(folder / "log"), lock, LOG, POLICY, trusting(), lock)


class Slow(SqliteLock):
    """Does not commit while a file named ``wait`` lies beside it: others come in between."""

    wait: Path

    def swap(self, origin: str, old: bytes | None, new: bytes) -> None:
        while self.wait.exists():
            time.sleep(0.02)
        super().swap(origin, old, new)


def main(folder: Path, holder: str, up_to: int) -> None:
    """Append until the log has so many entries."""
    log = opened(folder, holder)
    here = log.recover().size
    while here < up_to:
        here = log.append(ENTRIES[here:up_to], NOON).stop
        print(f"promised {here}", flush=True)  # noqa: T201


def race(folder: Path, holder: str) -> None:
    """Append one entry at each word on stdin."""
    lock = Slow(folder / "lock.sqlite", holder, utc)
    lock.wait = folder / "wait"
    log = Sequencer(FolderBackend(folder / "log"), lock, LOG, POLICY, trusting(), lock)
    print("ready", flush=True)  # noqa: T201
    for line in sys.stdin:
        [at] = log.append([f"{holder} {line.strip()}".encode()], NOON)
        print(at, flush=True)  # noqa: T201


if __name__ == "__main__":
    try:
        if len(sys.argv) > 3:
            main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
        else:
            race(Path(sys.argv[1]), sys.argv[2])
    except ProvenanceError as refused:
        print(f"{type(refused).__name__}: {refused}", file=sys.stderr)  # noqa: T201
        sys.exit(3)

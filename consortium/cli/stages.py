"""The stages of a demonstration: in order, each once; what is done, and about how long is left."""

import json
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console

from consortium.world import World

TERMINATED = 128 + signal.SIGTERM


class Stage:
    """Runs the stages in order, says how far it is, and remembers what is done."""

    def __init__(self, out: Path, usual: Mapping[str, float], console: Console) -> None:
        self._file = out / "progress.json"
        self._names = [*usual]
        self._usual = usual
        self._console = console
        self._ended = False
        self._done: dict[str, float] = (
            json.loads(self._file.read_text()) if self._file.exists() else {}
        )

    def end(self, *_: object) -> None:
        """Leave, because somebody asked.

        An exception that strikes while Python is in a destructor is swallowed there, so the wish
        is also remembered until the stage is over.
        """
        self._ended = True
        sys.exit(TERMINATED)

    def run(self, name: str, work: Callable[[], None]) -> None:
        """Do a stage unless an earlier run finished it."""
        number = self._names.index(name) + 1
        head = f"[{number}/{len(self._names)}] {name}"
        if name in self._done:
            self._console.print(f"{head}: done before")
            return
        self._console.print(f"{head} ...{self._eta(name)}")
        began = time.monotonic()
        work()
        if self._ended:
            sys.exit(TERMINATED)
        self._done[name] = time.monotonic() - began
        part = self._file.with_suffix(".part")
        part.write_text(json.dumps(self._done))
        part.replace(self._file)
        self._console.print(f"{head}: {self._done[name]:.1f} s")

    def _eta(self, name: str) -> str:
        left = sum(self._usual[n] for n in self._names[self._names.index(name) :])
        return f" (about {left:.0f} s to go)"


STAGES = [
    "keys and invitations",
    "custodians make two keys that nobody holds",
    "partners sign the agreement",
    "the steward enrols the voter file",
    "partners upload their lists",
    "lists meet the voter file",
    "the coordinator chooses, counts and writes",
    "partners approve",
    "partners check their own rows",
    "letters go out",
    "a stop and a bounce come back",
    "the log is checked",
]
# Seconds that stages took on the machine on which this was written: at all, for each line of the
# voter file, for each row of a list. For the ETA alone.
USUAL = {
    "keys and invitations": (8.0, 0.0, 0.0),
    "custodians make two keys that nobody holds": (12.0, 0.0, 0.0),
    "the steward enrols the voter file": (2.0, 0.004, 0.0),
    "partners upload their lists": (3.0, 0.0, 0.02),
    "lists meet the voter file": (2.0, 0.0004, 0.001),
    "partners check their own rows": (4.0, 0.0, 0.002),
    "letters go out": (5.0, 0.0, 0.006),
}
OTHERWISE = (3.0, 0.0, 0.0)


def usual(world: World) -> dict[str, float]:
    """About how many seconds each stage takes for a world of this size."""
    voters = sum(_lines(path) for path in world.roll.rglob("*") if path.is_file())
    rows = sum(_lines(world.members(partner.slug)) for partner in world.partners)
    return {
        name: least + each * voters + row * rows
        for name in STAGES
        for least, each, row in [USUAL.get(name, OTHERWISE)]
    }


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))

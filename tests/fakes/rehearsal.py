"""A real consortium in a folder, run to the instant before its letters go, and put back at will.

Every actor is its own process with its own keys, as in the demonstration. Preparing one costs a
minute, so it is done once a run; ``again`` puts the folder back, byte for byte.
"""

from __future__ import annotations

import atexit
import hashlib
import re
import shutil
import signal
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import cache
from pathlib import Path

import pytest

from consortium.cli import outcome
from consortium.cli.cast import Cast
from consortium.cli.demo import Demo
from consortium.world import load

WORLD = ("--voters", "600", "--members", "300,250,200", "--seed", "3")
PATIENCE = 900.0


class _WeeklyCast(Cast):
    """Signs an agreement that allows several letters a week, so that a second campaign may go."""

    def do(self, *args: str | Path, log: Path, allowed: tuple[int, ...] = (0,)) -> str:  # type: ignore[override]
        more = ("--letters-per-week", "5") if args[:2] == ("operator", "init") else ()
        return super().do(*args, *more, log=log, allowed=allowed)


class Rehearsal:
    """One prepared folder, and the processes that a test starts in its copy."""

    def __init__(self, folder: Path) -> None:
        self.kept, self.out, self.world = folder / "kept", folder / "out", folder / "world"
        if not self.kept.exists():
            self._prepare()
        self.demo = self._new()

    def _new(self) -> Demo:
        made = Demo(load(self.world), self.out, "", "")
        made.cast = _WeeklyCast()
        return made

    def _prepare(self) -> None:
        words = self.world.parent / "world.log"
        Cast().do("world", "make", *WORLD, "--out", self.world, log=words)
        demo = self._new()
        try:
            demo.found()
            demo.start()
            for stage in (demo.ceremony, demo.sign, demo.enrol, demo.upload, demo.match):
                stage()
            demo.cast.end("mailer")  # its key is in the log; nothing else is asked of it yet
            for stage in (demo.write, demo.approve, demo.attest):
                stage()
            demo._watch("logged")
        finally:
            demo.cast.end()
        self.out.rename(self.kept)

    def again(self, **settings: object) -> None:
        """End everything, put the folder back, and set some of the operator's settings."""
        self.end()
        shutil.rmtree(self.out, ignore_errors=True)
        shutil.copytree(self.kept, self.out)
        self.demo = self._new()
        env = self.out / "server" / "trellis.env"
        text = env.read_text()
        for name, value in settings.items():
            text = re.sub(rf"TRELLIS_{name.upper()}=.*", f"TRELLIS_{name.upper()}={value}", text)
        env.write_text(text)

    def start(self) -> None:
        """Start what sending needs: the sink, custodians, and who publishes what they open."""
        ports, cast = self.demo.facts["ports"], self.demo.cast
        for n in (1, 2, 3):
            home = self.demo.home("witnesses", n)
            cast.start(f"witness {n}", "witness", "serve", "--home", home, log=home / "serve.log")
        for n in self.demo.numbers:
            home = self.demo.home("custodians", n)
            cast.start(f"custodian {n}", "custodian", "serve", "--home", home, log=home / "log")
        server = self.demo.server
        cast.start("server", "operator", "serve", "--home", server, log=server / "serve.log")
        cast.start("worker", "operator", "worker", "--home", server, log=server / "worker.log")
        self.start_sink()
        cast.start("returns", "returns", "--listen", self.demo.at("returns"), "--spool",
                   self.demo.mailer / "returns", log=self.demo.mailer / "returns.log",
                   port=ports["returns"])  # fmt: skip
        for n in self.demo.numbers:
            cast.wait(f"custodian {n}", ports["custodians"][n - 1])
        cast.wait("server", ports["web"])

    def start_sink(self) -> None:
        """Start the mail server."""
        mailer = self.demo.mailer
        self.demo.cast.start("sink", "sink", "--listen", self.demo.at("sink"), "--maildir",
                             self.demo.maildir, "--log", mailer / "sink.jsonl",
                             log=mailer / "sink.log",
                             port=self.demo.facts["ports"]["sink"])  # fmt: skip

    def start_mailer(self) -> None:
        """Start the mail machine."""
        self.demo.cast.start("mailer", "operator", "mailer", "--home", self.demo.server,
                             log=self.demo.mailer / "mailer.log")  # fmt: skip

    def kill(self, name: str) -> None:
        """SIGKILL one process, by its pid, and wait until it is gone."""
        process = self.demo.cast.running.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def end(self) -> None:
        """End every process that this rehearsal started."""
        if hasattr(self, "demo"):
            self.demo.cast.end()

    # Looking

    def rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        """Ask the operator's database, without writing to it."""
        url = f"file:{self.demo.server}/trellis.sqlite?mode=ro"
        with closing(sqlite3.connect(url, uri=True, timeout=30)) as database:
            return database.execute(query, values).fetchall()

    @property
    def campaign(self) -> str:
        """The newest campaign."""
        return str(self.demo.facts["campaign"])

    def state(self) -> str:
        """What the newest campaign's state is."""
        [(state,)] = self.rows("SELECT state FROM campaigns WHERE id = ?", self.campaign)
        return str(state)

    def outbox(self) -> dict[str, tuple[str, str]]:
        """State and outcome of each letter of the newest campaign, by the hash of its VERP."""
        found = self.rows(
            "SELECT verp, state, outcome FROM deliveries WHERE campaign = ?", self.campaign
        )
        return {str(verp): (str(state), str(text)) for verp, state, text in found}

    def letters(self, folder: Path | None = None) -> list[outcome.Letter]:
        """What the mail server took."""
        where = folder or self.demo.maildir
        return [*outcome.letters(where)] if (where / "new").exists() else []

    def verps(self) -> list[str]:
        """Hashes of the return paths of everything that the mail server took."""
        return [hashlib.sha256(one.return_path.encode()).hexdigest() for one in self.letters()]

    def until(self, ready: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
        """Wait for something, and say what did not come."""
        end = time.monotonic() + patience
        while not ready():
            if time.monotonic() > end:
                said = [
                    f"{path.name}: {path.read_text(errors='replace')[-1500:]}"
                    for path in (self.demo.mailer / "mailer.log", self.demo.server / "serve.log")
                    if path.exists()
                ]
                waits = self.rows("SELECT state, waiting_for FROM campaigns")
                pytest.fail(f"waited {patience:.0f} s for {what}; {waits}; " + "\n".join(said))
            time.sleep(0.02)


@cache
def _prepared() -> Rehearsal:
    folder = Path(tempfile.mkdtemp(prefix="trellis-rehearsal-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Rehearsal(folder)


@pytest.fixture
def rehearsal() -> Iterator[Rehearsal]:
    """The run's one rehearsal; every process that a test leaves is ended."""
    made = _prepared()
    try:
        yield made
    finally:
        with suppress(ProcessLookupError):
            made.end()

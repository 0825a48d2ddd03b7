"""One real installation in one folder, every actor a process: what tests of absence share.

It is the demonstration's own cast, prepared as far as a roll that is enrolled, and kept for the
session. A test that takes somebody away brings them back before it ends.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from consortium.cli.cast import Cast
from consortium.cli.demo import Demo
from consortium.cli.world import make
from consortium.world import load

SIZES = (260, 200, 160)
PATIENCE = 900.0
HEADER = ("first_name", "last_name", "email", "street address", "zip", "status")


class Said:
    """What one command printed, and how it ended."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def words(self) -> str:
        """Everything that a person would read."""
        return self.out + self.err

    def json(self) -> dict[str, Any]:
        """The last line of stdout."""
        assert self.code == 0, self.words
        found: dict[str, Any] = json.loads(self.out.strip().splitlines()[-1])
        return found


def trellis(*args: str | Path, preexec: Callable[[], None] | None = None) -> Said:
    """Run the real command, as a person would."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TRELLIS_")}
    return Said(
        subprocess.run(
            [sys.executable, "-m", "consortium.cli.main", *map(str, args)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=900,
            env=kept,
            preexec_fn=preexec,
            check=False,
        )
    )


class Installation:
    """A demonstration whose actors can be taken away and brought back."""

    def __init__(self, folder: Path) -> None:
        world = folder / "W"
        make(world, voters=700, members=SIZES, seed=3, today=datetime.now(UTC).date())
        self.demo = Demo(load(world), folder / "D", "", "")
        self.cast: Cast = self.demo.cast
        try:
            self.demo.found()
            self.demo.start()
            self.demo.ceremony()
            self.demo.sign()
            self.demo.enrol()
        except BaseException:
            self.cast.end()
            raise

    def partner(self, number: int) -> Path:
        """A partner's home."""
        return self.demo.home("partners", self.demo.world.partners[number].slug)

    def upload(self, number: int, file: Path, *more: str) -> Said:
        """The real command of a partner's staff; waits for the log no longer than four minutes."""
        wait = () if "--wait" in more else ("--wait", "240")
        home = self.partner(number)
        return trellis("partner", "upload", "--home", home, file, "--yes", *wait, *more, "--json")

    def everybody_uploads(self) -> None:
        """The lists of the world; done once, whoever asks."""
        self.demo.upload()

    def charged(self, number: int) -> int:
        """How many points a custodian has charged to anybody."""
        said = trellis("custodian", "status", "--home", self.demo.home("custodians", number),
                       "--json").json()  # fmt: skip
        return sum(int(points) for points in said["spent"].values())

    @contextmanager
    def away(self, *names: str) -> Iterator[None]:
        """Take processes away, and bring them back whatever the test found."""
        self.cast.end(*names)
        try:
            yield
        finally:
            self.back(*names)

    def back(self, *names: str) -> None:
        """Start those of these processes that are not running, and wait until they listen."""
        demo, ports = self.demo, self.demo.facts["ports"]
        for name in names:
            if name in self.cast.running:
                continue
            kind, _, number = name.partition(" ")
            if kind in ("witness", "custodian"):
                folder = {"witness": "witnesses", "custodian": "custodians"}[kind]
                home = demo.home(folder, number)
                self.cast.start(name, kind, "serve", "--home", home, log=home / "serve.log",
                                port=ports[folder][int(number) - 1])  # fmt: skip
            elif name == "sink":
                self.cast.start("sink", "sink", "--listen", demo.at("sink"), "--maildir",
                                demo.maildir, "--log", demo.mailer / "sink.jsonl",
                                log=demo.mailer / "sink.log", port=ports["sink"])  # fmt: skip
            elif name == "server":
                self.cast.start("server", "operator", "serve", "--home", demo.server,
                                log=demo.server / "serve.log", port=ports["web"])  # fmt: skip
            else:
                self.cast.start(name, "operator", name, "--home", demo.server,
                                log=demo.server / f"{name}.log")  # fmt: skip


def until(ready: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Wait for something that a process of its own brings about."""
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.3)


def write_list(path: Path, rows: int, *, mark: str = "", start: int = 0) -> Path:
    """A plain list of made-up members who are on no roll."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        writer.writerows(members(rows, mark=mark, start=start))
    return path


def members(rows: int, *, mark: str = "", start: int = 0) -> Iterator[Sequence[str]]:
    """Rows under ``HEADER``."""
    for n in range(start, start + rows):
        name = "".join(chr(97 + n // 26**k % 26) for k in range(4))
        yield (f"{mark}Ada{name}", f"{mark}Bel{name}", f"{mark}{name}{n}@example.org",
               f"{n + 1} {mark}Elm St", f"80{n % 1000:03d}", "subscribed")  # fmt: skip


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """The one installation of this run."""
    made = Installation(tmp_path_factory.mktemp("installation"))
    yield made
    made.cast.end()

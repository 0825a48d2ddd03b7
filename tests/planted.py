"""One run of the whole path, for whoever looks at a run: on a world full of canaries, cut twice.

It is ended in the middle of two stages, once by asking and once by force, and goes on; it mails
nobody twice, and everything else that is asked of a run holds all the same.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from consortium.world import World
from tests.attack import canaries
from tests.integration.worlds import (
    PATIENCE,
    TRELLIS,
    Run,
    arrived,
    demo,
    environment,
    small_world,
)

UPLOAD = "partners upload their lists"
SEND = "letters go out"


def _cut(world: Path, out: Path, stage: str, how: signal.Signals, *, letters: int = 0) -> int:
    """Start the demo, and end it while ``stage`` is at work; returns its exit code."""
    words = out.with_suffix(".words")
    with words.open("wb") as said:
        running = subprocess.Popen(
            [*TRELLIS, "demo", "--once", "--world", str(world), "--out", str(out)],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env=environment(),
        )
    end = time.monotonic() + PATIENCE
    new = out / "mail" / "new"
    while time.monotonic() < end:
        assert running.poll() is None, words.read_text()[-2000:]
        begun = f"{stage} ..." in words.read_text()
        if begun and (not letters or (new.is_dir() and len(os.listdir(new)) >= letters)):
            break
        time.sleep(0.01)
    running.send_signal(how)
    code = running.wait(PATIENCE)
    assert stage not in json.loads((out / "progress.json").read_text()), "too late to be a cut"
    return code


@dataclass(frozen=True)
class Planted:
    """A demonstration that has ended, and the words that stand nowhere but in its people."""

    run: Run
    kinds: Mapping[str, list[str]]
    early: int
    """Letters that had left when it was killed."""

    @property
    def births(self) -> frozenset[bytes]:
        return frozenset(one.encode() for one in self.kinds["births"])


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """Its tests only read it, or work on copies."""
    folder = tmp_path_factory.mktemp("planted")
    world, out = small_world(folder / "W"), folder / "D"
    kinds = canaries.plant(world.folder)
    early = _interrupted(world, out)
    return Planted(demo(world, out), kinds, early)


def _interrupted(world: World, out: Path) -> int:
    """Begin a demonstration, terminate it as lists go in, and kill it as letters go out."""
    assert _cut(world.folder, out, UPLOAD, signal.SIGTERM) == 143
    assert not list((out / "mail" / "new").iterdir())
    settings = out / "server" / "trellis.env"
    plain = settings.read_text()
    settings.write_text(re.sub(r"(LETTERS_PER_SECOND)=.*", r"\1=8", plain))  # to be cut in time
    assert settings.read_text() != plain
    assert _cut(world.folder, out, SEND, signal.SIGKILL, letters=20) == -signal.SIGKILL
    settings.write_text(plain)
    return sum(1 for _ in arrived(out / "mail"))

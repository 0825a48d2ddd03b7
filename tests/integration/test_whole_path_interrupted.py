"""A demonstration that is ended in the middle of two stages goes on, and mails nobody twice."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

from tests.integration.worlds import (
    PATIENCE,
    TRELLIS,
    arrived,
    assert_right_people,
    demo,
    environment,
    expected,
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


def test_a_demo_that_is_terminated_and_then_killed_goes_on_and_mails_nobody_twice(
    tmp_path: Path,
) -> None:
    world, out = small_world(tmp_path / "W"), tmp_path / "D"
    assert _cut(world.folder, out, UPLOAD, signal.SIGTERM) == 143
    assert not list((out / "mail" / "new").iterdir())
    settings = out / "server" / "trellis.env"
    plain = settings.read_text()
    settings.write_text(re.sub(r"(LETTERS_PER_SECOND)=.*", r"\1=8", plain))  # to be cut in time
    assert settings.read_text() != plain
    assert _cut(world.folder, out, SEND, signal.SIGKILL, letters=20) == -signal.SIGKILL
    settings.write_text(plain)
    before = sum(1 for _ in arrived(out / "mail"))
    run = demo(world, out)
    assert 20 <= before < run.summary["sent"], "it was cut before the last letter"
    assert_right_people(run, expected(world))

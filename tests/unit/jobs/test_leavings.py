"""What a killed process had opened is gone at the next one's start; a living one's files stay."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from consortium import leavings

OPENS = """
import sys, tempfile
from consortium import leavings
from matching.atrest import lock_file, unlocked
from pathlib import Path
folder = leavings.contain()
plain, locked = folder / "plain", folder / "locked"
plain.write_bytes(b"tokens")
lock_file(plain, locked, key=bytes(32))
plain.unlink()
with unlocked(locked, key=bytes(32)) as path:
    print(path, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def opening(place: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process that has just opened an artefact, and where."""
    process = subprocess.Popen(
        [sys.executable, "-c", OPENS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(place)},
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_what_a_killed_process_had_opened_goes_at_the_next_start(place: Path) -> None:
    process, opened = opening(place)
    with process:
        assert opened.read_bytes() == b"tokens"
        assert opened.is_relative_to(place)
        folder = place / opened.relative_to(place).parts[0]
        assert folder.stat().st_mode & 0o777 == 0o700
        assert leavings.sweep(place) == 0  # the control: it lives
        assert opened.exists()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert opened.exists()
        mine = leavings.contain()
    assert not folder.exists()
    assert mine.is_dir()
    assert tempfile.gettempdir() == str(mine)
    assert leavings.sweep(place) == 0


def test_a_process_that_ends_leaves_nothing(place: Path) -> None:
    process, _ = opening(place)
    with process:
        process.communicate("")
    assert process.returncode == 0
    assert list(place.iterdir()) == []


def test_what_is_nobodys_folder_is_left_alone(place: Path) -> None:
    elsewhere = place / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / leavings.HELD).touch()
    (place / f"{leavings.PREFIX}link").symlink_to(elsewhere)
    (place / f"{leavings.PREFIX}file").touch()
    young = place / f"{leavings.PREFIX}young"
    young.mkdir()  # its process is about to hold it
    assert leavings.sweep(place) == 0
    assert (elsewhere / leavings.HELD).exists()
    assert young.exists()
    os.utime(young, (0, 0))
    assert leavings.sweep(place) == 1
    assert not young.exists()

"""Every system call that writes may fail, or be a process's last: what was promised stays."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from provenance.audit import FolderSource, audit
from provenance.checkpoint import read_checkpoint
from provenance.merkle import tree_root
from tests.crash import appending
from tests.fakes.actors import NOON, POLICY
from tests.servers import lacking

ROOT = Path(__file__).parents[2]
FIRST, UP_TO = 254, 258
CALLS = (
    *("write", "pwrite64", "fsync", "fdatasync", "ftruncate"),
    *("link", "rename", "unlink", "rmdir", "mkdir"),
)
FAULTS = {"EIO": "error=EIO", "ENOSPC": "error=ENOSPC", "SIGKILL": "signal=SIGKILL"}


def traced(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the process under strace."""
    if shutil.which("strace") is None:
        lacking("strace", "strace")
    script = [sys.executable, str(ROOT / "tests" / "crash" / "appending.py")]
    return subprocess.run(
        ["strace", "-f", "-qq", *options, *script, str(folder), "traced", str(UP_TO)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "PATH": "/usr/bin:/bin"},
        timeout=400,
        check=False,
    )


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log whose first tile is about to be full."""
    folder = tmp_path_factory.mktemp("template")
    log = appending.opened(folder, "before")
    log.recover()
    for size in (250, FIRST):
        log.append(appending.ENTRIES[log.committed().size : size], NOON)
    return folder


@pytest.fixture
def fresh(template: Path, tmp_path: Path) -> Callable[[str], Path]:
    return lambda name: Path(shutil.copytree(template, tmp_path / name))


def counted(folder: Path) -> Counter[str]:
    """How often the process makes each of the calls when nothing goes wrong."""
    trace = folder / "trace"
    ran = traced(folder, "-o", str(trace), "-e", f"trace={','.join(CALLS)}")
    assert (ran.returncode, ran.stdout) == (0, f"promised {UP_TO}\n"), ran.stderr
    return Counter(re.findall(r"^(?:\d+ +)?(\w+)\(", trace.read_text(), re.MULTILINE))


def broken(folder: Path, call: str, fault: str, at: int) -> None:
    """Break one call of one run; then look at what is there, and go on."""
    inject = f"inject={call}:{FAULTS[fault]}:when={at}"
    ran = traced(folder, "-o", "/dev/null", "-e", f"trace={call}", "-e", inject)
    where = f"{call} {at} {fault}: {ran.returncode} {ran.stdout} {ran.stderr[-600:]}"
    told = [int(one) for one in re.findall(r"promised (\d+)", ran.stdout)]
    shown = (folder / "log" / "checkpoint").read_bytes()
    seen = read_checkpoint(shown)[0]
    assert seen.root == tree_root(appending.ENTRIES[: seen.size]), where
    if fault != "SIGKILL" and call == "fsync":
        assert "has stopped" in ran.stderr or "SyncFailed" in ran.stderr, where
        assert (told, ran.returncode) != ([UP_TO], 0), where
    log = appending.opened(folder, "after", "traced")
    tree = log.recover()
    assert tree.size in (FIRST, UP_TO), where
    assert tree.size >= max([FIRST, seen.size, *told]), where
    assert tree.root == tree_root(appending.ENTRIES[: tree.size]), where
    log.append(appending.ENTRIES[tree.size : UP_TO + 1], NOON)
    report = audit(FolderSource(folder / "log"), POLICY, old=shown)
    assert report.size == UP_TO + 1, where
    left = [one.name for one in (folder / "log.staging").iterdir()]
    assert left == [], where


def test_a_sample_of_calls_that_fail_or_are_the_last(fresh: Callable[[str], Path]) -> None:
    total = counted(fresh("count"))
    assert {"write", "fsync", "rename", "link", "unlink"} <= set(total)
    for number, (call, fault) in enumerate(
        [
            ("write", "ENOSPC"),
            ("write", "SIGKILL"),
            ("fsync", "EIO"),
            ("fsync", "SIGKILL"),
            ("rename", "SIGKILL"),
            ("link", "EIO"),
        ]
    ):
        at = 1 + (total[call] - 1) * (number % 3) // 3
        broken(fresh(f"{call}-{fault}"), call, fault, at)


@pytest.mark.soak
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("call", CALLS)
def test_every_call_that_fails_or_is_the_last(
    fresh: Callable[[str], Path], call: str, fault: str
) -> None:
    for at in range(1, counted(fresh("count"))[call] + 1):
        folder = fresh(str(at))
        broken(folder, call, fault, at)
        shutil.rmtree(folder)

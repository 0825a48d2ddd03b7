"""A ring on folders appears whole or not at all; a worker that ends unasked says so by its code."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from kombu import Connection
from kombu.transport import filesystem

from consortium.jobs import folders

FAULTY = """
import sys
from consortium.jobs import folders, working

def torn(*_):
    raise ValueError("a fault that nobody foresaw")

if "faulty" in sys.argv:
    folders.Channel._get = torn
if "alone" in sys.argv:
    from celery.signals import worker_init
    from consortium.jobs.celery import app
    app.worker_main(["worker", "--pool=solo", "--queues=matching", "--loglevel=WARNING"])
    sys.exit(0)
sys.exit(working.work("matching", {}, relays=False))
"""


def channel(folder: Path, url: str) -> Any:
    for name in ("box", "control"):
        (folder / name).mkdir(exist_ok=True)
    box = str(folder / "box")
    options = {
        "data_folder_in": box,
        "data_folder_out": box,
        "control_folder": str(folder / "control"),
    }
    return Connection(url, transport_options=options).channel()


def read_while_it_is_written(one: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ring, and have somebody look for rings at the instant at which the message is made."""

    def slow(payload: object) -> str:
        one._get("matching")
        raise AssertionError("nothing was there to be read")

    with monkeypatch.context() as meanwhile:
        for module in (filesystem, folders):
            meanwhile.setattr(module, "dumps", slow)
        one._put("matching", {"task": "match"})


def test_whoever_looks_while_a_ring_is_written_finds_nothing_instead_of_half_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="Expecting value"):  # the control: Kombu's own folders
        read_while_it_is_written(channel(tmp_path, "filesystem://"), monkeypatch)
    ours = channel(tmp_path, folders.URL)
    with pytest.raises(Empty):
        read_while_it_is_written(ours, monkeypatch)
    ours._put("matching", {"task": "match"})
    with pytest.raises(Empty):
        ours._get("mailing")
    assert ours._get("matching") == {"task": "match"}
    assert list((tmp_path / "box").iterdir()) == []


def test_a_torn_ring_is_no_ring_and_hides_no_other(tmp_path: Path) -> None:
    ours = channel(tmp_path, folders.URL)
    (tmp_path / "box" / "0_torn.matching.msg").write_bytes(b'{"task": ')
    ours._put("matching", {"task": "match"})
    with pytest.raises(Empty):
        ours._get("matching")
    assert ours._get("matching") == {"task": "match"}


def ended(home: Path, *how: str, after: float = 0.0) -> tuple[int, str]:
    """Exit code and words of a worker; one that goes on is asked to end once it listens."""
    words = home / "words"
    env = {**os.environ, "TRELLIS_HOME": str(home), "C_FORCE_ROOT": "1", "PYTHONWARNINGS": "ignore"}
    with words.open("wb") as out:
        child = subprocess.Popen(
            [sys.executable, "-c", FAULTY, *how], stdout=out, stderr=out, env=env
        )
    try:
        if after:
            end = time.monotonic() + 240
            control = home / "broker" / "control"  # it declares its queue there once it listens
            while not list(control.glob("*")) and time.monotonic() < end:
                time.sleep(0.1)
            time.sleep(after)
            child.send_signal(signal.SIGTERM)
        code = child.wait(400)
    finally:
        child.kill()
        child.wait()
    return code, words.read_text()


def test_a_worker_that_meets_a_fault_ends_with_a_code_that_says_so(tmp_path: Path) -> None:
    code, words = ended(tmp_path, "faulty")
    assert code == 1
    assert "a fault that nobody foresaw" in words
    assert "matching: the worker ended, and nobody had asked it to" in words


@pytest.mark.soak
def test_the_same_fault_under_celery_alone_looks_like_an_end_that_was_asked_for(
    tmp_path: Path,
) -> None:
    assert ended(tmp_path, "faulty", "alone")[0] == 0


@pytest.mark.soak
def test_a_worker_that_is_asked_to_end_ends_well(tmp_path: Path) -> None:
    assert ended(tmp_path, after=3.0)[0] == 0

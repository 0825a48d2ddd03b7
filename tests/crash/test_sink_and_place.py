"""The sink's log line is the instant at which a letter is taken; a mailer's place is its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from consortium.cli.sink import Sink
from mailer.doubts import find

BACK = "r-back@mail.example.org"
HOLD = """
import sys
from pathlib import Path
from consortium.jobs.mailing import succeed
print(sorted(succeed(Path(sys.argv[1]), sys.argv[2])), flush=True)
sys.stdin.read()
"""


def test_a_sink_that_died_after_its_log_line_shows_the_letter_and_before_it_does_not(
    tmp_path: Path,
) -> None:
    maildir, log = tmp_path / "m", tmp_path / "log"
    sink = Sink(maildir, log)
    for queue_id, logged in (("A1", True), ("B2", False)):
        sink._keep(queue_id, BACK, "ana@example.net", b"Subject: x\r\n\r\nx\r\n")
        if logged:
            sink._say({"event": "queued", "id": queue_id, "from": BACK, "bytes": 1})
    sink.close()  # and no more: as if killed here
    assert not list((maildir / "new").iterdir())
    Sink(maildir, log).close()
    [shown] = (maildir / "new").iterdir()
    assert ".A1." in shown.name
    assert not list((maildir / "tmp").iterdir())
    assert find(log, BACK) == "A1"


def place(home: Path, name: str) -> tuple[subprocess.Popen[str], str]:
    """A process that takes the mailer's place; who it knows to be dead."""
    run = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", HOLD, str(home), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TRELLIS_HOME": str(home), "C_FORCE_ROOT": "1"},
    )
    assert run.stdout is not None
    return run, run.stdout.readline().strip()


def gone(run: subprocess.Popen[str]) -> None:
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert run.stdin is not None
    assert run.stdout is not None
    run.stdin.close()
    run.stdout.close()


def test_only_a_mailer_that_is_surely_dead_loses_its_leases_early(tmp_path: Path) -> None:
    first, knows = place(tmp_path, "first")
    assert knows == "[]"
    second, knows = place(tmp_path, "second")
    assert knows == "[]", "the first one is alive"
    gone(first)
    third, knows = place(tmp_path, "third")
    assert knows == "['first']", "the second never had the place, so nobody knows about it"
    for run in (second, third):
        gone(run)
    copied = tmp_path / "copied"
    copied.mkdir()
    (copied / "mailer.lock").write_bytes((tmp_path / "mailer.lock").read_bytes())
    elsewhere, knows = place(copied, "elsewhere")
    assert knows == "[]", "a copied home brings names of mailers that may be alive"
    gone(elsewhere)

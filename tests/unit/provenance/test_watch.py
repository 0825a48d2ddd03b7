"""Who follows a log sees it grow, and whatever contradicts what they saw leaves evidence."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner, Result

from consortium.cli.auditor import command
from provenance.backend import FolderBackend
from provenance.fork import Fork, check_fork
from provenance.sequencer import Sequencer
from tests.fakes.actors import LOG, NOON, POLICY, WITNESSES, made, trusting
from tests.fakes.log import MemoryLock

ENTRIES = [made("union", "approval", kind="x", n=n).entry for n in range(300)]
OTHERS = [made("cedar", "approval", kind="x", n=n).entry for n in range(300)]
KEYS = ["--vkey", LOG.verifier.vkey, "--quorum", "2"]
for _one in WITNESSES:
    KEYS += ["--witness", _one.verifier.vkey]


class Growing:
    """A log in a folder that can be grown, and put back."""

    def __init__(self, folder: Path, entries: list[bytes] = ENTRIES) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        self.folder, self.entries, self.size = folder, entries, 0
        self.log = Sequencer(FolderBackend(folder), MemoryLock(), LOG, POLICY, trusting())

    def to(self, size: int) -> "Growing":
        self.log.append(self.entries[self.size : size], NOON)
        self.size = size
        return self

    @property
    def note(self) -> bytes:
        return (self.folder / "checkpoint").read_bytes()


@pytest.fixture
def log(tmp_path: Path) -> Growing:
    return Growing(tmp_path / "log")


def forked(tmp_path: Path, same: int, size: int) -> Growing:
    """Another log under the same key, whose first entries are the same."""
    return Growing(tmp_path / f"forked-{same}-{size}", [*ENTRIES[:same], *OTHERS[same:]]).to(size)


def run(*words: object, code: int = 0) -> Result:
    result = CliRunner().invoke(command, [*map(str, words)])
    assert result.exit_code == code, result.output + repr(result.exception)
    return result


def watched(folder: Path, state: Path, code: int = 0, *more: object) -> dict[str, Any]:
    said = run("watch", folder, *KEYS, "--state", state, "--once", "--json", *more, code=code)
    found: dict[str, Any] = json.loads(said.stdout)
    return found


def test_a_log_that_only_grows_is_followed_over_the_edges_of_tiles(
    log: Growing, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    before = 0
    for size in (1, 1, 5, 255, 256, 257, 300):
        if size > log.size:
            log.to(size)
        said = watched(log.folder, state)
        assert (said["size"], said["grown"]) == (size, size - before)
        before = size
    assert (state / "checkpoint").read_bytes() == log.note
    assert (state / "leaves").stat().st_size == 300 * 32
    assert (state.stat().st_mode & 0o777, (state / "leaves").stat().st_mode & 0o777) == (
        0o700,
        0o600,
    )


@pytest.mark.parametrize(("seen", "shown"), [(7, 7), (7, 280), (260, 290), (280, 7), (256, 256)])
def test_a_fork_is_found_kept_as_evidence_and_named(
    log: Growing, tmp_path: Path, seen: int, shown: int
) -> None:
    state = tmp_path / "state"
    watched(log.to(seen).folder, state)
    said = watched(forked(tmp_path, 5, shown).folder, state, 1)
    assert "forked" in said["why"]
    evidence = Fork.from_json(json.loads(Path(said["evidence"]).read_text()))
    older, newer = check_fork(evidence, (LOG.verifier,))
    assert (older.size, newer.size) == (min(seen, shown), max(seen, shown))
    assert (state / "checkpoint").read_bytes() == log.note, "what was believed first stays"
    assert watched(forked(tmp_path / "again", 5, shown).folder, state, 1) == said
    judged = run("diff", said["evidence"], *KEYS)
    assert "FORKED" in judged.output
    watched(log.folder, state)


def test_a_log_that_went_back_is_named_and_convicted_of_no_fork(
    log: Growing, tmp_path: Path
) -> None:
    state, yesterday = tmp_path / "state", tmp_path / "yesterday"
    log.to(9)
    shutil.copytree(log.folder, yesterday)
    watched(log.to(270).folder, state)
    said = watched(yesterday, state, 1)
    assert "9 entries now; 270 were seen" in said["why"]
    assert set(json.loads(Path(said["evidence"]).read_text())) == {"before", "now"}
    run("diff", said["evidence"], *KEYS, code=1)


def test_a_fork_is_evidence_even_where_no_witness_stands_under_it(
    log: Growing, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    watched(log.to(7).folder, state)
    other = forked(tmp_path, 5, 9)
    alone = other.note.split(b"\n")
    (other.folder / "checkpoint").write_bytes(b"\n".join(alone[:5]) + b"\n")
    assert "forked" in watched(other.folder, state, 1)["why"]
    honest = log.to(9)
    (honest.folder / "checkpoint").write_bytes(b"\n".join(honest.note.split(b"\n")[:5]) + b"\n")
    assert "witnesses" in watched(honest.folder, state, 1)["why"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "checkpoint").unlink(),
        lambda folder: (folder / "checkpoint").write_bytes(b"x"),
        lambda folder: (folder / "tile/0/000.p/9").unlink(),
        lambda folder: (folder / "tile/0/000.p/9").write_bytes(b"\0" * 288),
        lambda folder: (folder / "tile/0/000.p/9").write_bytes(b"\0"),
    ],
)
def test_files_that_do_not_hold_are_a_failure_and_no_fork(
    log: Growing, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    state = tmp_path / "state"
    watched(log.to(7).folder, state)
    spoil(log.to(9).folder)
    said = watched(log.folder, state, 1)
    assert "evidence" not in said
    assert len(list(state.glob("*.json"))) == 0


def test_a_crash_between_the_two_writes_leaves_the_old_state(log: Growing, tmp_path: Path) -> None:
    state = tmp_path / "state"
    watched(log.to(7).folder, state)
    old = (state / "checkpoint").read_bytes()
    watched(log.to(20).folder, state)
    (state / "checkpoint").write_bytes(old)  # the hashes were written, the checkpoint was not
    assert watched(log.folder, state)["grown"] == 13
    assert watched(log.folder, state)["grown"] == 0


def test_state_that_was_damaged_or_is_of_another_log_is_refused(
    log: Growing, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    watched(log.to(20).folder, state)
    good = (state / "leaves").read_bytes()
    for wrong in (good[:-1], good[:-32] + b"\0" * 32, b""):
        (state / "leaves").write_bytes(wrong)
        assert "kept" in watched(log.folder, state, 1)["why"]
    (state / "leaves").write_bytes(good)
    watched(log.folder, state)
    other = ["--vkey", WITNESSES[0].verifier.vkey]
    run("watch", log.folder, *other, "--state", state, "--once", code=1)


def test_two_watchers_do_not_share_a_folder(log: Growing, tmp_path: Path) -> None:
    import fcntl

    state = tmp_path / "state"
    watched(log.to(2).folder, state)
    with (state / "lock").open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        said = run("watch", log.folder, *KEYS, "--state", state, "--once", code=1)
    assert "another watch" in said.output
    watched(log.folder, state)


def test_a_log_that_stands_still_is_named_when_somebody_asks(log: Growing, tmp_path: Path) -> None:
    from datetime import UTC, datetime

    hours = (datetime.now(UTC) - NOON).total_seconds() / 3600
    log.to(2)
    watched(log.folder, tmp_path / "a", 0, "--stale", abs(hours) + 2)
    if hours > 0.1:
        assert "is old" in watched(log.folder, tmp_path / "b", 1, "--stale", hours / 2)["why"]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    handler = partial(_Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_log_is_followed_over_http_and_an_absent_one_ends_with_a_code_of_its_own(
    log: Growing, tmp_path: Path, served: str
) -> None:
    state = tmp_path / "state"
    log.to(7)
    run("watch", f"{served}/log", *KEYS, "--state", state, "--once")
    other = forked(tmp_path, 5, 8)
    said = run("watch", f"{served}/{other.folder.name}", *KEYS, "--state", state, "--once", code=1)
    assert "forked" in said.output
    run("watch", "http://127.0.0.1:1/log", *KEYS, "--state", state, "--once", code=3)


def test_a_real_process_goes_on_until_the_log_forks(log: Growing, tmp_path: Path) -> None:
    state = tmp_path / "state"
    log.to(3)
    words = [sys.executable, "-m", "consortium.cli.main", "audit", "watch", str(log.folder), *KEYS]
    words += ["--state", str(state), "--every", "1"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as ran:
        assert ran.stdout is not None
        assert ran.stdout.readline().startswith("3 entries")
        log.to(5)
        while not (line := ran.stdout.readline()).startswith("5 entries"):
            assert line.startswith("3 entries")
        fork = forked(tmp_path, 2, 5)
        (log.folder / "checkpoint").write_bytes(fork.note)
        _, said = ran.communicate(timeout=60)
    assert ran.returncode == 1
    assert "two roots for 5 entries" in said
    assert len(list(state.glob("fork-*.json"))) == 1


def test_two_copies_are_the_same_or_one_extends_the_other_or_they_are_forked(
    log: Growing, tmp_path: Path, served: str
) -> None:
    copy, kept, out = tmp_path / "copy", tmp_path / "kept", tmp_path / "fork.json"
    shutil.copytree(log.to(9).folder, copy)
    kept.write_bytes(log.note)
    assert "The same" in run("diff", log.folder, copy, *KEYS).output
    log.to(260)
    for a, b in ((log.folder, copy), (copy, f"{served}/log"), (kept, log.folder)):
        assert "extends" in run("diff", a, b, *KEYS).output
    other = forked(tmp_path, 5, 9)
    for a, b in ((log.folder, other.folder), (kept, other.folder), (other.folder, kept)):
        said = run("diff", a, b, *KEYS, "--out", out, "--json", code=1)
        assert json.loads(said.stdout)["verdict"] == "forked"
        check_fork(Fork.from_json(json.loads(out.read_text())), (LOG.verifier,))
        assert "FORKED" in run("diff", out, *KEYS).output
        out.unlink()


def test_diff_says_when_it_cannot_tell_and_never_calls_that_fine(
    log: Growing, tmp_path: Path
) -> None:
    kept, newer = tmp_path / "kept", tmp_path / "newer"
    kept.write_bytes(log.to(9).note)
    newer.write_bytes(log.to(20).note)
    assert "cannot be told" in run("diff", kept, newer, *KEYS, code=4).output
    run("diff", kept, log.folder, *KEYS)
    (log.folder / "tile/0/000.p/20").write_bytes(b"\0" * 640)
    run("diff", kept, log.folder, *KEYS, code=4)
    run("diff", kept, tmp_path / "nothing", *KEYS, code=1)
    run("diff", kept, kept, "--vkey", WITNESSES[0].verifier.vkey, code=1)
    run("diff", kept, *KEYS, code=1)
    assert "whose log" in run("diff", kept, newer, code=2).output

"""Real witness processes, a real folder, a real HTTP server: what is published has a quorum."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from consortium.clock import utc
from consortium.witness_client import gather
from provenance.backend import FolderBackend
from provenance.quorum import Policy
from provenance.sequencer import ProofFor, Sequencer
from tests.fakes.actors import LOG, made
from tests.fakes.log import MemoryLock
from tests.servers import free_port

TRELLIS = [sys.executable, "-m", "consortium.cli.main"]


def trellis(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*TRELLIS, *words], capture_output=True, text=True, check=False)


def wait_for(port: int) -> None:
    for _ in range(4800):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(port)


@pytest.fixture
def invite(tmp_path: Path) -> dict[str, object]:
    """Three witnesses with homes, and the invitation they all trust."""
    witnesses = []
    for name in ("Alder Union", "Birch League", "Cedar Fund"):
        home = tmp_path / name[:5].lower()
        made_home = trellis(
            "witness", "init", "--home", str(home), "--name", name,
            "--listen", f"127.0.0.1:{free_port()}",
        )  # fmt: skip
        assert made_home.returncode == 0, made_home.stderr
        identity = json.loads((home / "identity.json").read_text())
        assert made_home.stdout.strip() == identity["vkey"]
        witnesses.append({**identity, "home": str(home)})
    value: dict[str, object] = {
        "origin": LOG.verifier.name,
        "log_vkey": LOG.verifier.vkey,
        "witnesses": witnesses,
        "quorum": 2,
    }
    (tmp_path / "invite.json").write_text(json.dumps(value))
    for one in witnesses:
        said = trellis(
            "witness", "trust", "--home", one["home"], "--invite", str(tmp_path / "invite.json")
        )
        assert said.returncode == 0, said.stderr
    return value


@pytest.fixture
def serving(invite: dict[str, list[dict[str, str]]]) -> Iterator[list[subprocess.Popen[bytes]]]:
    running = [
        subprocess.Popen([*TRELLIS, "witness", "serve", "--home", one["home"]])
        for one in invite["witnesses"]
    ]
    for one in invite["witnesses"]:
        wait_for(int(one["listen"].rpartition(":")[2]))
    yield running
    for one in running:
        one.terminate()
    for one in running:
        one.wait(timeout=60)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The log's folder over HTTP."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            return

    (tmp_path / "log").mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "log")))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_log_grows_under_the_eyes_of_its_witnesses(
    invite: dict[str, list[dict[str, str]]],
    serving: list[subprocess.Popen[bytes]],
    served: str,
    tmp_path: Path,
) -> None:
    policy = Policy.from_invite(invite)
    missing: list[str] = []

    def ask(note: bytes, proof_for: ProofFor) -> list[bytes]:
        lines, missing[:] = gather(note, policy.witnesses, proof_for, 120)
        return lines

    log = Sequencer(FolderBackend(tmp_path / "log"), MemoryLock(), LOG, policy, ask)
    entries = [made("union", "contribution", kind="x", n=n).entry for n in range(8)]

    log.append(entries[:3], utc())
    assert (log.published().size, missing) == (3, [])
    old = tmp_path / "old"
    old.write_bytes((tmp_path / "log" / "checkpoint").read_bytes())

    serving[0].kill()
    serving[0].wait()
    log.append(entries[3:5], utc())
    assert (log.published().size, len(missing)) == (5, 1)

    serving[1].kill()
    serving[1].wait()
    log.append(entries[5:6], utc())
    assert (log.published().size, log.committed().size, len(missing)) == (5, 6, 2)

    home = invite["witnesses"][1]["home"]
    serving[1] = subprocess.Popen([*TRELLIS, "witness", "serve", "--home", home])
    wait_for(int(invite["witnesses"][1]["listen"].rpartition(":")[2]))
    published = log.publish(utc())
    assert published is not None
    assert published.size == 6

    words = ["--vkey", LOG.verifier.vkey, "--quorum", "2", "--old", str(old)]
    for one in policy.verifiers:
        words += ["--witness", one.vkey]
    for place in (str(tmp_path / "log"), served):
        said = trellis("audit", "verify", place, *words)
        assert said.returncode == 0, said.stderr
        assert "first 3 entries" in said.stdout
    (tmp_path / "log" / "tile" / "0" / "000.p" / "6").write_bytes(bytes(192))
    said = trellis("audit", "verify", served, *words)
    assert said.returncode == 1
    assert "tile/0/000.p/6" in said.stderr
    assert "6 entries" in trellis("witness", "status", "--home", home).stdout


def test_the_auditors_tool_carries_no_server() -> None:
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, consortium.cli.auditor; print(*sorted(sys.modules))",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(said.stdout.split())
    for name in ("sqlalchemy", "starlette", "uvicorn", "fastapi", "celery", "duckdb", "jinja2"):
        assert name not in loaded
    for name in ("consortium.store", "consortium.service", "consortium.web", "consortium.jobs"):
        assert not any(one == name or one.startswith(name + ".") for one in loaded)
    # Judging a custodian's evidence takes the proofs of `matching`, holding an intent against its
    # agreement the terms of `policies`; and nothing that links people or writes to them.
    assert not any(one.startswith(("mailer", "matching.engine")) for one in loaded)

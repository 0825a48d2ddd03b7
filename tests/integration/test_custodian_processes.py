"""Three custodians as people run them: `trellis custodian`, one process each, around a real log."""

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consortium.cli.tokenise import CustodianAddress, evaluate_inputs
from consortium.custodian.ledger import Ledger
from tests.fakes.custodians import EPOCH, free_port
from tests.fakes.log_api import serving_log

IDS = ("ann", "bea", "cyd")


def trellis(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    said = [sys.executable, "-m", "consortium.cli.main", "custodian", *words]
    return subprocess.run(said, check=check, capture_output=True, text=True, timeout=60)


def begin(*words: str) -> subprocess.Popen[bytes]:
    said = [sys.executable, "-m", "consortium.cli.main", "custodian", *words]
    return subprocess.Popen(said, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate(timeout=10)


@contextmanager
def serving(home: Path, url: str) -> Iterator[None]:
    process = begin("serve", "--home", str(home))
    try:
        for _ in range(400):
            try:
                httpx.get(f"{url}/status").raise_for_status()
                break
            except httpx.HTTPError:
                assert process.poll() is None, process.communicate()[1]
                time.sleep(0.05)
        yield
    finally:
        end(process)


def homes(tmp_path: Path, about_log: dict[str, Any]) -> tuple[dict[str, Any], Ed25519PrivateKey]:
    partner = Ed25519PrivateKey.from_private_bytes(secrets.token_bytes(32))
    public = partner.public_key().public_bytes_raw().hex()
    actors = [{"id": "union", "role": "partner", "name": "Union", "public": public}]
    custodians = []
    for one in IDS:
        home = tmp_path / one
        listen = f"127.0.0.1:{free_port()}"
        trellis("init", "--home", str(home), "--id", one, "--listen", listen, "--protect", "file")
        identity = json.loads((home / "identity.json").read_text())
        actors.append({key: identity[key] for key in ("id", "role", "name", "public")})
        custodians.append({key: identity[key] for key in ("id", "url", "public")})
        assert (home / "signing.key").stat().st_mode & 0o777 == 0o600
    invite = {
        **about_log,
        "custodians": custodians,
        "threshold": 2,
        "epoch": EPOCH,
        "race": "kent-44",
        "actors": actors,
    }
    file = tmp_path / "invite.json"
    file.write_text(json.dumps(invite))
    for one in IDS:
        trellis("join", "--home", str(tmp_path / one), "--invite", str(file))
    return invite, partner


def test_a_ceremony_killed_in_the_middle_ends_in_one_key_that_answers(tmp_path: Path) -> None:
    port = free_port()
    with serving_log(port) as log, ExitStack() as stack:
        invite, partner = homes(tmp_path, log.invite(f"http://127.0.0.1:{port}"))
        for one in invite["custodians"]:
            stack.enter_context(serving(tmp_path / one["id"], one["url"]))
        alone = trellis(
            *("ceremony", "--home", str(tmp_path / "ann"), "--purpose", "match"),
            *("--patience", "1"),
            check=False,
        )
        assert alone.returncode == 3  # nobody else is there yet, and nothing is lost
        assert "waiting for bea" in alone.stdout
        runs = [
            begin("ceremony", "--home", str(tmp_path / one), "--purpose", "match")
            for one in ("bea", "cyd")
        ]
        for _ in range(400):
            if len(log.entries) == len(IDS):
                break
            time.sleep(0.02)
        end(runs.pop())  # cyd loses power somewhere after its commitment was posted
        runs += [
            begin("ceremony", "--home", str(tmp_path / one), "--purpose", "match")
            for one in ("ann", "cyd")
        ]
        for run in runs:
            _, said = run.communicate(timeout=60)
            assert run.returncode == 0, said
        assert len(log.entries) == len(IDS) + 1  # three commitments, one statement, nothing twice
        ledger = Ledger(tmp_path / "ann" / "custodian.sqlite")
        key = ledger.key("match", EPOCH)
        ledger.close()
        assert key is not None
        outputs = evaluate_inputs(
            [b"ada", b"bob", b"ada"],
            statement=key.statement,
            custodians=[CustodianAddress.of(one) for one in invite["custodians"]],
            actor="union",
            sign=partner.sign,
            batch="b1",
            state=tmp_path / "state",
            state_key=b"k" * 32,
        )
        assert outputs[0] == outputs[2] != outputs[1]
    said = trellis("status", "--home", str(tmp_path / "ann"), "--json")
    assert json.loads(said.stdout.splitlines()[-1])["spent"] == {"union": 4096}
    assert "union (partner)" in said.stderr
    assert "has used 1 of its" in said.stderr
    assert os.stat(tmp_path / "ann" / "custodian.sqlite").st_mode & 0o777 == 0o600

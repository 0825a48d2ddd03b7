"""What a custodian types: init, join, consent, status; each refusal in words."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consortium.cli.custodian import command
from consortium.custodian.ledger import Ledger
from consortium.custodian.settings import read_settings


def run(*words: str) -> Result:
    return CliRunner().invoke(command, list(words))


def public() -> str:
    return Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex()


def invite(home: Path) -> dict[str, Any]:
    mine = json.loads((home / "identity.json").read_text())
    actors = [{key: mine[key] for key in ("id", "role", "name", "public")}]
    actors.append({"id": "clerk", "role": "steward", "name": "Clerk", "public": public()})
    return {
        "api": "http://127.0.0.1:1",
        "origin": "log.test",
        "log_url": "http://127.0.0.1:1/log",
        "log_vkey": "log.test+0+x",
        "witnesses": [{"name": "w", "vkey": "w+0+x", "url": "http://127.0.0.1:1"}],
        "quorum": 1,
        "custodians": [{key: mine[key] for key in ("id", "url", "public")}],
        "threshold": 1,
        "epoch": "2026",
        "race": "r",
        "actors": actors,
    }


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = tmp_path / "ann"
    said = run("init", "--home", str(made), "--id", "ann", "--listen", "127.0.0.1:7001")
    assert said.exit_code == 0, said.output
    return made


def joined(home: Path, *more: str) -> Result:
    file = home.parent / "invite.json"
    file.write_text(json.dumps(invite(home)))
    return run("join", "--home", str(home), "--invite", str(file), *more)


def consented(home: Path) -> bool:
    ledger = Ledger(read_settings(home).database)
    try:
        return ledger.consented("clerk")
    finally:
        ledger.close()


def test_an_identity_says_where_the_custodian_answers(home: Path) -> None:
    identity = json.loads((home / "identity.json").read_text())
    assert (identity["url"], identity["listen"]) == ("http://127.0.0.1:7001", "127.0.0.1:7001")
    assert identity["role"] == "custodian"


def test_joining_consents_to_no_steward_unless_asked(home: Path) -> None:
    assert joined(home).exit_code == 0
    assert not consented(home)
    assert joined(home, "--consent-steward").exit_code == 0
    assert consented(home)


def test_consent_can_be_given_later_to_a_steward_and_to_nobody_else(home: Path) -> None:
    joined(home)
    assert run("consent", "--home", str(home), "ann").exit_code == 1
    assert run("consent", "--home", str(home), "clerk").exit_code == 0
    assert consented(home)


def test_status_of_a_fresh_custodian_says_what_to_do(home: Path) -> None:
    said = run("status", "--home", str(home))
    assert said.exit_code == 0
    assert "holds no share yet" in said.output


def test_serving_before_joining_is_refused_in_words(home: Path) -> None:
    said = run("serve", "--home", str(home))
    assert said.exit_code == 1
    assert "trellis custodian join" in said.output


def test_a_key_that_others_can_read_is_refused(home: Path) -> None:
    (home / "signing.key").chmod(0o644)
    said = run("status", "--home", str(home))
    assert said.exit_code == 1
    assert "chmod 600" in said.output


def test_quotas_are_knobs_of_the_home(home: Path) -> None:
    (home / "settings.toml").write_text("fresh_seconds = 60\n[quota_of]\nunion = 8192\n")
    settings = read_settings(home)
    assert settings.quota_of == {"union": 8192}
    assert settings.fresh.total_seconds() == 60
    assert settings.quota["partner"] == 4_194_304

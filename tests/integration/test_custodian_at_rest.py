"""A custodian's program with its shares shut: what it asks, when it ends, what a kill leaves."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from consortium.cli.custodian import LOCKED
from consortium.custodian.errors import WrappingRefused
from consortium.custodian.ledger import Key, Ledger
from consortium.custodian.settings import read_settings
from consortium.custodian.wrapping import Asking, Shut, opened
from matching import group
from tests.fakes.dealer import split
from tests.fakes.log_api import LogApi
from tests.servers import free_port

WORDS = {"old": "stapled battery horse", "new": "a quite different one"}


def begin(*args: str | Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "consortium.cli.main", "custodian", *map(str, args)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def run(*args: str | Path, **environment: str) -> tuple[int, str]:
    process = begin(*args, **environment)
    out, err = process.communicate(timeout=400)
    return process.returncode, out + err


def said(folder: Path, which: str, name: str = "passphrase") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(WORDS[which] + "\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A custodian that joined and holds a share, under the old passphrase."""
    made, file = tmp_path / "ann", said(tmp_path / "old", "old")
    listen = f"127.0.0.1:{free_port()}"
    who = ("--id", "ann", "--listen", listen, "--protect", "passphrase", "--passphrase-file", file)
    assert run("init", "--home", made, *who)[0] == 0
    (made / "settings.toml").unlink()  # the words come from elsewhere at each start
    mine = json.loads((made / "identity.json").read_text())
    clerk = {"id": "clerk", "role": "steward", "name": "Clerk", "public": "11" * 32}
    invite = {
        **LogApi().invite("http://127.0.0.1:1"),
        "custodians": [{key: mine[key] for key in ("id", "url", "public")}],
        "threshold": 1,
        "epoch": "2026",
        "race": "r",
        "actors": [{key: mine[key] for key in ("id", "role", "name", "public")}, clerk],
    }
    (made / "invite.json").write_text(json.dumps(invite))
    statement, shares = split(group.reduce(os.urandom(64)), threshold=1, ids=("ann",))
    ask = Asking({"passphrase": file})
    with (
        closing(opened(made, made / "custodian.sqlite", "ann", ask)) as wrapping,
        closing(Ledger(made / "custodian.sqlite", wrapping)) as ledger,
    ):
        ledger.add_key(Key(statement, {}, shares["ann"]))
    return made


@contextmanager
def serving(home: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    url = json.loads((home / "identity.json").read_text())["url"]
    process = begin("serve", "--home", home, **environment)
    try:
        end = time.monotonic() + 240
        while True:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < end, "it does not answer"
            try:
                httpx.get(f"{url}/status").raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.communicate()


def shares(home: Path, which: str) -> bool:
    """Whether every share opens with these words."""
    ask = Asking({}, prompt=lambda name, new: WORDS[which])
    try:
        wrapping: Any = opened(home, home / "custodian.sqlite", "ann", ask)
    except WrappingRefused:
        return False
    with closing(wrapping), closing(Ledger(home / "custodian.sqlite", wrapping)) as ledger:
        sids = [one["sid"] for one in ledger.status()["keys"]]
        return bool(sids) and all(ledger.key_of(sid) is not None for sid in sids)


def test_a_unit_serves_with_its_credential_and_nobody_changes_it_meanwhile(home: Path) -> None:
    credentials = said(home.parent / "credentials", "old").parent
    new = said(home.parent / "new", "new")
    change = ("rewrap", "--home", home, "--protect", "passphrase", "--passphrase-file", new)
    with serving(home, CREDENTIALS_DIRECTORY=str(credentials)):
        code, words = run(*change, CREDENTIALS_DIRECTORY=str(credentials))
        assert (code, "serve" in words) == (LOCKED, True)
        code, words = run("status", "--home", home)  # asks for no passphrase
        assert (code, "running;" in words) == (0, True)
    code, words = run("status", "--home", home)
    assert "not running now" in words
    assert run(*change, CREDENTIALS_DIRECTORY=str(credentials))[0] == 0
    assert (shares(home, "old"), shares(home, "new")) == (False, True)
    assert read_settings(home).secrets == {}


def test_a_start_with_wrong_words_or_none_ends_at_once_and_for_good(home: Path) -> None:
    wrong = said(home.parent / "wrong", "new").parent
    code, words = run("serve", "--home", home, CREDENTIALS_DIRECTORY=str(wrong))
    assert (code, "not this home's passphrase" in words) == (LOCKED, True)
    code, words = run("serve", "--home", home)
    assert (code, "nobody is here to say the passphrase" in words) == (LOCKED, True)
    ceremony = ("ceremony", "--home", home, "--purpose", "seal", "--patience", "1")
    assert run(*ceremony, CREDENTIALS_DIRECTORY=str(wrong))[0] == LOCKED


def killed_somewhere(home: Path, rounds: int) -> set[str]:
    """Change the words again and again, each time killed at another instant; which ones opened."""
    files = {which: said(home.parent / which, which) for which in WORDS}
    now, seen, took = "old", set[str](), 1.5
    for number in range(rounds):
        then = "new" if now == "old" else "old"
        change = ("rewrap", "--home", home, "--protect", "passphrase", "--passphrase-file")
        began = time.monotonic()
        process = begin(*change, files[then], CREDENTIALS_DIRECTORY=str(files[now].parent))
        if number:  # the first one goes through, and says how long one takes
            time.sleep(took * random.uniform(0.5, 1.05))
            process.send_signal(signal.SIGKILL)
        process.communicate()
        if not number:
            took = time.monotonic() - began
        each = [which for which in WORDS if shares(home, which)]
        assert len(each) == 1, f"round {number}: these open: {each}"
        seen.add("the change" if each == [then] else "nothing")
        now = each[0]
        with closing(Ledger(home / "custodian.sqlite", Shut())) as ledger:
            assert len(ledger.secrets()) == 1
    return seen


def test_killed_in_the_middle_of_a_change_one_of_the_two_opens_everything(home: Path) -> None:
    assert "the change" in killed_somewhere(home, rounds=3)


@pytest.mark.soak
def test_killed_a_hundred_times_in_a_change_a_share_is_never_lost(home: Path) -> None:
    assert killed_somewhere(home, rounds=100) == {"the change", "nothing"}

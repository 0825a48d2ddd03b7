"""`init` and `rewrap` as a person meets them: asked in order, checked at once, never on argv."""

import json
import os
import stat
import subprocess
import sys
import tomllib
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from consortium.cli.custodian import LOCKED, command
from consortium.custodian.ledger import Ledger
from consortium.custodian.settings import read_settings
from consortium.custodian.wrapping import Asking, Shut, opened
from consortium.custodian.wrapping.passphrase import Cost
from tests.fakes import softhsm
from tests.fakes.vault import Vault
from tests.unit.custodian.conftest import CHEAP

WORDS = "stapled battery horse"


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2id at its default takes 64 MiB and a tenth of a second each time."""
    monkeypatch.setattr("consortium.custodian.wrapping.passphrase.Cost", lambda: CHEAP)


def run(*words: str | Path, said: str | None = None) -> Result:
    return CliRunner().invoke(command, [str(word) for word in words], input=said)


def secret(folder: Path, words: str = WORDS, name: str = "said") -> Path:
    path = folder / name
    path.write_text(words + "\n")
    path.chmod(0o600)
    return path


def kind(home: Path) -> str:
    with closing(Ledger(home / "custodian.sqlite", Shut())) as ledger:
        found = ledger.protection()
    assert found is not None
    return found.kind


def opens(home: Path, words: str = WORDS) -> bool:
    settings = read_settings(home)
    ask = Asking(settings.secrets, prompt=lambda name, new: words)
    opened(home, settings.database, settings.id, ask).close()
    return True


# -- asked ----------------------------------------------------------------------------------------


def test_a_laptop_is_set_up_by_answering_a_handful_of_questions(tmp_path: Path) -> None:
    home = tmp_path / "custodian"
    answers = ["Kent Teachers", "", "", "https://kent.example.org", "", "n"]
    answers += ["America/Detroit", "weekdays 18:00-22:00", WORDS, WORDS]
    said = run("init", "--home", home, said="\n".join(answers) + "\n")
    assert said.exit_code == 0, said.output
    identity = json.loads((home / "identity.json").read_text())
    assert (identity["id"], identity["name"]) == ("kent-teachers", "Kent Teachers")
    assert (identity["url"], identity["listen"]) == ("https://kent.example.org", "0.0.0.0:7001")
    assert (identity["hours"], identity["time_zone"]) == ("weekdays 18:00-22:00", "America/Detroit")
    knobs = tomllib.loads((home / "settings.toml").read_text())
    assert knobs == {"upload_hours": "weekdays 18:00-22:00", "time_zone": "America/Detroit"}
    assert kind(home) == "passphrase"
    assert opens(home)
    assert WORDS not in said.output
    for path in home.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path.name


def test_it_ends_with_the_next_three_commands(tmp_path: Path) -> None:
    home = tmp_path / "c"
    said = run("init", "--home", home, *plain(), "--protect", "file")
    shown = [line.split() for line in said.output.splitlines() if line.startswith("  trellis")]
    assert [line[:3] for line in shown] == [
        ["trellis", "custodian", verb] for verb in ("join", "serve", "ceremony")
    ]
    assert all(str(home) in line for line in shown)


def plain(*more: str) -> tuple[str, ...]:
    return ("--id", "ann", "--listen", "127.0.0.1:7001", *more)


WRONG = [
    ("Kent\nKENT!\nkent\n", "an id has 1 to 40"),
    ("Kent\nkent\nnowhere\n0.0.0.0:7001\n", "a host and a port"),
    ("Kent\nkent\n0.0.0.0:99999\n0.0.0.0:7001\n", "a host and a port"),
    ("Kent\nkent\n\nkent.example.org\nhttp://kent\n", "an address is like"),
    ("Kent\nkent\n\nhttp://[kent\nhttp://kent\n", "an address is like"),
    ("Kent\nkent\n\nhttp://kent\n9\n2\n", "a number from 1 to 4"),
    ("Kent\nkent\n\nhttp://kent\n2\nn\nKent\nUTC\n", "is no time zone"),
    ("Kent\nkent\n\nhttp://kent\n2\nn\nUTC\nafter work\ndaily 18:00-22:00\n", "is like|are like"),
]


@pytest.mark.parametrize(("answers", "words"), WRONG)
def test_a_wrong_answer_is_said_at_once_and_asked_again(
    tmp_path: Path, answers: str, words: str
) -> None:
    said = run("init", "--home", tmp_path / "c", said=answers)
    before, _, after = said.output.partition("Error: ")
    assert any(word in after.splitlines()[0] for word in words.split("|")), said.output
    assert before


def test_a_passphrase_is_asked_for_until_it_was_typed_alike_twice(tmp_path: Path) -> None:
    home, typed = tmp_path / "c", ("too short", WORDS, "another one of those", WORDS, WORDS)
    first = plain("--protect", "passphrase")
    cut = run("init", "--home", home, *first, said="\n".join(typed[:3]) + "\n")
    assert cut.exit_code == 1
    assert "that has 9 letters" in cut.output
    assert "two different ones" in cut.output
    assert not (home / "identity.json").exists()
    said = run("init", "--home", home, *first, said="\n".join(typed) + "\n")
    assert said.exit_code == 0, said.output
    assert opens(home)
    assert not [words for words in typed if words in said.output]


def test_who_thinks_of_none_is_made_a_passphrase_and_types_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "consortium.custodian.wrapping.passphrase.suggestion", lambda: "abcde-fghjk-23456"
    )
    home = tmp_path / "c"
    typed = "\nabcde\nABCDE-fghjk-23456\n"
    said = run("init", "--home", home, *plain("--protect", "passphrase"), said=typed)
    assert said.exit_code == 0, said.output
    assert "that is not it" in said.output
    assert opens(home, "abcde-fghjk-23456")


# -- scripted -------------------------------------------------------------------------------------


def script(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """As a script runs it: no terminal, nobody to answer."""
    return subprocess.run(
        [sys.executable, "-m", "consortium.cli.main", "custodian", *map(str, words)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TRELLIS_PASSPHRASE": WORDS, "PASSPHRASE": WORDS},
    )


def test_where_nobody_answers_every_missing_option_is_named_at_once(tmp_path: Path) -> None:
    said = script("init", "--home", tmp_path / "c")
    assert said.returncode == 2
    assert all(one in said.stderr for one in ("--id", "--listen", "--protect"))
    assert not (tmp_path / "c").exists()


def test_a_passphrase_is_taken_from_no_variable_of_the_environment(tmp_path: Path) -> None:
    home = tmp_path / "c"
    said = script("init", "--home", home, *plain("--protect", "passphrase"))
    assert said.returncode == LOCKED
    assert "nobody is here to say the passphrase" in said.stderr
    assert not (home / "identity.json").exists()
    file = secret(tmp_path)
    assert script(
        "init", "--home", home, *plain("--protect", "passphrase", "--passphrase-file"), file
    ).returncode == 0  # fmt: skip
    assert read_settings(home).secrets == {"passphrase": file}


def test_no_option_takes_a_secret_itself() -> None:
    for verb in command.commands.values():
        for option in verb.params:
            names = " ".join(option.opts)
            if any(word in names for word in ("passphrase", "pin", "token")):
                assert names.endswith("-file") or names == "--pkcs11-token", names  # a label


@pytest.mark.parametrize("answer", ["sometimes", "daily 25:00-26:00"])
def test_hours_that_cannot_be_read_set_nothing_up(tmp_path: Path, answer: str) -> None:
    said = run("init", "--home", tmp_path / "c", *plain("--protect", "file", "--hours", answer))
    assert said.exit_code == 2
    assert not (tmp_path / "c").exists()


def test_the_same_again_changes_nothing(tmp_path: Path) -> None:
    home = tmp_path / "c"
    run("init", "--home", home, *plain("--protect", "file"))
    before = {path.name: path.read_bytes() for path in home.iterdir() if path.is_file()}
    said = run("init", "--home", home, *plain("--protect", "passphrase"))
    assert said.exit_code == 0
    assert "nothing was changed" in said.output
    assert {path.name: path.read_bytes() for path in home.iterdir() if path.is_file()} == before


def test_an_init_that_was_cut_off_goes_on_with_the_same_words_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, first = tmp_path / "c", plain("--protect", "passphrase")

    def cut(*_: object, **__: object) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("consortium.cli.custodian_home.Home.create", cut)
    run("init", "--home", home, *first, said=f"{WORDS}\n{WORDS}\n")
    monkeypatch.undo()
    assert not (home / "identity.json").exists()
    wrong = run("init", "--home", home, *first, said="another passphrase\n")
    assert wrong.exit_code == LOCKED
    right = run("init", "--home", home, *first, said=f"{WORDS}\n")
    assert right.exit_code == 0, right.output
    assert opens(home)


def test_a_token_and_a_vault_are_set_up_from_options(tmp_path: Path, token_library: str) -> None:
    pin = secret(tmp_path, softhsm.PIN, "pin")
    token = ("--pkcs11-module", token_library, "--pkcs11-token", softhsm.TOKEN, "--pin-file", pin)
    said = run("init", "--home", tmp_path / "t", *plain("--protect", "pkcs11"), *token)
    assert said.exit_code == 0, said.output
    assert opens(tmp_path / "t")
    with closing(Vault()) as vault:
        allowed = secret(tmp_path, vault.token, "token")
        where = ("--vault-url", vault.url, "--vault-token-file", allowed)
        said = run("init", "--home", tmp_path / "v", *plain("--protect", "vault"), *where)
        assert said.exit_code == 0, said.output
        assert opens(tmp_path / "v")
        (name,) = vault.keys
        assert name.startswith("trellis-ann-")


# -- rewrap ---------------------------------------------------------------------------------------


def test_a_passphrase_is_changed_by_asking_for_the_old_and_the_new(tmp_path: Path) -> None:
    home = tmp_path / "c"
    run("init", "--home", home, *plain("--protect", "passphrase"), said=f"{WORDS}\n{WORDS}\n")
    new = "a quite different one"
    said = run("rewrap", "--home", home, "--protect", "passphrase", said=f"{WORDS}\n{new}\n{new}\n")
    assert said.exit_code == 0, said.output
    assert opens(home, new)
    assert WORDS not in said.output
    wrong = run("rewrap", "--home", home, "--protect", "file", said=f"{WORDS}\n")
    assert wrong.exit_code == LOCKED
    assert "not this home's passphrase" in wrong.output
    assert kind(home) == "passphrase"


def test_a_units_credential_is_what_it_was_and_never_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "c"
    secret(tmp_path, name="passphrase")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert run("init", "--home", home, *plain("--protect", "passphrase")).exit_code == 0
    assert opens(home)
    new = "a quite different one"
    said = run("rewrap", "--home", home, "--protect", "passphrase", said=f"{new}\n{new}\n")
    assert said.exit_code == 0, said.output
    assert opens(home, new)


def test_a_change_of_kind_says_what_to_write_into_the_settings(tmp_path: Path) -> None:
    home, file = tmp_path / "c", secret(tmp_path)
    run("init", "--home", home, *plain("--protect", "file"))
    said = run("rewrap", "--home", home, "--protect", "passphrase", "--passphrase-file", file)
    assert said.exit_code == 0, said.output
    assert f'passphrase = "{file}"' in said.output
    assert "by file, and are by passphrase" in said.output
    assert not list(home.glob("wrapping-*.key"))
    assert opens(home)


def test_the_cost_of_a_passphrase_is_the_rfcs_outside_of_these_tests() -> None:
    assert Cost().memory == 65_536

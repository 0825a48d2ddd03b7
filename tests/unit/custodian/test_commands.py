"""What a custodian types: init, join, consent, status; each refusal in words."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consortium.cli.custodian import command
from consortium.custodian.ledger import Ledger
from consortium.custodian.settings import Actor, read_settings
from matching.crypto_errors import MessageRefused
from matching.evaluation import BATCH, allowance, block_points, class_of
from matching.recipes import RECIPES


def run(*words: str) -> Result:
    return CliRunner().invoke(command, list(words))


def public() -> str:
    return Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex()


CLERK = public()
ANN = ("--id", "ann", "--listen", "127.0.0.1:7001", "--protect", "file")


def invite(home: Path) -> dict[str, Any]:
    mine = json.loads((home / "identity.json").read_text())
    actors = [{key: mine[key] for key in ("id", "role", "name", "public")}]
    actors.append({"id": "clerk", "role": "steward", "name": "Clerk", "public": CLERK})
    return {
        "api": "http://127.0.0.1:1",
        "origin": "log.test",
        "log_url": "http://127.0.0.1:1/log",
        "log_vkey": "log.test+0+x",
        "witnesses": [{"name": "w", "vkey": "w+0+x", "url": "http://127.0.0.1:1"}],
        "quorum": 1,
        "mailer_key": "4e" * 32,
        "custodians": [{key: mine[key] for key in ("id", "url", "public")}],
        "threshold": 1,
        "epoch": "2026",
        "race": "r",
        "actors": actors,
    }


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = tmp_path / "ann"
    said = run("init", "--home", str(made), *ANN)
    assert said.exit_code == 0, said.output
    return made


def joined(home: Path, *more: str) -> Result:
    file = home.parent / "invite.json"
    file.write_text(json.dumps(invite(home)))
    return run("join", "--home", str(home), "--invite", str(file), *more)


def consented(home: Path) -> bool:
    ledger = Ledger(read_settings(home).database)
    try:
        return ledger.consented("clerk", json.loads((home / "invite.json").read_text())["epoch"])
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


def again(home: Path, change: Callable[[dict[str, Any]], None], *more: str) -> Result:
    """Join once, then with an invite that was changed."""
    assert joined(home).exit_code == 0
    made = json.loads((home / "invite.json").read_text())
    made["witnesses"].append({"name": "w2", "vkey": "w2+0+x", "url": "http://127.0.0.1:2"})
    made["quorum"] = 2
    (home / "invite.json").write_text(json.dumps(made))  # as if it had begun with two
    other = copy.deepcopy(made)
    change(other)
    file = home.parent / "other.json"
    file.write_text(json.dumps(other))
    return run("join", "--home", str(home), "--invite", str(file), *more)


def another_steward_key(invite: dict[str, Any]) -> None:
    invite["actors"][1]["public"] = public()


def another_role(invite: dict[str, Any]) -> None:
    invite["actors"][1]["role"] = "mailer"


def nobody_else(invite: dict[str, Any]) -> None:
    del invite["actors"][1]


def a_second_mailer(invite: dict[str, Any]) -> None:
    one = {"id": "m2", "role": "mailer", "name": "m2", "public": public()}
    invite["actors"].append(one)


def another_witness_key(invite: dict[str, Any]) -> None:
    invite["witnesses"][0]["vkey"] = "w+1+y"


def one_witness_is_enough(invite: dict[str, Any]) -> None:
    invite["quorum"] = 1


def two_witnesses_of_ones_own(invite: dict[str, Any]) -> None:
    for n in (3, 4):
        one = {"name": f"w{n}", "vkey": f"w{n}+0+x", "url": "http://127.0.0.1:1"}
        invite["witnesses"].append(one)


def another_custodian_key(invite: dict[str, Any]) -> None:
    invite["custodians"][0]["public"] = public()


GRAVE = [
    (another_steward_key, "key of clerk"),
    (another_role, "clerk was steward, is mailer"),
    (nobody_else, "clerk is gone"),
    (a_second_mailer, "m2 is new mailer"),
    (another_witness_key, "key of w "),
    (one_witness_is_enough, "quorum was 2, is 1"),
    (two_witnesses_of_ones_own, "quorum was 2, is 2 of 4, 2 of them new"),
    (another_custodian_key, "key of ann"),
]


@pytest.mark.parametrize(("change", "words"), GRAVE, ids=[one.__name__ for one, _ in GRAVE])
def test_joining_again_replaces_no_key_and_lowers_no_number_unless_asked(
    home: Path, change: Callable[[dict[str, Any]], None], words: str
) -> None:
    said = again(home, change)
    assert said.exit_code == 1
    assert words in said.output
    assert "--accept-changes" in said.output
    before = json.loads((home / "invite.json").read_text())
    assert (before["quorum"], len(before["witnesses"])) == (2, 2)
    accepted = run(
        *("join", "--home", str(home), "--invite", str(home.parent / "other.json")),
        "--accept-changes",
    )
    assert accepted.exit_code == 0, accepted.output
    assert words in accepted.output
    after = json.loads((home / "invite.json").read_text())
    assert after == json.loads((home.parent / "other.json").read_text())


def test_a_newcomer_and_a_new_address_are_shown_and_taken(home: Path) -> None:
    def change(invite: dict[str, Any]) -> None:
        one = {"id": "union", "role": "partner", "name": "Union", "public": public()}
        invite["actors"].append(one)
        invite["witnesses"][0]["url"] = "http://127.0.0.1:9"
        invite["epoch"] = "2027"

    said = again(home, change)
    assert said.exit_code == 0, said.output
    for words in ("union is new partner", "is at http://127.0.0.1:9", "epoch was 2026, is 2027"):
        assert words in said.output
    assert (
        "changed"
        not in run(
            *("join", "--home", str(home), "--invite", str(home.parent / "other.json"))
        ).output
    )


@pytest.mark.parametrize(("part", "name"), [("witnesses", "name"), ("custodians", "id")])
def test_one_key_under_two_names_is_no_invite(home: Path, part: str, name: str) -> None:
    made = invite(home)
    made[part].append({**made[part][0], name: "other"})
    file = home.parent / "invite.json"
    file.write_text(json.dumps(made))
    said = run("join", "--home", str(home), "--invite", str(file))
    assert said.exit_code == 1
    assert "twice" in said.output


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
    text = "fresh_seconds = 60\n[quota_of]\nunion = 8192\n[class_max]\npartner = 16384\n"
    (home / "settings.toml").write_text(text)
    settings = read_settings(home)
    assert settings.fresh.total_seconds() == 60
    small, large = (Actor("league", "partner", b"", rows) for rows in (4096, 2**20))
    assert settings.allowed(Actor("union", "partner", b"", 2**20)) == 8192
    assert settings.allowed(small) == allowance(4096) == 2 * 15 * 4096
    assert settings.allowed(large) == allowance(16384)
    assert settings.allowed(large, raised=2**20) == allowance(2**20)


@pytest.mark.parametrize(
    ("rows", "size"), [(1, 4096), (4096, 4096), (4097, 8192), (100_000, 2**17), (2**24, 2**24)]
)
def test_a_list_declares_the_power_of_two_that_holds_it(rows: int, size: int) -> None:
    assert class_of(rows) == size
    assert allowance(size) == 2 * block_points(size)
    assert block_points(size) % BATCH == 0
    assert block_points(size) >= size * (len(RECIPES) + 1) > block_points(size) - BATCH


def test_a_list_of_no_or_too_many_rows_has_no_class() -> None:
    for rows in (0, -1, 2**24 + 1):
        with pytest.raises(MessageRefused):
            class_of(rows)


def test_books_are_copied_and_put_back_and_know_it(home: Path, tmp_path: Path) -> None:
    joined(home)
    copy = tmp_path / "books"
    for _ in range(2):
        said = run("backup", "--home", str(home), str(copy))
    assert said.exit_code == 1
    assert "never written over" in said.output
    assert copy.stat().st_mode & 0o777 == 0o600
    assert not status(home)["restored"]
    for wrong in (tmp_path / "nothing", home / "signing.key"):
        wrong.touch()
        said = run("restore", "--home", str(home), str(wrong))
        assert said.exit_code == 1
        assert "no copy of a custodian's books" in said.output
        assert not status(home)["restored"]
    said = run("restore", "--home", str(home), str(copy))
    assert said.exit_code == 0, said.output
    assert status(home)["restored"]
    assert "the books were put back" in run("status", "--home", str(home)).output


def test_its_owner_can_answer_for_books_that_nobody_tells(home: Path, tmp_path: Path) -> None:
    joined(home)
    assert run("resume", "--home", str(home), "--yes").exit_code == 1
    run("backup", "--home", str(home), str(tmp_path / "books"))
    run("restore", "--home", str(home), str(tmp_path / "books"))
    assert status(home)["untold"]
    assert "no letter is helped" in run("status", "--home", str(home)).output
    assert run("resume", "--home", str(home)).exit_code != 0
    assert status(home)["untold"]
    assert run("resume", "--home", str(home), "--yes").exit_code == 0
    assert not status(home)["untold"]
    assert status(home)["told"].startswith("by the word of its owner")


def test_a_copy_put_in_place_by_hand_is_noticed_too(home: Path, tmp_path: Path) -> None:
    joined(home)
    run("backup", "--home", str(home), str(tmp_path / "books"))
    (home / "custodian.sqlite").write_bytes((tmp_path / "books").read_bytes())
    assert status(home)["restored"]


def test_a_raise_is_this_custodians_word_and_no_more(home: Path) -> None:
    described = invite(home)
    described["actors"].append(
        {"id": "union", "role": "partner", "name": "U", "public": public(), "rows": 4096}
    )
    file = home / "described.json"
    file.write_text(json.dumps(described))
    said = run("join", "--home", str(home), "--invite", str(file))
    assert "union (partner): a list of up to 4,096 rows; 122,880 points an epoch" in said.output
    said = run("raise", "--home", str(home), "union", "--rows", "5000")
    assert said.exit_code == 0, said.output
    assert "up to 8,192 rows, 245,760 points" in said.output
    ledger = Ledger(read_settings(home).database)
    try:
        assert ledger.agreed() == [("union", 8192)]
        assert ledger.agreement_on(described, "union") == (0, 0)
    finally:
        ledger.close()
    assert run("raise", "--home", str(home), "clerk", "--rows", "5000").exit_code == 1


def status(home: Path) -> dict[str, Any]:
    said = CliRunner().invoke(command, ["status", "--home", str(home), "--json"])
    return dict(json.loads(said.stdout.splitlines()[-1]))

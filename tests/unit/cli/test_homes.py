"""A home is private, an invite is checked, and the server is believed only after checks."""

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from consortium.cli.api import Api
from consortium.cli.errors import CheckRefused, HomeRefused, Unreachable, VaultRefused
from consortium.cli.home import Home
from provenance.errors import ProvenanceError
from tests.fakes.api import NOW, FakeWorld
from tests.unit.cli.conftest import Desk


def api_of(desk: Desk, **others: Any) -> Api:
    given: dict[str, Any] = {
        "transport": desk.world.transport(),
        "clock": lambda: NOW,
        "sleep": lambda _seconds: None,
    }
    return Api(Home(desk.home), **{**given, **others})


def test_init_makes_a_private_home_once(tmp_path: Path) -> None:
    home = Home.create(tmp_path / "h", id="union", role="partner", name="Union")
    key = (tmp_path / "h" / "signing.key").read_text()
    again = Home.create(tmp_path / "h", id="union", role="partner", name="Union")
    assert (tmp_path / "h" / "signing.key").read_text() == key
    assert again.identity["public"] == home.public.hex()
    for path in (tmp_path / "h").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    with pytest.raises(HomeRefused, match="already the home of union"):
        Home.create(tmp_path / "h", id="other", role="partner", name="Other")


def test_a_key_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    Home.create(tmp_path, id="union", role="partner", name="Union")
    (tmp_path / "signing.key").chmod(0o644)
    with pytest.raises(HomeRefused, match="chmod 600"):
        _ = Home(tmp_path).public


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ({"quorum": 4}, "quorum"),
        ({"threshold": 0}, "threshold"),
        ({"custodians": []}, "custodians"),
        ({"epoch": None}, "epoch"),
        ({"mailer_key": None}, "first key"),
        ({"mailer_key": "any"}, "first key"),
        ({"actors": [{"id": "x", "role": "partner", "name": "X", "public": "zz"}]}, "64 hex"),
        ({"log_vkey": "another"}, "joined another log"),
    ],
)
def test_a_damaged_invite_is_not_joined(
    seat: Callable[[str], Desk],
    world: FakeWorld,
    damage: dict[str, Any],
    words: str,
    tmp_path: Path,
) -> None:
    desk = seat("partner")
    file = tmp_path / "invite.json"
    file.write_text(json.dumps({**world.invite(), **damage}))
    done = desk.run("join", "--invite", file)
    assert done.exit_code == 1
    assert words in done.output


def test_an_invite_that_names_us_with_another_key_is_not_joined(
    tmp_path: Path, world: FakeWorld
) -> None:
    home = Home.create(tmp_path, id="river-union", role="partner", name="R")
    with pytest.raises(HomeRefused, match="another key or role"):
        home.join(world.invite())


def test_a_vault_file_opens_under_its_own_name_and_home_only(tmp_path: Path) -> None:
    one = Home.create(tmp_path / "one", id="one", role="partner", name="One")
    two = Home.create(tmp_path / "two", id="two", role="partner", name="Two")
    path = tmp_path / "one" / "state" / "rows.enc"
    one.vault.write(path, {"a": 1})
    assert one.vault.read(path) == {"a": 1}
    for vault, at in ((two.vault, path), (one.vault, path.rename(path.with_name("other.enc")))):
        at = at if at.exists() else path.with_name("other.enc")
        with pytest.raises(VaultRefused):
            vault.read(at)


def test_busy_is_tried_again_and_given_up_in_the_end(seat: Callable[[str], Desk]) -> None:
    desk = seat("partner")
    answers, waits = [503, 502, 200], []
    transport = httpx.MockTransport(lambda _: httpx.Response(answers.pop(0), json={}))
    assert api_of(desk, transport=transport, sleep=waits.append).get("/x") == {}
    assert waits == [0.2, 0.5]
    always = httpx.MockTransport(lambda _: httpx.Response(503))
    with pytest.raises(Unreachable, match="run the same"):
        api_of(desk, transport=always).get("/x")


def test_what_must_not_happen_twice_is_not_repeated_after_a_broken_connection(
    seat: Callable[[str], Desk],
) -> None:
    calls = []

    def broken(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        raise httpx.ReadError("broken")

    with pytest.raises(Unreachable, match="look before repeating"):
        api_of(seat("partner"), transport=httpx.MockTransport(broken)).post("/x", again=False)
    assert len(calls) == 1


def test_the_keys_of_the_epoch_are_checked_to_the_last_signature(
    seat: Callable[[str], Desk],
) -> None:
    desk = seat("partner")
    keys = api_of(desk).key_statements()
    assert (keys.match.sid, keys.seal.sid) == (desk.world.match.sid, desk.world.seal.sid)
    assert keys.mailer == desk.world.mailer.public
    good = dict(desk.world.keys)
    for name, other in (
        ("match", "seal"),
        ("seal", "match"),
        ("mailer", "pepper"),
        ("match", "mailer"),
    ):
        desk.world.keys = {**good, name: good[other]}
        with pytest.raises(CheckRefused):
            api_of(desk).key_statements()


def test_evidence_without_a_quorum_is_not_believed(seat: Callable[[str], Desk]) -> None:
    desk = seat("partner")
    leaf = desk.world.keys["mailer"]
    assert api_of(desk).published(leaf) is not None
    whole = desk.world.evidence

    def one_witness_less(wanted: str) -> dict[str, Any]:
        shown = whole(wanted)
        shown["proof"] = "\n".join(shown["proof"].split("\n")[:-2]) + "\n"
        return shown

    desk.world.evidence = one_witness_less  # type: ignore[method-assign]
    with pytest.raises(ProvenanceError):
        api_of(desk).published(leaf)
    desk.world.evidence = lambda _: whole(desk.world.keys["pepper"])  # type: ignore[method-assign]
    with pytest.raises(CheckRefused, match="another entry"):
        api_of(desk).published(leaf)

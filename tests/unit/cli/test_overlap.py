"""While two epochs are open, one run serves both: a list twice under other keys, a person once."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import duckdb
import httpx
import pytest

from consortium.cli import enrolling, overlap
from consortium.cli.api import Api
from consortium.cli.errors import HomeRefused
from consortium.cli.home import Home, checked_invite
from consortium.cli.lists import own_list, own_lists
from matching import locks
from matching.bundle import read_rows
from matching.crypto_errors import LockRefused
from tests.fakes.api import EPOCH, FakeWorld
from tests.unit.cli.conftest import Desk
from tests.unit.cli.test_steward_tool import roll

__all__ = ["roll"]

NEXT = "2027-season"


def joined(desk: Desk) -> Home:
    """Join the invite that the operator hands out during the overlap."""
    home = Home(desk.home)
    home.join({**desk.world.invite(), "next_epoch": NEXT})
    return home


def test_one_run_uploads_a_list_to_both_epochs_and_one_withdrawal_takes_both_back(
    union: Desk, members: Path, tmp_path: Path
) -> None:
    world, home = union.world, joined(union)
    # The custodians are not ready: the present epoch does not wait for the next.
    early = union.json("upload", members, "--yes")
    assert early["later"] == [NEXT]
    assert [one["epoch"] for one in early["epochs"]] == [EPOCH]
    asked = world.evaluated
    world.ceremonies(NEXT)
    both = union.json("upload", members, "--yes")
    assert both["later"] == []
    assert [one["epoch"] for one in both["epochs"]] == [EPOCH, NEXT]
    first, second = (one["id"] for one in both["epochs"])
    assert first == early["id"]  # not done again
    assert world.evaluated == 2 * asked
    assert [world.contributions[one]["header"]["epoch"] for one in (first, second)] == [EPOCH, NEXT]
    # The server can tell that they are one list, and takes back both.
    assert len({world.contributions[one]["header"]["upload"] for one in (first, second)}) == 1
    for id, epoch, other in ((first, EPOCH, NEXT), (second, NEXT, EPOCH)):
        path = tmp_path / f"{id}.parquet"
        path.write_bytes(world.parts[f"{id}/rows"])
        row = next(iter(read_rows(path)))
        entry = locks.RosterEntry(row.tag, row.lock, row.proof)
        locks.check_entry(epoch, entry)
        with pytest.raises(LockRefused):  # a lock of one epoch is none in the other
            locks.check_entry(other, entry)
        assert union.json("receipt", id, "--out", tmp_path / "r.json")["id"] == id
    # The very same again does nothing.
    calls = len(world.contributions)
    assert union.json("upload", members, "--yes")["epochs"] == both["epochs"]
    assert (len(world.contributions), world.evaluated) == (calls, 2 * asked)

    world.down = {"c2"}
    cut = union.run("withdraw", first[:8], "--yes")
    assert cut.exit_code == 3
    assert f"The same file is there for {NEXT} too" in cut.output
    assert all(own_list(home, id).withdrawn for id in (first, second))
    world.down = set()
    done = union.json("withdraw", first[:8], "--yes")
    assert (done["missing"], [one["id"] for one in done["twins"]]) == ([], [second])
    tags = {row.tag.hex() for id in (first, second) for row in own_list(home, id).rows(home)}
    assert all(tags <= heard for heard in world.retired.values())
    assert len(world.retired) == 3
    assert overlap.twins(home, own_list(home, first)) == []


def test_a_run_cut_off_between_the_two_epochs_goes_on_with_the_second(
    union: Desk, members: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined(union)
    union.world.ceremonies(NEXT)
    real = union.world._custodian
    asked = union.world.by_sid

    def refusing(id: str, path: str, body: object) -> object:
        sids = [sid for sid, (stated, _) in asked.items() if stated.epoch == NEXT]
        if any(sid in str(body) for sid in sids):
            raise httpx.ConnectError("down")
        return real(id, path, body)

    monkeypatch.setattr(union.world, "_custodian", refusing)
    cut = union.run("upload", members, "--yes")
    assert cut.exit_code == 3
    finished = [own.has("receipt.json") for own in own_lists(Home(union.home))]
    assert sorted(finished) == [False, True]
    monkeypatch.undo()
    before = {own.id for own in own_lists(Home(union.home))}
    done = union.json("upload", members, "--yes")
    assert {one["id"] for one in done["epochs"]} == before


def test_a_voter_has_the_same_number_in_both_epochs_and_another_in_another_race(
    seat: Callable[[str], Desk], roll: Path
) -> None:
    desk = seat("steward")
    home = joined(desk)
    read = enrolling.read_roll(roll)

    def numbers(here: Home) -> tuple[dict[str, str], object]:
        own, _ = enrolling.begin(Api(here), read, on=date(2026, 11, 3), households=True)
        with duckdb.connect() as base:
            rows = base.read_parquet(str(own.folder / "attributes.parquet")).fetchall()
        return home.vault.read(own.folder / "map.enc"), sorted(rows)

    first = numbers(home.at(EPOCH))
    assert len(first[0]) == 60
    assert numbers(home.at(NEXT)) == first
    other = Home(desk.home)
    other.__dict__["invite"] = {**home.invite, "race": "another-race"}
    for path in (desk.home / "rolls").glob("*/list.json"):
        path.unlink()  # a home that has begun with nothing
    assert not set(numbers(other)[0]) & set(first[0])


def test_who_began_with_numbers_of_the_season_keeps_them(
    seat: Callable[[str], Desk], roll: Path
) -> None:
    desk = seat("steward")
    home = joined(desk)
    assert enrolling.ids_under(home.at(NEXT)) == home.invite["race"]
    own, _ = enrolling.begin(Api(home.at(EPOCH)), enrolling.read_roll(roll), on=date(2026, 11, 3))
    own.note(ids=EPOCH)  # as the tool before this one keyed them
    assert enrolling.ids_under(home.at(NEXT)) == EPOCH
    facts = {name: value for name, value in own.facts.items() if name != "ids"}
    (own.folder / "list.json").write_text(json.dumps(facts))
    assert enrolling.ids_under(home.at(NEXT)) == EPOCH


def test_an_invite_names_one_other_epoch_and_what_changes_is_said(world: FakeWorld) -> None:
    for wrong in ("", EPOCH, 7, None):
        with pytest.raises(HomeRefused, match="next_epoch"):
            checked_invite({**world.invite(), "next_epoch": wrong})


def test_joining_says_that_an_epoch_opened_and_that_one_ended(union: Desk) -> None:
    home = Home(union.home)
    opened = home.join({**union.world.invite(), "next_epoch": NEXT})
    assert opened == (f"next_epoch was not named, is {NEXT}",)
    assert Home(union.home).epochs == (EPOCH, NEXT)
    ended = home.join({**union.world.invite(), "epoch": NEXT})
    assert ended == (
        f"epoch was {EPOCH}, is {NEXT}",
        f"next_epoch was {NEXT}, is named no longer",
    )
    assert Home(union.home).epochs == (NEXT,)

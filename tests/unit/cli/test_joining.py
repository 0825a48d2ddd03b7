"""The tools of partner, steward and coordinator replace no key because a new invite says so."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from consortium.cli.partner import command as partner
from tests.fakes.api import FakeWorld
from tests.unit.cli.conftest import Desk


def other(world: FakeWorld, tmp_path: Path, **changes: Any) -> Path:
    """An invite file that differs from the one that was joined."""
    file = tmp_path / "other.json"
    file.write_text(json.dumps({**world.invite(), **changes}))
    return file


@pytest.mark.parametrize("person", ["partner", "steward", "coordinator"])
def test_a_lower_quorum_is_shown_and_refused_and_taken_when_asked(
    seat: Callable[[str], Desk], world: FakeWorld, tmp_path: Path, person: str
) -> None:
    desk = seat(person)
    kept = (desk.home / "invite.json").read_bytes()
    file = other(world, tmp_path, quorum=1)
    said = desk.run("join", "--invite", file)
    assert said.exit_code == 1
    assert "quorum was 2, is 1" in said.output
    assert "--accept-changes" in said.output
    assert (desk.home / "invite.json").read_bytes() == kept
    taken = desk.run("join", "--invite", file, "--accept-changes")
    assert taken.exit_code == 0, taken.output
    assert "Changed: quorum was 2, is 1" in taken.output
    assert json.loads((desk.home / "invite.json").read_text())["quorum"] == 1


@pytest.mark.parametrize("part", ["actors", "custodians", "witnesses"])
def test_a_known_key_is_never_replaced_silently(
    seat: Callable[[str], Desk], world: FakeWorld, tmp_path: Path, part: str
) -> None:
    desk = seat("partner")
    listed = [dict(one) for one in world.invite()[part]]
    one = next(one for one in listed if one.get("id") != "river-union")
    key = "vkey" if part == "witnesses" else "public"
    one[key] = "ab" * 32
    said = desk.run("join", "--invite", other(world, tmp_path, **{part: listed}))
    assert said.exit_code == 1
    assert f"{part}: the key of {one.get('id', one.get('name'))} was" in said.output


def test_another_log_is_not_taken_even_when_asked(
    seat: Callable[[str], Desk], world: FakeWorld, tmp_path: Path
) -> None:
    file = other(world, tmp_path, log_vkey="another")
    said = seat("partner").run("join", "--invite", file, "--accept-changes")
    assert said.exit_code == 1
    assert "another log" in said.output


def test_the_same_invite_again_changes_and_says_nothing_new(
    seat: Callable[[str], Desk], world: FakeWorld, tmp_path: Path
) -> None:
    said = seat("partner").run("join", "--invite", other(world, tmp_path))
    assert said.exit_code == 0
    assert "Changed" not in said.output


def test_a_raised_size_class_is_shown_and_refused_and_a_lower_one_is_taken(
    seat: Callable[[str], Desk], world: FakeWorld, tmp_path: Path
) -> None:
    desk = seat("partner")
    raised = [dict(one) for one in world.invite()["actors"]]
    other_partner = next(one for one in raised if one["role"] == "partner")
    other_partner["rows"] = 2**20
    said = desk.run("join", "--invite", other(world, tmp_path, actors=raised))
    assert said.exit_code == 1
    assert f"the size class of {other_partner['id']} was 131,072 rows, is 1,048,576" in said.output
    other_partner["rows"] = 4096
    said = desk.run("join", "--invite", other(world, tmp_path, actors=raised))
    assert said.exit_code == 0
    assert "is 4,096" in said.output
    other_partner["rows"] = "many"
    said = desk.run("join", "--invite", other(world, tmp_path, actors=raised))
    assert said.exit_code == 1
    assert "no size class" in said.output


def test_a_size_class_is_declared_with_the_name(tmp_path: Path) -> None:
    words = ("--id", "parks", "--name", "Parks", "--domain", "p.org", "--relation", "a member")
    for rows, told in (("5000", 8192), ("", 131_072)):
        home = tmp_path / f"home{rows}"
        more = ("--rows", rows) if rows else ()
        said = CliRunner().invoke(partner, ["init", "--home", str(home), *words, *more])
        assert said.exit_code == 0, said.output
        assert json.loads((home / "identity.json").read_text())["rows"] == told
        assert f"lists of up to {told:,} rows" in said.output

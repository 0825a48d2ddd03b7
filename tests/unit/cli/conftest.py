"""A partner's home that has joined an installation in memory, and a way to run its tool."""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from consortium.cli import coordinator, partner, steward
from consortium.cli.home import Home
from consortium.cli.joining import Outside
from tests.fakes.actors import private
from tests.fakes.api import COORDINATOR, NOW, PARTNER, STEWARD, FakeWorld

CANARY = "zqxcanary"
GROUPS: dict[str, click.Group] = {
    "partner": partner.command,
    "steward": steward.command,
    "coordinator": coordinator.command,
}


@dataclass
class Desk:
    """One person at one computer."""

    world: FakeWorld
    person: str
    home: Path
    now: datetime = NOW

    def run(self, *args: str | Path, answers: str = "") -> Result:
        """Run one command of this person's tool."""
        outside = Outside(self.world.transport(), lambda: self.now, lambda _seconds: None)
        verb, *rest = [str(arg) for arg in args]
        named = isinstance(GROUPS[self.person].commands[verb], click.Group)  # its verb comes next
        words, rest = [verb, *rest[:named]], rest[named:]
        full = [*words, "--home", str(self.home), *rest]
        return CliRunner().invoke(GROUPS[self.person], full, obj=outside, input=answers)

    def json(self, *args: str | Path) -> dict[str, Any]:
        """Run a command that must work; returns its last line."""
        done = self.run(*args, "--json")
        assert done.exit_code == 0, done.output
        return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture
def world() -> FakeWorld:
    """An installation in memory."""
    return FakeWorld()


@pytest.fixture
def seat(world: FakeWorld, tmp_path: Path) -> Callable[[str], Desk]:
    """Makes a joined home for a person."""

    def make(person: str) -> Desk:
        actor = {"partner": PARTNER, "steward": STEWARD, "coordinator": COORDINATOR}[person]
        path = tmp_path / person
        path.mkdir(mode=0o700)
        key = path / "signing.key"
        key.write_text(private(actor).private_bytes_raw().hex())
        key.chmod(0o600)
        more = {"domain": "mail.river.example", "relation": "member"} if person == "partner" else {}
        name = {"partner": "River Union"}.get(person, person)
        Home.create(path, id=actor, role=person, name=name, **more).join(world.invite())
        return Desk(world, person, path)

    return make


@pytest.fixture
def union(seat: Callable[[str], Desk]) -> Desk:
    """A partner that has signed the agreement."""
    desk = seat("partner")
    assert desk.run("sign", "--yes").exit_code == 0
    return desk


@pytest.fixture
def members(tmp_path: Path) -> Path:
    """150 members with a canary in every cell, a repeated address, and rows that cannot be used."""
    path = tmp_path / "members.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ("first_name", "last_name", "email", "street address", "zip", "status", "shoe size")
        )
        for n in range(150):
            writer.writerow(
                (
                    f"{CANARY}a{chr(97 + n % 26)}",
                    f"{CANARY}b{chr(97 + n // 26)}",
                    f"{CANARY}{n}@mail.example",
                    f"{n + 1} {CANARY} St",
                    f"80{n % 10}34",
                    "subscribed",
                    f"{CANARY}-shoe",
                )
            )
        writer.writerow((CANARY, CANARY, f"{CANARY}0@MAIL.example", "", "80134", "subscribed", ""))
        writer.writerow((CANARY, CANARY, f"{CANARY}-no-address", "", "80134", "subscribed", ""))
        writer.writerow((CANARY, CANARY, f"{CANARY}x@mail.example", "", "", "unsubscribed", ""))
        writer.writerow((CANARY, CANARY, f"{CANARY}y@mail.example", "", "", "perhaps", ""))
    return path

"""Whoever is on the other list, what is shown of letters, signers and days is the same.

Threat: docs/threat-model.md#T20. As in test_02_two_worlds_of_one_race.py, with what letters added:
each reader's nearest messenger, their limits a day, a day that a partner keeps free, the shared
calendar, checks, previews by place. The eyes are a partner's, the coordinator's, a volunteer's who
signs, and my staff's, who see in whose name and on which day a letter came. With limits the day of
the last letter would be the number of them: the control is what a build shows that counts so.
"""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from consortium.service import ghosts, send
from consortium.store import campaigns, deliveries
from policies import disclosure
from tests.attack.two_worlds import (
    EARLY,
    ME,
    OTHER,
    STAFF,
    WORLDS,
    Life,
    making_up_for,
    patched,
    set_up,
)
from tests.fakes.season import Season, address, again
from tests.fakes.server import RACE

WHO = (
    {"name": "Ann Lee", "place": "Toledo", "precinct": "44-0"},
    {"name": "Bo Ray", "place": "Parma", "precinct": "44-1", "daily": 4},
    {"name": "Cy Tan", "place": "Oregon", "zip": "43600"},
)
SIGNERS = [{"name": str(one["name"]), "place": str(one["place"])} for one in WHO]
NOISY = 60
"""The noised size by which a volunteer's days are reckoned; the holdout needs a larger one."""
Lived = Callable[[str], tuple[list[Any], list[Any]]]


class Mail(Life):
    """A world whose letters each reader's nearest signs, with all eyes on it."""

    def __init__(self, season: Season, patch: pytest.MonkeyPatch) -> None:
        super().__init__(season, patch)
        self.arrived: list[str] = []
        self.leaky: list[Any] = []
        self.pages = [season.server.lend(**one) for one in WHO]  # type: ignore[arg-type]
        day = season.clock() + timedelta(days=2)
        kept = season.server.call(
            OTHER, "POST", f"/races/{RACE}/days", json={"day": day.date().isoformat()}
        )
        assert kept.status_code < 300, kept.text

    def look(self) -> None:
        """What letters added, to whoever may see it; looked at once before and once after them."""
        if self.ids and not self.ended():
            return
        server = self.season.server
        for who in (ME, "cora"):
            for path in (
                f"/races/{RACE}/calendar",
                "/programmes",
                "/campaigns",
                *(
                    f"/campaigns/{one}{more}"
                    for one in self.ids
                    for more in ("", "/checks", "/preview", "/report")
                ),
            ):
                self.keep(f"{who} {path}", server.call(who, "GET", path))
        where = {"definition": {"places": {"precinct": [EARLY]}}}
        path = f"/races/{RACE}/messengers/nearest"
        self.keep(path, server.call("cora", "POST", path, json=where))
        for number, page in enumerate(self.pages):
            self.keep(f"volunteer {number}", server.client.get(page))

    def ended(self) -> bool:
        """Whether the last of the campaigns is over."""
        one = self.season.units.run("look", lambda unit: campaigns.get(unit, self.ids[-1]))
        return one.state == "closed" and len(self.ids) == 2

    def glance(self) -> None:
        """What changes while letters leave."""
        for who in (ME, "cora"):
            for path in (f"/campaigns/{self.ids[-1]}", f"/races/{RACE}/calendar"):
                self.keep(f"{who} {path}", self.season.server.call(who, "GET", path))

        units = self.season.units
        self.leaky.append(units.read("count", lambda unit: by_count(unit, self.ids[-1])))

    def send_all(self, id: str) -> None:
        """Send over the whole window, glanced at every few hours."""
        units, clock = self.season.units, self.season.clock
        leaf = units.run("look", lambda unit: campaigns.get(unit, id)).intent_leaf
        assert leaf is not None
        units.run("due", lambda unit: campaigns.change(unit, id, state="logged", estimate=NOISY))
        staff = {address(partner, STAFF) for partner in (ME, OTHER)}
        self.season.mta.before.append(
            lambda to: to in staff and self.arrived.append(clock.now.isoformat())
        )
        for _ in range(8):
            send.send(self.season.office, id, seconds=60)
            self.glance()
            clock.now += timedelta(hours=8)
        self.look()
        self.season.mta.before.clear()
        assert units.run("end", lambda unit: campaigns.get(unit, id)).state == "closed"

    def froms(self) -> Iterator[str]:
        """When my staff's letters came, and in whose name."""
        staff = {address(partner, STAFF) for partner in (ME, OTHER)}
        yield from self.arrived
        for _, to, message in self.season.mta.taken:
            if to in staff:
                yield from re.findall(r"^From: ([^<]+)", message.decode(), re.MULTILINE)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Lived:
    """Each world is lived once."""
    folder = tmp_path_factory.mktemp("mails")
    kept = set_up(folder / "base", sqlite_template)
    done: dict[str, tuple[list[Any], list[Any]]] = {}

    def world(name: str) -> tuple[list[Any], list[Any]]:
        if name not in done:
            done[name] = live(kept, folder / name, WORLDS[name])
        return done[name]

    return world


def live(kept: Any, folder: Path, people: Any) -> tuple[list[Any], list[Any]]:
    """What all these eyes receive in one world; and what a build that counts would show them."""
    with patched(people) as patch:
        patch.setattr(ghosts, "number", making_up_for(people))
        patch.setattr(disclosure, "noisy", lambda value, _: 300)
        for season in again(kept, folder):
            with season.server.client:
                life = Mail(season, patch)
                life.begin()
                life.send(life.campaign(sources=[OTHER], precincts=[EARLY]))
                season.clock.now += timedelta(days=1)
                life.send_all(life.campaign(nearest=SIGNERS))
            got = [*life.received.answers, *life.froms()], life.leaky
    return got


def by_count(unit: Any, id: str) -> tuple[int, bool]:
    """What a build shows that reckons by letters: how many left, and whether any is to leave."""
    done = deliveries.count(unit, id)
    return done.get("sent", 0), not done.get("pending", 0)


@pytest.mark.parametrize(
    "name",
    [
        "everything",
        *(pytest.param(one, marks=pytest.mark.soak) for one in ("overlap", "caps", "stops")),
    ],
)
def test_signers_days_calendar_and_progress_are_the_same_whoever_is_on_the_other_list(
    lived: Lived, name: str
) -> None:
    (plain, _), (other, _) = lived("plain"), lived(name)
    assert [pair for pair in zip(plain, other, strict=True) if pair[0] != pair[1]] == []
    assert len(plain) > 60
    assert sum(one[1] == 200 for one in plain if isinstance(one, tuple)) > 50
    assert len([one for one in plain if isinstance(one, str)]) == 2  # my staff's letter: when, who


def test_a_build_that_reckons_by_letters_is_found_out(lived: Lived) -> None:
    (_, plain), (_, other) = lived("plain"), lived("everything")
    assert len(plain) == len(other) == 8
    assert plain != other

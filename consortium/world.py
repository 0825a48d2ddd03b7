"""Read a world: the folder that says who takes part, with a roll, lists and the truth."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

__all__ = ["Coordinator", "Custodians", "Intervals", "LetterTerms", "Messenger", "Partner", "Race",
           "Steward", "World", "WorldRefused", "load"]  # fmt: skip

FILE = "world.toml"
FORMAT = 1
POSTAL_ADDRESS = "Trellis consortium, PO Box 1, Sampletown"
LINK_HOSTS = ("example.org",)
HOST = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")


class WorldRefused(Exception):
    """A world's file or folder is not as docs/world.md says; names the file and the key."""

    def __init__(self, file: str, key: str, reason: str) -> None:
        super().__init__(f"{file}, {key}: {reason}" if key else f"{file}: {reason}")
        self.file, self.key, self.reason = file, key, reason


@dataclass(frozen=True, slots=True)
class Race:
    """The one contest this world is about."""

    id: str
    name: str
    office: str
    state: str


@dataclass(frozen=True, slots=True)
class Partner:
    """An organisation with a list.

    ``relation`` ends the sentence "<partner> states that you are ...": "a member".
    ``format`` names the system its export came from.
    """

    slug: str
    name: str
    domain: str
    relation: str
    format: str


@dataclass(frozen=True, slots=True)
class Steward:
    """Who holds the voter file."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Custodians:
    """How many hold key shares, and how many of them are needed."""

    threshold: int
    total: int


@dataclass(frozen=True, slots=True)
class Intervals:
    """Seconds between two publications of the log, and between two runs of the matcher."""

    publish_seconds: int
    match_seconds: int


@dataclass(frozen=True, slots=True)
class Coordinator:
    """The local person in charge of the race."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Messenger:
    """The local volunteer in whose name the letter goes."""

    name: str
    place: str


@dataclass(frozen=True, slots=True)
class LetterTerms:
    """What every letter of the race must show, and where its links may lead.

    ``link_hosts`` are allowed beside the partners' own domains, which always are.
    """

    postal_address: str
    paid_for_by: str
    link_hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class World:
    """A world as its ``world.toml`` describes it; paths are looked up beside that file."""

    folder: Path
    race: Race
    election: date
    polls_close: time
    time_zone: str
    districts: tuple[str, ...]
    audience: Mapping[str, Any]
    partners: tuple[Partner, ...]
    steward: Steward
    custodians: Custodians
    intervals: Intervals
    coordinator: Coordinator
    messenger: Messenger
    letter: LetterTerms

    @property
    def roll(self) -> Path:
        """The folder with the voter file and its history."""
        return self.folder / "roll"

    @property
    def truth(self) -> Path:
        """Which row of which list is which voter; absent in a world of real lists."""
        return self.folder / "truth.csv"

    def members(self, slug: str) -> Path:
        """A partner's export."""
        return self.folder / "partners" / slug / "members.csv"


def load(folder: Path) -> World:
    """Read and check a world.

    Raises:
        WorldRefused: the file is missing or no TOML, a key is missing or of the wrong kind, a
            slug, threshold, date or definition is impossible, or a list or the roll is not there.
    """
    path = folder / FILE
    try:
        table = _Table(tomllib.loads(path.read_text("utf-8")), "")
    except FileNotFoundError:
        raise WorldRefused(FILE, "", f"there is none in {folder}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WorldRefused(FILE, "", f"is not TOML: {error}") from None
    if table.take("format", int) != FORMAT:
        raise WorldRefused(FILE, "format", f"must be {FORMAT}")
    race, steward = table.table("race"), table.table("steward")
    custodians, intervals = table.table("custodians"), table.table("intervals")
    coordinator, messenger = table.table("coordinator"), table.table("messenger")
    world = World(
        folder=folder,
        race=Race(race.slug("id"), race.text("name"), race.text("office"), race.text("state")),
        election=table.take("election", date),
        polls_close=table.take("polls_close", time),
        time_zone=table.text("time_zone"),
        districts=tuple(table.texts("districts")),
        audience=_definition(table.table("audience")),
        partners=tuple(_partner(entry) for entry in table.tables("partners")),
        steward=Steward(steward.slug("id"), steward.text("name")),
        custodians=Custodians(custodians.take("threshold", int), custodians.take("total", int)),
        intervals=Intervals(
            intervals.take("publish_seconds", int), intervals.take("match_seconds", int)
        ),
        coordinator=Coordinator(coordinator.slug("id"), coordinator.text("name")),
        messenger=Messenger(messenger.text("name"), messenger.text("place")),
        letter=_letter(table.table("letter") if table.keys() & {"letter"} else None, race),
    )
    _check(world)
    return world


def _letter(table: _Table | None, race: _Table) -> LetterTerms:
    """The optional table [letter]; each of its keys is optional too."""
    given: set[str] = set() if table is None else table.keys()
    for key in given - {"postal_address", "paid_for_by", "link_hosts"}:
        why = "is not postal_address, paid_for_by or link_hosts"
        raise WorldRefused(FILE, f"letter.{key}", why)

    def text(key: str, default: str) -> str:
        return table.text(key) if table is not None and key in given else default

    hosts = table.texts("link_hosts") if table and "link_hosts" in given else list(LINK_HOSTS)
    for host in hosts:
        if not HOST.fullmatch(host):
            why = "must be host names such as example.org, without https:// or a path"
            raise WorldRefused(FILE, "letter.link_hosts", why)
    return LetterTerms(
        text("postal_address", POSTAL_ADDRESS),
        text("paid_for_by", f"the partners for {race.text('name')}"),
        tuple(hosts),
    )


def _check(world: World) -> None:
    if not 1 <= world.custodians.threshold <= world.custodians.total:
        raise WorldRefused(FILE, "custodians.threshold", "must be between 1 and custodians.total")
    for name, seconds in (
        ("publish_seconds", world.intervals.publish_seconds),
        ("match_seconds", world.intervals.match_seconds),
    ):
        if seconds < 1:
            raise WorldRefused(FILE, f"intervals.{name}", "must be at least 1")
    try:
        ZoneInfo(world.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise WorldRefused(FILE, "time_zone", "is not a zone such as America/Denver") from None
    slugs = [partner.slug for partner in world.partners]
    if not slugs or len(set(slugs)) != len(slugs):
        raise WorldRefused(FILE, "partners", "needs at least one, each with a slug of its own")
    if not world.roll.is_dir():
        raise WorldRefused("roll/", "", "is not in the world's folder")
    for slug in slugs:
        if not world.members(slug).is_file():
            raise WorldRefused(f"partners/{slug}/members.csv", "", "is not in the world's folder")


def _partner(table: _Table) -> Partner:
    return Partner(
        table.slug("slug"),
        table.text("name"),
        table.text("domain"),
        table.text("relation"),
        table.text("format"),
    )


def _definition(table: _Table) -> dict[str, Any]:
    """An audience in the normal form: places (a union), age, votes, primaries, each sorted."""
    for key in table.keys() - {"places", "age", "votes", "primaries"}:
        raise WorldRefused(FILE, f"audience.{key}", "is not places, age, votes or primaries")
    places = table.table("places")
    for key in places.keys() - {"district", "precinct", "zip"}:
        raise WorldRefused(FILE, f"audience.places.{key}", "is not district, precinct or zip")
    found: dict[str, Any] = {
        "places": {key: sorted(places.texts(key)) for key in sorted(places.keys())}
    }
    if not any(found["places"].values()):
        raise WorldRefused(FILE, "audience.places", "names no place")
    for key in table.keys() & {"age", "votes", "primaries"}:
        found[key] = sorted(table.texts(key))
    return found


T = TypeVar("T")


class _Table:
    """One TOML table that knows where it stands, for errors that name the key."""

    def __init__(self, values: Mapping[str, Any], at: str) -> None:
        self._values, self._at = values, at

    def keys(self) -> set[str]:
        return set(self._values)

    def take(self, key: str, kind: type[T]) -> T:
        name = f"{self._at}{key}"
        if key not in self._values:
            raise WorldRefused(FILE, name, "is missing")
        value = self._values[key]
        if type(value) is not kind:
            raise WorldRefused(FILE, name, f"must be a {kind.__name__}")
        return value

    def text(self, key: str) -> str:
        value = self.take(key, str)
        if not value.strip():
            raise WorldRefused(FILE, f"{self._at}{key}", "is empty")
        return value

    def slug(self, key: str) -> str:
        value = self.text(key)
        if not re.fullmatch(r"[a-z0-9-]{1,40}", value):
            why = "must be 1 to 40 small letters, digits or hyphens"
            raise WorldRefused(FILE, f"{self._at}{key}", why)
        return value

    def texts(self, key: str) -> list[str]:
        value: list[Any] = self.take(key, list)
        if not all(isinstance(each, str) and each for each in value):
            raise WorldRefused(FILE, f"{self._at}{key}", "must be a list of texts")
        return value

    def table(self, key: str) -> _Table:
        return _Table(self.take(key, dict), f"{self._at}{key}.")

    def tables(self, key: str) -> list[_Table]:
        value: list[Any] = self.take(key, list)
        if not all(isinstance(each, dict) for each in value):
            raise WorldRefused(FILE, f"{self._at}{key}", "must be a list of tables")
        return [_Table(each, f"{self._at}{key}[{n}].") for n, each in enumerate(value)]

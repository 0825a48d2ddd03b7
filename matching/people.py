"""A generated town: names by frequency, households, homes; for worlds, training and benches.

Nobody here exists. Everything follows from one ``random.Random``, so that a seed is a town.
"""

from __future__ import annotations

import random
from bisect import bisect
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources
from itertools import accumulate

from matching import normalise
from matching.errors import MatchingError
from matching.recipes import Record, make_record

__all__ = ["CITIES", "Home", "Person", "Town", "draw_name", "nicknames", "person_record", "town"]


@dataclass(frozen=True, slots=True, repr=False)
class Home:
    """A street address in the parts in which a voter file holds them."""

    number: int
    direction: str
    street: str
    kind: str
    unit: str
    city: str
    zip: str
    precinct: int

    @property
    def line(self) -> str:
        """The address as one line."""
        parts = (str(self.number), self.direction, self.street, self.kind)
        tail = f" Apt {self.unit}" if self.unit else ""
        return " ".join(part for part in parts if part) + tail

    def __repr__(self) -> str:
        return "Home()"


@dataclass(frozen=True, slots=True, repr=False)
class Person:
    """One generated adult. ``number`` is unique in the town."""

    number: int
    female: bool
    first: str
    middle: str
    last: str
    suffix: str
    year: int
    month: int
    day: int
    home: Home
    phone: str
    email: str
    votes: float
    registered: bool

    def __repr__(self) -> str:
        return f"Person({self.number})"


@dataclass(frozen=True, slots=True)
class Town:
    """Everybody: the registered, who make the roll, and the rest."""

    voters: tuple[Person, ...]
    others: tuple[Person, ...]
    precincts: int


_STREETS = (
    "Alder", "Antelope", "Aspen", "Aster", "Badger", "Beaver", "Birch", "Bison", "Bluebell",
    "Canyon", "Cedar", "Cherry", "Chestnut", "Clover", "Columbine", "Coyote", "Cypress", "Dogwood",
    "Eagle", "Elk", "Elm", "Falcon", "Fern", "Foxglove", "Gold Dust", "Granite", "Hawk", "Hazel",
    "Heron", "Hickory", "Holly", "Iris", "Ivy", "Juniper", "Lake", "Larch", "Larkspur", "Laurel",
    "Lilac", "Locust", "Lupine", "Magpie", "Main", "Maple", "Meadow", "Mesa", "Mill", "Mountain",
    "Mulberry", "Oak", "Olive", "Orchard", "Otter", "Park", "Pebble", "Pine", "Plum", "Poplar",
    "Prairie", "Quail", "Quartz", "Raven", "Ridge", "River", "Robin", "Rose", "Sage", "Spring",
    "Spruce", "Sumac", "Sunset", "Sycamore", "Thistle", "Trout", "Valley", "Violet", "Walnut",
    "Willow", "Wren", "Yarrow", "1st", "2nd", "3rd", "4th", "5th", "6th", "7th", "8th", "9th",
)  # fmt: skip
_KINDS = ("St", "Ave", "Dr", "Ln", "Ct", "Way", "Cir", "Rd", "Pl", "Blvd")
CITIES = ("Alderton", "Bisonville", "Canyon Park", "Duskfield", "Elkhorn Mills")
"""Made up; so are the streets."""
_ZIPS = tuple(str(80901 + n) for n in range(97))
_HISPANIC = ("Garcia", "Martinez", "Rodriguez", "Lopez", "Hernandez", "Gonzalez", "Perez")
_ACCENTS = {
    "Jose": "José", "Maria": "María", "Andres": "Andrés", "Garcia": "García", "Lopez": "López",
    "Perez": "Pérez", "Rodriguez": "Rodríguez", "Gonzalez": "González", "Martinez": "Martínez",
}  # fmt: skip


@lru_cache(maxsize=3)
def _frequencies(kind: str) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Names and running shares of the 1990 US census, as the ``names`` package carries them."""
    try:
        text = resources.files("names").joinpath(f"dist.{kind}").read_text("ascii")
    except ModuleNotFoundError:
        why = "making people needs the extra 'world': pip install 'trellis-consortium[world]'"
        raise MatchingError(why) from None
    rows = [line.split()[:2] for line in text.splitlines() if line.strip()]
    return tuple(row[0].title() for row in rows), tuple(accumulate(float(row[1]) for row in rows))


def draw_name(chance: random.Random, kind: str) -> str:
    names, running = _frequencies(kind)
    return names[min(bisect(running, chance.random() * running[-1]), len(names) - 1)]


@lru_cache(maxsize=1)
def nicknames() -> dict[str, tuple[str, ...]]:
    """What people of a given name are called, from the normaliser's own table turned round."""
    common = set(_frequencies("male.first")[0][:600] + _frequencies("female.first")[0][:900])
    found: dict[str, list[str]] = {}
    for name in sorted(common):
        whole = normalise.root(normalise.letters(name))
        if whole != name.lower():
            found.setdefault(whole, []).append(name)
    return {whole: tuple(nicks) for whole, nicks in found.items()}


def town(chance: random.Random, *, voters: int, year: int) -> Town:
    """Fill households until ``voters`` people are registered.

    Args:
        chance: the only source of chance.
        voters: registered people.
        year: of the election; the youngest are 18 in it.

    Returns:
        A town of ``max(1, voters // 650)`` precincts, filled evenly, so that each holds at least
        500 registered people from 500 voters on.
    """
    precincts = max(1, voters // 650)
    registered: list[Person] = []
    others: list[Person] = []
    number, homes = 0, 0
    while len(registered) < voters:
        home = _home(chance, homes % precincts, homes // precincts)
        homes += 1
        for person in _household(chance, number, home, year):
            number += 1
            if person.registered and len(registered) < voters:
                registered.append(person)
            else:
                others.append(replace(person, registered=False))
    chance.shuffle(registered)
    return Town(tuple(registered), tuple(others), precincts)


def _home(chance: random.Random, precinct: int, nth: int) -> Home:
    # A street belongs to few precincts; a house number may hold several flats.
    street = _STREETS[(precinct * 17 + chance.randrange(24)) % len(_STREETS)]
    flat = chance.random() < 0.2
    return Home(
        number=chance.randrange(100, 140) * 10 if flat else chance.randrange(100, 9999),
        direction=chance.choice(("", "", "", "N", "S", "E", "W")),
        street=street,
        kind=_KINDS[(len(street) + precinct) % len(_KINDS)],
        unit=str(nth % 300 + 1) if flat else "",
        city=CITIES[precinct // 2 % len(CITIES)],
        zip=_ZIPS[precinct // 2 % len(_ZIPS)],
        precinct=precinct,
    )


def _household(chance: random.Random, number: int, home: Home, year: int) -> list[Person]:
    """One to five adults, mostly of one surname; now and then a junior or twins."""
    size = chance.choices((1, 2, 3, 4, 5), (38, 38, 14, 7, 3))[0]
    family = draw_name(chance, "all.last")
    if chance.random() < 0.08:
        family = chance.choice(_HISPANIC)
    # Three homes in ten share one line, the eldest's; no two homes do, as large as the town may be.
    line = _own_phone(number) if chance.random() < 0.3 else ""
    people: list[Person] = []
    eldest = year - min(96, max(19, round(chance.gauss(50, 17))))
    for nth in range(size):
        female = chance.random() < 0.52 if nth != 1 else not people[0].female
        first = draw_name(chance, "female.first" if female else "male.first")
        last, suffix = family, ""
        born = eldest + round(chance.gauss(0, 3)) if nth < 2 else eldest + chance.randrange(20, 36)
        born = min(year - 18, max(year - 100, born))
        month, day = chance.randrange(1, 13), chance.randrange(1, 29)
        if nth >= 1 and chance.random() < 0.12:
            last = draw_name(chance, "all.last")
        if nth >= 2 and not people[0].female and not female and chance.random() < 0.12:
            # Father and son of one name under one roof: the hardest negative there is.
            first, last, suffix = people[0].first, people[0].last, "Jr"
        if nth >= 3 and chance.random() < 0.08:
            born, month, day = people[2].year, people[2].month, people[2].day
        if chance.random() < 0.3:
            first, last = _ACCENTS.get(first, first), _ACCENTS.get(last, last)
        people.append(
            Person(
                number=number + nth,
                female=female,
                first=first,
                middle=draw_name(chance, "female.first" if female else "male.first"),
                last=last,
                suffix=suffix,
                year=born,
                month=month,
                day=day,
                home=home,
                phone=line or _own_phone(number + nth),
                email=_email(first, last, number + nth),
                votes=chance.betavariate(1.3, 1.0),
                registered=chance.random() < 0.85,
            )
        )
    return people


def _own_phone(number: int) -> str:
    """A number of its own per person: area codes of the state, an exchange nobody is given."""
    area = ("303", "720", "719", "970")[number // 10000 % 4]
    # Beyond 40,000 people the exchanges after 555 are used; they are written to by nobody.
    return f"{area}{555 + number // 40000 % 400:03d}{number * 7919 % 10000:04d}"


def _email(first: str, last: str, number: int) -> str:
    domain = ("example.com", "example.org", "example.net")[number % 3]
    return f"{normalise.letters(first)}.{normalise.letters(last)}.{number}@{domain}"


def person_record(person: Person, *, phone: bool, dated: bool = False) -> Record:
    """The record a steward's tool makes of a voter: a phone for some; ``dated``, a whole birth date."""  # noqa: E501
    return make_record(
        first=person.first,
        middle=person.middle,
        last=person.last,
        suffix=person.suffix,
        phone=person.phone if phone else "",
        birth=f"{person.month}/{person.day}/{person.year}" if dated else str(person.year),
        address=person.home.line,
        zip=person.home.zip,
    )

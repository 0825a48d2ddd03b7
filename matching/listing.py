"""Generated member lists: a town's people as lists of many habits hold them, gaps and typos in.

As with the town, everything follows from one ``random.Random``.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from matching import normalise
from matching.people import Home, Person, Town, draw_name, nicknames
from matching.recipes import Record, make_record

__all__ = ["ASSOCIATION", "HABITS", "PATTERNS", "Entry", "Habits", "Noise", "entries",
           "entry_record"]  # fmt: skip


@dataclass(frozen=True, slots=True, repr=False)
class Entry:
    """A person as they stand on one list: with its gaps, its typos and its age."""

    person: Person
    first: str
    middle: str
    last: str
    suffix: str
    email: str
    phone: str
    birth: str
    address: str
    city: str
    zip: str
    status: str

    def __repr__(self) -> str:
        return f"Entry({self.person.number})"


@dataclass(frozen=True, slots=True)
class Noise:
    """How a list differs from the people on it: the share of rows that each thing befell."""

    nickname: float = 0.10
    surname: float = 0.03
    moved: float = 0.13
    typo: float = 0.035
    swapped: float = 0.01
    address: float = 0.02
    birth: float = 0.0
    """Of the birth dates: a digit off, or day and month changed round."""
    given: float = 0.0
    """Of the given names: the initial alone, or another's of the town."""
    digit: float = 0.0
    """Of the house numbers and of the ZIPs: one digit wrong."""


@dataclass(frozen=True, slots=True)
class Habits:
    """How complete one kind of list is: the share of rows that hold each field."""

    middle: float = 0.2
    phone: float = 0.5
    birth: float = 0.0
    address: float = 0.5
    zip: float = 0.97
    noise: Noise | None = None
    """Its own errors, instead of the town's: some lists are typed worse than others."""


HABITS = {
    "action-network": Habits(middle=0.0, birth=0.0, address=0.55),
    "everyaction": Habits(middle=0.45, phone=0.6, birth=0.35, address=0.8, zip=0.98),
    "nationbuilder": Habits(middle=0.2, phone=0.55, birth=0.12, address=0.7),
}
ASSOCIATION = Habits(middle=0.4, phone=0.55, birth=0.95, address=0.85, zip=0.98)
"""A list of dues payers, who gave a whole birth date when they joined."""
PATTERNS = {
    **HABITS,
    "association": ASSOCIATION,
    "whole": Habits(middle=0.9, phone=0.0, birth=0.97, address=0.97, zip=0.98),
    "undated": Habits(
        middle=0.9, phone=0.0, birth=0.0, address=0.97, zip=0.98,
        noise=Noise(surname=0.05, moved=0.06, typo=0.07, address=0.05, given=0.04, digit=0.03),
    ),
    "unplaced": Habits(
        middle=0.95, phone=0.0, birth=0.98, address=0.0, zip=0.0,
        noise=Noise(surname=0.05, typo=0.07, birth=0.04, given=0.04),
    ),
    "rough": Habits(
        middle=0.3, phone=0.2, birth=0.92, address=0.95, zip=0.95,
        noise=Noise(nickname=0.08, moved=0.06, typo=0.22, swapped=0.05, address=0.15, birth=0.10,
                    given=0.03, digit=0.03),
    ),
}  # fmt: skip
"""Beside the three systems: lists that know nearly all, no birth date or no place, and a list that
somebody typed from paper in a hurry."""


_STATUSES = ("subscribed", "unsubscribed", "bounced", "spam complaint", "")
_WEIGHTS = (0.86, 0.06, 0.02, 0.01, 0.05)


def entries(
    chance: random.Random,
    place: Town,
    *,
    count: int,
    habits: Habits,
    prefer: Sequence[int] = (),
    noise: Noise = Noise(),
) -> list[Entry]:
    """Draw a list of members out of a town: seven of eight are registered, nobody comes twice.

    Args:
        prefer: numbers of voters to begin with, for a wanted overlap with another list.
    """
    wanted = set(prefer)
    some = min(len(place.voters), max(count - len(place.others), round(count * 0.87)))
    first = [person for person in place.voters if person.number in wanted][:some]
    rest = [person for person in place.voters if person.number not in wanted]
    members = first + chance.sample(rest, some - len(first))
    members += chance.sample(place.others, min(len(place.others), count - some))
    chance.shuffle(members)
    return [_entry(chance, person, place, habits, habits.noise or noise) for person in members]


def _entry(
    chance: random.Random, person: Person, place: Town, habits: Habits, noise: Noise
) -> Entry:
    first, last, home = person.first, person.last, person.home
    if chance.random() < noise.nickname:
        nicks = nicknames().get(normalise.root(normalise.letters(first)), ())
        first = chance.choice(nicks) if nicks else first
    if chance.random() < noise.surname:
        last = draw_name(chance, "all.last")
    if noise.given and chance.random() < noise.given:
        first = chance.choice((first[:1], chance.choice(place.voters).first))
    if chance.random() < noise.moved:
        home = chance.choice(place.voters).home
    first, last = _typo(chance, first, noise.typo), _typo(chance, last, noise.typo)
    if chance.random() < noise.swapped:
        first, last = last, first
    email = person.email
    if chance.random() < 0.15:
        email = email.replace("@", ".second@")
    return Entry(
        person=person,
        first=first,
        middle=_maybe(chance, habits.middle, person.middle[: chance.choice((1, 1, 40))]),
        last=last,
        suffix=_maybe(chance, 0.6, person.suffix),
        email=email,
        phone=_maybe(chance, habits.phone, _written(chance, person.phone)),
        birth=_maybe(chance, habits.birth, _born(chance, person, noise.birth)),
        address=_maybe(chance, habits.address, _line(chance, home, noise)),
        city=home.city,
        zip=_maybe(chance, habits.zip, _digit(chance, home.zip, noise.digit)),
        status=chance.choices(_STATUSES, _WEIGHTS)[0],
    )


def _line(chance: random.Random, home: Home, noise: Noise) -> str:
    number, _, street = home.line.partition(" ")
    whole = f"{_digit(chance, number, noise.digit)} {street}"
    return _typo(chance, whole, noise.address)


def _digit(chance: random.Random, number: str, share: float) -> str:
    """Now and then one digit wrong; without a share nothing is drawn."""
    if not share or chance.random() >= share:
        return number
    at = chance.randrange(len(number))
    return number[:at] + chance.choice("0123456789") + number[at + 1 :]


def _maybe(chance: random.Random, share: float, value: str) -> str:
    return value if chance.random() < share else ""


def _born(chance: random.Random, person: Person, share: float) -> str:
    year, month, day = person.year, person.month, person.day
    # Without a share nothing is drawn: the seed of a world stays that world.
    if share and chance.random() < share:
        if day <= 12 and chance.random() < 0.4:
            month, day = day, month
        else:
            year += chance.choice((-10, -2, -1, 1, 2, 10))
            day = day if chance.random() < 0.5 else chance.randrange(1, 29)
    return f"{month}/{day}/{year}"


def _written(chance: random.Random, phone: str) -> str:
    area, mid, end = phone[:3], phone[3:6], phone[6:]
    return chance.choice((f"({area}) {mid}-{end}", f"{area}-{mid}-{end}", f"+1{phone}", phone))


def _typo(chance: random.Random, word: str, share: float) -> str:
    """Now and then two letters swapped, one lost, one doubled, one changed."""
    if chance.random() >= share or len(word) < 3:
        return word
    at = chance.randrange(1, len(word) - 1)
    return chance.choice(
        (
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
            word[:at] + word[at + 1 :],
            word[:at] + word[at] + word[at:],
            word[:at] + chance.choice("aeiortnls") + word[at + 1 :],
        )
    )


def entry_record(entry: Entry) -> Record:
    """The record a partner's tool makes of an entry."""
    return make_record(
        first=entry.first,
        middle=entry.middle,
        last=entry.last,
        suffix=entry.suffix,
        phone=entry.phone,
        birth=entry.birth,
        address=entry.address,
        zip=entry.zip,
    )

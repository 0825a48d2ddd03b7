"""Which fields make a token: fourteen conjunctions, as versioned data.

None is a single low-entropy field, and each is measured with decoys in place (a token that several
voters share never matches), so every recipe must be nearly unique in a city. Members rarely have
birth dates, so eight of the fourteen do without; four need a whole one, which is missing, and
differs from nothing, where either side knows the year alone. They were chosen out of sixty on
made-up towns of 20,000 and 1,000,000 voters: `docs/matching.md`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from matching import normalise

__all__ = ["ADDRESS_RECIPE", "RECIPES", "VERSION", "Recipe", "Record", "address_input",
           "make_record", "token_inputs"]  # fmt: skip

VERSION = "r2" + normalise.VERSION
DOMAIN = b"consortium/token/v1"
ADDRESS_RECIPE = 255
"""The number that stands for the address token in a bundle's outputs."""


@dataclass(frozen=True, slots=True, repr=False)
class Record:
    """One person's fields after the normaliser; "" or None is missing. Its repr shows nothing."""

    first: str = ""
    middle: str = ""
    last: str = ""
    suffix: str = ""
    phone: str = ""
    birth: normalise.Birth | None = None
    address: normalise.Address | None = None
    zip: str = ""

    def __repr__(self) -> str:
        return "Record()"


def make_record(
    *,
    first: str = "",
    middle: str = "",
    last: str = "",
    suffix: str = "",
    phone: str = "",
    birth: str = "",
    address: str = "",
    zip: str = "",
) -> Record:
    """Normalise the raw fields of one person; what cannot be read is missing, never refused."""
    head, mid, family, generation = normalise.names(first, middle, last, suffix)
    return Record(
        head,
        mid,
        family,
        generation,
        normalise.phone(phone),
        normalise.birth(birth),
        normalise.address(address),
        normalise.zip5(zip),
    )


@dataclass(frozen=True, slots=True)
class Recipe:
    """One kind of token. ``id`` is hashed into every token, so a changed recipe needs a new one."""

    id: str
    says: str
    pieces: tuple[Callable[[Record], str], ...]


def _root(record: Record) -> str:
    return normalise.root(record.first)


def _initial(record: Record) -> str:
    # Of the root: "Bill" and "William" must share it.
    return _root(record)[:1]


def _first_sound(record: Record) -> str:
    return normalise.sound(_root(record))


def _middle(record: Record) -> str:
    return record.middle[:1]


def _last(record: Record) -> str:
    return record.last


def _last_three(record: Record) -> str:
    return record.last[:3]


def _last_sound(record: Record) -> str:
    return normalise.sound(record.last)


def _both(record: Record) -> str:
    """The two names in alphabetical order, so that swapped fields agree."""
    return "+".join(sorted((record.first, record.last))) if record.first and record.last else ""


def _year(record: Record) -> str:
    return str(record.birth.year) if record.birth else ""


def _date(record: Record) -> str:
    """The whole birth date; a year alone is missing here and no disagreement."""
    born = record.birth
    return f"{born.year}{born.month:02}{born.day:02}" if born and born.month else ""


def _phone(record: Record) -> str:
    return record.phone


def _number(record: Record) -> str:
    return record.address.number if record.address else ""


def _street(record: Record) -> str:
    return record.address.street if record.address else ""


def _zip(record: Record) -> str:
    return record.zip


def _recipe(number: int, says: str, *pieces: Callable[[Record], str]) -> Recipe:
    return Recipe(f"{VERSION}/{number:02d}", says, pieces)


RECIPES: tuple[Recipe, ...] = (
    _recipe(1, "first root, last", _root, _last),
    _recipe(2, "first root, last, middle initial", _root, _last, _middle),
    _recipe(3, "both names in either order, ZIP", _both, _zip),
    _recipe(4, "both names in either order, birth year", _both, _year),
    _recipe(
        5, "first by sound, last by sound, middle initial, ZIP", _first_sound, _last_sound, _middle,
        _zip,
    ),
    _recipe(6, "phone, first initial", _phone, _initial),
    _recipe(7, "first by sound, house number, street", _first_sound, _number, _street),
    _recipe(
        8, "first by sound, middle initial, house number, street", _first_sound, _middle, _number,
        _street,
    ),
    _recipe(9, "last, middle initial, house number, street", _last, _middle, _number, _street),
    _recipe(
        10, "first initial, last's first three, house number, ZIP", _initial, _last_three, _number,
        _zip,
    ),
    _recipe(11, "first root, birth date", _root, _date),
    _recipe(12, "last by sound, birth date", _last_sound, _date),
    _recipe(13, "first initial, last's first three, birth date", _initial, _last_three, _date),
    _recipe(14, "birth date, house number", _date, _number),
)  # fmt: skip


def _of(piece: Callable[[Record], str]) -> frozenset[int]:
    return frozenset(at for at, recipe in enumerate(RECIPES) if piece in recipe.pieces)


DATED = _of(_date)
"""The recipes that a roll of birth years has no token for, by number."""
PHONED = _of(_phone)
"""... of a roll without phones."""
ZIPPED = _of(_zip)
"""... of one without ZIPs."""


def _lv(piece: bytes) -> bytes:
    return len(piece).to_bytes(2, "big") + piece


def _input(id: str, pieces: tuple[str, ...]) -> bytes | None:
    if not all(pieces):
        # Never an input with an empty field: it would match every other empty one.
        return None
    parts = [DOMAIN, b"\x00", _lv(id.encode())]
    parts += [_lv(piece.encode()) for piece in pieces]
    return b"".join(parts)


def token_inputs(record: Record) -> tuple[bytes | None, ...]:
    """The input of each recipe's token, in the order of ``RECIPES``; None where a field is missing.

    Source:
        spec of tokens, "Input of a token": domain, 00, LV(recipe id), LV(field)..., with 2-byte
        big-endian lengths.
    """
    return tuple(
        _input(recipe.id, tuple(piece(record) for piece in recipe.pieces)) for recipe in RECIPES
    )


def address_input(email: str) -> bytes:
    """The input of the address token: the normalised address alone, under a recipe id of its own.

    Raises:
        ValueError: it is no address; a reader of lists has refused such a row before.
    """
    folded = normalise.email(email)
    if not folded:
        raise ValueError("not an email address")
    made = _input(f"{normalise.VERSION}/address", (folded,))
    assert made is not None
    return made


def fingerprint() -> str:
    """SHA-256 over the recipes' ids and words: weights trained for other recipes are refused."""
    said = "\n".join(f"{recipe.id} {recipe.says}" for recipe in RECIPES)
    return hashlib.sha256(said.encode()).hexdigest()

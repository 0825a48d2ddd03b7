"""How full a list is: which fields its rows have, and by how many recipes each could be met.

Counts of one's own list alone, made where the list is; nothing of a roll or of another list.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cache

from matching.normalise import Address, Birth
from matching.recipes import RECIPES, Record, token_inputs

__all__ = ["FEW", "FIELDS", "Fullness"]

FIELDS = (
    "first name", "last name", "middle name", "phone", "birth date", "birth year", "house number",
    "street", "ZIP",
)  # fmt: skip
"""A birth date counts as a year, too."""
FEW = 2
"""A row with fewer recipes than this is seldom found: a name alone is not enough in a city."""

Pattern = tuple[bool, ...]
"""Which of ``FIELDS`` a row has."""


@dataclass(slots=True)
class Fullness:
    """Rows by what they have; filled while a list is read."""

    _patterns: Counter[Pattern] = field(default_factory=Counter)

    def add(self, record: Record) -> None:
        """Count one row."""
        born, lives = record.birth, record.address
        self._patterns[
            bool(record.first),
            bool(record.last),
            bool(record.middle),
            bool(record.phone),
            bool(born and born.month),
            bool(born),
            bool(lives and lives.number),
            bool(lives and lives.street),
            bool(record.zip),
        ] += 1

    @property
    def rows(self) -> int:
        """How many rows were counted."""
        return self._patterns.total()

    def fields(self) -> dict[str, int]:
        """How many rows have each field."""
        return {
            name: sum(count for pattern, count in self._patterns.items() if pattern[at])
            for at, name in enumerate(FIELDS)
        }

    def recipes(self) -> dict[str, int]:
        """How many rows each recipe can be asked of, by what it is made of."""
        return {
            recipe.says: sum(count for one, count in self._patterns.items() if _asked(one)[at])
            for at, recipe in enumerate(RECIPES)
        }

    def few(self) -> int:
        """Rows that fewer than ``FEW`` recipes can be asked of."""
        return sum(count for one, count in self._patterns.items() if sum(_asked(one)) < FEW)

    def helps(self) -> dict[str, int]:
        """Of each field, how many of those rows would have enough recipes if they had it too."""
        found = {}
        for at, name in enumerate(FIELDS):
            found[name] = sum(
                count
                for one, count in self._patterns.items()
                if not one[at] and sum(_asked(one)) < FEW <= sum(_asked(_with(one, at)))
            )
        return {name: count for name, count in found.items() if count}


def _with(one: Pattern, at: int) -> Pattern:
    """The pattern with one field more; a birth date brings its year, a street its number."""
    along = {4: (4, 5), 6: (6, 7), 7: (6, 7)}.get(at, (at,))
    return tuple(has or n in along for n, has in enumerate(one))


@cache
def _asked(one: Pattern) -> Pattern:
    """Which recipes have all their fields: asked of a made-up row that has just these."""
    first, last, middle, phone, date, year, number, street, zip_ = one
    record = Record(
        first="ann" if first else "",
        middle="b" if middle else "",
        last="lee" if last else "",
        phone="+13035550100" if phone else "",
        birth=Birth(1980, 5 if date else 0, 17 if date else 0) if year else None,
        address=Address("12" if number else "", "elm st" if street else "", "", "")
        if number or street
        else None,
        zip="80202" if zip_ else "",
    )
    return tuple(each is not None for each in token_inputs(record))

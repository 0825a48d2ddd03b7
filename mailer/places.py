"""Where a reader votes, and which place blocks of a letter are therefore shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

KINDS = ("precinct", "zip", "district")


@dataclass(frozen=True, slots=True)
class Place:
    """Where one reader is registered, as the voter file codes it; nobody's home."""

    precinct: str = field(default="", repr=False)
    zip: str = field(default="", repr=False)
    districts: frozenset[str] = field(default=frozenset(), repr=False)

    def lies_in(self, codes: Mapping[str, Sequence[str]]) -> bool:
        """Whether it is one of these places; ``codes`` by kind."""
        return (
            (bool(self.precinct) and self.precinct in codes.get("precinct", ()))
            or (bool(self.zip) and self.zip in codes.get("zip", ()))
            or not self.districts.isdisjoint(codes.get("district", ()))
        )


@dataclass(frozen=True, slots=True)
class PlaceBlock:
    """A part of a letter for some places.

    Args:
        line: where it stands in its template.
        codes: the places that are shown it, by kind; empty for the rest.
        rest_of: the blocks right before it; it is shown to whom none of them is.
    """

    line: int
    codes: Mapping[str, tuple[str, ...]]
    rest_of: tuple[int, ...] = ()


def shown(blocks: Sequence[PlaceBlock], place: Place) -> frozenset[int]:
    """Return the numbers of the blocks that a reader there is shown."""
    named = {number for number, block in enumerate(blocks) if place.lies_in(block.codes)}
    rest = {
        number
        for number, block in enumerate(blocks)
        if block.rest_of and named.isdisjoint(block.rest_of)
    }
    return frozenset(named | rest)

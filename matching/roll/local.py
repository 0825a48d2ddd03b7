"""A voter's county and local districts as codes that say their kind, and where one lies."""

from __future__ import annotations

from collections.abc import Mapping

from matching.roll.layout import state
from matching.roll.voters import Voter

__all__ = ["county_names", "districts_of", "local_codes"]

_PIECES = frozenset({"split", "precinct part"})
"""Smaller than a precinct: no district of anybody's."""
_TOWNS = ("municipality", "city", "village", "town", "township")
"""What a ward is a ward of; a county can have many a ward 3."""


def county_names(code: str) -> dict[str, str]:
    """A state's counties: FIPS code to name."""
    return dict(state(code).counties.values())


def local_codes(voter: Voter, counties: Mapping[str, str]) -> tuple[str, ...]:
    """Codes such as "Douglas County" and "School board 3 (Douglas County)", sorted.

    A district that lies in several counties has a code in each; together they are the district.
    """
    name = counties.get(voter.county, voter.county)
    if not name:
        return ()
    county, named = f"{name} County", dict(voter.places)
    town = next((named[kind] for kind in _TOWNS if kind in named), "")
    found = {county}
    for kind, code in voter.places:
        if kind in _PIECES:
            continue
        inside = f"{town} in {county}" if kind == "ward" and town else county
        found.add(f"{kind.capitalize()} {code} ({inside})")
    return tuple(sorted(one.replace("|", " ") for one in found))


def districts_of(voter: Voter, counties: Mapping[str, str]) -> frozenset[str]:
    """Every district a voter lives in, of any kind."""
    wide = (voter.congressional, voter.senate, voter.house)
    return frozenset((*(one for one in wide if one), *local_codes(voter, counties)))

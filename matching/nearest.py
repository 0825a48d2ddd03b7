"""The messenger who lives closest: same precinct, then same ZIP, then by distance; ties are fixed.

For one voter, by where the roll tells that they live, and for all voters of an audience's places.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from matching.geography import Point, Points, distance

__all__ = ["Chart", "Nearest", "Spot", "for_audience", "nearness", "ranked"]

SAME_PRECINCT, SAME_ZIP, ELSEWHERE = range(3)


@dataclass(frozen=True, slots=True)
class Spot:
    """Where somebody lives, as far as it is told: a ZIP, a precinct, either or neither."""

    zip: str = ""
    precinct: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """Points of ZIPs and of precincts, as an installation has them; a precinct's is the sharper."""

    zips: Points = field(default_factory=dict)
    precincts: Points = field(default_factory=dict)

    def point(self, spot: Spot) -> Point | None:
        """Where a spot is, if anything tells."""
        return self.precincts.get(spot.precinct) or self.zips.get(spot.zip)


@dataclass(frozen=True, slots=True)
class Nearest:
    """One messenger and an audience: the nearest to ``first`` of its voters; kilometres on average.

    ``km`` is None where no point tells it.
    """

    id: str
    first: int
    km: float | None


def ranked(home: Spot, messengers: Mapping[str, Spot], chart: Chart) -> tuple[str, ...]:
    """Every messenger's id, the nearest to one voter first.

    Whoever has no point comes after all who have one. Equally near ones are in the order of their
    ids, so that a voter has the same messenger however they are asked for.
    """
    return tuple(sorted(messengers, key=lambda one: (*nearness(home, messengers[one], chart), one)))


def for_audience(
    voters: Mapping[Spot, int], messengers: Mapping[str, Spot], chart: Chart
) -> tuple[Nearest, ...]:
    """The messengers for one letter to all: who is nearest to most of the voters stands first.

    Args:
        voters: how many live at each spot.
    """
    first: Counter[str] = Counter()
    for home, count in voters.items():
        if messengers and _told(home, messengers.values(), chart):
            first[ranked(home, messengers, chart)[0]] += count
    found = [Nearest(id, first[id], _mean(voters, spot, chart)) for id, spot in messengers.items()]
    return tuple(sorted(found, key=_order))


def _order(one: Nearest) -> tuple[int, float, str]:
    return -one.first, math.inf if one.km is None else one.km, one.id


def nearness(home: Spot, there: Spot, chart: Chart) -> tuple[int, float]:
    """How near two live: what they share first, then kilometres, infinite where nothing tells."""
    if home.precinct and home.precinct == there.precinct:
        return SAME_PRECINCT, 0.0
    if home.zip and home.zip == there.zip:
        return SAME_ZIP, _km(home, there, chart)
    return ELSEWHERE, _km(home, there, chart)


def _km(home: Spot, there: Spot, chart: Chart) -> float:
    at, to = chart.point(home), chart.point(there)
    return math.inf if at is None or to is None else distance(at, to)


def _told(home: Spot, messengers: Iterable[Spot], chart: Chart) -> bool:
    """Whether anything tells who is nearest; otherwise a voter counts for nobody."""
    return any(nearness(home, one, chart) < (ELSEWHERE, math.inf) for one in messengers)


def _mean(voters: Mapping[Spot, int], there: Spot, chart: Chart) -> float | None:
    known = {home: _km(home, there, chart) for home in voters}
    told = {home: km for home, km in known.items() if km < math.inf}
    count = sum(voters[home] for home in told)
    return sum(km * voters[home] for home, km in told.items()) / count if count else None

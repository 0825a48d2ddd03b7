"""The nearest messenger: same precinct, same ZIP, then distance; equal ones in a fixed order."""

from __future__ import annotations

import random

import pytest

from matching.nearest import Chart, Nearest, Spot, for_audience, ranked

# A degree of latitude is 111.2 km: points on one meridian, a hundredth of a degree apart.
ZIPS = {f"8000{n}": (39.0 + n / 100, -105.0) for n in range(6)}
CHART = Chart(ZIPS, {"P1": (39.0, -105.0), "P2": (39.02, -105.0)})


def test_precinct_goes_before_zip_and_zip_before_distance() -> None:
    home = Spot("80000", "P1")
    messengers = {
        "far": Spot("80005"),
        "near": Spot("80001"),
        "same zip": Spot("80000"),
        "same precinct": Spot("80005", "P1"),
        "unknown": Spot("99999"),
    }
    assert ranked(home, messengers, CHART) == (
        "same precinct", "same zip", "near", "far", "unknown",
    )  # fmt: skip
    assert ranked(home, messengers, Chart())[:2] == ("same precinct", "same zip")


def test_a_precincts_point_is_sharper_than_the_zips() -> None:
    messengers = {"a": Spot("80000", "P2"), "b": Spot("80001")}
    assert ranked(Spot("80002"), messengers, CHART) == ("a", "b")  # by its ZIP b would be nearer
    assert ranked(Spot("80002"), messengers, Chart(ZIPS)) == ("b", "a")


def test_equally_near_ones_come_in_one_order_however_they_are_asked_for() -> None:
    messengers = {name: Spot("80003") for name in ("c", "a", "b")} | {"d": Spot("80001")}
    for seed in range(5):
        shuffled = list(messengers.items())
        random.Random(seed).shuffle(shuffled)
        assert ranked(Spot("80002"), dict(shuffled), CHART) == ("a", "b", "c", "d")
    nowhere = Spot()
    assert ranked(nowhere, messengers, CHART) == ("a", "b", "c", "d")
    # An empty ZIP or precinct is not told: it is no place that two people share.
    assert ranked(nowhere, {"z": Spot(), "a": Spot("80001")}, CHART) == ("a", "z")


def test_for_an_audience_it_is_who_is_nearest_to_most_and_then_who_is_nearer() -> None:
    voters = {Spot("80000"): 60, Spot("80005"): 30, Spot("", "P9"): 10}
    messengers = {"south": Spot("80001"), "north": Spot("80004"), "lost": Spot("99999")}
    found = for_audience(voters, messengers, CHART)
    assert [(one.id, one.first) for one in found] == [("south", 60), ("north", 30), ("lost", 0)]
    assert found[0].km == pytest.approx((60 * 1.112 + 30 * 4.448) / 90, rel=1e-3)
    assert found[2].km is None
    even = for_audience({Spot("80000"): 5, Spot("80005"): 5}, messengers, CHART)
    assert [one.id for one in even[:2]] == ["north", "south"]  # a tie, and the same mean: by id
    assert for_audience(voters, {}, CHART) == ()
    assert for_audience({}, messengers, CHART)[0] == Nearest("lost", 0, None)


def test_without_any_point_whoever_shares_a_zip_or_a_precinct_is_still_found() -> None:
    voters = {Spot("80000", "P1"): 7, Spot("80005", "P2"): 5}
    found = for_audience(voters, {"a": Spot("80005"), "b": Spot("", "P1")}, Chart())
    assert [(one.id, one.first, one.km) for one in found] == [("b", 7, None), ("a", 5, None)]

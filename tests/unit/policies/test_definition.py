"""Equal questions have one spelling; forbidden ones have none."""

from typing import Any

import pytest

from policies.definition import key, normal_form
from policies.errors import DefinitionRefused

CATALOGUE = {
    "district": {"State House 44": 40_000, "State House 45": 39_000},
    "precinct": {"T-1": 900, "T-2": 700, "T-tiny": 499},
    "zip": {"43604": 12_000},
}


def test_order_and_repeats_do_not_matter() -> None:
    one = normal_form({"places": {"precinct": ["T-2", "T-1", "T-2"], "zip": []}}, CATALOGUE)
    assert one == {"places": {"precinct": ["T-1", "T-2"]}}
    assert key(one) == key(normal_form({"places": {"precinct": ("T-1", "T-2")}}, CATALOGUE))


def test_every_band_is_no_band() -> None:
    places = {"zip": ["43604"]}
    everyone = normal_form({"places": places}, CATALOGUE)
    assert (
        normal_form({"places": places, "votes": ["3-4", "0", "new", "1-2"]}, CATALOGUE) == everyone
    )
    assert normal_form({"places": places, "votes": ["3-4", "0", "1-2"]}, CATALOGUE) != everyone
    assert normal_form({"places": places, "votes": []}, CATALOGUE) == everyone
    assert normal_form({"places": places, "votes": None}, CATALOGUE) == everyone


def test_a_place_inside_a_chosen_place_disappears() -> None:
    inside = {
        ("district", "State House 44"): [("zip", "43604")],
        ("zip", "43604"): [("precinct", "T-1")],
    }
    asked = {"places": {"district": ["State House 44"], "precinct": ["T-1", "T-2"]}}
    found = normal_form(asked, CATALOGUE, containment=inside)
    assert found["places"] == {"district": ["State House 44"], "precinct": ["T-2"]}


def test_two_names_of_one_area_keep_one() -> None:
    inside = {("zip", "43604"): [("precinct", "T-1")], ("precinct", "T-1"): [("zip", "43604")]}
    asked = {"places": {"zip": ["43604"], "precinct": ["T-1"]}}
    assert normal_form(asked, CATALOGUE, containment=inside)["places"] == {"precinct": ["T-1"]}


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({}, "places"),
        ({"places": {}}, "places"),
        ({"places": {"precinct": []}}, "places"),
        ({"places": {"street": ["Main"]}}, "places"),
        ({"places": {"precinct": ["T-9"]}}, "places.precinct"),
        ({"places": {"precinct": ["T-tiny"]}}, "places.precinct"),
        ({"places": {"precinct": "T-1"}}, "places.precinct"),
        ({"places": {"precinct": [1]}}, "places.precinct"),
        ({"places": {"zip": ["43604"]}, "not": {}}, "definition"),
        ({"places": {"zip": ["43604"]}, "partner": "union"}, "definition"),
        ({"places": {"zip": ["43604"]}, "party": ["D"]}, "definition"),
        ({"places": {"zip": ["43604"]}, "age": ["37"]}, "age"),
        ([], "definition"),
    ],
)
def test_what_may_not_be_asked_is_refused(raw: Any, field: str) -> None:
    with pytest.raises(DefinitionRefused) as refused:
        normal_form(raw, CATALOGUE)
    assert refused.value.field == field


def test_a_small_place_and_no_place_are_refused_in_the_same_words() -> None:
    said = []
    for code in ("T-tiny", "T-nowhere"):
        with pytest.raises(DefinitionRefused) as refused:
            normal_form({"places": {"precinct": [code]}}, CATALOGUE)
        said.append(str(refused.value))
    assert said[0] == said[1]

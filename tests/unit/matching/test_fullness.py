"""What a list has, counted in its own rows alone: fields, recipes, and what would help."""

from __future__ import annotations

from matching.fullness import FEW, FIELDS, Fullness
from matching.recipes import RECIPES, Record, make_record, token_inputs
from matching.training import sample


def full(*records: Record) -> Fullness:
    found = Fullness()
    for record in records:
        found.add(record)
    return found


def test_the_recipes_of_a_list_are_counted_as_its_rows_would_be_asked() -> None:
    town = sample(77, voters=600, members=200, dated=True)
    records = [record for _, record in town.members()]
    found = full(*records)
    inputs = [token_inputs(record) for record in records]
    exact = {
        recipe.says: sum(row[at] is not None for row in inputs) for at, recipe in enumerate(RECIPES)
    }
    assert found.recipes() == exact
    assert found.rows == len(records)
    assert found.few() == sum(len([one for one in row if one]) < FEW for row in inputs)
    assert found.fields()["ZIP"] == sum(bool(record.zip) for record in records)
    assert 0 < found.fields()["birth date"] <= found.fields()["birth year"] < found.rows


def test_a_row_with_a_name_alone_is_seldom_found_and_what_would_help_is_said() -> None:
    bare = make_record(first="Ann", last="Lee")
    found = full(bare, bare, make_record(first="Bo", last="Ray", zip="80202"))
    assert (found.few(), found.rows) == (2, 3)
    assert found.helps()["ZIP"] == 2
    assert found.helps()["phone"] == 2
    assert "last name" not in found.helps()  # they have one
    assert found.fields()["first name"] == 3
    helped = make_record(first="Ann", last="Lee", zip="80202")
    assert full(helped).few() == 0
    street = make_record(first="Ann", last="Lee", address="12 Elm St")
    assert found.helps()["street"] == 2
    assert full(street).few() == 0


def test_an_empty_list_has_nothing() -> None:
    found = full()
    assert (found.rows, found.few(), found.helps()) == (0, 0, {})
    assert set(found.fields()) == set(FIELDS)

"""Token inputs have the bytes of the spec, and nothing empty ever becomes one."""

from matching.recipes import (
    DATED,
    DOMAIN,
    RECIPES,
    Record,
    address_input,
    make_record,
    token_inputs,
)

FULL = make_record(
    first="Bill", middle="T", last="Smith", phone="(303) 555-0134", birth="1970-03-05",
    address="12 Oak St", zip="80202",
)  # fmt: skip


def test_an_input_is_domain_zero_and_length_prefixed_pieces() -> None:
    lv = [RECIPES[0].id.encode(), b"william", b"smith"]
    wanted = DOMAIN + b"\0" + b"".join(len(p).to_bytes(2, "big") + p for p in lv)
    assert token_inputs(FULL)[0] == wanted


def test_a_full_record_has_every_token_and_all_differ() -> None:
    inputs = token_inputs(FULL)
    assert len(inputs) == len(RECIPES) <= 14
    assert None not in inputs
    assert len(set(inputs)) == len(RECIPES)


def test_a_missing_field_leaves_out_exactly_the_recipes_that_need_it() -> None:
    inputs = token_inputs(make_record(first="Ana", last="Ruiz", zip="80202"))
    present = {recipe.says for recipe, each in zip(RECIPES, inputs, strict=True) if each}
    assert present == {"first root, last", "both names in either order, ZIP"}
    assert token_inputs(Record()) == (None,) * len(RECIPES)


def test_a_nickname_and_a_year_agree_with_the_roll() -> None:
    roll = make_record(first="WILLIAM", last="SMITH", birth="1970", zip="80202")
    mine = make_record(first="William", last="Smith", birth="3/5/1970", zip="80202-1234")
    nick = make_record(first="Bill", last="Smith", birth="3/5/1970", zip="80202-1234")
    said = dict(zip(token_inputs(roll), (recipe.says for recipe in RECIPES), strict=True))
    assert {said[one] for one in token_inputs(mine) if one in said and one} == {
        "first root, last", "both names in either order, ZIP",
        "both names in either order, birth year",
    }  # fmt: skip
    assert {said[one] for one in token_inputs(nick) if one in said and one} == {"first root, last"}


def test_a_year_alone_has_no_token_of_a_whole_date_and_differs_from_none() -> None:
    whole = token_inputs(make_record(first="Ana", last="Ruiz", birth="1970-03-05", zip="80202"))
    year = token_inputs(make_record(first="Ana", last="Ruiz", birth="1970", zip="80202"))
    assert {at for at, one in enumerate(year) if one is None} >= DATED
    assert all(whole[at] is not None for at in DATED if "number" not in RECIPES[at].says)
    assert all(a == b for a, b in zip(whole, year, strict=True) if a and b)


def test_swapped_names_agree_once_and_no_recipe_is_one_field() -> None:
    one = token_inputs(make_record(first="Ana", last="Ruiz", zip="80202"))
    other = token_inputs(make_record(first="Ruiz", last="Ana", zip="80202"))
    assert sum(a is not None and a == b for a, b in zip(one, other, strict=True)) == 1
    assert all(len(recipe.pieces) >= 2 for recipe in RECIPES)


def test_the_address_token_is_of_the_mailbox() -> None:
    assert address_input("A.B+x@gmail.com") == address_input("ab@googlemail.com")
    assert address_input("a.b+x@example.org") != address_input("ab@example.org")
    assert repr(FULL) == "Record()"

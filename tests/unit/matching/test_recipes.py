"""Token inputs have the bytes of the spec, and nothing empty ever becomes one."""

from matching.recipes import DOMAIN, RECIPES, Record, address_input, make_record, token_inputs

FULL = make_record(
    first="Bill", middle="T", last="Smith", phone="(303) 555-0134", birth="1970",
    address="12 Oak St", zip="80202",
)  # fmt: skip


def test_an_input_is_domain_zero_and_length_prefixed_pieces() -> None:
    lv = [RECIPES[0].id.encode(), b"william", b"smith", b"80202"]
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
    assert present == {
        "first root, last, ZIP", "first by sound, last by sound, ZIP",
        "both names in either order, ZIP",
    }  # fmt: skip
    assert token_inputs(Record()) == (None,) * len(RECIPES)


def test_a_nickname_and_a_year_agree_with_the_roll() -> None:
    roll = make_record(first="WILLIAM", last="SMITH", birth="1970", zip="80202")
    mine = make_record(first="Bill", last="Smith", birth="3/5/1970", zip="80202-1234")
    assert [a == b for a, b in zip(token_inputs(roll), token_inputs(mine), strict=True)].count(
        True
    ) >= 8


def test_swapped_names_agree_once_and_no_recipe_is_one_field() -> None:
    one = token_inputs(make_record(first="Ana", last="Ruiz", zip="80202"))
    other = token_inputs(make_record(first="Ruiz", last="Ana", zip="80202"))
    assert sum(a is not None and a == b for a, b in zip(one, other, strict=True)) == 1
    assert all(len(recipe.pieces) >= 2 for recipe in RECIPES)


def test_the_address_token_is_of_the_mailbox() -> None:
    assert address_input("A.B+x@gmail.com") == address_input("ab@googlemail.com")
    assert address_input("a.b+x@example.org") != address_input("ab@example.org")
    assert repr(FULL) == "Record()"

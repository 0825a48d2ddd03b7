"""A table of places is read cell by cell or refused by row and column, and says no more."""

from __future__ import annotations

import pytest

from mailer.errors import PlacesRefused
from mailer.fields import PLACE_DAYS, PLACE_TEXTS
from mailer.polling import PlaceTable, load, read

HEADER = "precinct,polling_place,polling_place_es,polling_hours,cure_deadline\n"
GOOD = (
    "\ufeff" + HEADER + '101,"Lincoln School, gym","Escuela Lincoln, gimnasio",,2026-11-10\n'
    "102,Fire Station 3,,,\n\n*,,,7 am to 7 pm,2026-11-12\n"
).encode()


def table(raw: bytes = GOOD) -> PlaceTable:
    return read(raw, file="places.csv", precincts={"101", "102", "103"})


def refused(raw: str | bytes) -> PlacesRefused:
    with pytest.raises(PlacesRefused) as why:
        table(raw if isinstance(raw, bytes) else raw.encode())
    return why.value


def test_a_precinct_has_its_own_facts_and_what_holds_everywhere() -> None:
    assert table().facts("101", "en") == {
        "polling_place": "Lincoln School, gym",
        "polling_hours": "7 am to 7 pm",
        "cure_deadline": "November 10",
    }
    assert table().facts("102", "en")["cure_deadline"] == "November 12"
    assert table().facts("999", "en") == {
        "polling_hours": "7 am to 7 pm",
        "cure_deadline": "November 12",
    }


def test_spanish_readers_get_the_spanish_cell_or_else_the_only_one() -> None:
    assert table().facts("101", "es")["polling_place"] == "Escuela Lincoln, gimnasio"
    assert table().facts("101", "es")["cure_deadline"] == "10 de noviembre"
    assert table().facts("102", "es")["polling_place"] == "Fire Station 3"


def test_every_fact_is_a_field_of_letters() -> None:
    said = table().facts("101", "es").keys()
    assert said <= {*PLACE_TEXTS, *PLACE_DAYS}


def test_a_table_is_named_by_what_it_says_and_comes_back_the_same() -> None:
    again = table(b"".join([HEADER.encode(), *reversed(GOOD.splitlines(keepends=True)[1:])]))
    assert again.digest() == table().digest()
    assert load(table().to_bytes()) == table()
    assert table(GOOD.replace(b"Station 3", b"Station 4")).digest() != table().digest()


def test_two_tables_are_compared_by_what_a_letter_uses() -> None:
    other = table(GOOD.replace(b"7 am", b"8 am"))
    assert other.only({"polling_place"}) == table().only({"polling_place"})
    assert other.only({"polling_hours"}) != table().only({"polling_hours"})
    spanish = table(GOOD.replace(b"Escuela", b"Colegio"))
    assert spanish.only({"polling_place"}) != table().only({"polling_place"})


@pytest.mark.parametrize(
    ("raw", "row", "column", "says"),
    [
        (HEADER + "104,x,,,\n", 2, "precinct", "no precinct of the voter file"),
        (HEADER + "101,x,,,\n101,y,,,\n", 3, "precinct", "has a row already"),
        (HEADER + "101,x\n", 2, "", "has 2 cells, not 5"),
        (HEADER + "101,x,,,11/10/2026\n", 2, "cure_deadline", "is no day"),
        (HEADER + "101,see evil.com,,,\n", 2, "polling_place", "looks like a link"),
        (HEADER + "101,{{ first_name }},,,\n", 2, "polling_place", "looks like a link"),
        (HEADER + "101,<b>x</b>,,,\n", 2, "polling_place", "looks like a link"),
        (HEADER + '101,"a\nb",,,\n', 2, "polling_place", "line break"),
        (HEADER + "101,a\u202eb,,,\n", 2, "polling_place", "hidden letter"),
        (HEADER + f"101,{'x' * 121},,,\n", 2, "polling_place", "longer than 120"),
        (HEADER, 2, "", "has no row"),
        ("", 1, "precinct", "is missing"),
        ("polling_place\nx\n", 1, "precinct", "is missing"),
        ("precinct,colour\n101,x\n", 1, "colour", "is not known"),
        ("precinct,polling_place,polling_place\n101,x,y\n", 1, "polling_place", "stands twice"),
        ('precinct,polling_place\n101,"x\n', 2, "", "is not CSV"),
        (b"precinct\n\xff\n", 0, "", "is not UTF-8"),
        (b"x" * (8 * 2**20 + 1), 0, "", "larger than 8 MB"),
    ],
)
def test_a_bad_cell_is_named_by_row_and_column_and_never_quoted(
    raw: str | bytes, row: int, column: str, says: str
) -> None:
    why = refused(raw)
    assert (why.file, why.row, why.column) == ("places.csv", row, column)
    assert says in why.why
    assert "evil" not in str(why)

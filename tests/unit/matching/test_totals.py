"""A count that differs by one voter is named by its precinct; a merged precinct is not missing."""

from pathlib import Path

import pytest

from matching.errors import RollRefused
from matching.totals import check_slice, differences, read_totals


def test_one_voter_too_few_is_named_and_equal_counts_are_not() -> None:
    (wrong,) = differences({"1": 812, "2": 40}, {"1": 811, "2": 40})
    assert str(wrong) == "precinct 1: 812 expected, 811 read (-1)"
    assert differences({"1": 812}, {"1": 812}) == ()


def test_a_precinct_that_only_one_side_has_is_a_difference() -> None:
    found = differences({"1": 5}, {"2": 5})
    assert [(one.precinct, one.expected, one.found) for one in found] == [("1", 5, 0), ("2", 0, 5)]


def test_official_totals_are_read_with_other_columns_beside_them(tmp_path: Path) -> None:
    path = tmp_path / "totals.csv"
    path.write_text('County,Precinct,Registered\nDouglas,001,"1,204"\nDouglas,002,7\n')
    assert read_totals(path) == ("registered", {"001": 1204, "002": 7})
    path.write_text("precinct,active\n001,3\n")
    assert read_totals(path) == ("active", {"001": 3})


@pytest.mark.parametrize(
    ("written", "where"),
    [
        ("precinct,voters\n1,2\n", "registered"),
        ("precinct,registered\n1,2\n1,3\n", "row 3, precinct"),
        ("precinct,registered\n,2\n", "row 2, precinct"),
        ("precinct,registered\n1,some\n", "row 2, registered"),
        ("precinct,registered\n1\n", "row 2, registered"),
        ("precinct,registered\nDo\xf1a,some\n", "CSV UTF-8"),
        (f'precinct,registered\n"{"x" * 200_000}\n', "CSV UTF-8"),
    ],
)
def test_totals_that_cannot_be_read_say_where(tmp_path: Path, written: str, where: str) -> None:
    path = tmp_path / "totals.csv"
    path.write_text(written, encoding="latin-1")
    with pytest.raises(RollRefused) as refused:
        read_totals(path)
    assert where in str(refused.value)
    assert "some" not in str(refused.value)


def test_a_slice_holds_each_precinct_or_has_merged_it_whole() -> None:
    voters = {"1": 40, "2": 3, "": 5}
    assert check_slice(voters, {"1": 40, "": 8}) == ("2",)
    for rows in ({"1": 39, "": 9}, {"1": 40, "2": 2, "": 6}, {"1": 40, "": 7}):
        with pytest.raises(RollRefused):
            check_slice(voters, rows)

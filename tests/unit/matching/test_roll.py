"""Colorado's files: read as text, bad lines set aside, an unknown header stops."""

import csv
from datetime import date
from pathlib import Path

import pytest

from matching.errors import RollRefused
from matching.roll import co
from matching.roll.reader import open_roll

NAME = "EX-003_Master_Voter_List_Part1.txt"


def _row(**cells: str) -> list[str]:
    row = dict.fromkeys(co.MASTER.columns, "") | {
        "VOTER_ID": "600", "FIRST_NAME": "ANA", "LAST_NAME": "NÚÑEZ", "STATUS": "Active",
        "PRECINCT": "6304418001", "BIRTH_YEAR": "1970", "HOUSE_NUM": "12", "STREET_NAME": "OAK",
        "STREET_TYPE": "ST", "RESIDENTIAL_ZIP_CODE": "08021", "STATE_HOUSE": "State House 44",
    }  # fmt: skip
    return list((row | cells).values())


def _folder(
    tmp_path: Path,
    rows: list[list[str]],
    *,
    header: tuple[str, ...] = co.MASTER.columns,
    encoding: str = "latin-1",
    history: list[list[str]] | None = None,
) -> Path:
    with (tmp_path / NAME).open("w", encoding=encoding, newline="") as text:
        csv.writer(text, quoting=csv.QUOTE_ALL).writerows([list(header), *rows])
    if history is not None:
        with (tmp_path / "EX-002_Public_Voting_History_List_Part1.txt").open("w") as text:
            csv.writer(text).writerows([list(co.EX_002.columns), *history])
    return tmp_path


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8-sig"])
def test_a_voter_is_read_with_leading_zeros_and_accents(tmp_path: Path, encoding: str) -> None:
    (voter,) = open_roll(_folder(tmp_path, [_row()], encoding=encoding)).voters()
    assert (voter.zip, voter.record.last, voter.birth_year) == ("08021", "nunez", 1970)
    assert (voter.house, voter.household) == ("State House 44", "12 oak st|08021")
    assert repr(voter) == "Voter()"


def test_all_dated_layouts_differ_and_the_one_in_use_has_51_columns() -> None:
    assert len(co.MASTER.columns) == 51
    assert len({layout.columns for layout in co.LAYOUTS}) == len(co.LAYOUTS)


def test_an_unknown_header_stops_with_its_difference(tmp_path: Path) -> None:
    header = tuple("BIRTH_DATE" if name == "BIRTH_YEAR" else name for name in co.MASTER.columns)
    with pytest.raises(RollRefused) as refused:
        open_roll(_folder(tmp_path, [], header=header))
    assert (refused.value.missing, refused.value.new) == (("BIRTH_YEAR",), ("BIRTH_DATE",))


def test_a_header_in_another_order_says_from_where(tmp_path: Path) -> None:
    header = (co.MASTER.columns[1], co.MASTER.columns[0], *co.MASTER.columns[2:])
    with pytest.raises(RollRefused, match="another order, from column 1"):
        open_roll(_folder(tmp_path, [], header=header))


def test_a_file_without_header_does_not_show_its_first_voter(tmp_path: Path) -> None:
    with pytest.raises(RollRefused) as refused:
        open_roll(_folder(tmp_path, [], header=tuple(_row(LAST_NAME="CANARY 77"))))
    assert "CANARY 77" not in str(refused.value)


def test_bad_lines_are_counted_and_quoted_nowhere(tmp_path: Path) -> None:
    rows = [
        _row(), _row(VOTER_ID="canary"), _row()[:40], _row(VOTER_ID="601", PRECINCT="1"),
        _row(VOTER_ID="602", STATUS="Cancelled"), _row(), _row(VOTER_ID="603", STATUS="Inactive"),
    ]  # fmt: skip
    roll = open_roll(_folder(tmp_path, rows))
    assert [voter.voter_id for voter in roll.voters()] == ["600", "603"]
    assert [bad.row for bad in roll.quarantined] == [3, 4, 5, 6, 7]
    assert "canary" not in str([str(bad) for bad in roll.quarantined])


def test_history_is_tied_by_voter_and_typo_dates_are_set_aside(tmp_path: Path) -> None:
    rest = ["", "Mail", "", "Douglas"]
    history = [
        ["600", "General", "11/5/2024", *rest], ["600", "Primary", "06/28/2022", *rest],
        ["600", "General", "11/06/0202", *rest], ["601", "General", "11/08/2022", *rest],
    ]  # fmt: skip
    roll = open_roll(_folder(tmp_path, [_row()], history=history))
    (voter,) = roll.voters()
    assert voter.votes == {date(2024, 11, 5), date(2022, 6, 28)}
    assert roll.generals == {date(2024, 11, 5), date(2022, 11, 8)}
    assert [bad.row for bad in roll.history_quarantined] == [4]


def test_no_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(RollRefused, match="EX-003"):
        open_roll(tmp_path)


def test_the_digest_is_of_every_file(tmp_path: Path) -> None:
    before = open_roll(_folder(tmp_path, [_row()], history=[])).source_digest()
    with (tmp_path / "EX-002_Public_Voting_History_List_Part1.txt").open("a") as text:
        text.write("\n")
    assert open_roll(tmp_path).source_digest() != before

"""Labelled files are read as they are described, and refused by file, row and column."""

from pathlib import Path

import pytest

from matching import labelled
from matching.errors import LabelsRefused
from matching.recipes import Record, make_record


def put(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, "utf-8")
    return folder / name


def test_any_column_but_the_id_may_be_missing_or_stand_anywhere(tmp_path: Path) -> None:
    text = (
        "\ufeffZIP,last,id,street,house_number,unit,dob,class\n"
        "80202,Ruiz,a,Oak St,12,4,1970-03-05,x\n\n80203,Li,b,,,,1971,\n"
    )
    people = labelled.open_people(put(tmp_path, "p.csv", text))
    assert people.ignored == ("class",)
    assert list(people.records()) == [
        make_record(last="Ruiz", address="12 Oak St # 4", zip="80202", birth="1970-03-05"),
        make_record(last="Li", zip="80203", birth="1971"),
    ]
    assert people.numbers() == {"a": 0, "b": 1}


def test_what_cannot_be_read_in_a_cell_is_missing_and_counted(tmp_path: Path) -> None:
    text = "id,dob,zip,phone\n1,,,\n2,13/32,?,none\n3,1970,80202,\n4,someday,,\n"
    people = labelled.open_people(put(tmp_path, "p.csv", text))
    for _ in range(2):  # read again, nothing is counted twice
        read = list(people.records())
        assert read == [Record(), Record(), make_record(birth="1970", zip="80202"), Record()]
        assert people.unread == {
            "dob": labelled.Unread(2, 3), "zip": labelled.Unread(1, 3),
            "phone": labelled.Unread(1, 3),
        }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "p.csv, row 1: is empty"),
        ("first,last\nA,B\n", "p.csv, row 1, column id: is not in the header"),
        ("id,zip,Zip\n", "p.csv, row 1, column zip: is in the header twice"),
        ("m1,Ann,Ann\n", "p.csv, row 1, column id: is not in the header"),
        ("id,first\na,b\nc\n", "p.csv, row 3: has 1 cells where the header has 2"),
        ("id,first\na,b\n,b\n", "p.csv, row 3, column id: is empty"),
        ("id,first\na,b\na,c\n", "p.csv, row 3, column id: was in an earlier row"),
        ('id,first\na,"b\n', "p.csv, row 2: has a quotation mark"),
        (f"id,first\na,b\nc,{'x' * 140_000}\n", "p.csv, row 3: has a cell longer than 131,072"),
    ],
)
def test_a_file_of_people_that_is_none_is_refused_where_it_goes_wrong(
    tmp_path: Path, text: str, says: str
) -> None:
    with pytest.raises(LabelsRefused) as refused:
        list(labelled.open_people(put(tmp_path, "p.csv", text)).records())
    assert str(refused.value).startswith(says)


@pytest.mark.parametrize("row", [1, 2, 3, 2500])
def test_a_file_that_is_not_utf_8_is_refused_where_it_is_not(tmp_path: Path, row: int) -> None:
    lines = ["id,first", *(f"{n},b" for n in range(3000))]
    lines[row - 1] += "\xe9"
    (tmp_path / "p.csv").write_bytes("\n".join(lines).encode("latin-1"))
    with pytest.raises(LabelsRefused) as refused:
        list(labelled.open_people(tmp_path / "p.csv").records())
    assert str(refused.value) == f"p.csv, row {row}: is not UTF-8: save it so"


def test_columns_without_a_name_are_not_used_however_many(tmp_path: Path) -> None:
    people = labelled.open_people(put(tmp_path, "p.csv", "id,zip,,\na,80202,,x\n"))
    assert list(people.records()) == [make_record(zip="80202")]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("member_id,voter\n", "t.csv, row 1, column voter_id: is not in the header"),
        ("member_id,voter_id\nx,v\n", "t.csv, row 2, column member_id: is no id of m.csv"),
        ("member_id,voter_id\nm,x\n", "t.csv, row 2, column voter_id: is no id of v.csv"),
        ("member_id,voter_id\nm,v\nm,v\n", "t.csv, row 3, column member_id: was in an earlier"),
    ],
)
def test_a_truth_that_names_nobody_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(LabelsRefused) as refused:
        labelled.read_truth(
            put(tmp_path, "t.csv", text), {"m": 0}, {"v": 0}, files=("m.csv", "v.csv")
        )
    assert str(refused.value).startswith(says)


def test_a_member_without_a_voter_is_on_no_roll_and_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    labelled.write_truth(path, iter([("m", ""), ("n", "v")]))
    assert labelled.read_truth(path, {"m": 0, "n": 1}, {"v": 7}, files=("", "")) == {1: 7}
    labelled.write_people(tmp_path / "p.csv", iter([{"id": "a", "zip": "80202"}]))
    assert list(labelled.open_people(tmp_path / "p.csv").records()) == [make_record(zip="80202")]

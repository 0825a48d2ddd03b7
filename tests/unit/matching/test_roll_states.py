"""Six states' voter files, each in its true layout: who is read, who is left out, what is told."""

import gzip
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from matching.errors import RollRefused
from matching.roll import reader
from matching.roll.layout import STATES, Layout, state
from matching.roll.reader import Roll, open_roll
from matching.roll.text import decoded
from tests.fakes import rolls

VOTERS = [layout for code in STATES for layout in state(code).layouts if layout.what == "voters"]
ELECTION = date(2026, 11, 3)
BAD = ("short", "long", "null", "break", "id", "county", "twice")
QUOTES = ("quote", "open")


def named(layout: Layout) -> str:
    return f"{layout.state} {layout.since} {len(layout.columns)}"


def roll(
    folder: Path,
    layout: Layout,
    change: Callable[[int, dict[str, str]], None] = lambda _number, _row: None,
    count: int = 12,
) -> Roll:
    rows = list(rolls.voters(layout.state, count))
    for number, row in enumerate(rows, 1):
        change(number, row)
    rolls.write(folder / "file.txt", layout, rows)
    return open_roll(folder, last=ELECTION)


@pytest.mark.parametrize("layout", VOTERS, ids=named)
def test_every_layout_is_read_and_its_bad_lines_are_told_by_number(
    layout: Layout, tmp_path: Path
) -> None:
    bad = (*BAD, *(QUOTES if layout.quoted and layout.delimiters == (",",) else ()))
    planted = rolls.write(
        tmp_path / "file.txt", layout, rolls.voters(layout.state, 60), bad=bad, encoding="latin-1"
    )
    read = open_roll(tmp_path, last=ELECTION)
    found = list(read.voters())
    assert read.layout is layout
    assert [one.voter_id for one in found] == [
        rolls.voter_id(layout.state, n) for n in range(1, 61)
    ]
    told = [one.row for one in read.quarantined]
    expected = sorted(
        line
        for start, kind in planted.items()
        # Where nothing is quoted, a line break makes two short lines.
        for line in ([start, start + 1] if kind == "break" and _bare(layout) else [start])
    )
    assert told == expected
    assert not {"ANA", "SPARKY", "NOBODY", "ZZZ"} & {
        word for one in read.quarantined for word in str(one).split()
    }


def _bare(layout: Layout) -> bool:
    return not layout.quoted or "\t" in layout.delimiters


@pytest.mark.parametrize("code", STATES)
def test_a_voter_is_the_same_person_in_every_state(code: str, tmp_path: Path) -> None:
    who = list(rolls.people(12))
    found = list(roll(tmp_path, rolls.newest(code)).voters())
    for voter, real in zip(found, who, strict=True):
        record = voter.record
        assert record.address is not None
        assert (record.address.number, record.address.street) == (
            str(real.house), real.street.lower()
        )  # fmt: skip
        assert record.address.unit == real.unit
        assert voter.birth_year == real.born[0]
        assert (record.birth is not None and record.birth.month > 0) == (code in "NY OH FL")
        assert voter.registered == date(2015, 8, 4)
        assert voter.status == "active"
    assert found[0].record.last == rolls_letters(who[0].last)


def rolls_letters(name: str) -> str:
    from matching.normalise import letters

    return letters(name)


@pytest.mark.parametrize(
    ("code", "precinct", "county", "districts"),
    [
        ("NY", "Kings AD052 ED002", "36047", ("Congressional 12", "State Senate 28", "State Assembly 52")),  # noqa: E501
        ("OH", "Butler AAB", "39017", ("Congressional 8", "State Senate 4", "State House 45")),
        ("FL", "Miami-Dade 0427", "12086", ("Congressional 27", "State Senate 36", "State House 113")),  # noqa: E501
        ("NC", "McDowell 01-07A", "37111", ("Congressional 11", "State Senate 46", "State House 85")),  # noqa: E501
        ("CO", "6304418001", "08035", ("Congressional 4", "State Senate 4", "State House 44")),
        ("WA", "King 1873", "53033", ("Congressional 7", "State Senate 36", "State House 36")),
    ],
)  # fmt: skip
def test_places_are_words_that_no_other_place_of_the_state_has(
    code: str, precinct: str, county: str, districts: tuple[str, ...], tmp_path: Path
) -> None:
    first = next(roll(tmp_path, rolls.newest(code)).voters())
    assert (first.precinct, first.county) == (precinct, county)
    assert (first.congressional, first.senate, first.house) == districts


def test_outside_new_york_city_a_precinct_is_town_ward_and_district(tmp_path: Path) -> None:
    second = list(roll(tmp_path, rolls.newest("NY")).voters())[1]
    assert second.precinct == "St. Lawrence CANTON W002 ED003"
    assert ("local legislature", "007") in second.places


@pytest.mark.parametrize("code", ["NY", "NC", "OH", "FL", "WA", "CO"])
def test_county_codes_stand_in_a_table_and_are_never_computed(code: str) -> None:
    counties = state(code).counties
    assert len(counties) == {"NY": 62, "NC": 100, "OH": 88, "FL": 67, "WA": 39, "CO": 64}[code]
    assert len({fips for fips, _ in counties.values()}) == len(counties)
    numbered = {int(key): int(fips[2:]) for key, (fips, _) in counties.items() if key.isdigit()}
    odd = {number for number, fips in numbered.items() if fips != 2 * number - 1}
    assert odd == {"NY": {45, 46, 47, 48, 49, 50}, "NC": {56, 57, 58, 59}}.get(code, set())


def test_the_counties_that_a_formula_gets_wrong_are_right() -> None:
    york, north, florida = (state(code).counties for code in ("NY", "NC", "FL"))
    assert [york[str(n)] for n in (45, 49, 50)] == [
        ("36091", "Saratoga"), ("36099", "Seneca"), ("36089", "St. Lawrence")
    ]  # fmt: skip
    assert [north[str(n)] for n in (56, 59, 60, 100)] == [
        ("37113", "Macon"), ("37111", "McDowell"), ("37119", "Mecklenburg"), ("37199", "Yancey")
    ]  # fmt: skip
    assert [florida[c] for c in ("DAD", "STJ", "STL", "SAN", "MRN", "MRT", "CLL", "CLM")] == [
        ("12086", "Miami-Dade"), ("12109", "St. Johns"), ("12111", "St. Lucie"),
        ("12113", "Santa Rosa"), ("12083", "Marion"), ("12085", "Martin"), ("12021", "Collier"),
        ("12023", "Columbia"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "column", "word", "why"),
    [
        ("NY", "STATUS", "P", "not registered in force"),
        ("NY", "STATUS", "17", "not registered in force"),
        ("FL", "Voter_Status", "PRE", "not registered in force"),
        ("FL", "Requested_public_records_exemption", "Y", "confidential"),
        ("NC", "confidential_ind", "Y", "confidential"),
        ("NC", "status_cd", "R", "not registered in force"),
        ("OH", "VOTER_STATUS", "CANCELLED", "not registered in force"),
        ("WA", "StatusCode", "CT", "not registered in force"),
    ],
)
def test_who_is_not_to_be_enrolled_is_left_out_and_counted(
    code: str, column: str, word: str, why: str, tmp_path: Path
) -> None:
    def change(number: int, row: dict[str, str]) -> None:
        row[column] = word if number == 4 else row[column]

    read = roll(tmp_path, rolls.newest(code), change)
    assert rolls.voter_id(code, 4) not in [voter.voter_id for voter in read.voters()]
    assert (read.left_out, read.quarantined) == ({why: 1}, [])


def test_of_the_removed_the_state_blanks_the_place_and_no_line_is_bad(tmp_path: Path) -> None:
    def change(number: int, row: dict[str, str]) -> None:
        if number > 6:
            row |= {"status_cd": "R", "precinct_abbrv": "", "res_street_address": "REMOVED"}

    read = roll(tmp_path, rolls.newest("NC"), change)
    assert len(list(read.voters())) == 6
    assert (read.left_out, read.quarantined) == ({"not registered in force": 6}, [])


@pytest.mark.parametrize(("code", "typed"), [("NC", ""), ("NC", "0"), ("OH", " "), ("FL", "")])
def test_without_its_county_a_precinct_is_not_told_from_anothers(
    code: str, typed: str, tmp_path: Path
) -> None:
    def change(number: int, row: dict[str, str]) -> None:
        row |= {rolls.newest(code).reads["county"]: typed} if number == 4 else {}

    read = roll(tmp_path, rolls.newest(code), change)
    assert len(list(read.voters())) == 11
    assert [one.field for one in read.quarantined] == [rolls.newest(code).reads["county"]]


@pytest.mark.parametrize(
    ("code", "column", "word"),
    [("NY", "STATUS", "ZZ"), ("OH", "VOTER_STATUS", "NEW"), ("NC", "status_cd", "X")],
)
def test_a_status_nobody_knows_is_set_aside_and_not_guessed(
    code: str, column: str, word: str, tmp_path: Path
) -> None:
    def change(number: int, row: dict[str, str]) -> None:
        row[column] = word if number == 4 else row[column]

    read = roll(tmp_path, rolls.newest(code), change)
    assert len(list(read.voters())) == 11
    first = 2 if read.layout.header else 1
    assert [(one.row, one.field) for one in read.quarantined] == [(first + 3, column)]


@pytest.mark.parametrize(
    "typed", ["18991231", "21010101", "20230101", "19000101", "00000000", "199", "XX-XX-XXXX"]
)
def test_an_absurd_birth_date_is_read_as_not_given_and_counted(typed: str, tmp_path: Path) -> None:
    def change(number: int, row: dict[str, str]) -> None:
        row["DOB"] = typed if number == 2 else row["DOB"]

    read = roll(tmp_path, rolls.newest("NY"), change)
    found = list(read.voters())
    assert (found[1].birth_year, found[1].record.birth) == (None, None)
    assert found[0].birth_year is not None
    assert read.doubted == ({"birth": 1} if typed[0].isdigit() else {})


def test_the_social_security_flags_of_2026_are_read_into_nothing(tmp_path: Path) -> None:
    layout = rolls.newest("NC")
    assert "ssn" in layout.columns
    read = {name for name in layout.reads.values() if isinstance(name, str)}
    assert not {"ssn", "hava_id_req", "no_dl_ssn_chkbx", "drivers_lic"} & read


def test_one_line_says_what_a_file_is(tmp_path: Path) -> None:
    assert roll(tmp_path, rolls.newest("NY")).says() == (
        "New York, layout of December 2021, 47 columns"
    )
    assert roll(tmp_path, rolls.newest("OH")).says() == "Ohio, SWVF, layout of 2020, 50 columns"


@pytest.mark.parametrize("layout", VOTERS, ids=named)
def test_a_changed_layout_stops_with_its_difference_and_no_cell(
    layout: Layout, tmp_path: Path
) -> None:
    lines = [rolls.line(layout, row) for row in rolls.voters(layout.state, 30)]
    if layout.header:
        lines.insert(0, rolls.joined(layout, rolls.columns(layout)).replace("irth", "erth"))
        lines[0] = lines[0].replace("BIRTH", "BERTH").replace("DATE_OF", "DAY_OF")
    else:
        mark = '","' if layout.quoted else "\t"
        lines = [line.replace(mark, mark + mark, 1) for line in lines]
    (tmp_path / "file.txt").write_text("\r\n".join(lines), encoding="latin-1")
    with pytest.raises(RollRefused) as refused:
        open_roll(tmp_path)
    said = str(refused.value)
    assert said.startswith("file.txt: ")
    if layout.header:
        assert refused.value.missing
        assert state(layout.state).name in said
    else:
        assert state(layout.state).name in said
        assert "columns" in said
    words = set(said.upper().replace(",", " ").split())
    assert not words & {*rolls.FIRST, *(f"{last}{n}" for last in rolls.LAST for n in "ABCDEFGHIJ")}


@pytest.mark.parametrize(
    ("code", "mark", "word"),
    [("CO", "\t", "by commas"), ("NC", ",", "by tabs"), ("WA", ";", "by tabs or bars")],
)
def test_a_known_header_parted_by_another_mark_says_that(
    code: str, mark: str, word: str, tmp_path: Path
) -> None:
    layout = rolls.newest(code)
    (tmp_path / "file.txt").write_text(mark.join(layout.columns) + "\r\n")
    with pytest.raises(RollRefused, match=f"the same columns, but not parted {word}"):
        open_roll(tmp_path)


def test_a_new_columns_name_is_shown_whole_where_the_line_is_a_header_for_sure(
    tmp_path: Path,
) -> None:
    roll(tmp_path, rolls.newest("OH"), count=2)
    path = tmp_path / "file.txt"
    path.write_bytes(path.read_bytes().replace(b"GENERAL-11/08/2022", b"RECALL-11/08/2022"))
    with pytest.raises(RollRefused) as refused:
        open_roll(tmp_path)
    assert refused.value.new == ("RECALL-11/08/2022",)


def test_a_file_of_the_right_width_with_other_contents_is_not_taken(tmp_path: Path) -> None:
    layout = rolls.newest("NY")
    rows = [dict.fromkeys(layout.columns, "SOMETHING")] * 20
    rolls.write(tmp_path / "file.txt", layout, rows)
    with pytest.raises(RollRefused, match=r"column 46 \(SBOEID\)"):
        open_roll(tmp_path)


def test_files_of_two_states_and_of_two_layouts_are_not_one_roll(tmp_path: Path) -> None:
    rolls.write(tmp_path / "a.txt", rolls.newest("NY"), rolls.voters("NY", 5))
    rolls.write(tmp_path / "b.txt", rolls.newest("OH"), rolls.voters("OH", 5))
    with pytest.raises(RollRefused, match="more than one state"):
        open_roll(tmp_path)
    rolls.write(tmp_path / "b.txt", state("NY").layouts[0], rolls.voters("NY", 5))
    with pytest.raises(RollRefused, match="different layouts"):
        open_roll(tmp_path)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8", "utf-8-sig"])
def test_accents_are_read_in_either_encoding_and_even_mixed(encoding: str, tmp_path: Path) -> None:
    layout = rolls.newest("OH")
    rows = list(rolls.voters("OH", 40))
    rolls.write(tmp_path / "file.txt", layout, rows, encoding=encoding)
    with (tmp_path / "file.txt").open("a", encoding="latin-1", newline="") as text:
        late = dict(rows[0], SOS_VOTERID=rolls.voter_id("OH", 77), LAST_NAME="FERNÁNDEZ")
        text.write(rolls.line(layout, late) + "\r\n")
    found = list(open_roll(tmp_path).voters())
    assert found[-1].record.last == "fernandez"
    assert {voter.record.first for voter in found} >= {"jose"}
    assert len(found) == 41


def test_an_open_quotation_mark_takes_no_other_voter_with_it(tmp_path: Path) -> None:
    layout = rolls.newest("NY")
    rows = [rolls.line(layout, row) for row in rolls.voters("NY", 40)]
    rows[9] = rows[9].replace('","', '","x', 1).rstrip('"')
    (tmp_path / "file.txt").write_text("\r\n".join(rows) + "\r\n", encoding="latin-1")
    read = open_roll(tmp_path)
    assert len(list(read.voters())) == 39
    assert [one.row for one in read.quarantined] == [10]


def test_a_file_that_is_mostly_bad_stops_and_is_not_half_enrolled(tmp_path: Path) -> None:
    layout = rolls.newest("NY")
    good = [rolls.line(layout, row) for row in rolls.voters("NY", 60)]
    bad = [",".join(['"x"'] * 9)] * 2100
    (tmp_path / "file.txt").write_text("\r\n".join(good + bad), encoding="latin-1")
    with pytest.raises(RollRefused, match="most lines are not as its layout says, from line 61"):
        list(open_roll(tmp_path).voters())


def test_a_file_that_lies_there_twice_stops_with_that_and_a_few_doubles_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_MANY", 20)
    roll(tmp_path, rolls.newest("NY"), count=15)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as packed:
        packed.write(tmp_path / "file.txt", "AllNYSVoters.txt")
    twice = open_roll(tmp_path)
    assert (len(list(twice.voters())), len(twice.quarantined)) == (15, 15)
    roll(tmp_path, rolls.newest("NY"), count=30)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as packed:
        packed.write(tmp_path / "file.txt", "AllNYSVoters.txt")
    with pytest.raises(RollRefused, match="most lines cannot be used, from line 1 on: SBOEID"):
        list(open_roll(tmp_path).voters())


def test_a_file_of_ballots_beside_the_roll_is_named_and_not_taken_for_a_part(
    tmp_path: Path,
) -> None:
    roll(tmp_path, rolls.newest("CO"))
    (tmp_path / "CE-068.txt").write_text(
        "VOTER_ID|VOTE_METHOD|MAIL_BALLOT_RECEIVE_DATE|IN_PERSON_VOTE_DATE\n1|Mail|10/20/2026|\n"
    )
    (named,) = open_roll(tmp_path).passed
    assert named.startswith("CE-068.txt (Colorado, CE-068")


def test_a_zip_and_a_gz_are_read_as_they_are(tmp_path: Path) -> None:
    layout = rolls.newest("FL")
    rolls.write(tmp_path / "DAD_20260401.txt", layout, rolls.voters("FL", 5))
    raw = (tmp_path / "DAD_20260401.txt").read_bytes()
    for folder in ("zip", "gz"):
        (tmp_path / folder).mkdir()
    with zipfile.ZipFile(tmp_path / "zip" / "Registration.zip", "w") as packed:
        packed.writestr("20260401/DAD_20260401.txt", raw)
        packed.writestr("20260401/ProcessedFiles/DAD_20260401.txt", raw)
    (tmp_path / "gz" / "DAD.txt.gz").write_bytes(gzip.compress(raw))
    for place in (tmp_path / "zip", tmp_path / "gz", tmp_path / "DAD_20260401.txt"):
        assert len(list(open_roll(place).voters())) == 5


@pytest.mark.parametrize("head", [b"PK\x03\x04rest", "L\u00e9".encode("utf-16"), b"%PDF-1.7"])
def test_what_is_no_text_file_is_said(head: bytes, tmp_path: Path) -> None:
    (tmp_path / "voters.txt").write_bytes(head)
    with pytest.raises(RollRefused, match=r"voters\.txt is .*, not a text file"):
        open_roll(tmp_path)


def test_a_part_under_another_name_packed_twice_or_deeper_is_named_as_not_read(
    tmp_path: Path,
) -> None:
    roll(tmp_path, rolls.newest("OH"))
    whole = (tmp_path / "file.txt").read_bytes()
    (tmp_path / "deeper").mkdir()
    (tmp_path / "SWVF_67_88").write_bytes(whole)
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as packed:
        packed.writestr("inner.zip", b"PK")
        packed.writestr("__MACOSX/._SWVF.txt", b"\x00\x05\x16\x07")
    (tmp_path / ".DS_Store").write_bytes(b"\x00")
    found = open_roll(tmp_path)
    assert found.passed == ("SWVF_67_88", "deeper/", "more.zip/inner.zip")
    assert len(list(found.voters())) == 12
    assert len(list(open_roll(tmp_path / "SWVF_67_88").voters())) == 12


def test_a_packed_part_that_has_no_other_mark_is_read(tmp_path: Path) -> None:
    roll(tmp_path, rolls.newest("OH"))
    plain = tmp_path / "file.txt"
    (tmp_path / "SWVF_1_22.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    assert len(list(open_roll(tmp_path).voters())) == 12


def _cut(packed: bytes) -> bytes:
    return packed[: len(packed) // 2]


def _bent(packed: bytes) -> bytes:
    middle = len(packed) // 3
    return (
        packed[:middle]
        + bytes(b ^ 0x5A for b in packed[middle : middle + 40])
        + packed[middle + 40 :]
    )


@pytest.mark.parametrize("kind", ["cut gz", "no gz", "cut zip", "bent zip", "locked zip"])
def test_a_file_that_does_not_unpack_to_its_end_is_refused_and_not_half_enrolled(
    kind: str, tmp_path: Path
) -> None:
    layout = rolls.newest("NY")
    rolls.write(tmp_path / "file.txt", layout, rolls.voters("NY", 400))
    plain = (tmp_path / "file.txt").read_bytes()
    (tmp_path / "file.txt").unlink()
    if kind.endswith("gz"):
        written = _cut(gzip.compress(plain)) if kind == "cut gz" else plain
        (tmp_path / "file.txt.gz").write_bytes(written)
    else:
        path = tmp_path / "file.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr("AllNYSVoters.txt", plain)
        whole = bytearray(path.read_bytes())
        if kind == "locked zip":
            whole[whole.find(b"PK\x03\x04") + 6] |= 1
            whole[whole.find(b"PK\x01\x02") + 8] |= 1
        path.write_bytes({"cut zip": _cut, "bent zip": _bent, "locked zip": bytes}[kind](whole))
    with pytest.raises(RollRefused, match=r"get it again|unpack it by hand") as refused:
        list(open_roll(tmp_path).voters())
    assert not {"ANA", "SMITH"} & set(str(refused.value).split())


@pytest.mark.parametrize(
    ("bent", "word"),
    [
        (lambda text: text.encode("utf-16-le"), "UTF-16 without its mark"),
        (lambda text: text.replace("\r\n", "\r").encode(), "old Macs"),
    ],
)
def test_text_of_another_kind_is_named(
    bent: Callable[[str], bytes], word: str, tmp_path: Path
) -> None:
    roll(tmp_path, rolls.newest("OH"))
    plain = (tmp_path / "file.txt").read_bytes().decode("latin-1")
    (tmp_path / "file.txt").write_bytes(bent(plain))
    with pytest.raises(RollRefused, match=word):
        open_roll(tmp_path)


def test_a_line_of_megabytes_is_one_line_and_those_behind_it_keep_their_numbers(
    tmp_path: Path,
) -> None:
    roll(tmp_path, rolls.newest("OH"))
    lines = (tmp_path / "file.txt").read_bytes().splitlines(keepends=True)
    huge = b'"OH' + b"x" * 3_000_000 + b'"\r\n'
    (tmp_path / "file.txt").write_bytes(
        b"".join([*lines[:3], huge, *lines[3:6], b"no\r\n", *lines[6:]])
    )
    found = open_roll(tmp_path)
    assert len(list(found.voters())) == 12
    assert [(one.row, one.reason) for one in found.quarantined] == [
        (4, "a line far longer than any of a voter file"), (8, "1 columns, not 50")
    ]  # fmt: skip


def test_a_raised_digit_in_a_districts_place_stops_nobody(tmp_path: Path) -> None:
    def raised(number: int, row: dict[str, str]) -> None:
        row["SD"] = "\u00b2" if number == 2 else row["SD"]

    found = list(roll(tmp_path, rolls.newest("NY"), raised).voters())
    assert (len(found), found[1].senate) == (12, "\u00b2")


def test_the_four_parts_of_ohio_are_one_roll_and_a_bad_line_names_its_part(tmp_path: Path) -> None:
    layout = rolls.newest("OH")
    rows = list(rolls.voters("OH", 40))
    for part, name in enumerate(("1_22", "23_44", "45_66", "67_88")):
        here = rows[part * 10 : part * 10 + 10]
        rolls.write(tmp_path / f"SWVF_{name}.txt", layout, here, bad=("short",))
    read = open_roll(tmp_path)
    assert len(list(read.voters())) == 40
    assert [(one.file, one.row) for one in read.quarantined] == [
        (f"SWVF_{name}.txt", 5) for name in ("1_22", "23_44", "45_66", "67_88")
    ]
    assert len(list(read.voters())) == 40
    assert len(read.quarantined) == 4


def test_new_yorks_file_of_the_purged_beside_the_other_enrols_nobody_more(tmp_path: Path) -> None:
    layout = rolls.newest("NY")
    rolls.write(tmp_path / "AllNYSVoters_20260105.txt", layout, rolls.voters("NY", 20))
    gone = [row | {"STATUS": "P"} for row in rolls.voters("NY", 25)]
    rolls.write(tmp_path / "AllNYSPurged_20260105.txt", layout, gone)
    read = open_roll(tmp_path)
    assert len(list(read.voters())) == 20
    assert (read.left_out, read.quarantined) == ({"not registered in force": 25}, [])


def test_washingtons_file_is_read_with_bars_and_without_its_title_column(tmp_path: Path) -> None:
    layout = rolls.newest("WA")
    names = [name for name in layout.columns if name != "Title"]
    rows = rolls.voters("WA", 12)
    lines = ["|".join(names), *("|".join(row.get(n, "") for n in names) for row in rows)]
    (tmp_path / "WA.txt").write_text("\r\n".join(lines), encoding="latin-1")
    read = open_roll(tmp_path)
    assert [voter.voter_id for voter in read.voters()] == [
        rolls.voter_id("WA", n) for n in range(1, 13)
    ]
    assert read.says() == "Washington, VRDB, layout of August 2023, 34 columns"


def test_north_carolinas_new_columns_may_stand_anywhere(tmp_path: Path) -> None:
    layout = rolls.newest("NC")
    names = list(layout.columns)
    names.insert(33, names.pop(names.index("ssn")))
    rows = rolls.voters("NC", 12)
    lines = ["\t".join(names), *("\t".join(row.get(n, "") for n in names) for row in rows)]
    (tmp_path / "ncvoter.txt").write_text("\r\n".join(lines), encoding="latin-1")
    read = open_roll(tmp_path)
    found = next(read.voters())
    assert (found.precinct, found.house) == ("McDowell 01-07A", "State House 85")
    assert read.layout is layout


def test_text_is_brought_to_one_form() -> None:
    assert decoded("JOSE\u0301".encode()) == decoded("JOSÉ".encode("latin-1")) == "JOSÉ"
    assert decoded("D\u2019ANDRÉ".encode("cp1252")) == "D\u2019ANDRÉ"
    assert decoded(bytes(range(128, 256))).isprintable() is False
    assert len(decoded(bytes(range(128, 256)))) == 128

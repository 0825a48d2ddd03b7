"""In every state's newest layout each voter's county and local districts become codes of places."""

import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from matching import engine
from matching.attributes import cells, write_attributes
from matching.coarsen import coarsen
from matching.roll.layout import STATES
from matching.roll.local import county_names, districts_of
from matching.roll.reader import Voter, open_roll
from tests.fakes import rolls
from tests.unit.matching.test_coarsen import named

ELECTION = date(2026, 11, 3)


def voters(folder: Path, code: str, count: int = 40) -> list[Voter]:
    rolls.write(folder / "file.txt", rolls.newest(code), rolls.voters(code, count))
    return list(open_roll(folder, last=ELECTION).voters())


@pytest.mark.parametrize("code", STATES)
def test_each_voter_lives_in_one_county_by_name_and_no_code_is_a_bare_number(
    code: str, tmp_path: Path
) -> None:
    counties = county_names(code)
    names = {f"{name} County" for name in counties.values()}
    for voter in voters(tmp_path, code):
        found = districts_of(voter, counties)
        assert len(found & names) == 1
        assert not any(one.isdigit() for one in found)
        local = found - {voter.congressional, voter.senate, voter.house}
        assert all(one in names or one.endswith("County)") for one in local)


@pytest.mark.parametrize(
    ("code", "named_so"),
    [("NC", r"\w+_dist_abbrv|dist_1_abbrv|(ward|township|municipality|county_commiss)_abbrv"),
     ("OH", r"\w+_DISTRICT|COURT_OF_APPEALS|EDU_SERVICE_CENTER_DISTRICT|CAREER_CENTER|LIBRARY"
            r"|STATE_BOARD_OF_EDUCATION|CITY|TOWNSHIP|VILLAGE|WARD"),
     ("FL", r"\w+_District"), ("WA", r"\w+District"), ("NY", r"LD|WARD|TOWNCITY|CD|SD|AD")],
)  # fmt: skip
def test_every_district_that_a_line_carries_is_read(code: str, named_so: str) -> None:
    layout = rolls.newest(code)
    carried = {name for name in layout.columns if re.fullmatch(named_so, name)}
    read = {layout.reads[one] for one in ("congressional", "senate", "house")}
    for columns in layout.reads["places"].values():
        read |= {columns} if isinstance(columns, str) else set(columns)
    assert carried - read == set()


@pytest.mark.parametrize("code", ["FL", "NC", "OH"])
def test_a_local_district_is_in_the_catalogue_with_its_voters(code: str, tmp_path: Path) -> None:
    counties = county_names(code)
    voter = voters(tmp_path, code, 1)[0]
    some = [replace(voter, voter_id=f"{voter.voter_id}{number}") for number in range(30)]
    made = coarsen(some, on=ELECTION, generals=(), name=named("k"), counties=counties)
    part = tmp_path / "part.parquet"
    write_attributes(part, made.rows)
    local = districts_of(voter, counties)
    catalogue = engine.places(part)["district"]
    assert dict.fromkeys(local, 30) == catalogue
    assert len(local) > 4
    assert cells(part).voters == 30

"""Of who may not vote, or has voted, a slice tells nothing; their rows stay to be matched."""

import random
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from matching.coarsen import coarsen
from matching.eligible import Electorate, read_voted, withheld
from matching.errors import RollRefused, RowRefused
from matching.roll.local import local_codes
from matching.roll.reader import Voter
from tests.unit.matching.test_coarsen import GENERALS, named, voters_of
from tests.unit.matching.test_roll_returns import NC, table


def voters() -> list[Voter]:
    made = voters_of(random.Random(6), {"1": 90, "2": 60})
    parties = ("DEM", "REP", "UAF")
    return [
        replace(one, party=parties[n % 3], county="08035", places=(("school board", "3"),))
        for n, one in enumerate(made)
    ]


def test_a_primary_a_recall_and_who_has_voted_are_withheld_each_once_by_the_first_reason() -> None:
    every = voters()
    here = sum(one.party != "REP" and one.house == "State House 45" for one in every)
    rule = Electorate(
        frozenset({"DEM", "UAF"}),
        frozenset({"State House 44"}),
        frozenset(one.voter_id for one in every[:30]),
    )
    found = withheld(every, rule)
    assert (found.party, found.district) == (50, here)
    left = [one for one in every[:30] if one.party != "REP" and one.house == "State House 44"]
    assert found.voted == len(left) > 0
    assert len(found.ids) == found.party + found.district + found.voted
    assert withheld(every, Electorate()).ids == frozenset()
    for code in ("Douglas County", "School board 3 (Douglas County)"):
        recall = Electorate(districts=frozenset({code}))
        assert withheld(every, recall, {"08035": "Douglas"}).ids == frozenset()


@pytest.mark.parametrize(
    "rule", [Electorate(frozenset({"DEMM"})), Electorate(districts=frozenset({"State House 4"}))]
)
def test_a_word_that_no_voter_has_is_a_spelling(rule: Electorate) -> None:
    with pytest.raises(RollRefused, match="spelling"):
        withheld(voters(), rule)


def test_when_everybody_has_voted_there_is_no_slice() -> None:
    every = voters()
    with pytest.raises(RollRefused, match="nobody is left"):
        withheld(every, Electorate(voted=frozenset(one.voter_id for one in every)))


def test_of_the_withheld_nothing_is_told_and_k_counts_without_them() -> None:
    every = voters()
    hidden = {one.voter_id for one in every[:40]}
    made = coarsen(
        every, on=date(2026, 11, 3), generals=GENERALS, name=named("k"), k=10, withheld=hidden
    )
    told = {made.voter_ids[row.row_id]: row for row in made.rows}
    assert len(told) == 150
    for id in hidden:
        row = told[id]
        assert {row.precinct, row.house, row.local, row.zip, row.age_band, row.votes} == {""}
    assert {told[one.voter_id].precinct for one in every[40:]} == {"1", "2"}
    assert sum(row.precinct == "1" for row in made.rows) == 50


def test_accepted_ballots_are_a_list_of_the_files_own_ids(tmp_path: Path) -> None:
    first, second, day = tmp_path / "a.csv", tmp_path / "b.csv", date(2026, 11, 3)
    first.write_text("VOTER_ID\n17\n18\n", "utf-8-sig")
    second.write_text('"voter_id"\n18\n"19"\n\n')
    assert read_voted([first, second], "VOTER_ID", day) == {"17", "18", "19"}
    second.write_text("ncid\n18\n")
    with pytest.raises(RollRefused):
        read_voted([first, second], "VOTER_ID", day)
    second.write_text("VOTER_ID\n")
    with pytest.raises(RollRefused, match="no accepted ballot"):
        read_voted([second], "VOTER_ID", day)


def test_of_a_states_own_ballots_only_the_accepted_are_votes(tmp_path: Path) -> None:
    told = (("AA1", "ACCEPTED"), ("AA2", "SPOILED"), ("AA3", "SIGNATURE DIFFERENT"), ("AA4", ""))
    rows = [
        {"ncid": id, "ballot_req_type": "MAIL", "ballot_send_dt": "10/01/2026",
         "ballot_rtn_dt": "10/10/2026" if status else "", "ballot_rtn_status": status}
        for id, status in told
    ]  # fmt: skip
    path = table(tmp_path, NC, rows)
    assert read_voted([path], "ncid", date(2026, 11, 3)) == {"AA1"}
    with path.open("a") as text:
        text.write("short\n")
    heard: list[RowRefused] = []
    assert read_voted([path], "ncid", date(2026, 11, 3), heard.append) == {"AA1"}
    assert [one.field for one in heard] == ["the whole line"]


def test_a_list_of_who_has_voted_is_read_line_by_line_and_an_odd_one_is_told(
    tmp_path: Path,
) -> None:
    path = tmp_path / "voted.csv"
    path.write_text('VOTER_ID\n17\n"18\n19\n20,21\n\n' + "9" * 400_000 + "\n22\n")
    heard: list[RowRefused] = []
    found = read_voted([path], "VOTER_ID", date(2026, 11, 3), heard.append)
    assert found == {"17", "18", "19", "22"}
    assert [(one.file, one.row) for one in heard] == [("voted.csv", 5), ("voted.csv", 7)]


def test_ballots_of_nobody_on_the_file_are_of_another_state() -> None:
    with pytest.raises(RollRefused, match="of this state"):
        withheld(voters(), Electorate(voted=frozenset({"NC1"})))


def test_a_ward_is_a_ward_of_its_town_and_a_split_is_no_district() -> None:
    places = (("split", "1.1"), ("city", "Toledo"), ("ward", "3"), ("school", "Toledo|City"))
    voter = replace(voters()[0], county="39095", places=places)
    assert local_codes(voter, {"39095": "Lucas"}) == (
        "City Toledo (Lucas County)",
        "Lucas County",
        "School Toledo City (Lucas County)",
        "Ward 3 (Toledo in Lucas County)",
    )
    assert local_codes(replace(voter, county=""), {}) == ()


def test_other_ballots_make_another_rule() -> None:
    some = Electorate(voted=frozenset({"1", "2"}))
    assert some.words() == Electorate(voted=frozenset({"2", "1"})).words()
    assert some.words() != Electorate(voted=frozenset({"1", "3"})).words()
    assert "1" not in repr(some)

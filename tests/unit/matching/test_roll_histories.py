"""Six encodings of who voted when become one: election, way, party; what is no vote is none."""

from datetime import date
from pathlib import Path

import pytest

from matching.errors import RollRefused
from matching.roll.history import Ballot, Election, Field, Wide, Words
from matching.roll.ids import Ids, Seen, Votes
from matching.roll.layout import Known, state
from matching.roll.reader import Roll, open_roll
from tests.fakes import rolls

LAST = date(2026, 11, 3)
DAYS = [date(2020, 11, 3), date(2022, 6, 28), date(2022, 11, 8), date(2024, 11, 5)]


def written(folder: Path, code: str, count: int = 40) -> Roll:
    rolls.write(folder / "voters.txt", rolls.newest(code), rolls.voters(code, count))
    if code in rolls.HISTORIES:
        layout = rolls.newest(code, "history")
        rolls.write(folder / "history.txt", layout, rolls.histories(code, count))
    return open_roll(folder, last=LAST)


@pytest.mark.parametrize("code", ["OH", "CO", "NC", "FL", "WA"])
def test_every_state_tells_the_same_votes_of_the_same_people(code: str, tmp_path: Path) -> None:
    read = written(tmp_path, code)
    for voter, who in zip(read.voters(), rolls.people(40), strict=True):
        assert voter.votes == {day for day, voted in zip(DAYS, who.voted, strict=True) if voted}
        assert [ballot.election.day for ballot in voter.ballots] == sorted(voter.votes)
    assert read.generals == {DAYS[0], DAYS[2], DAYS[3]}
    assert read.history_quarantined == []
    votes = sum(sum(who.voted) for who in rolls.people(40))
    assert read.not_votes == (160 - votes if code in "NC FL" else 0)


def test_new_yorks_general_elections_have_their_day_by_law(tmp_path: Path) -> None:
    read = written(tmp_path, "NY")
    for voter, who in zip(read.voters(), rolls.people(40), strict=True):
        general = {DAYS[n] for n in (0, 2, 3) if who.voted[n]}
        assert voter.votes == general
        assert len(voter.ballots) == sum(who.voted)
    assert read.generals == {DAYS[0], DAYS[2], DAYS[3]}
    assert (read.unread, read.tokens) == ({}, sum(sum(w.voted) for w in rolls.people(40)))


@pytest.mark.parametrize(
    ("token", "day", "kind", "method"),
    [
        ("GENERAL ELECTION 2024", date(2024, 11, 5), "general", "unknown"),
        ("2022 General Election(Early)", date(2022, 11, 8), "general", "early"),
        ("20200623 PE", date(2020, 6, 23), "primary", "unknown"),
        ("Presidential Primary 2020 Absentee", None, "presidential primary", "mail"),
        ("20240402 PP", date(2024, 4, 2), "presidential primary", "unknown"),
        ("SPECIAL 02/13/2024 AFFIDAVIT", date(2024, 2, 13), "special", "provisional"),
        ("2012", None, "unknown", "unknown"),
    ],
)
def test_a_token_of_new_york_says_election_and_way(
    token: str, day: date | None, kind: str, method: str
) -> None:
    (ballot,) = Field("NY", LAST).of(token, "24")
    year = day.year if day else int("".join(c for c in token if c.isdigit()))
    assert ballot == Ballot(Election("NY", day, year, kind), method)


@pytest.mark.parametrize("token", ["XYZZY", "GE", "GE 99", "20990101 GE", "GENERAL 1066"])
def test_a_token_that_nobody_can_read_is_counted_by_county(token: str) -> None:
    field = Field("NY", LAST)
    assert len(field.of(f"{token}; 2012", "24")) == 1
    assert (field.tokens, dict(field.unread)) == (2, {"24": 1})


def test_an_election_twice_in_one_history_is_one_vote() -> None:
    assert len(Field("NY", LAST).of("GENERAL ELECTION 2024;2024 GE;", "24")) == 1


def test_ohios_cell_is_the_partys_ballot_and_an_unknown_letter_is_counted() -> None:
    layout = rolls.newest("OH")
    known = Known(layout, rolls.columns(layout), ",")
    wide = Wide(known, LAST)
    cells = [""] * 46 + ["X", "d", "", "?"]
    assert wide.of(cells, "9") == (
        Ballot(Election("OH", DAYS[0], 2020, "general")),
        Ballot(Election("OH", DAYS[1], 2022, "primary"), party="DEM"),
    )
    assert dict(wide.unread) == {"9": 1}


@pytest.mark.parametrize(
    ("code", "said", "way"),
    [
        ("NC", "ABSENTEE ONESTOP", "early"), ("NC", "ABSENTEE BY MAIL", "mail"),
        ("NC", "ABSENTEE CURBSIDE", "early"), ("NC", "CURBSIDE", "polls"),
        ("NC", "ELECTION DAY IN-PERSON", "polls"), ("NC", "EARLY VOTING CURBSIDE", "early"),
        ("NC", "PROVISIONAL", "provisional"), ("NC", "LEGACY", "unknown"),
        ("CO", "Mail Ballot", "mail"), ("CO", "In Person - Early", "early"),
        ("FL", "E", "early"), ("FL", "A", "mail"), ("FL", "Y", "polls"), ("FL", "Z", "provisional"),
        ("WA", "", "mail"),
    ],
)  # fmt: skip
def test_ways_of_voting_are_told_by_words(code: str, said: str, way: str) -> None:
    assert Words(state(code)).method(said) == way


@pytest.mark.parametrize(
    ("code", "said", "votes"),
    [
        ("NC", "ELIGIBLE DID NOT VOTE", False), ("NC", "TRANSFER", True), ("FL", "B", False),
        ("FL", "P", False), ("FL", "N", False), ("FL", "F", True), ("CO", "Mail Ballot", True),
    ],
)  # fmt: skip
def test_what_is_no_vote_is_none(code: str, said: str, votes: bool) -> None:
    assert Words(state(code)).is_vote(said) is votes


@pytest.mark.parametrize(
    ("code", "said", "kind"),
    [
        ("NC", "11/08/2016 GENERAL", "general"), ("NC", "11/05/2019 MUNICIPAL GENERAL", "local"),
        ("NC", "05/24/2022 SECOND PRIMARY", "runoff"), ("FL", "PPP", "presidential primary"),
        ("FL", "GEN", "general"), ("CO", "Coordinated 2023", "coordinated"),
        ("CO", "Recall", "special"),
    ],
)  # fmt: skip
def test_kinds_of_election_are_told_by_words(code: str, said: str, kind: str) -> None:
    assert Words(state(code)).kind(said) == kind


def test_washington_tells_no_kind_and_its_calendar_does() -> None:
    words = Words(state("WA"))
    days = [date(2024, 11, 5), date(2024, 8, 6), date(2024, 2, 13)]
    assert [words.election(day, "").kind for day in days] == ["general", "primary", "unknown"]


@pytest.mark.parametrize("header", [True, False, "corrupt"])
def test_washingtons_history_is_known_with_a_header_without_and_with_a_broken_one(
    header: object, tmp_path: Path
) -> None:
    rolls.write(tmp_path / "voters.txt", rolls.newest("WA"), rolls.voters("WA", 20))
    names = rolls.newest("WA", "history").columns
    lines = ["\t".join(row[name] for name in names) for row in rolls.histories("WA", 20)]
    if header:
        first = "\t".join(names)
        lines.insert(
            0, first.replace("CountyCode\t", "Co\x1aunty\t") if header == "corrupt" else first
        )
    (tmp_path / "history.txt").write_text("\r\n".join(lines) + "\r\n")
    read = open_roll(tmp_path)
    votes = sum(len(voter.votes) for voter in read.voters())
    assert votes == sum(sum(who.voted) for who in rolls.people(20))


def test_absurd_days_of_a_history_are_set_aside_by_line(tmp_path: Path) -> None:
    layout = rolls.newest("CO", "history")
    rows = list(rolls.histories("CO", 20))
    rows[3]["ELECTION_DATE"], rows[5]["ELECTION_DATE"] = "11/06/0202", "11/08/2032"
    rolls.write(tmp_path / "voters.txt", rolls.newest("CO"), rolls.voters("CO", 20))
    rolls.write(tmp_path / "history.txt", layout, rows)
    read = open_roll(tmp_path, last=LAST)
    list(read.voters())
    assert [(one.row, one.field, one.file) for one in read.history_quarantined] == [
        (5, "ELECTION_DATE", "history.txt"), (7, "ELECTION_DATE", "history.txt")
    ]  # fmt: skip


def test_ids_grow_and_know_whom_they_saw() -> None:
    seen, ids, votes = Seen(), Ids(), Votes()
    assert all(seen.add(f"NY{n}") for n in range(5000))
    assert not any(seen.add(f"NY{n}") for n in range(5000))
    assert [ids.number(f"NY{n}") for n in range(5000)] == list(range(5000))
    assert ids.number("NY4999") == 4999
    assert (ids.find("NY17"), ids.find("NY5000"), ids.count) == (17, -1, 5000)
    for what in (3, 1, 2):
        votes.add("a", what)
    votes.add("b", 9)
    assert (list(votes.of("a")), list(votes.of("b")), list(votes.of("c"))) == ([2, 1, 3], [9], [])
    assert votes.asked == (2, 0)
    votes.add("d", 1)
    assert votes.asked == (3, 1)


def test_a_code_that_florida_does_not_have_is_no_vote_and_is_told_by_line(tmp_path: Path) -> None:
    rows = list(rolls.histories("FL", 20))
    voted = [n for n, row in enumerate(rows) if row["History_Code"] in "YAEFZ"][:2]
    rows[voted[0]]["History_Code"], rows[voted[1]]["History_Code"] = "X", ""
    rolls.write(tmp_path / "voters.txt", rolls.newest("FL"), rolls.voters("FL", 20))
    rolls.write(tmp_path / "history.txt", rolls.newest("FL", "history"), rows)
    read = open_roll(tmp_path, last=LAST)
    votes = sum(len(voter.ballots) for voter in read.voters())
    assert votes == sum(sum(who.voted) for who in rolls.people(20)) - 2
    assert [(one.row, one.field) for one in read.history_quarantined] == [
        (n + 1, "History_Code") for n in voted
    ]


@pytest.mark.parametrize(
    "said", ["ELIGIBLE, DID NOT VOTE", "Eligible - did not vote ", "PROVISIONAL NOT COUNTED",
             "BALLOT REJECTED"]
)  # fmt: skip
def test_no_vote_in_other_words_is_none_either(said: str) -> None:
    assert not Words(state("NC")).is_vote(said)


def test_voters_of_a_history_who_are_not_in_the_file_are_counted_and_all_of_them_refused(
    tmp_path: Path,
) -> None:
    read = written(tmp_path, "WA", 20)
    with (tmp_path / "history.txt").open("a") as text:
        text.write("9\tKI\tKI\tWA990000\t11/05/2024\r\n")
    list(read.voters())
    assert read.untied == 1
    bare = (tmp_path / "history.txt").read_text().replace("WA", "")
    (tmp_path / "history.txt").write_text(bare)
    with pytest.raises(RollRefused, match=r"none of the .* voters of the history"):
        list(open_roll(tmp_path, last=LAST).voters())


def test_a_column_of_ohios_on_no_day_is_named_and_not_lost(tmp_path: Path) -> None:
    written(tmp_path, "OH", 4)
    path = tmp_path / "voters.txt"
    path.write_bytes(path.read_bytes().replace(b"GENERAL-11/08/2022", b"GENERAL-11/31/2022"))
    read = open_roll(tmp_path, last=LAST)
    assert all(DAYS[2] not in voter.votes for voter in read.voters())
    assert [(one.row, one.field) for one in read.history_quarantined] == [(1, "GENERAL-11/31/2022")]


def test_words_that_tell_a_year_alone_are_counted() -> None:
    field = Field("NY", LAST)
    field.of("2012;GENERAL ELECTION 2024;2008", "3")
    assert (field.tokens, field.vague, field.unread) == (3, 2, {})

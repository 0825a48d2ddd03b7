"""Early and mail ballots: who has voted is left alone, even where the file is odd."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import pytest

from matching.errors import RollRefused
from matching.roll.layout import state
from matching.roll.reader import open_returns
from matching.roll.returns import Return
from tests.fakes import rolls

ELECTION = date(2026, 11, 3)
NC = (
    "county_desc", "voter_reg_num", "ncid", "voter_last_name", "ballot_req_type",
    "ballot_send_dt", "ballot_rtn_dt", "ballot_rtn_status", "site_name",
)  # fmt: skip
CO = ("VOTER ID", "FIRST_NAME", "MAIL BALLOT RECEIVE DATE", "IN PERSON VOTE DATE", "VOTE METHOD")


def table(
    folder: Path, names: Sequence[str], rows: Sequence[Mapping[str, str]], mark: str = ","
) -> Path:
    lines = [mark.join(names), *(mark.join(row.get(n, "") for n in names) for row in rows)]
    path = folder / "ballots.csv"
    path.write_text("\r\n".join(lines) + "\r\n", encoding="latin-1")
    return path


def _nc(
    voter: str, back: str, status: str, way: str = "MAIL", sent: str = "10/01/2026"
) -> dict[str, str]:
    return {
        "ncid": voter, "ballot_req_type": way, "ballot_send_dt": sent, "ballot_rtn_dt": back,
        "ballot_rtn_status": status,
    }  # fmt: skip


def test_in_north_carolina_the_latest_counts_but_accepted_is_for_good(tmp_path: Path) -> None:
    rows = [
        _nc("AA1", "10/10/2026", "ACCEPTED"), _nc("AA1", "10/20/2026", "SPOILED"),
        _nc("AA2", "10/10/2026", "WITNESS INFO INCOMPLETE"),
        _nc("AA2", "10/20/2026", "ACCEPTED - CURED"),
        _nc("AA3", "10/20/2026", "SIGNATURE DIFFERENT"), _nc("AA3", "10/10/2026", "SPOILED"),
        _nc("AA4", "10/10/2026", "SPOILED"), _nc("AA4", "10/20/2026", "ID NOT PROVIDED"),
        _nc("AA5", "", ""), _nc("AA6", "10/21/2026", "ACCEPTED", way="EARLY VOTING"),
    ]  # fmt: skip
    returns, bad = open_returns(table(tmp_path, NC, rows), ELECTION)
    assert {voter: one.state for voter, one in returns.by_voter.items()} == {
        "AA1": "voted", "AA2": "voted", "AA3": "cure", "AA4": "cure", "AA5": "out", "AA6": "voted"
    }  # fmt: skip
    assert returns.by_voter["AA6"] == Return("voted", date(2026, 10, 21), "early")
    assert returns.by_voter["AA2"].method == "mail"
    assert bad == []


def test_a_status_nobody_knows_is_set_aside_by_line_and_quoted_nowhere(tmp_path: Path) -> None:
    rows = [_nc("AA1", "10/10/2026", "SPLENDID"), _nc("AA2", "10/10/2026", "ACCEPTED")]
    returns, bad = open_returns(table(tmp_path, NC, rows), ELECTION)
    assert set(returns.by_voter) == {"AA2"}
    assert [(one.row, one.field) for one in bad] == [(2, "ballot_rtn_status")]
    assert "SPLENDID" not in str(bad)


@pytest.mark.parametrize("mark", ["|", ","])
def test_colorados_list_is_read_with_bars_or_commas_and_blanks_in_its_names(
    mark: str, tmp_path: Path
) -> None:
    rows = [
        {"VOTER ID": "1", "MAIL BALLOT RECEIVE DATE": "10/20/2026", "VOTE METHOD": "Mail"},
        {"VOTER ID": "2", "IN PERSON VOTE DATE": "20-OCT-26", "VOTE METHOD": "In Person"},
        {"VOTER ID": "3", "VOTE METHOD": "Mail"},
        {"VOTER ID": "4", "MAIL BALLOT RECEIVE DATE": "11/06/0202", "VOTE METHOD": "Mail"},
        {"VOTER ID": "5", "MAIL BALLOT RECEIVE DATE": "10/20/2022", "VOTE METHOD": "Mail"},
    ]
    returns, _ = open_returns(table(tmp_path, CO, rows, mark), ELECTION)
    assert returns.by_voter == {
        "1": Return("voted", date(2026, 10, 20), "mail"),
        "2": Return("voted", date(2026, 10, 20), "polls"),
        "3": Return("out", None, "mail"),
        # A slip in the date takes nobody's vote away.
        "4": Return("voted", None, "mail"),
        "5": Return("voted", None, "mail"),
    }
    assert (returns.doubted, returns.counts()["voted"]) == (2, 4)


@pytest.mark.parametrize("width", [33, 34])
def test_floridas_requests_are_read_in_both_widths(width: int, tmp_path: Path) -> None:
    layout = next(one for one in state("FL").layouts if len(one.columns) == width)
    made = [
        ("1000001", "11/03/2026", "", "10/20/2026", "10/20/2026"),
        ("1000002", "11/03/2026", "", "", "10/01/2026"),
        ("1000003", "11/03/2026", "C", "", "10/02/2026"),
        ("1000002", "11/03/2026", "C", "", "10/09/2026"),
        ("1000004", "08/18/2026", "", "08/10/2026", "08/10/2026"),
    ]
    rows = [
        {
            "RecordType": "AbStat", "FVRSVoterIdNumber": voter, "ElectionDate": held,
            "AbsenteeRequestStatus": status, "AbsReqDate": "09/20/2026", "AbsReturnDate": back,
            "LastAbsRecordChangeDate": changed, "AbsReqEmailAddress": "nobody@example.com",
        }
        for voter, held, status, back, changed in made
    ]  # fmt: skip
    path = tmp_path / "ABL_10000_20261021.txt"
    rolls.write(path, layout, rows)
    returns, bad = open_returns(path, ELECTION)
    assert {voter: one.state for voter, one in returns.by_voter.items()} == {
        "1000001": "voted", "1000002": "none", "1000003": "none"
    }  # fmt: skip
    assert (returns.other, bad) == (1, [])


@pytest.mark.parametrize("state", ["NC", "CO"])
def test_a_file_of_another_election_is_refused_and_slips_are_not(
    state: str, tmp_path: Path
) -> None:
    def ballots(right: int, wrong: int) -> list[dict[str, str]]:
        days = ["10/20/2026"] * right + ["10/20/2024"] * wrong
        if state == "NC":
            return [_nc(f"AA{n}", day, "ACCEPTED", sent=day) for n, day in enumerate(days)]
        return [{"VOTER ID": f"{n}", CO[2]: day, CO[4]: "Mail"} for n, day in enumerate(days)]

    columns = NC if state == "NC" else CO
    returns, _ = open_returns(table(tmp_path, columns, ballots(30, 12)), ELECTION)
    assert (returns.doubted, returns.dated, returns.counts()["voted"]) == (12, 42, 42)
    with pytest.raises(RollRefused, match="another election"):
        open_returns(table(tmp_path, columns, ballots(12, 30)), ELECTION)


def test_a_ballot_under_no_voters_id_is_told_by_line(tmp_path: Path) -> None:
    rows = [_nc("NOBODY", "10/10/2026", "ACCEPTED"), _nc("AA1", "10/10/2026", "ACCEPTED")]
    returns, bad = open_returns(table(tmp_path, NC, rows), ELECTION)
    assert (set(returns.by_voter), [(one.row, one.field) for one in bad]) == (
        {"AA1"}, [(2, "ncid")]
    )  # fmt: skip


def test_a_voter_file_is_no_file_of_ballots(tmp_path: Path) -> None:
    rolls.write(tmp_path / "voters.txt", rolls.newest("NY"), rolls.voters("NY", 5))
    with pytest.raises(RollRefused, match="no file of ballots"):
        open_returns(tmp_path, ELECTION)


def test_a_return_shows_nothing_of_anybody(tmp_path: Path) -> None:
    returns, _ = open_returns(table(tmp_path, NC, [_nc("AA1", "", "")]), ELECTION)
    assert "AA1" not in repr(returns)

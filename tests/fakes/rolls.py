"""Made-up people in the true layouts of six states, with bad lines planted where they are told."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matching.roll.layout import Layout, state

FIRST = ("ANA", "BERTA", "CARLOS", "DELIA", "EDGAR", "FAYE", "GUS", "HELEN", "IVAN", "JOSÉ", "KIM",
         "LUCÍA", "MARCUS", "NORA", "OTIS", "PAULA", "QUINN", "ROSA", "SAUL", "TESS")  # fmt: skip
LAST = ("ALDERTON", "BISON", "CANYON-REED", "DUSKFIELD", "ELKHORN", "FERNÁNDEZ", "GRANITE",
        "HERON", "IRIS", "JUNIPER", "KESTREL", "LARKSPUR", "MUÑOZ", "NETTLE",
        "O'QUAIL", "PEBBLE")  # fmt: skip
STREETS = ("ALDER", "BEAVER", "CEDAR", "DOGWOOD", "ELM", "FALCON", "GRANITE", "HAZEL")
HELD = (("general", "11/03/2020"), ("primary", "06/28/2022"), ("general", "11/08/2022"),
        ("general", "11/05/2024"))  # fmt: skip


@dataclass(frozen=True)
class Who:
    """One made-up voter, before any state has written them down."""

    number: int
    first: str
    middle: str
    last: str
    house: int
    street: str
    unit: str
    born: tuple[int, int, int]
    voted: tuple[bool, ...]


def people(count: int, seed: int = 5) -> Iterator[Who]:
    """As many as wanted, one at a time; the same for the same seed."""
    chance = random.Random(seed)
    for number in range(1, count + 1):
        yield Who(
            number,
            chance.choice(FIRST),
            chance.choice(FIRST),
            chance.choice(LAST) + "ABCDEFGHIJ"[number % 10],
            chance.randrange(1, 9999),
            chance.choice(STREETS),
            str(chance.randrange(1, 40)) if chance.random() < 0.3 else "",
            (chance.randrange(1930, 2006), chance.randrange(1, 13), chance.randrange(1, 29)),
            tuple(chance.random() < 0.6 for _ in HELD),
        )


def voter_id(code: str, number: int) -> str:
    return {
        "NY": f"NY{number:018d}", "OH": f"OH{number:010d}", "FL": f"{100000000 + number:010d}",
        "NC": f"AB{number:06d}", "CO": str(600000 + number), "WA": f"WA{number:09d}",
    }[code]  # fmt: skip


def _ny(who: Who) -> dict[str, str]:
    words = {"general": "GENERAL ELECTION {y}", "primary": "{y} PRIMARY"}
    held = [one for one, voted in zip(HELD, who.voted, strict=True) if voted]
    said = [words[kind].format(y=day[-4:]) for kind, day in held]
    return {
        "LASTNAME": who.last, "FIRSTNAME": who.first, "MIDDLENAME": who.middle,
        "RADDNUMBER": str(who.house), "RSTREETNAME": f"{who.street} AVE",
        "RAPARTMENTTYPE": "APT" if who.unit else "", "RAPARTMENT": who.unit, "RCITY": "ALDERTON",
        "RZIP5": "00501", "DOB": "{:d}{:02d}{:02d}".format(*who.born),
        "GENDER": "F", "ENROLLMENT": "DEM",
        "COUNTYCODE": "24" if who.number % 2 else "50", "ED": f"{who.number % 3 + 1:03d}",
        "LD": "007", "TOWNCITY": "CANTON", "WARD": "002", "CD": "12", "SD": "28", "AD": "052",
        "COUNTYVRNUMBER": str(who.number), "REGDATE": "20150804", "STATUS": "A",
        "SBOEID": voter_id("NY", who.number), "VOTERHISTORY": ";".join(said),
    }  # fmt: skip


def _oh(who: Who) -> dict[str, str]:
    year, month, day = who.born
    row = {
        "SOS_VOTERID": voter_id("OH", who.number), "COUNTY_NUMBER": "09",
        "COUNTY_ID": str(who.number), "LAST_NAME": who.last, "FIRST_NAME": who.first,
        "MIDDLE_NAME": who.middle, "DATE_OF_BIRTH": f"{year}-{month:02d}-{day:02d}",
        "REGISTRATION_DATE": "2015-08-04", "VOTER_STATUS": "ACTIVE", "PARTY_AFFILIATION": "D",
        "RESIDENTIAL_ADDRESS1": f"{who.house} {who.street} ST",
        "RESIDENTIAL_SECONDARY_ADDR": f"APT {who.unit}" if who.unit else "",
        "RESIDENTIAL_ZIP": "45011", "CITY": "HAMILTON CITY", "CITY_SCHOOL_DISTRICT": "",
        "LOCAL_SCHOOL_DISTRICT": "ROSS LOCAL", "CONGRESSIONAL_DISTRICT": "08",
        "PRECINCT_CODE": "AAB", "PRECINCT_NAME": "ROSS 2", "STATE_REPRESENTATIVE_DISTRICT": "45",
        "STATE_SENATE_DISTRICT": "04",
    }  # fmt: skip
    for (kind, held), voted in zip(HELD, who.voted, strict=True):
        row[f"{kind.upper()}-{held}"] = ("D" if kind == "primary" else "X") if voted else ""
    return row


def _fl(who: Who) -> dict[str, str]:
    year, month, day = who.born
    return {
        "County_Code": "DAD", "Voter_ID": voter_id("FL", who.number), "Name_Last": who.last,
        "Name_First": who.first, "Name_Middle": who.middle,
        "Requested_public_records_exemption": "N",
        "Residence_Address_Line_1": f"{who.house} {who.street} RD",
        "Residence_Address_Line_2": f"#{who.unit}" if who.unit else "",
        "Residence_Zipcode": "331010000", "Birth_Date": f"{month:02d}/{day:02d}/{year}",
        "Registration_Date": "08/04/2015", "Party_Affiliation": "NPA", "Precinct": "0427",
        "Voter_Status": "ACT", "Congressional_District": "27", "House_District": "113",
        "Senate_District": "36", "County_Commission_District": "5", "Daytime_Area_Code": "305",
        "Daytime_Phone_Number": f"555{who.number % 10000:04d}",
        "Email_address": "nobody@example.com",
    }  # fmt: skip


def _nc(who: Who) -> dict[str, str]:
    unit = f"#{who.unit}" if who.unit else ""
    return {
        "county_id": "59", "county_desc": "MCDOWELL", "voter_reg_num": f"{who.number:012d}",
        "ncid": voter_id("NC", who.number), "last_name": who.last, "first_name": who.first,
        "middle_name": who.middle, "midl_name": who.middle, "status_cd": "A",
        "voter_status_desc": "ACTIVE",
        "res_street_address": f"{who.house}  {who.street} LN   {unit}",
        "zip_code": "28752", "full_phone_number": f"828555{who.number % 10000:04d}",
        "confidential_ind": "N", "Confidential_ind": "N", "registr_dt": "08/04/2015",
        "party_cd": "UNA", "birth_year": str(who.born[0]), "birth_age": "50",
        "precinct_abbrv": "01-07A", "cong_dist_abbrv": "11", "nc_senate_abbrv": "46",
        "nc_house_abbrv": "085", "county_commiss_abbrv": "2", "ssn": "N", "hava_id_req": "N",
    }  # fmt: skip


def _co(who: Who) -> dict[str, str]:
    return {
        "VOTER_ID": voter_id("CO", who.number), "COUNTY_CODE": "18", "COUNTY": "Douglas",
        "LAST_NAME": who.last, "FIRST_NAME": who.first, "MIDDLE_NAME": who.middle,
        "HOUSE_NUM": str(who.house), "STREET_NAME": who.street, "STREET_TYPE": "CT",
        "UNIT_TYPE": "UNIT" if who.unit else "", "UNIT_NUM": who.unit,
        "RESIDENTIAL_ZIP_CODE": "80134", "REGISTRATION_DATE": "8/4/2015", "STATUS": "Active",
        "BIRTH_YEAR": str(who.born[0]), "PRECINCT": "6304418001", "SPLIT": "6304418001.2",
        "PARTY": "UAF", "PHONE_NUM": "", "CONGRESSIONAL": "Congressional 4",
        "STATE_SENATE": "State Senate 4", "STATE_HOUSE": "State House 44",
    }  # fmt: skip


def _wa(who: Who) -> dict[str, str]:
    year, month, day = who.born
    return {
        "StateVoterID": voter_id("WA", who.number), "FName": who.first, "MName": who.middle,
        "LName": who.last, "Birthyear": str(year), "Birthdate": f"{month}/{day}/{year}",
        "RegStNum": str(who.house), "RegStName": who.street, "RegStType": "PL",
        "RegUnitType": "APT" if who.unit else "", "RegStUnitNum": who.unit, "RegUnitNum": who.unit,
        "RegZipCode": "98101", "CountyCode": "KI", "PrecinctCode": "1873", "PrecinctPart": "1",
        "LegislativeDistrict": "36", "CongressionalDistrict": "7",
        "Registrationdate": "2015-08-04", "StatusCode": "Active",
    }  # fmt: skip


ROWS = {"NY": _ny, "OH": _oh, "FL": _fl, "NC": _nc, "CO": _co, "WA": _wa}


def columns(layout: Layout) -> tuple[str, ...]:
    """A file's real columns: Ohio's go on with an election each."""
    more = tuple(f"{kind.upper()}-{held}" for kind, held in HELD) if layout.tail else ()
    return (*layout.columns, *more)


def line(layout: Layout, row: Mapping[str, str], *, names: Sequence[str] | None = None) -> str:
    """One row as the state writes it, without its end."""
    cells = [row.get(name, "") for name in (names or columns(layout))]
    return joined(layout, cells)


def joined(layout: Layout, cells: Sequence[str]) -> str:
    mark = layout.delimiters[0]
    if not layout.quoted or mark == "\t":
        return mark.join(cells)
    return mark.join('"' + cell.replace('"', '""') + '"' for cell in cells)


def write(
    path: Path,
    layout: Layout,
    rows: Iterable[Mapping[str, str]],
    *,
    bad: Sequence[str] = (),
    encoding: str = "latin-1",
) -> dict[int, str]:
    """Write a file; before every third row one of the wanted bad lines. Returns line to kind.

    Kinds: short, long, null, break (a line break in a cell), quote (one inside a cell), open (one
    never closed), id, county, twice (the row before again).
    """
    planted: dict[int, str] = {}
    waiting = list(bad)
    number = 0
    last: Mapping[str, str] = {}
    with path.open("w", encoding=encoding, newline="") as text:
        if layout.header:
            number += 1
            text.write(joined(layout, columns(layout)) + "\r\n")
        for nth, row in enumerate(rows):
            if waiting and nth and nth % 3 == 0:
                kind = waiting.pop(0)
                written = spoilt(kind, layout, row if kind != "twice" else last)
                planted[number + 1] = kind
                number += written.count("\n") + 1
                text.write(written + "\r\n")
            number += 1
            text.write(line(layout, row) + "\r\n")
            last = row
    assert not waiting, "too few rows for so many bad lines"
    return planted


def spoilt(kind: str, layout: Layout, row: Mapping[str, str]) -> str:
    """One bad line of a kind; its voter must be in no result."""
    row = dict(row)
    key, first = layout.reads["voter_id"], layout.reads["first"]
    if kind == "twice":
        return line(layout, row)
    row[key] = voter_id(layout.state, 990_000)
    if kind == "id":
        row[key] = "NOBODY"
    elif kind == "county":
        row[layout.reads["county"]] = "ZZZ"
    elif kind == "null":
        row[first] = "AN\x00A"
    elif kind == "break":
        row[first] = "AN\r\nA"
    good = line(layout, row)
    mark = layout.delimiters[0]
    if kind == "short":
        return mark.join(good.split(mark)[:-5])
    if kind == "long":
        return good + mark
    if kind == "quote":
        return good.replace(f'"{row[first]}"', f'"{row[first]} "SPARKY" A"', 1)
    if kind == "open":
        return good.replace(f'"{row[first]}"', f'"{row[first]}', 1).replace('"', "", 0)
    return good


def newest(code: str, what: str = "voters") -> Layout:
    return [layout for layout in state(code).layouts if layout.what == what][-1]


def voters(code: str, count: int, seed: int = 5) -> Iterator[dict[str, str]]:
    """Rows of a state's voter file, by column."""
    return (ROWS[code](who) for who in people(count, seed))


def histories(code: str, count: int, seed: int = 5) -> Iterator[dict[str, str]]:
    """Rows of a state's voting history, by column: the votes of ``people``."""
    for who in people(count, seed):
        for (kind, held), voted in zip(HELD, who.voted, strict=True):
            yield from HISTORIES[code](who, kind, held, voted)


def _co_vote(who: Who, kind: str, held: str, voted: bool) -> list[dict[str, str]]:
    row = {
        "VOTER_ID": voter_id("CO", who.number), "ELECTION_TYPE": kind.title(),
        "ELECTION_DATE": held, "ELECTION_DESCRIPTION": f"{held[-4:]} {kind.upper()} ELECTION",
        "VOTING_METHOD": "Mail Ballot", "PARTY": "UAF" if kind == "primary" else "",
        "COUNTY_NAME": "Douglas",
    }  # fmt: skip
    return [row] if voted else []


def _nc_vote(who: Who, kind: str, held: str, voted: bool) -> list[dict[str, str]]:
    way = "EARLY VOTING IN-PERSON" if voted else "ELIGIBLE DID NOT VOTE"
    return [{
        "county_id": "59", "ncid": voter_id("NC", who.number), "election_lbl": held,
        "election_desc": f"{held} {kind.upper()}", "voting_method": way,
        "voted_party_cd": "UNA" if kind == "primary" else "",
    }]  # fmt: skip


def _fl_vote(who: Who, kind: str, held: str, voted: bool) -> list[dict[str, str]]:
    code = "YAEFZ"[who.number % 5] if voted else "BPN"[who.number % 3]
    return [{
        "County_Code": "DAD", "Voter_ID": voter_id("FL", who.number), "Election_Date": held,
        "Election_Type": {"general": "GEN", "primary": "PRI"}[kind], "History_Code": code,
    }]  # fmt: skip


def _wa_vote(who: Who, kind: str, held: str, voted: bool) -> list[dict[str, str]]:
    row = {
        "VoterHistoryID": str(who.number), "CountyCode": "KI", "CountyCode_Voting": "KI",
        "StateVoterID": voter_id("WA", who.number), "ElectionDate": held,
    }  # fmt: skip
    return [row] if voted else []


HISTORIES = {"CO": _co_vote, "NC": _nc_vote, "FL": _fl_vote, "WA": _wa_vote}

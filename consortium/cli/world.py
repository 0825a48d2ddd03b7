"""Make a world: generated people in true file layouts.

``trellis world make`` writes a folder that ``trellis demo`` runs on, as docs/world.md describes
it. The same seed, sizes and day write the same bytes.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from datetime import time as clock_time
from pathlib import Path
from typing import Any

import click
import tomli_w

from matching import listing, people
from matching.errors import MatchingError
from matching.listing import Entry
from matching.people import Person, Town
from matching.roll import co

__all__ = ["command", "make"]

_PARTNERS = (
    ("prairie-action", "Prairie Action", "mail.prairie-action.example", "a supporter",
     "action-network"),
    ("workers-united", "Workers United", "mail.workers-united.example", "a member", "everyaction"),
    ("clean-rivers", "Clean Rivers Council", "mail.clean-rivers.example", "a supporter",
     "nationbuilder"),
    ("tenants-league", "Tenants League", "mail.tenants-league.example", "a member",
     "action-network"),
    ("library-friends", "Friends of the Library", "mail.library-friends.example", "a donor",
     "everyaction"),
    ("transit-riders", "Transit Riders", "mail.transit-riders.example", "a subscriber",
     "nationbuilder"),
)  # fmt: skip
_DISTRICT = "State House 44"


@click.group()
def command() -> None:
    """Make a world: a folder with generated people that a demo can run on."""


@command.command("make")
@click.option("--voters", type=click.IntRange(500, 2_000_000), required=True)
@click.option("--members", required=True, help="Rows of each partner's list, such as 600,500,400.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--today", type=click.DateTime(["%Y-%m-%d"]), default=None, help="Default: today.")
@click.option("--out", "-o", type=click.Path(path_type=Path, file_okay=False), required=True)
def make_command(voters: int, members: str, seed: int, today: Any, out: Path) -> None:
    """Write a world of generated people into a new folder."""
    try:
        sizes = [int(size) for size in members.split(",")]
    except ValueError:
        raise click.BadParameter("must be numbers with commas, such as 600,500,400") from None
    if not 1 <= len(sizes) <= len(_PARTNERS):
        raise click.BadParameter(f"between 1 and {len(_PARTNERS)} lists can be made")
    if min(sizes) < 20 or max(sizes) > voters:
        raise click.BadParameter("a list has at least 20 rows and at most as many as voters")
    if out.exists() and any(out.iterdir()):
        raise click.BadParameter(f"{out} is not empty", param_hint="--out")
    try:
        make(
            out, voters=voters, members=sizes, seed=seed, today=today.date() if today else _today()
        )
    except MatchingError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{out}: {voters:,} voters, {len(sizes)} lists of {', '.join(map(str, sizes))} rows")


def _today() -> date:
    return date.today()  # noqa: DTZ011 - the day on the maker's own calendar


def make(out: Path, *, voters: int, members: Sequence[int], seed: int, today: date) -> None:
    """Write a world. The only chance is ``seed``; the only date is ``today``."""
    chance = random.Random(seed)  # noqa: S311 - generated people need no secret
    election = _tuesday(today + timedelta(days=60))
    place = people.town(chance, voters=voters, year=election.year)
    (out / "roll").mkdir(parents=True, exist_ok=True)
    ids = _write_roll(chance, out / "roll", place, today)
    truth: list[tuple[str, int, str]] = []
    earlier: list[int] = []
    for size, (slug, _, _, _, system) in zip(members, _PARTNERS, strict=False):
        shared = chance.sample(earlier, min(len(earlier), size // 20))
        listed = listing.entries(
            chance, place, count=size, habits=listing.HABITS[system], prefer=shared
        )
        earlier += [entry.person.number for entry in listed if entry.person.registered]
        _write_list(chance, out / "partners" / slug / "members.csv", system, listed)
        truth += [(slug, row, ids.get(e.person.number, "")) for row, e in enumerate(listed, 2)]
    _write_csv(out / "truth.csv", ("partner", "row", "voter_id"), truth)
    (out / "world.toml").write_text(tomli_w.dumps(_world(election, len(members))), "utf-8")


def _tuesday(day: date) -> date:
    return day + timedelta(days=(1 - day.weekday()) % 7)


def _world(election: date, lists: int) -> dict[str, Any]:
    return {
        "format": 1,
        "election": election,
        "polls_close": clock_time(19, 0),
        "time_zone": "America/Denver",
        "districts": [_DISTRICT],
        "race": {
            "id": f"co-house-44-{election.year}",
            "name": f"State House 44, {election.year}",
            "office": "State House",
            "state": "CO",
        },
        "audience": {"places": {"district": [_DISTRICT]}},
        "steward": {"id": "steward", "name": "The Voter File Trust"},
        "custodians": {"threshold": 2, "total": 3},
        "intervals": {"publish_seconds": 2, "match_seconds": 2},
        "coordinator": {"id": "coordinator", "name": "Jordan Example"},
        "messenger": {"name": "Maria Example", "place": people.CITIES[0]},
        "partners": [
            dict(zip(("slug", "name", "domain", "relation", "format"), partner, strict=True))
            for partner in _PARTNERS[:lists]
        ],
    }


def _write_csv(
    path: Path,
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    encoding: str = "utf-8",
    quote: bool = False,
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding=encoding, newline="") as text:
        style: Any = csv.QUOTE_ALL if quote else csv.QUOTE_MINIMAL
        writer = csv.writer(text, quoting=style, lineterminator="\r\n")
        writer.writerow(header)
        writer.writerows(rows)


# --- the roll, as Colorado writes it -----------------------------------------------------------


def _house(precinct: int, precincts: int) -> int:
    """Four of five precincts lie in the district in play; a single one always does."""
    return 44 if precinct == 0 or precinct * 5 < precincts * 4 else 45


def _precinct(precinct: int, precincts: int) -> str:
    return f"630{_house(precinct, precincts)}18{precinct % 1000:03d}"


def _write_roll(chance: random.Random, folder: Path, place: Town, today: date) -> Mapping[int, str]:
    """Write EX-003 and EX-002; return voter ids by person. One line is cut short on purpose."""
    held = (_general(year) for year in range(today.year - 9, today.year + 1))
    generals = [day for day in held if day and day < today][-4:]
    ids = {person.number: str(600000000 + n * 3) for n, person in enumerate(place.voters, 1)}
    rows = [
        [_ex003(chance, ids[person.number], person, place)[name] for name in co.MASTER.columns]
        for person in place.voters
    ]
    rows.insert(len(rows) // 2, rows[0][:37])
    _write_csv(
        folder / "EX-003_Master_Voter_List_Part1.txt",
        co.MASTER.columns,
        rows,
        encoding="latin-1",
        quote=True,
    )
    history = []
    for person in place.voters:
        for day in generals:
            if day.year - person.year >= 18 and chance.random() < person.votes:
                history.append(_ex002(ids[person.number], "General", day))
        if chance.random() < person.votes * 0.4:
            june = date(generals[-1].year, 6, 28)
            history.append(_ex002(ids[person.number], "Primary", june))
    _write_csv(
        folder / "EX-002_Public_Voting_History_List_Part1.txt",
        co.EX_002.columns,
        history,
        encoding="latin-1",
        quote=True,
    )
    return ids


def _general(year: int) -> date | None:
    """The Tuesday after the first Monday in November of an even year."""
    return _tuesday(date(year, 11, 2)) if year % 2 == 0 else None


def _ex003(chance: random.Random, id: str, person: Person, place: Town) -> dict[str, str]:
    home, row = person.home, dict.fromkeys(co.MASTER.columns, "")
    precinct = _precinct(home.precinct, place.precincts)
    active = chance.random() < 0.93
    phone = f"({person.phone[:3]}) {person.phone[3:6]}-{person.phone[6:]}"
    row |= {
        "VOTER_ID": id,
        "COUNTY_CODE": "18",
        "COUNTY": "Douglas",
        "LAST_NAME": person.last.upper(),
        "FIRST_NAME": person.first.upper(),
        "MIDDLE_NAME": person.middle.upper() if chance.random() < 0.8 else "",
        "NAME_SUFFIX": person.suffix.upper(),
        "VOTER_NAME": f"{person.last}, {person.first}".upper(),
        "STATUS_CODE": "A" if active else "I",
        "PRECINCT_NAME": precinct,
        "HOUSE_NUM": str(home.number),
        "PRE_DIR": home.direction,
        "STREET_NAME": home.street.upper(),
        "STREET_TYPE": home.kind.upper(),
        "UNIT_TYPE": "APT" if home.unit else "",
        "UNIT_NUM": home.unit,
        "RESIDENTIAL_ADDRESS": home.line.upper(),
        "RESIDENTIAL_CITY": home.city.upper(),
        "RESIDENTIAL_STATE": "CO",
        "RESIDENTIAL_ZIP_CODE": home.zip,
        "REGISTRATION_DATE": "08/05/2016",
        "EFFECTIVE_DATE": "8/5/2016",
        "STATUS": "Active" if active else "Inactive",
        "BIRTH_YEAR": str(person.year),
        "GENDER": "Female" if person.female else "Male",
        "PRECINCT": precinct,
        "SPLIT": precinct + ".1",
        "VOTER_STATUS_ID": "1",
        "PARTY": chance.choice(("UAF", "UAF", "DEM", "REP")),
        "PHONE_NUM": phone if chance.random() < 0.45 else "",
        "PERMANENT_MAIL_IN_VOTER": "Yes",
        "CONGRESSIONAL": "Congressional 6",
        "STATE_SENATE": "State Senate 30",
        "STATE_HOUSE": f"State House {_house(home.precinct, place.precincts)}",
        "ID_REQUIRED": "No",
    }
    return row


def _ex002(id: str, kind: str, day: date) -> tuple[str, ...]:
    name = f"{day.year} {kind.upper()} ELECTION"
    return (id, kind, f"{day:%m/%d/%Y}", name, "Mail Ballot", "", "Douglas")


# --- the lists, as three systems export them -----------------------------------------------------


def _action_network(entry: Entry) -> dict[str, str]:
    return {
        "uuid": f"00000000-0000-4000-8000-{entry.person.number:012d}",
        "first_name": entry.first,
        "last_name": entry.last,
        "email": entry.email,
        "zip_code": entry.zip,
        "can2_user_address": entry.address,
        "can2_user_city": entry.city,
        "can2_state_abbreviated": "CO",
        "can2_phone": entry.phone,
        "can2_subscription_status": entry.status,
        "can2_subscription_date": "2024-03-05",
        "can2_user_tags": "newsletter, volunteer",
    }


def _everyaction(entry: Entry) -> dict[str, str]:
    words = {"subscribed": "Subscribed", "unsubscribed": "Unsubscribed", "bounced": "Bounced"}
    return {
        "VANID": str(100000000 + entry.person.number),
        "FirstName": entry.first,
        "MiddleName": entry.middle,
        "LastName": entry.last,
        "Suffix": entry.suffix,
        "Sex": "F" if entry.person.female else "M",
        "DOB": entry.birth,
        "Address": entry.address,
        "City": entry.city,
        "State": "CO",
        "Zip5": entry.zip,
        "Cell Phone": entry.phone,
        "Email": entry.email,
        "EmailSubscriptionStatus": words.get(entry.status, entry.status.title()),
        "EmployerName": "Example Works",
    }


def _nationbuilder(entry: Entry) -> dict[str, str]:
    opted = {"subscribed": "true", "": ""}.get(entry.status, "false")
    if entry.status == "bounced":
        opted = "true"
    return {
        "nationbuilder_id": str(entry.person.number + 1),
        "first_name": entry.first,
        "middle_name": entry.middle,
        "last_name": entry.last,
        "suffix": entry.suffix,
        "email": entry.email,
        "email_opt_in": opted,
        "email1": entry.email,
        "email1_is_bad": "true" if entry.status == "bounced" else "false",
        "do_not_contact": "true" if entry.status == "spam complaint" else "false",
        "phone_number": entry.phone,
        "born_at": entry.birth,
        "primary_address1": entry.address,
        "primary_city": entry.city,
        "primary_state": "CO",
        "primary_zip": entry.zip,
        "tag_list": "canvass, donor",
        "support_level": "2",
    }


_EXPORTS = {
    "action-network": _action_network,
    "everyaction": _everyaction,
    "nationbuilder": _nationbuilder,
}


def _write_list(chance: random.Random, path: Path, system: str, listed: Sequence[Entry]) -> None:
    """Write one export; four rows, or one in 200, are malformed on purpose."""
    filled = [_EXPORTS[system](entry) for entry in listed]
    header = tuple(filled[0])
    email = next(n for n, name in enumerate(header) if name.lower() == "email")
    rows: list[list[str]] = [list(row.values()) for row in filled]
    broken = chance.sample(range(len(rows)), max(4, len(rows) // 200))
    for nth, at in enumerate(broken):
        row = rows[at]
        if nth % 4 == 0:
            row.insert(3, "stray cell")
        elif nth % 4 == 1:
            del row[-2:]
        else:
            typed = "" if nth % 4 == 2 else row[email].replace("@", " at ")
            # NationBuilder repeats the address in email1.
            rows[at] = [typed if "@" in cell else cell for cell in row]
    _write_csv(path, header, rows)

"""A partner's verb for its members who said stop: which rows of its own files, how far, since when.

The server names locks alone, and those of the asking partner's rows only. Which row of which file
stands behind one, this computer alone knows; the file says who that is.
"""

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from consortium.cli.api import Api
from consortium.cli.desk import json_option, last_line, say, table
from consortium.cli.errors import CheckRefused, HomeRefused
from consortium.cli.home import Home
from consortium.cli.joining import home_option, line
from consortium.cli.lists import OwnList, sent
from consortium.cli.vault import write_whole

ENDS = {
    "race": "letters of this race, from every organization",
    "partner": "letters from you through Trellis, in every race",
    "all": "every letter through Trellis",
}
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_RACE = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


@dataclass(frozen=True, slots=True)
class Said:
    """One stop by whoever stands in a row of an own file; the file's header is row 1."""

    list: str
    row: int
    scope: str
    race: str
    day: str


@click.command("stops")
@home_option
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write them to this file as CSV: list, row, stop, race, day. It names nobody.",
)
@json_option
def stops(home: Path, out: Path | None) -> None:
    """Which of your own rows said stop upon a letter that you sent; the header is row 1."""
    api = line(home)
    found, unknown = heard(api)
    if found:
        table(
            ("list", "row", "ends", "race", "day"),
            [(one.list, str(one.row), ENDS[one.scope], one.race, one.day) for one in found],
        )
        say(
            "Trellis heeds these already. They say nothing of your own newsletter: whoever stopped",
            "everything may mean it too, so ask before you write to them there.",
        )
    else:
        say("Nobody said stop upon a letter of yours, as far as you are told.")
    say(*_LIMITS)
    if unknown:
        say(
            f"{unknown} more that the server names stand in no list of this computer: rows that "
            "were withdrawn here, or lists that another computer uploaded."
        )
    if out is not None:
        write_whole(out, as_csv(found))
        say(f"Written: {out}")
    last_line({"stops": [_json(one) for one in found], "unknown": unknown})


_LIMITS = (
    "You are told of stops upon letters that went through your list; of a stop upon another's",
    "letter you are not. Of an address that was typed on the stop page, and of a complaint, nobody",
    "is told.",
)


def heard(api: Api) -> tuple[list[Said], int]:
    """Ask about each list that may be on the server; what is told, and how much of it is unknown.

    Raises:
        CheckRefused: the server's answer is misshapen. Nothing of it is quoted.
    """
    there = {str(one.get("id")) for one in api.get("/contributions") if isinstance(one, dict)}
    found: list[Said] = []
    unknown = 0
    for own in sent(api.home):
        if own.withdrawn or own.id not in there:
            continue
        told = _told(api.get(f"/contributions/{own.id}/stops"))
        rows = _numbers(api.home, own) if told else {}
        known = [one for one in told if one["lock"] in rows]
        unknown += len(told) - len(known)
        found += [
            Said(own.id, rows[one["lock"]], one["scope"], one["race"], one["day"]) for one in known
        ]
    return sorted(found, key=lambda one: (one.list, one.row, one.scope, one.race)), unknown


def _numbers(home: Home, own: OwnList) -> dict[str, int]:
    try:
        return {one.lock.hex(): one.row for one in own.each_row(home)}
    except FileNotFoundError:
        raise HomeRefused(f"list {own.id} has no rows on this computer") from None


def _told(answer: Any) -> list[dict[str, str]]:
    stops = answer.get("stops") if isinstance(answer, dict) else None
    if not isinstance(stops, list) or not all(_fits(one) for one in stops):
        raise CheckRefused("the server's stops of this list are misshapen")
    return stops


def _fits(one: Any) -> bool:
    if not isinstance(one, dict) or not all(isinstance(value, str) for value in one.values()):
        return False
    lock, scope, race, day = (one.get(name, "") for name in ("lock", "scope", "race", "day"))
    plain = _RACE.fullmatch(race) and _DAY.fullmatch(day)
    return len(lock) == 64 and scope in ENDS and plain is not None


def as_csv(found: list[Said]) -> bytes:
    """The same as a file; no cell begins with what a spreadsheet would run."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("list", "row", "stop", "race", "day"))
    writer.writerows((one.list, one.row, one.scope, one.race, one.day) for one in found)
    return text.getvalue().encode()


def _json(one: Said) -> dict[str, Any]:
    return {
        "list": one.list,
        "row": one.row,
        "scope": one.scope,
        "race": one.race,
        "day": one.day,
    }

"""The race's shared calendar, and the days that a partner keeps free for its own mailings."""

from datetime import date
from pathlib import Path

import click

from consortium.cli.desk import json_option, last_line, say, table
from consortium.cli.home import Json
from consortium.cli.joining import home_option, line


@click.command()
@home_option
@json_option
def calendar(home: Path) -> None:
    """Show what is planned in the race, the days on which no letter leaves, and what clashes."""
    api = line(home)
    answer: Json = api.get(f"/races/{api.home.invite['race']}/calendar")
    say(f"Election on {answer['election_date']}. Days are those of {answer['time_zone']}.")
    for one in answer["days"]:
        why = f"{one['name']} writes to its own members" if one["partner"] else "the agreement"
        say(f"{one['day']}  no letter leaves ({why})")
    table(
        ("campaign", "state", "opens", "closes", "days", "subject"),
        [
            (
                str(one["id"]),
                str(one["state"]),
                str(one["opens"])[:10],
                str(one["closes"])[:10],
                str(one["free_days"]),
                str(one["subject"]),
            )
            for one in answer["campaigns"]
        ],
    )
    for one in answer["clashes"]:
        say(f"Clash, {' and '.join(one['campaigns'])}: {one['words']}.")
    last_line(answer)


@click.command("keep-day")
@home_option
@click.argument("day")
@click.option("--give-back", is_flag=True, help="Let letters leave that day after all.")
@json_option
def keep_day(home: Path, day: str, give_back: bool) -> None:
    """Keep DAY (2026-10-05) for your own newsletter: no letter of the race leaves that day.

    For nobody in the race, whoever it is from: were only your own members left alone, their
    letters' dates would tell other partners who they are.
    """
    api = line(home)
    body = {"day": _day(day), "keep": not give_back}
    answer: Json = api.post(f"/races/{api.home.invite['race']}/days", body)
    said = "Given back" if give_back else "Kept free, for everybody's letters"
    say(f"{said}: {day}. Your days: {', '.join(answer['days']) or 'none'}.")
    last_line(answer)


def _day(typed: str) -> str:
    try:
        return date.fromisoformat(typed).isoformat()
    except ValueError:
        raise click.UsageError("DAY is not a date such as 2026-10-05") from None

"""A partner's question how well its own list meets the voter file; noised, paid for, told to it."""

from pathlib import Path
from typing import Any
from uuid import UUID

import click

from consortium.cli.api import Api
from consortium.cli.desk import confirm, json_option, last_line, say, table, waiting
from consortium.cli.errors import Unreachable
from consortium.cli.home import Home, Json
from consortium.cli.joining import home_option, line, wait_option
from consortium.cli.lists import own_list

PAUSE = 2.0


@click.command()
@home_option
@wait_option
@click.argument("id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def quality(home: Path, wait: float, id: str, yes: bool) -> None:
    """How many of your list's rows find a voter, in all and by each kind of code; blurred.

    The first time for a list and a voter file it spends three of your organisation's sixteen
    answers of this race; after that the same answer is free. Nobody else is told.
    """
    api, own = line(home), own_list(Home(home), id)
    path = f"/contributions/{UUID(own.id)}/quality"
    found = api.get(path)
    if found["state"] != "told":
        confirm("Ask? It spends three of your sixteen answers of this race.", yes)
        api.post(path)
        with waiting("Waiting for the operator's worker to count and blur"):
            found = _told(api, path, wait)
    say(*lines(found, own.facts["rows"]))
    _by_recipe(found, own.facts["rows"])
    last_line({"id": own.id, "rows": own.facts["rows"], **found})


def _told(api: Api, path: str, wait: float) -> Json:
    waited = 0.0
    while (found := api.get(path))["state"] != "told":
        if waited >= wait:
            raise Unreachable("it is asked and paid for, and not counted yet: run this again")
        api.sleep(PAUSE)
        waited += PAUSE
    answer: Json = found
    return answer


def lines(found: Json, rows: int) -> list[str]:
    """Both figures beside the list's own length, and what is left."""
    return [
        f"Of {rows:,} rows, a voter is found for {_said(found['found'], rows)}.",
        f"Certain beyond the usual: {_said(found['certain'], rows)}.",
        f"Answers left to you in this race: {found['answers_left']}.",
    ]


def _by_recipe(found: Json, rows: int) -> None:
    table(
        ("kind of code", "agrees in links", "of your rows"),
        [(one["recipe"], one["shown"], _share(one, rows)) for one in found["recipes"]],
    )


def _said(one: Any, rows: int) -> str:
    return f"{one['shown'][0].lower()}{one['shown'][1:]} ({_share(one, rows)})"


def _share(one: Any, rows: int) -> str:
    low, high = (min(100, round(100 * one[end] / max(1, rows))) for end in ("low", "high"))
    return f"{low}% to {high}%"

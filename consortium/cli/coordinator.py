"""A coordinator's commands: choose places, count, draft a letter, preview, submit, watch, stop."""

import functools
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from consortium.cli.api import Api
from consortium.cli.area import area, shapes
from consortium.cli.days import calendar
from consortium.cli.desk import Desk, json_option, last_line, say, table, waiting
from consortium.cli.errors import CheckRefused, ToolError, Unreachable
from consortium.cli.home import Json
from consortium.cli.joining import home_option, init_command, join_command, line
from consortium.cli.programmes import planning
from consortium.cli.trying import test_command
from consortium.cli.vault import write_whole
from mailer import starting

ENDED = ("closed", "stopped")
UTC_FORM = "%Y-%m-%dT%H:%M:%SZ"
PROGRESS = {
    "draft": "still a draft: submit it when it says what it should",
    "submitted": "waiting for the partners to approve",
    "approved": "approved; schedule it",
    "frozen": "the audience is fixed; the partners check their own rows",
    "attested": "every source has checked its rows; going into the log",
    "logged": "in the log under its witnesses; letters start in the window",
    "sending": "letters are going out",
    "paused": "paused: nothing leaves until you resume",
    "stopped": "stopped for good",
    "closed": "over",
}

campaign_argument = click.argument("campaign")


@click.group(cls=Desk)
def command() -> None:
    """Choose places, write, schedule, watch. Run by a local coordinator of one race."""


command.add_command(init_command("coordinator", "Your"))
command.add_command(join_command)
command.add_command(area)
command.add_command(shapes)
command.add_command(calendar)
command.add_command(planning)
command.add_command(test_command)


@command.command()
@home_option
@click.option("--kind", type=click.Choice(["district", "precinct", "zip"]), help="Only these.")
@json_option
def places(home: Path, kind: str | None) -> None:
    """List the places that can be chosen, with their registered voters, rounded."""
    api = line(home)
    answer: Json = api.get(_race(api, "places"))
    chosen = {name: rows for name, rows in answer.items() if kind in (None, name)}
    table(
        ("kind", "code", "registered"),
        [
            (name, str(row["code"]), f"about {row['registered']:,}")
            for name, rows in sorted(chosen.items())
            for row in rows
        ],
    )
    last_line(chosen)


@command.command()
@home_option
@click.option("--name", required=True, help="The volunteer's name as letters will say it.")
@click.option("--place", required=True, help="Where the volunteer lives.")
@click.option("--zip", default="", help="Their ZIP, to find who lives nearest; no letter shows it.")
@click.option("--precinct", default="", help="Their precinct, as the list of places spells it.")
@click.option(
    "--daily",
    default=0,
    show_default=True,
    type=click.IntRange(min=0),
    help="Letters a day in their name at most, 0 for no limit; they may change it.",
)
@json_option
def messenger(home: Path, name: str, place: str, zip: str, precinct: str, daily: int) -> None:
    """Ask a volunteer to lend their name; prints the link on which they alone answer."""
    api = line(home)
    asked: Json = {
        "name": name, "place": place, "zip": zip, "precinct": precinct, "daily": daily
    }  # fmt: skip
    answer: Json = api.post(
        _race(api, "messengers"), {key: said for key, said in asked.items() if said}, again=False
    )
    say(
        f"Hand this link to {name} and to nobody else; it is not shown again:",
        str(answer["link"]),
        "Letters can be written in their name once they have confirmed there.",
    )
    last_line(answer)


def audience_options(function: Any) -> Any:
    """Add the options that cut an audience, and hand the definition over as ``audience``."""

    @functools.wraps(function)
    def cut(
        definition: Path | None,
        district: tuple[str, ...],
        precinct: tuple[str, ...],
        zip: tuple[str, ...],
        age: tuple[str, ...],
        votes: tuple[str, ...],
        primaries: tuple[str, ...],
        **other: Any,
    ) -> None:
        places = {"district": district, "precinct": precinct, "zip": zip}
        rules = {"age": age, "votes": votes, "primaries": primaries}
        function(audience=_definition(definition, places, rules), **other)

    for option in (
        click.option(
            "--primaries", multiple=True, help="Of the last four years with one: 0, 1-2, 3-4."
        ),
        click.option("--votes", multiple=True, help="Of the last four generals: 0, 1-2, 3-4, new."),
        click.option("--age", multiple=True, help="18-34, 35-49, 50-64, 65+; may be repeated."),
        click.option("--zip", multiple=True, help="A ZIP; may be repeated."),
        click.option("--precinct", multiple=True, help="A precinct's code; may be repeated."),
        click.option(
            "--district", multiple=True, help="A district, e.g. 'State House 44'; may be repeated."
        ),
        click.option(
            "--definition",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="A JSON file with places, age, votes, primaries; instead of the options.",
        ),
    ):
        cut = option(cut)
    return cut


def _definition(
    file: Path | None, places: Mapping[str, Sequence[str]], rules: Mapping[str, Sequence[str]]
) -> Json:
    """Read a definition from a file or from the options; the server puts it in normal form."""
    where, who = ({word: list(said) for word, said in given.items() if said}
                  for given in (places, rules))  # fmt: skip
    if file is not None:
        if where or who:
            raise click.UsageError("give --definition or the options, not both")
        return _object(file, "definition")
    if not where:
        raise click.UsageError("name at least one place: --district, --precinct or --zip")
    return {"places": where, **who}


@command.command()
@home_option
@audience_options
@json_option
def count(home: Path, audience: Json) -> None:
    """Ask about how many people an audience has; each new question spends a look, for good."""
    api = line(home)
    answer: Json = api.post(_race(api, "counts"), {"definition": audience})
    fresh = "a new look was spent" if answer.get("fresh") else "asked before: no look was spent"
    say(
        str(answer.get("shown")),
        f"very likely between {answer.get('low'):,} and {answer.get('high'):,}; {fresh}; "
        f"{answer.get('looks_left')} looks left for this race",
    )
    last_line(answer)


@command.command()
@home_option
@audience_options
@json_option
def nearest(home: Path, audience: Json) -> None:
    """Who of the volunteers that confirmed lives nearest to an audience; it spends no look."""
    api = line(home)
    found: list[Json] = api.post(_race(api, "messengers/nearest"), {"definition": audience})
    if not found:
        say("Nobody has confirmed yet: ask a volunteer with 'messenger'.")
    for one in found:
        far = "" if one["km"] is None else f", about {one['km']} km away"
        say(f"{one['name']}, {one['place']}: nearest to {one['nearest_to']} of 100 registered"
            f" voters there{far}")  # fmt: skip
    last_line({"messengers": found})


@command.command()
@home_option
@audience_options
@click.option(
    "--template",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The letter: MJML, or JSON with subject, blocks or mjml, and languages.",
)
@click.option(
    "--text",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Its plain text; otherwise made from the MJML.",
)
@click.option("--subject", default="", help="Of a letter in MJML.")
@click.option(
    "--arm",
    "others",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Another way to say it, up to three: JSON with subject, blocks or mjml, and share.",
)
@click.option(
    "--share",
    default=1,
    type=click.IntRange(1, 100),
    help="Of the letter itself beside its arms, in whole parts; an arm's own is in its file.",
)
@click.option(
    "--messenger", default="", help="Who signs them all; without it each is signed by the nearest."
)
@click.option("--messenger-place", default="", help="Where the messenger lives.")
@click.option("--opens", required=True, help="UTC, 2026-10-20T15:00:00Z: no letter before it.")
@click.option("--closes", required=True, help="UTC: no letter after it.")
@json_option
def draft(
    home: Path,
    audience: Json,
    template: Path,
    text: Path | None,
    subject: str,
    others: tuple[Path, ...],
    share: int,
    messenger: str,
    messenger_place: str,
    opens: str,
    closes: str,
) -> None:
    """Write a letter to an audience, as a draft; in several arms to learn which does better."""
    api = line(home)
    window = {"opens": _utc("--opens", opens), "closes": _utc("--closes", closes)}
    if window["opens"] >= window["closes"]:
        raise click.UsageError("--closes is not after --opens")
    if bool(messenger) != bool(messenger_place):
        raise click.UsageError("give --messenger with --messenger-place, or neither")
    if template.suffix == ".json":
        letter = _object(template, "letter")
    elif not subject:
        raise click.UsageError("a letter in MJML needs --subject")
    else:
        letter = {"subject": subject, "mjml": _text(template)}
    if text is not None:
        letter["text"] = _text(text)
    if others:
        letter |= {"share": share, "arms": [_object(one, "arm") for one in others]}
    body: Json = {
        "definition": audience,
        "template": letter,
        "window": window,
    }
    if messenger:
        body["messenger"] = {"name": messenger, "place": messenger_place}
    answer: Json = api.post(_race(api, "campaigns"), body, again=False)
    say(
        f"Draft {answer['id']}. Look at it: trellis coordinator preview {answer['id']} --out letter.html"  # noqa: E501
    )
    last_line(answer)


@command.command()
@click.argument("name", default="")
@click.option("--spanish", is_flag=True, help="With the Spanish letter beside the English one.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Where to write it.")
@json_option
def starter(name: str, spanish: bool, out: Path | None) -> None:
    """Write one of the letters that ship, to be changed and drafted; without a name, list them."""
    known = dict(starting.called())
    if name not in known or out is None:
        table(("name", "letter"), list(known.items()))
        last_line({"starters": list(known)})
        return
    letter: Json = starting.starter(name)
    if spanish:
        letter["languages"] = {"es": starting.starter(name, "es")}
    write_whole(out, (json.dumps(letter, indent=1, ensure_ascii=False) + "\n").encode())
    say(f"Written to {out}. Change what is in it, then: draft --template {out}")
    last_line({"name": name, "out": str(out)})


@command.command()
@home_option
@campaign_argument
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--language", default="", help="One that it is written in; otherwise its first.")
@click.option("--zip", "zip_", default="", help="The ZIP that the made-up person votes in.")
@click.option("--precinct", default="", help="Their precinct instead, whose facts it states.")
@click.option("--text", is_flag=True, help="The text part instead of the HTML.")
@click.option("--arm", default=1, type=click.IntRange(1, 4), help="Which, of a letter with arms.")
@json_option
def preview(
    home: Path,
    campaign: str,
    out: Path,
    language: str,
    zip_: str,
    precinct: str,
    text: bool,
    arm: int,
) -> None:
    """Write the letter as a made-up person would get it, wherever they vote."""
    if zip_ and precinct:
        raise click.UsageError("give a ZIP or a precinct, not both")
    asked = {
        "language": language,
        "kind": "zip" if zip_ else "precinct",
        "place": zip_ or precinct,
        "part": "text" if text else "html",
        "arm": str(arm),
    }
    api = line(home)
    write_whole(out, api.get_bytes(f"/campaigns/{campaign}/preview?{urlencode(asked)}"))
    say(f"Written to {out}. The person in it is made up.")
    last_line({"id": campaign, "out": str(out)})


@command.command()
@home_option
@campaign_argument
@json_option
def check(home: Path, campaign: str) -> None:
    """Say what was looked at before anybody approves a letter; ends with 1 while red."""
    api = line(home)
    answer: Json = api.get(f"/campaigns/{campaign}/checks")
    for one in answer["findings"]:
        say(_finding(one))
    for domain in answer["domains"]:
        say(f"{domain['domain']} ({domain['partner']}), looked at {domain['at'] or 'never'}:")
        for one in domain["findings"]:
            say(f"  {_finding(one)}")
    last_line(answer)
    if answer["level"] == "red":
        raise CheckRefused("it cannot be submitted before what is red is mended")


def _finding(one: Json) -> str:
    where = f", line {one['line']}" if one["line"] else ""
    return f"{one['level']}: {one['point']}{where}: {one['what']} {one['do']}".rstrip()


@command.command()
@home_option
@json_option
def campaigns(home: Path) -> None:
    """List your campaigns."""
    api = line(home)
    answer = api.get("/campaigns")
    found: list[Json] = answer["campaigns"] if isinstance(answer, dict) else answer
    table(("campaign", "state"), [(str(one["id"]), str(one["state"])) for one in found])
    last_line(
        {
            "campaigns": [
                {"id": one["id"], "state": one["state"], "waiting_for": one.get("waiting_for", "")}
                for one in found
            ]
        }
    )


def _step(name: str, says: str) -> None:
    """Add a command that moves a campaign and says where it is then."""

    @command.command(name, help=says)
    @home_option
    @campaign_argument
    @json_option
    def move(home: Path, campaign: str) -> None:
        api = line(home)
        answer: Json = api.post(f"/campaigns/{campaign}/{name}")
        state = str(answer.get("state"))
        say(f"{campaign}: {state}, {PROGRESS.get(state, '')}".rstrip(", "))
        if answer.get("waiting_for"):
            say(f"It waits for {answer['waiting_for']}.")
        last_line({"id": campaign, "state": state})


_step("submit", "Ask the partners to approve exactly this; a changed comma asks again.")
_step("schedule", "Send it in its window, once its audience is frozen, attested and logged.")
_step("pause", "Hold every letter that has not left.")
_step("resume", "Go on after a pause.")
_step("stop", "Stop for good; what has left has left.")


@command.command()
@home_option
@campaign_argument
@click.option("--until", default="", help="End when this state is reached; otherwise at the end.")
@click.option(
    "--every",
    default=2.0,
    show_default=True,
    type=click.FloatRange(min=0.05),
    help="Seconds between looks.",
)
@click.option(
    "--timeout",
    default=86400.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="Seconds to watch.",
)
@click.option("--once", is_flag=True, help="Look once.")
@json_option
def watch(home: Path, campaign: str, until: str, every: float, timeout: float, once: bool) -> None:
    """Say where a campaign is, in words, whenever it moves."""
    api = line(home)
    waited, last = 0.0, ""
    with waiting(f"Watching {campaign}") as status:
        while True:
            answer: Json = api.get(f"/campaigns/{campaign}")
            told = _where(answer)
            if told != last:
                say(f"{datetime.now(UTC):%H:%M:%S} {told}")
                last = told
            state = str(answer.get("state"))
            if once or state == until or state in ENDED:
                break
            if waited >= timeout:
                why = f", waiting for {answer['waiting_for']}" if answer.get("waiting_for") else ""
                raise Unreachable(f"{campaign} is still {state} after {timeout:.0f} s{why}")
            status(state)
            api.sleep(every)
            waited += every
    last_line(
        {
            "id": campaign,
            "state": state,
            "shown": answer.get("shown"),
            "progress": answer.get("progress"),
            "waiting_for": answer.get("waiting_for"),
        }
    )
    if until and state != until and not once:
        raise CheckRefused(f"{campaign} is {state} and will not become {until}")


def _where(answer: Json) -> str:
    state = str(answer.get("state"))
    line = f"{state}: {PROGRESS.get(state, 'a state this tool does not know')}"
    if answer.get("waiting_for"):
        line += f" ({answer['waiting_for']})"
    said = [
        f"{one.get('partner')} {one.get('state')}"
        for one in answer.get("approvals") or ()
        if isinstance(one, dict)
    ]
    if said and state in ("submitted", "frozen"):
        line += "; " + ", ".join(said)
    if answer.get("progress") and state in ("sending", "paused", "closed"):
        line += f"; progress {answer['progress']}"
    if answer.get("shown"):
        line += f"; audience {answer['shown']}"
    return line


@command.command()
@home_option
@campaign_argument
@json_option
def report(home: Path, campaign: str) -> None:
    """Print what a campaign did, in noised figures."""
    api = line(home)
    answer = api.get(f"/campaigns/{campaign}/report")
    say(json.dumps(answer, indent=1, sort_keys=True))
    last_line(answer)


def _race(api: Api, what: str) -> str:
    return f"/races/{api.home.invite['race']}/{what}"


def _utc(option: str, typed: str) -> str:
    try:
        read = datetime.strptime(typed, UTC_FORM).replace(tzinfo=UTC)
        return read.strftime(UTC_FORM)
    except ValueError:
        raise click.UsageError(f"{option} is not a UTC time such as 2026-10-20T15:00:00Z") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ToolError(f"{path.name} is not UTF-8: save it as that") from None


def _object(path: Path, what: str) -> Json:
    try:
        read = json.loads(_text(path))
    except ValueError:
        raise ToolError(f"{path.name} is not JSON") from None
    if not isinstance(read, dict):
        raise ToolError(f"{path.name}: a {what} is a JSON object")
    return read

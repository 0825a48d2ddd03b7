"""Verbs for programmes: a coordinator proposes and asks; a partner says yes, no, or is silent."""

import json
from datetime import datetime
from pathlib import Path

import click

from consortium.cli import agreeing, approving, attending, withdrawing
from consortium.cli.api import Api
from consortium.cli.approving import waiting_for
from consortium.cli.attending import Offered, Waiting
from consortium.cli.desk import confirm, json_option, last_line, say, table, waiting
from consortium.cli.errors import CheckRefused, ToolError
from consortium.cli.home import Json
from consortium.cli.joining import home_option, line, outside, wait_option
from policies.errors import PolicyError

programme_argument = click.argument("programme")


@click.group("programme")
def planning() -> None:
    """Plan several letters from the race's deadlines, and ask for each on its day."""


@planning.command()
@home_option
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
def propose(home: Path, file: Path) -> None:
    """Hand in a plan, a JSON file as docs/agreement.md describes, for every partner to answer."""
    try:
        document = json.loads(file.read_text(encoding="utf-8-sig"))
    except ValueError:
        raise ToolError(f"{file.name} is not JSON") from None
    api = line(home)
    path = f"/races/{api.home.invite['race']}/programmes"
    answer: Json = api.post(path, {"document": document}, again=False)
    _days(answer)
    say(f"Programme {answer['id']}: waiting for every partner's yes.")
    last_line(answer)


@planning.command()
@home_option
@json_option
def show(home: Path) -> None:
    """List the race's programmes, their letters' days, and who has said what."""
    answer = line(home).get("/programmes")
    for one in answer:
        said = [f"{each['partner']} {'yes' if each['yes'] else 'NO'}" for each in one["answers"]]
        say(f"{one['name']} ({one['id']}): {one['state']}; {', '.join(said) or 'no answer yet'}")
        _days(one)
    last_line({"programmes": answer})


def _days(one: Json) -> None:
    table(
        ("letter", "asked for", "first day", "last day"),
        [[str(each[k]) for k in ("letter", "ask", "first", "last")] for each in one["planned"]],
    )


@planning.command()
@home_option
@programme_argument
@click.argument("letter", required=False)
@click.option("--word", "words", multiple=True, help="SLOT=WORDS for a place left open.")
@click.option("--first", default="", help="A rapid letter's first day, 2026-10-20.")
@json_option
def ask(home: Path, programme: str, letter: str | None, words: tuple[str, ...], first: str) -> None:
    """Ask the partners for LETTER; without it for all that are due, with their usual words."""
    api = line(home)
    if letter is None and (words or first):
        raise click.UsageError("name the letter that the words or the day are for")
    due = [letter] if letter else api.get(f"/programmes/{programme}/due")["letters"]
    said = dict(_word(one) for one in words)
    asked = {}
    for one in due:
        body: Json = {"letter": one, "words": said, **({"first": first} if first else {})}
        answer: Json = api.post(f"/programmes/{programme}/ask", body, again=False)
        asked[one] = answer["id"]
        say(f"{one}: campaign {answer['id']}, waiting for the partners. Schedule it as any other.")
    if not due:
        say("No letter is due.")
    last_line({"asked": asked})


def _word(typed: str) -> tuple[str, str]:
    name, equals, words = typed.partition("=")
    if not equals:
        raise click.UsageError("--word is SLOT=WORDS")
    return name, words


@click.group("programme")
def answering() -> None:
    """Say yes or no to a plan of several letters."""


@answering.command()
@home_option
@programme_argument
@click.option("--yes", is_flag=True, help="Say yes without asking.")
@json_option
def approve(home: Path, programme: str, yes: bool) -> None:
    """Read a whole programme and say yes to it once; your standing word is kept here."""
    api = line(home)
    signed = agreeing.signed(api.home)
    one = _named(api, signed, programme)
    say(*attending.described(one, signed))
    confirm("Say yes to exactly this plan?", yes)
    # The word first: a server that hears the yes and loses its answer changes nothing here.
    attending.keep_word(api.home, one)
    answer: Json = api.put(f"/programmes/{one.id}/answer", {"yes": True, "digest": one.digest})
    say(f"Said. The programme is {answer['state']}. Run trellis partner attend every hour.")
    last_line({"id": one.id, "digest": one.digest, "state": answer["state"]})


@answering.command()
@home_option
@programme_argument
@click.argument("campaign", required=False)
@json_option
def refuse(home: Path, programme: str, campaign: str | None) -> None:
    """Say no: nothing more of a programme goes by silence; CAMPAIGN is stopped for good as well."""
    api = line(home)
    # First what needs nobody: whatever the server shows or hides, nothing more is signed here.
    attending.drop_word(api.home, programme)
    missing: list[str] = []
    body: Json = {"yes": False}
    if campaign:
        told = withdrawing.stop(api.home, campaign, clock=api.clock, transport=outside().transport)
        missing, body = list(told.missing), {**body, "campaign": campaign}
    answer: Json = api.put(f"/programmes/{programme}/answer", body)
    say(f"The programme is {answer['state']}.")
    last_line({"id": programme, "state": answer["state"], "missing": missing})
    if missing:
        say(f"Custodians not reached: {', '.join(missing)}. Run the same command again later.")
        raise click.exceptions.Exit(3)


def _named(api: Api, signed: agreeing.Signed, id: str) -> Offered:
    for one in attending.offered(api, signed):
        if one.id == id:
            return one
    raise CheckRefused("the server shows no programme of that id")


@click.command()
@home_option
@wait_option
@json_option
def attend(home: Path, wait: float) -> None:
    """Look at what waits; sign letters of programmes you approved once their silence is over.

    Meant for a timer, every hour. A letter's hours begin when this command first sees it here.
    """
    api = line(home)
    signed = agreeing.signed(api.home)
    if signed.agreement.silence is None:
        raise CheckRefused("this agreement knows no yes by silence: run trellis partner approve")
    came = {id: one for one in attending.offered(api, signed) for id in one.came}
    done: list[tuple[str, str]] = []
    ripens: dict[str, str] = {}
    left: list[str] = []
    for listed in waiting_for(api, "approve", ("submitted",)):
        id = str(listed["id"])
        found = _look(api, signed, came.get(id), api.get(f"/campaigns/{id}"))
        if found is None:
            left.append(id)
        elif api.clock() < found.ripe:
            ripens[id] = _spoken(found)
        else:
            done.append((id, attending.sign(api, found)))
            say(f"{id}: nobody said no; signed for you as {found.letter}.")
    with waiting("Waiting for the log to hold it"):
        for id, leaf in done:
            approving.logged(api, id, "approve", leaf, wait)
    last_line({"signed": [id for id, _ in done], "ripens": ripens, "yours": left})


def _look(api: Api, signed: agreeing.Signed, one: Offered | None, campaign: Json) -> Waiting | None:
    """A letter that may go by silence; None, with why, when it needs this partner's own yes."""
    if one is None:
        say(f"{campaign['id']}: of no programme; it waits for your own yes.")
        return None
    try:
        return attending.waiting(api, signed, one, campaign)
    except (CheckRefused, PolicyError) as no:
        say(f"{campaign['id']}: needs your own look: {no}")
        return None


def _spoken(found: Waiting) -> str:
    ripe: datetime = found.ripe
    when = ripe.strftime("%Y-%m-%dT%H:%M:%SZ")
    say(
        f"{found.asked.id}: {found.letter} of {found.programme.read.name} is signed for you after "
        f"{when}. To say no: trellis partner programme refuse {found.programme.id} {found.asked.id}"
    )
    return when

"""Own addresses, typed where no list of processes shows them; test letters, and seeds."""

from pathlib import Path

import click

from consortium.cli.api import Api
from consortium.cli.desk import json_option, last_line, say
from consortium.cli.home import Json
from consortium.cli.joining import home_option, line

ASKED = "It gets a link. Open it and say yes there, within three days."
STATES = {
    "": "You have named no address.",
    "typed": "The mail machine has not read your address yet.",
    "asked": f"Your address waits for your yes. {ASKED}",
    "proven": "Your address is proven.",
}


@click.command("test")
@home_option
@click.argument("campaign", default="")
@click.option("--address", is_flag=True, help="Name your own address first; it is asked for.")
@click.option("--forget", is_flag=True, help="Have your address deleted.")
@json_option
def test_command(home: Path, campaign: str, address: bool, forget: bool) -> None:
    """Have CAMPAIGN's letter sent to your own address, written to a made-up person.

    At most ten a day. Its links stop nothing. Without CAMPAIGN it says how far your address is.
    """
    if not campaign or address or forget:
        _own(line(home), address, forget)
        return
    answer: Json = line(home).post(f"/campaigns/{campaign}/test", again=False)
    say("A test letter is on its way to your address; its subject begins with [Test].")
    last_line(answer)


@click.command("seed")
@home_option
@click.option("--address", is_flag=True, help="Name your own address; it is asked for.")
@click.option("--forget", is_flag=True, help="Have your address deleted.")
@json_option
def seed_command(home: Path, address: bool, forget: bool) -> None:
    """Let your own address get each email with your lists before anybody else, as a seed.

    Written to a made-up person. When it is refused or comes back, nobody else gets that email
    until somebody looks into it. Without an option it says how far your address is.
    """
    _own(line(home), address, forget)


def _own(api: Api, address: bool, forget: bool) -> None:
    if address and forget:
        raise click.UsageError("give --address or --forget, not both")
    if not address and not forget:
        answer: Json = api.get("/own-address")
        say(STATES[str(answer["state"])])
    else:
        # Never an argument: those stand in the shell's history and in lists of processes.
        typed = str(click.prompt("Your own address", err=True)).strip() if address else ""
        answer = api.post("/own-address", {"address": typed}, again=False)
        say(ASKED if typed else "Deleted.")
    last_line(answer)

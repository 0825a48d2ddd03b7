"""Be a witness: init, trust, serve, status."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from consortium.clock import utc
from consortium.witness.home import Home, HomeRefused

_home = click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The witness's own folder.",
)


@contextmanager
def _said() -> Iterator[None]:
    """A refusal of the home in words, and exit code 1."""
    try:
        yield
    except HomeRefused as refused:
        raise click.ClickException(str(refused)) from refused


@click.group()
def command() -> None:
    """Cosign a log's checkpoints, each only if it extends the last one you cosigned."""


@command.command()
@_home
@click.option("--name", required=True, help="Who you are, in words.")
@click.option("--listen", required=True, metavar="HOST:PORT")
@click.option("--url", help="Where others reach you, if not http://HOST:PORT.")
def init(home: Path, name: str, listen: str, url: str | None) -> None:
    """Make a key and say its verifier key."""
    with _said():
        made = Home.create(home, name, listen, url)
        click.echo(made.identity()["vkey"])


@command.command()
@_home
@click.option(
    "--invite",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    required=True,
    help="The invitation of the log's operator.",
)
def trust(home: Path, invite: Path) -> None:
    """Cosign the log of this invitation from now on."""
    with _said():
        try:
            read = json.loads(invite.read_text("utf-8"))
        except ValueError as refused:
            raise HomeRefused(f"{invite} is not JSON") from refused
        listed = Home(home).trust(read)
        click.echo(f"trusting {read['origin']}")
        if not listed:
            click.echo("This invitation does not list you: your cosignatures will not count.")


@command.command()
@_home
def serve(home: Path) -> None:
    """Answer logs until stopped."""
    import uvicorn

    from consortium.witness.app import make_app

    with _said():
        here = Home(home)
        host, _, port = str(here.identity()["listen"]).rpartition(":")
        app = make_app(here.ledger(), here.signer(), utc)
    uvicorn.run(app, host=host, port=int(port), log_level="warning", access_log=False)


@command.command()
@_home
def status(home: Path) -> None:
    """Say what was cosigned last, and whether a log ever showed two histories."""
    with _said():
        seen = Home(home).ledger().seen()
    for one in seen:
        click.echo(f"{one.origin}: {one.size} entries, last cosigned {one.cosigned or 'never'}")
        if one.forks:
            click.echo(f"  {one.forks} signed checkpoints contradict it. Tell the other partners.")
    if not seen:
        click.echo("No log is trusted yet: trellis witness trust --invite FILE")

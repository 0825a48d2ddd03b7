"""The operator's verb for returns that no rule understands: which wait, and what a person decides.

Runs on the mailer's host, where they lie. Nothing that it prints is from a message: which letter it
is about, which campaign, when it came. Whoever decides opens the file there.
"""

from datetime import UTC, datetime
from pathlib import Path

import click

from consortium.jobs import unread
from consortium.service import hear_back
from consortium.store import deliveries
from consortium.store.errors import Missing
from consortium.wiring import Process, read_key, settings_of


@click.command("returns")
@click.option(
    "--home", required=True, type=click.Path(path_type=Path), help="The operator's folder."
)
@click.option("--file", "name", help="Decide about one of them.")
@click.option(
    "--was",
    type=click.Choice(["dead", "complaint", "nothing"]),
    help="That mailbox is gone; its reader calls us spam; or neither.",
)
def command(home: Path, name: str | None, was: str | None) -> None:
    """List returns that no rule understands, and decide what they mean; then the file goes."""
    process = Process(settings_of(home))
    aside = unread.folder(process.settings.mailer_home)
    if (name is None) != (was is None):
        raise click.UsageError("--file and --was go together")
    there = {path.name: path for path in unread.waiting(aside)}
    if name is not None and was is not None:
        if name not in there:
            raise click.ClickException("no return of that name waits; nothing was changed")
        _decide(process, there[name], was)
        return
    if not there:
        click.echo("Nothing waits.")
        return
    for path in there.values():
        came = datetime.fromtimestamp(unread.arrived(path), UTC)
        goes = came + unread.WAIT
        click.echo(
            f"{path.name}  came {came:%Y-%m-%d %H:%M} UTC, {path.stat().st_size:,} bytes, "
            f"goes {goes:%Y-%m-%d}  {_about(process, path)}"
        )
    click.echo(
        f"They lie in {aside} and may hold addresses: read them there, as the mailer's user. "
        "Until somebody decides, none of them suppresses anybody."
    )


def _key(process: Process) -> bytes:
    return read_key(process.settings.mailer_home / "delivery.key")


def _about(process: Process, path: Path) -> str:
    letter = unread.about(path, _key(process))
    try:
        found = process.units.read("returned", lambda unit: deliveries.get(unit, letter))
    except Missing:
        return "of no letter that it proves"
    return f"of letter {letter[:12]}, campaign {found.campaign}"


def _decide(process: Process, path: Path, was: str) -> None:
    """Apply first, then delete: after a crash between, deciding again changes nothing."""
    letter, now = unread.about(path, _key(process)), process.clock()
    kind = {"dead": "hard", "complaint": "complaint"}.get(was)
    if kind is not None:
        try:
            process.units.run("decided", lambda unit: hear_back.returned(unit, letter, kind, now))
        except Missing:
            raise click.ClickException(
                "it proves no letter of ours, so it can suppress nobody; nothing was changed"
            ) from None
    path.unlink()
    click.echo("decided; the file is gone")

"""Open the next epoch, move a race into it, end the old one; each says what is still missing."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from consortium.cli import founding
from consortium.service import succeed, sunset
from consortium.service.errors import ServiceRefused
from consortium.service.succeed import Standing
from consortium.store import races
from consortium.store.errors import Busy, Missing
from consortium.wiring import Process, make_epoch_keys, settings_of

_home = click.option(
    "--home", required=True, type=click.Path(path_type=Path), help="The operator's folder."
)
WORDS = {"open": "open", "ended": "ended; run `end` again to finish", "gone": "gone"}


@click.group("epoch")
def command() -> None:
    """One season's keys after the other: open the next, move the race, end the old one."""


@contextmanager
def _said() -> Iterator[None]:
    try:
        yield
    except (ServiceRefused, Missing, Busy) as refused:
        raise click.ClickException(f"{refused}; run the same command again then") from refused


@command.command("open")
@_home
@click.argument("epoch")
def open_(home: Path, epoch: str) -> None:
    """Open the next epoch beside the present one. Safe to repeat."""
    process = Process(settings_of(home))
    with _said():
        # Asked first: a name that is refused leaves no keys behind.
        process.units.run("epoch-may", lambda unit: succeed.may_open(unit, epoch))
        # Kept before anybody is told of them: what is sealed to a key that was lost is lost.
        outputs = make_epoch_keys(home, epoch)
        new = process.units.run(
            "epoch-open",
            lambda unit: succeed.open_next(
                unit, epoch, pen=process.operator_pen, outputs=outputs, now=process.clock()
            ),
        )
    _write_invite(process)
    click.echo(f"Epoch {epoch} is open." if new else f"Epoch {epoch} was open already.")
    click.echo(f"Send {home / 'invite.json'} to everybody; each joins it. Then, in any order:")
    click.echo("  each custodian   trellis custodian ceremony --epoch ... for match and for seal")
    click.echo("  the mail machine logs its key for this epoch by itself, within minutes")
    click.echo("  the steward enrols, and each partner uploads: one run serves both epochs")
    click.echo(f"Until then: trellis operator epoch show. After it: epoch move {epoch}.")


@command.command()
@_home
@click.argument("epoch")
@click.option("--race", default="", help="Which race; default: the installation's.")
@click.option("--without", multiple=True, metavar="PARTNER",
              help="Leave this partner's list behind; repeat.")  # fmt: skip
def move(home: Path, epoch: str, race: str, without: tuple[str, ...]) -> None:
    """Let the race stand in an open epoch, once everything is there. Safe to repeat."""
    process = Process(settings_of(home))
    with _said():
        name = race or process.units.run("race", lambda unit: races.first(unit).id)
        moved = process.units.run(
            "epoch-move",
            lambda unit: succeed.move(
                unit,
                name,
                epoch,
                backend=process.log_files,
                pen=process.operator_pen,
                now=process.clock(),
                without=without,
            ),
        )
    click.echo(f"Race {name} stands in {epoch}{'' if moved else ' already'}.")
    click.echo("Stops, caps and letters sent go on counting; so does the privacy budget.")


@command.command()
@_home
@click.argument("epoch")
@click.option("--yes", is_flag=True, help="Do not ask.")
def end(home: Path, epoch: str, yes: bool) -> None:
    """End an epoch in which no race stands, and delete all of it. Repeat it to finish it."""
    process = Process(settings_of(home))
    if not yes:
        click.confirm(f"Delete every key, bundle, token and link of {epoch} for good?", abort=True)
    with _said():
        deleted = sunset.end(process.expiry, epoch)
    _write_invite(process)
    click.echo(f"Epoch {epoch} is gone from this machine; {deleted} files were deleted just now.")
    click.echo("From backups it goes when they sunset; its pepper must be in none of them.")
    click.echo("Each custodian now deletes its shares: trellis custodian destroy")
    click.echo(f"Send {home / 'invite.json'} to everybody; it names the present epoch alone.")


@command.command()
@_home
def show(home: Path) -> None:
    """Say of each epoch what stands in it, and what is missing before the race can move."""
    process = Process(settings_of(home))
    found = process.units.read("epochs", lambda unit: succeed.standing(unit, process.log_files))
    for one in found:
        click.echo("\n".join(_lines(one)))


def _lines(one: Standing) -> list[str]:
    lines = [f"{one.id}: {WORDS[one.state]}"]
    if one.state == "open":
        lines += [
            f"  races that stand in it: {_named(one.races)}",
            f"  its keys in the log: {_named(one.keys)}",
            f"  partners with a list: {_named(one.lists)}",
            *(f"  missing: {each}" for each in one.missing),
        ]
    return lines


def _named(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _write_invite(process: Process) -> None:
    founding.write_invite(process.settings.home, process.invite())

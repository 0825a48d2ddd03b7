"""Take part in a key ceremony; serve; consent; say what was spent and opened."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import click

from consortium.cli.custodian_home import found, founding_options
from consortium.cli.desk import UNREACHABLE, Desk, Stopped, confirm, json_option, last_line, say
from consortium.cli.differences import rows_of
from consortium.cli.errors import ToolError
from consortium.cli.home import Home, read_invite
from consortium.cli.protecting import person, protect_anew, protection_options
from consortium.clock import utc
from consortium.custodian.errors import (
    CustodianError,
    LogUnreachable,
    WrappingAway,
    WrappingRefused,
)
from consortium.custodian.ledger import Ledger
from consortium.custodian.settings import Registry, read_settings
from consortium.custodian.wrapping import Shut, in_use
from matching.evaluation import MOST_CLASS, allowance, class_of
from matching.statement import Statement

LOCKED = 4
"""Exit code when the shares do not open: no machine should try again, a token counts wrong PINs."""

_home = click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The custodian's own folder: key, database, shares.",
)


@contextmanager
def _said() -> Iterator[None]:
    try:
        yield
    except (LogUnreachable, WrappingAway) as away:
        raise Stopped(str(away), UNREACHABLE) from away
    except WrappingRefused as locked:
        raise Stopped(str(locked), LOCKED) from locked
    except CustodianError as refused:
        raise ToolError(str(refused)) from refused


@click.group(cls=Desk)
def command() -> None:
    """Hold a share of two keys, and answer only what the agreement allows."""


@command.command()
@_home
@founding_options
@protection_options
def init(home: Path, **said: Any) -> None:
    """Set a custodian up, asking what no option says; then send its identity to the operator."""
    with _said():
        found(home, said)


@command.command()
@_home
@protection_options
def rewrap(home: Path, **said: Any) -> None:
    """Change the passphrase, or what else protects the shares; nothing may be running."""
    with _said():
        was, now = protect_anew(home, said)
    say(f"shares were protected by {was}, and are by {now}")


@command.command()
@_home
@click.option(
    "--invite",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    required=True,
    help="The operator's invite, compared with the other custodians' copies.",
)
@click.option(
    "--consent-steward", is_flag=True, help="Agree to the bulk run of every steward it names."
)
@click.option(
    "--accept-changes",
    is_flag=True,
    help="Take changed keys and lower numbers too; only after asking the others.",
)
def join(home: Path, invite: Path, consent_steward: bool, accept_changes: bool) -> None:
    """Keep the invite as this custodian's own registry of who is who."""
    mine = Home(home)
    changed = mine.join(read_invite(invite), accept_changes=accept_changes)
    say(*(f"changed: {one}" for one in changed))
    if consent_steward:
        stewards = [one["id"] for one in mine.invite["actors"] if one["role"] == "steward"]
        _consent(home, stewards)
    say(f"joined {mine.invite['origin']}")
    say(*(_class_in_words(one) for one in mine.invite["actors"] if one["role"] in _WITH_LISTS))


_WITH_LISTS = ("partner", "steward")


def _class_in_words(actor: Mapping[str, Any]) -> str:
    rows = rows_of(actor)
    points = allowance(rows)
    return (
        f"{actor['id']} ({actor['role']}): a list of up to {rows:,} rows; "
        f"{points:,} points an epoch are answered here, and no more"
    )


def _consent(home: Path, whose: list[str], rows: int = 0) -> None:
    with _said(), closing(Ledger(read_settings(home).database, Shut())) as ledger:
        epochs = () if rows else Home(home).epochs
        for actor in whose:
            ledger.consent(actor, utc(), rows=rows, epochs=epochs)


@command.command()
@_home
@click.argument("steward")
def consent(home: Path, steward: str) -> None:
    """Agree to the bulk run of one steward in the invite's epochs; t custodians must."""
    mine = Home(home)
    mine.actor(role="steward", id=steward)
    _consent(home, [steward])
    say(
        f"{steward} may tokenise a roll in {' and '.join(mine.epochs)}, as far as this custodian "
        "goes.",
        "`trellis custodian serve` says so in the log; as many custodians as a key takes must.",
    )


@command.command("raise")
@_home
@click.argument("partner")
@click.option(
    "--rows",
    required=True,
    type=click.IntRange(1, MOST_CLASS),
    help="Its longest list from now on; rounded up to a power of two.",
)
def raise_(home: Path, partner: str, rows: int) -> None:
    """Agree to a larger list of one partner; t custodians must, and it is never lowered."""
    Home(home).actor(role="partner", id=partner)
    size = class_of(rows)
    _consent(home, [partner], size)
    say(
        f"{partner} may have a list of up to {size:,} rows, {allowance(size):,} points an epoch, "
        "as far as this custodian goes.",
        "`trellis custodian serve` says so in the log. Once as many custodians as a key takes "
        "have said it, all of them answer by it.",
    )


@command.command()
@_home
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def backup(home: Path, file: Path) -> None:
    """Copy the books to FILE while the custodian runs; the shares stay wrapped in it."""
    from consortium.custodian.backups import back_up

    with _said():
        back_up(read_settings(home).database, file)
    say(
        f"the books are in {file}: keep it as you keep the shares",
        "what wraps the shares is not in it, nor is signing.key: keep those elsewhere",
    )


@command.command()
@_home
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
def restore(home: Path, file: Path) -> None:
    """Put the books in FILE back; nothing is served until the log has shown what they lack."""
    from consortium.custodian.backups import put_back

    with _said():
        put_back(home, read_settings(home).database, file)
    say(
        "the books are put back, and know it: start `trellis custodian serve`",
        "Points reserved since that copy count as spent; letters opened since then keep others "
        "shut for up to eight days.",
        "No letter is helped before the others have told what was taken back and stopped since.",
    )


@command.command()
@_home
@click.option("--yes", is_flag=True, help="Go on without asking.")
def resume(home: Path, yes: bool) -> None:
    """Help letters again after a restore, though too few others can say what was missed."""
    with _said(), closing(Ledger(read_settings(home).database, Shut())) as ledger:
        if not ledger.untold():
            raise ToolError("nothing is owed here: the others have told, or nothing was put back")
        say(
            "Rows taken back and letters stopped since that copy are not known here, but for "
            "what another custodian told.",
            "Ask every partner first: a stop is repeated by the same `trellis partner stop`.",
        )
        confirm("Go on by your own word?", yes)
        ledger.catch_up("by the word of its owner", utc())
    say("It helps letters again; whoever can still be asked is asked.")


@command.command()
@_home
def serve(home: Path) -> None:
    """Answer evaluations and releases until stopped."""
    from consortium.custodian.process import serve as run

    with _said():
        run(home, prompt=person())


def _table_options(work: Callable[..., None]) -> Callable[..., None]:
    """What ceremony and resharing are told alike: which key, which attempt, how long to wait."""
    for option in (
        click.option(
            "--patience", default=3600.0, show_default=True, help="Seconds to wait for others."
        ),
        click.option("--attempt", default=1, show_default=True, help="One more after each abort."),
        click.option("--epoch", help="The next one, during an overlap; else the present."),
        click.option("--purpose", type=click.Choice(["match", "seal"]), required=True),
    ):
        work = option(work)
    return _home(json_option(work))


def _ended(done: Statement | None, more: str = "") -> None:
    """Say how it ended; without an end, that it goes on when the same is run again."""
    if done is None:
        raise Stopped("the others are not there yet; run this again to go on", UNREACHABLE)
    say(
        f"{done.purpose} key of {done.epoch}, version {done.version} of its shares: "
        f"{done.threshold} of {len(done.ids)} custodians ({', '.join(done.ids)}){more}"
    )
    found = {"purpose": done.purpose, "sid": done.sid, "public": done.public.hex()}
    last_line({**found, "version": done.version})


@command.command()
@_table_options
def ceremony(home: Path, purpose: str, **told: Any) -> None:
    """Make a key with the others, which nobody will ever hold; `serve` must be running."""
    from consortium.custodian.process import take_part

    with _said():
        done = take_part(home, purpose, **told, say=say, prompt=person())
    _ended(done)


@command.command()
@_table_options
@click.option("--to", "version", type=click.IntRange(min=2), required=True, help="New version.")
@click.option(
    "--dealer",
    "dealers",
    multiple=True,
    metavar="ID",
    help="Who deals, the same for everybody; as many as the old threshold.",
)
def reshare(home: Path, purpose: str, version: int, **told: Any) -> None:
    """Deal a key's shares again, to the custodians of the invite joined last."""
    from consortium.custodian.process import reshare as run

    with _said():
        done = run(home, purpose, version, **told, say=say, prompt=person())
    _ended(done, ". Shares of earlier versions are worthless; the key is the same.")


@command.command()
@_home
@click.option("--epoch", required=True, help="The epoch whose shares are destroyed.")
@click.option("--even-current", is_flag=True, help="Also if it is the invite's own epoch.")
@json_option
def destroy(home: Path, epoch: str, even_current: bool) -> None:
    """Delete both shares of an epoch for good, and say so in the log."""
    from consortium.custodian.process import destroy as run

    with _said():
        done = run(home, epoch, even_current=even_current, prompt=person())
    for key in done:
        left = len(key.ids) - key.threshold + 1
        say(
            f"the share of the {key.purpose} key of {epoch} is gone from here; once {left} of "
            f"{len(key.ids)} custodians have done so, nobody can use that key again"
        )
    last_line({"epoch": epoch, "destroyed": [key.purpose for key in done]})


@command.command()
@_home
@json_option
def status(home: Path) -> None:
    """Say who used what, what was opened, which keys are held, and what to do now."""
    from consortium.custodian.spoken import to_do, words
    from consortium.custodian.standing import stand

    now = utc()
    with _said():
        settings, registry = read_settings(home), Registry(home / "invite.json")
        with closing(Ledger(settings.database, Shut())) as ledger:
            standing = stand(settings, registry, ledger, now, running=in_use(home))
            counts = ledger.status()
    say(*words(standing, now))
    last_line({**counts, **standing.to_json(), "to_do": to_do(standing, now)})

"""A partner's verb for taking back a list, or rows of it: asked, done, and who is still missing."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import click

from consortium.cli import handing_in, overlap, parting, withdrawing
from consortium.cli.api import Api
from consortium.cli.desk import confirm, json_option, last_line, progress, say, waiting
from consortium.cli.errors import ApiRefused, HomeRefused
from consortium.cli.home import Home
from consortium.cli.joining import home_option, line, outside, wait_option
from consortium.cli.lists import NAMES, OwnList, blank_names, own_list
from consortium.cli.memory import sweep


@dataclass(frozen=True, slots=True)
class _Gone:
    """What became of taking back one bundle, or rows of it."""

    own: OwnList
    leaf: str
    days: int | None
    told: withdrawing.Told

    def to_json(self) -> dict[str, Any]:
        """For the last line."""
        said = {"id": self.own.id, "leaf": self.leaf, "backup_days": self.days}
        return {**said, "retired": self.told.done, "missing": self.told.missing}


@click.command()
@home_option
@wait_option
@click.argument("id")
@click.option(
    "--rows",
    type=click.File("r", encoding="utf-8"),
    help="Only these: a file (- is standard input) with a row number or an address in each line.",
)
@click.option("--yes", is_flag=True, help="Withdraw without asking.")
@json_option
def withdraw(home: Path, wait: float, id: str, rows: TextIO | None, yes: bool) -> None:
    """Take a list back, or with --rows some of its rows: shut at every custodian, then gone."""
    api = line(home)
    own = own_list(api.home, id)
    both = [own, *overlap.twins(api.home, own)]
    begun = any(parting.unfinished(api.home, one) for one in both)
    if rows is not None or (begun and not own.withdrawn):
        _withdraw_rows(api, both, rows, yes, wait)
        return
    say(
        f"List {own.id}, begun {own.facts['created']}, {own.facts['rows']:,} rows.",
        *_twins_said(both),
        "Withdrawing removes its rows from the service and stops whatever of them is not sent yet.",
        "What the custodians answered for people on no other list of yours is forgotten here.",
        "To replace a list, upload the new one first: else all its rows count against your",
        "quota again.",
        *_NOT_UNDONE,
    )
    confirm("Withdraw this list?", yes, asked_for=True)
    _left_over([_withdrawn(api, one, wait) for one in both])


def _withdrawn(api: Api, own: OwnList, wait: float) -> _Gone:
    """Take one bundle back; what custodians are missing is said, never swallowed."""
    if not own.has("entry.json"):
        own.note(withdrawn=api.clock().strftime("%Y-%m-%dT%H:%M:%SZ"))
        _let_go(api.home, own)
        say(f"{own.id} had never been sent; it is marked withdrawn here.")
        return _Gone(own, "", None, withdrawing.Told((), ()))
    # The custodians first: should the server not answer, the rows are shut all the same.
    if not withdrawing.ghosts(api, own):
        say("The server gave no ghosts to retire with them: custodians can count these rows now.")
    with progress("Custodians told to retire the locks") as steps:
        retired = withdrawing.retire(
            api.home, own, steps, clock=api.clock, transport=outside().transport
        )
    leaf, days = "", None
    try:
        leaf, days = withdrawing.withdraw(api, own)
    except ApiRefused as refused:
        if refused.status != 404:
            raise
        say("The server does not know this list; it is marked withdrawn here.")
    _let_go(api.home, own)
    if leaf:
        with waiting("Waiting for the log to hold the withdrawal"):
            withdrawing.logged(api, own, leaf, wait)
    say(f"Withdrawn. Locks retired at: {', '.join(retired.done) or 'no custodian yet'}.")
    if days is not None:
        say(withdrawing.gone(days))
    return _Gone(own, leaf, days, retired)


def _let_go(home: Home, own: OwnList) -> None:
    """Forget here what knew the people of a withdrawn list; its secrets stay, to retire its rows.

    Repeatable, and done again by every later upload as far as the memory goes.
    """
    handing_in.tidy(home, own)
    for name in (NAMES, parting.FINDER):
        (own.folder / name).unlink(missing_ok=True)
    sweep(home)


_NOT_UNDONE = (
    "It does not undo letters already sent; the log keeps only that it happened.",
    "The operator's backups forget later; after how many days, it says in its answer.",
)


def _withdraw_rows(
    api: Api, both: list[OwnList], rows: TextIO | None, yes: bool, wait: float
) -> None:
    own = both[0]
    if own.withdrawn:
        raise HomeRefused("this list is withdrawn already, all of it")
    if not all(one.has("receipt.json") for one in both):
        raise HomeRefused(
            "this list is not in the log yet: finish its upload, or withdraw it whole"
        )
    if rows is not None:
        numbers = parting.numbers(api.home, own, rows)
        say(
            f"List {own.id}: {len(numbers):,} of its rows, {_some(numbers)}.",
            *_twins_said(both),
            "They leave the service, and nobody in them gets another letter through this list.",
            *_NOT_UNDONE,
        )
        confirm(f"Withdraw {len(numbers):,} rows?", yes, asked_for=True)
        for one in both:
            parting.begin(api.home, one, numbers)
    else:
        say(f"Going on with the rows of list {own.id} that were being withdrawn.")
    _left_over([_rows_gone(api, one, wait) for one in both])


def _twins_said(both: list[OwnList]) -> list[str]:
    return [
        f"The same file is there for {one.facts['epoch']} too, as {one.id}; both go."
        for one in both[1:]
    ]


def _rows_gone(api: Api, own: OwnList, wait: float) -> _Gone:
    """Finish taking back whatever rows of one bundle are on their way out."""
    told, leaf, days = withdrawing.Told((), ()), "", None
    for one in parting.unfinished(api.home, own):
        # The custodians first: should the server not answer, the rows are shut all the same.
        with progress("Custodians told to retire the locks") as steps:
            told = parting.retire(
                api.home, one, steps, clock=api.clock, transport=outside().transport
            )
        leaf, days = parting.hand_in(api, own, one)
        blank_names(api.home, own, one.numbers)
        sweep(api.home)
        with waiting("Waiting for the log to hold the withdrawal"):
            parting.logged(api, one, leaf, wait)
        if not told.missing:
            parting.forget(api.home, own, one)
    say(f"Withdrawn. Locks retired at: {', '.join(told.done) or 'no custodian yet'}.")
    if days is not None:
        say(withdrawing.gone(days))
    return _Gone(own, leaf, days, told)


def _left_over(done: list[_Gone]) -> None:
    missing = sorted({one for each in done for one in each.told.missing})
    last_line(
        {
            **done[0].to_json(),
            "missing": missing,
            "twins": [one.to_json() for one in done[1:]],
        }
    )
    if missing:
        say(f"Not reached: {', '.join(missing)}. Run the same command again later.")
        raise click.exceptions.Exit(3)


def _some(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:10]))
    return f"number {shown}{' ...' if len(numbers) > 10 else ''} in your file"

"""What every person's tool shares: plain words, progress with an ETA, exit codes, a JSON line."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import click
import httpx
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from consortium.cli.errors import ToolError
from consortium.custodians import CustodianDown, CustodianProblem, TooFewCustodians

CORES = ("matching", "provenance", "mailer", "policies")
REFUSED = 1
UNREACHABLE = 3
PLAIN_STEP = 5.0
"""Seconds between two lines of progress when nobody looks at a terminal."""

Steps = Callable[[int, int], None]


class Stopped(click.ClickException):
    """A refusal on its way to the screen, with its exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click reads it from the instance


class Desk(click.Group):
    """A group of commands whose typed refusals become one sentence and an exit code.

    0 done, 1 refused by a check, 2 wrong usage (click's own), 3 nobody answered.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; a refusal ends it with its words, never with a traceback."""
        try:
            return super().invoke(ctx)
        except ToolError as refused:
            raise Stopped(str(refused), refused.exit_code) from refused
        except httpx.TransportError as away:
            raise Stopped(f"nobody answered ({type(away).__name__})", UNREACHABLE) from away
        except OSError as failed:
            # A full disk is a state, not a traceback; strerror names no content of a file.
            raise Stopped(f"{failed.filename or 'a file'}: {failed.strerror}", REFUSED) from failed
        except click.exceptions.Exit:
            raise
        except (CustodianDown, TooFewCustodians) as down:
            again = "Nothing is lost: run the same command again later."
            raise Stopped(f"{down}. {again}", UNREACHABLE) from down
        except CustodianProblem as refused:
            raise Stopped(str(refused), REFUSED) from refused
        except Exception as refused:
            # Each core's typed refusals say where and never what; anything else is a defect
            # and keeps its traceback.
            if type(refused).__module__.partition(".")[0] not in CORES:
                raise
            raise Stopped(str(refused), REFUSED) from refused


def say(*lines: str) -> None:
    """Print lines for a person, on stderr when stdout carries JSON at the end."""
    for line in lines:
        click.echo(line, err=_json_wanted())


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print columns, aligned with spaces: readable by people, screen readers and diff."""
    widths = [max(len(str(row[i])) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        cells = (str(cell).ljust(width) for cell, width in zip(row, widths, strict=True))
        say("  ".join(cells).rstrip())


def last_line(value: Any) -> None:
    """Print one line of JSON on stdout, when ``--json`` was given."""
    if _json_wanted():
        click.echo(json.dumps(value, sort_keys=True))


def confirm(question: str, yes: bool, *, asked_for: bool = False) -> None:
    """Go on only after a yes; without a terminal only ``--yes`` is one.

    Args:
        asked_for: the command itself names exactly what is done (sign, withdraw, stop), so that
            a script that calls it has said yes.
    """
    if yes or (asked_for and not sys.stdin.isatty() and not _tested()):
        return
    if not sys.stdin.isatty() and not _tested():
        raise click.UsageError("nobody is here to answer: read the text above, then add --yes")
    click.confirm(question, abort=True, err=_json_wanted())


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--json``: the last line of stdout is one JSON object, everything else goes to stderr."""  # noqa: E501

    def remember(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
        ctx.meta["trellis.json"] = value

    return click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=remember,
        help="End with one line of JSON on stdout.",
    )(command)


@contextmanager
def progress(words: str) -> Iterator[Steps]:
    """Show how far a long step is: a bar with an ETA on a terminal, a line now and then elsewhere."""  # noqa: E501
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain(words)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(words, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _plain(words: str) -> Steps:
    began, last = time.monotonic(), -PLAIN_STEP

    def step(done: int, total: int) -> None:
        nonlocal last
        spent = time.monotonic() - began
        if done < total and spent - last < PLAIN_STEP:
            return
        last = spent
        left = f", about {spent / done * (total - done):.0f} s left" if 0 < done < total else ""
        click.echo(f"{words}: {done:,} of {total:,}{left}", err=True)

    return step


@contextmanager
def waiting(words: str) -> Iterator[Callable[[str], None]]:
    """Show that something is being waited for; the state is a few words."""
    console = Console(stderr=True)
    if not console.is_terminal:
        click.echo(words, err=True)
        yield lambda _state: None
        return
    with console.status(words) as status:
        yield lambda state: status.update(f"{words} ({state})")


def _json_wanted() -> bool:
    ctx = click.get_current_context(silent=True)
    return bool(ctx and cast(bool, ctx.meta.get("trellis.json", False)))


def _tested() -> bool:
    """Whether click's own test runner holds stdin; it answers questions from a text."""
    return type(sys.stdin).__name__ == "_NamedTextIOWrapper"

"""What the tools of partner, steward and coordinator share as words: --home, --wait, join."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import httpx

from consortium.cli.api import Api
from consortium.cli.desk import json_option, last_line, say
from consortium.cli.home import Home, read_invite
from consortium.clock import Clock, utc
from consortium.custodians import CustodianAddress
from matching.evaluation import MOST_CLASS, STEWARD_CLASS, class_of


@dataclass(frozen=True, slots=True)
class Outside:
    """What a command reaches beyond its folder; click's ``obj``, so that tests can be elsewhere."""

    transport: httpx.BaseTransport | None = None
    clock: Clock = utc
    sleep: Callable[[float], None] = time.sleep

    def custodians(self) -> httpx.Client | None:
        """How to call custodians; None lets each call make its own client."""
        if self.transport is None:
            return None
        return httpx.Client(transport=self.transport, timeout=30.0)


def outside() -> Outside:
    """The outside of the running command: the real one, unless it was called with another."""
    found = click.get_current_context().find_object(Outside)
    return found if found is not None else Outside()


def line(home: Path | Home) -> Api:
    """Open this home's line to its server."""
    here = outside()
    who = Home(home) if isinstance(home, Path) else home
    return Api(who, transport=here.transport, clock=here.clock, sleep=here.sleep)


home_option = click.option(
    "--home",
    required=True,
    envvar="TRELLIS_HOME",
    type=click.Path(file_okay=False, path_type=Path),
    help="Your folder: signing key, identity, lists.",
)

wait_option = click.option(
    "--wait",
    default=4200.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="Seconds to wait for the log; by default longer than its hourly publication.",
)


rows_option = click.option(
    "--rows",
    type=click.IntRange(1, MOST_CLASS),
    help="How many rows your longest list may have this season; rounded up to a power of two, "
    "which every custodian learns.",
)


def declared(rows: int | None, silent: int) -> dict[str, int]:
    """Return the size class of an identity, and say it.

    Args:
        rows: as given, or nothing.
        silent: the class of somebody who gave none.
    """
    size = silent if rows is None else class_of(rows)
    say(f"Size class: lists of up to {size:,} rows. Custodians keep a quota by it.")
    return {"rows": size}


def init_command(role: str, whose: str) -> click.Command:
    """The ``init`` of somebody who is an id and a name."""

    @click.command("init")
    @home_option
    @click.option("--id", required=True, help="Short id: a-z, 0-9 and -.")
    @click.option("--name", required=True, help=f"{whose} name.")
    @json_option
    def init(home: Path, id: str, name: str, rows: int | None = None) -> None:
        """Make this computer's signing key and identity.json."""
        more = declared(rows, STEWARD_CLASS) if role == "steward" else {}
        made = Home.create(home, id=id, role=role, name=name, **more)
        say(
            f"{made.id} is ready. Send {home / 'identity.json'} to the operator; "
            "never send signing.key."
        )
        last_line(made.identity)

    return rows_option(init) if role == "steward" else init


_accept = click.option(
    "--accept-changes",
    is_flag=True,
    help="Take changed keys and lower numbers too; only after asking the others.",
)


@click.command("join")
@home_option
@click.option(
    "--invite", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@_accept
@json_option
def join_command(home: Path, invite: Path, accept_changes: bool) -> None:
    """Keep the operator's invite: which server, log, witnesses and custodians to believe."""
    read = read_invite(invite)
    who = Home(home)
    say(*(f"Changed: {one}" for one in who.join(read, accept_changes=accept_changes)))
    count, quorum = len(read["witnesses"]), read["quorum"]
    ids = ", ".join(custodian["id"] for custodian in read["custodians"])
    say(
        f"{who.id} joined race {read['race']}, epoch {read['epoch']}.",
        f"Opening an address takes the mail machine and {read['threshold']} of these custodians: {ids}.",  # noqa: E501
        f"The log counts when {quorum} of {count} witnesses have cosigned it; that tolerates "
        f"{max(2 * quorum - count - 1, 0)} of them colluding.",
        "Compare this invite with another partner's copy, by phone: every key you will believe is in it.",  # noqa: E501
    )
    stated = [CustodianAddress.of(custodian) for custodian in read["custodians"]]
    say(*(f"{one.id} answers uploads {one.hours.said()}." for one in stated if one.hours.spans))
    last_line({"id": who.id, "race": read["race"], "epoch": read["epoch"]})

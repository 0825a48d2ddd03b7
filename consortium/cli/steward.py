"""On the steward's computer: read a voter file, coarsen, tokenise, upload a roll slice."""

from pathlib import Path

import click

from consortium.cli import enrolling, roll_reports, rolls, same_roll
from consortium.cli.desk import Desk, confirm, json_option, last_line, progress, say, waiting
from consortium.cli.errors import CheckRefused, KeysNotYet
from consortium.cli.home import Home, Json
from consortium.cli.joining import (
    home_option,
    init_command,
    join_command,
    line,
    outside,
    wait_option,
)
from consortium.cli.lists import OwnList
from consortium.cli.roll_reports import Wanted
from matching import group
from matching.eligible import Electorate, read_voted
from matching.errors import RowRefused
from matching.statement import Statement
from policies.agreement import parse
from provenance.quorum import Policy

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_PLACE = click.Path(exists=True, path_type=Path)


@click.group(cls=Desk)
def command() -> None:
    """Enrol a voter file. Run by whoever lawfully holds it."""


command.add_command(init_command("steward", "The steward's"))
command.add_command(join_command)
command.add_command(rolls.read_command)
command.add_command(rolls.returns_command)


@command.command()
@home_option
@wait_option
@click.argument("rollfolder", type=click.Path(exists=True, path_type=Path))
@rolls.only_option
@click.option(
    "--k",
    default=enrolling.K,
    show_default=True,
    type=click.IntRange(min=2),
    help="Voters per cell.",
)
@click.option(
    "--use-terms",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON; default: the agreement's.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Processes that hash and check; as many as there are cores by default.",
)
@click.option("--all-lines", is_flag=True, help="Print every line that was set aside.")
@click.option("--party", multiple=True, help="Who may vote, in the file's own word; repeat it.")
@click.option("--in-district", multiple=True, help="Who may vote, by a district's code; repeat it.")
@click.option("--voted", type=_PLACE, multiple=True, help="The state's file of ballots.")
@click.option("--totals", type=_FILE, help="Official CSV: precinct, registered (or active).")
@click.option("--accept-totals", is_flag=True, help="Enrol although official totals differ.")
@click.option("--accept-vanished", is_flag=True, help="Enrol although many voters are gone.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def enrol(
    home: Path,
    wait: float,
    rollfolder: Path,
    only: rolls.Only,
    k: int,
    use_terms: Path | None,
    workers: int | None,
    all_lines: bool,
    party: tuple[str, ...],
    in_district: tuple[str, ...],
    voted: tuple[Path, ...],
    totals: Path | None,
    accept_totals: bool,
    accept_vanished: bool,
    yes: bool,
) -> None:
    """Enrol a state's voter file, or a folder of them; run it again after an interruption."""
    who = Home(home)
    group.available()
    api = line(home)
    agreement = parse(api.get_bytes(f"/races/{who.invite['race']}/agreement"))
    use = enrolling.terms(use_terms, agreement.use_terms)
    read = enrolling.read_roll(rollfolder, last=agreement.race.election_date, only=only)
    say(*enrolling.report(read, every=all_lines))
    if read.roll.quarantined or read.roll.history_quarantined:
        kept = rolls.keep_set_aside(read.roll, who.path / "state")
        say(f"Every line that was set aside, with its reason and no value: {kept}")
    # A number per household is a map for who has the public file; only where it is needed.
    households = agreement.households
    bad: list[RowRefused] = []
    key, held = read.roll.layout.reads["voter_id"], agreement.race.election_date
    ballots = read_voted(voted, key, held, bad.append)
    say(*rolls.set_aside("ballot", bad, several=True, every=all_lines))
    if strangers := len(ballots - {voter.voter_id for voter in read.voters}):
        say(f"{strangers:,} of {len(ballots):,} accepted ballots are of nobody enrolled here.")
    rule = Electorate(frozenset(party), frozenset(in_district), ballots)
    slices = [
        (
            here,
            *enrolling.begin(
                line(here),
                read,
                on=agreement.race.election_date,
                k=k,
                households=households,
                rule=rule,
            ),
        )
        for here in (who.at(epoch) for epoch in who.epochs)
    ]
    own, merged = slices[0][1], slices[0][2]
    say(*roll_reports.told(who, own, read, merged, Wanted(totals, accept_totals, accept_vanished)))
    result = {
        "voters": len(read.voters),
        "not_read": list(read.roll.passed),
        "quarantined": len(read.roll.quarantined),
        "history_quarantined": len(read.roll.history_quarantined),
        "merged": sum(one.voters for one in merged),
        "withheld": sum(own.facts["withheld"].values()),
        "rows_root": own.facts["rows_root"],
    }
    unfinished = [(here, own) for here, own, _ in slices if not own.has("receipt.json")]
    for _, own, _ in slices:
        if own.has("receipt.json"):
            say(f"These very files are enrolled already, as {own.id}.")
    if unfinished:
        say(*_leaves(households))
    if not all(own.has("entry.json") for _, own in unfinished):
        confirm(f"Enrol {len(read.voters):,} voters?", yes, asked_for=True)
    later = []
    for here, own in unfinished:
        try:
            _enrol(here, own, read, use, wait, workers)
        except KeysNotYet as missing:
            if here is slices[0][0]:
                raise
            later.append(here.invite["epoch"])
            say(f"Not to {later[-1]} yet: {missing}", "Then run this very command again.")
    each = [
        {"epoch": here.invite["epoch"], "id": own.id, "leaf": own.facts.get("leaf")}
        for here, own, _ in slices
    ]
    last_line({**result, "id": each[0]["id"], "leaf": each[0]["leaf"], "epochs": each,
               "later": later})  # fmt: skip


@command.command()
@home_option
@click.argument("a", metavar="A", type=click.Path(exists=True, path_type=Path))
@click.argument("b", metavar="B", type=click.Path(exists=True, path_type=Path))
@json_option
def compare(home: Path, a: Path, b: Path) -> None:
    """Whether A and B are the same roll: receipts of two stewards, or folders that hold one.

    Exit code 0: the same rows. 1: they differ, or a receipt does not hold.
    """
    policy = Policy.from_invite(Home(home).invite)
    (one, by), (other, by_too) = same_roll.said(a, policy), same_roll.said(b, policy)
    different = same_roll.differing(one, other)
    same = same_roll.verdict(one, other)
    say(*(f"They differ in {what}." for what in different))
    if by == by_too:
        say("Both are signed by one steward: that says nothing about a second one's file.")
    last_line({"same": same, "differ": different, "stewards": len({by, by_too})})
    if not same:
        raise CheckRefused("not the same rows; compare the reports beside the two slices")
    say(f"The same rows, root {one['rows_root']}.")


def _leaves(households: bool) -> list[str]:
    """What leaves and what stays, in the words we can keep."""
    return [
        "What leaves this computer: scrambled codes, and per voter a random number, precinct, districts,",  # noqa: E501
        "county, ZIP, age band, in how many of the last four general elections and years of primaries they voted"  # noqa: E501
        + (", and a random household number." if households else "."),
        "What stays: names, voter ids, addresses, birth years, and the map from number to voter id.",  # noqa: E501
        "The custodians see the voters' normalised fields as points, unblinded: the file is public.",  # noqa: E501
    ]


def _enrol(
    home: Home, own: OwnList, read: enrolling.Read, terms: Json, wait: float, workers: int | None
) -> None:
    """One slice to one epoch, from codes to the receipt; after an interruption it goes on."""
    api = line(home)
    with progress(f"Codes, evaluated by the custodians for {home.invite['epoch']}") as steps:
        client = outside().custodians()

        def tokenise(keys: tuple[Statement, bytes]) -> None:
            enrolling.tokenise(
                home,
                own,
                read,
                statement=keys[0],
                pepper=keys[1],
                steps=steps,
                workers=workers,
                client=client,
            )

        api.newer_keys(api.match_keys(), tokenise, api.match_keys)
    for name, size, digest in enrolling.sizes(own):
        say(f"Sending {name}: {size:,} bytes, SHA-256 {digest}")
    leaf = enrolling.send(api, own, read, terms)
    with waiting("The server has it. Waiting for the log and its witnesses") as state:
        enrolling.finish(api, own, leaf, wait, state)
    say(
        f"Done. Roll {own.id}, in the log as {leaf[:16]}...; receipt: {own.folder / 'receipt.json'}"
    )

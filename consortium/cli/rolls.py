"""What a state's voter file holds, said without a name: layout, who is left out, what is bad."""

import csv
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import click

from consortium.cli.desk import json_option, last_line, say
from consortium.cli.vault import part_of, private_folder
from matching.errors import RollRefused, RowRefused
from matching.roll.layout import fingerprint
from matching.roll.reader import LAST, Roll, Voter, listed, open_returns, open_roll
from matching.roll.returns import STATES_OF_BALLOT, Returns

Only = tuple[tuple[str, str], ...]
SLICED_BY = ("congressional", "senate", "house", "county", "zip", "precinct")
"""By which of a voter's places a slice of a state's file can be taken."""
SET_ASIDE = "set-aside.csv"
"""Every line of the last voter file that was not used: file, line, field and reason, no value."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one pass over a voter file found; nobody of it is kept."""

    roll: Roll
    voters: int
    only: Only
    precincts: int
    voted: Counter[int]
    """Voters by how many elections they voted in."""

    def figures(self) -> dict[str, Any]:
        """The figures as JSON."""
        roll = self.roll
        return {
            "state": roll.layout.state,
            "layout": roll.layout.since,
            "columns": len(roll.parts[0].known.columns),
            "fingerprint": fingerprint(roll.parts[0].known.columns),
            "not_read": list(roll.passed),
            "voters": self.voters,
            "precincts": self.precincts,
            "quarantined": len(roll.quarantined),
            "history_quarantined": len(roll.history_quarantined),
            "left_out": dict(roll.left_out),
            "doubted": dict(roll.doubted),
            "not_votes": roll.not_votes,
            "history_words": roll.tokens,
            "history_words_unread": roll.unread.total(),
            "history_words_vague": roll.vague,
            "history_untied": roll.untied,
            "primaries": sorted(roll.primaries),
            "generals": sorted(day.isoformat() for day in roll.generals),
        }


def look(place: Path, only: Only = (), *, last: date = LAST) -> Look:
    """Read a voter file from end to end and keep figures alone; raises RollRefused."""
    roll = open_roll(place, last=last)
    precincts: set[str] = set()
    voted: Counter[int] = Counter()
    for voter in roll.voters():
        if inside(voter, only):
            precincts.add(voter.precinct)
            voted[len(voter.ballots)] += 1
    if only and not voted:
        raise nobody(only)
    return Look(roll, voted.total(), only, len(precincts), voted)


def inside(voter: Voter, only: Only) -> bool:
    """Whether a voter lives in one of the places; everybody where none is named."""
    return not only or any(getattr(voter, kind) == code for kind, code in only)


def nobody(only: Only) -> RollRefused:
    """The refusal of a slice that holds nobody."""
    places = ", ".join(f"{kind}={code}" for kind, code in only)
    return RollRefused(f"nobody in the voter file lives in {places}: see how it writes them")


def none_at_all(roll: Roll) -> RollRefused:
    """The refusal of a file of which no line can be enrolled, with the first reason."""
    why = f": {roll.quarantined[0].field} {roll.quarantined[0].reason}" if roll.quarantined else ""
    return RollRefused(
        f"nobody in the voter file can be enrolled: {len(roll.quarantined):,} lines are set aside, "
        f"{roll.left_out.total():,} voters left out{why}"
    )


def report(roll: Roll, voters: int, only: Only = (), *, every: bool = False) -> list[str]:
    """Say what was read, who was left out and what was set aside: line and field, never a value."""
    where = " in " + ", ".join(f"{kind} {code}" for kind, code in only) if only else ""
    lines = [f"{roll.says()}; {voters:,} voters{where}", *not_read(roll.passed)]
    lines += [
        f"{count:,} voters are left out: {why}." for why, count in sorted(roll.left_out.items())
    ]
    lines += [
        f"{count:,} dates of {what} are out of any range and read as not given."
        for what, count in sorted(roll.doubted.items())
    ]
    if roll.not_votes:
        lines.append(f"{roll.not_votes:,} rows of the history are no votes that counted.")
    if unread := roll.unread.total():
        most = ", ".join(f"{code} {count:,}" for code, count in roll.unread.most_common(5))
        lines.append(
            f"{unread:,} of {roll.tokens:,} words of the history are not understood and count as "
            f"no vote; by county code: {most}."
        )
    if roll.vague:
        lines.append(
            f"{roll.vague:,} words of the history tell a year and no kind of election: they count "
            "in no band."
        )
    if roll.untied:
        lines.append(f"{roll.untied:,} voters of the history are not in the voter file.")
    for kind, bad in (("voter", roll.quarantined), ("history", roll.history_quarantined)):
        lines += set_aside(kind, bad, several=len(roll.parts) + len(roll.history) > 1, every=every)
    return lines


def not_read(names: Sequence[str]) -> list[str]:
    """Say what else lies there: a part of the state's file may be among it."""
    if not names:
        return []
    return [
        f"Not read: {listed(names)}. Text files, also in .gz or .zip, are read; if a part of the "
        "state's file is among these, unpack it or name it .txt, and put it into the folder."
    ]


def set_aside(kind: str, bad: Sequence[RowRefused], *, several: bool, every: bool) -> list[str]:
    """The lines that were set aside, ten of them or all."""
    if not bad:
        return []
    shown = bad if every else bad[:10]
    lost = "read" if kind == "ballot" else "enrolled"
    lines = [f"{len(bad):,} {kind} lines are set aside and not {lost}:"]
    for one in shown:
        file = f"{one.file}, " if several and one.file else ""
        lines.append(f"  {file}line {one.row}, {one.field}: {one.reason}")
    if len(bad) > len(shown):
        lines.append(f"  ... and {len(bad) - len(shown):,} more (--all-lines)")
    return lines


def keep_set_aside(roll: Roll, folder: Path) -> Path:
    """Write every line that was set aside into ``set-aside.csv``; no value stands in it."""
    private_folder(folder)
    with part_of(folder / SET_ASIDE) as part, part.open("w", newline="", encoding="utf-8") as text:
        writer = csv.writer(text)
        writer.writerow(("file", "line", "field", "reason"))
        for one in (*roll.quarantined, *roll.history_quarantined):
            writer.writerow((one.file, one.row, one.field, one.reason))
    return folder / SET_ASIDE


def returns_report(
    returns: Returns, bad: Sequence[RowRefused], *, every: bool = False
) -> list[str]:
    """Say how many voters stand where in this election."""
    counts = returns.counts()
    lines = [
        f"Ballots of {returns.election}: {counts['voted']:,} have voted, {counts['out']:,} are "
        f"out, {counts['cure']:,} must be cured, {counts['none']:,} have none in force.",
        *not_read(returns.passed),
    ]
    if returns.doubted:
        lines.append(f"{returns.doubted:,} came back on an absurd day; they came back.")
    if returns.other:
        lines.append(f"{returns.other:,} rows are of other elections.")
    return lines + set_aside("ballot", bad, several=True, every=every)


def only_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--only KIND=CODE``: a slice of a state's file."""

    def pairs(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> Only:
        found = tuple((kind, code) for kind, _, code in (one.partition("=") for one in given))
        if any(kind not in SLICED_BY or not code for kind, code in found):
            raise click.BadParameter(f"write it as KIND=CODE, a kind of {', '.join(SLICED_BY)}")
        return found

    return click.option(
        "--only",
        multiple=True,
        callback=pairs,
        metavar="KIND=CODE",
        help="Only who lives there, such as 'house=State House 44'; several are a union.",
    )(command)


@click.command("read")
@click.argument("place", type=click.Path(exists=True, path_type=Path))
@only_option
@click.option("--all-lines", is_flag=True, help="Print every line that was set aside.")
@json_option
def read_command(place: Path, only: Only, all_lines: bool) -> None:
    """Read a voter file and say what is in it; nothing leaves this computer."""
    found = look(place, only)
    say(*report(found.roll, found.voters, only, every=all_lines))
    say(f"{found.precincts:,} precincts; general elections: "
        + (", ".join(str(day) for day in sorted(found.roll.generals)) or "none told"))  # fmt: skip
    say(
        "Years with a primary: "
        + (", ".join(map(str, sorted(found.roll.primaries))) or "none told")
    )
    last_line(found.figures())


@click.command("returns")
@click.argument("place", type=click.Path(exists=True, path_type=Path))
@click.option("--election", type=click.DateTime(["%Y-%m-%d"]), required=True, help="Its day.")
@click.option("--all-lines", is_flag=True, help="Print every line that was set aside.")
@json_option
def returns_command(place: Path, election: Any, all_lines: bool) -> None:
    """Read a state's early and mail ballots: how many voted, are out, must be cured."""
    returns, bad = open_returns(place, election.date())
    say(*returns_report(returns, bad, every=all_lines))
    counts = returns.counts()
    last_line({
        "state": returns.code, "election": str(returns.election),
        **{where: counts[where] for where in STATES_OF_BALLOT}, "doubted": returns.doubted,
        "other": returns.other, "not_read": list(returns.passed), "quarantined": len(bad),
    })  # fmt: skip

"""What a steward is told of a slice before it leaves: merged, withheld, totals, what changed."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from consortium.cli.enrolling import Read
from consortium.cli.errors import ListRefused
from consortium.cli.home import Home
from consortium.cli.lists import FACTS, OwnList
from consortium.cli.vault import write_whole
from matching.coarsen import Merged
from matching.snapshots import Changed, check_vanished, compare
from matching.totals import differences, read_totals

REPORT, TABLE = "report.txt", "coarsening.csv"
_SHOWN = 20
_WHY = {
    "party": "of another party than this election's",
    "district": "outside this election's districts",
    "voted": "who have voted",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks of an enrolment, beyond the files."""

    totals: Path | None = None
    accept_totals: bool = False
    accept_vanished: bool = False


def told(
    home: Home, own: OwnList, read: Read, merged: Sequence[Merged], wanted: Wanted
) -> list[str]:
    """Say and save everything about one slice; counts and codes of places, no voter.

    Raises:
        ListRefused: the official totals differ, and nobody accepted that.
        RollRefused: too many voters vanished, or the totals cannot be read.
    """
    lines = [*coarsened(own, merged), *hidden(own), *official(read, wanted)]
    lines += since(home, own, read, accept=wanted.accept_vanished)
    lines.append(f"Root over the sorted rows, without row ids: {own.facts['rows_root']}")
    keep(own, merged, lines)
    return lines


def coarsened(own: OwnList, merged: Sequence[Merged]) -> list[str]:
    """What was taken back so that at least k voters share each whole row."""
    facts = own.facts
    lines = [
        f"{facts['rows']:,} voters in {facts['cells']:,} different rows; the rarest is shared by "
        f"{facts['smallest']:,}, and k is {facts['k']}."
    ]
    if not merged:
        return [*lines, "Nothing was merged."]
    lines.append(f"Not told, because fewer than {facts['k']} would have shared it:")
    for what in dict.fromkeys(one.what for one in merged):
        of = [one for one in merged if one.what == what]
        lines.append(
            f"  {what} of {sum(one.voters for one in of):,} voters: there were "
            f"{sum(one.before for one in of):,} combinations with it, the rarest of "
            f"{min(one.smallest for one in of):,}, and {sum(one.after for one in of):,} are left"
        )
    return [*lines, f"Precinct by precinct: {own.folder / TABLE}"]


def hidden(own: OwnList) -> list[str]:
    """How many voters no audience will hold, and why."""
    counts = own.facts["withheld"]
    return [
        f"Nothing is told of {count:,} voters {_WHY[why]}: no audience holds them."
        for why, count in sorted(counts.items())
        if count
    ]


def official(read: Read, wanted: Wanted) -> list[str]:
    """Hold the voters read against the official totals; a single one too many or too few is named.

    Raises:
        ListRefused: they differ, and nobody accepted that.
    """
    if wanted.totals is None:
        return []
    if read.only:
        raise ListRefused("official totals are of whole precincts: leave --only away with --totals")
    counted, expected = read_totals(wanted.totals)
    here = (one for one in read.voters if counted == "registered" or one.status == "active")
    wrong = differences(expected, Counter(one.precinct for one in here))
    if not wrong:
        return [f"Each of {len(expected):,} precincts has the official number of voters."]
    aside, out = len(read.roll.quarantined), read.roll.left_out.total()
    said = [
        f"{len(wrong):,} precincts differ from the official totals ({aside:,} lines set aside, "
        f"{out:,} voters left out):",
        *_some([f"  {one}" for one in wrong]),
    ]
    if not wanted.accept_totals:
        raise ListRefused(
            "\n".join([*said, "Nothing left. If you know why, the same with --accept-totals."])
        )
    return said


def since(home: Home, own: OwnList, read: Read, *, accept: bool) -> list[str]:
    """What is different from the snapshot enrolled before, as numbers.

    Raises:
        RollRefused: too many vanished at once, and nobody accepted that.
    """
    earlier = before(home, own)
    if earlier is None:
        return ["This is the first snapshot of this epoch here."]
    known = set(home.vault.read(earlier.folder / "map.enc").values())
    changed = compare(
        earlier.folder / "attributes.parquet",
        own.folder / "attributes.parquet",
        known=known,
        read={voter.voter_id for voter in read.voters},
    )
    if not accept:
        check_vanished(changed)
    return _changed(changed, earlier.facts["created"][:10])


def before(home: Home, own: OwnList) -> OwnList | None:
    """The newest snapshot of the same epoch and places that this one succeeds, if there is one."""
    found = [OwnList(path.parent) for path in (home.path / "rolls").glob(f"*/{FACTS}")]
    mine = own.facts
    older = [
        one
        for one in found
        if one.id != own.id
        and one.has("receipt.json")
        and one.facts["epoch"] == mine["epoch"]
        and one.facts.get("only", []) == mine["only"]
        and one.facts["created"] <= mine["created"]
    ]
    return max(older, key=lambda one: str(one.facts["created"]), default=None)


def _changed(changed: Changed, when: str) -> list[str]:
    return [
        f"Since the snapshot of {when}: {changed.kept:,} voters stay, {changed.new:,} are new, "
        f"{changed.moved:,} have another precinct, district or ZIP.",
        f"{changed.vanished:,} are no longer in the file: they have no row in this slice, and no "
        "audience cut from it holds them.",
    ]


def keep(own: OwnList, merged: Iterable[Merged], lines: Sequence[str]) -> None:
    """Write the report beside the slice: its words, and a table of what was merged."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("precinct", "attribute", "voters", "before", "after", "rarest before"))
    writer.writerows(
        (one.precinct, one.what, one.voters, one.before, one.after, one.smallest) for one in merged
    )
    write_whole(own.folder / TABLE, text.getvalue().encode())
    write_whole(own.folder / REPORT, ("\n".join(lines) + "\n").encode())


def _some(lines: Sequence[str]) -> list[str]:
    left = len(lines) - _SHOWN
    return [*lines[:_SHOWN], *([f"  ... and {left:,} more"] if left > 0 else [])]

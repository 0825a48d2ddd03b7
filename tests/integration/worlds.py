"""What a whole run should have done, worked out in the clear from the world's own files.

Nothing here is told by the run but its public folders: lists and roll are read anew, linked by the
plain way of ``matching.quality``, and compared with the letters that lie in the Maildir.
"""

from __future__ import annotations

import email
import email.policy
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from itertools import count
from pathlib import Path
from typing import Any

from consortium.cli import outcome
from consortium.world import World, load
from matching import normalise
from matching.coarsen import coarsen
from matching.columns import MemberRow, open_list
from matching.quality import reference_links
from matching.recipes import Record
from matching.roll import reader

SIZES = ("--voters", "700", "--members", "300,250,200", "--seed", "3")
PATIENCE = 1200.0
TRELLIS = (sys.executable, "-m", "consortium.cli.main")


def trellis(*args: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run one command as a person would, to its end."""
    done = subprocess.run(
        [*TRELLIS, *map(str, args)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        env=environment(),
    )
    if check and done.returncode:
        words = " ".join(map(str, args[:2]))
        raise AssertionError(f"trellis {words} ended with {done.returncode}: {done.stderr[-3000:]}")
    return done


def environment() -> dict[str, str]:
    """Our environment without settings that would change what the command does."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TRELLIS_")}


def small_world(folder: Path) -> World:
    """Make the smallest sensible world."""
    trellis("world", "make", *SIZES, "--out", folder)
    return load(folder)


@dataclass(frozen=True)
class Run:
    """One demonstration that has ended."""

    world: World
    out: Path
    summary: Mapping[str, Any]

    @property
    def maildir(self) -> Path:
        return self.out / "mail"


def demo(world: World, out: Path, *more: str) -> Run:
    """Run the whole path once, as the README says."""
    done = trellis(
        "demo", "--once", "--world", world.folder, "--out", out, "--json", *more
    )  # fmt: skip
    return Run(world, out, json.loads(done.stdout.splitlines()[-1]))


@dataclass(frozen=True, repr=False)
class Copy:
    """A row that may be written to, and the voter to whom the plain way ties it."""

    partner: str
    row: int
    address: str
    voter: str


@dataclass(frozen=True, repr=False)
class Expected:
    """Whom the design means.

    ``copies`` holds every row that could carry the letter; of rows of one list that fit a voter
    equally well the design takes any one, so all of them are here.
    """

    copies: tuple[Copy, ...]
    listed: Mapping[str, frozenset[str]]  # partner -> every address it may be writing to
    true: Mapping[tuple[str, int], str]  # (partner, row) -> voter, from truth.csv
    by_address: Mapping[tuple[str, str], tuple[Copy, ...]] = field(default_factory=dict)

    @property
    def persons(self) -> frozenset[str]:
        return frozenset(copy.voter for copy in self.copies)


def expected(world: World) -> Expected:
    """Work out who is linked, in the audience, and may be written to."""
    roll = reader.open_roll(world.roll)
    voters = list(roll.voters())
    numbers: defaultdict[str, int] = defaultdict(count(1).__next__)
    slice_ = coarsen(
        voters,
        on=world.election,
        generals=roll.generals,
        primaries=roll.primaries,
        name=numbers.__getitem__,
    )
    meant = {
        slice_.voter_ids[row.row_id]
        for row in slice_.rows
        if _selected(
            world.audience,
            {
                "district": {row.congressional, row.senate, row.house},
                "precinct": {row.precinct},
                "zip": {row.zip},
            },
            {"age": row.age_band, "votes": row.votes, "primaries": row.primaries},
        )
    }
    records = [voter.record for voter in voters]
    copies: list[Copy] = []
    listed: dict[str, frozenset[str]] = {}
    for partner in world.partners:
        path = world.members(partner.slug)
        once: dict[str, MemberRow] = {}  # of one address the first row is kept
        for member in open_list(path).rows():
            if member.mailable:
                once.setdefault(normalise.email(member.email), member)
        rows = {member.row: member for member in once.values()}
        listed[partner.slug] = frozenset(row.email.casefold() for row in rows.values())
        members = {number: row.record for number, row in rows.items()}
        for row, at in _links(members, records):
            if voters[at].voter_id in meant:
                copies.append(
                    Copy(
                        partner.slug, row, rows[row].email.casefold(), voters[at].voter_id
                    )
                )  # fmt: skip
    by_address: dict[tuple[str, str], tuple[Copy, ...]] = {}
    for copy in copies:
        key = (copy.partner, copy.address)
        by_address[key] = (*by_address.get(key, ()), copy)
    return Expected(tuple(copies), listed, _truth(world), by_address)


def _links(members: Mapping[int, Record], voters: Sequence[Record]) -> set[tuple[int, int]]:
    """Every (row, position) that linking may yield, whatever order the rows leave in.

    Ties between two rows of a list go by the shuffled row number: both orders are tried.
    """
    found: set[tuple[int, int]] = set()
    for order in (sorted(members), sorted(members, reverse=True)):
        links = reference_links({n: members[row] for n, row in enumerate(order)}, voters)
        found |= {(order[n], at) for n, at in links.items()}
    return found


def _selected(
    definition: Mapping[str, Any], places: Mapping[str, set[str]], bands: Mapping[str, str]
) -> bool:
    wanted = definition["places"]
    here = any(places[kind] & set(wanted.get(kind, ())) for kind in places)
    return here and all(band in definition.get(rule, (band,)) for rule, band in bands.items())


def _truth(world: World) -> dict[tuple[str, int], str]:
    import csv

    with world.truth.open(newline="", encoding="utf-8") as file:
        return {
            (line["partner"], int(line["row"])): line["voter_id"] for line in csv.DictReader(file)
        }


@dataclass(frozen=True, repr=False)
class Arrived:
    """One letter, parsed by the standard library alone."""

    path: Path
    raw: bytes
    message: EmailMessage

    @property
    def to(self) -> str:
        return str(self.message["To"]).strip().casefold()

    @property
    def domain(self) -> str:
        return str(self.message["From"]).rpartition("@")[2].strip("> ").casefold()


def arrived(maildir: Path) -> Iterator[Arrived]:
    """Every letter in every folder of a Maildir."""
    for folder in ("new", "cur"):
        for path in sorted((maildir / folder).iterdir()):
            raw = path.read_bytes()
            message = email.message_from_bytes(raw, policy=email.policy.default)
            assert isinstance(message, EmailMessage)
            yield Arrived(path, raw, message)


def who_got_letters(run: Run, plan: Expected) -> dict[str, Arrived]:
    """Voter to letter, after checking that nobody else has one and nobody has two.

    Raises:
        AssertionError: with numbers only.
    """
    slugs = {partner.domain: partner.slug for partner in run.world.partners}
    got: dict[str, Arrived] = {}
    addresses: Counter[str] = Counter()
    unlisted, strangers, twice = 0, 0, 0
    for letter in arrived(run.maildir):
        addresses[letter.to] += 1
        sender = slugs[letter.domain]
        unlisted += letter.to not in plan.listed[sender]
        who = plan.by_address.get((sender, letter.to), ())
        strangers += not who
        for copy in who[:1]:
            twice += copy.voter in got
            got[copy.voter] = letter
    assert unlisted == 0, f"{unlisted} letters from a partner that did not list that address"
    assert strangers == 0, f"{strangers} letters to people whom the design does not mean"
    assert twice == 0, f"{twice} people have two letters"
    assert max(addresses.values(), default=1) == 1, "an address has two letters"
    return got


def assert_right_people(run: Run, plan: Expected) -> None:
    """Everyone meant has exactly one letter; only somebody whose every address already has
    another person's letter may go without.
    """
    got = who_got_letters(run, plan)
    written = {letter.to for letter in got.values()}
    missed = [
        voter
        for voter in plan.persons - set(got)
        if not all(copy.address in written for copy in plan.copies if copy.voter == voter)
    ]
    assert not missed, f"{len(missed)} people whom the design means have no letter"
    assert set(got) <= plan.persons
    assert len(got) == run.summary["sent"] == sum(1 for _ in outcome.letters(run.maildir))

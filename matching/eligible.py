"""Who may vote in this election at all, and has not yet; of the others a slice tells nothing."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from matching.errors import RollRefused, RowRefused
from matching.roll.local import districts_of
from matching.roll.reader import Voter, open_returns

__all__ = ["Electorate", "Withheld", "read_voted", "withheld"]


@dataclass(frozen=True, slots=True)
class Electorate:
    """An election's rule; an empty set is no rule.

    ``parties`` are the file's own words (a primary open to the unaffiliated names them too),
    ``districts`` codes of any kind (a recall), ``voted`` voter ids whose ballot was accepted.
    """

    parties: frozenset[str] = frozenset()
    districts: frozenset[str] = frozenset()
    voted: frozenset[str] = field(default=frozenset(), repr=False)

    def words(self) -> tuple[str, ...]:
        """The rule in a few words, for a keyed name of the slice."""
        voted = hashlib.sha256("\n".join(sorted(self.voted)).encode()).hexdigest()
        return (*sorted(self.parties), "/", *sorted(self.districts), "/", voted)


@dataclass(frozen=True, slots=True)
class Withheld:
    """Voters of whom a slice tells no attribute, so that no audience holds them; and why.

    Their rows and tokens stay: a member is tied to the right voter, and to nobody else instead.
    Each counts once, by the first reason.
    """

    ids: frozenset[str] = field(repr=False)
    party: int
    district: int
    voted: int


def withheld(
    voters: Iterable[Voter], rule: Electorate, counties: Mapping[str, str] | None = None
) -> Withheld:
    """Find who may not vote in this election, or has voted.

    Args:
        counties: FIPS code to name, where the rule may name local districts.

    Raises:
        RollRefused: the rule names a party or a district that no voter of the file has, no
            ballot is of a voter of the file, or nobody is left who may vote.
    """
    why: dict[str, str] = {}
    parties: set[str] = set()
    districts: set[str] = set()
    none: frozenset[str] = frozenset()
    some, known = False, not rule.voted
    for voter in voters:
        inside = districts_of(voter, counties or {}) & rule.districts if rule.districts else none
        parties.add(voter.party)
        known = known or voter.voter_id in rule.voted
        districts |= inside
        if rule.parties and voter.party not in rule.parties:
            why[voter.voter_id] = "party"
        elif rule.districts and not inside:
            why[voter.voter_id] = "district"
        elif voter.voter_id in rule.voted:
            why[voter.voter_id] = "voted"
        else:
            some = True
    _known("party", rule.parties, parties)
    _known("district", rule.districts, districts)
    if not known:
        raise RollRefused("no accepted ballot is of a voter of this file: is it of this state?")
    if why and not some:
        raise RollRefused("nobody is left who may vote in this election and has not")
    counts = Counter(why.values())
    return Withheld(frozenset(why), counts["party"], counts["district"], counts["voted"])


def _known(what: str, named: frozenset[str], found: set[str]) -> None:
    unknown = sorted(named - found)
    if unknown:
        raise RollRefused(f"no voter of the file has the {what} {unknown[0]!r}; check its spelling")


def read_voted(
    places: Sequence[Path],
    key: str,
    election: date,
    told: Callable[[RowRefused], object] = lambda _refused: None,
) -> frozenset[str]:
    """Voter ids of accepted ballots.

    Args:
        places: each the state's own file of ballots, or a folder of them, as
            ``reader.open_returns`` knows it: whose ballot is spoiled or waits for a cure has not
            voted; or a CSV of the one column ``key``, already cut down to accepted ballots.
        key: what the voter file's layout calls the voter's id.
        election: its day.
        told: hears of each line of a state's file that was set aside.

    Raises:
        RollRefused: neither the one nor the other, or nobody has voted in it.
    """
    voted: set[str] = set()
    for place in places:
        found = _listed(place, key, told) if place.is_file() else None
        if found is None:
            returns, bad = open_returns(place, election)
            for one in bad:
                told(one)
            found = {id for id, one in returns.by_voter.items() if one.state == "voted"}
        if not found:
            raise RollRefused(f"{place.name}: holds no accepted ballot of {election}")
        voted |= found
    return frozenset(voted)


def _listed(path: Path, key: str, told: Callable[[RowRefused], object]) -> set[str] | None:
    """The ids of a one-column CSV under the voter file's own word; None where it is not that."""
    with path.open(encoding="latin-1", newline="") as text:
        if _bare(text.readline(_LONGEST)).casefold() != key.casefold():
            return None
        found: set[str] = set()
        # Line by line: a quotation mark that never closes must not swallow who has voted.
        for number, line in enumerate(text, 2):
            typed = _bare(line)
            if re.search(r"[\s\",;|]", typed) or len(typed) > _LONGEST:
                told(RowRefused(number, key, "is not one voter id", file=path.name))
            elif typed:
                found.add(typed)
        return found


_LONGEST = 100
"""Characters of a line with one voter id."""


def _bare(line: str) -> str:
    return line.strip("\ufeff ï»¿\r\n").strip('"').strip()

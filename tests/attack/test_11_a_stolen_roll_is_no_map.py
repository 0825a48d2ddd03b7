"""A thief of the roll, its tokens and its links places no voter that the attributes do not.

Threat: docs/threat-model.md, a stolen database. The voter file is public, so whoever knows the
steward's rules can compute the same rows, the same equalities between them and the same gaps, and
lay one graph upon the other. Links mark rows as linked, which the public file cannot: they add
nothing that it could be laid upon. The attack refines colours until they settle (Weisfeiler and
Leman): rows of one colour cannot be told apart, so a guess is right for one row in each colour.
"""

import hashlib
import sys
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from consortium.cli.enrolling import Read, read_roll
from consortium.cli.world import make
from matching.coarsen import Attributes, Coarsened, coarsen, decoys
from matching.recipes import DATED, RECIPES, token_inputs

TODAY = date(2026, 11, 21)
Groups = Mapping[int, Hashable]


def keyed(label: str) -> int:
    """Ids that only the steward can compute."""
    return int.from_bytes(hashlib.sha256(b"steward" + label.encode()).digest()[:8], "big") >> 1


@dataclass(frozen=True)
class Stolen:
    """What lies in the store: attributes and tokens by random row id; and, to score, the truth."""

    rows: Sequence[Attributes]
    tokens: Mapping[int, Sequence[bytes | None]]

    def attributes(self) -> dict[int, Hashable]:
        return {
            row.row_id: (
                row.precinct,
                row.congressional,
                row.senate,
                row.house,
                row.local,
                row.zip,
                row.age_band,
                row.votes,
                row.primaries,
            )
            for row in self.rows
        }

    def gaps(self) -> Groups:
        return {row: tuple(one is None for one in tokens) for row, tokens in self.tokens.items()}

    def equalities(self) -> list[Groups]:
        """Who shares what with whom: each recipe's tokens, and households."""
        by_recipe: list[Groups] = [
            {row: each[n] for row, each in self.tokens.items() if each[n] is not None}
            for n in range(len(RECIPES))
        ]
        return [*by_recipe, {row.row_id: row.household for row in self.rows}]


def stolen(read: Read, *, safe: bool = True, households: bool = False) -> Stolen:
    """The roll as the steward sends it, or as it would be without the mends."""
    made: Coarsened = coarsen(
        read.voters,
        on=date(2026, 12, 3),
        generals=read.roll.generals,
        primaries=read.roll.primaries,
        name=keyed,
        households=households,
    )
    inputs = {voter.voter_id: token_inputs(voter.record) for voter in read.voters}
    # A keyed hash stands for the custodians' function: equal inputs, equal tokens, nothing else.
    outputs = {
        row.row_id: [
            None if one is None else hashlib.sha512(b"key" + one).digest()
            for one in inputs[made.voter_ids[row.row_id]]
        ]
        for row in made.rows
    }
    if not safe:
        return Stolen(made.rows, outputs)
    return Stolen(made.rows, decoys(outputs, steward_key=b"d" * 32, stable_ids=made.voter_ids))


def settled(colour: Mapping[int, Hashable], groups: Sequence[Groups]) -> dict[int, int]:
    """Colours after every row has looked at who shares something with it, until none splits."""
    now = {row: hash(one) for row, one in colour.items()}
    while True:
        zipped: list[tuple[Groups, dict[Hashable, int]]] = []
        for group in groups:
            members = defaultdict(list)
            for row, key in group.items():
                members[key].append(now[row])
            at = {key: hash(tuple(sorted(found))) for key, found in members.items()}
            zipped.append((group, at))
        then = {
            row: hash((one, *(at.get(group.get(row), 0) for group, at in zipped)))
            for row, one in now.items()
        }
        if len(set(then.values())) == len(set(now.values())):
            return then
        now = then


def placed(colour: Mapping[int, Hashable]) -> tuple[float, float]:
    """Of all voters, the share that stands alone, and that the best guess is right about."""
    sizes = Counter(colour.values())
    return sum(n == 1 for n in sizes.values()) / len(colour), len(sizes) / len(colour)


def by_graph(what: Stolen) -> tuple[float, float]:
    gaps, attributes = what.gaps(), what.attributes()
    return placed(settled({row: (attributes[row], gaps[row]) for row in gaps}, what.equalities()))


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Read:
    folder = tmp_path_factory.mktemp("world")
    make(folder, voters=2_000, members=[100], seed=5, today=TODAY)
    return read_roll(folder / "roll")


def test_laid_upon_the_public_roll_a_stolen_one_places_no_more_than_its_attributes(
    read: Read, capsys: pytest.CaptureFixture[str]
) -> None:
    what = stolen(read)
    alone, guessed = by_graph(what)
    chance = placed(what.attributes())
    with capsys.disabled():
        sys.stdout.write(f"\nstolen roll: placed {alone:.2%}, guessed {guessed:.2%} of all voters")
        sys.stdout.write(f"; by its attributes alone {chance[1]:.2%}\n")
    assert (alone, guessed) == chance
    assert alone < 0.005


def test_the_same_alignment_places_many_without_decoys_and_most_with_households(
    read: Read, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = placed(stolen(read).attributes())[1]
    found = {
        "no decoys": by_graph(stolen(read, safe=False)),
        "household numbers": by_graph(stolen(read, households=True)),
        "neither mend": by_graph(stolen(read, safe=False, households=True)),
    }
    with capsys.disabled():
        for name, (alone, guessed) in found.items():
            sys.stdout.write(f"\n{name}: placed {alone:.1%}, guessed {guessed:.1%}\n")
    assert found["no decoys"][1] > 5 * chance
    assert found["household numbers"][1] > 10 * chance
    assert found["neither mend"][0] > 0.4


@pytest.mark.soak
def test_at_the_size_of_a_city_the_same_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """100,000 voters, of whom the equality graph of bare tokens places many by itself."""
    make(tmp_path, voters=100_000, members=[100], seed=5, today=TODAY)
    read = read_roll(tmp_path / "roll")
    bare = stolen(read, safe=False)
    rows = dict.fromkeys(bare.tokens, 0)
    some = {row.row_id: (row.precinct, row.age_band) for row in bare.rows}
    shared = bare.equalities()[: len(RECIPES)]
    found = {
        "no decoys, tokens alone": placed(settled(rows, shared)),
        "no decoys, with precinct and age": placed(settled(some, shared)),
        "no decoys, with all": by_graph(bare),
        "by its attributes alone": placed(bare.attributes()),
    }
    del bare, shared
    found["as it is sent"] = by_graph(stolen(read))
    with capsys.disabled():
        for name, (alone, guessed) in found.items():
            sys.stdout.write(f"\n100,000 voters, {name}: placed {alone:.2%}, guessed {guessed:.2%}")
        sys.stdout.write("\n")
    assert found["as it is sent"] == found["by its attributes alone"]
    assert found["as it is sent"][0] < 0.005
    # Controls: the same alignment places thousands of a roll that was not mended.
    assert found["no decoys, tokens alone"][0] > 0.02
    assert found["no decoys, with precinct and age"][0] > 0.1


def test_what_a_row_lacks_places_nobody(read: Read) -> None:
    """The gaps alone: a missing phone or middle name makes the best guess several times better."""
    bare, what = stolen(read, safe=False), stolen(read)
    attributes = bare.attributes()
    with_gaps = {row: (attributes[row], gaps) for row, gaps in bare.gaps().items()}
    assert placed(with_gaps)[1] > 2 * placed(attributes)[1]
    assert len(set(what.gaps().values())) == 1
    # What the whole file lacks, whole birth dates here, is nobody's; any other has one for each.
    columns = list(zip(*what.tokens.values(), strict=True))
    assert {at for at, column in enumerate(columns) if None in column} == DATED
    for at, column in enumerate(columns):
        assert len(set(column)) == (1 if at in DATED else len(what.rows))

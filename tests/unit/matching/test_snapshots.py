"""Two snapshots compared: who is new, who is gone, who moved; a cut-off file is noticed."""

import random
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from matching.attributes import write_attributes
from matching.coarsen import coarsen
from matching.errors import RollRefused
from matching.roll.reader import Voter
from matching.snapshots import Changed, check_vanished, compare
from tests.unit.matching.test_coarsen import GENERALS, named, voters_of


def part(path: Path, voters: list[Voter]) -> Path:
    made = coarsen(voters, on=date(2026, 11, 3), generals=GENERALS, name=named("k"), k=10)
    write_attributes(path, made.rows)
    return path


def test_who_is_gone_has_no_row_and_is_counted_beside_the_new_and_the_moved(
    tmp_path: Path,
) -> None:
    first = voters_of(random.Random(2), {"1": 80, "2": 80})
    new = voters_of(random.Random(3), {"3": 20})
    later = [*(replace(one, precinct="2") for one in first[:4]), *first[4:70], *first[75:], *new]
    found = compare(
        part(tmp_path / "a", first),
        part(tmp_path / "b", later),
        known={one.voter_id for one in first},
        read={one.voter_id for one in later},
    )
    assert (found.before, found.after, found.kept) == (160, 175, 155)
    assert (found.vanished, found.new, found.moved) == (5, 20, 4)
    check_vanished(found)


def test_a_file_that_lost_more_than_its_share_is_refused_with_numbers() -> None:
    with pytest.raises(RollRefused, match="6 of 100 voters"):
        check_vanished(Changed(100, 94, 94, 0, 6, 0))
    check_vanished(Changed(100, 95, 95, 0, 5, 0))

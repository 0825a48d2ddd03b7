"""Nobody stands alone in what the store keeps of the roll."""

import hashlib
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest

from matching.coarsen import (
    AGE_BANDS,
    MAX_HOUSEHOLD,
    PRIMARIES_BANDS,
    VOTES_BANDS,
    Coarsened,
    coarsen,
    decoys,
)
from matching.recipes import Record
from matching.roll.history import Ballot, Election
from matching.roll.reader import Voter

GENERALS = [date(year, 11, 5) for year in (2016, 2018, 2020, 2022, 2024)]
PRIMARIES = range(2014, 2027, 2)


def primary(year: int, party: str = "", kind: str = "primary") -> Ballot:
    return Ballot(Election("CO", None, year, kind), party=party)


def voters_of(chance: random.Random, sizes: dict[str, int]) -> list[Voter]:
    return [
        Voter(
            voter_id=f"{precinct}-{n}",
            record=Record(),
            precinct=precinct,
            congressional="Congressional 6",
            senate="State Senate 30",
            house=chance.choice(["State House 44"] * 20 + ["State House 45"]),
            zip=chance.choice(["80202"] * 30 + ["80203"]),
            birth_year=chance.choice([None, *range(1930, 2008)]),
            votes=frozenset(chance.sample(GENERALS, chance.randrange(6))),
            household=f"{n % 9}|{precinct}",
            status="active",
            ballots=tuple(primary(year) for year in chance.sample(PRIMARIES, chance.randrange(5))),
        )
        for precinct, size in sizes.items()
        for n in range(size)
    ]


def named(key: str) -> Callable[[str], int]:
    """Ids as a steward's tool makes them."""

    def name(label: str) -> int:
        return int.from_bytes(hashlib.sha256(f"{key}|{label}".encode()).digest()[:8], "big") >> 1

    return name


def _made(seed: int, k: int, sizes: dict[str, int]) -> Coarsened:
    chance = random.Random(seed)
    return coarsen(
        voters_of(chance, sizes),
        on=date(2026, 11, 3),
        generals=GENERALS,
        name=named(str(seed)),
        k=k,
        primaries=PRIMARIES,
    )


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("k", [2, 10, 25])
def test_every_combination_that_occurs_is_shared_by_k(seed: int, k: int) -> None:
    made = _made(seed, k, {"6304418001": 400, "6304418002": 60, "6304418003": 7, "6304418004": 3})
    for what in ("zip", "house", "senate", "age_band"):
        assert min(Counter((r.precinct, getattr(r, what)) for r in made.rows).values()) >= k
    assert min(Counter((r.precinct, r.age_band, r.votes) for r in made.rows).values()) >= k
    whole = Counter(
        (r.precinct, r.senate, r.house, r.zip, r.age_band, r.votes, r.primaries) for r in made.rows
    )
    assert min(whole.values()) >= k
    assert all(one.smallest < k and one.after <= one.before for one in made.merged)
    assert len(made.rows) == len(made.voter_ids) == 470
    assert made.merged
    assert {r.age_band for r in made.rows} <= {"", *AGE_BANDS}
    assert {r.votes for r in made.rows} <= {"", *VOTES_BANDS}
    assert {r.primaries for r in made.rows} <= {"", *PRIMARIES_BANDS}
    assert k == 25 or {r.primaries for r in made.rows} != {""}


def test_nothing_is_taken_back_without_need() -> None:
    assert _made(1, 1, {"6304418001": 50}).merged == ()


def test_only_the_last_four_generals_count() -> None:
    chance = random.Random(1)
    voter = voters_of(chance, {"1": 1})[0]
    old = Voter(**{name: getattr(voter, name) for name in Voter.__slots__} | {
        "votes": frozenset([date(2016, 11, 5), date(2023, 6, 1)]), "birth_year": 1991})  # fmt: skip
    made = coarsen([old], on=date(2026, 11, 3), generals=GENERALS, name=lambda _: 5, k=1)
    assert (made.rows[0].votes, made.rows[0].age_band) == ("0", "35-49")


def test_who_registered_after_the_last_general_is_new_and_not_a_voter_who_stays_home() -> None:
    voter = voters_of(random.Random(1), {"1": 1})[0]
    bands = []
    for registered, votes in (
        (date(2024, 11, 6), []),
        (date(2024, 11, 5), []),
        (None, []),
        (date(2025, 1, 2), [date(2022, 11, 5)]),  # moved here, and brought a history along
    ):
        one = replace(voter, registered=registered, votes=frozenset(votes))
        made = coarsen([one], on=date(2026, 11, 3), generals=GENERALS, name=lambda _: 5, k=1)
        bands.append(made.rows[0].votes)
    assert bands == ["new", "0", "0", "1-2"]


def test_primaries_give_way_first_so_that_no_other_attribute_is_told_less_for_their_sake() -> None:
    sizes = {"6304418001": 400, "6304418002": 60}
    voters = voters_of(random.Random(5), sizes)
    about = {"on": date(2026, 11, 3), "generals": GENERALS, "name": named("k")}
    made = coarsen(voters, primaries=PRIMARIES, **about)  # type: ignore[arg-type]
    without = coarsen(voters, **about)  # type: ignore[arg-type]
    assert [replace(row, primaries="") for row in made.rows] == list(without.rows)
    assert {row.primaries for row in without.rows} == {""}
    assert any(one.what == "primaries" for one in made.merged)


@pytest.mark.parametrize(
    ("ballots", "parties", "band"),
    [
        ([primary(2026), primary(2022)], set(), "1-2"),
        ([primary(2024), primary(2024, kind="presidential primary")], set(), "1-2"),
        ([primary(year) for year in (2020, 2022, 2024)], set(), "3-4"),
        ([primary(2016), primary(2018), primary(2028)], set(), "0"),  # too long ago; not yet
        ([primary(2024, kind="general"), primary(2022, kind="special")], set(), "0"),
        ([primary(year, "DEM") for year in (2020, 2022, 2024)], {"REP"}, "0"),
        ([primary(2022, "REP"), primary(2024)], {"REP"}, "1-2"),  # one ballot's party is not told
    ],
)
def test_primaries_are_counted_by_the_last_four_years_that_had_one(
    ballots: list[Ballot], parties: set[str], band: str
) -> None:
    voter = replace(voters_of(random.Random(1), {"1": 1})[0], ballots=tuple(ballots))
    made = coarsen(
        [voter],
        on=date(2026, 11, 3),
        generals=GENERALS,
        name=lambda _: 5,
        k=1,
        primaries=[*PRIMARIES, 2028],
        parties=parties,
    )
    assert made.rows[0].primaries == band


def test_households_share_a_random_id_up_to_a_size() -> None:
    sizes = Counter(row.household for row in _made(3, 1, {"1": 200}).rows)
    assert max(sizes.values()) == MAX_HOUSEHOLD


def test_without_a_holdout_no_two_rows_share_a_household_number() -> None:
    voters = voters_of(random.Random(3), {"1": 200})
    made = coarsen(
        voters, on=date(2026, 11, 3), generals=GENERALS, name=named("k"), k=1, households=False
    )
    assert len({row.household for row in made.rows}) == 200


def test_decoys_leave_every_token_alone_and_are_stable() -> None:
    shared, own = b"s" * 64, [bytes([n]) * 64 for n in range(3)]
    rows = {7: [shared, own[0]], 8: [shared, own[1]], 9: [None, own[2]]}
    made = decoys(rows, steward_key=b"k" * 32)
    flat = [(n, each) for row in made.values() for n, each in enumerate(row)]
    assert len(set(flat)) == len(flat) == 6  # what is missing has one too: no gap tells who it is
    assert all(len(each) == 64 for _, each in flat)
    assert (made[9][1], made[7][1]) == (own[2], own[0])
    assert shared not in (made[7][0], made[8][0])
    moved = {70: rows[7], 80: rows[8]}
    names = {7: "a", 8: "b", 70: "a", 80: "b"}
    before = decoys(rows, steward_key=b"k" * 32, stable_ids=names)
    after = decoys(moved, steward_key=b"k" * 32, stable_ids=names)
    assert before[7][0] == after[70][0]
    assert decoys(moved, steward_key=b"j" * 32, stable_ids=names)[70][0] != after[70][0]


def test_a_voter_and_a_household_keep_their_ids_in_the_next_slice() -> None:
    chance = random.Random(9)
    first = voters_of(chance, {"1": 40})
    later = [*reversed(first[5:]), *voters_of(random.Random(10), {"2": 3})]

    def made(voters: list[Voter]) -> dict[str, tuple[int, int]]:
        slice_ = coarsen(voters, on=date(2026, 11, 3), generals=GENERALS, name=named("k"), k=1)
        return {slice_.voter_ids[r.row_id]: (r.row_id, r.household) for r in slice_.rows}

    before, after = made(first), made(later)
    both = before.keys() & after.keys()
    assert len(both) >= 35
    assert {v: before[v][0] for v in both} == {v: after[v][0] for v in both}


def test_a_file_without_histories_tells_nobodys_votes() -> None:
    voters = voters_of(random.Random(3), {"1": 60})
    made = coarsen(voters, on=date(2026, 11, 3), generals=[], name=named("3"))
    assert {row.votes for row in made.rows} == {""}

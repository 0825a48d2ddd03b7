"""A world is the same for the same seed, and its files read back as what they say."""

import csv
from collections import Counter
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from consortium.cli.bench_match import rows as bench_rows
from consortium.cli.world import command, make
from consortium.world import WorldRefused, load
from matching import quality
from matching.columns import open_list
from matching.roll.reader import open_roll

TODAY = date(2026, 11, 21)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("world")
    make(out, voters=1500, members=[200, 150, 100], seed=7, today=TODAY)
    return out


def _bytes(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_seed_is_a_world(folder: Path, tmp_path: Path) -> None:
    make(tmp_path / "again", voters=1500, members=[200, 150, 100], seed=7, today=TODAY)
    make(tmp_path / "other", voters=1500, members=[200, 150, 100], seed=8, today=TODAY)
    assert _bytes(tmp_path / "again") == _bytes(folder)
    assert _bytes(tmp_path / "other") != _bytes(folder)


def test_the_roll_reads_back_with_full_precincts(folder: Path) -> None:
    roll = open_roll(load(folder).roll)
    voters = list(roll.voters())
    assert len(voters) == 1500
    assert len(roll.quarantined) == 1
    assert min(Counter(voter.precinct for voter in voters).values()) >= 500
    assert len(roll.generals) == 4
    assert max(roll.generals) < TODAY


def test_lists_read_back_and_their_malformed_rows_are_counted(folder: Path) -> None:
    world = load(folder)
    sizes = dict(zip([p.slug for p in world.partners], [200, 150, 100], strict=True))
    for partner in world.partners:
        listing = open_list(world.members(partner.slug))
        reading = listing.check()
        assert listing.system == partner.format
        assert reading.refused_total == 4
        assert reading.usable == sizes[partner.slug] - 4
        assert {"subscribed", "unsubscribed", "unknown"} <= set(reading.statuses)
        assert all(r.email.split("@")[1].startswith("example.") for r in listing.rows())


def test_the_truth_names_rows_and_voters_and_links_agree_with_it(folder: Path) -> None:
    world = load(folder)
    with world.truth.open(newline="") as text:
        truth = list(csv.DictReader(text))
    voters = list(open_roll(world.roll).voters())
    at = {voter.voter_id: n for n, voter in enumerate(voters)}
    seen = [row["voter_id"] for row in truth if row["voter_id"]]
    assert set(seen) <= set(at)
    assert len(set(seen)) < len(seen)
    assert len(seen) < len(truth) == 450
    for partner in world.partners:
        real = {
            int(row["row"]): at.get(row["voter_id"])
            for row in truth
            if row["partner"] == partner.slug
        }
        members = {r.row: r.record for r in open_list(world.members(partner.slug)).rows()}
        links = quality.reference_links(members, [voter.record for voter in voters])
        assert quality.measure(links, real).precision >= 0.95
        assert len(links) > 0.6 * len(members)


def test_the_world_says_what_the_demo_needs(folder: Path) -> None:
    world = load(folder)
    assert world.election > TODAY
    assert world.election.weekday() == 1
    assert world.audience == {"places": {"district": ["State House 44"]}}
    assert (world.custodians.threshold, world.custodians.total) == (2, 3)
    assert len({partner.domain for partner in world.partners}) == 3


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('office = "State House"', "", "race.office"),
        ("threshold = 2", "threshold = 4", "custodians.threshold"),
        ("threshold = 2", 'threshold = "2"', "custodians.threshold"),
        ('slug = "prairie-action"', 'slug = "Prairie Action"', r"partners\[0\]\.slug"),
        ('slug = "workers-united"', 'slug = "clean-rivers"', "partners"),
        ("America/Denver", "America/Nowhere", "time_zone"),
        ("format = 1", "format = 2", "format"),
        ("[audience.places]", "[audience.people]", "audience.people"),
        ("[race]", "[race", "TOML"),
        ('slug = "prairie-action"', 'slug = "nobody"', "partners/nobody/members.csv"),
    ],
)
def test_what_is_wrong_is_named(folder: Path, tmp_path: Path, old: str, new: str, key: str) -> None:
    (tmp_path / "roll").mkdir()
    (tmp_path / "partners").symlink_to(folder / "partners")
    text = (folder / "world.toml").read_text()
    assert old in text
    (tmp_path / "world.toml").write_text(text.replace(old, new, 1))
    with pytest.raises(WorldRefused, match=key):
        load(tmp_path)


def test_the_command_writes_one_and_refuses_what_cannot_be(tmp_path: Path) -> None:
    def run(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(command, ["make", *words])
        return done.exit_code, done.output

    out = str(tmp_path / "w")
    size = ("--voters", "500", "--seed", "1", "--today", "2026-11-21")
    assert run(*size, "--members", "40,30", "--out", out)[0] == 0
    assert len(load(tmp_path / "w").partners) == 2
    for members, where, word in (("40", out, "not empty"), ("x", out + "2", "numbers"),
                                 ("40,5", out + "2", "at least 20")):  # fmt: skip
        code, said = run(*size, "--members", members, "--out", where)
        assert (code, word in said) == (2, True)


def test_the_bench_measures_both_sides(tmp_path: Path) -> None:
    for row in bench_rows(2000, 500, repeats=1):
        assert set(row) == {"name", "ours", "floor", "ratio", "goal", "unit"}
        assert row["ratio"] > 0

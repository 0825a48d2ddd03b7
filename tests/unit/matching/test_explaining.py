"""A link's explanation is the run's own sum, for those it linked and for those it did not."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from matching import engine, quality, score
from matching.atrest import lock_file
from matching.errors import RowUnknown
from matching.explaining import TAKEN, TIED, Explained, explain, explain_tables
from matching.listing import Noise
from matching.recipes import Record, make_record
from matching.training import sample

KEY = b"k" * 32


def artefacts(base: duckdb.DuckDBPyConnection, folder: Path) -> tuple[Path, Path]:
    """The two tokens artefacts of a base of ``quality.tables``, at rest as the worker's are."""
    made = []
    for table in ("members", "roll"):
        plain, out = folder / f"{table}.parquet", folder / table
        base.table(table).write_parquet(str(plain))
        lock_file(plain, out, key=KEY)
        made.append(out)
    return made[0], made[1]


def told(folder: Path, members: list[Record], voters: list[Record], row: int) -> Explained | None:
    with quality.tables(enumerate(members), enumerate(voters)) as base:
        quality.hide(base)
        mine, theirs = artefacts(base, folder)
    return explain(mine, theirs, row, key=KEY, weights=score.load())


def person(first: str = "Rosalind", **other: str) -> Record:
    fields = {"last": "Quintero", "zip": "80202", "phone": "3035550123", "address": "12 Elm St"}
    return make_record(first=first, **{**fields, **other})


def test_every_row_of_a_town_is_explained_as_the_run_left_it(tmp_path: Path) -> None:
    town = sample(61, voters=600, members=150, dated=False, noise=Noise(typo=0.1, nickname=0.2))
    weights = score.load()
    with quality.tables(town.members(), town.voters()) as base:
        quality.hide(base)
        mine, theirs = artefacts(base, tmp_path)
        engine.link_tables(base, weights)
        links = dict(base.execute("SELECT row, score FROM links").fetchall())
    verdicts = set()
    rows = [row for row, _ in town.members()]
    unlinked = [row for row in rows if row not in links]
    by_score = sorted(links, key=lambda row: links[row])
    for row in [*unlinked[:6], *by_score[:4], *by_score[-4:]]:
        found = explain(mine, theirs, row, key=KEY, weights=weights)
        linked = found is not None and found.verdict != "not linked"
        assert linked == (row in links)
        if found is not None:
            verdicts.add(found.verdict)
            parts = found.start + sum(weight for _, _, weight in found.recipes())
            assert parts == pytest.approx(found.alone + found.weights.lift, abs=1e-6)
            assert not linked or found.score == pytest.approx(links[row], abs=2e-6)
    assert verdicts >= {"certain", "likely"}
    assert len(unlinked) > 6


def test_two_voters_that_fit_equally_well_are_said_to_be_why_nobody_is_linked() -> None:
    # Only on a roll without decoys: a token that is alone on the roll cannot be two voters'.
    with quality.tables(enumerate([person()]), enumerate([person(), person()])) as base:
        quality.show(base)
        found = explain_tables(base, 0, score.load())
        assert base.execute("SELECT count(*) FROM links").fetchone() == (0,)
    assert found is not None
    assert (found.verdict, found.why) == ("not linked", TIED)


def test_a_row_whose_voter_another_row_fits_better_says_so(tmp_path: Path) -> None:
    crowd = [
        person(f"Other{n}", last=f"Name{n}", phone=f"30355502{n:02}", address=f"{n} Oak St")
        for n in range(40)
    ]
    whole, less = person(), person(phone="", address="")
    found = told(tmp_path, [less, whole, *crowd], [person(), *crowd], 0)
    best = told(tmp_path, [less, whole, *crowd], [person(), *crowd], 1)
    alone = told(tmp_path, [less, *crowd], [person(), *crowd], 0)
    assert found is not None
    assert best is not None
    assert alone is not None
    assert (found.verdict, found.why) == ("not linked", TAKEN)
    assert (best.why, alone.why) == ("", "")
    assert best.verdict == "certain"


def test_a_row_that_the_list_has_not_is_refused_and_one_that_meets_nobody_is_none(
    tmp_path: Path,
) -> None:
    nobody = person("Zebulon", last="Featherstone", zip="99999", phone="9075550100", address="9 X")
    assert told(tmp_path, [nobody], [person()], 0) is None
    with pytest.raises(RowUnknown):
        told(tmp_path, [nobody], [person()], 1)

"""Somebody who takes every machine of the consortium but the mailer finds nobody's field in it.

Every field of every list and of the roll, but the coarse attributes that docs/world.md lists, is
made a word that stands nowhere else. The whole path runs. Then every byte is searched.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import duckdb
import pytest

from tests.attack import canaries
from tests.integration.worlds import assert_right_people, expected
from tests.planted import Planted


def test_every_field_was_planted(planted: Planted) -> None:
    world = planted.run.world
    for partner in world.partners:
        assert {"fn", "ln", "em", "do", "st", "ci"} <= set(planted.kinds[partner.slug])
        found = canaries.in_bytes(world.members(partner.slug).read_bytes(), planted.births)
        assert {"fn", "ln", "em", "do", "st", "ci", "hd", "cu", "no", "xx", "number"} <= found
    assert planted.births
    for name in ("EX-003_Master_Voter_List_Part1.txt", "EX-002_Public_Voting_History_List_Part1.txt"):  # noqa: E501  # fmt: skip
        assert "number" in canaries.in_bytes((world.roll / name).read_bytes())


def test_the_path_ran_as_ever_on_the_planted_people(planted: Planted) -> None:
    assert planted.run.summary["sent"] > 195
    assert_right_people(planted.run, expected(planted.run.world))


@pytest.mark.parametrize("place", ["server", "custodians", "witnesses", "log"])
def test_no_field_of_a_list_or_of_the_roll_stands_in(planted: Planted, place: str) -> None:
    folder = planted.run.out / place
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) > 10_000
    assert canaries.in_folder(folder, planted.births) == {}


def test_the_search_covers_databases_logs_and_artefacts(planted: Planted) -> None:
    server = planted.run.out / "server"
    names = {path.name for path in server.rglob("*") if path.is_file()}
    assert "trellis.sqlite" in names
    assert {"serve.log", "worker.log"} <= names
    artefacts = [path for path in (server / "artefacts").rglob("*") if path.is_file()]
    assert len(artefacts) > 8
    readable = [path for path in artefacts if path.read_bytes()[:4] == b"PAR1"]
    assert len(readable) >= 4


def test_the_same_search_finds_the_letters_that_were_sent(planted: Planted) -> None:
    found = canaries.in_folder(planted.run.out / "mail")
    assert len(found) == planted.run.summary["sent"]
    assert all({"em", "do"} <= hits for hits in found.values())
    assert sum("fn" in hits for hits in found.values()) > 0.9 * len(found)
    # Nothing but the sealed fields ever reaches a letter.
    assert set().union(*found.values()) <= {"em", "do", "fn", "encoded"}


@pytest.mark.parametrize(("name", "dress"), canaries.DRESSED)
def test_a_canary_is_found_in_every_dress(name: str, dress: canaries.Dress, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\x00\x01" * 50 + dress(canaries.word("fn", "Ada")) + b"\x00")
    assert list(canaries.in_folder(tmp_path)) == ["file"], name


def test_a_canary_is_found_in_parquet_in_zlib_in_a_name_and_as_a_number(tmp_path: Path) -> None:
    said = canaries.word("ln", "Lovelace")
    with duckdb.connect() as base:
        base.execute("CREATE TABLE t AS SELECT ? AS a FROM range(5000)", [said.upper()])
        base.table("t").write_parquet(str(tmp_path / "a.parquet"), compression="zstd")
    (tmp_path / "b").write_bytes(zlib.compress(said.encode() * 3))
    (tmp_path / said).mkdir()
    (tmp_path / "c").write_bytes(b"tel (917) 834-6123, id 734600000017 ")
    (tmp_path / "d").write_bytes(b"nobody was born on 1961-03-05")
    assert set(canaries.in_folder(tmp_path)) == {"a.parquet", "b", "c", said}
    assert set(canaries.in_folder(tmp_path, frozenset({b"1961-03-05"}))) > {"d"}

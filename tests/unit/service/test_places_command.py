"""The operator's table of places: held against the voter file, kept by digest, told in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from consortium.cli.operator import command
from consortium.service import locate
from consortium.store.unit import Unit
from tests.fakes.server import RACE, Server, some_voters

TABLE = "precinct,polling_place,polling_hours_es,cure_deadline\n44-0,Lincoln School,de 7 a 19,\n"


def load(server: Server, text: str) -> Result:
    file = server.folder / "places.csv"
    file.write_text(text)
    return CliRunner().invoke(command, ["places", "--home", str(server.folder), str(file)])


@pytest.fixture
def here(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server whose home the operator's tool finds, with nobody on its roll yet."""
    monkeypatch.setenv("TRELLIS_DATABASE", f"sqlite:///{server.folder}/trellis.sqlite")
    (server.folder / "signing.key").write_text("ab" * 32)
    server.sign_agreement()
    return server


def newest(server: Server) -> str | None:
    return server.units.read("newest", lambda unit: locate.newest(unit, RACE))


def test_a_table_is_loaded_by_a_command_and_letters_can_say_what_it_says(here: Server) -> None:
    here.enrol(some_voters())
    done = load(here, TABLE)
    assert done.exit_code == 0, done.output
    assert "1 rows with polling_place, polling_hours_es; the table is " in done.output
    assert "1 precincts without a row have no facts: 44-1" in done.output
    digest = newest(here)
    assert digest is not None
    assert digest in done.output

    def said(unit: Unit) -> list[dict[str, str]]:
        return [locate.facts(unit, digest, one, "es") for one in ("44-0", "44-1")]

    assert here.units.read("said", said) == [
        {"polling_place": "Lincoln School", "polling_hours": "de 7 a 19"},
        {},
    ]
    everywhere = load(here, TABLE + "*,the library,,2026-11-11\n")
    assert "1 precincts without a row have what * says: 44-1" in everywhere.output
    assert newest(here) != digest
    # An earlier letter states the earlier table's facts.
    assert here.units.read("said", said)[1] == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (TABLE.replace("44-0", "99-9"), "places.csv, row 2, column precinct: is no precinct"),
        (TABLE.replace("Lincoln School", "evil.com"), "row 2, column polling_place: looks like"),
        (TABLE.replace("19,", "19,tomorrow"), "row 2, column cure_deadline: is no day"),
        ("polling_place\nx\n", "row 1, column precinct: is missing"),
    ],
)
def test_a_table_that_cannot_be_used_names_the_cell_and_changes_nothing(
    here: Server, text: str, says: str
) -> None:
    here.enrol(some_voters())
    before = newest(here)
    done = load(here, text)
    assert done.exit_code == 1
    assert says in done.output
    assert "nothing was loaded" in done.output
    assert "evil" not in done.output
    assert newest(here) == before is None


def test_a_table_before_the_voter_file_waits_for_it(here: Server, tmp_path: Path) -> None:
    done = load(here, TABLE)
    assert done.exit_code == 1
    assert "the voter file is not here yet; nothing was loaded" in done.output
    assert newest(here) is None

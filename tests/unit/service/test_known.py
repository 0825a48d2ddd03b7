"""A database that was put back is refused, and nobody fills up what waits for the log."""

import pytest
from sqlalchemy import delete

from consortium.service import enter, publish
from consortium.store.tables import EntryRow
from policies.agreement import digest
from provenance.errors import RecoveryRefused
from tests.databases import clock, sqlite_template, sqlite_units
from tests.fakes.actors import made
from tests.fakes.server import RACE, Server, body, server

__all__ = ["clock", "server", "sqlite_template", "sqlite_units"]


def test_a_database_older_than_the_log_is_refused_in_words(server: Server) -> None:
    server.sign_agreement()
    server.publish()
    size = server.sequencer.published().size
    publish.known(server.units, server.sequencer)  # of today: nothing is wrong
    query = delete(EntryRow).where(EntryRow.index == size - 1)
    server.units.run("put back", lambda unit: unit.session.execute(query).close())
    with pytest.raises(RecoveryRefused, match=r"1 entries, from number .* an old copy"):
        publish.known(server.units, server.sequencer)


def test_entries_that_crashed_before_their_place_was_noted_are_no_such_thing(
    server: Server,
) -> None:
    server.sign_agreement()
    waiting = server.units.read("pending", lambda unit: publish.log.pending(unit, 99))
    server.sequencer.append_once([one.entry for one in waiting], 0, server.clock())
    publish.known(server.units, server.sequencer)  # in the log, and known, without a place yet


def test_a_partner_signs_once(server: Server) -> None:
    server.sign_agreement(["union"])
    said = {"kind": "sign", "race": RACE, "digest": digest(server.agreement)}
    again = made("union", "agreement", server.clock(), **said)
    answer = server.client.post("/api/v1/log/entries", json=body(again))
    assert answer.status_code == 409
    assert "signed this agreement already" in answer.text


def test_one_actors_entries_that_wait_have_an_end(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enter, "MOST_WAITING", 0)
    said = {"kind": "sign", "race": RACE, "digest": digest(server.agreement)}
    first = made("union", "agreement", server.clock(), **said)
    answer = server.client.post("/api/v1/log/entries", json=body(first))
    assert answer.status_code == 409
    assert "too many entries of yours wait" in answer.text

"""The head's cosignatures stay young, however seldom the log is published."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery.worker import state

from consortium.cli import operator
from consortium.jobs import publishing, relay, working
from consortium.jobs.celery import QUEUES
from consortium.service import halted, publish
from consortium.service.cover import FORMS, Cover
from consortium.store import log
from consortium.store.log import SqlLock
from consortium.wiring import pen
from provenance.backend import Disk
from provenance.note import parse_note
from provenance.sequencer import ProofFor, Sequencer
from provenance.witness import cosign
from tests.databases import NOON, clock, sqlite_template, sqlite_units
from tests.fakes.actors import LOG, POLICY, WITNESSES, private, trusting
from tests.fakes.server import Server, server

__all__ = ["clock", "server", "sqlite_template", "sqlite_units"]


def test_a_refresh_makes_cosignatures_young_and_lets_nothing_pending_in(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(note: bytes, _: ProofFor) -> list[bytes]:
        now = int(server.clock().timestamp())
        return [cosign(parse_note(note).text, one, now).to_line() for one in WITNESSES]

    sequencer = Sequencer(server.backend, SqlLock(server.units), LOG, POLICY, ask)
    server.sign_agreement(["union"])
    publish.publish(server.units, sequencer, server.clock)
    size, before = sequencer.published().size, server.backend.read("checkpoint")
    server.sign_agreement(["parks"])
    here = SimpleNamespace(
        sequencer=sequencer,
        clock=server.clock,
        units=server.units,
        asker=SimpleNamespace(missing=[]),
    )
    monkeypatch.setattr(publishing, "process", lambda: here)
    answered: list[str] = []
    monkeypatch.setattr(relay, "answered", answered.append)
    server.clock.now += timedelta(minutes=20)
    publishing.refresh.run()
    after = server.backend.read("checkpoint")
    assert before is not None
    assert after is not None
    assert (parse_note(after).text, sequencer.published().size) == (parse_note(before).text, size)
    assert after != before, "the witnesses said it again, now"
    assert len(server.units.read("pending", lambda unit: log.pending(unit, 9))) == 1
    assert answered == ["refresh"]


def test_the_ledgers_head_is_said_once_an_interval_however_often_the_worker_looks(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = pen("operator", private("operator").private_bytes_raw())
    here = SimpleNamespace(
        settings=SimpleNamespace(hold_seconds=0),
        units=server.units,
        sequencer=server.sequencer,
        clock=server.clock,
        operator_pen=ours,
        cover=Cover(3600, 1, ours),
        asker=SimpleNamespace(missing=[]),
    )
    heads: list[str] = []
    monkeypatch.setattr(publishing, "process", lambda: here)
    monkeypatch.setattr(relay, "answered", lambda _: None)
    monkeypatch.setattr(publishing.anchor, "anchor", lambda *_, now: heads.append(f"{now:%H:%M}"))
    sizes = []
    for minutes in (0, 1, 59, 60, 61, 119, 120):
        server.clock.now = NOON + timedelta(minutes=minutes)
        publishing.run.run()
        sizes.append(server.sequencer.published().size // (2 * len(FORMS)))
    assert heads == ["12:00", "13:00", "14:00"]
    assert sizes == [1, 1, 1, 2, 2, 2, 3]


def test_the_worker_asks_for_it_well_within_the_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: dict[str, float] = {}
    monkeypatch.setattr(operator, "_work", lambda home, queues, every, relays: rung.update(every))
    monkeypatch.setenv("TRELLIS_HOME", str(tmp_path))
    from consortium.jobs import celery

    celery.process.cache_clear()
    assert operator.worker.callback is not None
    operator.worker.callback(tmp_path)
    celery.process.cache_clear()
    assert rung == {"publish": 60.0, "broom": 3600.0, "match": 86400.0, "refresh": 1200.0}
    assert set(rung) <= set(QUEUES)


@pytest.mark.parametrize("task", [publishing.run, publishing.refresh], ids=["publish", "refresh"])
def test_a_worker_whose_log_has_stopped_ends_and_status_says_why_until_it_is_written_again(
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    task: Any,
) -> None:
    class Sick(Disk):
        def sync(self, path: Path) -> None:
            raise OSError(5, "Input/output error", str(path))

    lock = SqlLock(server.units, "here-1")
    well = Sequencer(server.backend, lock, LOG, POLICY, trusting(), lock)
    sick = Sequencer(server.backend, lock, LOG, POLICY, trusting(), lock)
    server.sign_agreement(["union"])
    publish.publish(server.units, well, server.clock)
    monkeypatch.setattr(server.backend, "_disk", Sick())
    here = SimpleNamespace(
        settings=SimpleNamespace(hold_seconds=0),
        units=server.units,
        sequencer=sick,
        clock=server.clock,
        cover=None,
        asker=SimpleNamespace(missing=[]),
        operator_pen=pen("operator", bytes(32)),
    )
    monkeypatch.setattr(publishing, "process", lambda: here)
    monkeypatch.setattr(state, "should_stop", None)
    monkeypatch.setattr(working, "_ended", [])
    server.sign_agreement(["parks"])
    task.run()
    assert state.should_stop == working.ENDED
    said = server.units.read("halted", halted.halted)
    assert "could not be made durable (Input/output error)" in said
    assert "Start the worker again" in said
    assert said in capsys.readouterr().out
    monkeypatch.setattr(server.backend, "_disk", Disk())
    task.run()
    assert "has stopped" in server.units.read("halted", halted.halted), "not by itself"
    here.sequencer = well
    task.run()
    assert server.units.read("halted", halted.halted) == ""

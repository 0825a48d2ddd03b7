"""Mail machine and worker, each in a process that may be killed at any instant, at a real server.

Its letters, seals and outbox are those of ``tests.fakes.post``; its clock goes as fast as the real
one, from the morning of those tests on. Children are forked from a process that has imported
everything, so that one costs no second.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from consortium import places
from consortium.service import enter, hand_over, publish, send, settle
from consortium.store import log
from consortium.store.errors import Busy, LeaseLost
from consortium.store.log import SqlLock
from consortium.store.unit import Unit, Units, engine
from consortium.wiring import pen
from mailer import pace
from mailer.postfix import PostfixLog
from mailer.smtp import Server as Mta
from mailer.smtp import SmtpTransport
from provenance.sequencer import Sequencer
from tests.fakes import server as fake_server
from tests.fakes.actors import LOG, POLICY, private, trusting
from tests.fakes.post import MORNING, Post

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([__name__])
OPERATOR = pen("operator", private("operator").private_bytes_raw())


@dataclass(frozen=True, slots=True)
class Place:
    """What a mail machine needs to know.

    Args:
        began: the real instant that was the tests' morning.
        log: Postfix's, or a ``.sessions``; None: the server has none, and a person decides.
    """

    url: str
    folder: Path
    port: int
    began: datetime
    log: Path | None = None
    timeout: float = 10.0
    per_second: float = 1000.0

    def clock(self) -> datetime:
        """Now, as this office sees it."""
        return MORNING + (datetime.now(UTC) - self.began)


class ShiftedLog:
    """Postfix's log, asked by the office's clock; seconds where a real office waits for minutes."""

    def __init__(self, place: Place) -> None:
        assert place.log is not None
        here = datetime.now().astimezone().tzinfo
        short = timedelta(seconds=2)
        self._log = PostfixLog(place.log, zone=here, skew=short, quiet=short)
        self._shift = place.began - MORNING
        self._server, self._knocked = Mta("127.0.0.1", place.port, tls="off", timeout=5), 0.0

    def accepted(self, verp: str) -> str | None:
        return self._log.accepted(verp)

    def begun(self, message_id: str, since: datetime) -> bool:
        return self._log.begun(message_id, since + self._shift)

    def complete_since(self, at: datetime) -> bool:
        try:
            whole = self._log.complete_since(at + self._shift) and self._nobody_is_there()
        except OSError:
            return False
        if not whole and time.monotonic() > self._knocked + 0.5:
            SmtpTransport(self._server).knock()
            self._knocked = time.monotonic()
        return whole

    def _nobody_is_there(self) -> bool:
        """Whether every session has ended: where a real office waits, so that a busy machine may
        take its time."""
        text = self._log.path.read_text()
        since = text[text.rfind("daemon started") :]
        return since.count("]: connect from") == since.count("]: disconnect from")


class SessionLog:
    """The log of ``tests.crash.test_faulty_server``: what it took, and which sessions are open."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def _lines(self) -> list[list[str]]:
        return [line.split() for line in self._path.read_text().splitlines()]

    def accepted(self, verp: str) -> str | None:
        return next(
            (id for what, id, *of in self._lines() if what == "took" and of == [verp]), None
        )

    def begun(self, message_id: str, since: datetime) -> bool:
        return False

    def complete_since(self, at: datetime) -> bool:
        said = [what for what, *_ in self._lines()]
        return said.count("began") == said.count("ended")


def post_of(place: Place, name: str, units: Units, **more: Any) -> tuple[Post, send.PostOffice]:
    """A post office at a place, whose earlier offices are known to be dead."""
    server = fake_server.Server(place.folder, units, place.clock, planted=True)  # type: ignore[arg-type]
    post = Post(server, place.folder, planted=True)
    mta = Mta("127.0.0.1", place.port, tls="off", timeout=place.timeout)
    doubts: SessionLog | ShiftedLog | None = None
    if place.log is not None:
        doubts = SessionLog(place.log) if place.log.suffix == ".sessions" else ShiftedLog(place)
    whole = {
        "transport": lambda: SmtpTransport(mta),
        "doubts": doubts,
        "dead": places.succeed(place.folder / "mailer.lock", name),
        "settled_after": timedelta(seconds=0.5),
        "per_second": place.per_second,
        "sleep": time.sleep,
    }
    return post, post.new_office(name, **{**whole, **more})


def work(place: Place, name: str) -> None:
    """Send what is due, again and again, until killed."""
    settle.LOOK_AGAIN = timedelta(seconds=1)
    pace.BASE_REST = pace.LONGEST_REST = timedelta(seconds=0.3)
    hand_over.RETRY_AFTER = hand_over.SERVER_RESTS = timedelta(seconds=0.3)
    made = engine(place.url)
    _, office = post_of(place, name, Units(made, place.clock))
    while True:
        for id in send.due(office):
            with suppress(LeaseLost, Busy):  # as the mail machine's turn goes on after them
                send.send(office, id, seconds=5)
        time.sleep(0.05)


def publish_on(place: Place, name: str) -> None:
    """Write the log, as the operator's worker does, again and again, until killed.

    It says something at each turn, so that there is always an entry under way.
    """
    units = Units(engine(place.url), place.clock)
    server = fake_server.Server(place.folder, units, place.clock, planted=True)  # type: ignore[arg-type]
    lock = SqlLock(units, name, dead=places.succeed(place.folder / "worker.lock", name))
    sequencer = Sequencer(server.backend, lock, LOG, POLICY, trusting(), lock)
    sequencer.recover()
    while True:
        with suppress(Busy):
            units.run("say", _say)
            publish.publish(units, sequencer, place.clock)
        time.sleep(0.2)


def _say(unit: Unit) -> None:
    """One more head of the ledger, as far as the log is concerned."""
    said = len(log.of_kind(unit, "ledger", OPERATOR.actor))
    facts = {"kind": "head", "race": fake_server.RACE, "head": f"{said:064x}", "spent": said}
    enter.write(unit, OPERATOR, "ledger", facts, now=unit.now)


def start(place: Place, name: str) -> BaseProcess:
    """Start a mail machine; ``kill`` ends it."""
    return _start(work, place, name)


def start_worker(place: Place, name: str) -> BaseProcess:
    """Start a worker that writes the log of this place; ``kill`` ends it."""
    return _start(publish_on, place, name)


def _start(what: Callable[[Place, str], None], place: Place, name: str) -> BaseProcess:
    child = _context.Process(target=what, args=(place, name), daemon=True)
    child.start()
    return child


def kill(child: BaseProcess) -> None:
    """SIGKILL, and wait until it is gone."""
    child.kill()
    child.join()

"""Rings for committed outbox rows, at least once; and a beat, in case a ring was lost."""

import threading
import time
from collections.abc import Callable, Mapping

from consortium.jobs.celery import QUEUES, app, process
from consortium.store import rings
from consortium.store.unit import Unit

POLL_SECONDS = 0.3
AT_ONCE = 100


def ring_once() -> int:
    """Ring for every committed row that has not been rung for. Returns how many."""
    units, clock = process().units, process().clock
    waiting = units.read("rings", lambda unit: rings.waiting(unit, AT_ONCE))
    for ring in waiting:
        app.send_task(ring.task, kwargs=ring.payload, queue=QUEUES[ring.task])
    if waiting:
        # Rung, then noted: a crash in between rings twice, which is harmless.
        def note(unit: Unit) -> None:
            rings.rung(unit, [ring.seq for ring in waiting], clock())

        units.run("rung", note)
    return len(waiting)


class Beat:
    """Rings tasks of this process from time to time, never piling up unanswered rings."""

    def __init__(self, every: Mapping[str, float], *, relay: bool) -> None:
        self._every = dict(every)
        self._relay = relay
        self._last: dict[str, float] = {}
        self._answered: set[str] = set(every)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="beat", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def answered(self, task: str) -> None:
        """The task ran: the next beat may ring again."""
        self._answered.add(task)

    def _run(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            try:
                if self._relay:
                    ring_once()
                self._beat(time.monotonic)
            except Exception as error:
                print(f"beat: {type(error).__name__}, trying again", flush=True)  # noqa: T201
                self._stop.wait(1.0)

    def _beat(self, now: Callable[[], float]) -> None:
        for task, seconds in self._every.items():
            lost = now() - self._last.get(task, float("-inf")) > max(30.0, 10 * seconds)
            rested = now() - self._last.get(task, float("-inf")) >= seconds
            if rested and (task in self._answered or lost):
                self._answered.discard(task)
                self._last[task] = now()
                app.send_task(task, queue=QUEUES[task])


beats: list[Beat] = []


def answered(task: str) -> None:
    """Tell this process's beats that a task ran."""
    for beat in beats:
        beat.answered(task)

"""Runs a worker for some queues until it is asked to end, and says how it ended."""

from collections.abc import Mapping
from typing import Any

from celery.signals import worker_init
from celery.worker import state

from consortium.jobs import relay
from consortium.jobs.celery import app

ENDED = 3
"""What a worker ends with that a task wanted to end."""
_ended: list[str] = []


def end(why: str) -> None:
    """Have this worker end after the task in hand, and not as one that was asked to."""
    print(why, flush=True)  # noqa: T201
    _ended.append(why)
    state.should_stop = ENDED


def work(queues: str, every: Mapping[str, float], *, relays: bool) -> int:
    """Work until a signal comes.

    Celery hands its own exit code to nobody, so a worker that met a fault looked like one that was
    asked to end, and whatever restarts processes left it so.

    Args:
        every: seconds between two rings of a task.
        relays: whether this process rings for what others committed.

    Returns:
        What the process ends with: 0 only when it was asked to end, and ended well.
    """
    beat = relay.Beat(every, relay=relays)
    relay.beats.append(beat)
    beat.start()
    begun: list[Any] = []

    def remember(sender: Any, **_: object) -> None:
        begun.append(sender)

    worker_init.connect(remember)
    app.worker_main(
        [
            "worker",
            "--pool=solo",
            f"--queues={queues}",
            "--loglevel=WARNING",
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
            f"--hostname={queues.replace(',', '-')}@trellis",
        ]
    )
    asked = not _ended and any(
        flag is not None for flag in (state.should_stop, state.should_terminate)
    )
    code = begun[-1].exitcode if begun else None
    if asked and not code:
        return 0
    why = "was asked to end" if asked else "ended, and nobody had asked it to"
    words = f"{queues}: the worker {why} (code {code}); what it met is above"
    print(words, flush=True)  # noqa: T201
    return int(code or 1)

"""Sequence pending entries; gather cosignatures."""

import contextlib
from collections.abc import Iterator
from datetime import timedelta

from consortium.jobs import relay, working
from consortium.jobs.celery import app, process
from consortium.service import absence, anchor, halted, leave, publish
from provenance.backend import SyncFailed
from provenance.errors import LockLost, QuorumRefused, RecoveryRefused, Stopped

REFRESH_SECONDS = 1200.0
"""Custodians want a checkpoint cosigned within the hour, however seldom the log is published."""

LOOK_SECONDS = 60.0
"""How soon an interval's end is noticed, and that a witness is back."""


def every(seconds: float, cover: int) -> float:
    """Seconds between two calls of ``publish``; with cover it finds itself what is due."""
    return min(seconds, LOOK_SECONDS) if cover else seconds


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """End this worker once the log's writer has stopped: only a new process may look again."""
    try:
        yield
    except (LockLost, RecoveryRefused, Stopped, SyncFailed) as why:
        working.end(f"publishing: {why}")
        with contextlib.suppress(Exception):  # the database may be what failed
            halted.note(process().units, str(why))
    except QuorumRefused as why:  # after a start, while witnesses are away: asked again
        print(f"publishing: {why}", flush=True)  # noqa: T201
        halted.note(process().units, str(why))
    else:
        halted.note(process().units, "")


@app.task(name="publish")  # type: ignore[untyped-decorator]
def run() -> None:
    """Publish what is pending. Delivered at least once; publishing is repeatable."""
    here = process()
    now = here.clock()
    with writing():
        if here.units.read("publish-due", lambda unit: publish.due(unit, here.cover, now)):
            # Once an interval: more heads than that would tell how often somebody looked.
            here.units.run("anchor", lambda unit: anchor.anchor(unit, here.operator_pen, now=now))
            here.units.run(
                "leave", lambda unit: leave.leave(unit, here.operator_pen, here.cover, now=now)
            )
        hold = timedelta(seconds=here.settings.hold_seconds)
        publish.publish(here.units, here.sequencer, here.clock, here.cover, hold)
        absence.note(here.units, here.sequencer, here.asker.missing, now)
    relay.answered("publish")


@app.task(name="refresh")  # type: ignore[untyped-decorator]
def refresh() -> None:
    """Have the published head cosigned anew; nothing that is pending gets in. Repeatable."""
    here = process()
    with writing():
        publish.refresh(here.sequencer, here.clock)
        absence.note(here.units, here.sequencer, here.asker.missing, here.clock())
    relay.answered("refresh")

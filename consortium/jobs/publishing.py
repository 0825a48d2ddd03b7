"""Sequence pending entries; gather cosignatures."""

from consortium.jobs import relay
from consortium.jobs.celery import app, process
from consortium.service import anchor, publish

REFRESH_SECONDS = 1200.0
"""Custodians want a checkpoint cosigned within the hour, however seldom the log is published."""


@app.task(name="publish")  # type: ignore[untyped-decorator]
def run() -> None:
    """Publish what is pending. Delivered at least once; publishing is repeatable."""
    here = process()
    here.units.run("anchor", lambda unit: anchor.anchor(unit, here.operator_pen, now=here.clock()))
    publish.publish(here.units, here.sequencer, here.clock)
    relay.answered("publish")


@app.task(name="refresh")  # type: ignore[untyped-decorator]
def refresh() -> None:
    """Have the published head cosigned anew; nothing that is pending gets in. Repeatable."""
    here = process()
    publish.refresh(here.sequencer, here.clock)
    relay.answered("refresh")

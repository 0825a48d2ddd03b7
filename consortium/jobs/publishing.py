"""Sequence pending entries; gather cosignatures."""

import time

from consortium.jobs import relay
from consortium.jobs.celery import app, process
from consortium.service import anchor, publish

REFRESH_SECONDS = 1200.0
"""Custodians want a checkpoint cosigned within the hour; ask again well before."""

_refreshed = [float("-inf")]


@app.task(name="publish")  # type: ignore[untyped-decorator]
def run() -> None:
    """Publish what is pending. Delivered at least once; publishing is repeatable."""
    here = process()
    here.units.run("anchor", lambda unit: anchor.anchor(unit, here.operator_pen, now=here.clock()))
    old = time.monotonic() - _refreshed[0] > REFRESH_SECONDS
    publish.publish(here.units, here.sequencer, here.clock, refresh=old)
    if old:
        _refreshed[0] = time.monotonic()
    relay.answered("publish")

"""The log's withdrawals: one batch of labels an interval, whether or not anybody leaves."""

from datetime import datetime

from consortium.service import enter
from consortium.service.cover import Cover
from consortium.store import leaving
from consortium.store.unit import Unit
from provenance.withdrawn import BATCH, mix


def leave(unit: Unit, pen: enter.Pen, cover: Cover | None, *, now: datetime) -> str | None:
    """Promise the entry of the next batch: once an interval, or where none are, when one waits.

    It waits like everything that is said in an interval, so that it appears in the next.

    Returns:
        The leaf hash in hex, or None when none is due.
    """
    last, until = leaving.newest(unit), None if cover is None else cover.until(now)
    waiting = leaving.waiting(unit, BATCH)
    if not waiting if until is None else last is not None and last.until == until:
        return None
    state = leaving.state(unit)
    batch, _ = mix(waiting, state, pen.salt)
    after = state.after(batch)
    leaf = enter.write(unit, pen, "withdrawal", after.facts(batch), now=now)
    new = leaving.LeftBatch(after.number, leaf, until)
    leaving.left(unit, new, batch.labels, waited=waiting)
    return leaf

"""Letters to a domain that asked for fewer wait; those to every other domain go on.

Which domain a letter goes to is known only once its row was opened. It is kept in the mailer's
memory alone: no row, no log and no word on a page tells it, or which letters share it.
"""

from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta

from consortium.service.claim import Opened
from consortium.service.post_office import PostOffice, Run
from consortium.store.deliveries import Delivery
from mailer import pace
from mailer.seal import Payload
from mailer.transports import Deferred, Outcome, Sent

MOST_HELD = 10_000
"""Letters that are remembered as waiting; beyond them the whole campaign waits for the first."""
WORTH = timedelta(seconds=2)
"""A domain that is due sooner is waited for; one that is due later is passed by."""
SLOWED = "mail hosts that asked for fewer letters; the others go on"


def held(office: PostOffice, campaign: str, now: datetime) -> list[str]:
    """Letters whose domain rests; those that are due again are forgotten here."""
    waits = office.held.setdefault(campaign, {})
    for id in [id for id, until in waits.items() if until <= now]:
        del waits[id]
    return list(waits)


def full(office: PostOffice, campaign: str) -> bool:
    """Whether so many letters wait that no more are opened to find others."""
    return len(office.held.get(campaign, ())) >= MOST_HELD


def pass_by(run: Run, opened: Sequence[Opened]) -> list[Opened]:
    """Of opened letters those that may go now; the others are remembered, and not claimed."""
    return [one for one in opened if not _waits(run, one[0], one[1])]


def next_due(
    run: Run, waiting: deque[tuple[Delivery, Payload]]
) -> tuple[float, tuple[Delivery, Payload]]:
    """Take the claimed letter whose domain is due first, and in how many seconds it is."""
    office = run.office
    now = office.clock()
    if office.lanes.due(waiting[0][1].email, now) > now:
        best = min(range(len(waiting)), key=lambda n: office.lanes.due(waiting[n][1].email, now))
        waiting.rotate(-best)
    first = waiting.popleft()
    return (office.lanes.due(first[1].email, now) - now).total_seconds(), first


def heard(run: Run, payload: Payload, outcome: Outcome) -> bool:
    """Learn from what became of a letter how fast its domain takes more; whether it slowed."""
    lanes, now = run.office.lanes, run.office.clock()
    lanes.left(payload.email, now)
    if isinstance(outcome, Sent):
        lanes.taken(payload.email, now)
    if isinstance(outcome, Deferred) and pace.slows(outcome.code, outcome.enhanced):
        lanes.slow(payload.email, now)
        return True
    return False


def to_rest(
    run: Run, waiting: deque[tuple[Delivery, Payload]]
) -> tuple[list[tuple[Delivery, Payload]], deque[tuple[Delivery, Payload]]]:
    """Part claimed letters into those whose domain rests, and those that go on."""
    resting = [one for one in waiting if _waits(run, *one)]
    names = {item.id for item, _ in resting}
    return resting, deque(one for one in waiting if one[0].id not in names)


def _waits(run: Run, item: Delivery, payload: Payload) -> bool:
    now = run.office.clock()
    due = run.office.lanes.due(payload.email, now)
    if due - now <= WORTH:
        return False
    run.office.held.setdefault(run.one.id, {})[item.id] = due
    return True

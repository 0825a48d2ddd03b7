"""How long a campaign seems to take, and how far it seems to be: by nothing that depends on a list.

The time comes from the noised size and the pace. Where few letters a day may leave, because a
volunteer set a limit or a domain is new to receivers, the day of the last letter would tell how
many there were, and whoever sets the limit could choose how exactly: such a campaign takes its
whole window. Progress is by the clock alone: a share of the letters that left, looked at while a
campaign is held, would tell how many there are.
"""

import math
from datetime import datetime, timedelta

from consortium.service import warm
from consortium.service.post_office import PostOffice
from consortium.store import begun, campaigns, written_to
from consortium.store.begun import Begun
from consortium.store.unit import Unit
from policies import disclosure
from policies.agreement import Agreement


def begin(
    office: PostOffice, unit: Unit, one: campaigns.Campaign, terms: Agreement, *, limited: bool
) -> str:
    """Note that a campaign begins to send. Returns what it says to wait for, often nothing.

    Args:
        limited: whether anybody who may sign set a limit for each day.
    """
    now = office.clock()
    why = warm.words(terms, warm.cold(office, unit, terms, one, now)) or (
        begun.LIMITED if limited else ""
    )
    begun.note(unit, one.id, Begun(now, why[:200]))
    return why[:200]


def waits(unit: Unit, campaign: str) -> str:
    """Why a campaign takes its whole window, or nothing."""
    known = begun.get(unit, campaign)
    return "" if known is None else known.slow


def lasts(office: PostOffice, one: campaigns.Campaign) -> timedelta:
    """How long sending takes: a function of the noised size and the pace alone."""
    return disclosure.duration(one.estimate or 0, office.per_second)


def progress(office: PostOffice, unit: Unit, one: campaigns.Campaign) -> int:
    """Per cent of the time that a campaign takes, in fixed steps; 100 only when it has closed."""
    start, whole = _span(office, unit, one)
    noisy = one.estimate or 0
    passed = max(0.0, (office.clock() - start) / whole)
    return disclosure.progress(int(noisy * min(1.0, passed)), noisy)


def ends(office: PostOffice, unit: Unit, one: campaigns.Campaign) -> datetime:
    """When a campaign of which nothing is left may close.

    At whole multiples of its time after its beginning, so that neither a slow mail server nor the
    exact number of letters shows in the hour of its end.
    """
    start, whole = _span(office, unit, one)
    _, ended = written_to.span(unit, one.id)
    taken = (ended or start) - start
    return start + max(1, math.ceil(taken / whole)) * whole


def _span(office: PostOffice, unit: Unit, one: campaigns.Campaign) -> tuple[datetime, timedelta]:
    """A campaign's beginning, and how long it takes from there."""
    known = begun.get(unit, one.id)
    if known is None:  # it began before this was kept
        first, _ = written_to.span(unit, one.id)
        return first or one.scheduled or office.clock(), lasts(office, one)
    if not known.slow:
        return known.at, lasts(office, one)
    assert one.manifest is not None
    closes = datetime.fromisoformat(one.manifest["window"]["closes"].replace("Z", "+00:00"))
    return known.at, max(closes - known.at, timedelta(seconds=1))

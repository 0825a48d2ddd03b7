"""A sending domain that receivers do not know yet sends little at first, and more each day.

Counted over all campaigns, by the calendar of the race's time zone, and kept durably: a mailer
that was killed, or another one, goes on with the same day's rest.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime

from consortium.service.post_office import PostOffice
from consortium.store import begun, campaigns, sent_days
from consortium.store.unit import Unit
from mailer import pace
from mailer.transports import Deferred, Failed, Outcome
from policies import caps
from policies.agreement import Agreement

EXPECTED = 1.25
"""Letters a day that must be allowed for each that is expected, or a campaign takes longer."""
BEGUN = ("sending", "paused", "stopped", "closed")


def room(
    office: PostOffice, unit: Unit, terms: Agreement, partner: str, now: datetime
) -> int | None:
    """How many more letters may leave from a partner's domain today; None: any number."""
    if not office.first_day:
        return None
    day = caps.local_day(terms, now)
    history = sent_days.history(unit, terms.party(partner).domain)
    allowed = pace.allowance(history, day, office.first_day)
    return None if allowed is None else max(0, allowed - history.get(day, 0))


def used_up(
    office: PostOffice, unit: Unit, terms: Agreement, partners: Sequence[str], now: datetime
) -> list[str]:
    """Partners whose domains have sent what they may today."""
    return [one for one in partners if room(office, unit, terms, one, now) == 0]


def count(
    office: PostOffice, unit: Unit, terms: Agreement, partner: str, outcome: Outcome, now: datetime
) -> None:
    """Count a letter that a receiver was asked to take, whatever it said."""
    unsaid = isinstance(outcome, Deferred | Failed) and outcome.stage in ("connect", "mail")
    if office.first_day and not unsaid:
        sent_days.add(unit, terms.party(partner).domain, caps.local_day(terms, now))


def cold(
    office: PostOffice, unit: Unit, terms: Agreement, one: campaigns.Campaign, now: datetime
) -> list[str]:
    """Partners whose domains are so new to receivers that a campaign may not leave in one day.

    By the noised sizes of all that began today: how many letters really left shows in none of it.
    """
    if not office.first_day:
        return []
    day = caps.local_day(terms, now)
    expected = _expected(unit, terms, one, day)
    found = []
    for partner in sorted((one.manifest or {}).get("sources", ())):
        history = sent_days.history(unit, terms.party(partner).domain)
        allowed = pace.allowance(history, day, office.first_day)
        if allowed is not None and allowed < EXPECTED * expected[partner]:
            found.append(partner)
    return found


def _expected(
    unit: Unit, terms: Agreement, one: campaigns.Campaign, day: date
) -> Mapping[str, float]:
    """Letters that each partner's domain may have to send today, all of them from it at worst."""
    found: dict[str, float] = defaultdict(float)
    for each in [one, *campaigns.listed(unit, states=BEGUN)]:
        known = begun.get(unit, each.id)
        today = known is not None and caps.local_day(terms, known.at) == day
        slowly = known is not None and known.slow and each.state in ("sending", "paused")
        size = float(each.estimate or 0) if today or each.id == one.id else 0.0
        for partner in (each.manifest or {}).get("sources", ()):
            found[partner] += math.inf if slowly and each.id != one.id else size
    return found


def words(terms: Agreement, partners: Sequence[str]) -> str:
    """What a campaign from such domains says to wait for; on which day one was full is not said."""
    if not partners:
        return ""
    domains = ", ".join(terms.party(one).domain for one in partners)
    verb = "is" if len(partners) == 1 else "are"
    return f"{domains} {verb} new to receivers: letters leave all through its window"

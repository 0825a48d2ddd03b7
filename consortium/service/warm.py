"""A sending domain that receivers do not know yet sends little at first, and more each day.

Counted over all campaigns, by the calendar of the race's time zone, and kept durably: a mailer
that was killed, or another one, goes on with the same day's rest.
"""

from collections.abc import Sequence
from datetime import datetime

from consortium.service.post_office import PostOffice
from consortium.store import sent_days
from consortium.store.unit import Unit
from mailer import pace
from mailer.transports import Deferred, Failed, Outcome
from policies import caps
from policies.agreement import Agreement


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


def words(terms: Agreement, partners: Sequence[str]) -> list[str]:
    """What a campaign waits for, for a page."""
    return [
        f"tomorrow: {terms.party(one).domain} is new to receivers, and sent what it may today"
        for one in partners
    ]

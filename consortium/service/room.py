"""Whether those who sign have room for a campaign: by their limits, its days and its noised size.

Nothing of it is of a list. The noised size is charged when a campaign is submitted, so the warning
comes with it.
"""

from datetime import timedelta

from consortium.service import draft, keep_free, lend
from consortium.service.assign import SLACK
from consortium.store import campaigns, messengers
from consortium.store.unit import Unit
from mailer.findings import Finding
from policies import caps
from policies.agreement import Agreement

POINT = "Room"


def finding(unit: Unit, one: campaigns.Campaign, terms: Agreement) -> list[Finding]:
    """A warning when limits leave no room; nothing where somebody who signs has none."""
    named = (messengers.named(unit, one.race, s["name"], s["place"]) for s in lend.signers(one))
    known = [each for each in named if each is not None and each.confirmed]
    if one.estimate is None or not known or not all(each.daily for each in known):
        return []
    days = _days(unit, one, terms)
    room = int(SLACK * sum(each.daily for each in known) * days)
    if room >= one.estimate:
        return [Finding(POINT, "green", "Those who sign have room for about all of it.")]
    return [
        Finding(
            POINT,
            "yellow",
            f"Those who sign have room for about {room:,} letters in {days} days; it is larger.",
            "Ask more volunteers, ask them for a higher limit, or choose a longer window: what "
            "has not left when the window closes never does.",
        )
    ]


def _days(unit: Unit, one: campaigns.Campaign, terms: Agreement) -> int:
    """Days of its window on which letters may leave."""
    ends = [draft.moment(one.template["window"], name) for name in ("opens", "closes")]
    first, last = (caps.local_day(terms, at) for at in ends)
    closed = keep_free.days(unit, one.race) | set(terms.blackout)
    span = range(max(0, (last - first).days) + 1)
    return sum(first + timedelta(days=n) not in closed for n in span)

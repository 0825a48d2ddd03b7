"""Links in letters end some time after the polls; then the outbox forgets whom it wrote to.

Stops are kept by themselves and stay. Who has an old letter in hand can still type their address.
"""

from datetime import datetime, timedelta

from consortium.service import agree
from consortium.store import deliveries, races
from consortium.store.unit import Unit, Units

LEAST = timedelta(days=60)
"""After the race's end, whatever it agreed.

Source: 15 U.S.C. 7704(a)(3)(A)(ii): a way to opt out works for 30 days after the message at least.
"""


def links_end(unit: Unit, race: str) -> datetime:
    """When the links of a race's letters end."""
    terms = agree.terms(unit, race)
    return terms.closes + max(LEAST, timedelta(days=terms.retention_days))


def forget(units: Units, now: datetime) -> int:
    """Take stop keys and links out of the race's letters once these end. Repeatable.

    Returns:
        How many letters were made to forget.
    """
    race = units.read("race", lambda unit: races.first(unit).id)
    if now < units.read("links-end", lambda unit: links_end(unit, race)):
        return 0
    done = 0
    while part := units.run("forget", lambda unit: deliveries.forget_addresses(unit, race)):
        done += part
    return done

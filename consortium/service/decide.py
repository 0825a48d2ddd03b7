"""A person decides what no machine can: whether a letter in doubt was taken."""

from consortium.service.errors import WrongState
from consortium.store import campaigns, deliveries
from consortium.store.deliveries import Delivery
from consortium.store.unit import Unit


def doubts(unit: Unit, campaign: str | None) -> list[Delivery]:
    """Letters in doubt, of one campaign or of all; they name nobody."""
    ids = [campaign] if campaign else [one.id for one in campaigns.listed(unit)]
    return [one for id in ids for one in deliveries.in_state(unit, id, ("in_doubt",))]


def decide(unit: Unit, letter: str, sent: bool) -> None:
    """Settle one letter. A letter decided to be unsent may leave again while its window is open.

    The mailer drops it instead when its campaign is over.

    Raises:
        WrongState: it is not in doubt.
    """
    one = deliveries.get(unit, letter)
    if one.state != "in_doubt":
        raise WrongState("this letter is not in doubt")
    deliveries.settle(
        unit,
        letter,
        fence=one.fence,
        state="sent" if sent else "pending",
        outcome="decided by a person",
        queue_id=None,
        now=unit.now,
    )

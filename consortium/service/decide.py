"""A person decides what no machine can, whether letters in doubt were taken; the log keeps it."""

import hashlib
from collections.abc import Iterable, Sequence

from consortium.service import enter
from consortium.service.errors import WrongState
from consortium.store import campaigns, deliveries
from consortium.store.deliveries import Delivery
from consortium.store.unit import Unit

LOOKED = ("mail-log", "provider", "mailbox", "nowhere")
"""Where whoever decides has looked; a choice, so that no words about a person get into the log."""


def doubts(unit: Unit, campaign: str | None) -> list[Delivery]:
    """Letters in doubt, of one campaign or of all; they name nobody."""
    ids = [campaign] if campaign else [one.id for one in campaigns.listed(unit)]
    return [one for id in ids for one in deliveries.in_state(unit, id, ("in_doubt",))]


def decide(
    unit: Unit, pen: enter.Pen, letters: Sequence[str], *, sent: bool, by: str, looked: str
) -> str:
    """Settle letters of one campaign, all of them alike, and promise the log that somebody did.

    One entry for all of them, so that its length tells nothing. It commits to how many there are
    and to their ids: whoever holds the outbox can show which. A letter decided to be unsent may
    leave again while its window is open; the mailer drops it when its campaign is over.

    Args:
        letters: their ids.
        by: who decides, by name; stands in the entry's openings, which the operator keeps.
        looked: one of ``LOOKED``.

    Returns:
        The leaf hash, in hex, of the decision's entry.

    Raises:
        WrongState: one of them is not in doubt, they are of several campaigns, or nobody stands
            by the decision.
        Missing: one of them is no letter.
    """
    if not by.strip() or "@" in by or looked not in LOOKED:
        raise WrongState(
            "a decision needs somebody's name, without an address, and where they looked"
        )
    found = [deliveries.get(unit, id) for id in dict.fromkeys(letters)]
    if not found or any(one.state != "in_doubt" for one in found):
        raise WrongState("this letter is not in doubt")
    if len({one.campaign for one in found}) > 1:
        raise WrongState("these letters are of several campaigns: decide about each by itself")
    for one in found:
        deliveries.settle(
            unit,
            one.id,
            fence=one.fence,
            state="sent" if sent else "pending",
            outcome="decided by a person",
            queue_id=None,
            now=unit.now,
        )
    facts = {
        "kind": "decided",
        "campaign": found[0].campaign,
        "letters": len(found),
        "digest": digest(one.id for one in found),
        "was": "sent" if sent else "not-sent",
        "looked": looked,
        "by": by.strip(),
    }
    return enter.write(unit, pen, "sent", facts, now=unit.now)


def digest(letters: Iterable[str]) -> str:
    """SHA-256, in hex, over ids of letters in ascending order, a line feed after each."""
    whole = "".join(f"{id}\n" for id in sorted(letters))
    return hashlib.sha256(whole.encode()).hexdigest()

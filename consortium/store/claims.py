"""How often letters of a campaign were claimed; it only grows, so a database put back shows."""

import hashlib

from consortium.store import texts
from consortium.store.errors import Missing
from consortium.store.unit import Unit


def mark(campaign: str) -> str:
    """A campaign's name for this: 32 letters that are safe in the name of a file."""
    return hashlib.sha256(campaign.encode()).hexdigest()[:32]


def turns(unit: Unit, mark: str) -> int:
    """How often letters of a campaign, by its mark, were claimed, some at a time."""
    try:
        return int(texts.get(unit, f"clm:{mark}"))
    except Missing:
        return 0


def again(unit: Unit, mark: str) -> int:
    """Letters are claimed once more; how often that is now."""
    now_is = turns(unit, mark) + 1
    texts.put(unit, f"clm:{mark}", str(now_is))
    return now_is

"""When campaigns began to send, and which of them limits slow down; nothing of it is of a list."""

import json
from dataclasses import dataclass
from datetime import datetime

from consortium.store import texts
from consortium.store.errors import Missing
from consortium.store.unit import Unit

LIMITED = "some of those who sign set a limit for each day: letters leave all through its window"


@dataclass(frozen=True, slots=True)
class Begun:
    """The beginning of a campaign's sending; ``slow`` says why it takes its whole window, or ""."""

    at: datetime
    slow: str


def note(unit: Unit, campaign: str, new: Begun) -> None:
    """Keep a campaign's beginning."""
    said = {"at": new.at.isoformat(), "slow": new.slow}
    texts.put(unit, _name(campaign), json.dumps(said, sort_keys=True))


def get(unit: Unit, campaign: str) -> Begun | None:
    """A campaign's beginning; None before it, and for one that began before this was kept."""
    try:
        said = json.loads(texts.get(unit, _name(campaign)))
    except Missing:
        return None
    return Begun(datetime.fromisoformat(said["at"]), said["slow"])


def slow_down(unit: Unit, campaign: str, why: str = LIMITED) -> None:
    """Have a campaign that sends already take its whole window: a limit was set meanwhile."""
    known = get(unit, campaign)
    if known is not None and not known.slow:
        note(unit, campaign, Begun(known.at, why))


def _name(campaign: str) -> str:
    return f"beg:{campaign}"

"""A list whose readers stop in unusual numbers is frozen until somebody, by name, lets it go on.

A stop speaks for its person at every address in the race. Mailboxes planted on one list under
other people's names could so silence those people everywhere. Past two in a hundred, then, no
letter leaves from that list, and its stops speak for their addresses alone.
"""

from datetime import datetime

from consortium.service import enter
from consortium.service.errors import WrongState
from consortium.store import contributions, log, suppressions
from consortium.store.unit import Unit

SHARE = 0.02
"""Of a list's rows, as padded: stops above this share freeze it."""
LEAST = 2
"""Stops below this many freeze no list, however short it is."""
WHY = (
    f"more than {100 * SHARE:.0f} in 100 of its addresses stopped or called it spam; no letter"
    " leaves from it, and those stops count for their addresses alone"
)


def frozen(unit: Unit, race: str) -> list[str]:
    """The partners whose list is frozen in a race.

    A refreshed list is the same list: otherwise every upload would begin a new two in a hundred.
    """
    stops = suppressions.stops_by_partner(unit, race)
    many = {partner: number for partner, number in stops.items() if number >= LEAST}
    if not many:
        return []
    forgiven = _forgiven(unit, race)
    fresh = {partner: number - forgiven.get(partner, 0) for partner, number in many.items()}
    return sorted(
        partner
        for partner, number in fresh.items()
        if number >= LEAST and number > SHARE * _rows(unit, partner)
    )


def thaw(
    unit: Unit, pen: enter.Pen, race: str, partner: str, *, by: str, why: str, now: datetime
) -> str:
    """Let a frozen list go on: its stops so far are real, and speak for their people again.

    It freezes anew when as many more come. Letters that were dropped meanwhile stay dropped.

    Args:
        by, why: who decided, and on what grounds; both stand in the entry.

    Returns:
        The leaf hash, in hex, of the decision's entry.

    Raises:
        WrongState: the list is not frozen, or nobody stands by the decision.
    """
    if not by.strip() or not why.strip():
        raise WrongState("a frozen list goes on by somebody's name and for a reason")
    if partner not in frozen(unit, race):
        raise WrongState("this partner's list is not frozen")
    facts = {
        "kind": "thaw",
        "race": race,
        "partner": partner,
        "stops": suppressions.stops_by_partner(unit, race)[partner],
        "by": by.strip(),
        "why": why.strip(),
    }
    return enter.write(unit, pen, "contribution", facts, now=now)


def _forgiven(unit: Unit, race: str) -> dict[str, int]:
    """How many stops of each list the newest decision about it covered."""
    found: dict[str, int] = {}
    for one in log.of_kind(unit, "contribution", "operator"):
        facts = {name: opened["value"] for name, opened in (one.openings or {}).items()}
        if facts.get("kind") == "thaw" and facts.get("race") == race:
            partner = str(facts["partner"])
            found[partner] = max(found.get(partner, 0), int(facts["stops"]))
    return found


def _rows(unit: Unit, partner: str) -> int:
    """The padded size of a partner's list: of its largest upload that is not withdrawn."""
    mine = contributions.listed(unit, partner=partner)
    live = [one for one in mine if one.state != "withdrawn"] or mine
    return max((int(one.header.get("size_class", 0)) for one in live), default=0)

"""What the log says of a race's campaigns is opened to everybody once its polls have closed.

Until then it would be a gift to an opponent. Never opened: whose rows, any count, and what proves
that a row was in an audience.
"""

from datetime import datetime
from typing import Any

from consortium.service import agree, show
from consortium.store import actors, campaigns, log, races
from consortium.store.unit import Unit
from policies.agreement import Agreement
from provenance.backend import Backend
from provenance.evidence import write_file

OPENED = {
    "sign": ("kind", "race", "digest"),
    "approve": ("kind", "campaign", "digest"),
    "attest": ("kind", "campaign", "digest"),
    "send": (
        "kind", "campaign", "race", "digest", "agreement", "sources", "places", "subject",
        "size_class", "opens", "closes",
    ),
}  # fmt: skip
"""By what an entry says: which of its facts are opened."""


def opened(unit: Unit, backend: Backend, *, now: datetime) -> dict[str, Any]:
    """A receipt file of what is opened by now, for everybody; empty before the first polls close.

    Whose browser a partner signed in is told with the signature by which that partner vouches.
    """
    leaves = [
        leaf
        for race in races.everyone(unit)
        if is_open(agree.terms(unit, race.id), now)
        for leaf in _of_race(unit, race.id)
    ]
    found = [
        one.only(*OPENED[str(one.openings["kind"].value)])
        for one in show.evidences(unit, leaves, backend)
    ]
    file = write_file(found, show.policy(unit), show.publics(unit))
    return {**file, "browser_keys": actors.browser_keys(unit) if found else []}


def is_open(terms: Agreement, now: datetime) -> bool:
    """Whether a race's campaigns are everybody's to see."""
    return terms.log_opens == "after_polls" and now >= terms.race.polls_close


def _of_race(unit: Unit, race: str) -> list[str]:
    """Leaves of a race's agreement and of its promised campaigns that the log has."""
    promised = [
        one for one in campaigns.listed(unit) if one.race == race and one.intent_leaf is not None
    ]
    if not promised:
        return []
    wanted = list(races.signatures(unit, race).values())
    for one in promised:
        said = campaigns.approvals(unit, one.id)
        wanted += [each.leaf for each in said if each.kind in OPENED]
        wanted.append(str(one.intent_leaf))
    return [leaf for leaf in wanted if log.promised(unit, leaf)]

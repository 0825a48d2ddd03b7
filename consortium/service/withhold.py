"""Whom the newest voter file withholds gets no letter, though an audience of before holds them.

Who vanished from the file has no row in its slice; who has voted, may not vote, or is protected has
one that tells no place. An audience that is frozen stays as it is, for its root is approved: their
letters are not planned, not opened, not claimed, and do not leave. Nobody is told whose they were.
"""

from collections.abc import Collection

from consortium.service.post_office import PostOffice
from consortium.store import campaigns, contributions, frames
from consortium.store.unit import Unit

WITHHELD = "withheld"


def look(office: PostOffice, one: campaigns.Campaign) -> None:
    """Learn whom the newest slice withholds, before the transactions that need to know.

    Read again only when a newer slice is there.
    """
    newest, files = office.units.read(
        "withhold-look", lambda unit: (contributions.newest_roll(unit), slices(unit))
    )
    if _known(office, one.id)[0] == newest or one.audience_digest is None:
        return
    with office.artefacts.open(one.audience_digest) as path:
        people = {row.roll_row for row in frames.read_audience(path) if row.bundle != frames.BARE}
    told: set[int] = set()
    for digest in files:
        with office.artefacts.open(digest) as path:
            told |= frames.placed(path, sorted(people))
    gone = people - told if files else frozenset[int]()
    office.withheld[one.id] = (newest, frozenset(gone))


def stale(office: PostOffice, unit: Unit, campaign: str) -> bool:
    """Whether a newer slice came than ``look`` has seen: then no letter leaves before it looks."""
    return _known(office, campaign)[0] != contributions.newest_roll(unit)


def withheld(office: PostOffice, campaign: str) -> Collection[int]:
    """The people, by roll row, who get no letter of a campaign."""
    return _known(office, campaign)[1]


def _known(office: PostOffice, campaign: str) -> tuple[str, frozenset[int]]:
    return office.withheld.get(campaign, ("", frozenset()))


def slices(unit: Unit) -> list[str]:
    """Each steward's newest: people's numbers are a steward's own, so one of them tells of each."""
    newest: dict[str, str] = {}
    for roll in contributions.rolls(unit, state="ready"):
        newest.setdefault(roll.steward, roll.attributes_digest)
    return list(newest.values())

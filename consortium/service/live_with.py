"""Who lives with whom, where the agreement counts households: read from the roll, in memory alone.

A cap on a household holds over every campaign of the race, also where it was somebody else of it,
on another list or of another age, who was written to before. No letter says whose household it is
for; the mailer looks it up each time a campaign is sent.
"""

from collections import defaultdict
from collections.abc import Collection

from consortium.service.post_office import PostOffice
from consortium.service.withhold import slices
from consortium.store import campaigns, contributions, frames
from policies.agreement import Agreement


def look(office: PostOffice, one: campaigns.Campaign, terms: Agreement) -> None:
    """Find out with whom the people of an audience live; again only when a newer roll is there."""
    if terms.once != "household" or one.audience_digest is None:
        return
    newest, files = office.units.read(
        "live-with", lambda unit: (contributions.newest_roll(unit), slices(unit))
    )
    if office.mates.get(one.id, ("", {}))[0] == newest:
        return
    with office.artefacts.open(one.audience_digest) as path:
        people = {row.roll_row for row in frames.read_audience(path) if row.bundle != frames.BARE}
    homes: dict[tuple[str, int], list[int]] = defaultdict(list)
    for digest in files:
        with office.artefacts.open(digest) as path:
            for home, person in frames.read_housemates(path, sorted(people)):
                homes[digest, home].append(person)
    mates = {person: tuple(home) for home in homes.values() for person in home}
    office.mates[one.id] = (newest, mates)


def household(office: PostOffice, terms: Agreement, campaign: str, person: int) -> Collection[int]:
    """For whose letters a cap on this person counts: everybody of the household, or they alone."""
    if terms.once != "household":
        return (person,)
    return office.mates.get(campaign, ("", {}))[1].get(person, (person,))

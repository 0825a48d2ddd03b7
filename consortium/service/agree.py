"""Partners sign an agreement for a race."""

from datetime import datetime

from consortium.service.errors import EntryMisfits, NotReady
from consortium.store import actors, epochs, races
from consortium.store.unit import Unit
from policies import agreement, walls
from policies.authorise import Term

FROM_NAME = "{messenger} for {partner}"
"""The one form in which letters name who signs and whose member the reader is."""


def open_race(unit: Unit, document: bytes, epoch: str) -> races.Race:
    """Offer an agreement to its parties; each must be a registered partner with that key.

    Raises:
        AgreementRefused: the document is no agreement.
        Missing, Conflict: a party is not registered, or the race has another agreement.
    """
    terms = agreement.parse(document)
    if terms.approval.rule != "all":
        raise EntryMisfits("approval.rule: this version sends only what all sources approve: all")
    if terms.from_name != FROM_NAME:
        raise EntryMisfits(f"from_name: letters say {FROM_NAME}")
    for party in terms.parties:
        for message_class in terms.message_classes:
            walls.may_carry(terms, party.id, message_class)
        actors.add(unit, actors.Actor(party.id, "partner", party.name, party.public))
    race = races.Race(terms.race.id, terms.race.name, epoch, document, agreement.digest(document))
    races.add(unit, race)
    if not epochs.listed(unit):
        epochs.add(unit, epoch, unit.now)  # later ones are opened by name, each with its keys
    return race


def terms(unit: Unit, race: str) -> agreement.Agreement:
    """The race's agreement, whoever has signed it so far."""
    return agreement.parse(races.get(unit, race).agreement)


def signed_terms(unit: Unit, race: str) -> agreement.Agreement:
    """The race's agreement once every party has signed it.

    Raises:
        NotReady: names the parties whose signature is missing.
    """
    found = terms(unit, race)
    missing = sorted({party.id for party in found.parties} - set(races.signatures(unit, race)))
    if missing:
        raise NotReady(f"not everybody has signed the agreement yet: {', '.join(missing)}")
    return found


def term(unit: Unit, race: str, now: datetime) -> Term:
    """A coordinator's term in this race: from everybody's signature to the close of the polls."""
    found = terms(unit, race)
    everybody = {party.id for party in found.parties} <= set(races.signatures(unit, race))
    return Term(everybody, now, found.race.polls_close)


def parties(unit: Unit, race: str) -> set[str]:
    """Ids of everybody who signs the race's agreement."""
    return {party.id for party in terms(unit, race).parties}

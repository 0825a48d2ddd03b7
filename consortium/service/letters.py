"""All letters of a campaign, by arm, partner, messenger, language and place; each is made once."""

from collections.abc import Mapping
from datetime import datetime

from consortium.service import assign, draft, draw, locate
from consortium.service.post_office import PostOffice
from consortium.store import campaigns
from consortium.store.deliveries import Delivery
from mailer import compose, letter, places
from mailer.places import Place
from mailer.polling import PlaceTable
from mailer.seal import Payload
from policies.agreement import Agreement


class Letters:
    """Writes the letters of one campaign; bodies are equal within each such kind."""

    def __init__(self, office: PostOffice, one: campaigns.Campaign, terms: Agreement) -> None:
        self._office, self._one, self._terms = office, one, terms
        self._arms = draft.variants(terms, one.template)
        self._table: PlaceTable = office.units.read(
            "mail-places", lambda unit: locate.table(unit, one.template.get("facts"))
        )
        self._at: datetime = office.clock().replace(microsecond=0)
        self._slices: dict[tuple[int, str, str, str, frozenset[int]], letter.Slice] = {}

    def ready(self, item: Delivery) -> None:
        """Prepare what a letter needs in any language; raises what would stop it being written."""
        arm = self._arm(item)
        for language in self._arms[arm]:
            self._slice(item, arm, language)

    def write(self, item: Delivery, payload: Payload, recipient: letter.Recipient) -> letter.Letter:
        """Write one letter: of the reader's arm, in their language if it has it, of their place."""
        arm = self._arm(item)
        language = self._language(payload, arm)
        facts = self._table.facts(item.place["precinct"], language)
        facts |= {"precinct": item.place["precinct"], **recipient.facts}
        if "first_name" in self._terms.fields and payload.first_name:
            facts["first_name"] = payload.first_name
        told = letter.Recipient(
            address=recipient.address,
            message_id=recipient.message_id,
            stop_url=recipient.stop_url,
            stop_mailto=recipient.stop_mailto,
            facts=facts,
        )
        return self._slice(item, arm, language).write(told)

    def _arm(self, item: Delivery) -> int:
        return draw.arm(self._office, self._one, self._terms, item)

    def _language(self, payload: Payload, arm: int) -> str:
        spoken = payload.language if "language" in self._terms.fields else ""
        return spoken if spoken in self._arms[arm] else next(iter(self._arms[arm]))

    def _slice(self, item: Delivery, arm: int, language: str) -> letter.Slice:
        made, place = self._arms[arm][language], place_of(item)
        key = (arm, item.partner, item.messenger, language, places.shown(made.places, place))
        if key not in self._slices:
            self._slices[key] = self._prepare(made, item.partner, item.messenger, place)
        return self._slices[key]

    def _prepare(
        self, made: compose.Compiled, partner: str, messenger: str, place: Place
    ) -> letter.Slice:
        """Everything that letters of one such kind share."""
        party, one = self._terms.party(partner), self._one
        signs = self._office.units.read(
            "mail-signs", lambda unit: assign.signs(unit, one, messenger)
        )
        facts = draft.letter_facts(self._terms, one, party, signs, made.language)
        return letter.prepare(
            made,
            sender=draft.sender(one, party, signs),
            common=_used(made, facts),
            campaign=one.id,
            at=self._at,
            signer=self._office.signers.get(partner),
            place=place,
        )


def place_of(item: Delivery) -> Place:
    """Where the reader of a letter votes."""
    return Place(
        item.place.get("precinct", ""),
        item.place.get("zip", ""),
        frozenset(filter(None, item.place.get("districts", "").split("|"))),
    )


def _used(made: compose.Compiled, facts: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in facts.items() if name in made.fields}

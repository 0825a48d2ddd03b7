"""A letter as a made-up reader gets it, in one language and at one place; nobody's row is read."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from consortium.service import agree, choose, draft, locate
from consortium.store import campaigns
from consortium.store.artefacts import Artefacts
from consortium.store.errors import Missing
from consortium.store.unit import Unit
from mailer import compose, versions
from mailer.places import KINDS, Place
from mailer.written import signed
from policies.agreement import Agreement
from policies.authorise import Caller, require
from policies.errors import DefinitionRefused

# A made-up person, for previews only: no real row is ever rendered before it is sent.
MADE_UP = {
    "first_name": "Alex",
    "precinct": "Sample precinct",
    "place_name": "Sampletown",
}
SIGNER = {"name": "Sam Sample", "place": "Sampletown"}
NOWHERE = Place()


def somewhere(unit: Unit, artefacts: Artefacts, kind: str, code: str) -> Place:
    """Where a made-up reader votes; without a code nowhere in particular.

    Args:
        kind: one of ``places.KINDS``.
        code: as the list of places spells it.

    Raises:
        DefinitionRefused: the voter file has no such place.
        NotReady: there is no voter file yet.
    """
    if not code:
        return NOWHERE
    known = choose.catalogue(artefacts, choose.snapshot(unit, []).attributes)
    if kind not in KINDS or code not in known.get(kind, {}):
        raise DefinitionRefused("place", "the voter file here has none spelled so; see the list")
    return Place(
        code if kind == "precinct" else "",
        code if kind == "zip" else "",
        frozenset([code] if kind == "district" else []),
    )


def preview(
    unit: Unit,
    caller: Caller,
    campaign: str,
    public_url: str,
    *,
    artefacts: Artefacts,
    language: str = "",
    at: tuple[str, str] = ("", ""),
    arm: int = 1,
) -> compose.Rendered:
    """A kept letter, from the caller or else the first partner by id.

    Args:
        language: one that the letter is written in; otherwise its first.
        at: kind and code of where the made-up reader votes, for place blocks and facts.
        arm: which arm of the letter, from 1; there being no such arm, the first.

    Raises:
        Missing: there is none, or it is a draft and the caller a partner.
        DefinitionRefused: the voter file has no such place.
    """
    require(caller, "see_campaign")
    one = campaigns.get(unit, campaign)
    if caller.role == "partner" and one.manifest is None:
        raise Missing(f"no campaign {campaign}")
    terms = agree.terms(unit, one.race)
    place = somewhere(unit, artefacts, *at)
    return shown(unit, terms, one, caller, public_url, language, place, arm)


def sketch(
    unit: Unit,
    caller: Caller,
    race: str,
    template: Mapping[str, Any],
    messenger: Mapping[str, str],
    public_url: str,
    *,
    artefacts: Artefacts,
    now: datetime,
    language: str = "",
    at: tuple[str, str] = ("", ""),
) -> compose.Rendered:
    """A letter that is not kept yet, and is not kept by this.

    Raises:
        Denied, DefinitionRefused, NotReady.
        TemplateRefused: with every problem, where it is and what to do.
    """
    terms, one = unkept(unit, caller, race, template, messenger, artefacts, now)
    place = somewhere(unit, artefacts, *at)
    return shown(unit, terms, one, caller, public_url, language, place)


def unkept(
    unit: Unit,
    caller: Caller,
    race: str,
    template: Mapping[str, Any],
    messenger: Mapping[str, str],
    artefacts: Artefacts,
    now: datetime,
) -> tuple[Agreement, campaigns.Campaign]:
    """What a letter would be if it were kept; signed by a made-up person where none is named."""
    require(caller, "draft", term=agree.term(unit, race, now))
    terms = agree.signed_terms(unit, race)
    made = draft.checked(unit, terms, template, artefacts)
    facts = locate.newest(unit, race) if versions.facts_used(made) else None
    kept = {**signed({**template, "facts": facts}), "messenger": dict(messenger or SIGNER)}
    return terms, draft.unsaved("unsaved", race, caller.id, {}, kept, now)


def shown(
    unit: Unit,
    terms: Agreement,
    one: campaigns.Campaign,
    caller: Caller,
    public_url: str,
    language: str,
    place: Place,
    arm: int = 1,
) -> compose.Rendered:
    """Any letter, kept or not, to the made-up reader."""
    sources = one.manifest["sources"] if one.manifest else [p.id for p in terms.parties]
    party = terms.party(caller.id if caller.id in sources else sorted(sources)[0])
    ways = draft.variants(terms, one.template)
    made = ways[arm - 1 if 1 <= arm <= len(ways) else 0]
    language = language if language in made else next(iter(made))
    facts = draft.letter_facts(terms, one, party, language=language) | MADE_UP
    facts |= {"precinct": place.precinct} if place.precinct else {}
    facts |= locate.facts(unit, one.template.get("facts"), place.precinct, language)
    return compose.render(made[language], facts | links(public_url), place)


def links(public_url: str) -> dict[str, str]:
    """Where the footer of a letter that nobody gets leads."""
    return {"stop_url": f"{public_url}/u/sample", "why_url": f"{public_url}/why/sample"}

"""A volunteer reads each letter that may go in their name, as a made-up reader would get it.

What no partner was asked for is not shown. Nothing here follows from a list: the words are filled
in for the first of the agreement's partners by name, whoever's lists a letter meets, and whoever
may sign reads it, whether any letter falls to them or not.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from consortium.service import agree, draft, lend, locate, preview
from consortium.store import campaigns
from consortium.store.unit import Unit
from mailer import compose
from mailer.errors import TemplateRefused
from mailer.places import Place, PlaceBlock
from policies.agreement import Agreement, Party

_STATES = {"submitted": "asked", "sending": "going"}
_EVERYWHERE = PlaceBlock(0, {})


@dataclass(frozen=True, slots=True)
class Wording:
    """One wording of a letter.

    Args:
        arm: from 1; 0 where there is one alone.
        places: codes of the places that alone get it, in words; "" for everywhere else.
    """

    language: str
    arm: int
    places: str
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class ToSign:
    """A letter that may go in somebody's name: asked (for), approved, or going (under way).

    Args:
        partner: whose name its wordings are filled in with.
        wordings: none where the agreement of now refuses its words; then none of it leaves.
    """

    subject: str
    state: str
    partner: str
    opens: datetime
    closes: datetime
    wordings: tuple[Wording, ...]


def read_over(unit: Unit, token: str, public_url: str) -> list[ToSign]:
    """Every letter that may go in the name of whoever holds this link, the soonest first.

    Of somebody who said no there is none.

    Raises:
        Missing: nobody was asked with that link.
    """
    one = lend.by_link(unit, token)
    if one.refused is not None:
        return []
    terms = agree.terms(unit, one.race)
    signs = {"name": one.name, "place": one.place}
    asked = lend.signed_by(unit, one, (*lend.UNDER_WAY, "paused"))
    found = [_to_sign(unit, terms, each, signs, public_url) for each in asked]
    return sorted(found, key=lambda each: (each.opens, each.closes, each.subject))


def _to_sign(
    unit: Unit,
    terms: Agreement,
    one: campaigns.Campaign,
    signs: Mapping[str, str],
    public_url: str,
) -> ToSign:
    party = min(terms.parties, key=lambda party: party.name)
    try:
        wordings = tuple(_wordings(unit, terms, one, party, signs, public_url))
    except TemplateRefused:
        wordings = ()
    # Why a letter is held may follow from what came back: then it stands as it stood before.
    state = one.before_pause if one.state == "paused" else one.state
    return ToSign(
        one.template["subject"],
        _STATES.get(state or "", "approved"),
        party.name,
        draft.moment(one.template["window"], "opens"),
        draft.moment(one.template["window"], "closes"),
        wordings,
    )


def _wordings(
    unit: Unit,
    terms: Agreement,
    one: campaigns.Campaign,
    party: Party,
    signs: Mapping[str, str],
    public_url: str,
) -> Iterator[Wording]:
    """Every arm in every language, and where a place has words of its own those, too."""
    ways = draft.variants(terms, one.template)
    table = locate.table(unit, one.template.get("facts"))
    for arm, made in enumerate(ways, 1 if len(ways) > 1 else 0):
        for language, compiled in made.items():
            common = draft.letter_facts(terms, one, party, signs, language)
            seen: set[str] = set()
            for block in (_EVERYWHERE, *compiled.places):
                place = _inside(block)
                facts = common | {"first_name": preview.MADE_UP["first_name"]}
                facts |= {"precinct": place.precinct or preview.MADE_UP["precinct"]}
                facts |= table.facts(place.precinct, language)
                facts |= preview.links(public_url)
                shown = compose.render(compiled, facts, place)
                if shown.text in seen:
                    continue
                seen.add(shown.text)
                yield Wording(language, arm, _codes(block), shown.subject, shown.text)


def _inside(block: PlaceBlock) -> Place:
    """Where a made-up reader votes who gets a block."""
    return Place(
        block.codes.get("precinct", ("",))[0],
        block.codes.get("zip", ("",))[0],
        frozenset(block.codes.get("district", ())),
    )


def _codes(block: PlaceBlock) -> str:
    return ", ".join(code for codes in block.codes.values() for code in codes)

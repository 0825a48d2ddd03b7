"""A letter is written, checked, previewed on made-up people."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from consortium.service import agree, choose, lend, suggest
from consortium.service.errors import WrongState
from consortium.store import campaigns
from consortium.store.artefacts import Artefacts
from consortium.store.unit import Unit
from mailer import compose, letter
from matching.nearest import Chart
from policies import agreement
from policies.authorise import Caller, require

FIELDS = ("precinct", "election_date", "messenger_name", "partner_name", "race_name", "place_name")

AUTHOR = "the race's local coordinator"

# A made-up person, for previews only: no real row is ever rendered before it is sent.
MADE_UP = {
    "first_name": "Alex",
    "precinct": "Sample precinct",
    "place_name": "Sampletown",
}


def allowed_fields(terms: agreement.Agreement) -> frozenset[str]:
    """Merge fields that this agreement allows in a letter."""
    extra = {"first_name"} if "first_name" in terms.fields else set()
    return frozenset(FIELDS) | extra


def compiled(terms: agreement.Agreement, template: Mapping[str, Any]) -> compose.Compiled:
    """Check and compile a template under an agreement.

    Raises:
        TemplateRefused: with every problem, its line and what to do.
    """
    return compose.compile_template(
        compose.Template(
            str(template.get("subject", "")),
            str(template.get("mjml", "")),
            None if template.get("text") is None else str(template["text"]),
        ),
        allowed_fields=allowed_fields(terms),
        allowed_hosts=frozenset(terms.link_hosts),
    )


def draft(
    unit: Unit,
    caller: Caller,
    *,
    race: str,
    definition_: Mapping[str, Any],
    template: Mapping[str, Any],
    messenger: Mapping[str, str],
    window: Mapping[str, str],
    artefacts: Artefacts,
    now: datetime,
    chart: Chart | None = None,
) -> str:
    """Keep a new letter for an audience, in state ``draft``.

    Args:
        window: ``opens`` and ``closes``, UTC, inside the agreement's dates.
        messenger: ``name`` and ``place`` of the local volunteer who signs; without any each letter
            is signed by who of those that confirmed lives nearest to its reader.
        chart: the installation's points, by which that is found.

    Returns:
        The campaign's id.

    Raises:
        Denied, DefinitionRefused, TemplateRefused, NotReady, WrongState.
    """
    require(caller, "draft", term=agree.term(unit, race, now))
    terms = agree.signed_terms(unit, race)
    normal = choose.normal_form(definition_, artefacts, choose.snapshot(unit, []).attributes)
    compiled(terms, template)
    opens, closes = moment(window, "opens"), moment(window, "closes")
    if not terms.opens <= opens < closes <= terms.closes:
        raise WrongState("the sending window must lie inside the agreement's dates")
    each = not messenger
    if each:
        messenger = suggest.first(
            suggest.suggest(unit, caller, race, normal, artefacts=artefacts, chart=chart or Chart())
        )
    signs = {key: lend.plain(str(messenger.get(key, ""))) for key in ("name", "place")}
    lend.lent(unit, race, signs)
    new = str(uuid.uuid4())
    kept = {
        "subject": template["subject"],
        "mjml": template["mjml"],
        "text": template.get("text"),
        "messenger": signs,
        **({"nearest": True} if each else {}),
        "window": {"opens": stamp(opens), "closes": stamp(closes)},
    }
    campaigns.add(
        unit,
        campaigns.Campaign(
            id=new,
            race=race,
            author=caller.id,
            state="draft",
            before_pause=None,
            definition=normal,
            template=kept,
            manifest=None,
            digest=None,
            estimate=None,
            nonce=None,
            root=None,
            audience_digest=None,
            epoch=None,
            intent_leaf=None,
            scheduled=None,
            progress=0,
            waiting_for="",
            at=now,
            closed=None,
        ),
    )
    return new


def preview(unit: Unit, caller: Caller, campaign: str, public_url: str) -> str:
    """The letter as HTML, to a made-up person, from the caller or else the first partner by id."""
    require(caller, "see_campaign")
    one = campaigns.get(unit, campaign)
    terms = agree.terms(unit, one.race)
    sources = one.manifest["sources"] if one.manifest else [p.id for p in terms.parties]
    party = terms.party(caller.id if caller.id in sources else sorted(sources)[0])
    facts = letter_facts(terms, one, party) | MADE_UP
    facts |= {"stop_url": f"{public_url}/u/sample", "why_url": f"{public_url}/why/sample"}
    return compose.render(compiled(terms, one.template), facts).html


def sender(
    campaign: campaigns.Campaign, party: agreement.Party, signs: Mapping[str, str] | None = None
) -> letter.Sender:
    """Whose name and domain this campaign's letters from a partner go out under."""
    return letter.Sender(
        messenger=(signs or campaign.template["messenger"])["name"],
        partner=party.name,
        partner_id=party.id,
        slug="news",
        domain=party.domain,
        reply_to=f"reply@{party.domain}",
        list_id=f"{campaign.race}.{party.domain}",
    )


def letter_facts(
    terms: agreement.Agreement,
    campaign: campaigns.Campaign,
    party: agreement.Party,
    signs: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """What every letter of this campaign from this partner, in one messenger's name, says alike."""
    messenger = signs or campaign.template["messenger"]
    return {
        "messenger_name": messenger["name"],
        "place_name": messenger["place"],
        "partner_name": party.name,
        "relation": party.relation,
        "race_name": terms.race.name,
        "author_role": AUTHOR,
        "election_date": f"{terms.race.election_date:%B} {terms.race.election_date.day}",
        "postal_address": terms.postal_address,
        # Every letter says who paid; an agreement that names nobody means the sender.
        "paid_for_by": terms.paid_for_by or party.name,
    }


def moment(window: Mapping[str, str], name: str) -> datetime:
    """Read one end of a window, or ``WrongState`` naming it."""
    try:
        return datetime.strptime(str(window.get(name)), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise WrongState(f"window.{name} is not a time like 2026-11-03T15:00:00Z") from error


def stamp(at: datetime) -> str:
    """A UTC time as manifests spell it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def live_sources(unit: Unit) -> list[str]:
    """Partners whose newest bundle is matched against the newest roll."""
    return sorted({partner for _, partner, _ in choose.snapshot(unit).links})

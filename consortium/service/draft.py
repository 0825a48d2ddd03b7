"""A letter is written, checked and kept as a draft; its author changes it until it is asked for."""

import hashlib
import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from consortium.service import agree, choose, lend, locate, suggest
from consortium.service.errors import WrongState
from consortium.store import campaigns, programmes
from consortium.store.artefacts import Artefacts
from consortium.store.unit import Unit
from mailer import arms, blocks, compose, fields, letter, polling, versions
from mailer.errors import Problem, TemplateRefused
from mailer.written import signed
from matching.nearest import Chart
from policies import agreement
from policies.authorise import Caller, require
from policies.errors import Denied

FIELDS = frozenset(fields.FIELDS) - {"first_name"}
"""What every agreement allows: facts of the race, of its places, and of who writes."""

AUTHOR = {
    "en": "the race's local coordinator",
    "es": "la coordinación local de esta contienda",
}


@dataclass(frozen=True, slots=True)
class Proposed:
    """A letter as its author proposes it.

    Args:
        definition: whom it is for; ``choose`` reads it.
        template: its words.
        messenger: ``name`` and ``place`` of the local volunteer who signs; without any each letter
            is signed by who of those that confirmed lives nearest to its reader.
        window: ``opens`` and ``closes``, UTC, inside the agreement's dates.
    """

    definition: Mapping[str, Any]
    template: Mapping[str, Any]
    messenger: Mapping[str, str]
    window: Mapping[str, str]


def allowed_fields(terms: agreement.Agreement) -> frozenset[str]:
    """Merge fields that this agreement allows in a letter."""
    return FIELDS | ({"first_name"} & set(terms.fields))


def compiled(
    terms: agreement.Agreement, template: Mapping[str, Any]
) -> dict[str, compose.Compiled]:
    """Check and compile a letter under an agreement, in every language that it is written in.

    Raises:
        TemplateRefused: with every problem, where it is and what to do.
    """
    made = _compiled(
        json.dumps(template), terms.languages, allowed_fields(terms), frozenset(terms.link_hosts)
    )
    return dict(made)


# A campaign's letter is compiled at every turn of its sending; it is a twentieth of a second.
@lru_cache(maxsize=16)
def _compiled(
    written: str, languages: Sequence[str], allowed: frozenset[str], hosts: frozenset[str]
) -> Mapping[str, compose.Compiled]:
    return versions.compile_versions(
        json.loads(written), languages=languages, allowed_fields=allowed, allowed_hosts=hosts
    )


def variants(
    terms: agreement.Agreement, template: Mapping[str, Any]
) -> list[dict[str, compose.Compiled]]:
    """Every arm of a kept letter, compiled; of one without arms, itself alone.

    Raises:
        TemplateRefused: as ``compiled``; of another arm than the first it names which.
    """
    made, problems = [], []
    for number, each in enumerate(arms.letters(signed(template)), 1):
        try:
            made.append(compiled(terms, each))
        except TemplateRefused as refused:
            problems += [p if number == 1 else _of_arm(p, number) for p in refused.problems]
    if problems:
        raise TemplateRefused(problems)
    return made


def _of_arm(problem: Problem, number: int) -> Problem:
    return replace(problem, where=f"Arm {number}, {problem.place[0].lower()}{problem.place[1:]}")


def links(terms: agreement.Agreement, template: Mapping[str, Any]) -> list[str]:
    """Every link of a kept letter, in all its arms and languages, sorted."""
    made = [one for each in variants(terms, template) for one in each.values()]
    return sorted({link for one in made for link in one.links})


def facts_used(terms: agreement.Agreement, template: Mapping[str, Any]) -> frozenset[str]:
    """The fields of a kept letter, in all its arms, that only a table of places can fill."""
    return frozenset().union(*map(versions.facts_used, variants(terms, template)))


def draft(
    unit: Unit,
    caller: Caller,
    race: str,
    asked: Proposed,
    *,
    artefacts: Artefacts,
    now: datetime,
    chart: Chart | None = None,
) -> str:
    """Keep a new letter for an audience, in state ``draft``.

    Args:
        chart: the installation's points, by which the nearest who may sign is found.

    Returns:
        The campaign's id.

    Raises:
        Denied, DefinitionRefused, TemplateRefused, NotReady, WrongState.
    """
    require(caller, "draft", term=agree.term(unit, race, now))
    normal, kept = _written(unit, caller, race, asked, artefacts, chart)
    new = str(uuid.uuid4())
    campaigns.add(unit, unsaved(new, race, caller.id, normal, kept, now))
    return new


def change(
    unit: Unit,
    caller: Caller,
    id: str,
    asked: Proposed,
    *,
    was: str,
    artefacts: Artefacts,
    now: datetime,
    chart: Chart | None = None,
) -> None:
    """Put other words, signer, window or audience into a draft; what it said before is gone.

    Args:
        was: ``mark`` of the draft as its author was shown it.

    Raises:
        Denied: it is somebody else's.
        WrongState: it is no draft any more, of a programme, or was changed since it was shown.
        DefinitionRefused, TemplateRefused, NotReady: as ``draft`` does.
    """
    one = own(unit, caller, id, now)
    if was != mark(one):
        raise WrongState("this draft was changed elsewhere since you opened it; nothing was saved")
    if one.template.get("arms") and not asked.template.get("arms"):
        raise WrongState("this draft has several arms: draft it anew with the tool to change it")
    normal, kept = _written(unit, caller, one.race, asked, artefacts, chart)
    campaigns.change(unit, id, definition=normal, template=kept)


def own(unit: Unit, caller: Caller, id: str, now: datetime) -> campaigns.Campaign:
    """A draft that the caller may change; raises as ``change`` does."""
    one = campaigns.get(unit, id)
    require(caller, "draft", term=agree.term(unit, one.race, now))
    if one.author != caller.id:
        raise Denied("draft", "a draft is changed by who wrote it")
    if one.state != "draft":
        raise WrongState("only a draft can be changed")
    if programmes.of_campaign(unit, id):
        raise WrongState("the partners approved these words in a programme; they stay as they are")
    return one


def mark(one: campaigns.Campaign) -> str:
    """A digest that changes with anything in a draft."""
    said = json.dumps([one.definition, one.template], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()


def _written(
    unit: Unit,
    caller: Caller,
    race: str,
    asked: Proposed,
    artefacts: Artefacts,
    chart: Chart | None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The definition's normal form, and all that a campaign keeps of a letter; both checked."""
    terms = agree.signed_terms(unit, race)
    normal = choose.normal_form(asked.definition, artefacts, choose.snapshot(unit, []).attributes)
    template = arms.complete({name: p for name, p in asked.template.items() if name != "facts"})
    checked(unit, terms, template, artefacts)
    opens, closes = moment(asked.window, "opens"), moment(asked.window, "closes")
    if not terms.opens <= opens < closes <= terms.closes:
        raise WrongState("the sending window must lie inside the agreement's dates")
    messenger = asked.messenger
    if each := not messenger:
        messenger = suggest.first(
            suggest.suggest(unit, caller, race, normal, artefacts=artefacts, chart=chart or Chart())
        )
    signs = {key: lend.plain(str(messenger.get(key, ""))) for key in ("name", "place")}
    lend.lent(unit, race, signs)
    facts = locate.newest(unit, race) if facts_used(terms, template) else None
    return normal, {
        **signed({**template, "facts": facts}),
        "messenger": signs,
        **({"nearest": True} if each else {}),
        "window": {"opens": stamp(opens), "closes": stamp(closes)},
    }


def checked(
    unit: Unit, terms: agreement.Agreement, template: Mapping[str, Any], artefacts: Artefacts
) -> dict[str, compose.Compiled]:
    """Compile all arms of a letter, and hold its places against the voter file; gives the first."""
    whole = arms.complete({name: part for name, part in template.items() if name != "facts"})
    ways, known = arms.letters(whole), normal_places(artefacts, unit)
    made = compiled(terms, ways[0])  # not as kept: what is neither signed nor known is refused
    for one, way in zip(variants(terms, whole), ways, strict=True):
        _known_places(one, way, known)
    return made


def unsaved(
    id: str,
    race: str,
    author: str,
    definition: Mapping[str, Any],
    kept: Mapping[str, Any],
    now: datetime,
) -> campaigns.Campaign:
    """A draft as it would be kept."""
    return campaigns.Campaign(
        id=id,
        race=race,
        author=author,
        state="draft",
        before_pause=None,
        definition=dict(definition),
        template=dict(kept),
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
    )


def _known_places(
    made: Mapping[str, compose.Compiled],
    template: Mapping[str, Any],
    known: Mapping[str, Collection[str]],
) -> None:
    """Refuse a place block for a place that the voter file here does not have."""
    problems = [
        Problem(
            block.line,
            f"The voter file here has no such {kind}.",
            "Spell it as the list of places does, or take it out.",
            _where(template, language, block.line, first=language == next(iter(made))),
        )
        for language, one in made.items()
        for block in one.places
        for kind, codes in block.codes.items()
        if not set(codes) <= set(known.get(kind, ()))
    ]
    if problems:
        raise TemplateRefused(problems)


def _where(template: Mapping[str, Any], language: str, line: int, *, first: bool) -> str:
    """Where a line of the compiled MJML comes from: block and part, or the line, and in which."""
    version = template if first else template["languages"][language]
    said = ""
    if version.get("blocks") is not None:
        written = blocks.to_mjml(version["blocks"], title=version["subject"], language=language)
        said = written.where(line)
    if first:
        return said
    return f"{versions.NAMES[language]}, {said[:1].lower() + said[1:] or f'line {line}'}"


def normal_places(artefacts: Artefacts, unit: Unit) -> dict[str, dict[str, int]]:
    """Every place of the newest voter file, by kind."""
    return choose.catalogue(artefacts, choose.snapshot(unit, []).attributes)


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
    language: str = "en",
) -> dict[str, str]:
    """What every letter of this campaign from this partner says alike, in one messenger's name
    and in one language."""
    messenger = signs or campaign.template["messenger"]
    return {
        "messenger_name": messenger["name"],
        "place_name": messenger["place"],
        "partner_name": party.name,
        "relation": party.relation,
        "race_name": terms.race.name,
        "author_role": AUTHOR[language],
        "election_date": polling.spoken(terms.race.election_date, language),
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

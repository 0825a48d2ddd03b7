"""A letter is looked at as its readers would get it, before anybody is asked to approve it."""

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from consortium.service import agree, draft, lend, preview, room, try_out, vet
from consortium.service.vet import Vetted
from consortium.store import campaigns, inspections
from consortium.store.artefacts import Artefacts
from consortium.store.errors import Missing
from consortium.store.unit import Unit, Units
from mailer import checks, compose, letter, spam, uniform
from mailer.errors import Problem, TemplateRefused
from mailer.findings import Finding, sorted_worst_first, worst
from mailer.places import Place
from policies.agreement import Agreement, Party
from policies.authorise import Caller, require

PLACES: tuple[Mapping[str, str], ...] = (
    {"precinct": "Sample precinct", "place_name": "Sampletown", "polling_place": "Sample library"},
    {"precinct": "044-12", "place_name": "San José", "polling_place": "St. Mary's, 2nd floor"},
)
"""Made-up places: one as short as they come, one with what has to be escaped."""
SIGNERS = 5
"""Messengers whose letters are made of every list and place, where each letter has its nearest; of
the others, up to the 200 that a campaign may name, one letter in each language is: a name changes
no more than the words that it stands in."""
SAMPLES = datetime(2026, 1, 1, tzinfo=UTC)
"""Date of letters that nobody gets."""
_Kind: TypeAlias = tuple[Party, Mapping[str, str], compose.Compiled, Place, Mapping[str, str], int]
_LATER = Finding(spam.POINT, "none", "SpamAssassin looks at it once, when it is submitted.")
_KEPT = 64
_known: OrderedDict[str, tuple[Finding, ...]] = OrderedDict()
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Look:
    """How a server looks at letters.

    Args:
        public_url: prefix of the stop and the why link.
        spam: what scores one letter.
    """

    public_url: str = "https://127.0.0.1:8443"
    spam: Callable[[bytes], Finding] = spam.inspect


USUAL = Look()


@dataclass(frozen=True, slots=True)
class Mail:
    """What letters are made of: the agreement, the campaign, whose lists, and who signs."""

    terms: Agreement
    one: campaigns.Campaign
    sources: list[str]
    signers: list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Proof:
    """Everything that was looked at before an approval; the worst first."""

    findings: tuple[Finding, ...]
    domains: tuple[Vetted, ...]

    @property
    def red(self) -> list[Finding]:
        """What blocks, the domains' own included."""
        return checks.red([*self.findings, *(f for one in self.domains for f in one.findings)])


def proof(unit: Unit, caller: Caller, id: str, look: Look, now: datetime) -> Proof:
    """What a campaign's author and its partners are shown; a partner once it is asked."""
    require(caller, "see_campaign")
    one = campaigns.get(unit, id)
    if caller.role == "partner" and one.manifest is None:
        raise Missing(f"no campaign {id}")
    scored = inspections.get(unit, _subject(id))
    last = scored is not None and scored.about == _about(one)
    score = Finding.from_json(scored.findings[0]) if scored and last else _LATER
    mail = _mail(unit, one)
    found = [*letters(mail, look), score, try_out.finding(unit, mail.sources)]
    found += room.finding(unit, one, mail.terms)
    return Proof(sorted_worst_first(found), tuple(vet.of_campaign(unit, one, now)))


def sketch(
    unit: Unit,
    caller: Caller,
    race: str,
    template: Mapping[str, Any],
    messenger: Mapping[str, str],
    look: Look,
    *,
    artefacts: Artefacts,
    now: datetime,
) -> tuple[Finding, ...]:
    """What is found of a letter that is not kept yet; the worst first.

    Raises:
        TemplateRefused: it cannot be read by any reader, with every problem.
    """
    terms, one = preview.unkept(unit, caller, race, template, messenger, artefacts, now)
    sources = _sources(unit, terms, one)
    mail = Mail(terms, one, sources, [one.template["messenger"]])
    return sorted_worst_first(letters(mail, look))


def must_pass(units: Units, id: str, look: Look) -> None:
    """Refuse a letter with anything red; SpamAssassin is asked here, once for the same words.

    Raises:
        TemplateRefused: with all that is red, each with what to do.
    """

    def read(unit: Unit) -> tuple[Mail, inspections.Inspection | None]:
        return _mail(unit, campaigns.get(unit, id)), inspections.get(unit, _subject(id))

    mail, kept = units.read("proofread", read)
    found, about = list(letters(mail, look)), _about(mail.one)
    if kept is None or kept.about != about:
        score = sorted_worst_first(map(look.spam, _specimens(mail, look)))[0]
        made = inspections.Inspection(
            _subject(id), about, score.level, [score.to_json()], units.clock()
        )
        units.run("proofread-keep", lambda unit: inspections.keep(unit, made))
    else:
        score = Finding.from_json(kept.findings[0])
    if bad := checks.red([*found, score]):
        raise TemplateRefused(
            Problem(each.line or 1, f"{each.point}: {each.what}", each.todo) for each in bad
        )


def letters(mail: Mail, look: Look) -> tuple[Finding, ...]:
    """What is found of the letters that a campaign would send, without asking anybody.

    It depends on its arguments alone, so it is remembered: a page shown again costs nothing.
    """
    said = [mail.one.id, mail.one.template, mail.sources, mail.signers, look.public_url]
    whole = repr((mail.terms, json.dumps(said, sort_keys=True)))
    key = hashlib.sha256(whole.encode()).hexdigest()
    with _lock:
        if key in _known:
            _known.move_to_end(key)
            return _known[key]
    found = _letters(mail, look)
    with _lock:
        _known[key] = found
        while len(_known) > _KEPT:
            _known.popitem(last=False)
    return found


def _letters(mail: Mail, look: Look) -> tuple[Finding, ...]:
    kinds = list(_kinds(mail))
    each = max(2, -(-uniform.PEOPLE // len(kinds)))
    groups: dict[str, list[uniform.Made]] = {}
    rules = _rules(mail.terms, mail.terms.party(mail.sources[0]), look)
    found = list(checks.signers((signs["name"] for signs in mail.signers), rules))
    arms = {arm for *_, arm in kinds}
    for number, (party, signs, compiled, place, facts, arm) in enumerate(kinds):
        sample = _sample(mail, party, signs, compiled, place, facts, look)
        said = checks.inspect([sample], _rules(mail.terms, party, look))
        found += [_of_arm(one, arm) for one in said] if len(arms) > 1 else said
        written = _slice(mail, party, signs, compiled, place)
        people = range(number * each, (number + 1) * each)
        name = f"{party.id}, {signs['name']}, {compiled.language}, place {number + 1}"
        groups[name] = list(uniform.written(written, people, look.public_url, facts))
    return (*checks.once(found), uniform.inspect(groups))


def _kinds(mail: Mail) -> Iterator[_Kind]:
    """Every kind of letter of a few messengers, and a letter in each language of all the others."""
    ways = enumerate(draft.variants(mail.terms, mail.one.template), 1)
    written = [(arm, compiled) for arm, made in ways for compiled in made.values()]
    for source in mail.sources:
        for signs in mail.signers[:SIGNERS]:
            for arm, compiled in written:
                for place, facts in _readers(compiled):
                    yield mail.terms.party(source), signs, compiled, place, facts, arm
    for number, signs in enumerate(mail.signers[SIGNERS:]):
        party = mail.terms.party(mail.sources[number % len(mail.sources)])
        for arm, compiled in written:
            yield party, signs, compiled, Place(), PLACES[0], arm


def _of_arm(found: Finding, arm: int) -> Finding:
    """What is to be mended names the arm; what is well is said once for all."""
    bad = found.level in ("red", "yellow")
    return replace(found, what=f"Arm {arm}: {found.what}") if bad else found


def _readers(compiled: compose.Compiled) -> list[tuple[Place, Mapping[str, str]]]:
    """Made-up readers of no place in particular, and one of each place block."""
    inside = [
        Place(
            block.codes.get("precinct", ("",))[0],
            block.codes.get("zip", ("",))[0],
            frozenset(block.codes.get("district", ())),
        )
        for block in compiled.places
        if block.codes
    ]
    return [*((Place(), facts) for facts in PLACES), *((place, PLACES[0]) for place in inside)]


def _sample(
    mail: Mail,
    party: Party,
    signs: Mapping[str, str],
    compiled: compose.Compiled,
    place: Place,
    facts: Mapping[str, str],
    look: Look,
) -> checks.Sample:
    _, own = uniform.reader(0, look.public_url, facts)
    common = draft.letter_facts(mail.terms, mail.one, party, signs, compiled.language)
    shown = compose.render(compiled, {**common, **facts, **own}, place)
    return checks.Sample(shown.subject, shown.text, shown.html, compiled.language)


def _slice(
    mail: Mail, party: Party, signs: Mapping[str, str], compiled: compose.Compiled, place: Place
) -> letter.Slice:
    facts = draft.letter_facts(mail.terms, mail.one, party, signs, compiled.language)
    return letter.prepare(
        compiled,
        sender=draft.sender(mail.one, party, signs),
        common={name: text for name, text in facts.items() if name in compiled.fields},
        campaign=mail.one.id,
        at=SAMPLES,
        place=place,
    )


def _specimens(mail: Mail, look: Look) -> Iterator[bytes]:
    """One letter of each arm, in its first language, as it would leave."""
    party = mail.terms.party(sorted(mail.sources)[0])
    for made in draft.variants(mail.terms, mail.one.template):
        whole = _slice(mail, party, mail.signers[0], next(iter(made.values())), Place())
        [letter_] = uniform.written(whole, [0], look.public_url, PLACES[0])
        yield letter_.message


def _rules(terms: Agreement, party: Party, look: Look) -> checks.Rules:
    return checks.Rules(
        postal_address=terms.postal_address,
        paid_for_by=terms.paid_for_by or party.name,
        payer_named=bool(terms.paid_for_by),
        hosts=frozenset(terms.link_hosts),
        own_hosts=frozenset({urlsplit(look.public_url).hostname or ""}),
        nonpartisan=terms.wall == "nonpartisan",
        candidates=terms.candidates,
    )


def _mail(unit: Unit, one: campaigns.Campaign) -> Mail:
    terms = agree.terms(unit, one.race)
    return Mail(terms, one, _sources(unit, terms, one), _signers(unit, one))


def _sources(unit: Unit, terms: Agreement, one: campaigns.Campaign) -> list[str]:
    """Whose letters they are: the manifest's sources, of a draft all that could be."""
    if one.manifest:
        return list(one.manifest["sources"])
    return draft.live_sources(unit) or sorted(party.id for party in terms.parties)


def _signers(unit: Unit, one: campaigns.Campaign) -> list[dict[str, str]]:
    """In whose names letters go: the first, and of many then those with the longest names."""
    first: dict[str, str] = one.template["messenger"]
    if not one.template.get("nearest"):
        return [first]
    named = (one.manifest or {}).get("messengers")
    others = named if named is not None else lend.everybody(unit, one.race)
    longest = sorted((s for s in others if s != first), key=lambda s: (-len(s["name"]), s["name"]))
    return [first, *longest]


def _about(one: campaigns.Campaign) -> str:
    said = json.dumps(one.template, sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()


def _subject(id: str) -> str:
    return f"letter {id}"


def level(found: Proof) -> str:
    """The worst of a proof."""
    return worst([*found.findings, *(each for one in found.domains for each in one.findings)])

"""A letter is looked at as its readers would get it, before anybody is asked to approve it."""

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from consortium.service import agree, draft, vet
from consortium.service.vet import Vetted
from consortium.store import campaigns, inspections
from consortium.store.errors import Missing
from consortium.store.unit import Unit, Units
from mailer import checks, compose, letter, spam, uniform
from mailer.errors import Problem, TemplateRefused
from mailer.findings import Finding, sorted_worst_first, worst
from policies.agreement import Agreement, Party
from policies.authorise import Caller, require

PLACES: tuple[Mapping[str, str], ...] = (
    {"precinct": "Sample precinct", "place_name": "Sampletown", "polling_place": "Sample library"},
    {"precinct": "044-12", "place_name": "San José", "polling_place": "St. Mary's, 2nd floor"},
)
"""Made-up places: one as short as they come, one with what has to be escaped."""
SAMPLES = datetime(2026, 1, 1, tzinfo=UTC)
"""Date of letters that nobody gets."""
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
    terms = agree.terms(unit, one.race)
    scored = inspections.get(unit, _subject(id))
    last = scored is not None and scored.about == _about(one)
    score = Finding.from_json(scored.findings[0]) if scored and last else _LATER
    found = [*letters(terms, one, sources_of(unit, terms, one), look), score]
    return Proof(sorted_worst_first(found), tuple(vet.of_campaign(unit, one, now)))


def must_pass(units: Units, id: str, look: Look) -> None:
    """Refuse a letter with anything red; SpamAssassin is asked here, once for the same words.

    Raises:
        TemplateRefused: with all that is red, each with what to do.
    """

    def read(unit: Unit) -> tuple[campaigns.Campaign, Agreement, list[str], Any]:
        one = campaigns.get(unit, id)
        terms = agree.terms(unit, one.race)
        kept = inspections.get(unit, _subject(id))
        return one, terms, sources_of(unit, terms, one), kept

    one, terms, sources, kept = units.read("proofread", read)
    found = list(letters(terms, one, sources, look))
    if kept is None or kept.about != _about(one):
        score = look.spam(_specimen(terms, one, sources, look))
        made = inspections.Inspection(
            _subject(id), _about(one), score.level, [score.to_json()], units.clock()
        )
        units.run("proofread-keep", lambda unit: inspections.keep(unit, made))
    else:
        score = Finding.from_json(kept.findings[0])
    if bad := checks.red([*found, score]):
        raise TemplateRefused(
            Problem(each.line or 1, f"{each.point}: {each.what}", each.todo) for each in bad
        )


def letters(
    terms: Agreement, one: campaigns.Campaign, sources: Sequence[str], look: Look
) -> tuple[Finding, ...]:
    """What is found of the letters that a campaign would send, without asking anybody.

    It depends on its arguments alone, so it is remembered: a page shown again costs nothing.
    """
    said = [terms.race.id, one.id, one.template, list(sources), look.public_url]
    key = hashlib.sha256(repr((terms, json.dumps(said, sort_keys=True))).encode()).hexdigest()
    with _lock:
        if key in _known:
            _known.move_to_end(key)
            return _known[key]
    found = _letters(terms, one, sources, look)
    with _lock:
        _known[key] = found
        while len(_known) > _KEPT:
            _known.popitem(last=False)
    return found


def _letters(
    terms: Agreement, one: campaigns.Campaign, sources: Sequence[str], look: Look
) -> tuple[Finding, ...]:
    compiled = draft.compiled(terms, one.template)
    parties = [terms.party(source) for source in sources]
    samples: list[checks.Sample] = []
    groups: dict[str, list[uniform.Made]] = {}
    each = -(-uniform.PEOPLE // (len(parties) * len(PLACES)))
    for party in parties:
        written = _slice(terms, one, party, compiled)
        for number, place in enumerate(PLACES):
            samples.append(_sample(terms, one, party, compiled, place, look))
            begin = len(groups) * each
            people = range(begin, begin + each)
            made = uniform.written(written, people, look.public_url, place)
            groups[f"{party.id}, place {number + 1}"] = list(made)
    rules = [_rules(terms, party, look) for party in parties for _ in PLACES]
    found: list[Finding] = []
    for sample, rule in zip(samples, rules, strict=True):
        found += checks.inspect([sample], rule)
    return (*checks.once(found), uniform.inspect(groups))


def _sample(
    terms: Agreement,
    one: campaigns.Campaign,
    party: Party,
    compiled: compose.Compiled,
    place: Mapping[str, str],
    look: Look,
) -> checks.Sample:
    _, own = uniform.reader(0, look.public_url, place)
    facts = {**draft.letter_facts(terms, one, party), **place, **own}
    rendered = compose.render(compiled, facts)
    return checks.Sample(rendered.subject, rendered.text, rendered.html, _language(rendered.html))


def _slice(
    terms: Agreement, one: campaigns.Campaign, party: Party, compiled: compose.Compiled
) -> letter.Slice:
    facts = draft.letter_facts(terms, one, party)
    return letter.prepare(
        compiled,
        sender=draft.sender(one, party),
        common={name: text for name, text in facts.items() if name in compiled.fields},
        campaign=one.id,
        at=SAMPLES,
    )


def _specimen(
    terms: Agreement, one: campaigns.Campaign, sources: Sequence[str], look: Look
) -> bytes:
    party = terms.party(sorted(sources)[0])
    whole = _slice(terms, one, party, draft.compiled(terms, one.template))
    [made] = uniform.written(whole, [0], look.public_url, PLACES[0])
    return made.message


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


def sources_of(unit: Unit, terms: Agreement, one: campaigns.Campaign) -> list[str]:
    """Whose letters they are: the manifest's sources, of a draft all that could be."""
    if one.manifest:
        return list(one.manifest["sources"])
    return draft.live_sources(unit) or sorted(party.id for party in terms.parties)


def _language(html: str) -> str:
    return html.split('<html lang="', 1)[-1].split('"', 1)[0]


def _about(one: campaigns.Campaign) -> str:
    said = json.dumps(one.template, sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()


def _subject(id: str) -> str:
    return f"letter {id}"


def level(found: Proof) -> str:
    """The worst of a proof."""
    return worst([*found.findings, *(each for one in found.domains for each in one.findings)])

"""A partner's sending domain is vetted: no letter leaves from one that receivers would refuse."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from consortium.service import agree
from consortium.service.errors import NotReady
from consortium.store import campaigns, inspections, texts
from consortium.store.errors import Missing
from consortium.store.unit import Unit
from mailer.domains import Domain
from mailer.findings import Finding, Level, sorted_worst_first, worst
from policies.agreement import Agreement, Party

MAX_AGE = timedelta(hours=24)
"""What was found longer ago than this says nothing any more: red."""
AGAIN, SOON_AGAIN = timedelta(hours=1), timedelta(minutes=5)
"""How long after a check the next is due; sooner when something was wrong."""
DEMO = Finding(
    "Domain",
    "none",
    "Not checked: in a demo letters go to a program on this machine, which delivers to nobody.",
)
_DO = "The operator publishes the records and runs 'trellis operator domain check'."


@dataclass(frozen=True, slots=True)
class Vetted:
    """A sending domain as it stands; ``at`` is when it was last looked at, if ever."""

    partner: str
    name: str
    level: Level
    at: datetime | None
    findings: tuple[Finding, ...]


def keep(unit: Unit, domain: Domain, findings: Sequence[Finding], now: datetime) -> None:
    """Keep what a check found, in the place of the one before."""
    said = [one.to_json() for one in sorted_worst_first(findings)]
    inspections.keep(
        unit,
        inspections.Inspection(_subject(domain.partner), domain.name, worst(findings), said, now),
    )


def due(unit: Unit, partner: str, now: datetime) -> bool:
    """Whether a partner's domain is to be looked at again."""
    if is_demo(unit):
        return False
    last = inspections.get(unit, _subject(partner))
    if last is None or last.at > now:
        return True
    return last.at + (SOON_AGAIN if last.level == "red" else AGAIN) <= now


def vetted(unit: Unit, terms: Agreement, sources: Sequence[str], now: datetime) -> list[Vetted]:
    """How the sending domains of some partners stand, in the order of the agreement."""
    demo = is_demo(unit)
    return [
        Vetted(party.id, party.domain, "none", None, (DEMO,)) if demo else _one(unit, party, now)
        for party in terms.parties
        if party.id in sources
    ]


def _one(unit: Unit, party: Party, now: datetime) -> Vetted:
    last = inspections.get(unit, _subject(party.id))
    if last is None or last.about != party.domain:
        never = Finding("Domain", "red", f"{party.domain} was never looked at.", _DO)
        return Vetted(party.id, party.domain, "red", None, (never,))
    found = tuple(Finding.from_json(one) for one in last.findings)
    if last.at + MAX_AGE < now:
        hours = int(MAX_AGE.total_seconds()) // 3600
        old = Finding("Domain", "red", f"Nobody looked at it for {hours} hours.", _DO)
        found = (old, *found)
    return Vetted(party.id, party.domain, worst(found), last.at, found)


def must_stand(unit: Unit, terms: Agreement, sources: Sequence[str], now: datetime) -> None:
    """Refuse while a source's sending domain is red; raises NotReady, which names the first."""
    if why := red(unit, terms, sources, now):
        raise NotReady(f"{why}; the operator has to mend it")


def red(unit: Unit, terms: Agreement, sources: Sequence[str], now: datetime) -> str:
    """Say which sending domain is red, and why; empty when none is."""
    for one in vetted(unit, terms, sources, now):
        if one.level == "red":
            bad = next(each for each in one.findings if each.level == "red")
            return f"the sending domain {one.name} is red: {bad.point}, {bad.what.rstrip('.')}"
    return ""


def of_campaign(unit: Unit, one: campaigns.Campaign, now: datetime) -> list[Vetted]:
    """The domains that a campaign's letters leave from; of a draft, all that may be."""
    terms = agree.terms(unit, one.race)
    sources = one.manifest["sources"] if one.manifest else [p.id for p in terms.parties]
    return vetted(unit, terms, sources, now)


def is_demo(unit: Unit) -> bool:
    """Whether this is a demo, whose settings let letters reach nothing but this machine."""
    try:
        return bool(json.loads(texts.get(unit, "invite")).get("demo"))
    except Missing:
        return False


def _subject(partner: str) -> str:
    return f"domain {partner}"

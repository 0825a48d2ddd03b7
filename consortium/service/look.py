"""What a partner and a coordinator may see of a race; nothing here is an exact count of people."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from consortium.service import agree, choose, show, thaw, unusable
from consortium.service.errors import NotReady
from consortium.store import (
    actors,
    campaigns,
    contributions,
    epochs,
    log,
    races,
    texts,
)
from consortium.store.errors import Missing
from consortium.store.unit import Unit
from mailer.written import signed
from policies import disclosure
from policies.agreement import Agreement
from policies.authorise import Caller, require
from policies.budget import looks_left as whole_looks
from policies.budget import opened as empty_ledger
from policies.parts import ADHOC, PARTS
from provenance.backend import Backend
from provenance.evidence import write_file as receipt_file


@dataclass(frozen=True, slots=True)
class PartnerView:
    """A partner as everybody may see it."""

    id: str
    name: str
    domain: str
    relation: str


@dataclass(frozen=True, slots=True)
class RaceView:
    """The race, who is in it, and what could break its promises."""

    id: str
    name: str
    office: str
    election_date: date
    time_zone: str
    opens: datetime
    closes: datetime
    trust: str
    threshold: int
    custodians: list[str]
    partners: list[PartnerView]
    witnesses: list[str]
    quorum: int
    demo: bool
    epsilon: str
    advantage: str
    postal_address: str
    paid_for_by: str
    letters_per_week: int
    letters_per_race: int
    languages: tuple[str, ...] = ("en",)
    """Those of the agreement, the first one first."""


@dataclass(frozen=True, slots=True)
class ApprovalView:
    """One partner's yes, and its check of its own rows."""

    partner: str
    name: str
    approved: datetime | None
    attested: datetime | None


@dataclass(frozen=True, slots=True)
class CampaignView:
    """A campaign as its coordinator and its partners see it."""

    id: str
    state: str
    definition: dict[str, Any]
    template: dict[str, Any]
    messenger: dict[str, str]
    window: dict[str, str]
    manifest: dict[str, Any] | None
    digest: str | None
    approvals: list[ApprovalView]
    shown: str
    low: int
    high: int
    progress: int
    waiting_for: str
    at: datetime
    scheduled: datetime | None
    others: list[ApprovalView] = field(default_factory=list)
    """Parties whose lists are not used: each checks that none of its rows is in the set."""


@dataclass(frozen=True, slots=True)
class ContributionView:
    """A bundle as its own partner sees it."""

    id: str
    state: str
    at: datetime
    leaf: str
    index: int | None
    size_class: int
    frozen: bool = False
    """Whether so many of its readers stopped that no letter leaves from it for now."""
    stands: str = "now"
    """Whether the race stands in this bundle's epoch (now), will (next), or has left it (past)."""
    twins: tuple[str, ...] = ()
    """The same list's live bundles in other epochs: who takes back one takes back all."""
    unusable: str = ""
    """Why the list cannot be matched as it was uploaded; empty when nothing is known."""


@dataclass(frozen=True, slots=True)
class BudgetView:
    """Fresh looks left and in all; they never come back."""

    looks_left: int
    looks_total: int


def race(unit: Unit) -> RaceView:
    """The installation's race."""
    one = races.first(unit)
    terms = agree.terms(unit, one.id)
    invite = json.loads(texts.get(unit, "invite"))
    names = {actor.id: actor.name for actor in actors.everyone(unit, "custodian")}
    rho = sum(part.limit for name, part in PARTS.items() if name != "D") / 1_000_000
    return RaceView(
        id=one.id,
        name=terms.race.name,
        office=terms.race.office,
        election_date=terms.race.election_date,
        time_zone=terms.race.time_zone,
        opens=terms.opens,
        closes=terms.closes,
        trust=terms.trust,
        threshold=terms.threshold,
        custodians=[names.get(one.id, one.id) for one in terms.custodians],
        partners=[PartnerView(p.id, p.name, p.domain, p.relation) for p in terms.parties],
        witnesses=[witness["name"] for witness in invite["witnesses"]],
        quorum=int(invite["quorum"]),
        demo=bool(invite.get("demo")),
        epsilon=f"{disclosure.epsilon_of(rho, 1e-6):.1f}",
        advantage=f"{100 * disclosure.advantage_bound(rho):.0f}",
        postal_address=terms.postal_address,
        paid_for_by=terms.paid_for_by,
        letters_per_week=terms.caps.letters_per_week,
        letters_per_race=terms.caps.letters_per_race,
        languages=terms.languages,
    )


def campaign_list(unit: Unit, caller: Caller) -> list[CampaignView]:
    """Every campaign that the caller may see; partners see all that ask any of them."""
    require(caller, "see_campaign")
    terms = agree.terms(unit, races.first(unit).id)
    return [
        _campaign(unit, terms, one)
        for one in campaigns.listed(unit)
        if caller.role != "partner" or one.manifest is not None
    ]


def campaign(unit: Unit, caller: Caller, id: str) -> CampaignView:
    """One campaign, or ``Missing``; a partner sees it once it asks the partners."""
    require(caller, "see_campaign")
    one = campaigns.get(unit, id)
    if caller.role == "partner" and one.manifest is None:
        raise Missing(f"no campaign {id}")
    return _campaign(unit, agree.terms(unit, one.race), one)


def _campaign(unit: Unit, terms: Agreement, one: campaigns.Campaign) -> CampaignView:
    yes = {(a.partner, a.kind): a.at for a in campaigns.approvals(unit, one.id)}
    sources: Sequence[str] = one.manifest["sources"] if one.manifest else ()
    # Who is no source says that none of its rows is in the set.
    others = {party.id for party in terms.parties} - set(sources) if one.manifest else set()
    said = None if one.estimate is None else disclosure.shown(one.estimate, ADHOC.sigma)
    return CampaignView(
        id=one.id,
        state=one.state,
        definition=one.definition,
        template=signed(one.template)
        | {name: True for name in ("nearest",) if one.template.get(name)},
        messenger=one.template["messenger"],
        window=one.template["window"],
        manifest=one.manifest,
        digest=one.digest,
        approvals=[
            ApprovalView(
                source,
                terms.party(source).name,
                yes.get((source, "approve")),
                yes.get((source, "attest")),
            )
            for source in sources
        ],
        shown="" if said is None else said.text,
        low=0 if said is None else said.low,
        high=0 if said is None else said.high,
        progress=one.progress,
        waiting_for=one.waiting_for,
        at=one.at,
        scheduled=one.scheduled,
        others=[
            ApprovalView(id, terms.party(id).name, None, yes.get((id, "attest")))
            for id in sorted(others)
        ],
    )


def contribution_list(unit: Unit, caller: Caller) -> list[ContributionView]:
    """The caller's own bundles, oldest first."""
    require(caller, "contribute", partner=caller.id)
    race, live = races.first(unit), epochs.open_now(unit)
    cold = caller.id in thaw.frozen(unit, race.id)
    found = contributions.listed(unit, partner=caller.id)
    return [
        ContributionView(
            one.id,
            one.state,
            one.at,
            one.leaf,
            log.find(unit, one.leaf).index,
            int(one.header.get("size_class", 0)),
            cold and one.state not in ("withdrawn", "ended"),
            _stands(one.epoch, race.epoch, live),
            tuple(twin.id for twin in contributions.twins(one, found)),
            unusable.why(unit, one.id) if one.state == "received" else "",
        )
        for one in found
    ]


def _stands(epoch: str, race: str, live: Sequence[str]) -> str:
    """Where an epoch is from that in which a race stands."""
    if epoch == race:
        return "now"
    after = live[live.index(race) + 1 :] if race in live else ()
    return "next" if epoch in after else "past"


def receipt(unit: Unit, caller: Caller, id: str, backend: Backend) -> dict[str, Any]:
    """A bundle's receipt: checked offline by ``trellis audit receipt``."""
    require(caller, "contribute", partner=caller.id)
    one = contributions.get(unit, id)
    if one.partner != caller.id:
        raise Missing(f"no contribution {id}")
    found = show.evidence(unit, one.leaf, backend)
    if found is None:
        raise NotReady("the log has not published this yet; try again in a moment")
    return dict(receipt_file([found], show.policy(unit), show.publics(unit)))


def budget(unit: Unit, caller: Caller, now: datetime) -> BudgetView:
    """What the caller may still ask, out of what a whole race allows."""
    one = races.first(unit)
    total = whole_looks(empty_ledger(one.id), caller.id, now)
    return BudgetView(choose.looks_left(unit, one.id, caller.id, now), total)

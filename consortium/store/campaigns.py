"""Campaigns, who said yes to them, and how far each has come."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select

from consortium.store.errors import Missing
from consortium.store.rows import frozen
from consortium.store.tables import ApprovalRow, CampaignRow
from consortium.store.unit import Unit


@dataclass(frozen=True, slots=True)
class Campaign:
    """One letter to one audience.

    States: draft, submitted, approved, frozen, attested, logged, sending, paused, stopped,
    closed. ``progress`` is a percentage of the noised size in fixed steps; no count is exact.
    ``epoch`` is that of the frozen audience's locks.
    """

    id: str
    race: str
    author: str
    state: str
    before_pause: str | None
    definition: dict[str, Any]
    template: dict[str, Any]
    manifest: dict[str, Any] | None
    digest: str | None
    estimate: int | None
    nonce: str | None
    root: str | None
    audience_digest: str | None
    epoch: str | None
    intent_leaf: str | None
    scheduled: datetime | None
    progress: int
    waiting_for: str
    at: datetime
    closed: datetime | None


@dataclass(frozen=True, slots=True)
class Approval:
    """A partner said yes (``approve``) or checked its own rows (``attest``)."""

    campaign: str
    partner: str
    kind: str
    leaf: str
    at: datetime


def add(unit: Unit, new: Campaign) -> None:
    """Keep a new campaign."""
    unit.session.add(CampaignRow(**{name: getattr(new, name) for name in Campaign.__slots__}))
    unit.session.flush()


def get(unit: Unit, id: str) -> Campaign:
    """The campaign with this id, or ``Missing``."""
    row = unit.get(CampaignRow, id)
    if row is None:
        raise Missing("no campaign has that id")
    return frozen(Campaign, row)


def listed(unit: Unit, *, states: tuple[str, ...] = ()) -> list[Campaign]:
    """Campaigns, newest first; only those in ``states`` when given."""
    query = select(CampaignRow).order_by(CampaignRow.at.desc(), CampaignRow.id)
    if states:
        query = query.where(CampaignRow.state.in_(states))
    return [frozen(Campaign, row) for row in unit.session.scalars(query)]


def change(unit: Unit, id: str, **columns: Any) -> None:
    """Set columns of one campaign."""
    row = unit.get(CampaignRow, id)
    if row is None:
        raise Missing("no campaign has that id")
    for name, value in columns.items():
        setattr(row, name, value)


def approve(unit: Unit, new: Approval) -> None:
    """Keep a partner's yes; the first one of its kind stays."""
    if unit.get(ApprovalRow, (new.campaign, new.partner, new.kind)) is None:
        unit.session.add(ApprovalRow(**{name: getattr(new, name) for name in Approval.__slots__}))


def approvals(unit: Unit, campaign: str, kind: str | None = None) -> list[Approval]:
    """Who said yes so far, by partner."""
    query = select(ApprovalRow).where(ApprovalRow.campaign == campaign)
    if kind is not None:
        query = query.where(ApprovalRow.kind == kind)
    return [
        frozen(Approval, row) for row in unit.session.scalars(query.order_by(ApprovalRow.partner))
    ]


def unattest(unit: Unit, campaign: str) -> None:
    """Forget who checked an audience that is no longer the campaign's; their entries stand."""
    unit.session.execute(
        delete(ApprovalRow).where(ApprovalRow.campaign == campaign, ApprovalRow.kind == "attest")
    )

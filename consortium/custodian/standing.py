"""How a custodian stands: what was used, opened, held and seen; read once from its own books."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from consortium.custodian.errors import HomeUnready
from consortium.custodian.ledger import Ledger
from consortium.custodian.oddities import odd_about
from consortium.custodian.settings import Registry, Settings
from matching.evaluation import BATCH, block_points, moment
from matching.statement import Statement
from provenance.errors import ProvenanceError
from provenance.quorum import Policy

WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Share:
    """One share that is held, and of how many it is one."""

    purpose: str
    epoch: str
    version: int
    threshold: int
    holders: int


@dataclass(frozen=True, slots=True)
class Account:
    """What one actor has had evaluated under the key of one epoch, in batches of 4,096 points.

    Attributes:
        uploads: how many full uploads of its size class the rest is enough for.
        consented: false for a steward whose bulk run this custodian has not agreed to.
        reserved: batches of it that the log shows as reserved here.
        odd: what somebody should look at, in words; it stops nobody.
    """

    actor: str
    role: str
    epoch: str
    used: int
    allowed: int
    uploads: int
    consented: bool = True
    reserved: int = 0
    odd: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Campaign:
    """What was opened for one campaign."""

    campaign: str
    week: int
    total: int
    state: str


@dataclass(frozen=True, slots=True)
class Epoch:
    """When an epoch ends, as far as this custodian can know; days as in 2026-11-21.

    Attributes:
        place: ``present``, ``next``, or ``over`` when the invite names it no more.
        letters: the last day of a letter that was opened here and is not closed; empty for none.
        ended: the day from which too few shares of either key are left, as custodians said in the
            log; empty while they are not.
    """

    epoch: str
    place: str
    letters: str = ""
    ended: str = ""


@dataclass(frozen=True, slots=True)
class Countersigned:
    """What this custodian countersigned of the mail machine's keys.

    Attributes:
        keys: name and day of each, the newest last.
        again: the day from which it countersigns another one; empty when it would now.
    """

    keys: tuple[tuple[str, str], ...] = ()
    again: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything that `trellis custodian status` says.

    Attributes:
        running: a process has the shares open.
        protection: kind of wrapping, or None.
        epochs: those of the invite, the present one first; none before joining.
        locks: how many rows are known, of which so many were withdrawn for good.
        entries, seen: size of the newest tree of the log that was believed, and when it was
            cosigned.
        splits: sizes for which the log showed two roots.
        forks: pairs of checkpoints kept that prove the log was rewritten.
        restored: the books were put back, and the log has not yet shown what they lack.
        untold: the books were put back, and not enough others have told what they lack.
        endings: purpose, epoch and words for each key of which custodians destroyed shares.
        ends: when each epoch ends of which a share is, or was, held here.
        told: by whom they were told, and when, the last time that they were put back.
        doubts: openings that only the log knows of; they keep other letters shut.
        over: purpose and epoch of each share that is gone, and why: ``destroyed``, ``given up``.
    """

    id: str
    url: str
    running: bool
    protection: str | None
    hours: str
    opens: datetime | None
    shares: tuple[Share, ...]
    epochs: tuple[str, ...]
    accounts: tuple[Account, ...]
    campaigns: tuple[Campaign, ...]
    locks: int
    withdrawn: int
    entries: int
    seen: datetime | None
    splits: tuple[int, ...]
    over: tuple[tuple[str, str, str], ...] = ()
    forks: int = 0
    restored: bool = False
    doubts: int = 0
    untold: bool = False
    told: str = ""
    endings: tuple[tuple[str, str, str], ...] = ()
    ends: tuple[Epoch, ...] = ()
    countersigned: Countersigned = field(default_factory=Countersigned)

    def to_json(self) -> dict[str, Any]:
        """Return all of it for a machine."""
        moments = {
            name: at.isoformat() if at else None
            for name, at in (("seen", self.seen), ("opens_next", self.opens))
        }
        shown = {name: value for name, value in asdict(self).items() if name != "opens"}
        return {**shown, **moments}


def stand(
    settings: Settings, registry: Registry, ledger: Ledger, now: datetime, *, running: bool
) -> Standing:
    """Read a custodian's books."""
    counts, protection = ledger.status(), ledger.protection()
    shares, epochs = ledger.shares(), _epochs(registry)
    return Standing(
        id=settings.id,
        url=settings.url,
        running=running,
        protection=protection.kind if protection else None,
        hours=settings.hours.said(),
        opens=None if settings.hours.open_at(now) else settings.hours.opens(now),
        shares=tuple(
            Share(one.purpose, one.epoch, one.version, one.threshold, len(one.ids))
            for one in shares
        ),
        epochs=epochs,
        accounts=tuple(_accounts(settings, registry, ledger, shares, now)) if epochs else (),
        campaigns=tuple(Campaign(*one) for one in ledger.opened(now - WEEK)),
        locks=counts["roster"],
        withdrawn=counts["withdrawn"],
        entries=counts["tree"],
        seen=_seen(registry, ledger) if epochs else None,
        splits=tuple(counts["splits"]),
        forks=counts["forks"],
        restored=counts["restored"],
        doubts=counts["doubts"],
        untold=counts["untold"],
        told=ledger.caught_up(),
        endings=tuple(_endings(registry, ledger)) if epochs else (),
        ends=tuple(_ends(registry, ledger, epochs)) if epochs else (),
        countersigned=_countersigned(settings, ledger, now),
        over=tuple((one["purpose"], one["epoch"], one["why"]) for one in counts["over"]),
    )


def _epochs(registry: Registry) -> tuple[str, ...]:
    """The epochs that the invite names; none before joining."""
    try:
        invite = registry.invite
    except HomeUnready:
        return ()
    return tuple(str(invite[name]) for name in ("epoch", "next_epoch") if invite.get(name))


def _accounts(
    settings: Settings,
    registry: Registry,
    ledger: Ledger,
    shares: Sequence[Statement],
    now: datetime,
) -> Iterator[Account]:
    spent = {(sid, actor): points for sid, actor, points in ledger.spent()}
    for one in registry.invite["actors"]:
        if one["role"] not in ("partner", "steward"):
            continue
        actor = registry.actor(one["id"], one["role"])
        _, raised = ledger.agreement_on(registry.invite, actor.id)
        allowed, whole = settings.allowed(actor, raised), block_points(max(actor.rows, raised))
        for key in (one for one in shares if one.purpose == "match"):
            used = spent.get((key.sid, actor.id), 0)
            yield Account(
                actor.id,
                actor.role,
                key.epoch,
                used // BATCH,
                allowed // BATCH,
                max(allowed - used, 0) // whole,
                actor.role != "steward" or ledger.consented(actor.id, key.epoch),
                ledger.account(key.sid, actor.id).reserved // BATCH,
                tuple(odd_about(ledger, actor.id, used, whole, now)),
            )


def _endings(registry: Registry, ledger: Ledger) -> Iterator[tuple[str, str, str]]:
    """What custodians said in the log of keys of which a share is, or was, held here."""
    publics = registry.custodians()
    for one in (*ledger.all_destroyed(), *ledger.shares()):
        found = ledger.ending(one, publics)
        if found.destroyed:
            yield one.purpose, one.epoch, found.words


def _ends(registry: Registry, ledger: Ledger, epochs: Sequence[str]) -> Iterator[Epoch]:
    statements = (*ledger.all_destroyed(), *ledger.shares())
    publics, windows = registry.custodians(), ledger.last_windows()
    places = dict(zip(epochs, ("present", "next"), strict=False))
    for epoch in sorted({*epochs, *(one.epoch for one in statements)}):
        hours = [ledger.ended(one, publics) for one in statements if one.epoch == epoch]
        ended = [_day(hour) for hour in hours if hour]
        letters = max((_day(moment(one)) for one in windows.get(epoch, ())), default="")
        yield Epoch(epoch, places.get(epoch, "over"), letters, min(ended, default=""))


def _countersigned(settings: Settings, ledger: Ledger, now: datetime) -> Countersigned:
    given = [(name, datetime.fromisoformat(at)) for _, name, at in ledger.given()]
    again = given[-1][1] + settings.rotation if given else now
    keys = tuple((name, _day(at)) for name, at in given)
    return Countersigned(keys, _day(again) if again > now else "")


def _day(at: datetime) -> str:
    return at.date().isoformat()


def _seen(registry: Registry, ledger: Ledger) -> datetime | None:
    """When the newest tree that was believed had its quorum; by the witnesses' clocks."""
    note = ledger.newest_checkpoint()
    try:
        return Policy.from_invite(registry.invite).check(note.encode()).at if note else None
    except ProvenanceError:
        return None  # believed under an earlier invite's witnesses

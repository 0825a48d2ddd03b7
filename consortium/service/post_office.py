"""The mail machine's parts, as the service is handed them; nothing here opens a row by itself."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from consortium.custodians import Shown
from consortium.service import enter
from consortium.service.put_back import Marks
from consortium.store import campaigns, leases
from consortium.store.artefacts import Artefacts
from consortium.store.deliveries import Delivery
from consortium.store.unit import Unit, Units
from mailer import letter, pace
from mailer.dkim import Signer
from mailer.seal import Payload
from mailer.transports import Sent, Transport
from matching.nearest import Chart
from policies.agreement import Agreement
from provenance.backend import Backend

LEASE = timedelta(seconds=90)
"""Renewed while letters leave. Longer than RENEW_EVERY and the transport's patience together, so
that a worker whose lease has run out has no letter whose last dot is still to leave."""
RENEW_EVERY = 15.0


@dataclass(frozen=True, slots=True)
class MailKeys:
    """What only the mail machine holds, beside its HPKE key and the DKIM keys."""

    delivery: bytes = field(repr=False)
    stop: bytes = field(repr=False)
    choice: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SealedRow:
    """One row as it lies in its bundle, and what its key is bound to."""

    bundle: str
    tag: bytes
    lock: bytes
    sealed: bytes = field(repr=False)
    wrapped: bytes = field(repr=False)
    header: Mapping[str, Any] = field(repr=False)
    under: str | None = None
    """SHA-256, in hex, of the mailer's public key that ``wrapped`` is wrapped to."""
    file: str = ""
    """The artefact that it was read from: a successor of that may not have it any more."""


@dataclass(frozen=True, slots=True)
class Rest:
    """Why a partner's letters rest, after how many tries, and until when."""

    tries: int
    until: datetime
    why: str


class Custodians(Protocol):
    """Who helps to open a campaign's rows."""

    def shared(self, shown: Shown) -> dict[bytes, bytes]:
        """The shared point of every lock that is not retired; raises when too few help."""

    def find_liar(self, campaign: str, lock: bytes) -> None:
        """Ask for proofs where a row did not open; raises naming who answered wrongly."""

    def close(self, campaign: str) -> bool:
        """Ask for the signed totals; whether so many gave theirs that none can be opened again."""


class Written(Protocol):
    """Writes the letters of one campaign."""

    def ready(self, item: Delivery) -> None:
        """Prepare what a letter needs in any language; raises what would stop it being written."""

    def write(self, item: Delivery, payload: Payload, recipient: letter.Recipient) -> letter.Letter:
        """One whole letter, in the reader's language and of their place."""


class Doubts(Protocol):
    """The MTA's own log, if it has one."""

    def accepted(self, verp: str) -> str | None:
        """The queue id under which the MTA took a letter from this return path."""

    def begun(self, message_id: str, since: datetime) -> bool:
        """Whether a letter with this id began to come since then, and none can say how it ended."""

    def complete_since(self, at: datetime) -> bool:
        """Whether the log surely holds everything that the MTA took since then."""


@dataclass
class PostOffice:
    """Where letters are made: the one process that may open a row.

    Args:
        settled_after: how long after a worker's end the MTA has surely logged what it took.
        dead: names of earlier workers that are proven to have ended; their leases are void.
        pen: signs what the mail machine says in the log; without it, it says nothing there.
        chart: the installation's points, by which the nearest messenger is found.
    """

    units: Units
    artefacts: Artefacts
    log_files: Backend
    clock: Callable[[], datetime]
    keys: MailKeys
    custodians: Custodians
    open_row: Callable[[SealedRow, bytes], Payload]
    transport: Callable[[], Transport]
    signers: Mapping[str, Signer]
    doubts: Doubts | None
    public_url: str
    per_second: float
    name: str
    sunset: int = 0
    """Letters to one address without a sign of life, after which none leaves; 0: no such end."""
    sleep: Callable[[float], None] = time.sleep
    settled_after: timedelta = timedelta(seconds=60)
    dead: frozenset[str] = frozenset()
    pen: enter.Pen | None = None
    chart: Callable[[], Chart] = Chart
    marks: Marks | None = None
    """Tells whether the database was put back; without it nobody notices."""
    points: dict[str, tuple[str, dict[bytes, bytes]]] = field(default_factory=dict, repr=False)
    rows: dict[str, dict[tuple[str, int], SealedRow]] = field(default_factory=dict, repr=False)
    withheld: dict[str, tuple[str, frozenset[int]]] = field(default_factory=dict, repr=False)
    """By campaign: the newest slice that was looked at, and the people whom it withholds."""
    drawn: dict[str, tuple[str, dict[bytes, int]]] = field(default_factory=dict, repr=False)
    """By campaign: its frozen audience's digest, and the household of each of its rows."""
    mates: dict[str, tuple[str, dict[int, tuple[int, ...]]]] = field(
        default_factory=dict, repr=False
    )
    """By campaign: the newest slice that was looked at, and who of it lives with whom."""
    lanes: pace.Lanes = field(default_factory=lambda: pace.Lanes(1e6), repr=False)
    """How fast each receiving domain takes letters; known of opened rows, and here alone."""
    held: dict[str, dict[str, datetime]] = field(default_factory=dict)
    """By campaign: letters whose receiving domain rests, by id, and until when."""
    first_day: int = 0
    """Letters of a new sending domain's first day; 0: every domain is known to receivers."""
    rest: dict[str, datetime] = field(default_factory=dict)
    parked: dict[str, dict[str, Rest]] = field(default_factory=dict)
    found: dict[str, datetime] = field(default_factory=dict)
    asked: dict[str, datetime] = field(default_factory=dict)

    def forget(self, campaign: str) -> None:
        """Let go of everything that was kept in memory to open a campaign's rows."""
        self.points.pop(campaign, None)
        self.rows.pop(campaign, None)
        self.parked.pop(campaign, None)
        self.held.pop(campaign, None)
        self.withheld.pop(campaign, None)
        self.mates.pop(campaign, None)
        self.drawn.pop(campaign, None)


@dataclass
class Run:
    """One worker's turn at one campaign."""

    office: PostOffice
    one: campaigns.Campaign
    terms: Agreement
    fence: int
    closes: datetime
    letters: Written
    transport: Transport
    interval: float
    renewed: float = field(default_factory=time.monotonic)
    taken: list[tuple[Delivery, Sent]] = field(default_factory=list, repr=False)
    """Letters that the mail server has taken, and of which the outbox is not told yet."""
    taken_at: float = 0.0
    """When the first of them was, by the monotonic clock."""


def lease(office: PostOffice, unit: Unit, campaign: str) -> int:
    """Take or renew this worker's lease of a campaign; its fence.

    Raises:
        LeaseLost: another worker that may be alive has it.
    """
    return leases.lease(
        unit, f"mail {campaign}", office.name, LEASE, office.clock(), dead=office.dead
    )


def hold(office: PostOffice, unit: Unit, campaign: str, fence: int) -> None:
    """Check that the campaign is still this worker's; raises LeaseLost."""
    leases.holds(unit, f"mail {campaign}", office.name, fence, office.clock())

"""A post office over a real store, real seals and dealt keys; only the network is in memory."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from consortium.clock import Standing
from consortium.custodians import CustodianLied, Shown
from consortium.service import approve, send
from consortium.store import campaigns, contributions, deliveries, frames, races
from consortium.store.deliveries import Delivery
from consortium.store.unit import Unit, Units
from mailer import arms, unseal
from mailer.errors import AddressRefused
from mailer.seal import Payload, seal
from mailer.transports import InDoubt, Outcome, Sent
from matching import group, locks
from matching.bundle import BundleRow, write_rows
from policies import agreement
from policies.approvals import manifest_digest
from tests.databases import NOON
from tests.fakes.dealer import split
from tests.fakes.server import EPOCH, RACE, Server, write_attributes
from tests.fakes.transports import MemoryTransport

MORNING = NOON + timedelta(hours=4)  # eleven in the race's own zone: no quiet hour
SECRET = group.reduce(hashlib.sha512(b"a dealt key of tests").digest())
STATEMENT, SHARES = split(SECRET, threshold=2, ids=("c1", "c2", "c3"), purpose="seal")
DEK = hashlib.sha256(b"a bundle's key").digest()
LETTER = """<mjml><mj-body><mj-section><mj-column><mj-text>
<p>Hi {{ first_name | neighbor }}, come on Saturday.</p>
</mj-text></mj-column></mj-section></mj-body></mjml>"""
Member = tuple[int, str]  # roll row, address


class Shares:
    """Two of three custodians, who answer with what they were dealt; ``lies`` makes one lie."""

    def __init__(self) -> None:
        self.lies = False
        self.asked = self.proofs = 0
        self.closed: list[str] = []
        self.answering = 2
        self.broken: Exception | None = None

    def shared(self, shown: Shown) -> dict[bytes, bytes]:
        self.asked += 1
        if self.broken is not None:
            raise self.broken
        whole = b"".join(shown.locks)
        made = [
            _answers(SHARES["c1"], 1, whole),
            _answers(SHARES["c3" if self.lies else "c2"], 2, whole),
        ]
        points = _combine(made)
        return {lock: points[n * 32 : n * 32 + 32] for n, lock in enumerate(shown.locks)}

    def find_liar(self, campaign: str, lock: bytes) -> None:
        self.proofs += 1
        if self.lies:
            raise CustodianLied("c2")

    def close(self, campaign: str) -> bool:
        self.closed.append(campaign)
        return self.answering >= 2


def _answers(share: bytes, index: int, whole: bytes) -> bytes:
    return locks.share_answers(share, index, [1, 2], whole)


def _combine(made: Sequence[bytes]) -> bytes:
    return locks.combine(made)


@dataclass
class Log:
    """The MTA's log: what it took, and whether it goes back far enough."""

    taken: dict[str, str] = field(default_factory=dict)
    complete: bool = True
    broken_off: set[str] = field(default_factory=set)

    def accepted(self, verp: str) -> str | None:
        return self.taken.get(verp)

    def begun(self, message_id: str, since: datetime) -> bool:
        return message_id in self.broken_off

    def complete_since(self, at: datetime) -> bool:
        return self.complete


class Mta(MemoryTransport):
    """An MTA in memory with a log; ``before`` is called as each letter arrives."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self.log = log
        self.before: list[Any] = []
        self.answers: dict[str, list[Outcome | Exception]] = {}

    def send(self, sender: str, recipient: str, message: bytes, **asked: Any) -> Outcome:
        for act in self.before:
            act(recipient)
        planned = self.answers.get(recipient, [])
        if planned:
            answer = planned.pop(0)
            if isinstance(answer, Exception):
                raise answer
            if isinstance(answer, InDoubt) and answer.text == "taken":
                self.taken.append((sender, recipient, message))
                self.log.taken[sender] = "Q9"
            if not isinstance(answer, Sent):
                return answer
        outcome = super().send(sender, recipient, message, **asked)
        if isinstance(outcome, Sent):
            self.log.taken[sender] = str(outcome.queue_id)
        return outcome

    @property
    def to(self) -> list[str]:
        return [recipient for _, recipient, _ in self.taken]


def office(server: Server, **more: Any) -> send.PostOffice:
    """The mail machine's worker at a server, with the keys of tests; ``more`` is what differs."""
    whole: dict[str, Any] = {
        "units": server.units,
        "artefacts": server.artefacts,
        "log_files": server.backend,
        "clock": server.clock,
        "keys": send.MailKeys(b"d" * 32, b"s" * 32, b"c" * 32),
        "signers": {},
        "public_url": "https://trellis.example",
        "per_second": 1000.0,
        "settled_after": timedelta(seconds=30),
    }
    return send.PostOffice(**{**whole, **more})


LONG = 600.0
"""Seconds of real time for one turn, so that a busy machine ends none early."""


class Post:
    """One consortium's mail machine, and everything that it reads."""

    def __init__(self, server: Server, folder: Path, *, planted: bool = False) -> None:
        """Args: ``planted`` says that another process has set it up already."""
        self.server, self.folder = server, folder
        self.units: Units = server.units
        self.clock: Standing = server.clock
        self.custodians, self.log = Shares(), Log()
        self.mta = Mta(self.log)
        self.naps: list[float] = []
        if not planted:
            server.sign_agreement()
            server.publish()
            self.clock.now = MORNING
        self.office = self.new_office("first")

    def new_office(self, name: str, **other: Any) -> send.PostOffice:
        """Another worker with the same keys."""
        whole: dict[str, Any] = {
            "custodians": self.custodians,
            "open_row": self.open_row,
            "transport": lambda: self.mta,
            "doubts": self.log,
            "name": name,
            "sleep": self.naps.append,
        }
        return office(self.server, **{**whole, **other})

    def open_row(self, row: send.SealedRow, shared: bytes) -> Payload:
        return unseal.unseal(
            row.sealed,
            dek=DEK,
            shared=shared,
            bundle=UUID(row.bundle).bytes,
            tag=row.tag,
            lock=row.lock,
        )

    def bundle(self, partner: str, number: int, members: Sequence[Member]) -> frames.Part:
        """A matched bundle of really sealed rows."""
        id = str(UUID(int=number << 64 | 0x4000800000000000))
        rows, tokens = [], {}
        for row, (_, address) in enumerate(members):
            r = group.reduce(secrets.token_bytes(64))
            entry = locks.make_entry(EPOCH, secrets.token_bytes(32), r)
            sealed = seal(
                Payload(address, "Ana"),
                dek=DEK,
                shared=locks.shared_point(r, STATEMENT.commitments[0]),
                bundle=UUID(id).bytes,
                tag=entry.tag,
                lock=entry.lock,
            )
            if address.startswith("torn"):
                sealed = sealed[:-1] + bytes([sealed[-1] ^ 1])
            rows.append(BundleRow(row, entry.tag, entry.lock, entry.proof, sealed))
            tokens[row] = hashlib.sha256(address.lower().encode()).digest()[:16]
        path = self.folder / f"{id}.parquet"
        write_rows(path, rows)
        new = contributions.Contribution(
            id=id,
            partner=partner,
            epoch=EPOCH,
            state="matched",
            header={"size_class": 256},
            wrapped=b"wrapped",
            rows_digest=self.server.artefacts.put(path),
            outputs_digest=None,
            tokens_digest=None,
            links_digest=None,
            linked_roll=None,
            rostered=True,
            leaf=secrets.token_hex(32),
            at=self.clock(),
        )
        self.units.run("bundle", lambda unit: contributions.add(unit, new))
        chosen = {row: person for row, (person, _) in enumerate(members)}
        return frames.Part(id, partner, path, chosen, tokens)

    def campaign(self, id: str, *parts: frames.Part, **other: Any) -> str:
        """A logged campaign over these bundles, scheduled for now."""
        people = sorted({person for part in parts for person in part.chosen.values()})
        attributes = self.folder / "attributes.parquet"
        write_attributes(
            attributes, [(n, "44-1", "State House 44", "43601", "18-34", "0") for n in people]
        )
        out = self.folder / f"{id}.parquet"
        frames.write_audience(out, attributes, parts)
        template = {
            "subject": "Saturday",
            "mjml": LETTER,
            "text": None,
            "messenger": {"name": "Maria Trujillo", "place": "Toledo"},
            "window": {"opens": _stamp(MORNING), "closes": _stamp(MORNING + timedelta(days=6))},
        }
        template.update(other.pop("template", {}))
        sources = sorted({part.partner for part in parts})
        manifest = {
            "campaign": id,
            "race": RACE,
            "definition": {"places": {"precinct": ["44-1"]}},
            "sources": sources,
            "template": approve.template_digest(template),
            "agreement": agreement.digest(self.server.agreement),
            "links": [],
            "sender": {
                one: {"from": f"Maria Trujillo for {one.title()}", "domain": f"{one}.example"}
                for one in sources
            },
            "window": template["window"],
            "messenger": template["messenger"],
            "size_class": 256,
        }
        if template.get("arms"):
            manifest["arms"] = list(arms.shares(template))

        def add(unit: Unit) -> None:
            [leaf, *_] = races.signatures(unit, RACE).values()  # any leaf that is in the log
            new = campaigns.Campaign(
                id=id,
                race=RACE,
                author="cora",
                state="logged",
                before_pause=None,
                definition=manifest["definition"],
                template=template,
                manifest=manifest,
                digest=manifest_digest(manifest),
                estimate=300,
                nonce="ab" * 32,
                root="cd" * 32,
                audience_digest=self.server.artefacts.put(out),
                epoch=EPOCH,
                intent_leaf=leaf,
                scheduled=self.clock(),
                progress=0,
                waiting_for="",
                at=self.clock(),
                closed=None,
            )
            campaigns.add(unit, replace(new, **other))

        self.units.run("campaign", add)
        return id

    # Looking and moving

    def go(self, id: str, office: send.PostOffice | None = None) -> None:
        send.send(office or self.office, id, seconds=LONG)

    def later(self, **time: float) -> None:
        self.clock.now += timedelta(**time)

    def letters(self, id: str) -> list[Delivery]:
        every = ("pending", "claimed", "sent", "deferred", "failed", "in_doubt", "dropped")
        return self.units.run("letters", lambda unit: deliveries.in_state(unit, id, every))

    def states(self, id: str) -> dict[str, int]:
        return self.units.read("states", lambda unit: deliveries.count(unit, id))

    def state(self, id: str) -> campaigns.Campaign:
        return self.units.run("state", lambda unit: campaigns.get(unit, id))

    def change(self, id: str, **columns: Any) -> None:
        self.units.run("change", lambda unit: campaigns.change(unit, id, **columns))

    def sent_to(self, address: str) -> Delivery:
        """The letter that went to an address."""
        raw = next(sender for sender, to, _ in self.mta.taken if to == address)
        hashed = hashlib.sha256(raw.encode()).hexdigest()
        every = self.units.run("all", campaigns.listed)
        return next(
            one for campaign in every for one in self.letters(campaign.id) if one.verp == hashed
        )


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def refused() -> AddressRefused:
    """What a transport raises for an address that it will not put into a command."""
    return AddressRefused("the part before the @ is missing or needs quoting")


@pytest.fixture
def post(server: Server, tmp_path: Path) -> Post:
    """A post office on SQLite."""
    return Post(server, tmp_path)

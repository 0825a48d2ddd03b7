"""Real custodians on loopback, each with its own home and database, around a log in memory."""

import json
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consortium.cli.tokenise import evaluate_inputs
from consortium.custodian.answers import Custodian
from consortium.custodian.app import create_app
from consortium.custodian.backups import put_back
from consortium.custodian.ceremony import Ceremony, HttpPeers
from consortium.custodian.ledger import Key, Ledger
from consortium.custodian.settings import Registry, Settings
from consortium.custodians import CustodianAddress
from matching import group
from matching.envelope import Message, close
from matching.evaluation import stamp
from matching.statement import Statement
from tests.fakes.dealer import split
from tests.fakes.memory_log import MemoryFollow, MemoryLog, MemoryNeighbours, Shared
from tests.servers import free_port

EPOCH, RACE = "2026-season", "kent-44"
IDS = ("ann", "bea", "cyd")
ROLES = {
    "union": "partner",
    "league": "partner",
    "parks": "partner",
    "clerk": "steward",
    "mailer": "mailer",
    "operator": "operator",
    "lead": "coordinator",
}


def public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


class Rosters:
    """What the operator's API would serve; custodians pull from it."""

    def __init__(self) -> None:
        self.chunks: dict[int, tuple[bytes, dict[str, Any]]] = {}
        self.following: dict[str, dict[int, tuple[bytes, dict[str, Any]]]] = {}

    def of(self, epoch: str) -> dict[int, tuple[bytes, dict[str, Any]]]:
        """The chunks of one epoch."""
        return self.chunks if epoch == EPOCH else self.following.setdefault(epoch, {})

    def roster(self, epoch: str) -> list[dict[str, Any]]:
        return [{"chunk": n, "evidence": proof} for n, (_, proof) in self.of(epoch).items()]

    def roster_chunk(self, epoch: str, chunk: int) -> bytes:
        return self.of(epoch)[chunk][0]


@dataclass
class Host:
    """One custodian: its parts, and a server that can be taken down."""

    settings: Settings
    ledger: Ledger
    registry: Registry
    log: MemoryLog
    follow: MemoryFollow
    custodian: Custodian
    server: uvicorn.Server | None = None
    thread: threading.Thread | None = None
    sockets: list[socket.socket] = field(default_factory=list)

    def up(self) -> None:
        host, _, port = self.settings.listen.rpartition(":")
        current: Any = Current(self)
        config = uvicorn.Config(
            create_app(current), host=host, port=int(port), log_level="critical"
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        while not self.server.started:
            assert self.thread.is_alive(), "the server did not begin to listen"
            time.sleep(0.005)

    def down(self) -> None:
        if self.server and self.thread:
            self.server.should_exit = True
            self.thread.join(timeout=60)
            self.server = self.thread = None


class Current:
    """Whoever stands in a host's place at this moment: a test may put a liar there."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def __getattr__(self, name: str) -> Any:
        return lambda *given: getattr(self._host.custodian, name)(*given)


class World:
    """Custodians, actors, one log, one clock."""

    def __init__(self, folder: Path, ids: tuple[str, ...] = IDS, threshold: int = 2) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.log, self.rosters = Shared(self.now), Rosters()
        self.keys = {one: Ed25519PrivateKey.generate() for one in (*ROLES, *ids)}
        self.threshold, self.ids = threshold, ids
        self.client = httpx.Client(timeout=60)
        ports = {one: free_port() for one in ids}
        actors = [
            {
                "id": one,
                "role": ROLES.get(one, "custodian"),
                "name": one,
                "public": public(key).hex(),
            }
            for one, key in self.keys.items()
        ]
        self.invite = {
            "epoch": EPOCH,
            "race": RACE,
            "threshold": threshold,
            "actors": actors,
            "custodians": [
                {
                    "id": one,
                    "url": f"http://127.0.0.1:{ports[one]}",
                    "public": public(self.keys[one]).hex(),
                }
                for one in ids
            ],
        }
        self.neighbours = MemoryNeighbours(
            lambda one: self.hosts[one].custodian.anchors.said(),
            lambda one, asking: self.hosts[one].custodian.tell(asking),
        )
        self.hosts = {one: self._host(folder / one, one, ports[one]) for one in ids}

    def _host(self, home: Path, id: str, port: int) -> Host:
        if not home.exists():
            home.mkdir(parents=True)
            (home / "invite.json").write_text(json.dumps(self.invite))
        listen = f"127.0.0.1:{port}"
        settings = Settings(home, id, f"http://{listen}", listen, self.keys[id])
        ledger, registry = Ledger(settings.database), Registry(home / "invite.json")
        log = MemoryLog(self.log, settings.public)
        follow = MemoryFollow(self.log, ledger, registry.custodians, lambda: self.now)
        custodian = Custodian(
            settings,
            ledger,
            registry,
            log,
            lambda: self.now,
            follow=follow,
            neighbours=self.neighbours,
            rosters=self.rosters,
        )
        return Host(settings, ledger, registry, log, follow, custodian)

    def start_again(self, id: str, copy: Path | None = None) -> None:
        """End a custodian's process and begin another, after its books were put back to a copy."""
        old = self.hosts[id]
        served = old.server is not None
        old.down()
        old.ledger.close()
        if copy is not None:
            put_back(old.settings.home, old.settings.database, copy)
        port = int(old.settings.listen.rpartition(":")[2])
        self.hosts[id] = self._host(old.settings.home, id, port)
        if served:
            self.hosts[id].up()

    def lose_books(self, id: str) -> None:
        """A custodian's disk is lost; its key, identity and invite are not."""
        host = self.hosts[id]
        host.down()
        host.ledger.close()
        for one in host.settings.home.glob("custodian.*"):
            one.unlink()
        self.hosts[id] = self._host(
            host.settings.home, id, int(host.settings.listen.rpartition(":")[2])
        )
        self.hosts[id].up()

    def quota(self, id: str, actor: str, points: int) -> None:
        """Set one actor's allowance with one custodian."""
        host = self.hosts[id]
        host.settings = replace(host.settings, quota_of={**host.settings.quota_of, actor: points})
        host.custodian._settings = host.settings

    def consent(self, steward: str) -> None:
        """Have every custodian agree to a steward's bulk run, in the log."""
        for host in self.hosts.values():
            host.ledger.consent(steward, self.now, epochs=[EPOCH])
            host.custodian.anchors.consents()

    def deal(self, purpose: str = "match", epoch: str = EPOCH) -> Statement:
        """Give every custodian a share of a fresh key."""
        secret = group.reduce(secrets.token_bytes(64))
        statement, shares = split(
            secret, threshold=self.threshold, ids=self.ids, purpose=purpose, epoch=epoch
        )
        for one, host in self.hosts.items():
            host.ledger.add_key(Key(statement, {}, shares[one]))
        return statement

    def ceremony(self, id: str, purpose: str = "match", attempt: int = 1) -> Ceremony:
        """One custodian's driver, as its command would build it."""
        host = self.hosts[id]
        return Ceremony(
            host.registry.session(purpose, attempt),
            id,
            ledger=host.ledger,
            log=host.log,
            peers=HttpPeers(host.registry.urls(), self.client),
            sign=host.settings.key.sign,
        )

    def tokens(self, statement: Statement, state: Path, **more: Any) -> list[bytes]:
        """Have a few inputs evaluated as the union's tool does; ``more`` replaces any of it."""
        said: dict[str, Any] = {
            "inputs": [b"ada", b"bob", b"ada"],
            "statement": statement,
            "custodians": self.addresses,
            "actor": "union",
            "sign": self.keys["union"].sign,
            "batch": "b1",
            "state": state,
            "state_key": b"k" * 32,
            "workers": 1,
            "client": self.client,
        }
        said.update(more)
        return evaluate_inputs(said.pop("inputs"), **said)

    @property
    def addresses(self) -> list[CustodianAddress]:
        return [CustodianAddress.of(one) for one in self.invite["custodians"]]  # type: ignore[attr-defined]

    def signed(self, kind: str, by: str, to: str, body: Mapping[str, Any]) -> Message:
        """A signed call to one custodian."""
        said = {**body, "custodian": to, "expires": stamp(self.now + timedelta(minutes=5))}
        return close(kind, said, by=by, sign=self.keys[by].sign)

    def entry(self, by: str, **facts: Any) -> dict[str, Any]:
        """Log something and return its evidence."""
        return self.log.evidence(self.log.add(public(self.keys[by]), facts))


@contextmanager
def serving(world: World) -> Iterator[World]:
    """Bring every custodian up, and down at the end."""
    for host in world.hosts.values():
        host.up()
    try:
        yield world
    finally:
        for host in world.hosts.values():
            host.down()
            host.ledger.close()
        world.client.close()

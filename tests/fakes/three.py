"""Three custodians as processes, each with its port and folder, and each to be killed at a step."""

from __future__ import annotations

import base64
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from consortium.cli.custodian import command
from consortium.custodian.ledger import Key, Ledger
from consortium.custodian.process import asking
from consortium.custodian.settings import read_settings
from consortium.custodian.wrapping import opened
from consortium.custodians import CustodianAddress, CustodianRefused, TooFewCustodians
from matching import group
from matching.envelope import Message, close
from matching.evaluation import stamp
from matching.statement import Statement
from provenance.canonical import openings_to_json
from provenance.entry import draft
from provenance.merkle import leaf_hash
from tests.fakes import mortal
from tests.fakes.custodians import EPOCH, IDS, RACE, ROLES, public
from tests.fakes.dealer import split
from tests.fakes.log_api import LogApi, serving_log
from tests.servers import free_port

KILLED = -9
KINDS = {"sign": "agreement", "approve": "approval", "attest": "approval", "send": "intent"}


class RosterLog(LogApi):
    """The log, and the roster chunks that custodians fetch beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.chunks: dict[int, tuple[bytes, dict[str, Any]]] = {}

    def of(self, epoch: str) -> dict[int, tuple[bytes, dict[str, Any]]]:
        """The chunks of its one epoch."""
        assert epoch == EPOCH
        return self.chunks

    def again(self, proof: Mapping[str, Any]) -> dict[str, Any]:
        """Prove an entry under the newest tree: who has seen a newer one takes no older proof."""
        return self.evidence(leaf_hash(base64.b64decode(proof["entry"])).hex())

    def app(self) -> Starlette:
        """The calls custodians make."""
        base = super().app()

        async def roster(_: Request) -> JSONResponse:
            listed = [
                {"chunk": n, "evidence": self.again(proof)} for n, (_, proof) in self.chunks.items()
            ]
            return JSONResponse({"epoch": EPOCH, "chunks": listed})

        async def chunk(request: Request) -> Response:
            return Response(self.chunks[request.path_params["chunk"]][0])

        mine = [Route("/api/v1/roster", roster), Route("/api/v1/roster/{chunk:int}", chunk)]
        base.router.routes[:0] = mine
        return base


@dataclass
class Seat:
    """One custodian's folder, and the process that serves it now."""

    id: str
    home: Path
    url: str
    notes: Path
    process: subprocess.Popen[bytes] | None = None
    deaths: int = 0

    def trellis(self, *words: str, die: int = 0) -> subprocess.Popen[bytes]:
        """Begin a command that ends at its ``die``-th step."""
        notes = self.notes.with_suffix(f".{words[0]}")
        said = [sys.executable, mortal.__file__, str(notes), str(die), "custodian", *words]
        root = Path(__file__).parents[2]
        return subprocess.Popen(
            [*said, "--home", str(self.home)],
            cwd=root,
            env={"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def serve(self, die: int = 0) -> None:
        """Begin to serve."""
        self.process = self.trellis("serve", die=die)

    def answering(self) -> None:
        """Wait until it answers; bring it back, as systemd would, if it was killed."""
        for _ in range(12_000):
            self.revive()
            with suppress(httpx.HTTPError):
                httpx.get(f"{self.url}/status").raise_for_status()
                return
            time.sleep(0.02)
        raise AssertionError(f"{self.id} does not answer")

    def revive(self) -> None:
        """Start it again if it was killed; anything else that ended it is a failure."""
        assert self.process is not None
        code = self.process.poll()
        if code is None:
            return
        assert code == KILLED, self.process.communicate()
        self.process.communicate()
        self.deaths += 1
        self.serve()

    def end(self) -> None:
        """Kill it for good."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate(timeout=60)
            self.process = None

    def steps(self, command: str) -> list[str]:
        """Every step that its processes of one command took."""
        notes = self.notes.with_suffix(f".{command}")
        return notes.read_text().splitlines() if notes.exists() else []

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """Its books, read beside the process."""
        settings = read_settings(self.home)
        wrapping = opened(self.home, settings.database, self.id, asking(settings))
        made = Ledger(settings.database, wrapping)
        try:
            yield made
        finally:
            made.close()
            wrapping.close()


class Three:
    """Custodians, everybody who calls them, and the log; as `tests.fakes.custodians.World` is."""

    def __init__(self, folder: Path, log: RosterLog, url: str) -> None:
        self.folder, self.log, self.rosters = folder, log, log
        self.ids, self.threshold = IDS, 2
        self.dealt: dict[str, bytes] = {}
        self.keys = {one: Ed25519PrivateKey.generate() for one in ROLES}
        self.seats = {one: self._init(one) for one in IDS}
        actors: list[dict[str, Any]] = [
            {"id": one, "role": ROLES[one], "name": one, "public": public(self.keys[one]).hex()}
            for one in ROLES
        ]
        custodians = []
        for one, seat in self.seats.items():
            identity = json.loads((seat.home / "identity.json").read_text())
            seed = bytes.fromhex((seat.home / "signing.key").read_text().strip())
            self.keys[one] = Ed25519PrivateKey.from_private_bytes(seed)
            actors.append({key: identity[key] for key in ("id", "role", "name", "public")})
            custodians.append({key: identity[key] for key in ("id", "url", "public")})
        self.invite: dict[str, Any] = {
            **log.invite(url),
            "custodians": custodians,
            "threshold": self.threshold,
            "epoch": EPOCH,
            "race": RACE,
            "actors": actors,
        }
        (folder / "invite.json").write_text(json.dumps(self.invite))
        for seat in self.seats.values():
            _run("join", "--home", str(seat.home), "--invite", str(folder / "invite.json"))

    def _init(self, id: str) -> Seat:
        home, listen = self.folder / id, f"127.0.0.1:{free_port()}"
        _run("init", "--home", str(home), "--id", id, "--listen", listen, "--protect", "file")
        return Seat(id, home, f"http://{listen}", self.folder / f"{id}.notes")

    @property
    def now(self) -> datetime:
        """The time; processes have their own clocks."""
        return datetime.now(UTC).replace(microsecond=0)

    @property
    def addresses(self) -> list[CustodianAddress]:
        """Where they are."""
        return [CustodianAddress.of(one) for one in self.invite["custodians"]]

    def signed(self, kind: str, by: str, to: str, body: Mapping[str, Any]) -> Message:
        """A signed call to one custodian."""
        said = {**body, "custodian": to, "expires": stamp(self.now + timedelta(minutes=5))}
        return close(kind, said, by=by, sign=self.keys[by].sign)

    def entry(self, by: str, **facts: Any) -> dict[str, Any]:
        """Log something and return its evidence."""
        made = draft(
            KINDS.get(str(facts["kind"]), "match"),
            at=self.now,
            actor=public(self.keys[by]),
            facts=facts,
            salt=lambda: secrets.token_bytes(32),
            sign=self.keys[by].sign,
        )
        return self.log.evidence(self.log.add(made.entry, openings_to_json(made.openings)))

    def deal(self, purpose: str) -> Statement:
        """Give every custodian a share of a fresh key."""
        secret = self.dealt[purpose] = group.reduce(secrets.token_bytes(64))
        statement, shares = split(
            secret, threshold=self.threshold, ids=self.ids, purpose=purpose, epoch=EPOCH
        )
        for one, seat in self.seats.items():
            with seat.ledger() as ledger:
                ledger.add_key(Key(statement, {}, shares[one]))
        return statement

    def serve(self, die: Mapping[str, int] | None = None) -> None:
        """Let all serve; each ends at the step that ``die`` names for it."""
        for one, seat in self.seats.items():
            seat.serve((die or {}).get(one, 0))
        for seat in self.seats.values():
            seat.answering()

    def until(self, work: Callable[[], Any], ready: Callable[[Any], bool] = lambda _: True) -> Any:
        """Try until it works, bringing back whoever was killed meanwhile."""
        failed: Exception | None = None
        for _ in range(60):
            for seat in self.seats.values():
                seat.answering()
            try:
                done = work()
            except Exception as error:
                failed = error
                continue
            if ready(done):
                return done
        raise AssertionError("it does not come to an end") from failed

    def refused(self, work: Callable[[], Any]) -> list[str]:
        """By which names a quorum refuses something, each custodian being there to say so."""

        def names() -> list[str]:
            try:
                work()
            except TooFewCustodians as few:
                names = [x.name for x in few.problems.values() if isinstance(x, CustodianRefused)]
                # The log grew between the proof and the call: it is proved anew, and asked again.
                return [one for one in names if one != "rolled-back"]
            raise AssertionError("it was answered")

        return list(self.until(names, lambda said: len(said) >= self.threshold))

    def end(self) -> None:
        """Kill whatever still runs."""
        for seat in self.seats.values():
            seat.end()


def _run(*words: str) -> None:
    said = CliRunner().invoke(command, list(words))
    assert said.exit_code == 0, said.output


@contextmanager
def three(folder: Path) -> Iterator[Three]:
    """A log on loopback and three custodians around it that do not serve yet."""
    port = free_port()
    log = RosterLog()
    with serving_log(port, log):
        made = Three(folder, log, f"http://127.0.0.1:{port}")
        try:
            yield made
        finally:
            made.end()

"""A whole server in one process: the real app, store, log and artefacts; keys are made up."""

import base64
import itertools
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import duckdb
import jwt
import pytest
from starlette.testclient import TestClient

from consortium.clock import Standing
from consortium.service import agree, publish, vet
from consortium.settings import Settings
from consortium.store import actors, contributions, texts
from consortium.store.actors import Actor
from consortium.store.artefacts import FolderArtefacts
from consortium.store.log import SqlLock
from consortium.store.unit import Unit, Units
from consortium.web.app import create_app
from mailer.domains import Domain
from mailer.findings import Finding
from mailer.seal import SEALED_BYTES
from matching.bundle import BundleRow, size_class, write_links, write_rows
from policies import agreement
from provenance.backend import FolderBackend
from provenance.entry import Drafted
from provenance.evidence import Evidence
from provenance.sequencer import Sequencer
from tests.databases import NOON
from tests.fakes.actors import LOG, POLICY, WITNESSES, made, private, public, trusting

RACE, EPOCH = "oh-house-44", "2026-season"
PARTNERS = ("union", "parks")
ROLES = {"cora": "coordinator", "stella": "steward", "ann": "auditor", "mailer": "mailer"}
ROWS = 100
CUSTODIANS = [{"id": f"c{n}", "public": str(n) * 64} for n in (1, 2, 3)]


def document() -> bytes:
    """The agreement of the two partners."""
    return agreement.to_bytes(
        agreement.default(
            race={
                "id": RACE,
                "name": "Ohio House 44",
                "office": "State Representative",
                "state": "OH",
                "jurisdiction": "Ohio",
                "election_date": "2026-12-03",
                "polls_close": "2026-12-04T00:30:00Z",
                "time_zone": "America/New_York",
            },
            parties=[
                {
                    "id": one,
                    "name": one.title(),
                    "domain": f"{one}.example",
                    "relation": "member",
                    "public": public(one).hex(),
                }
                for one in PARTNERS
            ],
            custodians=CUSTODIANS,
            opens=NOON - timedelta(days=2),
            closes=NOON + timedelta(days=10),
            postal_address="1 Main Street, Toledo OH 43604",
        )
    )


def body(drafted: Drafted, **more: Any) -> dict[str, Any]:
    """An entry and its openings as the API takes them."""
    said = Evidence(drafted.entry, drafted.openings, "").to_json()
    return {"entry": said["entry"], "openings": said["openings"], **more}


def vouch(unit: Unit, partner: str, name: str) -> None:
    """Say that a sending domain was found right, later than any clock of the tests stands."""
    domain = Domain(partner, name, "trellis", "v=DKIM1; k=rsa; p=")
    vet.keep(unit, domain, [Finding("SPF", "green", "As it should be.")], NOON + timedelta(days=99))


@dataclass
class Upload:
    """A partner's bundle before it is sent: bytes of both parts, and the header."""

    id: str
    partner: str
    rows: bytes
    outputs: bytes
    header: dict[str, Any] = field(default_factory=dict)

    def facts(self, **other: Any) -> dict[str, Any]:
        """What the entry of this upload says."""
        named = ("partner", "bundle", "epoch", "rows_digest", "outputs_digest", "root")
        said = {name: self.header[name] for name in (*named, "size_class")}
        return {"kind": "bundle", **said, **other}

    def offer(self, signer: str | None = None, **other: Any) -> dict[str, Any]:
        """The body of the POST; ``other`` replaces facts of its entry."""
        drafted = made(signer or self.partner, "contribution", **self.facts(**other))
        return body(drafted, header=self.header)


class Server:
    """The app, and everybody who calls it."""

    def __init__(
        self, folder: Path, units: Units, clock: Standing, *, planted: bool = False
    ) -> None:
        """Args: ``planted`` says that the folder is a copy of another server's."""
        self.folder, self.units, self.clock = folder, units, clock
        self.artefacts = FolderArtefacts(folder / "artefacts")
        self.backend = FolderBackend(folder / "log", folder / "staging")
        self.settings = Settings(home=folder, log_dir=folder / "log")
        self.sequencer = Sequencer(self.backend, SqlLock(units), LOG, POLICY, trusting())
        process = SimpleNamespace(
            units=units,
            clock=clock,
            artefacts=self.artefacts,
            log_files=self.backend,
            settings=self.settings,
        )
        self.app = create_app(process)
        self.client = TestClient(self.app, raise_server_exceptions=False)
        self.agreement = document()
        self.serial = itertools.count(1)
        if not planted:
            units.run("plant", self._plant)

    def _plant(self, unit: Unit) -> None:
        agree.open_race(unit, self.agreement, EPOCH)
        for id, role in ROLES.items():
            actors.add(unit, Actor(id, role, id.title(), public(id).hex()))
        witnesses = [
            {"name": w.verifier.name, "vkey": w.verifier.vkey, "url": "http://127.0.0.1:1"}
            for w in WITNESSES
        ]
        invite = {
            "api": "http://testserver",
            "origin": LOG.verifier.name,
            "log_vkey": LOG.verifier.vkey,
            "witnesses": witnesses,
            "quorum": 2,
            "custodians": CUSTODIANS,
            "threshold": 2,
            "epoch": EPOCH,
            "race": RACE,
            "actors": [],
        }
        texts.put(unit, "invite", json.dumps(invite))
        for one in PARTNERS:
            vouch(unit, one, f"{one}.example")

    # -- calling -------------------------------------------------------------------------------

    def claims(self, who: str, **other: Any) -> dict[str, Any]:
        """The claims of a good token."""
        serial = next(self.serial)  # in one step: some tests call from two threads
        now = int(self.clock().timestamp())
        good = {
            "iss": who,
            "sub": who,
            "aud": "trellis-api",
            "iat": now,
            "exp": now + 240,
            "jti": f"{who}-{serial:016}",
        }
        return {**good, **other}

    def token(self, who: str) -> str:
        """A good token."""
        headers = {"typ": "trellis+jwt", "kid": who}
        return jwt.encode(self.claims(who), private(who), algorithm="EdDSA", headers=headers)

    def call(self, who: str | None, method: str, path: str, **more: Any) -> Any:
        """One request in somebody's name."""
        headers = dict(more.pop("headers", {}))
        if who is not None:
            headers["Authorization"] = f"Bearer {self.token(who)}"
        return self.client.request(method, f"/api/v1{path}", headers=headers, **more)

    # -- doing ---------------------------------------------------------------------------------

    def sign_agreement(self, partners: Iterable[str] = PARTNERS) -> None:
        """Let partners sign."""
        digest = agreement.digest(self.agreement)
        for one in partners:
            entry = made(one, "agreement", kind="sign", race=RACE, digest=digest)
            assert self.call(one, "POST", "/log/entries", json=body(entry)).status_code == 202

    def lend(self, name: str, place: str, **where: str) -> str:
        """A volunteer is asked and confirms on their own page; the path of that page."""
        asked = self.call(
            "cora",
            "POST",
            f"/races/{RACE}/messengers",
            json={"name": name, "place": place, **where},
        )
        assert asked.status_code == 201, asked.text
        path = f"/messenger/{asked.json()['link'].rpartition('/')[2]}"
        answered = self.client.post(path, data={"answer": "yes"}, follow_redirects=False)
        assert answered.status_code == 303, answered.text
        return path

    def publish(self) -> int:
        """Put what is pending into the log."""
        return publish.publish(self.units, self.sequencer, self.clock)

    def upload(self, partner: str, *, seed: int = 1, rows: int = ROWS, id: str = "") -> Upload:
        """A bundle of made-up rows."""
        id = id or str(UUID(int=seed << 64 | 0x4000800000000000))
        path = self.folder / f"{uuid4()}.parquet"
        write_rows(path, some_rows(seed, rows))
        return Upload(id, partner, path.read_bytes(), b"sealed outputs %d" % seed)

    def put_parts(self, upload: Upload) -> None:
        """Send both parts and make the header that goes with them."""
        digests = {}
        for part in ("rows", "outputs"):
            content = getattr(upload, part)
            sent = self.call(
                upload.partner, "PUT", f"/contributions/{upload.id}/{part}", content=content
            )
            assert sent.status_code == 200, sent.text
            assert sent.json()["bytes"] == len(content)
            digests[f"{part}_digest"] = sent.json()["digest"]
        upload.header = {
            "bundle": upload.id,
            "partner": upload.partner,
            "epoch": EPOCH,
            "recipes": "v1",
            "mailer": "1" * 64,
            "fields": ["email", "first_name", "language"],
            "size_class": size_class(ROWS),
            "created": "2026-11-21T12:00:00Z",
            "wrapped": base64.b64encode(b"wrapped").decode(),
            "commitment": "2" * 64,
            "rows": ROWS,
            "root": "3" * 64,
            **digests,
        }

    def contribute(self, partner: str, seed: int = 1, **more: str) -> Upload:
        """A whole upload, accepted; its header says more."""
        upload = self.upload(partner, seed=seed)
        self.put_parts(upload)
        upload.header |= more
        sent = self.call(partner, "POST", f"/contributions/{upload.id}", json=upload.offer())
        assert sent.status_code == 202, sent.text
        return upload

    def enrol(self, voters: Iterable[tuple[Any, ...]], steward: str = "stella") -> str:
        """Put a roll slice in place, as the worker leaves it; its id."""
        path = self.folder / f"{uuid4()}.parquet"
        write_attributes(path, voters)
        found = self.units.run("rolls", contributions.rolls)
        id = str(UUID(int=len(found) + 1 << 64 | 0x4000800000000000))
        roll = contributions.Roll(
            id=id,
            steward=steward,
            epoch=EPOCH,
            state="ready",
            header={},
            attributes_digest=self.artefacts.put(path),
            outputs_digest=None,
            tokens_digest=None,
            leaf=secrets.token_hex(32),
            at=self.clock() + timedelta(seconds=len(found)),
        )
        self.units.run("enrol", lambda unit: contributions.add_roll(unit, roll))
        return id

    def link(self, upload: Upload, roll: str, links: Mapping[int, int]) -> None:
        """Match a bundle, as the worker leaves it: bundle row to roll row."""
        path = self.folder / f"{uuid4()}.parquet"
        write_links(path, [(row, voter, 9.0) for row, voter in sorted(links.items())])
        digest = self.artefacts.put(path)
        self.units.run(
            "link",
            lambda unit: contributions.change(
                unit, upload.id, state="matched", links_digest=digest, linked_roll=roll
            ),
        )


@pytest.fixture
def server(sqlite_units: Units, clock: Standing, tmp_path: Path) -> Server:
    """A server on SQLite, the agreement not yet signed."""
    return Server(tmp_path, sqlite_units, clock)


@pytest.fixture
def any_server(units: Units, clock: Standing, tmp_path: Path) -> Server:
    """A server on each engine in turn, the agreement signed."""
    made_ = Server(tmp_path, units, clock)
    made_.sign_agreement()
    return made_


def some_rows(seed: int, rows: int) -> Iterable[BundleRow]:
    """Rows of the right lengths, all different."""
    for row in range(rows):
        name = seed.to_bytes(8, "big") + row.to_bytes(8, "big")
        yield BundleRow(row, name * 2, name[::-1] * 2, name * 4, name.ljust(SEALED_BYTES, b"\0"))


def write_attributes(path: Path, voters: Iterable[tuple[Any, ...]]) -> None:
    """The attributes part of a roll slice.

    Args:
        voters: (row_id, precinct, house, zip, age_band, votes), and primaries if they are told. Of
            somebody without precinct, house and ZIP nothing is told, as of the withheld.
    """
    with duckdb.connect() as db:
        db.execute(
            "CREATE TABLE roll (row_id BIGINT, precinct VARCHAR, congressional VARCHAR,"
            " senate VARCHAR, house VARCHAR, local VARCHAR, zip VARCHAR, age_band VARCHAR,"
            " votes VARCHAR, primaries VARCHAR,"
            " household BIGINT)"
        )
        whole = [one if len(one) == 7 else (*one, "") for one in voters]
        columns = [list(one) for one in zip(*whole, strict=True)]
        db.execute(
            "INSERT INTO roll SELECT unnest(?::BIGINT[]), unnest(?::VARCHAR[]), 'Congress 9',"
            " 'State Senate 2', unnest(?::VARCHAR[]), 'Lucas County', unnest(?::VARCHAR[]),"
            " unnest(?::VARCHAR[]), unnest(?::VARCHAR[]), unnest(?::VARCHAR[]),"
            " unnest(?::BIGINT[])",
            [*columns, columns[0]],
        )
        db.execute(
            "UPDATE roll SET congressional = '', senate = '', local = ''"
            " WHERE precinct = '' AND house = '' AND zip = ''"
        )
        db.table("roll").write_parquet(str(path))


def some_voters(count: int = 1200) -> list[tuple[Any, ...]]:
    """Two precincts of equal size, two age bands."""
    return [
        (
            row,
            f"44-{row % 2}",
            "State House 44",
            f"4360{row % 2}",
            ("18-34", "35-49")[row // 2 % 2],
            "0",
        )
        for row in range(count)
    ]

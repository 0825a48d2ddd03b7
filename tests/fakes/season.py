"""A consortium whose lists are really tokenised, sealed, matched and mailed, in one process.

The custodians' arithmetic is done with the whole keys that a dealer split; everything after it is
the real service: contributions over the API, pepper, roster, links, audience, plan, letters. There
may be two epochs at once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import rfc8785

from consortium.clock import Standing
from consortium.custodians import Shown
from consortium.service import approve, enter, freeze, match, send, succeed, sunset
from consortium.service.show import keys as logged_keys
from consortium.store import actors, campaigns, contributions, deliveries, frames, log, races, texts
from consortium.store.deliveries import Delivery
from consortium.store.unit import Unit, Units, engine
from consortium.wiring import epoch_keys, forget_epoch_keys, make_epoch_keys
from mailer import keys as mailer_keys
from mailer import unseal
from mailer.seal import DEK_BYTES, Payload, new_wrapped_key, seal
from matching import bundle, group, locks, oprf
from matching.attributes import cells
from matching.bundle import BundleRow, size_class, write_outputs, write_rows
from matching.coarsen import decoys
from matching.countersigning import named
from matching.recipes import ADDRESS_RECIPE, Record, address_input, make_record, token_inputs
from matching.statement import Statement, signed_bytes
from policies import agreement
from policies.approvals import manifest_digest
from provenance.merkle import tree_root
from tests.databases import NOON
from tests.fakes.actors import made, private, public
from tests.fakes.dealer import split
from tests.fakes.post import LETTER, MORNING, Log, Mta, office
from tests.fakes.server import EPOCH, PARTNERS, RACE, Server, body, write_attributes

DATABASE = "trellis.sqlite"
NEXT = "2027-season"
CUSTODIANS = ("c1", "c2", "c3")
VOTERS = 150
LISTS = {"union": range(100), "parks": range(50, 150)}
"""Which voters are on each list: half of each list is on the other."""


@dataclass
class Dealt:
    """One epoch's two keys, which in life nobody holds."""

    match: bytes
    seal: bytes
    statements: dict[str, Statement] = field(default_factory=dict)


def voter(number: int) -> Record:
    """A person like nobody else."""
    letters = "".join(chr(97 + number // 26**k % 26) for k in range(3))
    return make_record(
        first=f"Ann{letters}",
        last=f"Lee{letters[::-1]}son",
        phone=f"303555{number:04d}",
        birth=f"19{40 + number % 50}",
        address=f"{number + 1} {letters} St",
        zip=f"80{number % 1000:03d}",
    )


def address(partner: str, number: int) -> str:
    """A voter's address on one list: some use another on each list."""
    return f"v{number}.{partner if number % 5 == 0 else 'both'}@members.example"


def row_id(number: int) -> int:
    """The steward's random number for a voter: keyed by race, the same in every epoch."""
    mac = hmac.digest(b"steward", f"{RACE}|{number}".encode(), hashlib.sha256)
    return int.from_bytes(mac[:8], "big") >> 1


class Season:
    """The server, its worker, its mailer, and everybody who uploads."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.stand_on(server, folder)
        self.mailer = mailer_keys.generate()
        self.dealt: dict[str, Dealt] = {}
        self.deks: dict[str, bytes] = {}
        self.rows: dict[str, list[BundleRow]] = {}
        server.sign_agreement()
        self.units.run("people", self._people)
        self.make_keys(EPOCH)

    def stand_on(self, server: Server, folder: Path) -> None:
        """Work on this server from now on, which is new or a copy of the one before."""
        self.server, self.folder, self.home = server, folder, folder / "operator"
        self.units, self.clock, self.artefacts = server.units, server.clock, server.artefacts
        self.pen = _pen("operator")
        self.bench = match.Bench(
            self.units,
            self.artefacts,
            lambda epoch: epoch_keys(self.home, epoch),
            self.pen,
            self.clock,
        )
        self.mta = Mta(Log())
        self.office = self._office()

    def _people(self, unit: Unit) -> None:
        for one in (*CUSTODIANS, "operator"):
            role = "operator" if one == "operator" else "custodian"
            actors.add(unit, actors.Actor(one, role, one, public(one).hex()))
        invite = json.loads(texts.get(unit, "invite"))
        invite["mailer_key"] = named(self.mailer.public)
        invite["custodians"] = [{"id": one, "public": public(one).hex()} for one in CUSTODIANS]
        texts.put(unit, "invite", json.dumps(invite))

    # -- keys ----------------------------------------------------------------------------------

    def make_keys(self, epoch: str) -> None:
        """Everything that an epoch's ceremonies and set-up put into the log."""
        outputs = make_epoch_keys(self.home, epoch)
        if epoch == EPOCH:
            facts = {"kind": "pepper", "epoch": epoch, "public": outputs.hex()}
            self.say(self.pen, facts)
        self.ceremonies(epoch)
        self.announce(epoch)
        self.server.publish()

    def ceremonies(self, epoch: str) -> None:
        """The keys for tokens and for locks, their statements signed by all custodians."""
        made_ = Dealt(*(group.reduce(secrets.token_bytes(64)) for _ in range(2)))
        self.dealt[epoch] = made_
        for purpose in ("match", "seal"):
            stated, _ = split(
                getattr(made_, purpose),
                threshold=2,
                ids=CUSTODIANS,
                purpose=purpose,
                epoch=epoch,
            )
            made_.statements[purpose] = stated
            signatures = {c: private(c).sign(signed_bytes(stated)).hex() for c in CUSTODIANS}
            facts = {"kind": "statement", "sid": stated.sid, "statement": stated.to_json()}
            self.say(_pen("c1"), {**facts, "signatures": signatures})

    def announce(self, epoch: str) -> None:
        """The mail machine's key for an epoch."""
        facts = {
            "kind": "mailer",
            "epoch": epoch,
            "public": self.mailer.public.hex(),
            "expires": "2027-01-01T00:00:00Z",
        }
        self.say(_pen("mailer"), facts)

    def say(self, pen: enter.Pen, facts: Mapping[str, Any]) -> None:
        """Promise a key's entry."""
        self.units.run("say", lambda unit: enter.write(unit, pen, "key", facts, now=self.clock()))

    def logged(self, epoch: str) -> dict[str, Any]:
        """The keys of an epoch as the log has them."""
        return self.units.run("keys", lambda u: logged_keys(u, epoch, self.server.backend))

    # -- uploads -------------------------------------------------------------------------------

    def outputs(self, epoch: str, inputs: Sequence[bytes]) -> list[bytes]:
        """What the custodians' evaluation of some inputs comes to."""
        points = oprf.evaluate(self.dealt[epoch].match, oprf.hash_inputs(inputs))
        return oprf.finalise(inputs, points)

    def inputs(self, number: int) -> list[bytes]:
        """Everything that a voter's tokens are made of."""
        return [one for one in token_inputs(voter(number)) if one is not None]

    def _outputs_part(self, epoch: str, id: str, wanted: Sequence[tuple[int, int, bytes]]) -> bytes:
        found = self.outputs(epoch, [one for _, _, one in wanted])
        triples = [(row, at, out) for (row, at, _), out in zip(wanted, found, strict=True)]
        return self.sealed_outputs(epoch, id, triples)

    def sealed_outputs(
        self, epoch: str, id: str, triples: Sequence[tuple[int, int, bytes]]
    ) -> bytes:
        """An outputs part as it is sent."""
        plain, sealed = self.folder / f"{uuid4()}.plain", self.folder / f"{uuid4()}.sealed"
        write_outputs(plain, triples)
        bundle.seal_file(plain, sealed, make_epoch_keys(self.home, epoch), id.encode())
        plain.unlink()
        content = sealed.read_bytes()
        sealed.unlink()
        return content

    def enrol(self, epoch: str, people: Mapping[int, Record] | None = None) -> str:
        """The steward's slice, as its tool sends it; the answer's status is checked."""
        id = str(uuid4())
        people = people or {n: voter(n) for n in range(VOTERS)}
        inputs = {row_id(n): token_inputs(record) for n, record in people.items()}
        wanted = [one for each in inputs.values() for one in each if one is not None]
        found = dict(zip(wanted, self.outputs(epoch, wanted), strict=True))
        safe = decoys(
            {row: [found[one] if one else None for one in each] for row, each in inputs.items()},
            steward_key=epoch.encode().ljust(32),
        )
        triples = [(row, at, out) for row in safe for at, out in enumerate(safe[row]) if out]
        path = self.folder / f"{uuid4()}.parquet"
        rows = [(row_id(n), f"44-{n % 2}", "State House 44", "43601", "18-34", "0")
                for n in people]  # fmt: skip
        write_attributes(path, sorted(rows))
        parts = {
            "attributes": path.read_bytes(),
            "outputs": self.sealed_outputs(epoch, id, triples),
        }
        root = tree_root(cells(path).leaves).hex()
        path.unlink()
        digests = self._put("stella", f"/rolls/{id}", parts)
        named = {"epoch": epoch, **digests}
        header = {"roll": id, "steward": "stella", "recipes": "v1", "size_class": 256,
                  "rows": len(people), "created": "2026-11-21T12:00:00Z", "source_digest": "4" * 64,
                  "use_terms": {}, "k": 10, "rows_root": root, **named}  # fmt: skip
        more = {
            "size_class": 256,
            "source_digest": "5" * 64,
            "use_terms": {},
            "k": 10,
            "rows_root": root,
        }  # as its tool says
        entry = made("stella", "roll", self.clock(), kind="slice", roll=id, **named, **more)
        sent = self.server.call("stella", "POST", f"/rolls/{id}", json=body(entry, header=header))
        assert sent.status_code == 202, sent.text
        return id

    def offer(self, partner: str, epoch: str) -> tuple[str, Any]:
        """One bundle as the partner's tool sends it; its id and the server's answer."""
        id, numbers = str(uuid4()), list(LISTS[partner])
        secrets.SystemRandom().shuffle(numbers)  # as the tool does, anew for each upload
        dek = secrets.token_bytes(DEK_BYTES)
        named = {
            "bundle": id,
            "partner": partner,
            "epoch": epoch,
            "recipes": "v1",
            "mailer": hashlib.sha256(self.mailer.public).hexdigest(),
            "fields": ["email", "first_name", "language"],
            "size_class": size_class(len(numbers)),
            "created": "2026-11-21T12:00:00Z",
        }
        wrapped, commitment = new_wrapped_key(self.mailer.public, rfc8785.dumps(named), dek)
        rows, wanted = [], []
        for row, number in enumerate(numbers):
            r = group.reduce(secrets.token_bytes(64))
            entry = locks.make_entry(epoch, secrets.token_bytes(32), r)
            sealed = seal(
                Payload(address(partner, number), "Ana"),
                dek=dek,
                shared=locks.shared_point(r, self.dealt[epoch].statements["seal"].public),
                bundle=UUID(id).bytes,
                tag=entry.tag,
                lock=entry.lock,
            )
            rows.append(BundleRow(row, entry.tag, entry.lock, entry.proof, sealed))
            inputs = token_inputs(voter(number))
            wanted += [(row, at, one) for at, one in enumerate(inputs) if one is not None]
            wanted.append((row, ADDRESS_RECIPE, address_input(address(partner, number))))
        path = self.folder / f"{uuid4()}.parquet"
        write_rows(path, rows)
        parts = {"rows": path.read_bytes(), "outputs": self._outputs_part(epoch, id, wanted)}
        path.unlink()
        digests = self._put(partner, f"/contributions/{id}", parts)
        more = {**digests, "root": tree_root([one.lock for one in rows]).hex()}
        header = {**named, **more, "wrapped": base64.b64encode(wrapped).decode(),
                  "commitment": commitment.hex(), "rows": len(rows)}  # fmt: skip
        facts = {name: header[name] for name in ("partner", "bundle", "epoch", "size_class")}
        entry_ = made(partner, "contribution", self.clock(), kind="bundle", **facts, **more)
        self.deks[id], self.rows[id] = wrapped, rows
        return id, self.server.call(
            partner, "POST", f"/contributions/{id}", json=body(entry_, header=header)
        )

    def upload(self, partner: str, epoch: str) -> str:
        """A bundle that is taken; its id."""
        id, sent = self.offer(partner, epoch)
        assert sent.status_code == 202, sent.text
        return id

    def _put(self, who: str, path: str, parts: Mapping[str, bytes]) -> dict[str, str]:
        digests = {}
        for part, content in parts.items():
            sent = self.server.call(who, "PUT", f"{path}/{part}", content=content)
            assert sent.status_code == 200, sent.text
            digests[f"{part}_digest"] = sent.json()["digest"]
        return digests

    def everything(self, epoch: str) -> dict[str, str]:
        """Roll and every list, published and matched; bundle by partner."""
        self.enrol(epoch)
        found = {partner: self.upload(partner, epoch) for partner in PARTNERS}
        self.work()
        return found

    def work(self) -> None:
        """Publish and match until nothing is due."""
        for _ in range(2):
            self.server.publish()
            match.run(self.bench)
        self.server.publish()

    # -- epochs --------------------------------------------------------------------------------

    def open(self, epoch: str = NEXT) -> None:
        """As ``trellis operator epoch open``, with everybody's keys."""
        self.open_bare(epoch)
        self.make_keys(epoch)

    def open_bare(self, epoch: str = NEXT) -> bool:
        """The operator's own step alone."""
        outputs = make_epoch_keys(self.home, epoch)
        return self.units.run(
            "open",
            lambda unit: succeed.open_next(
                unit, epoch, pen=self.pen, outputs=outputs, now=self.clock()
            ),
        )

    def move(self, epoch: str = NEXT, **more: Any) -> bool:
        """As ``trellis operator epoch move``."""
        return self.units.run(
            "move",
            lambda unit: succeed.move(
                unit,
                RACE,
                epoch,
                backend=self.server.backend,
                pen=self.pen,
                now=self.clock(),
                **more,
            ),
        )

    def end(self, epoch: str = EPOCH, **other: Any) -> int:
        """As ``trellis operator epoch end``."""
        reach = sunset.Reach(
            self.units,
            self.artefacts,
            self.pen,
            self.clock,
            lambda name: forget_epoch_keys(self.home, name),
        )
        return sunset.end(replace(reach, **other), epoch)

    # -- letters -------------------------------------------------------------------------------

    def campaign(
        self,
        *,
        sources: Sequence[str] = tuple(sorted(PARTNERS)),
        precincts: Sequence[str] = ("44-0", "44-1"),
        nearest: Sequence[dict[str, str]] = (),
        **other: Any,
    ) -> str:
        """A campaign over everybody, approved by its sources and frozen by the worker.

        Args:
            nearest: who may sign, when each letter carries the name of the nearest.
        """
        id = str(uuid4())
        day = self.clock()
        stamp = "%Y-%m-%dT%H:%M:%SZ"
        template = {
            "subject": "Saturday",
            "mjml": LETTER,
            "text": None,
            "messenger": {"name": "Maria Trujillo", "place": "Toledo"},
            "window": {"opens": day.strftime(stamp),
                       "closes": (day + timedelta(days=2)).strftime(stamp)},
        }  # fmt: skip
        manifest = {
            "campaign": id,
            "race": RACE,
            "definition": {"places": {"precinct": list(precincts)}},
            "sources": list(sources),
            "template": approve.template_digest(template),
            "agreement": agreement.digest(self.server.agreement),
            "links": [],
            "sender": {
                one: {"from": f"Maria Trujillo for {one.title()}", "domain": f"{one}.example"}
                for one in sources
            },
            "window": template["window"],
            "messenger": template["messenger"],
            "size_class": 1024,
        }
        if nearest:
            template |= {"messenger": nearest[0], "nearest": True}
            senders = {one: {"from": f"{{messenger}} for {one.title()}", "domain": f"{one}.example"}
                       for one in sources}  # fmt: skip
            manifest |= {"messenger": nearest[0], "messengers": list(nearest), "sender": senders,
                         "template": approve.template_digest(template)}  # fmt: skip
        new = campaigns.Campaign(
            id=id, race=RACE, author="cora", state="approved", before_pause=None,
            definition=manifest["definition"], template=template, manifest=manifest,
            digest=manifest_digest(manifest), estimate=300, nonce=None, root=None,
            audience_digest=None, epoch=None, intent_leaf=None, scheduled=day, progress=0,
            waiting_for="", at=day, closed=None,
        )  # fmt: skip

        def add(unit: Unit) -> None:
            campaigns.add(unit, replace(new, **other))
            [leaf, *_] = races.signatures(unit, RACE).values()  # any leaf that is in the log
            for one in sources:
                campaigns.approve(unit, campaigns.Approval(id, one, "approve", leaf, day))

        self.units.run("campaign", add)
        if new.state == "approved" and "state" not in other:
            freeze.freeze(self.bench, id)
        return id

    def audience(self, id: str) -> list[Any]:
        """Everybody in a frozen audience but ghosts."""
        one = self.units.run("look", lambda unit: campaigns.get(unit, id))
        assert one.audience_digest is not None, one.waiting_for
        with self.artefacts.open(one.audience_digest) as path:
            return [row for row in frames.read_audience(path) if row.bundle != "ghosts"]

    def mail(self, id: str) -> list[str]:
        """Send a frozen campaign whole; the addresses that got it."""

        def log_it(unit: Unit) -> None:
            [leaf, *_] = races.signatures(unit, RACE).values()  # any leaf that is in the log
            campaigns.change(unit, id, state="logged", intent_leaf=leaf)

        self.units.run("log", log_it)
        before = len(self.mta.to)
        for _ in range(20):
            send.send(self.office, id)
            if self.units.run("state", lambda u: campaigns.get(u, id)).state == "closed":
                return self.mta.to[before:]
            self.clock.now += timedelta(minutes=2)  # it ends no sooner than its size allows
        raise AssertionError("the campaign does not end")

    def letters(self, id: str) -> list[Delivery]:
        """Every letter of a campaign."""
        every = ("pending", "claimed", "sent", "deferred", "failed", "in_doubt", "dropped")
        return self.units.run("letters", lambda unit: deliveries.in_state(unit, id, every))

    def _office(self) -> send.PostOffice:
        return office(
            self.server,
            custodians=_Custodians(self),
            open_row=self._open_row,
            transport=lambda: self.mta,
            doubts=self.mta.log,
            per_second=100_000.0,
            name="only",
            sleep=lambda _: None,
        )

    def _open_row(self, row: send.SealedRow, shared: bytes) -> Payload:
        header = {name: value for name, value in row.header.items() if name != "commitment"}
        dek = unseal.unwrap(
            row.wrapped,
            bytes.fromhex(str(row.header["commitment"])),
            rfc8785.dumps(header),
            self.mailer.private,
        )
        return unseal.unseal(
            row.sealed,
            dek=dek,
            shared=shared,
            bundle=UUID(row.bundle).bytes,
            tag=row.tag,
            lock=row.lock,
        )

    def campaigns(self) -> list[str]:
        """Ids of every campaign, newest first."""
        return [one.id for one in self.units.run("campaigns", campaigns.listed)]

    def steps(self) -> list[tuple[str, str]]:
        """What the log is told of epochs, in order."""
        said = [one.openings or {} for one in self.units.run("said", _keys)]
        return [
            (one["step"]["value"], one["epoch"]["value"])
            for one in said
            if one["kind"]["value"] == "epoch"
        ]

    def bundles(self) -> list[contributions.Contribution]:
        """Every bundle there was."""
        return self.units.run("bundles", contributions.listed)

    def race(self) -> races.Race:
        """The race as it stands."""
        return self.units.run("race", lambda unit: races.get(unit, RACE))


class _Custodians:
    """t of them, who answer for the locks of whichever epoch a campaign's audience is of."""

    def __init__(self, season: Season) -> None:
        self.season, self.asked = season, 0
        self.received: list[dict[str, Any]] = []

    def shared(self, shown: Shown) -> dict[bytes, bytes]:
        self.asked += 1
        told = ("manifest", "agreement", "evidence", "nonce", "locks")
        self.received.append({name: getattr(shown, name) for name in told})
        one = self.season.units.run("look", lambda unit: campaigns.get(unit, shown.campaign))
        key = self.season.dealt[str(one.epoch)].seal
        points = group.mult_each(key, b"".join(shown.locks))
        return {lock: points[n * 32 : n * 32 + 32] for n, lock in enumerate(shown.locks)}

    def find_liar(self, campaign: str, lock: bytes) -> None:
        raise AssertionError("nobody lied")

    def close(self, campaign: str) -> bool:
        return True


def _keys(unit: Unit) -> list[log.Promised]:
    return log.of_kind(unit, "key")


def _pen(name: str) -> enter.Pen:
    return enter.Pen(name, public(name), private(name).sign, lambda: secrets.token_bytes(32))


class Kept:
    """A season as it stood at an instant, to be copied for every test: it takes seconds to make."""

    def __init__(self, folder: Path, template: Path) -> None:
        self.folder = folder
        shutil.copy(template, folder / DATABASE)
        base = engine(f"sqlite:///{folder / DATABASE}")
        clock = Standing(NOON)
        self.season = Season(Server(folder, Units(base, clock), clock), folder)
        clock.now = MORNING
        self.season.everything(EPOCH)
        self.first = keep(self.season, folder.with_name(f"{folder.name}-first"))
        self.season.open()
        self.season.everything(NEXT)
        self.overlap = keep(self.season, folder.with_name(f"{folder.name}-overlap"))
        base.dispose()


def keep(season: Season, to: Path) -> tuple[Path, dict[str, Any]]:
    """A season as it stands, for ``again``: its folder, and what only its actors know."""
    season.units.forget()
    shutil.copytree(season.folder, to)
    known = ("mailer", "dealt", "deks", "rows")
    return to, {name: copy(getattr(season, name)) for name in known}


def again(kept: tuple[Path, dict[str, Any]], folder: Path) -> Iterator[Season]:
    """A copy of a season that was kept, in its own folder."""
    whole, known = kept
    shutil.copytree(whole, folder)
    base = engine(f"sqlite:///{folder / DATABASE}")
    clock = Standing(MORNING)
    season = object.__new__(Season)
    for name, value in known.items():
        setattr(season, name, copy(value))
    server = Server(folder, Units(base, clock), clock, planted=True)
    server.serial = itertools.count(1_000_001)  # tokens of the season before the copy are spent
    season.stand_on(server, folder)
    yield season
    base.dispose()


@pytest.fixture(scope="session")
def kept_season(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Kept:
    """Made once a run."""
    return Kept(tmp_path_factory.mktemp("season"), sqlite_template)


@pytest.fixture
def season(kept_season: Kept, tmp_path: Path) -> Iterator[Season]:
    """A race in its first epoch: roll and lists are there, matched, in the roster."""
    yield from again(kept_season.first, tmp_path / "server")


@pytest.fixture
def overlap(kept_season: Kept, tmp_path: Path) -> Iterator[Season]:
    """The same, and everything is there for the next epoch too; the race has not moved."""
    yield from again(kept_season.overlap, tmp_path / "server")

"""A thief of everything that is at rest opens no address and finds no name; only what was agreed.

Threat: docs/threat-model.md, a thief of the database. The thief reads the files themselves: the
server's SQLite and artefacts as they are and as a backup kept them, homes of custodians, keys.
Lists are uploaded to the real server, locks are the custodians' own, letters are sealed for real.
"""

import base64
import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import rfc8785

from consortium.clock import Standing
from consortium.custodian.errors import Refused
from consortium.store.unit import Units
from mailer.errors import UnsealRefused
from mailer.keys import KeyPair, generate
from mailer.seal import DEK_BYTES, Payload, new_wrapped_key, seal
from mailer.unseal import unseal, unwrap
from matching import locks, oprf
from matching.bundle import BundleRow, read_rows, write_rows
from matching.engine import store_token
from matching.locks import RosterEntry, make_entry
from matching.statement import Statement
from matching.threshold import lagrange
from tests.fakes.actors import made
from tests.fakes.campaign import make_campaign, make_rows, put_roster
from tests.fakes.custodians import EPOCH, World
from tests.fakes.server import ROWS, Server, Upload, body

AGREED = 7
"""Rows of the list that the one approved campaign is about."""


@dataclass
class Place:
    """A server with one list on it, custodians, and the mail machine's key."""

    server: Server
    world: World
    statement: Statement
    mailer: KeyPair
    entries: list[RosterEntry] = field(default_factory=list)
    emails: list[str] = field(default_factory=list)
    upload: Upload | None = None

    def contribute(self) -> None:
        """Upload a list whose rows can really be opened."""
        upload, dek = self.server.upload("union"), os.urandom(DEK_BYTES)
        rows = []
        for n, (secret, r) in enumerate(make_rows(ROWS)):
            entry, email = make_entry(EPOCH, secret, r), f"member{n}@union.example"
            sealed = seal(
                Payload(email),
                dek=dek,
                shared=locks.shared_point(r, self.statement.public),
                bundle=UUID(upload.id).bytes,
                tag=entry.tag,
                lock=entry.lock,
            )
            rows.append(BundleRow(n, entry.tag, entry.lock, entry.proof, sealed))
            self.entries.append(entry)
            self.emails.append(email)
        path = self.server.folder / "rows.parquet"
        write_rows(path, rows)
        upload.rows = path.read_bytes()
        path.unlink()
        self.server.put_parts(upload)
        wrapped, commitment = new_wrapped_key(self.mailer.public, rfc8785.dumps({}), dek)
        upload.header["wrapped"] = base64.b64encode(wrapped).decode()
        upload.header["commitment"] = commitment.hex()
        sent = self.server.call("union", "POST", f"/contributions/{upload.id}", json=upload.offer())
        assert sent.status_code == 202, sent.text
        put_roster(self.world, self.entries)
        self.upload = upload

    def withdraw(self) -> None:
        assert self.upload is not None
        gone = body(made("union", "withdrawal", kind="bundle", bundle=self.upload.id))
        path = f"/contributions/{self.upload.id}/withdraw"
        assert self.server.call("union", "POST", path, json=gone).status_code == 202

    def stolen(self, name: str) -> Path:
        """A copy of everything that the server has at rest."""
        to = self.server.folder / "stolen" / name
        shutil.copytree(self.server.folder, to, ignore=shutil.ignore_patterns("stolen", "hosts"))
        return to


@pytest.fixture
def place(sqlite_units: Units, clock: Standing, tmp_path: Path) -> Iterator[Place]:
    world = World(tmp_path / "hosts")
    server = Server(tmp_path, sqlite_units, clock)
    server.sign_agreement()
    made_ = Place(server, world, world.deal("seal"), generate())
    made_.contribute()
    yield made_
    world.client.close()
    for host in world.hosts.values():
        host.ledger.close()


Points = Mapping[bytes, Iterable[bytes]]


def opened(folder: Path, mailer: KeyPair | None, points: Points) -> set[str]:
    """Addresses in a stolen copy, with the mailer's key and what custodians gave for each lock."""
    found = set()
    with closing(sqlite3.connect(folder / "trellis.sqlite")) as base:
        listed = base.execute(
            "SELECT id, header, wrapped, rows_digest FROM contributions"
        ).fetchall()
    for id, header, wrapped, digest in listed:
        path = folder / "artefacts" / digest[:2] / digest
        if mailer is None or wrapped is None or not path.exists():
            continue
        commitment = bytes.fromhex(json.loads(header)["commitment"])
        dek = unwrap(wrapped, commitment, rfc8785.dumps({}), mailer.private)
        for row in read_rows(path):
            for shared in points.get(row.lock, ()):
                with suppress(UnsealRefused):
                    payload = unseal(
                        row.sealed,
                        dek=dek,
                        shared=shared,
                        bundle=UUID(id).bytes,
                        tag=row.tag,
                        lock=row.lock,
                    )
                    found.add(payload.email)
    return found


def guessed(place: Place, shares: Mapping[int, bytes]) -> Points:
    """Every point that fewer shares than it takes can make, and those that need none."""
    raw = b"".join(entry.lock for entry in place.entries)
    made_: dict[bytes, list[bytes]] = {
        entry.lock: [entry.lock, place.statement.public, entry.tag] for entry in place.entries
    }
    for index, share in shares.items():
        for quorum in combinations((1, 2, 3), 2):
            if index in quorum:
                answers = locks.share_answers(share, index, quorum, raw)
                for n, entry in enumerate(place.entries):
                    made_[entry.lock].append(answers[32 * n : 32 * n + 32])
    return made_


def released(place: Place, campaign: Any) -> Points:
    """What live custodians answer to whoever holds the mailer's keys; nothing when they refuse."""
    answers = []
    for to in ("ann", "bea"):
        custodian = place.world.hosts[to].custodian
        with suppress(Refused):
            custodian.open_release(campaign.body(place.world, to))
            name = campaign.manifest["campaign"]
            said = {"campaign": name, "chunk": 0, "quorum": [1, 2], "proofs": False, "version": 1}
            call = place.world.signed("release-answer", "mailer", to, said)
            answers.append(base64.b64decode(custodian.answer_chunk(name, 0, call)["answers"]))
    if len(answers) < 2:
        return {}
    total = locks.combine(answers)
    return {lock: [total[32 * n : 32 * n + 32]] for n, lock in enumerate(campaign.locks)}


def test_with_database_artefacts_backup_and_the_mailers_key_no_row_opens(place: Place) -> None:
    backup = place.stolen("backup")
    place.withdraw()
    now = place.stolen("now")
    nothing = guessed(place, {})
    assert opened(backup, place.mailer, nothing) == set()
    assert opened(now, place.mailer, nothing) == set()
    # And live custodians, asked with the mailer's own key: for everything, without a manifest.
    bare = make_campaign(place.world, place.entries, name="bare", size_class=128)
    bare.evidence = {}
    assert released(place, bare) == {}
    alone = make_campaign(
        place.world, place.entries, name="alone", size_class=128, signers=(), attesters=("mailer",)
    )
    assert released(place, alone) == {}


def test_with_one_approved_campaign_exactly_its_rows_open(place: Place) -> None:
    copy = place.stolen("copy")
    campaign = make_campaign(place.world, place.entries[:AGREED])
    points = released(place, campaign)
    assert opened(copy, place.mailer, points) == set(place.emails[:AGREED])
    # Every point that was released, tried on every row: none of the others is one's multiple.
    every = [one for each in points.values() for one in each]
    everywhere = {entry.lock: every for entry in place.entries}
    assert opened(copy, place.mailer, everywhere) == set(place.emails[:AGREED])
    assert opened(copy, None, points) == set()


def test_one_custodians_home_on_top_of_all_that_opens_nothing_and_two_open_all(
    place: Place,
) -> None:
    copy = place.stolen("copy")
    held = {}
    for index, one in enumerate(("ann", "bea"), 1):
        key = place.world.hosts[one].ledger.key("seal", EPOCH)
        assert key is not None
        held[index] = key.share
    assert opened(copy, place.mailer, guessed(place, {1: held[1]})) == set()
    raw = b"".join(entry.lock for entry in place.entries)
    total = locks.combine([locks.share_answers(held[n], n, (1, 2), raw) for n in (1, 2)])
    both = {entry.lock: [total[32 * n : 32 * n + 32]] for n, entry in enumerate(place.entries)}
    assert opened(copy, place.mailer, both) == set(place.emails)  # as documented


# -- names


PEOPLE = [f"voter {n} of the public file".encode() for n in range(200)]
MEMBERS = set(PEOPLE[::2])


def output(person: bytes, shares: Mapping[int, bytes], quorum: tuple[int, ...]) -> bytes:
    point = oprf.hash_inputs([person])
    parts = [(lagrange(j, quorum), oprf.evaluate(shares[j], point)) for j in shares]
    return oprf.finalise([person], oprf.combine_each(parts))[0]


def test_fewer_than_t_homes_and_everything_but_the_pepper_confirm_no_guess(place: Place) -> None:
    """Not even with the steward's own outputs of every voter: the best material for guessing."""
    place.world.deal("match")
    shares = {}
    for index, one in enumerate(place.world.ids, 1):
        key = place.world.hosts[one].ledger.key("match", EPOCH)
        assert key is not None
        shares[index] = key.share
    pepper, recipe = os.urandom(32), 3
    two = {1: shares[1], 2: shares[2]}
    outputs = {one: output(one, two, (1, 2)) for one in PEOPLE}
    tokens = {store_token(pepper, EPOCH, recipe, outputs[one]) for one in MEMBERS}
    # Every 32 bytes of key that lie anywhere but with the pepper's holder.
    keys = [bytes(32), place.mailer.private[:32], hashlib.sha256(b"").digest(), shares[1]]
    keys += [key.private_bytes_raw() for key in place.world.keys.values()]
    keys += [os.urandom(32) for _ in range(4)]
    material = [
        *outputs.items(),
        *(
            (one, output(one, {1: shares[1]}, quorum))
            for one in PEOPLE
            for quorum in ((1, 2), (1, 3))
        ),
    ]
    assert confirmed(tokens, material, keys) == set()
    assert confirmed(tokens, outputs.items(), [pepper]) == MEMBERS  # with it, as documented
    partial = [(one, out) for one, out in material if out != outputs[one]]
    assert confirmed(tokens, partial, [pepper]) == set()  # and one share and the pepper: none


def confirmed(
    tokens: set[tuple[int, int]], outputs: Iterable[tuple[bytes, bytes]], peppers: Iterable[bytes]
) -> set[bytes]:
    """Guesses that the stolen tokens confirm."""
    each = list(outputs)
    return {
        person
        for pepper in peppers
        for person, out in each
        if store_token(pepper, EPOCH, 3, out) in tokens
    }

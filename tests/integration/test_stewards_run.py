"""A steward's bulk run, asked of three custodians as processes: only by t yeses in the log.

Only for the epoch that was agreed to, up to the size that the invite says, and at the hours and
before the expiry that hold for everybody.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from consortium.cli.custodian import command
from consortium.cli.tokenise import evaluate_inputs
from consortium.custodian.ledger import Key
from matching import group, oprf
from matching.evaluation import BATCH, Request, sign_request
from matching.statement import Statement
from tests.fakes.custodians import EPOCH, IDS
from tests.fakes.dealer import split
from tests.fakes.three import Three, three

NEXT = "2027-season"
MOST = f"[quota_of]\nclerk = {2 * BATCH}\n"
"""What each custodian agrees to: two batches an epoch, far less than the smallest class."""
NAMES = [b"ada lovelace 1815", b"grace hopper 1906"]


@dataclass
class Run:
    """What a steward asks, of each custodian by itself or with its tool of as many as it takes."""

    world: Three
    keys: dict[str, Statement]

    def ask(self, id: str, epoch: str = EPOCH, **other: Any) -> str:
        """Ask one custodian for one batch of its own; "answered", or the name of the refusal."""
        world = self.world
        points = oprf.hash_inputs([*NAMES, *[NAMES[0]] * (BATCH - len(NAMES))])
        said = {
            "sid": self.keys[epoch].sid,
            "version": 1,
            "actor": "clerk",
            "batch": "b",
            "purpose": "match",
            "nonce": secrets.token_hex(16),
            "expires": world.now + timedelta(hours=1),
            "points": hashlib.sha256(points).hexdigest(),
        }
        request = Request(**{**said, **other})
        body = {
            "request": sign_request(request, world.keys["clerk"].sign),
            "points": base64.b64encode(points).decode(),
        }
        end = time.monotonic() + 240
        while True:  # what the log does not show yet is asked for again, as tools do
            answer = httpx.post(f"{world.seats[id].url}/evaluate", json=body, timeout=120)
            if answer.status_code == 200:
                return "answered"
            name = str(answer.json()["refused"])
            if name != "not-yet-reserved":
                return name
            assert time.monotonic() < end, name
            time.sleep(0.05)

    def each(self, epoch: str = EPOCH, **other: Any) -> dict[str, str]:
        """Ask every custodian."""
        return {one: self.ask(one, epoch, **other) for one in IDS}

    def spent(self) -> list[int]:
        """Points that each custodian counts for the steward, in all."""
        found = []
        for seat in self.world.seats.values():
            with seat.ledger() as ledger:
                found.append(sum(n for _, who, n in ledger.spent() if who == "clerk"))
        return found

    def agree(self, id: str) -> None:
        """As a custodian's staff does, at its own computer."""
        home = str(self.world.seats[id].home)
        said = CliRunner().invoke(command, ["consent", "--home", home, "clerk"])
        assert said.exit_code == 0, said.output

    def joined(self, **invite: Any) -> None:
        """Have every custodian take an invite that says more."""
        whole = {**self.world.invite, **invite}
        self.world.invite = {name: value for name, value in whole.items() if value is not None}
        path = self.world.folder / "invite.json"
        path.write_text(json.dumps(self.world.invite))
        for seat in self.world.seats.values():
            words = ["join", "--home", str(seat.home), "--invite", str(path), "--accept-changes"]
            said = CliRunner().invoke(command, words)
            assert said.exit_code == 0, said.output

    def consents(self) -> list[tuple[str, str]]:
        """Epoch and actor of every consent in the log."""
        said = [
            one for one in self.world.log.openings.values() if one["kind"]["value"] == "consent"
        ]
        return sorted((one["epoch"]["value"], one["whose"]["value"]) for one in said)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with three(tmp_path) as world:
        made = Run(world, {EPOCH: world.deal("match")})
        for seat in world.seats.values():
            (seat.home / "settings.toml").write_text(MOST)
        world.serve()
        yield made


def test_a_bulk_run_takes_as_many_yeses_as_a_key_takes_and_goes_as_far_as_they_say(
    run: Run,
) -> None:
    world = run.world
    assert run.each() == dict.fromkeys(IDS, "no-consent")
    run.agree("ann")
    # One is not two: who agreed waits for another, and the others say that they have not.
    assert run.each() == {"ann": "not-yet-agreed", "bea": "no-consent", "cyd": "no-consent"}
    assert run.consents() == [(EPOCH, "clerk")]
    # A second yes that is no custodian's counts for nothing, though it stands in the log.
    world.entry("operator", kind="consent", epoch=EPOCH, whose="clerk", rows=0)
    assert run.ask("ann") == "not-yet-agreed"
    assert run.spent() == [0, 0, 0]

    run.agree("bea")
    made = world.until(
        lambda: evaluate_inputs(
            NAMES,
            statement=run.keys[EPOCH],
            custodians=world.addresses,
            actor="clerk",
            sign=world.keys["clerk"].sign,
            batch="b1",
            state=world.folder / "state",
            state_key=b"k" * 32,
            blinded=False,
            workers=1,
        )
    )
    whole = oprf.evaluate(world.dealt["match"], oprf.hash_inputs(NAMES))
    assert made == oprf.finalise(NAMES, whole)
    assert run.spent() == [BATCH, BATCH, 0]
    # The third has not agreed, whatever the others and the log say.
    assert run.ask("cyd") == "no-consent"
    # Nothing that is signed for longer than a day, and no larger roll than was agreed to.
    late = world.now + timedelta(days=3)
    assert [run.ask(one, expires=late) for one in ("ann", "bea")] == ["expired"] * 2
    assert [run.ask(one) for one in ("ann", "ann", "bea", "bea")] == [
        *("answered", "quota-exceeded"),
        *("answered", "quota-exceeded"),
    ]
    assert run.spent() == [2 * BATCH, 2 * BATCH, 0]
    nor_for_the_next_epoch(run)


def nor_for_the_next_epoch(run: Run) -> None:
    """A yes for one epoch is none for the next, neither beside it nor after it."""
    run.joined(next_epoch=NEXT)
    run.keys[NEXT] = _deal(run.world, NEXT)
    assert run.each(NEXT) == dict.fromkeys(IDS, "no-consent")
    run.agree("ann")
    assert run.each(NEXT) == {"ann": "not-yet-agreed", "bea": "no-consent", "cyd": "no-consent"}
    # Nor when that epoch is the present one.
    run.joined(epoch=NEXT, next_epoch=None)
    assert run.ask("bea", NEXT) == "no-consent"
    # Two custodians' of the first epoch, the operator's own, and one of the next.
    assert run.consents() == [*[(EPOCH, "clerk")] * 3, (NEXT, "clerk")]
    run.agree("bea")  # the control
    assert run.world.until(lambda: run.ask("bea", NEXT), lambda said: said == "answered")


def _deal(world: Three, epoch: str) -> Statement:
    secret = group.reduce(secrets.token_bytes(64))
    statement, shares = split(secret, threshold=2, ids=world.ids, purpose="match", epoch=epoch)
    for one, seat in world.seats.items():
        with seat.ledger() as ledger:
            ledger.add_key(Key(statement, {}, shares[one]))
    return statement

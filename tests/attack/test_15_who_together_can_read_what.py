"""What each coalition learns of people on lists, and what it does not: both as documented.

Threat: docs/threat-model.md, who together can do what. Every line of its table is played with real
keys, rows, tokens and custodians by an extractor that uses all that the coalition has. A line that
promises too much fails, and so does one that admits too much.
"""

import base64
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import combinations
from pathlib import Path
from uuid import uuid4

import pytest

from consortium.custodian.errors import Refused
from mailer.errors import UnsealRefused
from mailer.keys import generate
from mailer.seal import DEK_BYTES, Payload, new_wrapped_key, seal
from mailer.unseal import unseal, unwrap
from matching import locks, oprf
from matching.engine import store_token
from matching.evaluation import BATCH, Request, sign_request
from matching.locks import RosterEntry, make_entry
from matching.threshold import lagrange
from tests.fakes.campaign import make_agreement, make_campaign, make_rows, put_roster
from tests.fakes.custodians import EPOCH, World

PAGE = Path(__file__).parents[2] / "docs" / "threat-model.md"


def table(name: str) -> list[tuple[str, ...]]:
    """The rows of one of the page's tables."""
    found = re.search(rf"<!-- {name} -->(.+?)<!-- end of {name} -->", PAGE.read_text(), re.DOTALL)
    lines = (found[1] if found else "").strip().splitlines()[2:]
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]


ROWS, ACTORS = table("coalitions"), table("actors")
MEMBERS = (b"ada lovelace 1815", b"grace hopper 1906")
VOTERS = (*MEMBERS, b"never on a list 1970")
RECIPE, QUOTA = 3, BATCH


@dataclass(frozen=True)
class Has:
    """What a coalition holds besides the database."""

    shares: int = 0
    pepper: bool = False
    mailer: bool = False
    steward: bool = False
    operator: bool = False
    partners: Sequence[str] = ()


PARTS = {
    "a thief of the database": Has(),
    "the pepper's holder": Has(pepper=True),
    "the mail machine": Has(mailer=True),
    "one custodian": Has(shares=1),
    "t custodians": Has(shares=2),
    "the steward": Has(steward=True),
    "one partner": Has(partners=("union",)),
    "every partner": Has(partners=("league", "parks", "union")),
    "the operator": Has(pepper=True, mailer=True, operator=True),
    "a coordinator": Has(),
    "a witness": Has(),
    "an auditor": Has(),
    "a recipient": Has(),
}


def together(words: str) -> Has:
    each = [PARTS[one.strip()] for one in words.split(",")]
    return Has(
        shares=max(one.shares for one in each),
        pepper=any(one.pepper for one in each),
        mailer=any(one.mailer for one in each),
        steward=any(one.steward for one in each),
        operator=any(one.operator for one in each),
        partners=[partner for one in each for partner in one.partners],
    )


@dataclass
class Row:
    """One member of the league, as the database holds it."""

    entry: RosterEntry
    sealed: bytes
    email: str


@dataclass
class Installation:
    """Custodians, one bundle of the league, tokens; and who holds which secret."""

    world: World
    rows: list[Row] = field(default_factory=list)
    tokens: set[tuple[int, int]] = field(default_factory=set)
    pepper: bytes = field(default_factory=lambda: os.urandom(32))
    bundle: bytes = field(default_factory=lambda: uuid4().bytes)

    def __post_init__(self) -> None:
        self.match, self.seal = self.world.deal("match"), self.world.deal("seal")
        self.mailer, dek = generate(), os.urandom(DEK_BYTES)
        self.wrapped, self.commitment = new_wrapped_key(self.mailer.public, b"header", dek)
        for n, (secret, r) in enumerate(make_rows(3)):
            entry, email = make_entry(EPOCH, secret, r), f"member{n}@league.example"
            sealed = seal(
                Payload(email),
                dek=dek,
                shared=locks.shared_point(r, self.seal.public),
                bundle=self.bundle,
                tag=entry.tag,
                lock=entry.lock,
            )
            self.rows.append(Row(entry, sealed, email))
        put_roster(self.world, [row.entry for row in self.rows])
        whole = self.shares("match", 2)
        self.outputs = {one: self.output(one, whole) for one in VOTERS}
        self.tokens = {self.token(self.pepper, self.outputs[one]) for one in MEMBERS}
        for one in self.world.ids:
            for partner in PARTS["every partner"].partners:
                self.world.quota(one, partner, QUOTA)

    def shares(self, purpose: str, count: int) -> dict[int, bytes]:
        """The shares that the first ``count`` custodians hold, by index."""
        keys = [self.world.hosts[one].ledger.key(purpose, EPOCH) for one in self.world.ids[:count]]
        return {n: key.share for n, key in enumerate(keys, 1) if key is not None}

    @staticmethod
    def output(guess: bytes, shares: dict[int, bytes]) -> bytes:
        """What comes out for one input under these shares; right if they are enough."""
        point, quorum = oprf.hash_inputs([guess]), tuple(shares)
        parts = [(lagrange(j, quorum), oprf.evaluate(shares[j], point)) for j in quorum]
        return oprf.finalise([guess], oprf.combine_each(parts))[0]

    @staticmethod
    def token(pepper: bytes, output: bytes) -> tuple[int, int]:
        return store_token(pepper, EPOCH, RECIPE, output)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Installation]:
    made = Installation(World(tmp_path))
    yield made
    made.world.client.close()
    for host in made.world.hosts.values():
        host.ledger.close()


# -- names


def asked(place: Installation, partner: str, guesses: Sequence[bytes]) -> list[bytes]:
    """Outputs for one batch of guesses, asked of live custodians with a partner's key."""
    padded = [*guesses, *[guesses[0]] * (BATCH - len(guesses))]
    raw, parts = oprf.hash_inputs(padded), []
    for index, one in enumerate(place.world.ids[:2], 1):
        request = Request(
            sid=place.match.sid,
            version=1,
            actor=partner,
            batch="b",
            purpose="match",
            nonce=os.urandom(16).hex(),
            expires=place.world.now + timedelta(hours=1),
            points=hashlib.sha256(raw).hexdigest(),
        )
        body = {
            "request": sign_request(request, place.world.keys[partner].sign),
            "points": base64.b64encode(raw).decode(),
        }
        answer = place.world.hosts[one].custodian.evaluate(body)
        parts.append((lagrange(index, (1, 2)), base64.b64decode(answer["evaluations"])))
    return oprf.finalise(padded, oprf.combine_each(parts))[: len(guesses)]


def names(place: Installation, has: Has) -> tuple[set[bytes], bool]:
    """Guessed names that the coalition finds on lists, and whether a quota ended its guessing."""
    outputs: list[tuple[bytes, bytes]] = []
    held, ended = place.shares("match", has.shares), False
    for size in range(1, len(held) + 1):
        for some in combinations(held, size):
            part = {one: held[one] for one in some}
            outputs += [(guess, place.output(guess, part)) for guess in VOTERS]
    if has.steward:
        outputs += place.outputs.items()
    if has.partners:
        outputs += zip(VOTERS, asked(place, has.partners[0], VOTERS), strict=True)
        with pytest.raises(Refused, match="quota-exceeded"):
            asked(place, has.partners[0], VOTERS)
        ended = True
    peppers = [place.pepper] if has.pepper else [bytes(32), os.urandom(32)]
    found = {
        guess
        for guess, output in outputs
        for pepper in peppers
        if place.token(pepper, output) in place.tokens
    }
    return found, ended


# -- addresses


def released(place: Installation, has: Has) -> Iterator[list[bytes]]:
    """What live custodians give for a campaign that the coalition can sign by itself."""
    world, entries = place.world, [row.entry for row in place.rows]
    alone = list(has.partners) or ["union"]
    for n, agreement in enumerate((make_agreement(world), make_agreement(world, parties=alone))):
        campaign = make_campaign(
            world,
            entries,
            name=f"x{n}",
            agreement=agreement,
            sources=alone,
            signers=alone,
            attesters=alone,
        )
        if not has.partners:  # the operator signs in the partner's place, with its own key
            said = {"campaign": f"x{n}", "digest": campaign.digest}
            campaign.evidence["approvals"] = [world.entry("operator", kind="approve", **said)]
        answers = []
        for to in world.ids[:2]:
            with suppress(Refused):
                world.hosts[to].custodian.open_release(campaign.body(world, to))
                asks = {"campaign": f"x{n}", "chunk": 0, "quorum": [1, 2], "proofs": False}
                asks["version"] = 1
                message = world.signed("release-answer", "mailer", to, asks)
                answer = world.hosts[to].custodian.answer_chunk(f"x{n}", 0, message)
                answers.append(base64.b64decode(answer["answers"]))
        if len(answers) == 2:
            total = locks.combine(answers)
            yield [total[k : k + 32] for k in range(0, len(total), 32)]


def points(place: Installation, has: Has) -> Iterator[list[bytes]]:
    """Every set of shared points that the coalition can make."""
    each = [row.entry.lock for row in place.rows]
    yield each
    yield [place.seal.public] * len(each)
    held, raw = place.shares("seal", has.shares), b"".join(each)
    for size in range(1, len(held) + 1):
        for some in combinations(held, size):
            for quorum in {some, (1, 2), (1, 3)}:
                if set(some) <= set(quorum):
                    parts = [locks.share_answers(held[one], one, quorum, raw) for one in some]
                    total = locks.combine(parts)
                    yield [total[k : k + 32] for k in range(0, len(total), 32)]
    if has.operator:
        yield from released(place, has)


def opened(place: Installation, has: Has) -> set[str]:
    """Addresses that the coalition reads."""
    private = place.mailer.private if has.mailer else generate().private
    deks = [place.commitment, bytes(DEK_BYTES)]
    with suppress(UnsealRefused):
        deks.append(unwrap(place.wrapped, place.commitment, b"header", private))
    found = set()
    for each in points(place, has):
        for row, shared in zip(place.rows, each, strict=True):
            for dek in deks:
                with suppress(UnsealRefused):
                    payload = unseal(
                        row.sealed,
                        dek=dek,
                        shared=shared,
                        bundle=place.bundle,
                        tag=row.entry.tag,
                        lock=row.entry.lock,
                    )
                    found.add(payload.email)
    return found


@pytest.mark.parametrize(("who", "naming", "opening"), ROWS, ids=[row[0] for row in ROWS])
def test_a_coalition_learns_what_is_documented_and_no_more(
    place: Installation, who: str, naming: str, opening: str
) -> None:
    has = together(who)
    found, ended = names(place, has)
    assert found == (set() if naming == "no" else set(MEMBERS))
    assert ended == bool(has.partners)
    assert (naming == "within the quota") == (bool(found) and ended)
    everybody = {row.email for row in place.rows}
    assert opened(place, has) == (everybody if opening == "yes" else set())


def test_the_table_lists_the_coalitions_that_matter() -> None:
    listed = {row[0] for row in ROWS}
    assert len(listed) == len(ROWS) >= 30
    assert {part.strip() for who in listed for part in who.split(",")} == set(PARTS)
    assert {cell for row in ROWS for cell in row[1:]} == {"yes", "no", "within the quota"}


def test_each_actor_of_the_model_is_played_somewhere() -> None:
    assert len({row[0] for row in ACTORS}) == len(ACTORS) == 13
    for who, _, rests, played in ACTORS:
        files = re.findall(r"`([\w/]+\.py)`", played)
        assert all((PAGE.parents[1] / "tests" / one).is_file() for one in files), who
        # What nothing stops is the only thing that nothing can show.
        assert bool(files) != ("nothing stops them" in rests), who

"""A custodian reads the log's own files: what it finds there, and what it does not put up with."""

import base64
import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consortium.custodian.anchors import Anchors
from consortium.custodian.errors import LogUnreachable, Refused
from consortium.custodian.follow import Follower
from consortium.custodian.ledger import Ledger, Release
from consortium.custodian.log import ApiLog, Salts
from consortium.custodian.settings import Registry, Settings
from provenance.backend import CHECKPOINT
from provenance.checkpoint import open_checkpoint
from provenance.entry import draft, parse
from provenance.merkle import leaf_hash
from provenance.quorum import Policy
from tests.fakes.log_api import LogApi
from tests.fakes.memory_log import MemoryNeighbours

FACTS = {"kind": "block", "sid": "5", "whose": "union", "ends": 4096}


@dataclass
class Place:
    """One custodian beside a real log with as many entries as a test wants."""

    ledger: Ledger
    api: LogApi = field(default_factory=LogApi)
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        self.file = self.api.file
        self.policy = Policy.from_invite(self.api.invite("http://127.0.0.1:1"))
        self.follower = Follower(
            self.ledger,
            file=lambda path: self.file(path),
            policy=self.policy,
            custodians=lambda: {"ann": self.key.public_key().public_bytes_raw()},
        )

    def log(self, secret: bytes = b"s" * 32) -> ApiLog:
        return ApiLog(
            self.api.invite("http://127.0.0.1:1"),
            public=self.key.public_key().public_bytes_raw(),
            sign=self.key.sign,
            now=lambda: datetime.now(UTC),
            salts=Salts(secret),
        )

    def noise(self, count: int) -> None:
        stranger = Ed25519PrivateKey.generate()
        for n in range(count):
            made = draft(
                "ledger",
                at=datetime.now(UTC),
                actor=stranger.public_key().public_bytes_raw(),
                facts={"kind": "noise", "n": n},
                salt=lambda: secrets.token_bytes(32),
                sign=stranger.sign,
            )
            self.api.entries.append(made.entry)

    def of_keys(self, key: Ed25519PrivateKey) -> str:
        """An entry about keys, signed by anybody."""
        made = draft(
            "key",
            at=datetime.now(UTC),
            actor=key.public_key().public_bytes_raw(),
            facts={"kind": "destroyed", "id": "ann"},
            salt=lambda: secrets.token_bytes(32),
            sign=key.sign,
        )
        self.api.entries.append(made.entry)
        return leaf_hash(made.entry).hex()

    def say(self, name: str = "block/5/union/4096") -> str:
        log = self.log()
        drafted = log.draft("ledger", FACTS, name)
        self.api.entries.append(base64.b64decode(drafted["entry"]))
        return log.leaf(drafted)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(Ledger(tmp_path / "custodian.sqlite"))
    yield made
    made.ledger.close()


def test_it_finds_its_own_entries_and_knows_them_by_name_and_facts(place: Place) -> None:
    place.noise(3)
    leaf = place.say()
    place.noise(2)
    tree = place.follower.advance()
    assert tree.size == 6
    (found,) = place.ledger.unknown("ann")
    assert found.leaf == leaf
    log, name = place.log(), "block/5/union/4096"
    assert log.is_own(found.entry, FACTS, name)
    assert not log.is_own(found.entry, {**FACTS, "ends": 8192}, name)
    assert not log.is_own(found.entry, FACTS, "block/5/union/8192")
    assert not log.is_own(found.entry, {"kind": "block"}, name)
    assert not place.log(b"another seed".ljust(32)).is_own(found.entry, FACTS, name)


def test_what_custodians_say_of_keys_is_found_and_is_no_entry_that_the_books_lack(
    place: Place,
) -> None:
    place.of_keys(Ed25519PrivateKey.generate())
    leaf = place.of_keys(place.key)
    place.follower.advance()
    assert place.ledger.unread() == [(leaf, "ann")]
    assert place.ledger.unknown("ann") == []  # or each ceremony would look like a restore


def test_books_of_before_it_looked_for_keys_read_the_log_from_its_start(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.noise(2)
    leaf = place.of_keys(place.key)
    monkeypatch.setattr("consortium.custodian.follow.KINDS", ("ledger",))
    place.follower.advance()
    assert place.ledger.unread() == []
    monkeypatch.undo()
    place.follower.advance()
    assert place.ledger.unread() == [(leaf, "ann")]


def test_the_same_fact_said_in_another_hour_shares_no_commitment(place: Place) -> None:
    salts = Salts(b"s" * 32)
    first, second = (salts.of("n", datetime(2026, 11, 21, hour, tzinfo=UTC)) for hour in (1, 2))
    assert {first() for _ in range(9)}.isdisjoint({second() for _ in range(9)})
    place.say()
    assert len(set(parse(place.api.entries[0]).commitments.values())) == len(FACTS)


def test_it_goes_on_where_it_was_across_full_tiles_and_restarts(place: Place) -> None:
    asked: list[str] = []
    place.noise(300)
    place.follower.advance()
    place.noise(10)
    leaf = place.say()
    place.file = lambda path: asked.append(path) or place.api.file(path)  # type: ignore[func-returns-value]
    assert place.follower.advance().size == 311
    assert [one for one in asked if "entries" in one] == ["tile/entries/001.p/55"]
    assert [one.leaf for one in place.ledger.unknown("ann")] == [leaf]


def test_a_log_put_back_is_refused(place: Place) -> None:
    place.noise(5)
    place.follower.advance()
    place.api.entries.pop()
    with pytest.raises(Refused, match="rolled-back"):
        place.follower.advance()


@pytest.mark.parametrize("more", [0, 4])
def test_another_log_under_the_same_keys_is_refused_and_the_proof_kept(
    place: Place, more: int
) -> None:
    place.noise(5)
    before = place.follower.advance()
    place.api.entries.clear()
    place.noise(5 + more)
    with pytest.raises(Refused, match="split-view"):
        place.follower.advance()
    if more:
        ((older, newer),) = place.ledger.forks()
    else:
        ((_, (older, newer)),) = place.ledger.splits()
    assert before.checkpoint in (older, newer)
    for note in (older, newer):
        assert place.policy.check(note.encode())
        assert open_checkpoint(note.encode(), place.policy.logs)
    assert place.ledger.followed() == before


def test_files_that_do_not_lead_to_the_checkpoint_prove_nothing_and_serve_nothing(
    place: Place,
) -> None:
    place.noise(4)
    place.follower.advance()
    place.noise(2)
    true = place.api.file

    def false(path: str) -> bytes | None:
        raw = true(path)
        return raw if path == CHECKPOINT or raw is None else raw[:-1] + b"0"

    place.file = false
    with pytest.raises(LogUnreachable):
        place.follower.advance()
    assert place.ledger.forks() == []
    place.file = lambda path: None
    with pytest.raises(LogUnreachable):
        place.follower.advance()
    place.file = true
    assert place.follower.advance().size == 6


class Posting:
    """The log's API and the log's files, one log: entries are posted, files are followed."""

    def __init__(self, place: Place) -> None:
        self.place, self.log = place, place.log()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.log, name)

    def submit(self, drafted: dict[str, Any]) -> str:
        return self.place.api.add(base64.b64decode(drafted["entry"]), drafted["openings"])


@pytest.fixture
def opening(place: Place, tmp_path: Path) -> Callable[..., None]:
    """What a custodian does when a letter is to be opened; its clock is ``place.now``."""
    home = tmp_path / "home"
    home.mkdir()
    invite = {**place.api.invite("http://127.0.0.1:1"), "epoch": "2026", "actors": []}
    invite |= {"custodians": [], "threshold": 1}
    (home / "invite.json").write_text(json.dumps(invite))
    release = Release("c1", "5" * 64, "6" * 64, "", "", b"l" * 32, "mailer")

    def work(fresh: timedelta = timedelta(hours=1)) -> None:
        settings = Settings(home, "ann", "http://ann", "127.0.0.1:1", place.key, fresh=fresh)
        Anchors(
            lambda: settings,
            place.ledger,
            Registry(home / "invite.json"),
            Posting(place),  # type: ignore[arg-type]
            lambda: place.now,
            place.follower,
            MemoryNeighbours(lambda one: []),
        ).open(release, 1)

    return work


def test_an_opening_waits_for_a_log_that_was_cosigned_within_the_hour(
    place: Place, opening: Callable[..., None]
) -> None:
    place.noise(3)
    cosigned = place.api.checkpoint()  # of now, and the witnesses cosign no more
    files = place.file
    place.file = lambda path: cosigned if path == CHECKPOINT else files(path)
    place.now = datetime.now(UTC) + timedelta(minutes=61)
    with pytest.raises(Refused, match="not-fresh"):
        opening()
    assert len(place.api.entries) == 3  # nothing was said in the log, and nothing counted
    assert place.ledger.status()["opens"] == 0
    with pytest.raises(Refused, match="not-yet-logged"):
        opening(fresh=timedelta(hours=2))  # the control: where that is young enough it goes on
    assert len(place.api.entries) == 4
    place.file, place.now = files, datetime.now(UTC)
    opening()
    assert place.ledger.status()["opens"] == 1


def test_too_few_witnesses_are_no_log(place: Place) -> None:
    place.noise(1)
    place.api.witnesses = place.api.witnesses[:1]
    with pytest.raises(Refused, match="not-logged"):
        place.follower.advance()


def test_somebody_new_among_the_custodians_is_looked_for_from_the_start(place: Place) -> None:
    place.noise(2)
    leaf = place.say()
    place.follower._custodians = dict
    place.follower.advance()
    assert place.ledger.unknown("ann") == []
    place.follower._custodians = lambda: {"ann": place.key.public_key().public_bytes_raw()}
    place.follower.advance()
    assert [one.leaf for one in place.ledger.unknown("ann")] == [leaf]


def test_a_leaf_is_that_of_the_log(place: Place) -> None:
    leaf: Any = place.say()
    assert leaf == leaf_hash(place.api.entries[0]).hex()

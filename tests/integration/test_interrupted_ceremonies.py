"""Ceremony and resharing, killed at every step of every custodian in turn: nothing is lost.

`make test` kills at a few steps spread over the whole; `make soak` at each.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from consortium.custodian.ceremony import Ceremony
from consortium.custodian.keys import Key
from consortium.custodian.resharing import Reshare
from consortium.custodian.table import Table
from matching import group
from matching.crypto_errors import CeremonyAborted
from matching.resharing import resharing
from matching.seats import Secret, Session
from matching.statement import Statement
from tests.fakes.dealer import split
from tests.fakes.dealing import combined, sign_all
from tests.fakes.interrupted import Hosts, Trap, run

EPOCH = "2026-season"
OLD = ("ann", "bea", "cyd")
NEW = ("ann", "cyd", "dan")
ALL = ("ann", "bea", "cyd", "dan")
SECRET = group.reduce(b"resharing".ljust(64, b"\x01"))


@contextmanager
def hosts_at(folder: Path, ids: tuple[str, ...]) -> Iterator[Hosts]:
    folder.mkdir()
    made = Hosts(folder, ids)
    try:
        yield made
    finally:
        made.close()


class Made:
    """One scenario: who takes part, how, and what must be true at each instant and at the end."""

    who: tuple[str, ...]
    ids: tuple[str, ...]

    def __init__(self, hosts: Hosts) -> None:
        self.hosts = hosts
        self.prepare()

    def prepare(self) -> None:
        """Bring the hosts to where the scenario begins."""

    def driver(self, one: str) -> Table:
        raise NotImplementedError

    def at_any_instant(self, one: str) -> None:
        """Check what must be true of a custodian that has just died."""

    def at_the_end(self, done: dict[str, Statement]) -> None:
        raise NotImplementedError

    def shares(self, ids: tuple[str, ...], statement: Statement) -> dict[str, bytes]:
        found = {}
        for one in ids:
            held = self.hosts.ledgers[one].key("match", EPOCH)
            assert held is not None
            assert held.statement == statement
            found[one] = held.share
        return found

    def nothing_secret_is_left(self, *gone: bytes) -> None:
        for one in self.who:
            files = list(self.hosts.folder.glob(f"{one}.sqlite*"))
            blobs = b"".join(path.read_bytes() for path in files)
            assert b"coefficients" not in blobs
            assert not [raw for raw in gone if raw in blobs or raw.hex().encode() in blobs]


class Making(Made):
    """A ceremony of three."""

    who = ids = OLD

    def driver(self, one: str) -> Table:
        seats = tuple(self.hosts.seats[id] for id in OLD)
        return Ceremony(Session(EPOCH, "match", 2, seats), one, **self.hosts.parts(one))

    def at_the_end(self, done: dict[str, Statement]) -> None:
        assert len({statement.digest for statement in done.values()}) == 1
        statement = done["ann"]
        shares = self.shares(OLD, statement)
        secret = combined(shares, statement, ("ann", "bea"))
        assert group.base(secret) == statement.public
        assert combined(shares, statement, ("bea", "cyd")) == secret
        assert len(self.hosts.shared.entries) == len(OLD) + 1  # nothing is posted twice
        self.nothing_secret_is_left()


class Replacing(Made):
    """bea, who deals, leaves; dan comes; cyd was no dealer."""

    who = ids = ALL
    to: tuple[str, ...] = NEW

    def prepare(self) -> None:
        self.old, self.before = split(SECRET, threshold=2, ids=OLD, epoch=EPOCH)
        signed = sign_all(self.old, self.hosts.keys)
        for one in OLD:
            ledger = self.hosts.ledgers[one]
            ledger.trap.armed = False
            ledger.add_key(Key.of(signed, self.before[one]))
            ledger.retire([one.encode().ljust(32, b"\x00")])
            ledger.trap.armed = True

    def driver(self, one: str) -> Table:
        seats = self.hosts.seats
        session = resharing(
            self.old,
            dealing=[seats["ann"], seats["bea"]],
            seats=[seats[id] for id in self.to],
            threshold=2,
        )
        return Reshare(session, one, **self.hosts.parts(one))

    def at_any_instant(self, one: str) -> None:
        """Whoever held a share holds it, or the next one that stands in the log."""
        held = self.hosts.ledgers[one].key("match", EPOCH)
        if held is None:
            assert one not in OLD or self.hosts.ledgers[one].given_up(self.old.sid, 2)
            assert one not in self.to or one not in OLD
            return
        assert group.base(held.share) == held.statement.share(one)
        if held.statement.version == 2:
            logged = [facts.get("statement") for _, facts in self.hosts.shared.entries.values()]
            assert held.statement.to_json() in logged
        else:
            assert held.share == self.before[one]

    def at_the_end(self, done: dict[str, Statement]) -> None:
        assert len({statement.digest for statement in done.values()}) == 1
        statement = done["ann"]
        assert (statement.public, statement.version) == (self.old.public, 2)
        shares = self.shares(self.to, statement)
        assert combined(shares, statement, self.to[:2]) == SECRET
        assert combined(shares, statement, self.to[1:]) == SECRET
        assert len(self.hosts.shared.entries) == 3  # two commitments, one statement
        self.nothing_secret_is_left(*self.before.values())
        if "dan" in self.to:
            assert self.hosts.ledgers["bea"].key("match", EPOCH) is None
            told = self.hosts.ledgers["dan"].told()["retired"]
            assert [bytes.fromhex(tag)[:3] for tag in told] == [b"ann", b"bea"]
            sid = self.driver("ann").session.sid
            for one in ("ann", "bea"):
                shares = self.hosts.ledgers[one].message(sid, "shares", one)
                assert shares is not None
                assert len(bytes.fromhex(shares["body"]["told"]["dan"])) == 2**16 + 48


class Refreshing(Replacing):
    """The same three hold the key afterwards."""

    who = ids = to = OLD


SCENARIOS: dict[str, type[Made]] = {
    "ceremony": Making,
    "replacing": Replacing,
    "refreshing": Refreshing,
}


def killed_at(folder: Path, scenario: type[Made], victim: str, step: int) -> int:
    """Run a scenario in which one custodian dies once; return how many steps it had."""
    with hosts_at(folder, scenario.ids) as hosts:
        made = scenario(hosts)
        trap = Trap(step)
        hosts.traps[victim] = hosts.ledgers[victim].trap = trap
        done = run(hosts, made.driver, who=scenario.who, killed=made.at_any_instant)
        made.at_the_end(done)
        return trap.count


@pytest.mark.parametrize("victim", ALL)
@pytest.mark.parametrize("name", SCENARIOS)
def test_killed_at_a_few_steps_of_each_custodian(tmp_path: Path, name: str, victim: str) -> None:
    scenario = SCENARIOS[name]
    if victim not in scenario.who:
        return
    steps = killed_at(tmp_path / "whole", scenario, victim, 0)
    assert steps > 20
    # The last ones are where a share is replaced; the first differs from one custodian to another.
    for step in (steps * (1 + ALL.index(victim)) // 5, steps - 2, steps - 1):
        killed_at(tmp_path / str(step), scenario, victim, step)


@pytest.mark.soak
@pytest.mark.parametrize("victim", ALL)
@pytest.mark.parametrize("name", SCENARIOS)
def test_killed_at_every_step_of_each_custodian(tmp_path: Path, name: str, victim: str) -> None:
    scenario = SCENARIOS[name]
    if victim not in scenario.who:
        return
    steps = killed_at(tmp_path / "whole", scenario, victim, 0)
    for step in range(1, steps + 1):
        killed_at(tmp_path / str(step), scenario, victim, step)


Wrong = Callable[[pytest.MonkeyPatch], None]


def forgets_before_the_log_holds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A custodian that deletes its old share as soon as it has signed."""
    plain = Reshare._settle

    def hasty(self: Reshare, statement: Statement) -> object:
        with self._ledger.write() as sql:
            sql.execute("DELETE FROM keys")
        return plain(self, statement)

    monkeypatch.setattr(Reshare, "_settle", hasty)


def keeps_its_session_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A custodian that writes down nothing of what it drew."""

    def careless(self: Table) -> Secret:
        return vars(self).setdefault("drawn", self._draw())

    monkeypatch.setattr(Table, "_secret", careless)


@pytest.mark.parametrize("wrong", [forgets_before_the_log_holds_it, keeps_its_session_in_memory])
def test_the_same_kills_find_a_custodian_that_forgets_too_early_or_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: Wrong
) -> None:
    wrong(monkeypatch)
    steps = killed_at(tmp_path / "whole", Replacing, "cyd", 0)  # without a kill nobody notices
    found = 0
    for step in (steps // 2, steps * 3 // 4, steps - 6):
        with suppress(AssertionError, CeremonyAborted):
            killed_at(tmp_path / str(step), Replacing, "cyd", step)
            continue
        found += 1
    assert found

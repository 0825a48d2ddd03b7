"""Custodians at one table that lose power at any step: each durable write, twice over (not kept,
kept), each call of the log, each message that is fetched.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consortium.custodian.ledger import Ledger
from consortium.custodian.log import Logged
from consortium.custodian.table import Table
from matching.envelope import Message
from matching.seats import Seat
from matching.statement import Statement
from tests.fakes.dealing import keys_of, publics_of
from tests.fakes.memory_log import MemoryLog, Shared


class Killed(BaseException):
    """The process is gone; nothing of it runs any more."""


class Trap:
    """Kills at one step, counted from 1; at none when ``at`` is 0."""

    def __init__(self, at: int = 0) -> None:
        self.at, self.count, self.armed = at, 0, True

    def step(self) -> None:
        if self.armed:
            self.count += 1
            if self.count == self.at:
                raise Killed


class Fragile(Ledger):
    """A ledger whose process may die before or after each commit."""

    trap = Trap()

    @contextmanager
    def write(self) -> Iterator[Any]:
        with super().write() as sql:
            yield sql
            self.trap.step()  # rolled back: failed and not kept
        self.trap.step()  # failed but kept

    def empty_wal(self) -> None:
        self.trap.step()
        super().empty_wal()


class FragileLog(MemoryLog):
    """A log whose caller may die before a call reaches it, and after."""

    trap = Trap()

    def submit(self, drafted: Mapping[str, Any]) -> str:
        self.trap.step()
        leaf = super().submit(drafted)
        self.trap.step()
        return leaf

    def find(self, leaf: str) -> Logged | None:
        self.trap.step()
        return super().find(leaf)


class Hosts:
    """Custodians around one log, each with its database; their servers never stop."""

    def __init__(self, folder: Path, ids: tuple[str, ...]) -> None:
        self.folder, self.ids = folder, ids
        self.keys: dict[str, Ed25519PrivateKey] = keys_of(ids)
        self.seats = {one: Seat(one, public) for one, public in publics_of(self.keys).items()}
        self.shared = Shared(datetime.now(UTC))
        self.traps = {one: Trap() for one in ids}
        self.ledgers: dict[str, Fragile] = {}
        for one in ids:
            self.start(one)

    def start(self, one: str) -> None:
        """Open a custodian's database, as its process does when it begins."""
        trap, self.traps[one].armed = self.traps[one], False
        ledger = Fragile(self.folder / f"{one}.sqlite")
        ledger.trap, trap.armed = trap, True
        self.ledgers[one] = ledger

    def restart(self, one: str) -> None:
        """The power is back, and stays."""
        self.ledgers[one].close()
        self.traps[one] = Trap()
        self.start(one)

    def parts(self, one: str) -> dict[str, Any]:
        """What a custodian's driver is made of."""
        log = FragileLog(self.shared, self.seats[one].public)
        log.trap = self.traps[one]
        return {
            "ledger": self.ledgers[one],
            "log": log,
            "peers": self.Peers(self, one),
            "sign": self.keys[one].sign,
        }

    class Peers:
        """The others' messages, straight from their databases."""

        def __init__(self, hosts: "Hosts", id: str) -> None:
            self._hosts, self._id = hosts, id

        def fetch(self, id: str, sid: str, round: str) -> Message | None:
            self._hosts.traps[self._id].step()
            found = self._hosts.ledgers[id].rows(
                "SELECT message FROM messages WHERE sid=? AND round=? AND sender=?", sid, round, id
            )
            return self._hosts.ledgers[id].message(sid, round, id) if found else None

    def close(self) -> None:
        for ledger in self.ledgers.values():
            ledger.close()


def run(
    hosts: Hosts,
    driver: Callable[[str], Table],
    *,
    who: tuple[str, ...],
    killed: Callable[[str], None] = lambda one: None,
    rounds: int = 20,
) -> dict[str, Statement]:
    """Let everybody go as far as they come, in turn, until all are done.

    Args:
        killed: called when somebody's power went, before it comes back.
    """
    tables, done = {one: driver(one) for one in who}, dict[str, Statement]()
    for _ in range(rounds):
        for one in who:
            if one in done:
                continue
            try:
                found = tables[one].advance()
            except Killed:
                killed(one)
                hosts.restart(one)
                tables[one] = driver(one)
                continue
            if found is not None:
                done[one] = found
        if len(done) == len(who):
            return done
    raise AssertionError({one: tables[one].waiting for one in who if one not in done})

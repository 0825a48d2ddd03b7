"""Whoever puts a custodian's books back to an earlier day gains neither a guess nor an open.

Threat: docs/threat-model.md, T1 and the restored custodian. Requests at one instant, repeats, power
cuts between any two steps, the database replaced by any earlier copy while the log goes on, and
raises, in any order: points served never pass the allowance, opens of a lock never pass the week's.
"""

import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from consortium.custodian.anchors import Anchors
from consortium.custodian.errors import CustodianError, Refused
from consortium.custodian.ledger import Ledger, Release
from consortium.custodian.own import Tree
from consortium.custodian.tally import Counted, Tally
from matching.evaluation import BATCH, allowance
from tests.fakes.custodians import World
from tests.fakes.memory_log import MemoryFollow

ALLOWED = 6 * BATCH
PER_WEEK = 1
LOCKS = b"".join(bytes([n]) * 32 for n in (1, 2))


class Dead(BaseException):
    """The power went."""


class Fuse:
    """Blows at the n-th step from now; 0 never does."""

    left = 0

    def __call__(self) -> None:
        if self.left:
            self.left -= 1
            if not self.left:
                raise Dead


class MortalTally(Tally):
    """A tally whose process can end before and after it is written."""

    def __init__(self, path: Path, fuse: Fuse) -> None:
        super().__init__(path)
        self.fuse = fuse

    def write(self, counted: Counted) -> None:
        self.fuse()
        super().write(counted)
        self.fuse()


class Mortal(Ledger):
    """Books whose process can end before and after every commit."""

    def __init__(self, path: Path, fuse: Fuse) -> None:
        self.fuse = fuse
        super().__init__(path)
        self._tally = MortalTally(path.with_suffix(".tally"), fuse)

    @contextmanager
    def write(self) -> Iterator[Any]:
        with super().write() as sql:
            yield sql
            self.fuse()
        self.fuse()


class Forgetful(Mortal):
    """The control: books that believe themselves and no log."""

    def _reserved(self, sql: Any, sid: str, actor: str) -> int:
        return ALLOWED

    @staticmethod
    def _logged(sql: Any, name: str, since: Any) -> bool:
        return True

    def spend_reserved(self, sql: Any) -> None:
        pass

    def doubt_uncounted(self, sql: Any) -> None:
        pass

    @staticmethod
    def _unexplained(sql: Any, name: str, since: Any) -> bool:
        return False


class Books(RuleBasedStateMachine):
    """One custodian of three, the log around it, and what it ever let out."""

    ledgers: type[Mortal] = Mortal

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.world = World(Path(self.folder.name))
        self.sid = self.world.deal().sid
        for one in self.world.ids:
            self.world.quota(one, "union", ALLOWED)
        self.host = self.world.hosts["ann"]
        self.host.ledger.close()
        self.path, self.fuse = self.host.settings.database, Fuse()
        self.copies: list[Path] = []
        self.served: set[tuple[str, str]] = set()
        self.answered: dict[str, Any] = {}
        self.allowed = ALLOWED
        self.start()

    def start(self) -> None:
        self.fuse.left = 0
        self.ledger = self.ledgers(self.path, self.fuse)
        world, host, registry = self.world, self.host, self.host.registry
        follow = MemoryFollow(world.log, self.ledger, registry.custodians, lambda: world.now)
        self.anchors = Anchors(
            lambda: host.settings,
            self.ledger,
            registry,
            host.log,
            lambda: world.now,
            follow,
            world.neighbours,
        )
        host.custodian.anchors = self.anchors  # whom the other two hear

    def stop(self) -> None:
        self.ledger.close()

    @contextmanager
    def mortal(self, dies: int) -> Iterator[None]:
        """Work that ends at a step; then the custodian starts again."""
        self.fuse.left = dies
        try:
            yield
        except Dead:
            self.stop()
            self.start()
        except CustodianError:
            pass
        finally:
            self.fuse.left = 0

    def charge(self, nonce: str, request: str) -> None:
        self.anchors.charge(self.host.registry.actor("union", "partner"), self.sid, nonce, request)
        self.served.add((nonce, request))

    # What callers do

    @rule(
        nonce=st.sampled_from("abcdefghijkl"), request=st.sampled_from("xy"), dies=st.integers(0, 9)
    )
    def ask(self, nonce: str, request: str, dies: int) -> None:
        with self.mortal(dies):
            self.charge(nonce, request)

    @rule(nonces=st.lists(st.sampled_from("abcdefghijkl"), min_size=2, max_size=3))
    def ask_at_one_instant(self, nonces: list[str]) -> None:
        barrier = threading.Barrier(len(nonces))

        def one(nonce: str) -> None:
            barrier.wait()
            with suppress(CustodianError):
                self.charge(nonce, "x")

        threads = [threading.Thread(target=one, args=(nonce,)) for nonce in nonces]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    @rule(name=st.sampled_from("123"), dies=st.integers(0, 12))
    def open(self, name: str, dies: int) -> None:
        release = Release(name, name, name, "", "", LOCKS, "mailer")
        with self.mortal(dies):
            self.anchors.open(release, PER_WEEK)
            week = self.world.now - timedelta(days=7)
            if name not in self.answered or self.answered[name] <= week:
                others = [at for other, at in self.answered.items() if other != name]
                assert sum(at > week for at in others) < PER_WEEK, "a lock opened too often"
                self.answered.setdefault(name, self.world.now)

    # What happens to it

    @rule(dies=st.integers(0, 6))
    def step(self, dies: int) -> None:
        with self.mortal(dies):
            self.anchors.step()

    @rule(hours=st.sampled_from([1, 5, 30, 24 * 5, 24 * 9]))
    def wait(self, hours: int) -> None:
        self.world.now += timedelta(hours=hours)

    @rule()
    def hold_publication(self) -> None:
        self.world.log.publishing = False

    @rule()
    def publish(self) -> None:
        self.world.log.publishing = True
        self.world.log.publish()

    @rule()
    def copy(self) -> None:
        self.stop()
        self.copies.append(self.path.with_name(f"copy{len(self.copies)}"))
        shutil.copy(self.path, self.copies[-1])
        self.start()

    @rule()
    def back_up(self) -> None:
        self.copies.append(self.path.with_name(f"copy{len(self.copies)}"))
        self.ledger.backup(self.copies[-1])

    @rule(which=st.integers(0, 20))
    def put_back(self, which: int) -> None:
        if self.copies:
            self.stop()
            for beside in ("-wal", "-shm"):
                self.path.with_name(self.path.name + beside).unlink(missing_ok=True)
            shutil.copy(self.copies[which % len(self.copies)], self.path)
            self.start()

    @rule(agreeing=st.integers(1, 3))
    def raise_it(self, agreeing: int) -> None:
        for one in self.world.ids[1 : 1 + agreeing]:
            host = self.world.hosts[one]
            host.ledger.consent("union", self.world.now, rows=4096)
            host.custodian.anchors.consents()
        if agreeing >= 2:
            self.allowed = allowance(4096)

    @invariant()
    def never_more_than_allowed(self) -> None:
        if hasattr(self, "served"):
            assert len(self.served) * BATCH <= self.allowed

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.stop()
            self.world.client.close()
            for one in ("bea", "cyd"):
                self.world.hosts[one].ledger.close()
            self.folder.cleanup()


class Blind(Books):
    """The control, whose custodian has its anchor in the log cut."""

    ledgers = Forgetful


CHECKS = [HealthCheck.too_slow, HealthCheck.filter_too_much]
FEW = settings(max_examples=5, stateful_step_count=12, deadline=None, suppress_health_check=CHECKS)
TestBooks = Books.TestCase
TestBooks.settings = FEW


@pytest.mark.soak
def test_no_order_of_accidents_gives_anything_away() -> None:
    many = settings(FEW, max_examples=600, stateful_step_count=40)
    run_state_machine_as_test(Books, settings=many)


@pytest.mark.soak
def test_without_the_log_put_back_books_serve_again_what_they_forgot() -> None:
    search = settings(
        FEW, max_examples=400, derandomize=True, phases=[Phase.generate], print_blob=False
    )
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Blind, settings=search)


def spend(books: Books, nonces: str) -> list[str]:
    """Ask under each nonce; the names of the refusals."""
    names = []
    for nonce in nonces:
        try:
            books.charge(nonce, "x")
        except Refused as refused:
            names.append(refused.name)
    return names


@pytest.mark.parametrize(("machine", "gained"), [(Books, 0), (Blind, 3)])
def test_a_copy_put_back_gives_exactly_nothing(machine: type[Books], gained: int) -> None:
    books = machine()
    books.begin()
    try:
        books.copy()
        assert spend(books, "abcdef") == []
        books.put_back(0)
        refused = spend(books, "uvw")
        assert len(refused) == 3 - gained
        assert set(refused) <= {"quota-exceeded"}
        assert books.ledger.account(books.sid, "union").points <= ALLOWED
    finally:
        books.teardown()


def test_after_a_restore_it_goes_on_where_its_reservation_ends() -> None:
    books = Books()
    books.begin()
    try:
        books.copy()
        assert spend(books, "a") == []  # one point of the first block, which is half of all
        books.put_back(0)
        assert spend(books, "bcde") == ["quota-exceeded"]
        assert books.ledger.account(books.sid, "union").points == ALLOWED
    finally:
        books.teardown()


def put_back_whole(books: Books) -> None:
    """A snapshot of the whole machine: the tally is of the same day, and only the log knows."""
    books.put_back(0)
    books.stop()
    books.path.with_suffix(".tally").unlink()
    with sqlite3.connect(books.path) as sql:
        sql.execute("DELETE FROM state")
    sql.close()
    books.start()


def test_a_crash_while_the_log_is_recognised_leaves_no_block_unspent() -> None:
    books = Books()
    books.begin()
    try:
        books.copy()
        assert spend(books, "abc") == []  # the first block, one entry in the log
        put_back_whole(books)
        promise = books.ledger.promise

        def dies(*given: Any) -> None:
            promise(*given)
            raise Dead

        books.ledger.promise = dies  # type: ignore[method-assign]
        with pytest.raises(Dead):
            books.anchors.look()
        books.stop()
        books.start()
        with suppress(Refused):
            books.anchors.look()
        assert spend(books, "uvwxyz") == ["quota-exceeded"] * 3
    finally:
        books.teardown()


def test_a_share_that_is_dealt_to_lost_books_again_brings_no_quota() -> None:
    books = Books()
    books.begin()
    try:
        held = books.ledger.key_of(books.sid)
        assert held is not None
        assert spend(books, "abcdef") == []
        books.stop()
        for path in books.path.parent.glob(books.path.stem + ".*"):
            path.unlink()
        books.start()
        books.anchors.look()  # no share is held, so nothing tells which block this was
        books.world.log.publish()
        books.anchors.look()
        assert books.ledger.doubts()
        books.ledger.add_key(held)
        assert spend(books, "uvw") == ["quota-exceeded"] * 3
        assert not books.ledger.doubts()
    finally:
        books.teardown()


def test_a_restored_custodian_serves_nothing_before_the_log_is_newer() -> None:
    books = Books()
    books.begin()
    try:
        books.ledger.backup(books.path.with_name("backup"))
        books.copies.append(books.path.with_name("backup"))
        assert spend(books, "a") == []
        books.put_back(0)
        follow: Any = books.anchors._follow
        advance = follow.advance

        def stale() -> Tree:
            tree: Tree = advance()
            return Tree(tree.size, tree.root, tree.at - timedelta(minutes=1), tree.checkpoint)

        follow.advance = stale
        assert spend(books, "b") == ["restored"]
        follow.advance = advance
        assert spend(books, "b") == []
    finally:
        books.teardown()


def test_an_opening_that_only_the_log_knows_keeps_the_others_shut_until_it_is_asked_again() -> None:
    books = Books()
    books.begin()
    try:
        first, second = (Release(n, n, n, "", "", LOCKS, "mailer") for n in "12")
        books.copy()
        books.anchors.open(first, PER_WEEK)
        books.put_back(0)
        with pytest.raises(Refused, match="restored"):
            books.anchors.open(second, PER_WEEK)
        books.anchors.open(first, PER_WEEK)
        with pytest.raises(Refused, match="opened-too-often"):
            books.anchors.open(second, PER_WEEK)
        books.world.now += timedelta(days=8)
        books.anchors.open(second, PER_WEEK)
    finally:
        books.teardown()


def test_a_raise_takes_as_many_custodians_as_a_key() -> None:
    books = Books()
    books.begin()
    try:
        for agreeing, allowed in ((1, ALLOWED), (2, allowance(4096))):
            books.raise_it(agreeing)
            books.anchors.step()
            union = books.host.registry.actor("union", "partner")
            assert books.anchors.allowed(union) == allowed
        assert spend(books, "abcdefgh") == []
    finally:
        books.teardown()

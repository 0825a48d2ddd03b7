"""The store keeps its word on SQLite and on PostgreSQL: one class of tests, both engines."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any, TypeVar

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.exc import IntegrityError

from consortium.store import (
    actors,
    campaigns,
    contributions,
    deliveries,
    doors,
    leases,
    ledger,
    log,
    outbox,
    races,
    rings,
    roster,
    suppressions,
    texts,
    written_to,
)
from consortium.store.actors import Actor
from consortium.store.errors import Busy, Conflict, LeaseLost, Missing, Unstorable
from consortium.store.log import SqlLock
from consortium.store.schema import migrate
from consortium.store.tables import ContributionRow, TextRow
from consortium.store.unit import TRIES, Unit, Units, engine
from provenance.backend import Lock
from provenance.errors import LockLost
from tests.databases import NOON
from tests.fakes import seeds
from tests.fakes.log import Leased, LeasePort, LockPort
from tests.fakes.seeds import CAMPAIGN, EPOCH, OTHER_CAMPAIGN, RACE, letter

T = TypeVar("T")
HOUR = timedelta(hours=1)
KEY, OTHER_KEY = "a" * 64, "b" * 64


def both(units: Units, name: str, work: Callable[[Unit, int], T]) -> list[T]:
    """Run the same work twice at one instant: both have looked before either writes.

    SQLite lets one writer in at a time, so there the second finds the barrier broken and waits its
    turn, which is the point. PostgreSQL lets both in, however late one of them is.
    """
    together = Barrier(2)
    met: set[int] = set()  # whoever is run again waits for nobody
    alone = units.engine.dialect.name == "sqlite"

    def one(number: int) -> T:
        def meeting(unit: Unit) -> T:
            unit.session.scalar(select(TextRow).limit(1))  # the snapshot is taken
            if number not in met:
                met.add(number)
                with suppress(BrokenBarrierError):
                    together.wait(timeout=0.3 if alone else 240)
            return work(unit, number)

        return units.run(name, meeting)

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, range(2)))


class TestStore:
    """Whatever the engine."""

    @pytest.fixture(autouse=True)
    def _planted(self, units: Units) -> None:
        units.run("plant", seeds.plant)

    # -- units of work ---------------------------------------------------------------------------

    def test_two_first_inserts_of_one_upload_are_one(self, units: Units) -> None:
        new = seeds.contribution("union", id="b0000000-0000-4000-8000-0000000000ff")

        def upload(unit: Unit, _: int) -> str:
            known = contributions.find(unit, new.id)
            if known is None:
                contributions.add(unit, new)
                unit.after("match", contribution=new.id)
            return contributions.get(unit, new.id).leaf

        assert both(units, "contribute", upload) == [new.leaf, new.leaf]
        rung = units.run("look", lambda unit: rings.waiting(unit, 9))
        assert [ring.payload for ring in rung] == [{"contribution": new.id}]

    def test_a_sum_that_two_add_to_at_once_has_both(self, units: Units) -> None:
        units.run("zero", lambda unit: texts.put(unit, "sum", "0"))

        def add(unit: Unit, _: int) -> None:
            texts.put(unit, "sum", str(int(texts.get(unit, "sum")) + 1))

        both(units, "add", add)
        assert units.run("look", lambda unit: texts.get(unit, "sum")) == "2"

    def test_write_skew_is_not_possible(self, units: Units) -> None:
        """Each reads what the other writes: under snapshots alone both would go through."""
        units.run("put", lambda unit: [texts.put(unit, f"on-{n}", "yes") for n in (0, 1)])

        def off_unless_last(unit: Unit, number: int) -> None:
            if texts.get(unit, f"on-{1 - number}") == "yes":
                texts.put(unit, f"on-{number}", "no")

        both(units, "off", off_unless_last)
        on = units.run("look", lambda unit: [texts.get(unit, f"on-{n}") for n in (0, 1)])
        assert sorted(on) == ["no", "yes"]

    def test_a_unit_that_fails_leaves_nothing_and_rings_for_nothing(self, units: Units) -> None:
        def fail(unit: Unit) -> None:
            texts.put(unit, "half", "written")
            unit.after("match", contribution="x")
            unit.session.flush()
            raise Conflict("no")

        with pytest.raises(Conflict):
            units.run("fail", fail)
        with pytest.raises(Missing):
            units.run("look", lambda unit: texts.get(unit, "half"))
        assert units.run("look", lambda unit: rings.waiting(unit, 9)) == []
        assert units.runs["fail"] == 1

    def test_what_is_lost_for_ever_is_busy_and_not_a_fault(
        self, units: Units, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("consortium.store.unit.time.sleep", lambda _: None)

        def twice(unit: Unit) -> None:
            unit.session.execute(text("insert into texts (name, value) values ('a', '1')"))
            unit.session.execute(text("insert into texts (name, value) values ('a', '2')"))

        with pytest.raises(Busy):
            units.run("twice", twice)
        assert units.runs["twice"] == TRIES

    def test_a_key_that_points_at_nothing_is_a_fault_at_once(self, units: Units) -> None:
        with pytest.raises(IntegrityError):
            units.run("astray", lambda unit: races.sign(unit, RACE, "nobody", "1" * 64))
        assert units.runs["astray"] == 1

    def test_a_value_beyond_every_column_is_refused_by_name(self, units: Units) -> None:
        with pytest.raises(Unstorable):
            units.run(
                "huge",
                lambda unit: deliveries.plan(unit, [letter(1, person=1 << 70)]),
            )

    def test_moments_come_back_in_utc(self, units: Units) -> None:
        found = units.run("look", lambda unit: campaigns.get(unit, CAMPAIGN))
        assert found.at == NOON
        assert found.at.utcoffset() == timedelta(0)

    def test_a_moment_without_a_zone_is_not_kept(self, units: Units) -> None:
        naive = seeds.campaign(id="c" * 36, at=NOON.replace(tzinfo=None))
        with pytest.raises(Exception, match="without a zone"):
            units.run("naive", lambda unit: campaigns.add(unit, naive))

    # -- actors, doors, races --------------------------------------------------------------------

    def test_an_actor_is_registered_once_and_keeps_its_facts(self, units: Units) -> None:
        known = units.run("look", lambda unit: actors.get(unit, "union"))
        units.run("again", lambda unit: actors.add(unit, known))
        for other in (
            replace(known, role="steward"),
            replace(known, public="9" * 64),
            replace(known, id="union-two"),  # the same key under another name
        ):
            with pytest.raises(Conflict):
                units.run("other", lambda unit, other=other: actors.add(unit, other))
        assert [a.id for a in units.run("all", actors.everyone)] == [
            "cora",
            "parks",
            "stella",
            "union",
        ]
        assert [a.id for a in units.run("all", lambda u: actors.everyone(u, "steward"))] == [
            "stella"
        ]

    def test_a_browser_key_counts_only_once_the_tool_vouched(self, units: Units) -> None:
        units.run("start", lambda u: actors.start_browser_key(u, "union", "8" * 64, "code", NOON))
        with pytest.raises(Missing):
            units.run("by", lambda unit: actors.by_public(unit, "8" * 64))
        assert units.run("keys", lambda unit: actors.browser_keys(unit)) == []
        assert units.run("code", lambda u: actors.browser_key(u, "code")) == ("union", "8" * 64)
        units.run("vouch", lambda unit: actors.vouch_browser_key(unit, "code", "s" * 128))
        assert units.run("by", lambda unit: actors.by_public(unit, "8" * 64)).id == "union"
        with pytest.raises(Conflict):
            units.run(
                "again", lambda u: actors.start_browser_key(u, "parks", "8" * 64, "other", NOON)
            )

    def test_a_link_opens_once_even_when_two_click_at_once(self, units: Units) -> None:
        units.run("link", lambda unit: doors.add_link(unit, "h" * 64, "cora", NOON + HOUR))

        def click(unit: Unit, _: int) -> str:
            try:
                return doors.use_link(unit, "h" * 64, NOON)
            except Missing:
                return "too late"

        assert sorted(both(units, "click", click)) == ["cora", "too late"]

    def test_links_and_sessions_end_at_their_instant(self, units: Units) -> None:
        units.run("link", lambda unit: doors.add_link(unit, "h" * 64, "cora", NOON))
        session = doors.Session("cora", "csrf", NOON)
        units.run("session", lambda unit: doors.add_session(unit, "s" * 64, session))
        with pytest.raises(Missing):
            units.run("late", lambda unit: doors.use_link(unit, "h" * 64, NOON))
        with pytest.raises(Missing):
            units.run("late", lambda unit: doors.session(unit, "s" * 64, NOON))
        just = NOON - timedelta(microseconds=1)
        assert units.run("in", lambda unit: doors.session(unit, "s" * 64, just)) == session
        units.run("out", lambda unit: doors.end_session(unit, "s" * 64))
        with pytest.raises(Missing):
            units.run("gone", lambda unit: doors.session(unit, "s" * 64, just))

    def test_a_token_id_is_good_once_at_one_instant_and_forgotten_later(self, units: Units) -> None:
        def spend(unit: Unit, _: int) -> bool:
            try:
                doors.spend_token(unit, "jti-of-16-letters", NOON + HOUR, NOON)
            except Conflict:
                return False
            return True

        assert sorted(both(units, "spend", spend)) == [False, True]
        later = NOON + 2 * HOUR
        units.run("on", lambda u: doors.spend_token(u, "jti-of-16-letters", later + HOUR, later))

    def test_a_race_keeps_its_first_agreement_and_signatures(self, units: Units) -> None:
        one = units.run("look", races.first)
        units.run("again", lambda unit: races.add(unit, one))
        with pytest.raises(Conflict):
            units.run("other", lambda unit: races.add(unit, replace(one, digest="f" * 64)))
        units.run("sign", lambda unit: races.sign(unit, RACE, "union", "1" * 64))
        units.run("sign", lambda unit: races.sign(unit, RACE, "union", "2" * 64))
        assert units.run("who", lambda unit: races.signatures(unit, RACE)) == {"union": "1" * 64}

    # -- bundles, rolls, campaigns, roster -------------------------------------------------------

    def test_bundles_and_rolls_come_back_as_they_went_in(self, units: Units) -> None:
        mine = units.run("mine", lambda u: contributions.listed(u, partner="parks"))
        assert mine == [seeds.contribution("parks")]
        assert len(units.run("all", lambda u: contributions.listed(u, state="matched"))) == 2
        units.run("roll", lambda unit: contributions.add_roll(unit, seeds.roll()))
        newer = seeds.roll(id="d" * 36, at=NOON + HOUR, attributes_digest="9" * 64)
        units.run("roll", lambda unit: contributions.add_roll(unit, newer))
        assert units.run("rolls", lambda u: contributions.rolls(u, state="ready")) == [
            newer,
            seeds.roll(),
        ]
        units.run("change", lambda u: contributions.change(u, mine[0].id, wrapped=None))
        assert units.run("get", lambda u: contributions.get(u, mine[0].id)).wrapped is None
        for change in (contributions.change, contributions.change_roll):
            with pytest.raises(Missing):
                units.run("no", lambda u, change=change: change(u, "nothing", state="x"))

    def test_the_first_yes_of_a_partner_stays(self, units: Units) -> None:
        yes = campaigns.Approval(CAMPAIGN, "union", "approve", "1" * 64, NOON)

        def say(unit: Unit, number: int) -> None:
            campaigns.approve(unit, replace(yes, leaf=str(number) * 64))
            campaigns.approve(unit, replace(yes, kind="attest"))

        both(units, "approve", say)
        said = units.run("who", lambda unit: campaigns.approvals(unit, CAMPAIGN))
        assert [(a.partner, a.kind) for a in said] == [("union", "approve"), ("union", "attest")]

    def test_roster_chunks_are_numbered_without_gaps_by_two_at_once(self, units: Units) -> None:
        def append(unit: Unit, number: int) -> None:
            at = roster.next_chunk(unit, EPOCH)
            roster.add(unit, roster.Chunk(EPOCH, at, str(number) * 64, "1" * 64))

        both(units, "append", append)
        found = units.run("chunks", lambda unit: roster.chunks(unit, EPOCH))
        assert [one.chunk for one in found] == [0, 1]
        assert {one.digest for one in found} == {"0" * 64, "1" * 64}

    def test_rings_wait_until_they_are_rung(self, units: Units) -> None:
        units.run("after", lambda unit: [unit.after("match", id=str(n)) for n in range(3)])
        waiting = units.run("rings", lambda unit: rings.waiting(unit, 2))
        assert [ring.payload["id"] for ring in waiting] == ["0", "1"]
        units.run("rung", lambda unit: rings.rung(unit, [r.seq for r in waiting], NOON))
        left = units.run("rings", lambda unit: rings.waiting(unit, 9))
        assert [ring.payload["id"] for ring in left] == ["2"]

    # -- the ledger ------------------------------------------------------------------------------

    def test_a_question_is_charged_once_by_two_who_ask_at_once(self, units: Units) -> None:
        def ask(unit: Unit, _: int) -> bool:
            if ledger.memo(unit, RACE, "B", "q" * 64) is not None:
                return False
            made = ledger.Charge(RACE, "B", 1250, "q" * 64, "cora", "0" * 64, NOON)
            ledger.charge(unit, made, 20.0)
            return True

        assert sorted(both(units, "ask", ask)) == [False, True]
        assert len(units.run("charges", lambda unit: ledger.charges(unit, RACE))) == 1

    def test_the_first_drawn_answer_stays(self, units: Units) -> None:
        made = ledger.Charge(RACE, "B", 1250, "q" * 64, "cora", "0" * 64, NOON)
        units.run("charge", lambda unit: ledger.charge(unit, made, 20.0))
        told = both(units, "answer", lambda u, n: ledger.answer(u, RACE, "B", "q" * 64, 1000 + n))
        assert told[0] == told[1]
        assert told[0] in (1000, 1001)
        kept = units.run("memo", lambda unit: ledger.memo(unit, RACE, "B", "q" * 64))
        assert kept is not None
        assert kept.answer == told[0]

    def test_a_negative_noised_answer_is_kept_as_it_is(self, units: Units) -> None:
        made = ledger.Charge(RACE, "B", 1250, "q" * 64, "cora", "0" * 64, NOON)
        units.run("charge", lambda unit: ledger.charge(unit, made, 20.0))
        assert units.run("a", lambda u: ledger.answer(u, RACE, "B", "q" * 64, -7)) == -7

    def test_nothing_is_answered_that_was_not_paid(self, units: Units) -> None:
        with pytest.raises(LookupError):
            units.run("answer", lambda unit: ledger.answer(unit, RACE, "B", "q" * 64, 1))

    def test_a_cube_is_drawn_whole_and_once(self, units: Units) -> None:
        made = ledger.Charge(RACE, "A", 5207, "c" * 64, "cube", "0" * 64, NOON)
        units.run("charge", lambda unit: ledger.charge(unit, made, 9.8))

        def draw(unit: Unit, number: int) -> None:
            drawn = {(f"p{n}", "CD 9", "SD 2", "HD 44"): 100 * number + n for n in range(3)}
            ledger.answer_cells(unit, RACE, "c" * 64, drawn, 9.8)

        both(units, "draw", draw)
        kept = units.run("cells", lambda unit: ledger.cells(unit, RACE, "c" * 64))
        values = [kept[(f"p{n}", "CD 9", "SD 2", "HD 44")] for n in range(3)]
        assert values in ([0, 1, 2], [100, 101, 102])

    # -- the log ---------------------------------------------------------------------------------

    def test_an_entry_is_promised_once_and_placed(self, units: Units) -> None:
        entry = log.Promised("1" * 64, "key", "cora", b"entry", {"kind": {}}, None, NOON)
        both(units, "promise", lambda unit, _: log.promise(unit, entry))
        assert units.run("pending", lambda unit: log.pending(unit, 9)) == [entry]
        assert units.run("size", log.size) == 0
        units.run("placed", lambda unit: log.placed(unit, "1" * 64, 0))
        assert units.run("at", lambda unit: log.at_index(unit, 0)).leaf == "1" * 64
        assert units.run("pending", lambda unit: log.pending(unit, 9)) == []
        assert units.run("size", log.size) == 1
        assert [e.leaf for e in units.run("k", lambda u: log.of_kind(u, "key", "cora"))]

    @pytest.mark.parametrize("index", [-1, 7, 1 << 63, 1 << 200])
    def test_an_index_that_is_nowhere_is_missing(self, units: Units, index: int) -> None:
        with pytest.raises(Missing):
            units.run("at", lambda unit: log.at_index(unit, index))

    def test_two_writers_of_the_log_cannot_both_swap(self, units: Units) -> None:
        lock, together = SqlLock(units), Barrier(2)
        lock.swap("log.example", None, b"zero")

        def swap(number: int) -> bool:
            together.wait(timeout=60)
            try:
                lock.swap("log.example", b"zero", b"%d" % number)
            except LockLost:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(swap, range(2))) == [False, True]


class TestSqlLock(LockPort):
    """The log's lock on the database is the lock that the log expects."""

    @pytest.fixture
    def fresh(self, units: Units) -> Callable[[], Lock]:
        return lambda: SqlLock(units)


class TestSqlLease(LeasePort):
    """So is its lease."""

    @pytest.fixture
    def holder(self, units: Units) -> Callable[..., Leased]:
        return lambda name, dead=(): SqlLock(units, name, dead=dead)


def claimed(unit: Unit, id: str, *, stop_key: str, fence: int, now: datetime) -> bool:
    """Whether one letter could be claimed."""
    wanted = [(deliveries.get(unit, id), stop_key)]
    return bool(outbox.claim(unit, wanted, fence=fence, now=now))


class TestOutbox:
    """Letters: at most one to an address, and none to who said stop."""

    @pytest.fixture(autouse=True)
    def _planted(self, units: Units) -> None:
        units.run("plant", seeds.plant)
        units.run(
            "plan",
            lambda unit: deliveries.plan(
                unit,
                [letter(1), letter(1, "parks"), letter(2), letter(1, campaign=OTHER_CAMPAIGN)],
            ),
        )

    def state(self, units: Units, id: str) -> str:
        return units.run("get", lambda unit: deliveries.get(unit, id)).state

    def test_planning_again_leaves_letters_as_they_are(self, units: Units) -> None:
        units.run("send", lambda unit: seeds.send(unit, letter(1).id, KEY))
        units.run("plan", lambda unit: deliveries.plan(unit, [letter(1), letter(3)]))
        assert self.state(units, letter(1).id) == "sent"
        assert units.run("planned", lambda unit: deliveries.planned(unit, CAMPAIGN))
        assert units.run("count", lambda unit: deliveries.count(unit, CAMPAIGN)) == {
            "pending": 3,
            "sent": 1,
        }

    def test_two_claimants_of_one_address_at_one_instant_are_one(self, units: Units) -> None:
        """The same person on two lists, two workers: UNIQUE(campaign, stop_key) decides."""
        ids = [letter(1).id, letter(1, "parks").id]
        won = both(
            units,
            "claim",
            lambda unit, n: claimed(unit, ids[n], stop_key=KEY, fence=1, now=NOON),
        )
        assert sorted(won) == [False, True]
        assert sorted(self.state(units, id) for id in ids) == ["claimed", "dropped"]

    def test_a_batch_claims_each_address_once_and_only_what_has_not_left(
        self, units: Units
    ) -> None:
        units.run("send", lambda unit: seeds.send(unit, letter(2).id, OTHER_KEY))
        here = [letter(1), letter(1, "parks"), letter(2), letter(9)]  # nobody planned the last
        other = letter(1, campaign=OTHER_CAMPAIGN)
        units.run("anew", lambda unit: deliveries.sign_anew(unit, other.id, "ada", NOON.date()))
        wanted = [(one, KEY) for one in (*here, other)]
        got = units.run("claim", lambda u: outbox.claim(u, wanted, fence=3, now=NOON))
        assert [one.id for one in got] == [letter(1).id, other.id]
        assert [self.state(units, one.id) for one in here[:3]] == ["claimed", "dropped", "sent"]
        for one in got:
            assert units.run("get", lambda u, one=one: deliveries.get(u, one.id)) == one
        assert (one.attempt, one.fence, one.claimed_at) == (1, 3, NOON)
        assert (one.messenger, one.day) == ("ada", NOON.date()), "what changed since it was read"
        assert units.run("claim", lambda u: outbox.claim(u, wanted, fence=3, now=NOON)) == []

    def test_a_letter_that_is_wanted_twice_is_claimed_once(self, units: Units) -> None:
        wanted = [(letter(2), OTHER_KEY)] * 2
        got = units.run("claim", lambda u: outbox.claim(u, wanted, fence=1, now=NOON))
        assert [one.id for one in got] == [letter(2).id]

    def test_a_batch_with_one_letter_of_a_newer_fence_claims_none(self, units: Units) -> None:
        id = letter(2).id
        units.run("claim", lambda u: claimed(u, id, stop_key=OTHER_KEY, fence=4, now=NOON))
        units.run(
            "defer",
            lambda u: deliveries.settle(
                u, id, fence=4, state="deferred", outcome="451", queue_id=None, now=NOON
            ),
        )
        wanted = [(letter(1), KEY), (letter(2), OTHER_KEY)]
        with pytest.raises(LeaseLost):
            units.run("late", lambda u: outbox.claim(u, wanted, fence=3, now=NOON))
        assert self.state(units, letter(1).id) == "pending"

    def test_letters_told_as_taken_are_sent_but_those_that_another_worker_has(
        self, units: Units
    ) -> None:
        mine, newer, never = letter(1).id, letter(1, campaign=OTHER_CAMPAIGN).id, letter(2).id
        units.run("a", lambda u: claimed(u, mine, stop_key=KEY, fence=3, now=NOON))
        units.run("b", lambda u: claimed(u, newer, stop_key=KEY, fence=4, now=NOON))
        told = [outbox.Taken(id, "250 " + "x" * 500, "Q1") for id in (mine, newer, never)]

        def tell(unit: Unit) -> int:
            return outbox.taken(unit, told, fence=3, now=NOON)

        assert units.run("tell", tell) == 2
        assert [self.state(units, one.id) for one in told] == ["sent", "claimed", "pending"]
        sent = units.run("get", lambda u: deliveries.get(u, mine))
        assert (len(sent.outcome or ""), sent.queue_id, sent.settled_at) == (200, "Q1", NOON)
        assert units.run("tell", tell) == 3, "what is settled stays settled"

    def test_what_a_unit_changed_and_read_before_is_seen_by_a_claim_and_after_it(
        self, units: Units
    ) -> None:
        id, gone = letter(1).id, letter(2).id

        def work(unit: Unit) -> tuple[list[str], str, str]:
            deliveries.get(unit, id)
            deliveries.drop(unit, gone, "stop", NOON)
            wanted = [(letter(1), KEY), (letter(2), OTHER_KEY)]
            got = [one.id for one in outbox.claim(unit, wanted, fence=1, now=NOON)]
            return got, deliveries.get(unit, id).state, deliveries.get(unit, gone).state

        assert units.run("work", work) == ([id], "claimed", "dropped")

    def test_a_letter_that_was_deferred_since_it_was_read_is_claimed_for_its_second_try(
        self, units: Units
    ) -> None:
        id = letter(1).id
        units.run("send", lambda unit: seeds.send(unit, id, KEY, state="deferred"))
        [got] = units.run("again", lambda u: outbox.claim(u, [(letter(1), KEY)], fence=2, now=NOON))
        assert (got.attempt, got.fence) == (2, 2)
        assert units.run("get", lambda u: deliveries.get(u, id)).attempt == 2

    def test_two_claimants_of_one_letter_at_one_instant_are_one(self, units: Units) -> None:
        won = both(
            units,
            "claim",
            lambda unit, n: claimed(unit, letter(2).id, stop_key=KEY, fence=1, now=NOON),
        )
        assert sorted(won) == [False, True]
        assert units.run("get", lambda u: deliveries.get(u, letter(2).id)).attempt == 1

    def test_another_campaign_may_write_to_the_same_address(self, units: Units) -> None:
        units.run("send", lambda unit: seeds.send(unit, letter(1).id, KEY))
        other = letter(1, campaign=OTHER_CAMPAIGN).id
        units.run("send", lambda unit: seeds.send(unit, other, KEY))
        assert self.state(units, other) == "sent"

    def test_only_the_fence_that_claimed_may_settle(self, units: Units) -> None:
        id = letter(1).id
        units.run("claim", lambda u: claimed(u, id, stop_key=KEY, fence=4, now=NOON))

        def settle(fence: int) -> None:
            units.run(
                "settle",
                lambda u: deliveries.settle(
                    u, id, fence=fence, state="sent", outcome="x" * 500, queue_id="q", now=NOON
                ),
            )

        for fence in (3, 5):
            with pytest.raises(LeaseLost):
                settle(fence)
        settle(4)
        assert len(str(units.run("get", lambda u: deliveries.get(u, id)).outcome)) == 200
        with pytest.raises(LeaseLost):  # what is settled stays settled
            settle(4)

    def test_a_deferred_letter_frees_its_address_and_an_older_fence_cannot_take_it(
        self, units: Units
    ) -> None:
        id = letter(1).id
        units.run("claim", lambda u: claimed(u, id, stop_key=KEY, fence=4, now=NOON))
        units.run(
            "defer",
            lambda u: deliveries.settle(
                u, id, fence=4, state="deferred", outcome="451", queue_id=None, now=NOON
            ),
        )
        assert units.run("get", lambda u: deliveries.get(u, id)).stop_key is None
        with pytest.raises(LeaseLost):
            units.run("old", lambda u: claimed(u, id, stop_key=KEY, fence=3, now=NOON))
        assert units.run("new", lambda u: claimed(u, id, stop_key=KEY, fence=5, now=NOON))
        assert units.run("get", lambda u: deliveries.get(u, id)).attempt == 2

    @pytest.mark.parametrize("state", ["in_doubt", "failed", "sent"])
    def test_what_may_have_gone_keeps_its_address(self, units: Units, state: str) -> None:
        units.run("send", lambda unit: seeds.send(unit, letter(1).id, KEY, state=state))
        twin = letter(1, "parks").id
        assert not units.run("claim", lambda u: claimed(u, twin, stop_key=KEY, fence=1, now=NOON))
        assert self.state(units, twin) == "dropped"

    @pytest.mark.parametrize(
        ("state", "again"), [("in_doubt", False), ("sent", False), ("failed", False)]
    )
    def test_no_machine_claims_a_settled_letter(
        self, units: Units, state: str, again: bool
    ) -> None:
        units.run("send", lambda unit: seeds.send(unit, letter(1).id, KEY, state=state))
        got = units.run(
            "claim",
            lambda u: claimed(u, letter(1).id, stop_key=OTHER_KEY, fence=9, now=NOON),
        )
        assert got is again
        assert self.state(units, letter(1).id) == state

    def test_dropping_is_only_for_what_has_not_left(self, units: Units) -> None:
        units.run("send", lambda unit: seeds.send(unit, letter(1).id, KEY))
        for one in (letter(1).id, letter(2).id, "nothing"):
            units.run("drop", lambda unit, one=one: deliveries.drop(unit, one, "stop", NOON))
        assert [self.state(units, letter(n).id) for n in (1, 2)] == ["sent", "dropped"]

    def test_a_withdrawn_bundle_drops_its_own_unsent_letters_only(self, units: Units) -> None:
        units.run("send", lambda unit: seeds.send(unit, letter(1).id, KEY))
        units.run("drop", lambda unit: deliveries.withdraw(unit, seeds.BUNDLES["union"]))
        assert units.run("n", lambda unit: deliveries.count(unit, CAMPAIGN)) == {
            "sent": 1,
            "dropped": 1,  # union's second
            "pending": 1,  # parks'
        }

    def test_caps_see_the_person_and_the_address_over_all_campaigns_of_the_race(
        self, units: Units
    ) -> None:
        units.run("send", lambda unit: seeds.send(unit, letter(1).id, KEY, NOON))
        units.run("send", lambda u: seeds.send(u, letter(2).id, OTHER_KEY, NOON, "in_doubt"))
        later = letter(1, campaign=OTHER_CAMPAIGN).id
        units.run("send", lambda unit: seeds.send(unit, later, OTHER_KEY, NOON + HOUR, "failed"))

        def sent_at(race: str, stop_key: str, person: int | None) -> list[object]:
            return units.run(
                "caps",
                lambda u: sorted(
                    written_to.sent_at(
                        u, race, stop_key=stop_key, people=() if person is None else (person,)
                    ),
                    key=str,
                ),
            )

        assert sent_at(RACE, KEY, None) == [NOON]
        assert sent_at(RACE, OTHER_KEY, None) == [NOON]  # a doubt counts, a failure does not
        assert sent_at(RACE, OTHER_KEY, 1) == [NOON, NOON]
        assert sent_at(RACE, "c" * 64, 1) == [NOON]
        assert sent_at("another-race", KEY, 1) == []
        last = units.run("last", lambda unit: written_to.last_sent(unit, RACE))
        assert last == {1: [NOON], 2: [NOON]}

    def test_letters_of_withdrawn_rows_wait_for_no_other_withdrawn_letter(
        self, units: Units
    ) -> None:
        units.run("a", lambda u: claimed(u, letter(1).id, stop_key=KEY, fence=1, now=NOON))
        units.run("b", lambda u: deliveries.withdraw(u, seeds.BUNDLES["union"]))
        units.run("c", lambda u: deliveries.withdraw(u, seeds.BUNDLES["parks"]))
        both = [units.run("get", lambda u, n=n: deliveries.get(u, letter(1, n).id))  # type: ignore[misc]
                for n in ("union", "parks")]  # fmt: skip
        flying = [units.run("f", lambda u, one=one: deliveries.in_flight(u, one)) for one in both]  # type: ignore[misc]
        assert flying == [True, False]

    def test_in_flight_is_between_claim_and_outcome_for_person_or_address(
        self, units: Units
    ) -> None:
        def flying(one: deliveries.Delivery) -> bool:
            return units.run("flight", lambda unit: deliveries.in_flight(unit, one))

        assert not flying(letter(1))
        units.run(
            "claim",
            lambda u: claimed(u, letter(1).id, stop_key=KEY, fence=1, now=NOON),
        )
        assert flying(letter(1, "parks"))
        assert flying(letter(7, stop_key=KEY))
        assert not flying(letter(7, stop_key=OTHER_KEY))
        units.run(
            "settle",
            lambda u: deliveries.settle(
                u, letter(1).id, fence=1, state="sent", outcome="", queue_id=None, now=NOON
            ),
        )
        assert not flying(letter(1))

    # -- leases ----------------------------------------------------------------------------------

    def test_a_lease_is_one_holders_and_its_fence_grows(self, units: Units) -> None:
        def take(holder: str, now: object = NOON) -> int:
            return units.run(
                "lease",
                lambda u: leases.lease(u, "mail c1", holder, HOUR, now),  # type: ignore[arg-type]
            )

        assert take("one") == 1
        assert take("one", NOON + HOUR / 2) == 1  # renewed
        with pytest.raises(LeaseLost):
            take("two", NOON + HOUR)
        assert take("two", NOON + 2 * HOUR) == 2
        with pytest.raises(LeaseLost):
            take("one", NOON + 2 * HOUR)
        units.run("no", lambda u: leases.release(u, "mail c1", "one", NOON))  # not its own
        with pytest.raises(LeaseLost):
            take("one", NOON + 2 * HOUR)
        units.run("yes", lambda u: leases.release(u, "mail c1", "two", NOON + 2 * HOUR))
        assert take("one", NOON + 2 * HOUR) == 3

    def test_two_who_take_a_new_lease_at_one_instant_are_one(self, units: Units) -> None:
        def take(unit: Unit, number: int) -> int:
            try:
                return leases.lease(unit, "mail c9", f"worker {number}", HOUR, NOON)
            except LeaseLost:
                return 0

        assert sorted(both(units, "lease", take)) == [0, 1]

    # -- stops -----------------------------------------------------------------------------------

    SAME = {  # noqa: RUF012
        "stop_key": KEY,
        "address_token": "7" * 32,
        "person": 11,
    }

    def suppressed(self, units: Units, **other: object) -> bool:
        asked = {
            "race": RACE,
            "partner": "union",
            "epoch": EPOCH,
            "stop_key": None,
            "address_token": None,
            "person": None,
            **other,
        }
        return units.run("ask", lambda u: suppressions.suppressed(u, **asked))  # type: ignore[arg-type]

    @pytest.mark.parametrize("scope", ["race", "partner", "all"])
    @pytest.mark.parametrize("key", list(SAME))
    def test_a_stop_reaches_as_far_as_its_scope_says(
        self, units: Units, scope: str, key: str
    ) -> None:
        value = self.SAME[key]
        units.run("stop", lambda u: suppressions.suppress(u, seeds.stop(scope, **{key: value})))
        for race, partner, epoch in product(
            (RACE, "other-race"), ("union", "parks"), (EPOCH, "2027-season")
        ):
            reaches = {"race": race == RACE, "partner": partner == "union", "all": True}[scope]
            # A token means something else in another epoch; an address and a roll row do not.
            known = key != "address_token" or epoch == EPOCH
            if key == "person":
                known = known and race == RACE
            found = self.suppressed(units, race=race, partner=partner, epoch=epoch, **{key: value})
            assert found is (reaches and known), (race, partner, epoch)

    @pytest.mark.parametrize("key", list(SAME))
    def test_a_stop_is_nobody_elses(self, units: Units, key: str) -> None:
        units.run(
            "stop", lambda u: suppressions.suppress(u, seeds.stop("all", **{key: self.SAME[key]}))
        )
        other = {"stop_key": OTHER_KEY, "address_token": "8" * 32, "person": 12}
        assert not self.suppressed(units, **other)
        assert not self.suppressed(units)
        assert self.suppressed(units, **{**other, key: self.SAME[key]})

    def test_a_frozen_list_speaks_for_addresses_and_no_longer_for_people(
        self, units: Units
    ) -> None:
        loud = ("union",)
        units.run("stop", lambda u: suppressions.suppress(u, seeds.stop(stop_key=KEY, person=11)))
        assert self.suppressed(units, person=11)
        assert not self.suppressed(units, person=11, loud=loud)
        assert self.suppressed(units, person=11, loud=("parks",))
        assert self.suppressed(units, person=11, stop_key=KEY, loud=loud)
        units.run("stop", lambda u: suppressions.suppress(u, seeds.stop(person=12, bundle=None)))
        assert self.suppressed(units, person=12, loud=loud)

    def test_the_same_stop_twice_is_one_and_another_address_is_another(self, units: Units) -> None:
        def hear(unit: Unit, _: int) -> None:
            suppressions.suppress(unit, seeds.stop(person=1, stop_key=KEY, delivery=letter(1).id))

        both(units, "stop", hear)
        stops = units.run("n", lambda unit: suppressions.stops_by_partner(unit, RACE))
        assert stops == {"union": 1}
        # Not tied to a letter, as when a person writes to the operator.
        for key in (KEY, OTHER_KEY):
            units.run("by hand", lambda u, k=key: suppressions.suppress(u, seeds.stop(stop_key=k)))
        assert self.suppressed(units, stop_key=OTHER_KEY)

    def test_outcomes_count_letters_not_clicks(self, units: Units) -> None:
        units.run("send", lambda unit: seeds.send(unit, letter(1).id, KEY))
        for scope in ("race", "all"):
            for reason in ("stop", "complaint", "hard"):
                heard = seeds.stop(scope, reason=reason, delivery=letter(1).id)
                units.run("stop", lambda unit, s=heard: suppressions.suppress(unit, s))

        def told(name: str) -> int:
            return units.run("out", lambda unit: written_to.outcome(unit, CAMPAIGN, name))

        assert [told(name) for name in ("handed to providers", "bounced", "stopped")] == [1, 1, 1]
        scopes = units.run("s", lambda unit: suppressions.stopped_scopes(unit, letter(1), RACE))
        assert scopes == ["all", "partner", "protect", "race"]

    def test_a_list_tells_of_stops_upon_its_own_letters_by_lock_until_the_row_is_gone(
        self, units: Units
    ) -> None:
        mine, theirs = letter(1), letter(1, "parks")
        for one in (mine, theirs):
            for reason in ("stop", "complaint", "hard", "soft"):
                heard = seeds.stop(
                    partner=one.partner, bundle=one.bundle, delivery=one.id, reason=reason
                )
                units.run("stop", lambda u, h=heard: suppressions.suppress(u, h))  # type: ignore[misc]

        def told(bundle: str) -> list[str]:
            found = units.read("told", lambda unit: suppressions.stops_through(unit, bundle))
            assert {(scope, race) for _, scope, race, _ in found} <= {("race", RACE)}
            return [lock for lock, *_ in found]

        assert told(mine.bundle) == [mine.lock]
        assert told(theirs.bundle) == [theirs.lock]
        units.run("gone", lambda unit: deliveries.withdraw(unit, mine.bundle, [mine.row]))
        assert told(mine.bundle) == []
        assert told(theirs.bundle) == [theirs.lock]

    def test_what_is_stopped_already_is_what_this_person_said_of_this_race_and_sender(
        self, units: Units
    ) -> None:
        asked = letter(1)
        units.run("send", lambda unit: seeds.send(unit, asked.id, KEY))
        asked = units.run("get", lambda unit: deliveries.get(unit, asked.id))

        def said(**other: Any) -> list[str]:
            heard = seeds.stop(stop_key=KEY, person=asked.person, delivery="another", **other)
            units.run("stop", lambda unit: suppressions.suppress(unit, heard))
            return units.run("s", lambda u: suppressions.stopped_scopes(u, asked, RACE))

        assert said(race="another-race") == []
        assert said(scope="partner", partner="parks") == []
        assert said(scope="all", reason="hard") == []
        assert said(scope="partner", partner=asked.partner) == ["partner"]
        assert said() == ["partner", "race"]
        shared = replace(asked, person=asked.person + 1, id="theirs")
        assert units.run("s", lambda u: suppressions.stopped_scopes(u, shared, RACE)) == []

    def test_a_capability_is_found_by_its_hash_alone(self, units: Units) -> None:
        with pytest.raises(Missing):
            units.run("cap", lambda unit: deliveries.by_capability(unit, f"hash-{letter(1).id}"))


class TestSqlite:
    """What only SQLite needs saying."""

    def test_it_writes_ahead_syncs_fully_and_overwrites_what_is_deleted(
        self, tmp_path: Path
    ) -> None:
        def asked(unit: Unit) -> list[object]:
            return [
                unit.session.execute(text(f"PRAGMA {name}")).scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
            ]

        made = engine(f"sqlite:///{tmp_path}/new.sqlite")
        assert Units(made, lambda: NOON).run("pragma", asked) == ["wal", 2, 1, 1]
        made.dispose()

    def test_no_question_that_is_asked_for_each_letter_reads_a_whole_table(
        self, sqlite_units: Units
    ) -> None:
        """Not measured but read off: a scan is no slower than a search in so small a database."""
        asked: list[tuple[str, Any]] = []

        def note(_c: Any, _cursor: Any, words: str, given: Any, *_: Any) -> None:
            asked.append((words, given))

        def ask(unit: Unit) -> None:
            whole = {"stop_key": KEY, "people": (1, 2), "address_token": "t"}
            one = campaigns.get(unit, CAMPAIGN)
            for least in ({}, {"stop_key": None}, {"people": ()}, {"address_token": None}):
                known: dict[str, Any] = {**whole, **least}
                written_to.sent_at(unit, RACE, **known)
                written_to.sent_elsewhere(unit, one, NOON - HOUR, **known)
            written_to.unanswered(unit, stop_key=KEY, address_token="t")
            deliveries.in_flight(unit, replace(letter(1), stop_key=KEY))
            deliveries.being_signed(unit, "ada")
            suppressions.suppressed(
                unit,
                race=RACE,
                partner="union",
                epoch="e",
                stop_key=KEY,
                address_token="t",
                person=1,
            )
            contributions.is_taken_back(unit, seeds.BUNDLES["union"], 1)

        sqlite_units.run("plant", seeds.plant)
        event.listen(sqlite_units.engine, "before_cursor_execute", note)
        sqlite_units.run("ask", ask)
        event.remove(sqlite_units.engine, "before_cursor_execute", note)
        found = [words for words, _ in asked if "deliveries" in words or "suppressions" in words]
        assert len(found) > 10

        def plans(unit: Unit) -> list[str]:
            cursor = unit.session.connection().exec_driver_sql
            return [
                row[3]
                for words, given in asked
                if words.startswith("SELECT")
                for row in cursor(f"EXPLAIN QUERY PLAN {words}", given)
            ]

        told = sqlite_units.run("plans", plans)
        assert any("MULTI-INDEX OR" in line or "UNION" in line for line in told)
        scans = {line.partition(" USING ")[0] for line in told if line.startswith("SCAN ")}
        assert not {one for one in scans if "(" not in one} - {"SCAN CONSTANT ROW"}

    def test_a_killed_writer_leaves_what_was_committed(self, tmp_path: Path) -> None:
        """File and log are copied under an open transaction, as a crash would leave them."""
        url = f"sqlite:///{tmp_path}/a.sqlite"
        first = engine(url)
        migrate(first)
        units = Units(first, lambda: NOON)
        units.run("put", lambda unit: texts.put(unit, "kept", "yes"))

        def half(unit: Unit) -> None:
            texts.put(unit, "lost", "yes")
            unit.session.flush()
            for path in tmp_path.glob("a.sqlite*"):
                if not path.name.endswith("-shm"):
                    (tmp_path / path.name.replace("a.", "b.")).write_bytes(path.read_bytes())

        units.run("half", half)
        first.dispose()
        second = engine(f"sqlite:///{tmp_path}/b.sqlite")
        after = Units(second, lambda: NOON)
        assert after.run("get", lambda unit: texts.get(unit, "kept")) == "yes"
        with pytest.raises(Missing):
            after.run("get", lambda unit: texts.get(unit, "lost"))
        second.dispose()


class TestPostgres:
    """What only PostgreSQL needs saying."""

    @pytest.mark.parametrize("spelling", ["postgres", "postgresql", "postgresql+psycopg"])
    def test_every_spelling_of_its_url_is_serialisable(
        self, postgres_url: str, spelling: str
    ) -> None:
        made = engine(postgres_url.replace("postgresql", spelling, 1))
        with made.connect() as connection:
            level = connection.execute(text("show transaction_isolation")).scalar()
        made.dispose()
        assert level == "serializable"

    def test_a_lost_race_is_run_again(self, postgres_units: Units) -> None:
        postgres_units.run("plant", seeds.plant)

        def count_and_add(unit: Unit, number: int) -> None:
            seen = len(unit.session.scalars(select(ContributionRow)).all())
            new = seeds.contribution("union", id=f"{number:036}", header={"seen": seen})
            contributions.add(unit, new)

        both(postgres_units, "skew", count_and_add)
        assert postgres_units.runs["skew"] > 2
        kept = postgres_units.run("look", contributions.listed)
        assert sorted(c.header.get("seen", -1) for c in kept)[-2:] == [2, 3]

    def test_a_text_with_a_nul_is_refused_and_not_a_fault(self, postgres_units: Units) -> None:
        with pytest.raises(Unstorable):
            postgres_units.run("nul", lambda unit: actors.get(unit, "un\0ion"))
        with pytest.raises(Unstorable):
            postgres_units.run(
                "nul", lambda unit: actors.add(unit, Actor("a\0", "partner", "A", "1" * 64))
            )

"""A custodian hears from the log who destroyed its share, shows it, and counts it."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from consortium.custodian.countersign import Given
from consortium.custodian.destruction import destroy
from consortium.custodian.errors import HomeUnready, LogUnreachable
from consortium.custodian.process import check_enough_left
from consortium.custodian.spoken import to_do, words
from consortium.custodian.standing import Standing, stand
from matching.endings import Ending
from matching.locks import make_entry
from matching.statement import Statement
from tests.fakes.campaign import make_campaign, make_rows, put_roster
from tests.fakes.custodians import EPOCH, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    for host in made.hosts.values():
        host.ledger.close()
    made.client.close()


def end(world: World, *who: str, epoch: str = EPOCH) -> None:
    for one in who:
        host = world.hosts[one]
        destroy(host.ledger, host.log, one, epoch)


def follows(world: World) -> None:
    """What `serve` does in the background."""
    ann = world.hosts["ann"].custodian
    ann.anchors.look()
    ann.hear_endings()


def counted(world: World, statement: Statement) -> Ending:
    ann = world.hosts["ann"]
    return ann.ledger.ending(statement, ann.registry.custodians())


def standing(world: World) -> Standing:
    ann = world.hosts["ann"]
    return stand(ann.settings, ann.registry, ann.ledger, world.now, running=True)


def test_who_destroyed_its_share_is_heard_from_the_log_and_said(world: World) -> None:
    statement = world.deal()
    follows(world)
    assert standing(world).endings == ()
    end(world, "bea")
    assert counted(world, statement).destroyed == ()  # said, and not followed yet
    follows(world)
    assert counted(world, statement).destroyed == ("bea",)
    said = "1 of 3 custodians say that they destroyed their shares of the match key"
    assert [one for one in words(standing(world), world.now) if said in one]
    assert world.hosts["ann"].ledger.unread() == []


def test_of_an_epoch_that_is_over_its_holder_is_told_that_others_have_done_it(
    world: World,
) -> None:
    world.deal(epoch="2025-season")
    world.deal()
    alone, others = "once all of you agree", "others have destroyed theirs: trellis custodian"
    assert alone in str(to_do(standing(world), world.now))
    end(world, "bea", epoch="2025-season")
    follows(world)
    assert others in str(to_do(standing(world), world.now))
    assert alone not in str(to_do(standing(world), world.now))
    end(world, "ann", epoch="2025-season")
    follows(world)
    assert "2 of 3 custodians say" in str(words(standing(world), world.now))


def test_an_epoch_ends_in_the_hour_in_which_too_few_shares_are_left(world: World) -> None:
    world.deal()
    start = world.now
    for day, one in enumerate(("bea", "ann", "cyd")):
        world.now = start + timedelta(days=day)
        end(world, one)
        follows(world)
        # With 2 of 3, the second ends it; a third changes nothing.
        ended = (start + timedelta(days=1)).date().isoformat() if day else ""
        assert [each.ended for each in standing(world).ends] == [ended]


def test_a_letter_that_is_open_says_until_when_its_epoch_is_needed(world: World) -> None:
    world.deal("seal")
    entries = [make_entry(EPOCH, *row) for row in make_rows(2)]
    put_roster(world, entries)
    ann = world.hosts["ann"].custodian
    assert [(one.place, one.letters) for one in standing(world).ends] == [("present", "")]
    ann.open_release(make_campaign(world, entries).body(world, "ann"))
    last = (world.now + timedelta(days=3)).date().isoformat()
    assert [one.letters for one in standing(world).ends] == [last]
    ann.close_release("c1", world.signed("release-close", "mailer", "ann", {"campaign": "c1"}))
    assert [one.letters for one in standing(world).ends] == [""]


def test_a_countersignature_given_is_counted_and_one_that_others_gave_is_not(world: World) -> None:
    ledger = world.hosts["ann"].ledger
    ledger.take_given([("ab" * 32, "other", world.now.isoformat())], world.now)
    assert standing(world).countersigned.keys == ()
    given = Given("mine", "5" * 128, world.now + timedelta(days=30))
    ledger.countersign(b"said", given, every=timedelta(days=20))
    world.now += timedelta(days=31)
    found, day = standing(world).countersigned, timedelta(days=1)
    assert found.keys == (("mine", (world.now - day).date().isoformat()),)
    assert found.again == (world.now + 19 * day).date().isoformat()
    world.now += 20 * day
    assert standing(world).countersigned.again == ""
    assert json.dumps(standing(world).to_json())


def test_a_key_that_too_few_hold_is_not_dealt_again(world: World) -> None:
    statement, ann = world.deal(), world.hosts["ann"]
    end(world, "bea")
    follows(world)
    check_enough_left(ann.ledger, ann.registry, statement)
    end(world, "cyd")
    check_enough_left(ann.ledger, ann.registry, statement)  # the control: not heard of yet
    follows(world)
    with pytest.raises(HomeUnready, match="cannot be dealt again"):
        check_enough_left(ann.ledger, ann.registry, statement)


def test_nobody_says_it_for_another(world: World) -> None:
    statement = world.deal()
    keys = [{"purpose": "match", "sid": statement.sid, "version": 1}]
    for by in ("cyd", "operator"):
        world.entry(by, kind="destroyed", epoch=EPOCH, id="bea", keys=keys)
    follows(world)
    assert counted(world, statement).destroyed == ()
    world.entry("bea", kind="destroyed", epoch=EPOCH, id="bea", keys=keys)
    follows(world)
    assert counted(world, statement).destroyed == ("bea",)


def test_what_cannot_be_opened_now_is_opened_later_and_hides_nothing_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    statement, ann = world.deal(), world.hosts["ann"]
    end(world, "bea", "cyd")
    ann.custodian.anchors.look()
    hidden = ann.ledger.unread()[0][0]
    find = ann.log.find

    def hiding(leaf: str) -> object:
        if leaf == hidden:
            raise LogUnreachable("down")
        return find(leaf)

    with monkeypatch.context() as patched:
        patched.setattr(ann.log, "find", hiding)
        with pytest.raises(LogUnreachable):
            ann.custodian.hear_endings()
        assert len(counted(world, statement).destroyed) == 1
    ann.custodian.hear_endings()
    assert counted(world, statement).destroyed == ("bea", "cyd")

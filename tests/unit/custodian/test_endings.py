"""A custodian hears from the log who destroyed its share, shows it, and counts it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from consortium.custodian.destruction import destroy
from consortium.custodian.errors import HomeUnready, LogUnreachable
from consortium.custodian.process import check_enough_left
from consortium.custodian.spoken import to_do, words
from consortium.custodian.standing import Standing, stand
from matching.endings import Ending
from matching.statement import Statement
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

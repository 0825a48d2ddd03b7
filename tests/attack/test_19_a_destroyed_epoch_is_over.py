"""Threat 19: after an epoch ends, no code of it can be made: what it takes is gone."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from consortium.custodian.ceremony import Ceremony
from consortium.custodian.destruction import destroy
from consortium.custodian.errors import HomeUnready, LogUnreachable
from consortium.custodian.ledger import Key, Ledger
from matching import group, oprf
from matching.crypto_errors import CeremonyAborted
from matching.endings import Ending, ending
from matching.seats import Session
from matching.statement import Statement
from tests.fakes.dealer import split
from tests.fakes.dealing import combined, publics_of, sign_all
from tests.fakes.interrupted import Hosts, Killed, Trap, run

EPOCHS = ("2026-season", "2027-season")
IDS = ("ann", "bea", "cyd")


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    made = Hosts(tmp_path, IDS)
    yield made
    made.close()


def key(hosts: Hosts, epoch: str, purpose: str = "match") -> Statement:
    seats = tuple(hosts.seats[one] for one in IDS)
    session = Session(epoch, purpose, 2, seats)
    return run(hosts, lambda one: Ceremony(session, one, **hosts.parts(one)), who=IDS)["ann"]


def end(hosts: Hosts, one: str, epoch: str) -> list[Statement]:
    return destroy(hosts.ledgers[one], hosts.parts(one)["log"], one, epoch)


def counted(hosts: Hosts, statement: Statement) -> Ending:
    said = [entry for entry in hosts.shared.entries.values() if entry[1]["kind"] == "destroyed"]
    return ending(statement, said, publics_of(hosts.keys))


def shares(hosts: Hosts, epoch: str) -> dict[str, bytes]:
    found = {one: hosts.ledgers[one].key("match", epoch) for one in IDS}
    return {one: held.share for one, held in found.items() if held}


def token(secret: bytes, what: bytes) -> bytes:
    blind = group.reduce(os.urandom(64))
    answered = oprf.evaluate(secret, oprf.blind([what], blind))
    return oprf.finalise([what], oprf.unblind(blind, [(group.ONE, answered)]))[0]


def test_with_fewer_shares_than_the_threshold_left_nobody_makes_its_codes(
    hosts: Hosts, tmp_path: Path
) -> None:
    old, seal, new = key(hosts, EPOCHS[0]), key(hosts, EPOCHS[0], "seal"), key(hosts, EPOCHS[1])
    before = shares(hosts, EPOCHS[0])
    secret = combined(before, old, ("ann", "cyd"))
    assert group.base(secret) == old.public  # two shares were enough
    assert counted(hosts, old).missing == 2
    assert [one.sid for one in end(hosts, "ann", EPOCHS[0])] == [old.sid, seal.sid]
    assert combined(shares(hosts, EPOCHS[0]), old, ("bea", "cyd")) == secret  # and still are
    assert counted(hosts, old).words.endswith("(ann); 1 more would end it")
    end(hosts, "bea", EPOCHS[0])
    left = shares(hosts, EPOCHS[0])
    assert list(left) == ["cyd"]
    assert combined(left, old, ("cyd",)) != secret
    for one in ("ann", "bea"):
        blobs = b"".join(path.read_bytes() for path in tmp_path.glob(f"{one}.sqlite*"))
        assert before[one] not in blobs
    assert "no code of that epoch can be made" in counted(hosts, old).words
    # What was made with the old key says nothing under the new one.
    later = combined(shares(hosts, EPOCHS[1]), new, ("ann", "bea"))
    assert token(secret, b"ada") == token(secret, b"ada") != token(later, b"ada")


def test_no_key_of_it_is_made_again_under_its_name(hosts: Hosts) -> None:
    key(hosts, EPOCHS[0])
    end(hosts, "ann", EPOCHS[0])
    seats = tuple(hosts.seats[one] for one in IDS)
    again = Session(EPOCHS[0], "match", 2, seats, attempt=2)
    with pytest.raises(CeremonyAborted, match="has destroyed its shares"):
        Ceremony(again, "ann", **hosts.parts("ann")).advance()
    with pytest.raises(CeremonyAborted, match="holds a share of this epoch's key already"):
        Ceremony(again, "bea", **hosts.parts("bea")).advance()


def test_only_a_holder_of_this_very_share_is_counted(hosts: Hosts) -> None:
    stated = key(hosts, EPOCHS[0])
    end(hosts, "ann", EPOCHS[0])
    ((leaf, (actor, facts)),) = [
        entry for entry in hosts.shared.entries.items() if entry[1][1]["kind"] == "destroyed"
    ]
    publics = publics_of(hosts.keys)
    assert leaf
    assert ending(stated, [(actor, facts)] * 2, publics).destroyed == ("ann",)
    for wrong in (
        (publics["bea"], facts),  # bea says it for ann
        (actor, {**facts, "epoch": EPOCHS[1]}),
        (actor, {**facts, "keys": []}),
        (actor, {**facts, "keys": [{**facts["keys"][0], "version": 2}]}),
        (actor, {**facts, "kind": "statement"}),
    ):
        assert ending(stated, [wrong], publics).destroyed == ()
    dealt = replace(stated, version=2, previous=stated.digest, dealers=("ann", "bea"))
    assert ending(dealt, [(actor, facts)], publics).missing == 2  # of shares that came after


def test_it_is_said_only_after_it_is_done_and_once_whatever_happens_between(
    tmp_path: Path,
) -> None:
    step = steps = 0
    while step <= steps:
        folder = tmp_path / str(step)
        folder.mkdir()
        hosts = Hosts(folder, IDS)
        stated, made = split(group.reduce(b"e" * 64), threshold=2, ids=IDS, epoch=EPOCHS[0])
        hosts.ledgers["ann"].add_key(Key.of(sign_all(stated, hosts.keys), made["ann"]))
        hosts.traps["ann"] = hosts.ledgers["ann"].trap = trap = Trap(step)
        try:
            end(hosts, "ann", EPOCHS[0])
        except Killed:
            if counted(hosts, stated).destroyed:
                assert "ann" not in shares(hosts, EPOCHS[0])
            hosts.restart("ann")
            end(hosts, "ann", EPOCHS[0])
        said = [facts for _, facts in hosts.shared.entries.values() if facts["kind"] == "destroyed"]
        assert json.dumps(said) == json.dumps(said[:1])
        assert counted(hosts, stated).destroyed == ("ann",)
        assert "ann" not in shares(hosts, EPOCHS[0])
        hosts.close()
        steps, step = max(steps, trap.count), step + 1
    assert steps > 5


def test_the_log_may_be_away_and_nothing_held_is_no_destruction(hosts: Hosts) -> None:
    stated = key(hosts, EPOCHS[0])
    with pytest.raises(HomeUnready, match="no share of epoch 2031"):
        end(hosts, "ann", "2031")
    hosts.shared.down = True
    with pytest.raises(LogUnreachable):
        end(hosts, "ann", EPOCHS[0])
    assert counted(hosts, stated).destroyed == ()
    hosts.shared.down = False
    end(hosts, "ann", EPOCHS[0])
    assert counted(hosts, stated).destroyed == ("ann",)
    held: Ledger = hosts.ledgers["ann"]
    assert held.status()["over"][0]["why"] == "destroyed"

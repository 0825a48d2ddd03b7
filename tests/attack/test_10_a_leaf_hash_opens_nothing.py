"""Whoever reads the public log, and asks the server about every leaf in it, learns kinds and hours.

A leaf hash is public. What an entry says (whose list, how large, which campaign) is opened to who
signed it; a partner asking about another partner's entry is answered like a stranger.
"""

from datetime import timedelta

from consortium.service import enter, publish
from consortium.service.cover import Cover
from consortium.store import log
from consortium.wiring import pen
from provenance.entry import parse
from tests.fakes.actors import made, private, public
from tests.fakes.server import Server, body


def leaves(server: Server) -> dict[str, log.Promised]:
    size = server.units.run("size", log.size)
    found = [server.units.run("at", lambda u, n=n: log.at_index(u, n)) for n in range(size)]
    return {one.leaf: one for one in found}


def test_nobody_but_its_signer_opens_an_entry(any_server: Server) -> None:
    upload = any_server.contribute("union")
    any_server.publish()
    tried = 0
    for leaf, entry in leaves(any_server).items():
        for who in (None, "union", "parks", "cora", "stella", "ann"):
            answer = any_server.call(who, "GET", f"/log/entries/{leaf}")
            if who == entry.actor:
                assert answer.json()["state"] == "published"
                continue
            assert answer.status_code == 403
            for said in (upload.id, "union", "parks", public("union").hex(), "salt"):
                assert said not in answer.text
            tried += 1
    assert tried == 15  # two signatures and a bundle, five strangers each


def test_a_key_is_for_everybody(any_server: Server) -> None:
    """Who is told to trust a key must be able to see that it is in the log."""
    facts = {"kind": "mailer", "epoch": "e", "public": "00", "expires": "2027"}
    ours = pen("mailer", private("mailer").private_bytes_raw())
    leaf = any_server.units.run(
        "key", lambda unit: enter.write(unit, ours, "key", facts, now=unit.now)
    )
    any_server.publish()
    shown = any_server.call(None, "GET", f"/log/entries/{leaf}")
    assert shown.json()["state"] == "published"
    # Nobody puts one in from outside, whoever signed it.
    entry = made("mailer", "key", **facts)
    assert any_server.call(None, "POST", "/log/entries", json=body(entry)).status_code == 422


def test_entries_of_every_size_of_list_look_alike(any_server: Server) -> None:
    any_server.contribute("union")
    any_server.publish()
    entries = leaves(any_server).values()
    assert {len(one.entry) for one in entries} == {1536}
    for one in entries:
        read = parse(one.entry)
        assert (read.at.minute, read.at.second) == (0, 0)
        for word in (b"union", b"parks", public("union").hex().encode()):
            assert word not in one.entry


def test_a_dummy_is_answered_for_like_any_other_entry(any_server: Server) -> None:
    """Else asking for each leaf would tell which entries count."""
    ours = pen("operator", private("operator").private_bytes_raw())
    for _ in range(2):
        any_server.clock.now += timedelta(hours=1)
        publish.publish(
            any_server.units, any_server.sequencer, any_server.clock, Cover(3600, 1, ours)
        )
    said: dict[bool, set[str]] = {True: set(), False: set()}
    for leaf, entry in leaves(any_server).items():
        for who in (None, "ann", "cora"):
            answer = any_server.call(who, "GET", f"/log/entries/{leaf}")
            said[entry.actor == log.NOBODY].add(f"{answer.status_code} {answer.text}")
    assert len(said[True]) == 1
    assert said[True] == said[False]

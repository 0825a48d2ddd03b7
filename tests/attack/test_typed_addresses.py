"""An address typed into the form is read by the mail machine alone, and tells its typist little."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from consortium.service import enter, hear_back, show, thaw
from consortium.service.errors import NotReady
from consortium.store import suppressions, texts, typed
from consortium.store.unit import Unit
from mailer import keys, stops, unseal
from mailer.errors import UnsealRefused
from matching.countersigning import named
from tests.fakes.actors import private, public
from tests.fakes.post import Post, post
from tests.fakes.server import EPOCH, RACE

__all__ = ["post"]

TYPED = "Ana.Maria@Example.net"
FOLDED = b"ana.maria@example.net"
LATE = {"window": {"opens": "2026-11-21T00:00:00Z", "closes": "2026-12-01T00:00:00Z"}}


def name_first(post: Post, key: bytes) -> None:
    """Let the invite name this key as the mail machine's first."""

    def write(unit: Unit) -> None:
        invite = json.loads(texts.get(unit, "invite"))
        texts.put(unit, "invite", json.dumps({**invite, "mailer_key": named(key)}))

    post.units.run("invite", write)


@pytest.fixture
def pair(post: Post) -> keys.KeyPair:
    """The mailer's keys, the public one in the cosigned log."""
    made = keys.generate()
    pen = enter.Pen(
        "mailer", public("mailer"), private("mailer").sign, lambda: secrets.token_bytes(32)
    )
    name_first(post, made.public)
    facts = {"kind": "mailer", "epoch": EPOCH, "public": made.public.hex()}
    post.units.run("key", lambda unit: enter.write(unit, pen, "key", facts, now=post.clock()))
    post.server.publish()
    return made


def read(post: Post, pair: keys.KeyPair) -> int:
    """The mailer reads what was typed."""
    return hear_back.take_typed(
        post.units,
        lambda sealed: unseal.unseal_typed(sealed, [keys.generate().private, pair.private]),
        lambda address: stops.stop_key(post.office.keys.stop, address).hex(),
        post.clock(),
    )


def kept(folder: Path) -> Iterator[bytes]:
    """Every byte that the server keeps: database, its log of changes, artefacts, public log."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield path.read_bytes()


def type_in(post: Post, address: str = TYPED, scope: str = "race") -> str:
    answer = post.server.client.post("/stop", data={"address": address, "scope": scope})
    assert answer.status_code == 200, answer.text
    return answer.text


def test_nothing_of_it_is_kept_in_clear_before_or_after_it_was_read(
    post: Post,
    pair: keys.KeyPair,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(0)
    page = type_in(post)
    assert post.units.read("n", typed.waiting) == 1
    for _ in range(2):
        said = "".join((page, caplog.text, *capfd.readouterr())).encode()
        for found in (said, *kept(post.folder)):
            assert FOLDED not in found.lower()
            assert b"ana.maria" not in found.lower()
        read(post, pair)
    assert post.units.read("n", typed.waiting) == 0
    # A control: the same search finds the address where somebody would have kept it.
    (post.folder / "careless").write_text(TYPED)
    assert any(FOLDED in found.lower() for found in kept(post.folder))


def test_only_the_mailers_key_opens_it_and_its_length_says_nothing(pair: keys.KeyPair) -> None:
    sealed = {stops.seal_typed(pair.public, address, "race") for address in (TYPED, "x@y.zz")}
    assert len({len(one) for one in sealed}) == 1
    for one in sealed:
        with pytest.raises(UnsealRefused):
            unseal.unseal_typed(one, [keys.generate().private])
        assert unseal.unseal_typed(one, [pair.private])[0] == "race"


def test_it_stops_that_address_on_every_list_and_before_its_row_is_opened(
    post: Post, pair: keys.KeyPair
) -> None:
    union = post.bundle("union", 1, [(1, TYPED), (2, "bob@example.net")])
    post.go(post.campaign("c1", union))
    assert len(post.mta.to) == 2
    type_in(post)
    read(post, pair)
    post.later(days=7)
    parks = post.bundle("parks", 2, [(1, TYPED), (3, "eve@example.net")])
    post.go(post.campaign("c2", union, parks, template=LATE))
    assert sorted(post.mta.to[2:]) == ["bob@example.net", "eve@example.net"]
    assert 1 not in {one.person for one in post.letters("c2")}, "its token was known: not opened"


def test_who_was_never_written_to_is_stopped_too_and_nobody_else_is(
    post: Post, pair: keys.KeyPair
) -> None:
    type_in(post, scope="all")
    read(post, pair)
    union = post.bundle("union", 1, [(1, TYPED), (2, "bob@example.net")])
    parks = post.bundle("parks", 2, [(1, "ana@work.example")])
    for name, part in (("c1", union), ("c2", parks)):
        post.go(post.campaign(name, part))
    # No address proves whose it is: the same person's other address was not typed.
    assert sorted(post.mta.to) == ["ana@work.example", "bob@example.net"]
    assert post.states("c1") == {"sent": 1, "dropped": 1}


def test_the_answer_says_not_whether_an_address_is_on_a_list(
    post: Post, pair: keys.KeyPair
) -> None:
    post.go(post.campaign("c1", post.bundle("union", 1, [(1, TYPED)])))
    known, unknown = type_in(post), type_in(post, "nobody@elsewhere.example")
    assert known == unknown
    read(post, pair)
    assert type_in(post) == known


def test_whoever_has_a_list_of_addresses_can_silence_each_of_them(
    post: Post, pair: keys.KeyPair
) -> None:
    # The limit that remains, so that it is known: nobody is made to prove an address to be left
    # alone, so no share of a list is too many, and no such stop is ever set aside.
    people = [(n, f"m{n}@example.net") for n in range(1, 10)]
    for _, address in people[:8]:
        type_in(post, address)
    read(post, pair)
    post.go(post.campaign("c1", post.bundle("union", 1, people)))
    assert post.mta.to == ["m9@example.net"]
    assert post.units.read("frozen", lambda unit: thaw.frozen(unit, RACE)) == []


def test_what_is_no_address_is_refused_and_not_repeated(post: Post, pair: keys.KeyPair) -> None:
    for address in ("ana maria", "x" * 300 + "@example.net", "<script>@", ""):
        answer = post.server.client.post("/stop", data={"address": address, "scope": "all"})
        assert answer.status_code == 422
        assert not address or address not in answer.text
    answer = post.server.client.post("/stop", data={"address": TYPED, "scope": "everything"})
    assert answer.status_code == 422
    assert "Ana" not in answer.text
    assert post.units.read("n", typed.waiting) == 0


def test_one_that_does_not_open_holds_up_nobody(post: Post, pair: keys.KeyPair) -> None:
    post.units.run("add", lambda unit: typed.add(unit, b"not sealed", post.clock()))
    odd = stops.seal_typed(pair.public, TYPED, "everything")
    post.units.run("add", lambda unit: typed.add(unit, odd, post.clock()))
    type_in(post)
    assert read(post, pair) == 3
    key = stops.stop_key(post.office.keys.stop, TYPED).hex()
    assert post.units.read("s", lambda unit: suppressions.suppressed(
        unit, race=RACE, partner="union", epoch=EPOCH, stop_key=key, address_token=None, person=None
    ))  # fmt: skip
    assert read(post, pair) == 0


def test_a_disk_is_not_filled_by_typing(
    post: Post, pair: keys.KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hear_back, "MOST_WAITING", 2)
    for _ in range(2):
        type_in(post)
    answer = post.server.client.post("/stop", data={"address": TYPED, "scope": "race"})
    assert answer.status_code == 503
    read(post, pair)
    type_in(post)


def test_it_is_sealed_to_no_key_but_the_one_in_the_log(post: Post) -> None:
    with pytest.raises(NotReady):
        post.units.read("key", lambda unit: show.mailer_key(unit, post.server.backend))
    pen = enter.Pen(
        "operator", public("union"), private("union").sign, lambda: secrets.token_bytes(32)
    )
    theirs = keys.generate().public
    facts = {"kind": "mailer", "epoch": EPOCH, "public": theirs.hex()}
    post.units.run("key", lambda unit: enter.write(unit, pen, "key", facts, now=post.clock()))
    post.server.publish()
    with pytest.raises(NotReady, match="not in the log"):  # the invite names no key: none will do
        post.units.read("key", lambda unit: show.mailer_key(unit, post.server.backend))
    name_first(post, theirs)
    with pytest.raises(NotReady, match="itself signed"):
        post.units.read("key", lambda unit: show.mailer_key(unit, post.server.backend))

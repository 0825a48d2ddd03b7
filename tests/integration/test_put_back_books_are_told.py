"""A custodian whose books were put back opens no row that was taken back in between."""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from consortium.custodian.backups import back_up
from consortium.custodian.consents import HttpNeighbours
from consortium.custodian.countersign import Given
from consortium.custodian.errors import LogUnreachable, Refused
from consortium.custodian.ledger import Ledger
from consortium.custodian.telling import Telling
from matching import telling
from matching.envelope import close
from matching.evaluation import stamp
from matching.locks import make_entry
from tests.fakes.campaign import Campaign, make_campaign, make_rows, put_roster
from tests.fakes.custodians import EPOCH, World, serving

FIVE = ("ann", "bea", "cyd", "dan", "eve")
SHUT = bytes(32)


@dataclass
class Season:
    """Two letters over the same rows; ann's books were copied before anything was taken back."""

    world: World
    rows: list[tuple[bytes, bytes]]
    letters: dict[str, Campaign]
    copy: Path

    def put_back(self) -> None:
        self.world.start_again("ann", self.copy)

    def withdraw(self, *hearing: str) -> None:
        """One row is taken back and the second letter is stopped."""
        for one in hearing:
            custodian = self.world.hosts[one].custodian
            secrets = [self.rows[0][0].hex()]
            custodian.retire(self.world.signed("retire", "union", one, {"secrets": secrets}))
            custodian.stop(self.world.signed("stop", "league", one, {"campaign": "c2"}))

    def open(self, letter: str = "c1", at: str = "ann") -> None:
        body = self.letters[letter].body(self.world, at)
        self.world.hosts[at].custodian.open_release(body)

    def answer(self, at: str = "ann") -> list[bytes]:
        body = {"campaign": "c1", "chunk": 0, "version": 1, "quorum": [1, 2], "proofs": False}
        if len(self.world.ids) > 3:
            body["quorum"] = [1, 2, 3]
        message = self.world.signed("release-answer", "mailer", at, body)
        raw = base64.b64decode(
            self.world.hosts[at].custodian.answer_chunk("c1", 0, message)["answers"]
        )
        return [raw[n : n + 32] for n in range(0, len(raw), 32)]

    def countersign(self) -> None:
        call = self.world.signed("countersign", "mailer", "ann", {"next": {}})
        self.world.hosts["ann"].custodian.countersign({"call": call})

    def ask(self, one: str = "ann") -> None:
        self.world.hosts[one].custodian.telling.ask()

    def partner_hears(self) -> bool:
        """Whether ann tells a partner that its books were put back."""
        asked = self.world.signed("standing", "union", "ann", {"nonce": "1"})
        said = self.world.hosts["ann"].custodian.standing(asked)
        return bool(said["response"]["body"]["put_back"])

    def refuses(self) -> set[str]:
        """By which names ann refuses everything that helps a letter."""
        names = set()
        for work in (self.open, lambda: self.open("c2"), self.answer, self.countersign):
            with pytest.raises(Refused) as refused:
                work()
            names.add(refused.value.name)
        return names


def season_of(folder: Path, ids: tuple[str, ...], threshold: int) -> Season:
    world = World(folder, ids, threshold)
    world.deal("seal")
    rows = make_rows(3)
    entries = [make_entry(EPOCH, *row) for row in rows]
    put_roster(world, entries)
    agreed = make_campaign(world, entries).agreement
    terms = {"agreement": agreed}
    letters = {one: make_campaign(world, entries, name=one, **terms) for one in ("c1", "c2")}
    made = Season(world, rows, letters, folder / "copy")
    made.open()
    assert SHUT not in made.answer()
    back_up(world.hosts["ann"].settings.database, made.copy)
    return made


@pytest.fixture
def season(tmp_path: Path) -> Iterator[Season]:
    made = season_of(tmp_path, ("ann", "bea", "cyd"), 2)
    yield made
    for host in made.world.hosts.values():
        host.ledger.close()
    made.world.client.close()


def test_nothing_is_helped_before_the_others_have_told_and_then_what_was_shut_is_shut(
    season: Season,
) -> None:
    season.withdraw("ann", "bea", "cyd")
    season.put_back()
    assert season.refuses() == {"untold"}
    assert season.partner_hears()  # each partner can see it
    season.ask()
    assert season.answer()[0] == SHUT
    assert season.answer()[1] != SHUT
    assert not season.partner_hears()
    with pytest.raises(Refused, match="stopped"):
        season.open("c2")
    assert "bea, cyd" in season.world.hosts["ann"].ledger.caught_up()


def test_without_being_told_the_withdrawn_row_opens_and_the_stopped_letter_too(
    season: Season, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control."""
    season.withdraw("ann", "bea", "cyd")
    season.put_back()
    monkeypatch.setattr(Ledger, "untold", lambda self: False)
    assert SHUT not in season.answer()
    season.world.now += timedelta(days=8)  # c1's opening counts for a week
    season.world.log.now = season.world.now
    season.letters["c2"] = make_campaign(
        season.world,
        [make_entry(EPOCH, *row) for row in season.rows],
        name="c2",
        agreement=season.letters["c2"].agreement,
    )
    season.open("c2")


def test_a_restart_without_a_restore_asks_nobody(season: Season) -> None:
    season.withdraw("bea", "cyd")
    season.world.start_again("ann")
    season.ask()
    assert SHUT not in season.answer()  # ann itself heard of nothing, and owes nothing


def test_a_restart_follows_the_log_before_it_answers(season: Season) -> None:
    season.world.start_again("ann")
    season.world.log.down = True
    with pytest.raises(LogUnreachable):
        season.answer()
    season.world.log.down = False
    season.answer()
    season.world.log.down = True
    season.answer()  # followed once, an outage of the log stops no letter that is open


def test_a_picture_of_the_whole_machine_is_told_too_once_the_log_gives_it_away(
    season: Season,
) -> None:
    world, host = season.world, season.world.hosts["ann"]
    world.deal()
    tally = host.settings.database.with_suffix(".tally")
    world.start_again("ann")
    picture = [(one, one.read_bytes()) for one in (host.settings.database, tally)]
    world.hosts["ann"].custodian.anchors.reserve_ahead()  # entries of its own in the log
    season.withdraw("ann", "bea", "cyd")
    world.hosts["ann"].ledger.close()
    for path, raw in picture:
        path.write_bytes(raw)
    world.hosts["ann"].ledger = Ledger(host.settings.database)
    world.start_again("ann")
    with pytest.raises(Refused, match="untold"):
        season.answer()
    season.ask()
    assert season.answer()[0] == SHUT


def test_as_many_as_a_key_takes_must_tell(season: Season, tmp_path: Path) -> None:
    season.withdraw("ann", "cyd")
    season.world.neighbours.silent = {"cyd"}
    season.put_back()
    season.ask()
    assert season.refuses() == {"untold"}
    season.world.neighbours.silent = set()
    season.ask()
    assert season.answer()[0] == SHUT
    five = season_of(tmp_path / "five", FIVE, 3)
    five.withdraw("ann", "bea", "cyd")  # enough that no quorum opens it
    five.world.neighbours.silent = {"bea"}
    five.put_back()
    five.ask()
    assert five.answer()[0] == SHUT
    for host in five.world.hosts.values():
        host.ledger.close()
    five.world.client.close()


def test_who_was_put_back_itself_tells_but_does_not_count_until_its_owner_answers_for_it(
    season: Season,
) -> None:
    season.withdraw("bea")
    season.put_back()
    bea = season.world.hosts["bea"].ledger
    bea.mark_restored()
    season.ask()
    assert season.refuses() == {"untold"}
    bea.catch_up("by the word of its owner", season.world.now)
    season.ask()
    assert season.answer()[0] == SHUT


def changed(answer: Mapping[str, Any], world: World, by: str, **body: Any) -> dict[str, Any]:
    said = {**answer["response"]["body"], **body}
    return {**answer, "response": close("told", said, by=by, sign=world.keys[by].sign)}


WRONG: dict[str, Any] = {
    "nothing": lambda world, answer: {},
    "words": lambda world, answer: {"response": 1, "sealed": 2},
    "another signer": lambda world, answer: changed(answer, world, "union"),
    "to another": lambda world, answer: changed(answer, world, "bea", to="cyd"),
    "to another question": lambda world, answer: changed(answer, world, "bea", key="00" * 32),
    "other bytes": lambda world, answer: {**answer, "sealed": answer["sealed"][4:]},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_an_answer_that_is_not_the_others_own_to_this_question_tells_nothing(
    season: Season, wrong: str
) -> None:
    season.put_back()
    world = season.world
    true, bend = world.neighbours._tell, WRONG[wrong]
    world.neighbours._tell = lambda one, asking: (
        bend(world, true(one, asking)) if one == "bea" else true(one, asking)
    )
    season.ask()
    assert season.refuses() == {"untold"}
    world.neighbours._tell = true
    season.ask()
    season.answer()


def test_only_present_custodians_are_told_and_only_they_can_read_it(season: Season) -> None:
    season.withdraw("bea")
    world, bea = season.world, season.world.hosts["bea"]
    key = X25519PrivateKey.generate()
    body = {"key": key.public_key().public_bytes_raw().hex()}
    for stranger in ("union", "mailer", "operator", "bea"):
        with pytest.raises(Refused, match="unknown-actor"):
            bea.custodian.tell(world.signed("tell", stranger, "bea", body))
    with pytest.raises(Refused, match="not-signed"):
        bea.custodian.tell(world.signed("tell", "ann", "cyd", body))
    with pytest.raises(Refused, match="malformed"):
        bea.custodian.tell(world.signed("tell", "ann", "bea", {"key": "5"}))
    old = {"custodian": "bea", "expires": stamp(world.now), **body}
    with pytest.raises(Refused, match="expired"):
        bea.custodian.tell(close("tell", old, by="ann", sign=world.keys["ann"].sign))
    answer = bea.custodian.tell(world.signed("tell", "ann", "bea", body))
    sealed = base64.b64decode(answer["sealed"])
    raw = telling.hear("bea", "ann", key.private_bytes_raw(), sealed)
    assert season.rows[0][0].hex() not in raw.decode()  # tags, never the secrets behind them
    assert len(raw) == 2**16
    for teller, to, private in (
        ("cyd", "ann", key),
        ("bea", "cyd", key),
        ("bea", "ann", X25519PrivateKey.generate()),
    ):
        with pytest.raises(InvalidTag):
            telling.hear(teller, to, private.private_bytes_raw(), sealed)


def test_it_is_asked_and_told_over_http(season: Season) -> None:
    season.withdraw("bea", "cyd")
    season.put_back()
    with serving(season.world) as world:
        ann = world.hosts["ann"]
        with_http = Telling(
            lambda: ann.settings,
            ann.ledger,
            ann.registry,
            HttpNeighbours(ann.registry.urls, world.client),
            lambda: world.now,
        )
        world.hosts["cyd"].down()
        with_http.ask()
        assert ann.ledger.untold()
        world.hosts["cyd"].up()
        with_http.ask()
        assert season.answer()[0] == SHUT


def test_a_countersignature_that_the_books_lost_still_keeps_the_next_one_waiting(
    season: Season,
) -> None:
    world, every = season.world, timedelta(days=20)
    first, second = (Given(name, "5" * 128, world.now) for name in ("k1", "k2"))
    for one in ("ann", "bea"):
        world.hosts[one].ledger.countersign(b"first", first, every=every)
    season.put_back()
    season.ask()
    books = world.hosts["ann"].ledger
    with pytest.raises(Refused, match="too-soon"):
        books.countersign(b"second", second, every=every)
    assert books.last_countersigned() is None  # what others gave is no word of our own
    assert books.countersigned(b"first") is None
    assert books.countersign(b"first", first, every=every) == first
    assert books.countersigned(b"first") == first
    later = replace(second, at=world.now + timedelta(days=20))
    assert books.countersign(b"second", later, every=every).name == "k2"


def test_books_that_are_not_told_of_it_give_a_second_one(season: Season) -> None:
    """The control; and nobody can be kept waiting by a countersignature in the future."""
    world, every = season.world, timedelta(days=20)
    books = world.hosts["ann"].ledger
    books.countersign(b"first", Given("k1", "5" * 128, world.now), every=every)
    season.put_back()
    books = world.hosts["ann"].ledger
    tomorrow = (world.now + timedelta(days=1)).isoformat()
    books.take_given([("ab" * 32, "k9", tomorrow)], world.now)
    books.countersign(b"second", Given("k2", "5" * 128, world.now), every=every)


def test_a_former_custodian_is_told_nothing_and_counts_for_nothing(season: Season) -> None:
    registry = season.world.hosts["bea"].registry
    listed = registry.invite["custodians"]
    cyd = listed.pop()
    registry.invite["former"] = [cyd]
    assert set(registry.others("bea")) == {"ann"}
    body = {"key": "00" * 32}
    with pytest.raises(Refused, match="unknown-actor"):
        season.world.hosts["bea"].custodian.tell(season.world.signed("tell", "cyd", "bea", body))


def test_who_holds_no_share_yet_tells_and_does_not_count(season: Season) -> None:
    season.withdraw("cyd")
    season.put_back()
    bea = season.world.hosts["bea"].ledger
    held = bea.key("seal", EPOCH)
    assert held is not None
    bea.destroy(EPOCH)
    season.ask()
    assert season.refuses() == {"untold"}
    bea.add_key(held)
    season.ask()
    assert season.answer()[0] == SHUT


def closed(season: Season, one: str) -> None:
    call = season.world.signed("release-close", "mailer", one, {"campaign": "c1"})
    season.world.hosts[one].custodian.close_release("c1", call)


@pytest.mark.parametrize("known", [True, False])
def test_a_letter_that_was_closed_in_between_is_not_answered_again(
    season: Season, known: bool
) -> None:
    season.open(at="bea")
    closed(season, "ann")
    closed(season, "bea")
    season.put_back()
    ann = season.world.hosts["ann"].ledger
    if not known:  # a copy of before it was opened
        with ann.write() as sql:
            sql.execute("DELETE FROM releases")
            sql.execute("DELETE FROM opens")
    season.ask()
    season.open()
    with pytest.raises(Refused, match="closed"):
        season.answer()
    assert [one[3] for one in ann.opened(season.world.now)] == ["closed"]
    assert ann.last_windows() == {}

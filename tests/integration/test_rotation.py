"""The mailer's key is followed by another: countersigned, wrapped anew, and the old one gone."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from starlette.testclient import TestClient

from consortium.cli import founding
from consortium.custodian.answers import Custodian
from consortium.custodian.app import create_app
from consortium.custodian.errors import Refused
from consortium.custodian.ledger import Ledger
from consortium.custodian.log import ApiLog, Salts
from consortium.custodian.settings import Registry, Settings
from consortium.custodians import CustodianRefused
from consortium.jobs import key_files, mailing, rotating
from consortium.service import publish, rotate, show
from consortium.store import contributions, log, texts, typed
from consortium.store.log import SqlLock
from consortium.store.unit import Unit
from consortium.wiring import make_key, pen
from mailer import keys, unseal
from mailer.seal import DEK_BYTES, new_wrapped_key
from matching.countersigning import Successor, believed, countersign, named
from matching.crypto_errors import StatementRefused
from matching.envelope import close
from matching.evaluation import stamp
from provenance.evidence import check
from provenance.note import parse_note
from provenance.sequencer import ProofFor, Sequencer
from provenance.witness import cosign
from tests.fakes.actors import LOG, POLICY, WITNESSES, made, private, public
from tests.fakes.memory_log import MemoryFollow, MemoryNeighbours, Shared
from tests.fakes.server import EPOCH, Server, body

IDS = ("c1", "c2", "c3")
BESIDE = ("wrapped", "commitment", "rows", "rows_digest", "outputs_digest", "root")
DAYS = timedelta(days=1)


class Died(Exception):
    """The process ended here."""


@dataclass
class World:
    """A server, its mail machine's home, and three custodians with databases of their own."""

    server: Server
    home: Path
    folder: Path
    custodians: dict[str, Custodian] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    deks: dict[str, bytes] = field(default_factory=dict)
    die_at: int = -1
    steps: int = 0

    def now(self) -> datetime:
        return self.server.clock()

    def invite(self) -> dict[str, Any]:
        found = json.loads(self.server.units.run("invite", lambda u: texts.get(u, "invite")))
        return dict(found)

    def rotation(self) -> rotating.Rotation:
        def ask(id: str, body: Mapping[str, Any]) -> dict[str, Any]:
            self.step()
            if id in self.down:
                raise CustodianRefused(id, "not-ready", "it is off")
            answer = TestClient(create_app(self.custodians[id])).post("/countersign", json=body)
            said = dict(answer.json())
            if answer.status_code != 200:
                raise CustodianRefused(id, said["refused"], said["detail"])
            return said

        return rotating.Rotation(
            home=self.home,
            units=self.server.units,
            log_files=self.server.backend,
            pen=pen("mailer", private("mailer").private_bytes_raw()),
            invite=self.invite(),
            ask=ask,
            sign=private("mailer").sign,
            life=30 * DAYS,
            clock=self.server.clock,
        )

    def step(self) -> None:
        self.steps += 1
        if self.steps == self.die_at:
            raise Died

    def turn(self) -> str:
        """One turn, then a publication."""
        one = self.rotation()
        one.advance()
        self.works()
        self.publish()
        return one.waits

    def publish(self) -> None:
        self.server.publish()
        publish.refresh(self.server.sequencer, self.server.clock)

    def later(self, **time: float) -> None:
        self.server.clock.now += timedelta(**time)

    def upload(self, partner: str, seed: int, key: bytes) -> Any:
        """A list sealed to this key of the mailer; the server's answer."""
        upload, dek = self.server.upload(partner, seed=seed), secrets.token_bytes(DEK_BYTES)
        self.server.put_parts(upload)
        upload.header["mailer"] = named(key)
        own = {name: value for name, value in upload.header.items() if name not in BESIDE}
        wrapped, commitment = new_wrapped_key(key, rfc8785.dumps(own), dek)
        upload.header["wrapped"] = base64.b64encode(wrapped).decode()
        upload.header["commitment"] = commitment.hex()
        path = f"/contributions/{upload.id}"
        entry = made(partner, "contribution", self.now(), **upload.facts())
        offer = body(entry, header=upload.header)
        answer = self.server.call(partner, "POST", path, json=offer)
        if answer.status_code == 202:
            self.deks[upload.id] = dek
        return answer

    def bundles(self) -> list[contributions.Contribution]:
        return self.server.units.run("look", contributions.listed)

    def works(self) -> None:
        """Every live bundle opens with a key file that is there now, to its own key."""
        ring = {named(keys.public_of(one)): one for one in key_files.held(self.home)}
        for one in self.bundles():
            if one.wrapped is not None:
                assert one.wrapped_to is not None
                commitment, header = mailing._bound(one.header)
                opened = unseal.unwrap(one.wrapped, commitment, header, ring[one.wrapped_to])
                assert opened == self.deks[one.id]

    def logged(self, kind: str) -> list[dict[str, Any]]:
        found = self.server.units.run("log", lambda unit: log.of_kind(unit, "key", "mailer"))
        facts = [{n: o["value"] for n, o in (one.openings or {}).items()} for one in found]
        return [one for one in facts if one["kind"] == kind]

    def shown(self) -> dict[str, Any]:
        """What a tool is shown as the mailer's key."""
        found = self.server.units.run("keys", lambda u: show.keys(u, EPOCH, self.server.backend))
        assert found["mailer"] is not None
        return dict(check(found["mailer"], POLICY).facts)

    def believed(self, **other: Any) -> bytes:
        facts = {**self.shown(), **other}
        publics = {id: public(id) for id in IDS}
        return believed(facts, first=self.invite()["mailer_key"], publics=publics, threshold=2)


@pytest.fixture
def world(server: Server, tmp_path: Path) -> Iterator[World]:
    server.sign_agreement()
    home = tmp_path / "mailer"
    home.mkdir(mode=0o700)
    first = make_key(home / "hpke.key", keys.generate().private)

    def witnesses(note: bytes, _: ProofFor) -> list[bytes]:
        at, text = int(server.clock().timestamp()), parse_note(note).text
        return [cosign(text, one, at).to_line() for one in WITNESSES]

    server.sequencer = Sequencer(server.backend, SqlLock(server.units), LOG, POLICY, witnesses)
    one = World(server, home, tmp_path)
    invite = {
        "log_url": "http://log.test/log",
        **one.invite(),
        "mailer_key": named(keys.public_of(first)),
        "actors": [
            {"id": "mailer", "role": "mailer", "name": "M", "public": public("mailer").hex()},
            {"id": "parks", "role": "partner", "name": "P", "public": public("parks").hex()},
        ],
        "custodians": [{"id": c, "url": f"http://{c}", "public": public(c).hex()} for c in IDS],
    }
    server.units.run("invite", lambda unit: texts.put(unit, "invite", json.dumps(invite)))
    ledgers = []
    for id in IDS:
        there = tmp_path / id
        there.mkdir()
        (there / "invite.json").write_text(json.dumps(invite))
        settings = Settings(there, id, f"http://{id}", "127.0.0.1:1", private(id))
        ledgers.append(Ledger(settings.database))
        held = ApiLog(
            invite,
            public=public(id),
            sign=private(id).sign,
            now=server.clock,
            salts=Salts(settings.secret("own-entries")),
        )
        registry = Registry(there / "invite.json")
        follow = MemoryFollow(
            Shared(server.clock()), ledgers[-1], registry.custodians, server.clock
        )
        one.custodians[id] = Custodian(
            settings,
            ledgers[-1],
            registry,
            held,
            server.clock,
            follow=follow,
            neighbours=MemoryNeighbours(lambda one: []),
        )
    yield one
    for ledger in ledgers:
        ledger.close()
    for each in one.custodians.values():
        each._log._log.close()


def to_the_next(world: World) -> tuple[bytes, bytes]:
    """From the first key to a countersigned second one in the log; both public keys."""
    first = key_files.current(world.home).public
    assert world.turn() == ""
    world.later(days=28)
    for _ in range(3):
        world.turn()
    second = key_files.following(world.home)
    assert second is not None
    return first, second.public


def test_nothing_happens_before_the_last_days_of_a_key(world: World) -> None:
    world.turn()
    world.later(days=26.9)
    assert world.turn() == ""
    assert key_files.following(world.home) is None
    world.later(days=0.2)
    assert "log to hold the offer" in world.turn()


def test_a_key_is_followed_countersigned_wrapped_anew_and_destroyed(world: World) -> None:
    world.turn()
    first = key_files.current(world.home)
    world.publish()
    assert world.upload("union", 1, first.public).status_code == 202
    before = world.bundles()[0]
    _, second = to_the_next(world)
    shown = world.shown()
    assert shown["predecessor"] == named(first.public)
    assert len(shown["countersignatures"]) == 3
    assert world.believed() == second
    # Somebody fetched the first key yesterday and sends today: wrapped anew like the others.
    assert world.upload("parks", 2, first.public).status_code == 202
    assert "the old key's end" in world.turn()
    assert {one.wrapped_to for one in world.bundles()} == {named(second)}
    after = world.bundles()[0]
    assert (after.header, after.leaf, after.rows_digest) == (
        before.header,
        before.leaf,
        before.rows_digest,
    )  # nothing that was signed has changed
    world.later(days=2, hours=2)
    assert world.turn() == ""
    assert key_files.current(world.home).public == second
    assert key_files.following(world.home) is None
    everything = b"".join(p.read_bytes() for p in world.home.iterdir())
    assert first.private.hex().encode() not in everything
    assert [one["key"] for one in world.logged("mailer-destroyed")] == [named(first.public)]
    late = world.upload("parks", 3, first.public)
    assert late.status_code == 409
    assert "upload the file again" in late.json()["detail"]
    assert world.upload("parks", 4, second).status_code == 202
    world.works()
    # And a month later the second is followed in turn.
    world.later(days=26)
    for _ in range(4):
        world.turn()
    assert world.shown()["predecessor"] == named(second)
    world.believed()


def test_the_wrappings_of_before_are_in_no_byte_of_the_database(world: World) -> None:
    world.turn()
    first = key_files.current(world.home)
    world.upload("union", 1, first.public)
    old = world.bundles()[0].wrapped
    assert old is not None

    def found() -> bool:
        files = [p for p in world.folder.glob("*.sqlite*") if p.is_file()]
        assert files
        return any(old[600:700] in path.read_bytes() for path in files)

    assert found()
    to_the_next(world)
    world.turn()
    world.later(days=3)
    world.turn()
    assert not found()


def test_a_crash_at_every_single_step_leaves_each_bundle_one_working_wrapping(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The n-th turn dies at its n-th write to database or disk, before it and after it."""
    run, sync, call = world.server.units.run, key_files._sync, Path.unlink

    def dying(real: Callable[..., Any]) -> Callable[..., Any]:
        def act(*given: Any, **more: Any) -> Any:
            world.step()
            done = real(*given, **more)
            world.step()
            return done

        return act

    world.turn()
    first = key_files.current(world.home).public
    for seed, partner in enumerate(("union", "parks", "union"), 1):
        assert world.upload(partner, seed, first).status_code == 202
    deaths = 0
    for hours in (28 * 24, 0, 0, 0, 0, 3 * 24, 0):
        world.later(hours=hours)
        world.publish()
        for at in range(1, 200):
            with monkeypatch.context() as power:
                power.setattr(world.server.units, "run", dying(run))
                power.setattr(key_files, "_sync", dying(sync))
                power.setattr(Path, "unlink", dying(call))
                world.steps, world.die_at = 0, at
                try:
                    world.rotation().advance()
                except Died:
                    deaths += 1
                else:
                    break
            world.die_at = -1
            world.works()
        world.die_at = -1
        world.works()
    assert deaths > 60
    assert key_files.current(world.home).public != first
    assert [one["key"] for one in world.logged("mailer-destroyed")] == [named(first)]
    assert len(world.logged("mailer-offer")) == 1
    assert len(world.logged("mailer")) == 2


def test_while_two_epochs_overlap_each_has_the_key_with_the_end_it_always_had(
    world: World,
) -> None:
    world.turn()
    world.later(days=3)
    both = {**world.invite(), "next_epoch": "2027-season"}
    world.server.units.run("both", lambda unit: texts.put(unit, "invite", json.dumps(both)))
    world.turn()
    first = world.logged("mailer")
    assert [one["epoch"] for one in first] == [EPOCH, "2027-season"]
    assert len({one["expires"] for one in first}) == 1
    world.later(days=25)
    for _ in range(3):
        world.turn()
    second = world.logged("mailer")[2:]
    assert [one["epoch"] for one in second] == [EPOCH, "2027-season"]
    for one in second:
        world.believed(**{name: fact for name, fact in one.items() if name != "actor"})


def test_a_custodian_that_signs_something_else_is_named_and_asked_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.turn()
    world.down = {"c3"}
    world.later(days=28)
    world.turn()
    with monkeypatch.context() as lies:
        said = {"custodian": "c1", "signature": "ab" * 64}
        lies.setattr(world.custodians["c1"], "countersign", lambda _: said)
        assert "custodian c1 signed something else" in world.turn()
    assert len(world.logged("mailer")) == 1
    assert "log to hold the next key" in world.turn()


def test_an_address_typed_under_the_old_key_is_read_before_that_goes(world: World) -> None:
    _, _ = to_the_next(world)
    typed_at = world.now()
    world.server.units.run("type", lambda unit: typed.add(unit, b"sealed", typed_at))
    world.later(days=3)
    assert "typed address" in world.turn()
    assert len(key_files.held(world.home)) == 2
    [(seq, _)] = world.server.units.run("look", lambda unit: typed.oldest(unit, 9))
    world.server.units.run("read", lambda unit: typed.drop(unit, seq))
    assert world.turn() == ""
    assert len(key_files.held(world.home)) == 1


def test_the_server_shows_no_key_that_nobody_vouched_for(world: World) -> None:
    world.turn()
    first = world.shown()
    own = keys.generate().public
    ours = pen("mailer", private("mailer").private_bytes_raw())
    expires = "2026-12-31T00:00:00Z"

    def plant(unit: Unit) -> None:
        rotate.announce(unit, ours, EPOCH, own, expires, world.now())

    world.server.units.run("plant", plant)
    world.publish()
    assert len(world.logged("mailer")) == 2
    assert world.shown() == first


def test_setting_up_again_names_the_first_key_and_never_makes_another(tmp_path: Path) -> None:
    """``operator init`` is safe to repeat; the invite's pin must not move with the key."""
    home = tmp_path / "mail"
    founding.found_mailer(home, {"union": "union.example"})
    first = founding.identity(home)["hpke_public"]
    following = key_files.begin(home).public
    (home / key_files.CURRENT).unlink()  # a crash, before the next one took its place
    founding.found_mailer(home, {"union": "union.example"})
    assert key_files.current(home).public == following
    assert key_files.following(home) is None
    assert founding.identity(home)["hpke_public"] == first


def test_too_few_custodians_leave_the_first_key_in_use(world: World) -> None:
    world.turn()
    first = key_files.current(world.home).public
    world.down = {"c2", "c3"}
    world.later(days=28)
    world.turn()
    waits = world.turn()
    assert "custodians to countersign" in waits
    assert "c2" in waits
    assert "c3" in waits
    assert len(world.logged("mailer")) == 1
    assert world.believed() == first
    world.down = {"c3"}  # the other came in the morning: what c1 said is still there
    assert "log to hold the next key" in world.turn()
    world.turn()
    assert sorted(world.shown()["countersignatures"]) == ["c1", "c2"]
    world.believed()


def countersigner_leaves(world: World) -> bytes:
    """c1 and c2 vouched for the second key five days ago, and c2 is no custodian any more."""
    world.turn()
    world.down = {"c3"}
    world.later(days=28)
    for _ in range(3):
        world.turn()
    world.later(days=3)
    assert world.turn() == ""  # the first key is gone
    second = world.believed()
    world.later(days=2)
    assert world.turn() == ""  # the control: nothing is due
    listed = world.invite()["custodians"]
    rest, gone = [one for one in listed if one["id"] != "c2"], [listed[1]]
    said = json.dumps({**world.invite(), "custodians": rest, "former": gone})
    world.server.units.run("left", lambda unit: texts.put(unit, "invite", said))
    for id in IDS:
        (world.folder / id / "invite.json").write_text(said)
    shown = world.server.units.run("keys", lambda u: show.keys(u, EPOCH, world.server.backend))
    assert shown["mailer"] is None  # an address typed now is refused, and not lost
    return second


def test_a_key_whose_countersigners_left_is_countersigned_again_at_once(world: World) -> None:
    second = countersigner_leaves(world)
    world.down = {"c2", "c3"}
    assert "countersign the key in use again" in world.turn()
    assert key_files.following(world.home) is None
    world.down = {"c1", "c2"}  # c1 is away today: it gave its word on this key for ever
    assert world.turn() == ""
    shown = world.shown()
    assert sorted(shown["countersignatures"]) == ["c1", "c3"]
    assert world.believed() == second
    assert len(world.logged("mailer-offer")) == 1
    assert world.turn() == ""
    assert len(world.logged("mailer")) == 3  # said again once
    # And in the end it is followed like every other.
    world.down = {"c2"}
    world.later(days=23)
    for _ in range(4):
        world.turn()
    assert world.shown()["predecessor"] == named(second)
    world.believed()


def test_another_key_instead_of_the_same_one_again_would_wait_for_weeks(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the test before: what custodians answer when a new key is sought so soon."""
    countersigner_leaves(world)
    world.down = {"c2"}
    monkeypatch.setattr(rotating.Rotation, "_vouched", lambda *_: True)
    key_files.begin(world.home)
    world.turn()
    assert "c1 refused (too-soon)" in world.turn()
    world.later(days=10)
    world.publish()
    assert "c1 refused (too-soon)" in world.turn()


def test_a_next_key_that_outlived_itself_is_replaced(world: World) -> None:
    world.turn()
    world.down = {"c2", "c3"}
    world.later(days=28)
    world.turn()
    world.turn()
    early = key_files.following(world.home)
    world.down = set()
    world.later(days=31)
    for _ in range(4):
        world.turn()
    late = key_files.following(world.home) or key_files.current(world.home)
    assert early is not None
    assert late.public != early.public
    assert world.believed() == late.public


# -- a mailer's key that nobody vouches for --------------------------------------------------------


def test_tools_believe_a_later_key_only_as_custodians_countersigned_it(world: World) -> None:
    to_the_next(world)
    shown = world.shown()
    good = shown["countersignatures"]
    own = keys.generate().public
    world.believed()  # the control
    for other in (
        {"public": own.hex()},
        {"expires": "2036-01-01T00:00:00Z"},
        {"predecessor": "0" * 64},
        {"countersignatures": dict(list(good.items())[:1])},
        {"countersignatures": {**dict(list(good.items())[:1]), "c9": good["c2"]}},
        {"countersignatures": {"c1": good["c1"], "c2": good["c1"]}},
        {"countersignatures": {}},
        {"countersignatures": None},
        {"countersignatures": {"c1": "zz", "c2": 7}},
    ):
        with pytest.raises(StatementRefused):
            world.believed(**other)
    first = {"kind": "mailer", "public": own.hex(), "expires": shown["expires"]}
    publics = {id: public(id) for id in IDS}
    with pytest.raises(StatementRefused, match="no custodian countersigned"):
        believed(first, first=world.invite()["mailer_key"], publics=publics, threshold=2)
    named_so = believed(first, first=named(own), publics=publics, threshold=2)
    assert named_so == own  # what the check stops
    with pytest.raises(StatementRefused, match="does not name"):
        believed(first, first=None, publics=publics, threshold=2)
    forged = Successor(own, "0" * 64, str(shown["expires"]))
    thief = {f"c{n}": countersign(forged, private(f"thief{n}").sign) for n in (1, 2, 3)}
    with pytest.raises(StatementRefused, match="countersigned by 0"):
        believed(
            {**forged.facts(), "countersignatures": thief},
            first=world.invite()["mailer_key"],
            publics=publics,
            threshold=2,
        )


# -- what a custodian refuses ----------------------------------------------------------------------


class Asking:
    """A call to one custodian as the mail machine makes it, parts of it replaced."""

    def __init__(self, world: World) -> None:
        self.world = world
        world.turn()
        world.later(days=28)
        world.down = set(IDS)
        world.turn()
        world.turn()
        self.kept = key_files.collected(world.home)
        self.key = Successor.of(self.kept["next"])

    def body(self) -> dict[str, Any]:
        return self.world.rotation()._asked("c1", self.key)

    def signed(self, key: Successor, *, by: str = "mailer") -> dict[str, Any]:
        said = {
            "custodian": "c1",
            "expires": stamp(self.world.now() + timedelta(minutes=5)),
            "next": key.facts(),
        }
        return close("countersign", said, by=by, sign=private(by).sign)

    def refused(self, body: Mapping[str, Any]) -> str:
        with pytest.raises(Refused) as caught:
            self.world.custodians["c1"].countersign(body)
        return caught.value.name

    def good(self) -> dict[str, Any]:
        return self.world.custodians["c1"].countersign(self.body())


def test_a_custodian_countersigns_only_for_the_mail_machine_and_what_is_public(
    world: World,
) -> None:
    asking = Asking(world)
    good = asking.body()
    assert asking.refused({**good, "call": asking.signed(asking.key, by="parks")}) == "not-allowed"
    stolen = close("countersign", good["call"]["body"], by="mailer", sign=private("x").sign)
    with pytest.raises(Exception, match="does not hold"):
        world.custodians["c1"].countersign({**good, "call": stolen})
    other = replace(asking.key, public=keys.generate().public)
    assert asking.refused({**good, "call": asking.signed(other)}) == "wrong-offer"
    assert asking.refused({**good, "offer": None}) == "not-logged"
    assert asking.refused({**good, "offer": good["predecessor"]}) == "wrong-offer"
    short = {**asking.key.facts(), "public": "00"}
    said = {**good["call"]["body"], "next": short}
    misshapen = close("countersign", said, by="mailer", sign=private("mailer").sign)
    assert asking.refused({**good, "call": misshapen}) == "malformed"
    assert asking.refused({**good, "predecessor": good["offer"]}) == "wrong-predecessor"
    world.later(hours=2)
    stale = {**good, "call": asking.signed(asking.key)}
    assert asking.refused(stale) == "not-fresh"
    world.publish()
    first = asking.good()  # the control: the same key, asked for as it should be
    world.later(days=2)
    assert asking.good() == first  # and the same answer for ever


def test_a_custodian_countersigns_one_key_an_interval(world: World) -> None:
    asking = Asking(world)
    asking.good()
    (world.home / key_files.NEXT).unlink()  # the mail machine lost it, or somebody else asks
    world.down = {"c3"}
    world.turn()
    waits = world.turn()
    assert "c1 refused (too-soon)" in waits
    again = world.rotation()._asked("c1", Successor.of(key_files.collected(world.home)["next"]))
    assert asking.refused(again) == "too-soon"
    world.custodians["c1"]._settings = replace(
        world.custodians["c1"]._settings, rotation=timedelta(0)
    )
    assert world.custodians["c1"].countersign(again)["custodian"] == "c1"


def test_a_custodian_refuses_a_key_that_would_stand_for_too_long(world: World) -> None:
    asking = Asking(world)
    long = replace(asking.key, expires=stamp(world.now() + 40 * DAYS))
    world.server.units.run(
        "offer",
        lambda unit: rotate.offer(
            unit,
            pen("mailer", private("mailer").private_bytes_raw()),
            replace(long, public=keys.generate().public),
            world.now(),
        ),
    )
    world.publish()
    offered = Successor.of(world.logged("mailer-offer")[-1])
    assert asking.refused(world.rotation()._asked("c1", offered)) == "key-life"


def test_a_custodian_that_was_away_for_a_rotation_takes_the_word_of_enough_others(
    world: World,
) -> None:
    world.down = {"c3"}
    to_the_next(world)
    world.turn()
    world.later(days=3)
    world.turn()
    world.down = {"c1"}  # this time it is c3 that is asked
    world.later(days=25)
    for _ in range(3):
        world.turn()
    assert sorted(world.shown()["countersignatures"]) == ["c2", "c3"]
    world.believed()


def test_a_bundle_that_nobody_could_ever_open_keeps_no_old_key_alive(world: World) -> None:
    world.turn()
    first = key_files.current(world.home).public
    assert world.upload("union", 1, first).status_code == 202
    torn = world.bundles()[0]
    assert torn.wrapped is not None
    broken = torn.wrapped[:-1] + bytes([torn.wrapped[-1] ^ 1])
    world.server.units.run("tear", lambda u: contributions.change(u, torn.id, wrapped=broken))
    old = key_files.current(world.home)
    one = world.rotation()
    assert one._wrap(old, keys.generate())
    assert world.bundles()[0].wrapped_to is None
    assert world.bundles()[0].wrapped == broken

"""Shares are dealt again between hosts: same codes, same rows, and no older share counts."""

import base64
import hashlib
import json
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from consortium.custodian import process
from consortium.custodian.ceremony import HttpPeers
from consortium.custodian.errors import HomeUnready, Refused
from consortium.custodian.ledger import Key
from consortium.custodian.resharing import Reshare
from consortium.custodians import (
    CustodianRefused,
    TooFewCustodians,
    dealt_again,
)
from consortium.release_client import ReleaseClient
from matching import group, locks
from matching.crypto_errors import CeremonyAborted, PointRefused
from matching.envelope import close
from matching.evaluation import BATCH_BYTES, Request, sign_request
from matching.locks import make_entry
from matching.statement import Statement
from tests.fakes.campaign import make_campaign, make_rows, put_roster
from tests.fakes.custodians import EPOCH, IDS, World, serving
from tests.fakes.dealer import split
from tests.fakes.dealing import sign_all

NEXT = "2027-season"
SECRET, OTHER = group.reduce(b"k" * 64), group.reduce(b"o" * 64)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with serving(World(tmp_path, ids=(*IDS, "dan"))) as made:
        invite(made, IDS)
        yield made


def invite(world: World, ids: tuple[str, ...], former: tuple[str, ...] = ()) -> None:
    """Give every custodian an invite that names these."""
    listed = {one["id"]: one for one in world.invite["custodians"]}  # type: ignore[index, misc]
    said = {**world.invite, "custodians": [listed[one] for one in ids]}
    said["former"] = [listed[one] for one in former]
    for host in world.hosts.values():
        (host.settings.home / "invite.json").write_text(json.dumps(said))


def dealt(world: World, purpose: str, epoch: str = EPOCH, secret: bytes = SECRET) -> Statement:
    statement, shares = split(secret, threshold=2, ids=IDS, purpose=purpose, epoch=epoch)
    signed = sign_all(statement, world.keys)
    for one in IDS:
        world.hosts[one].ledger.add_key(Key.of(signed, shares[one]))
    return statement


def driver(world: World, one: str, old: Statement, **more: Any) -> Reshare:
    host = world.hosts[one]
    return Reshare(
        host.registry.resharing(old, **more),
        one,
        ledger=host.ledger,
        log=host.log,
        peers=HttpPeers(host.registry.urls(), world.client),
        sign=host.settings.key.sign,
    )


def reshared(world: World, old: Statement, *who: str, **more: Any) -> Statement:
    drivers = {one: driver(world, one, old, **more) for one in who}
    done = dict.fromkeys(who, None)
    for _ in range(12):
        done = {one: each.advance() for one, each in drivers.items()}  # type: ignore[misc]
    (statement,) = {one.digest: one for one in done.values() if one is not None}.values()
    assert all(done.values()), [each.waiting for each in drivers.values()]
    return statement


def test_a_custodian_is_replaced_and_the_codes_are_the_same(world: World, tmp_path: Path) -> None:
    old = dealt(world, "match")
    before = world.tokens(old, tmp_path / "before")
    invite(world, ("ann", "cyd", "dan"), former=("bea",))
    new = reshared(world, old, *IDS, "dan")
    assert (new.ids, new.public, new.dealers) == (("ann", "cyd", "dan"), old.public, ("ann", "cyd"))
    world.hosts["ann"].down()  # so that the newcomer's share counts
    assert world.tokens(new, tmp_path / "after") == before
    world.hosts["ann"].up()
    with pytest.raises((TooFewCustodians, CustodianRefused)) as stale:
        world.tokens(old, tmp_path / "stale")
    assert dealt_again(stale.value)
    assert world.hosts["bea"].ledger.key("match", EPOCH) is None


def test_during_an_overlap_the_next_epochs_shares_are_dealt_again_by_name(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, following = dealt(world, "match"), dealt(world, "match", NEXT, OTHER)
    world.invite["next_epoch"] = NEXT
    invite(world, IDS)

    def build(home: Path, *_: Any) -> Any:
        """A host's own parts, as its command would build them beside the server."""
        (host,) = (one for one in world.hosts.values() if one.settings.home == home)
        host.log.keys = lambda epoch: {}  # type: ignore[attr-defined]
        parts = {"registry": host.registry, "ledger": host.ledger, "log": host.log}
        return SimpleNamespace(settings=host.settings, close=lambda: None, **parts)

    monkeypatch.setattr(process, "build", build)

    def command(one: str, epoch: str | None = NEXT) -> Statement | None:
        home = world.hosts[one].settings.home
        return process.reshare(home, "match", 2, epoch=epoch, step=0.01, patience=240)

    with ThreadPoolExecutor(len(IDS)) as each:
        (made,) = {one.digest: one for one in each.map(command, IDS) if one}.values()
    assert (made.epoch, made.version, made.sid) == (NEXT, 2, following.sid)
    for one in IDS:
        held = world.hosts[one].ledger
        assert held.statement("match", NEXT) == made
        assert held.statement("match", EPOCH) == now, "the present epoch's stays as it was"
    with pytest.raises(HomeUnready, match="names no epoch 2031"):
        command("ann", "2031")


def test_who_was_away_takes_its_new_share_later_and_refuses_until_then(world: World) -> None:
    old = dealt(world, "match")
    for _ in range(6):  # all have signed; cyd's power goes before it sees the statement
        for one in ("ann", "bea", "cyd"):
            table = driver(world, one, old)
            if not (one == "cyd" and table.signed):
                table.advance()
    held = {one: world.hosts[one].ledger.statement("match", EPOCH) for one in IDS}
    versions = {one: stated.version for one, stated in held.items() if stated}
    assert versions == {"ann": 2, "bea": 2, "cyd": 1}
    assert asks(world, "ann", old.sid, 1) == asks(world, "cyd", old.sid, 2) == "wrong-version"
    assert asks(world, "cyd", old.sid, 1) == asks(world, "ann", old.sid, 2) == "malformed-points"
    assert driver(world, "cyd", old).advance() == held["ann"]
    assert asks(world, "cyd", old.sid, 1) == "wrong-version"


def asks(world: World, custodian: str, sid: str, version: int) -> str:
    """By which name points that are none are refused; the version is looked at before them."""
    points = bytes(BATCH_BYTES)
    request = Request(
        sid=sid,
        version=version,
        actor="union",
        batch="b1",
        purpose="match",
        nonce=secrets.token_hex(16),
        expires=world.now + timedelta(minutes=5),
        points=hashlib.sha256(points).hexdigest(),
    )
    message = sign_request(request, world.keys["union"].sign)
    body = {"request": message, "points": base64.b64encode(points).decode()}
    try:
        world.hosts[custodian].custodian.evaluate(body)
    except PointRefused:
        return "malformed-points"
    except Refused as refused:
        return refused.name
    return ""


@pytest.fixture
def three(tmp_path: Path) -> Iterator[World]:
    with serving(World(tmp_path)) as made:
        yield made


def test_rows_sealed_before_open_after_and_an_open_is_counted_once(three: World) -> None:
    world, old = three, dealt(three, "seal")
    rows = make_rows(3)
    entries = [make_entry(EPOCH, *row) for row in rows]
    put_roster(world, entries)
    campaign = make_campaign(world, entries)
    wanted = [locks.shared_point(r, old.public) for _, r in rows]

    def mailer(statement: Statement) -> ReleaseClient:
        about: dict[str, Any] = {"mailer": "mailer", "sign": world.keys["mailer"].sign}
        return ReleaseClient(statement, world.addresses, client=world.client, **about)

    opened = mailer(old).open_release(campaign.shown)
    assert mailer(old).answers(opened, 0) == wanted
    new = reshared(world, old, *IDS)
    with pytest.raises(CustodianRefused, match="wrong-version"):
        mailer(old).answers(opened, 0)  # in the middle of a campaign
    with pytest.raises(TooFewCustodians) as stale:
        mailer(old).points(campaign.shown)
    assert dealt_again(stale.value)
    _, points = mailer(new).points(campaign.shown)
    assert points == wanted
    for one in ("ann", "bea"):
        assert world.hosts[one].ledger.status()["opens"] == len(rows)


def test_a_dealer_that_gives_one_a_bad_piece_is_named_to_all_and_old_shares_stay(
    world: World,
) -> None:
    old = dealt(world, "match")
    liar = world.hosts["bea"]
    drivers = {one: driver(world, one, old) for one in IDS}
    for one in IDS:
        drivers[one].advance()
    session, message = drivers["bea"].session, None
    for _ in range(8):
        for one in ("ann", "bea"):  # cyd looks when the bad piece is there
            drivers[one].advance()
        message = message or liar.ledger.message(session.sid, "shares", "bea")
    assert message is not None
    body = dict(message["body"])
    body["shares"] = {**body["shares"], "cyd": body["shares"]["ann"]}
    forged = close("ceremony-shares", body, by="bea", sign=liar.settings.key.sign)
    with liar.ledger.write() as sql:
        query = "UPDATE messages SET message=? WHERE sid=? AND round='shares' AND sender='bea'"
        sql.execute(query, (json.dumps(forged), session.sid))
    named = set()
    for _ in range(6):
        for one in ("ann", "cyd"):
            try:
                drivers[one].advance()
            except CeremonyAborted as aborted:
                named.add((one, aborted.culprit))
    assert named == {("ann", "bea"), ("cyd", "bea")}
    for one in IDS:
        held = world.hosts[one].ledger.key("match", EPOCH)
        assert held is not None
        assert held.statement == old
    invite(world, ("ann", "cyd", "dan"), former=("bea",))
    again = reshared(world, old, "ann", "cyd", "dan", attempt=2)
    assert again.ids == ("ann", "cyd", "dan")


def test_an_attempt_that_all_signed_is_finished_though_somebody_complained_too_late(
    world: World,
) -> None:
    """A custodian that complains *and* signs must not make the others forget what they need."""
    old = dealt(world, "match")
    drivers = {one: driver(world, one, old) for one in IDS}
    for _ in range(3):
        for one in ("ann", "bea"):
            drivers[one].advance()
        if not drivers["cyd"].signed:
            drivers["cyd"].advance()
    assert all(each.signed for each in drivers.values())
    cyd = world.hosts["cyd"]
    sid = drivers["cyd"].session.sid
    secret = cyd.ledger.ceremony_secret(sid)
    assert secret is not None
    signature = cyd.ledger.message(sid, "signature", "cyd")
    with cyd.ledger.write() as sql:
        sql.execute("DELETE FROM messages WHERE round='signature' AND sender='cyd'")
    shown = {round: cyd.ledger.message(sid, round, "ann") for round in ("shares", "reveal")}
    body = {"sid": sid, "against": "ann", "hpke": secret["hpke"], **shown}
    cyd.ledger.put_message(
        sid,
        "complaint",
        "cyd",
        close("ceremony-complaint", body, by="cyd", sign=cyd.settings.key.sign),
    )
    bea = world.hosts["bea"].ledger
    with bea.write() as sql:
        sql.execute("DELETE FROM messages WHERE round='signature' AND sender='cyd'")
    with bea.write() as sql:
        sql.execute("DELETE FROM keys")  # as if nothing had been installed here
    with pytest.raises(CeremonyAborted, match="falsely about ann") as named:
        driver(world, "bea", old).advance()
    assert named.value.culprit == "cyd"
    assert bea.ceremony_secret(sid) is not None  # signed: nothing is forgotten
    assert signature is not None
    cyd.ledger.put_message(sid, "signature", "cyd", signature)
    assert driver(world, "ann", old).advance()
    done = driver(world, "bea", old).advance()
    assert done is not None
    assert done.version == 2
    held = bea.key("match", EPOCH)
    assert held is not None
    assert group.base(held.share) == done.share("bea")


SECRETS = [bytes([n]) * 32 for n in range(3)]


def taken_back(world: World) -> set[str]:
    """Rows that ann and bea were told of, before anything is dealt again; their tags."""
    tags = [locks.retire_tag(one) for one in SECRETS]
    for one, heard in (("ann", tags[:2]), ("bea", tags[1:]), ("cyd", tags)):
        world.hosts[one].ledger.retire(heard)
    return {tag.hex() for tag in tags}


def test_a_holder_that_lost_its_books_is_told_as_a_newcomer_is(world: World) -> None:
    old, tags = dealt(world, "seal"), taken_back(world)
    world.lose_books("cyd")
    reshared(world, old, *IDS)
    cyd = world.hosts["cyd"].ledger
    assert set(cyd.told()["retired"]) == tags
    assert cyd.untold()  # and asks the others while it serves: not all of them dealt
    sid = driver(world, "ann", old).session.sid
    dealer = world.hosts["ann"].ledger.message(sid, "shares", "ann")
    assert dealer is not None
    assert set(dealer["body"]["told"]) == {"cyd"}  # who remembers is told nothing


def test_one_that_claims_to_remember_would_know_of_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: what a resharing did when it looked at the names of holders alone."""
    old = dealt(world, "seal")
    taken_back(world)
    world.lose_books("cyd")
    monkeypatch.setattr(Reshare, "_remembers", lambda self: True)
    reshared(world, old, *IDS)
    held = world.hosts["cyd"].ledger
    assert held.key("seal", EPOCH)
    assert held.told()["retired"] == []


def test_a_dealer_whose_books_were_put_back_is_told_by_the_other_dealers(world: World) -> None:
    old, tags = dealt(world, "seal"), taken_back(world)
    bea = world.hosts["bea"].ledger
    bea.mark_restored()
    reshared(world, old, *IDS, dealers=("ann", "bea"))
    assert set(bea.told()["retired"]) == tags


def test_who_forgot_counts_with_the_newcomers_until_the_others_have_told_it(world: World) -> None:
    old, tags = dealt(world, "seal"), taken_back(world)
    world.lose_books("cyd")
    invite(world, ("ann", "cyd", "dan"), former=("bea",))
    dealers = ("ann", "bea")
    with pytest.raises(CeremonyAborted, match="remembers nothing") as aborted:
        reshared(world, old, *IDS, "dan", dealers=dealers)
    assert aborted.value.culprit == "cyd"
    world.hosts["cyd"].custodian.telling.ask()
    assert world.hosts["cyd"].ledger.untold()  # dan was told of nothing, and does not count
    invite(world, IDS)
    world.hosts["cyd"].custodian.telling.ask()
    assert not world.hosts["cyd"].ledger.untold()
    invite(world, ("ann", "cyd", "dan"), former=("bea",))
    reshared(world, old, *IDS, "dan", dealers=dealers, attempt=2)
    for one in ("cyd", "dan"):
        assert set(world.hosts[one].ledger.told()["retired"]) == tags

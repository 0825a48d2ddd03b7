"""Release, open, render and send one slice. The only module that may import mailer.unseal."""

import os
import secrets
import time
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consortium import places
from consortium.custodians import (
    CustodianAddress,
    CustodianLied,
    CustodianProblem,
    Shown,
    TooFewCustodians,
    dealt_again,
)
from consortium.jobs import dkim_files, key_files, marks, relay
from consortium.jobs.celery import app, process
from consortium.release_client import CHUNK_LOCKS, Opened, ReleaseClient
from consortium.service import expire, hear_back, pass_on, rotate, send, show, suggest
from consortium.service.errors import ServiceRefused
from consortium.store import campaigns
from consortium.store.errors import LeaseLost, Missing
from consortium.store.unit import Unit
from consortium.wiring import make_key, pen, read_key
from mailer import doubts, keys, pace, stops, unseal
from mailer.errors import UnsealRefused
from mailer.held import NONCE_BYTES, seal_held
from mailer.postfix import PostfixLog
from mailer.seal import Payload
from mailer.smtp import Login, Server, SmtpTransport
from matching.countersigning import named
from matching.lineage import Signed, check_line
from matching.statement import Statement
from provenance.evidence import check

FORGET_EVERY = timedelta(hours=1)
KNOCK_EVERY = 60.0


def _seal_key(invite: Mapping[str, Any], epoch: str) -> tuple[Statement, dict[str, Any]]:
    """The newest statement of an epoch's sealing key and its evidence, the whole line checked.

    Raises:
        Missing: it is not in the log yet.
        StatementRefused: a version does not follow the one before.
    """
    here = process()
    found = here.units.run("seal-key", lambda unit: show.key_lines(unit, epoch, here.log_files))[
        "seal"
    ]
    if not found:
        raise Missing("the sealing key's statement is not in the log yet")
    policy = here.units.run("policy", show.policy)
    line = [Signed.from_facts(check(one, policy).facts) for one in found]
    listed = [*invite.get("former", ()), *invite["custodians"]]
    publics = {one["id"]: bytes.fromhex(one["public"]) for one in listed}
    return check_line(line, publics), found[-1].to_json()


class Custodians:
    """``service.send.Custodians`` over HTTP."""

    def __init__(self) -> None:
        self._client: ReleaseClient | None = None
        self._epoch = ""
        self._opened: dict[str, Opened] = {}
        self._honest: set[tuple[str, int]] = set()
        self._liars: set[str] = set()
        self._without: dict[str, dict[str, CustodianProblem]] = {}

    def _reach(self, campaign: str) -> ReleaseClient:
        """Build the client from the sealing key's statement in the cosigned log.

        That of the epoch whose locks the campaign's audience is of.
        """
        here = process()
        epoch = here.units.read("mail-epoch", lambda unit: campaigns.get(unit, campaign).epoch)
        if self._client is None or epoch not in (self._epoch, None):
            invite = here.invite()
            seed = read_key(here.settings.mailer_home / "signing.key")
            listed = invite["custodians"]
            assert isinstance(listed, list)
            self._epoch = str(epoch or invite["epoch"])
            statement, key = _seal_key(invite, self._epoch)
            self._client = ReleaseClient(
                statement,
                [CustodianAddress.of(one) for one in listed if one["id"] not in self._liars],
                mailer="mailer",
                sign=Ed25519PrivateKey.from_private_bytes(seed).sign,
                evidence=process().settings.mailer_home / "evidence",
                key=key,
            )
        return self._client

    def shared(self, shown: Shown) -> dict[bytes, bytes]:
        """The shared point of every lock that is not retired."""
        # Who could not prove its answers is left out of the next try, and asked again after it.
        shown = replace(shown, without=self._without.pop(shown.campaign, {}))
        try:
            opened, points = self._reach(shown.campaign).points(shown)
        except TooFewCustodians as few:
            if not dealt_again(few):
                raise
            self._client = None  # a resharing came between: once more, with the newest statement
            opened, points = self._reach(shown.campaign).points(shown)
        self._opened[opened.campaign] = opened
        for problem in opened.problems.values():
            print(f"mailer: {problem}; others help in its place", flush=True)  # noqa: T201
        self._say_who_shuts(opened)
        return {
            lock: point
            for lock, point in zip(shown.locks, points, strict=True)
            if point is not None
        }

    def _say_who_shuts(self, opened: Opened) -> None:
        total: Counter[str] = Counter()
        for chunk in range(opened.chunks):
            total.update(self._reach(opened.campaign).shut(opened, chunk))
        for custodian, count in sorted(total.items()):
            said = f"custodian {custodian} alone says that {count} rows were retired"
            print(f"mailer: {said}; they stay shut", flush=True)  # noqa: T201

    def find_liar(self, campaign: str, lock: bytes) -> None:
        """Ask for the proofs of the chunk in which a row did not open.

        Raises:
            CustodianLied: this custodian is not asked again by this process.
            CustodianDown, CustodianRefused: this one proves nothing; the next try is without it.
        """
        opened = self._opened[campaign]
        whole = range(0, len(opened.locks), len(lock))
        place = next(n for n in whole if opened.locks[n : n + len(lock)] == lock) // len(lock)
        chunk = place // CHUNK_LOCKS
        if (campaign, chunk) in self._honest:
            return
        try:
            self._reach(campaign).find_liar(opened, chunk)
        except CustodianLied as lied:
            self._liars.add(lied.custodian)
            self._client = None
            print(f"mailer: {lied}", flush=True)  # noqa: T201
            raise
        except CustodianProblem as problem:
            self._without.setdefault(campaign, {})[problem.custodian] = problem
            raise
        self._honest.add((campaign, chunk))

    def close(self, campaign: str) -> bool:
        """Ask for the signed totals; each custodian puts its own into the log."""
        self._opened.pop(campaign, None)
        client = self._reach(campaign)
        client.forget(campaign)
        return len(client.close_release(campaign)) >= client.quorum


class Opener:
    """Opens rows; a bundle's key is unwrapped once and kept in memory while the bundle lives.

    Args:
        privates: the mailer's keys, 96 bytes each: one, or two while one follows the other.
        again: reads them anew, when a bundle is wrapped to a key that is not among them.
    """

    def __init__(self, *privates: bytes, again: Callable[[], Sequence[bytes]] = tuple) -> None:
        self._again = again
        self._keys: dict[str, bytes] = {}
        self.hold(privates)

    def hold(self, privates: Sequence[bytes]) -> None:
        """From here on have these keys, and no others."""
        self._ring = {named(keys.public_of(private)): private for private in privates}

    def forget(self, live: Collection[str]) -> None:
        """Let go of every bundle's key but those of the bundles that live."""
        for bundle in self._keys.keys() - {*live}:
            del self._keys[bundle]

    @property
    def bundles(self) -> frozenset[str]:
        """Bundles whose keys are in memory."""
        return frozenset(self._keys)

    def __call__(self, row: send.SealedRow, shared: bytes) -> Payload:
        """Open one row with its shared point."""
        if row.bundle not in self._keys:
            commitment, header = _bound(row.header)
            self._keys[row.bundle] = unseal.unwrap(
                row.wrapped, commitment, header, self._private(row.under)
            )
        bundle = bytes.fromhex(row.bundle.replace("-", ""))
        return unseal.unseal(
            row.sealed,
            dek=self._keys[row.bundle],
            shared=shared,
            bundle=bundle,
            tag=row.tag,
            lock=row.lock,
        )

    def _private(self, under: str | None) -> bytes:
        if under is not None and under not in self._ring and (fresh := self._again()):
            self.hold(fresh)
        # A header may name a key that never was: then it does not open, whichever is tried.
        return self._ring.get(under or "") or next(iter(self._ring.values()))


def _bound(header: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """The commitment to a bundle's key, and the header's own bytes, to which its wrapping binds."""
    own = {name: value for name, value in header.items() if name != "commitment"}
    return bytes.fromhex(str(header["commitment"])), rfc8785.dumps(own)


def rewrap(one: rotate.Wrapped, private: bytes, following: keys.KeyPair) -> bytes | None:
    """A bundle's key wrapped to the next key; None when it does not open under this one."""
    try:
        commitment, header = _bound(one.header)
        return unseal.rewrap(one.wrapped, commitment, header, private=private, following=following)
    except (UnsealRefused, KeyError, ValueError):
        return None


class MtaLog:
    """``service.send.Doubts`` over the mail server's log: our sink's, or Postfix's.

    Args:
        knock: greets the mail server, so that its log goes on where no letter follows.
    """

    def __init__(self, path: Path, knock: Callable[[], object] = lambda: None) -> None:
        self._path, self._knock = path, knock
        self._knocked = -KNOCK_EVERY
        # Kept on the mailer's host, so that a time without a zone is this host's.
        zone = None if time.daylight or time.timezone else UTC
        self._postfix = None if path.suffix == ".jsonl" else PostfixLog(path, zone=zone)

    def accepted(self, verp: str) -> str | None:
        """The queue id under which a letter from this return path was taken."""
        if self._postfix is not None:
            return self._postfix.accepted(verp)
        return doubts.find(self._path, verp) if self._path.exists() else None

    def begun(self, message_id: str, since: datetime) -> bool:
        """Whether a letter began to come, and nothing says how that ended."""
        return self._postfix is not None and self._postfix.begun(message_id, since)

    def complete_since(self, at: datetime) -> bool:
        """Whether the log surely holds everything since then.

        One that is away or cannot be read holds nothing.
        """
        try:
            if self._postfix is None:
                return doubts.complete_since(self._path, at)  # one clock, ours, wrote both
            whole = self._postfix.complete_since(at)
        except (OSError, ValueError):
            return False
        if not whole and time.monotonic() > self._knocked + KNOCK_EVERY:
            self._knocked = time.monotonic()
            self._knock()
        return whole


def login(path: Path) -> Login:
    """Read the name and the password, on two lines, that the mail server wants."""
    name, _, password = path.read_text(encoding="utf-8").rstrip("\n").partition("\n")
    return Login(name, password)


def succeed(home: Path, name: str) -> frozenset[str]:
    """Take the one place for a mailer in this home; the names of those who surely left it."""
    return places.succeed(home / "mailer.lock", name)


@cache
def office() -> send.PostOffice:
    """This process's post office, its keys read from the mailer's home once."""
    here = process()
    name = f"{os.getpid()}-{secrets.token_hex(4)}"
    home, host = here.settings.mailer_home, here.settings.smtp
    server = Server(
        host.rpartition(":")[0].strip("[]"),
        int(host.rpartition(":")[2]),
        tls=here.settings.smtp_tls,
        login=None if here.settings.smtp_login is None else login(here.settings.smtp_login),
    )
    return send.PostOffice(
        units=here.units,
        artefacts=here.artefacts,
        log_files=here.log_files,
        clock=here.clock,
        keys=send.MailKeys(
            read_key(home / "delivery.key"),
            read_key(home / "stop.key"),
            read_key(home / "choice.key"),
        ),
        custodians=Custodians(),
        open_row=Opener(*key_files.held(home), again=lambda: key_files.held(home)),
        transport=lambda: SmtpTransport(server),
        signers=dkim_files.signers(home),
        doubts=None
        if here.settings.smtp_log is None
        else MtaLog(here.settings.smtp_log, SmtpTransport(server).knock),
        public_url=here.settings.public_url,
        per_second=here.settings.letters_per_second,
        lanes=pace.Lanes(here.settings.letters_per_second_to_one),
        first_day=here.settings.first_day_letters,
        name=name,
        sunset=here.settings.sunset_letters,
        settled_after=timedelta(seconds=here.settings.settled_seconds),
        dead=succeed(home, name),
        pen=pen("mailer", read_key(home / "signing.key")),
        chart=lambda: suggest.chart_of(here.settings),
        marks=marks.FileMarks(home / "claims"),
    )


def take_typed() -> None:
    """Stop letters to the addresses that were typed into the form."""
    here = process()
    home = here.settings.mailer_home
    privates = key_files.held(home)
    k_stop = read_key(home / "stop.key")
    hear_back.take_typed(
        here.units,
        lambda sealed: unseal.unseal_typed(sealed, privates),
        lambda address: stops.stop_key(k_stop, address).hex(),
        here.clock(),
    )


def postmaster() -> pass_on.Postmaster:
    """What passes replies on, with this process's keys; the first one makes the key it seals by."""
    post, home = office(), process().settings.mailer_home
    key = make_key(home / "replies.key")
    return pass_on.Postmaster(
        units=post.units,
        clock=post.clock,
        delivery=post.keys.delivery,
        stop=post.keys.stop,
        transport=post.transport,
        signers=post.signers,
        public_url=post.public_url,
        seal=lambda plain, about: seal_held(key, plain, about, secrets.token_bytes(NONCE_BYTES)),
        open_held=lambda sealed, about: unseal.open_held(sealed, key, about),
        open_typed=lambda sealed: unseal.unseal_typed(sealed, key_files.held(home)),
    )


def hold_keys(home: Path) -> None:
    """Have exactly the key files of this home in memory, if any of them is."""
    if office.cache_info().currsize:
        opener = office().open_row
        assert isinstance(opener, Opener)
        opener.hold(key_files.held(home))


@app.task(name="mail")  # type: ignore[untyped-decorator]
def run(campaign: str | None = None) -> None:
    """Send what is due: one campaign, or all. Delivered at least once; sending is at most once."""
    try:
        post = office()
        _forget_withdrawn(post)
        for id in [campaign] if campaign is not None else send.due(post):
            _turn(post, id)
        _forget()
    finally:
        relay.answered("mail")


_forgot: list[datetime] = []


def _forget() -> None:
    """Once an hour: links that have ended are taken out of the outbox."""
    here = process()
    if not _forgot or here.clock() >= _forgot[-1] + FORGET_EVERY:
        expire.forget(here.units, here.clock())
        _forgot[:] = [here.clock()]


def _forget_withdrawn(post: send.PostOffice) -> None:
    """Nothing of a bundle that was withdrawn stays in this process's memory."""
    opener = post.open_row
    if isinstance(opener, Opener) and opener.bundles:
        opener.forget(post.units.read("mail-live", rotate.live))


def _turn(post: send.PostOffice, id: str) -> None:
    """One turn at one campaign; whatever goes wrong with it holds up no other."""
    try:
        send.send(post, id)
    except LeaseLost:
        pass  # another mailer is at it
    except (CustodianProblem, TooFewCustodians, Missing, ServiceRefused) as error:
        _say(id, str(error))
    except Exception as error:
        # Frames and the class only: the text of a strange error might quote what it met.
        frames = "".join(traceback.format_tb(error.__traceback__))
        print(f"mailer: {type(error).__name__}\n{frames}", flush=True)  # noqa: T201
        _say(id, f"the mail machine, which met a fault ({type(error).__name__}); it tries again")


def _say(id: str, why: str) -> None:
    """Let people see what a campaign waits for; the words name machines, never people."""

    def say(unit: Unit) -> None:
        if campaigns.get(unit, id).state in ("logged", "sending"):
            campaigns.change(unit, id, waiting_for=why[:200])

    process().units.run("mail-wait", say)

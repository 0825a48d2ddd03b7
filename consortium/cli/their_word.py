"""What each custodian says of itself to one partner: asked by a signed call, checked, in words.

A custodian's answer is signed and holds the call's nonce, so that nobody in between says it and no
older answer passes for it. It is that custodian's word about itself, no proof.
"""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx

from consortium.clock import Clock
from consortium.custodians import CustodianAddress, CustodianDown, CustodianProblem, call
from matching.crypto_errors import MessageRefused
from matching.envelope import Signer, close, open_
from matching.evaluation import moment, stamp

LIFE = timedelta(minutes=10)
QUIET = timedelta(days=1)
"""The log publishes every hour; a day without it is worth a question."""
_LONGEST = 200
"""Characters of what another's computer says that are shown at most."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What this partner has had evaluated there under the key of one epoch, in batches of 4,096."""

    epoch: str
    used: int
    allowed: int
    uploads: int
    odd: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Word:
    """One custodian's answer.

    Attributes:
        shares: purpose, epoch, version, threshold and number of holders of each that is held.
        over: purpose, epoch and why, of each that is held no more.
        campaigns: campaign and ``open``, ``closed`` or ``stopped``.
        entries, seen: the newest tree of the log that it believed, and when that was cosigned.
        rewritten: it holds two signed checkpoints that no honest log signs.
        put_back: its books were put back from a copy, and it does not know yet all that came since.
    """

    custodian: str
    hours: str
    opens: datetime | None
    shares: tuple[tuple[str, str, int, int, int], ...]
    over: tuple[tuple[str, str, str], ...]
    quotas: tuple[Quota, ...]
    campaigns: tuple[tuple[str, str], ...]
    entries: int
    seen: datetime | None
    rewritten: bool
    put_back: bool

    def to_json(self) -> dict[str, Any]:
        """Return all of it for a machine."""
        moments = {"opens": self.opens, "seen": self.seen}
        return {**asdict(self), **{name: at and stamp(at) for name, at in moments.items()}}


def ask(
    address: CustodianAddress, *, by: str, sign: Signer, clock: Clock, client: httpx.Client
) -> Word:
    """Ask one custodian how it stands.

    Raises:
        CustodianProblem: it does not answer, refuses, or somebody else answers in its place.
    """
    nonce = secrets.token_hex(16)
    body = {"custodian": address.id, "expires": stamp(clock() + LIFE), "nonce": nonce}
    said = call(client, address, "/standing", close("standing", body, by=by, sign=sign), seconds=30)
    try:
        found = open_("standing-told", said.get("response"), public=address.public)
    except MessageRefused as error:
        raise CustodianDown(address.id, f"does not answer under its own key ({error})") from error
    asked = (address.id, by, nonce)
    if (found.get("custodian"), found.get("partner"), found.get("nonce")) != asked:
        raise CustodianDown(address.id, "answers another question than was asked")
    try:
        return _read(found)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CustodianDown(address.id, "answers in a form that cannot be read") from error


def _read(found: Mapping[str, Any]) -> Word:
    return Word(
        custodian=_plain(found["custodian"]),
        hours=_plain(found["hours"]),
        opens=moment(found["opens"]) if found["opens"] else None,
        shares=tuple(
            (
                _plain(one["purpose"]),
                _plain(one["epoch"]),
                int(one["version"]),
                int(one["threshold"]),
                int(one["holders"]),
            )
            for one in found["shares"]
        ),
        over=tuple((_plain(a), _plain(b), _plain(c)) for a, b, c in found["over"]),
        quotas=tuple(
            Quota(
                _plain(one["epoch"]),
                int(one["used"]),
                int(one["allowed"]),
                int(one["uploads"]),
                tuple(_plain(each) for each in one["odd"]),
            )
            for one in found["accounts"]
        ),
        campaigns=tuple(
            (_plain(one["campaign"]), _plain(one["state"])) for one in found["campaigns"]
        ),
        entries=int(found["log"]["entries"]),
        seen=moment(found["log"]["seen"]) if found["log"]["seen"] else None,
        rewritten=bool(found["rewritten"]),
        put_back=bool(found["put_back"]),
    )


def _plain(text: object) -> str:
    """Text of another's computer, fit for a terminal."""
    return "".join(one if one.isprintable() else "?" for one in str(text)[:_LONGEST])


def words(word: Word, who: str, now: datetime) -> Iterator[str]:
    """Say it to a partner's staff; what belongs to the first line is indented."""
    waits = f", next from {word.opens:%a %d %b %H:%M} UTC" if word.opens else ""
    yield f"{word.custodian} answers; uploads {word.hours}{waits}"
    for one in word.quotas:
        yield f"  {who}, epoch {one.epoch}: {_used(one)}"
        yield from (f"    it finds this odd: {who} {odd}" for odd in one.odd)
    for purpose, epoch, version, threshold, holders in word.shares:
        yield (
            f"  holds a share of the {purpose} key of {epoch}, version {version}; "
            f"it takes {threshold} of {holders}"
        )
    for purpose, epoch, why in word.over:
        yield f"  its share of the {purpose} key of {epoch} is {why} for good"
    for campaign, state in word.campaigns:
        yield f"  has opened {campaign} ({state})"
    yield from (f"  ask it about this: {one}" for one in alarms(word, now))


def _used(one: Quota) -> str:
    left = {0: "not enough for another full upload, changed rows still go"}.get(
        one.uploads, f"enough for {one.uploads:,} more full upload{'s' * (one.uploads != 1)}"
    )
    return f"{one.used:,} of {one.allowed:,} batches used; {left}"


def alarms(word: Word, now: datetime) -> Iterator[str]:
    """What every partner should know of a custodian, the gravest first."""
    if word.rewritten:
        yield "it was shown a log that contradicts itself, and holds both signed checkpoints"
    if word.put_back:
        yield "its books were put back from a copy, and it does not know yet all that came since"
    if not word.entries:
        yield "it has not seen the log yet"
    elif word.seen is not None and now - word.seen > QUIET:
        yield f"the newest log it has seen is of {word.seen:%a %d %b %H:%M} UTC"


def everybody(
    addresses: Sequence[CustodianAddress],
    *,
    by: str,
    sign: Signer,
    clock: Clock,
    transport: httpx.BaseTransport | None,
) -> Iterator[Word | CustodianProblem]:
    """Ask each custodian; one that is down hides nobody else."""
    with httpx.Client(transport=transport, timeout=30.0, trust_env=False) as client:
        for one in addresses:
            try:
                yield ask(one, by=by, sign=sign, clock=clock, client=client)
            except CustodianProblem as problem:
                yield problem

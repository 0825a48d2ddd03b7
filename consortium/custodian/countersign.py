"""Countersigning the mail machine's next key: who asks, what the log holds, how often."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from consortium.custodian.database import Database
from consortium.custodian.errors import Refused
from consortium.custodian.log import Logged
from consortium.custodian.settings import Actor, Registry, Settings
from matching import countersigning
from matching.countersigning import Successor
from matching.crypto_errors import StatementRefused

MOST_LIFE = timedelta(days=31)
AHEAD = timedelta(minutes=5)
"""How far ahead of ours the witnesses' clocks may be."""


@dataclass(frozen=True, slots=True)
class Given:
    """A countersignature that was given: it is never given to another key so soon."""

    name: str
    signature: str
    at: datetime


class Countersigned(Database):
    """Which keys of the mail machine this custodian countersigned.

    An empty signature: another custodian gave one, and told of it after these books were put back.
    """

    SCHEMA = """
CREATE TABLE IF NOT EXISTS countersigned (said TEXT PRIMARY KEY, name TEXT NOT NULL,
    signature TEXT NOT NULL, at TEXT NOT NULL) WITHOUT ROWID;
"""

    def countersigned(self, said: bytes) -> Given | None:
        """What was given for exactly these bytes."""
        digest = hashlib.sha256(said).hexdigest()
        query = "SELECT name, signature, at FROM countersigned WHERE said=? AND signature<>''"
        return next((_given(row) for row in self.rows(query, digest)), None)

    def last_countersigned(self) -> Given | None:
        """The newest countersignature that was given here."""
        query = """SELECT name, signature, at FROM countersigned WHERE signature<>''
            ORDER BY at DESC LIMIT 1"""
        return next((_given(row) for row in self.rows(query)), None)

    def given(self) -> list[tuple[str, str, str]]:
        """Return digest, key's name and moment of each that was given here: to tell others."""
        query = "SELECT said, name, at FROM countersigned WHERE signature<>'' ORDER BY at"
        return list(self.rows(query))

    def take_given(self, given: Sequence[Any], now: datetime) -> None:
        """Count what another custodian gave as if it had been given here; none in the future.

        Whoever has the mail machine could else have a second key countersigned by books that
        forgot the first.

        Raises:
            TypeError, ValueError: it is malformed; nothing was taken.
        """
        each = [(str(a), str(b), datetime.fromisoformat(at)) for a, b, at in given]
        rows = [(a, b, at.astimezone(UTC).isoformat()) for a, b, at in each if at <= now + AHEAD]
        with self.write() as sql:
            sql.executemany("INSERT OR IGNORE INTO countersigned VALUES (?, ?, '', ?)", rows)

    def countersign(self, said: bytes, new: Given, *, every: timedelta) -> Given:
        """Keep a countersignature before it leaves; the same bytes have the same one for ever.

        Raises:
            Refused: ``too-soon``: another key was countersigned within the interval.
        """
        digest = hashlib.sha256(said).hexdigest()
        with self.write() as sql:
            since = (new.at - every).isoformat()
            query = "SELECT count(*) FROM countersigned WHERE said<>? AND at>?"
            if sql.execute(query, (digest, since)).fetchone()[0]:
                raise Refused(
                    "too-soon", "another key of the mail machine was countersigned lately", 429
                )
            sql.execute(
                "INSERT INTO countersigned VALUES (?, ?, ?, ?) ON CONFLICT (said) DO UPDATE"
                " SET signature=excluded.signature, at=excluded.at WHERE signature=''",
                (digest, new.name, new.signature, new.at.isoformat()),
            )
        return self.countersigned(said) or new


def _given(row: Any) -> Given:
    return Given(row[0], row[1], datetime.fromisoformat(row[2]))


class _Log(Protocol):
    def believe(self, evidence: object) -> Logged:
        """Check evidence that a caller brought."""


@dataclass(frozen=True, slots=True)
class Desk:
    """One custodian's judgement about the mail machine's next key."""

    settings: Settings
    registry: Registry
    ledger: Countersigned
    log: _Log

    def give(self, mailer: Actor, body: Mapping[str, Any], now: datetime) -> str:
        """Check everything about a next key, and countersign it; in hex.

        Args:
            mailer: who signed the call.
            body: ``next`` the key's facts as the mail machine signed them, ``offer`` evidence
                of the entry that made them public, ``predecessor`` evidence of the key before.

        Raises:
            Refused: ``malformed``, ``not-logged``, ``not-fresh``, ``wrong-offer``, ``key-life``,
                ``wrong-predecessor``, ``too-soon``.
        """
        try:
            key = Successor.of(body["next"])
        except (KeyError, TypeError, StatementRefused) as error:
            raise Refused(
                "malformed", "the next key is not of the form it must have", 400
            ) from error
        said = countersigning.said(key)
        if given := self.ledger.countersigned(said):
            return given.signature
        self._public(key, mailer, body.get("offer"), now)
        if not now < key.ends <= now + MOST_LIFE:
            raise Refused("key-life", f"a key stands for at most {MOST_LIFE.days} days")
        self._follows(key, mailer, body.get("predecessor"))
        made = Given(
            countersigning.named(key.public),
            countersigning.countersign(key, self.settings.key.sign),
            now,
        )
        # Written before it leaves: a crash in between is repaired by the same call again.
        return self.ledger.countersign(said, made, every=self.settings.rotation).signature

    def _public(self, key: Successor, mailer: Actor, evidence: object, now: datetime) -> None:
        offer = self.log.believe(evidence)
        if not now - self.settings.fresh <= offer.cosigned_at <= now + AHEAD:
            raise Refused("not-fresh", "the offer is not under a recent cosigned checkpoint")
        if offer.facts != {"kind": "mailer-offer", **key.facts()} or offer.actor != mailer.public:
            raise Refused("wrong-offer", "the log holds another offer of a next key")

    def _follows(self, key: Successor, mailer: Actor, evidence: object) -> None:
        last = self.ledger.last_countersigned()
        if last is not None and last.name == key.predecessor:
            return
        # The first one, or one that others countersigned while this custodian was away.
        before = self.log.believe(evidence)
        invite = self.registry.invite
        try:
            public = countersigning.believed(
                before.facts,
                first=invite.get("mailer_key"),
                # Former ones too: who signed it may have left, and its key still needs a successor.
                publics=self.registry.custodians(),
                threshold=int(invite["threshold"]),
            )
        except StatementRefused as error:
            raise Refused("wrong-predecessor", str(error)) from error
        stated = (before.facts.get("kind"), before.actor, countersigning.named(public))
        if stated != ("mailer", mailer.public, key.predecessor):
            raise Refused("wrong-predecessor", "the next key follows another than the log holds")

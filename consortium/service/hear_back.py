"""Bounces, complaints, stops and replies return."""

import re
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from consortium.service.errors import NotReady
from consortium.store import (
    campaigns,
    contributions,
    deliveries,
    races,
    suppressions,
    typed,
    written_to,
)
from consortium.store.deliveries import Delivery
from consortium.store.errors import Missing
from consortium.store.suppressions import Suppression
from consortium.store.unit import Unit, Units
from mailer.errors import MailerError

SCOPES = ("race", "partner", "all", "protect")
TYPED = ("race", "all")
"""Which stops an address alone can ask for; nobody knows whose it is."""
MOST_WAITING = 10_000
"""Typed addresses that the mailer has not read; beyond them somebody is filling our disk."""
NOTED = "none"
"""A soft bounce is counted and reaches nobody: a mailbox that is full today is still one."""
SOFT_LETTERS = 3
"""So many letters in a row to one address that came back as if its mailbox were no longer used."""
SOFT_DAYS = timedelta(days=3)
"""From the first of these bounces to the last, at least: a bad weekend suppresses nobody."""
_MAILBOX = re.compile(r"[45]\.(?:1\.(?![789]\b)|2\.(?!3\b)|4\.)")
"""Codes about the address, the mailbox or the way to it; the others are about us or our text.

X.1.7 to X.1.9 are about the sender, X.2.3 is about the size of what it sent.

Source: RFC 3463, 3.2, 3.3 and 3.5.
"""
SCANNERS = timedelta(minutes=5)
"""After a letter left: who opens its links sooner may be a machine that looks for malice."""
SIGNS_APART = timedelta(days=1)
PATIENCE = 5.0
"""Seconds that a stop waits for this person's letter in flight; then it is answered anyway."""


def stop(unit: Unit, capability: str, scope: str, now: datetime) -> None:
    """Stop letters to whoever got this one; again changes nothing.

    Args:
        capability: from the letter's own link.
        scope: ``race`` this race on every list; ``partner`` everything from the sender;
            ``all`` every race and list; ``protect`` this address never, this person not in this
            race.

    Raises:
        Missing: no letter has that link, or there is no such scope.
    """
    if scope not in SCOPES:
        raise Missing("there is no such kind of stop")
    letter = deliveries.by_capability(unit, capability)
    suppress(unit, letter, scope, "stop", now)


def stop_and_wait(
    units: Units,
    capability: str,
    scope: str,
    now: datetime,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """As ``stop``; answers only once no letter to this person is between claim and outcome."""
    units.run("stop", lambda unit: stop(unit, capability, scope, now))
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        letter = units.read("stop-look", lambda unit: deliveries.by_capability(unit, capability))
        if not units.read("stop-flight", lambda unit, one=letter: deliveries.in_flight(unit, one)):  # type: ignore[misc]
            return
        sleep(0.05)


def ask(unit: Unit, sealed: bytes, now: datetime) -> None:
    """Keep an address that somebody typed, sealed to the mailer before it came here.

    Raises:
        NotReady: the mailer has not read the last ten thousand yet.
    """
    if typed.waiting(unit) >= MOST_WAITING:
        raise NotReady("too many are waiting to be read; try again in a minute")
    typed.add(unit, sealed, now)


def take_typed(
    units: Units,
    read: Callable[[bytes], tuple[str, str]],
    key_of: Callable[[str], str],
    now: datetime,
) -> int:
    """Stop letters to every address that was typed; what does not open, or is no address, goes.

    An address was not proved to be its typist's, so it stops itself and no person: not the same
    person's other addresses.

    Args:
        read: opens one; the scope and the address.
        key_of: the stop key, in hex, of an address.

    Returns:
        How many were read.
    """
    waiting = units.read("typed-look", lambda unit: typed.oldest(unit, 100))
    for seq, sealed in waiting:
        try:
            scope, address = read(sealed)
            key = key_of(address)
        except MailerError:
            scope, key = "", ""
        units.run(
            "typed",
            lambda unit, seq=seq, scope=scope, key=key: _take_typed(unit, seq, scope, key, now),  # type: ignore[misc]
        )
    return len(waiting)


def _take_typed(unit: Unit, seq: int, scope: str, key: str, now: datetime) -> None:
    if scope in TYPED:
        race = races.first(unit)
        # With its token, where it was written to before, its copies need not be opened to be known.
        for token in [None, *sorted(suppressions.tokens_of(unit, key, race.epoch))]:
            suppressions.suppress(
                unit,
                Suppression(
                    scope=scope,
                    race=race.id,
                    partner=None,
                    epoch=race.epoch if token else None,
                    stop_key=key,
                    address_token=token,
                    person=None,
                    bundle=None,
                    reason="stop",
                    delivery=None,
                    at=now,
                ),
            )
    # In the same transaction: it is kept as a stop, or it is kept as it came.
    typed.drop(unit, seq)


def suppress(unit: Unit, letter: Delivery, scope: str, reason: str, now: datetime) -> None:
    """Keep that the recipient of a letter must not be written to.

    By stop key (the address), and within this epoch by address token, and by person, so that the
    other lists' copies are recognised before anything is opened, at another address too. The
    person counts in this race alone, in whichever epoch it stands. Who stopped from one partner
    only is recognised there alone.
    """
    whole = "all" if scope == "protect" else scope
    _note(unit, letter, whole, reason, person=letter.person, now=now)


def visit(unit: Unit, capability: str, now: datetime) -> None:
    """Somebody opened a letter's link: a sign of life, unless a machine may have.

    Only that, and the day, is kept, on the letter, until its links end.

    Raises:
        Missing: no letter has that link.
    """
    letter = deliveries.by_capability(unit, capability)
    if letter.claimed_at is None or now < letter.claimed_at + SCANNERS:
        return
    if letter.seen is None or now >= letter.seen + SIGNS_APART:
        written_to.seen(unit, letter.id, now)


def returned(
    unit: Unit, delivery: str, kind: str, now: datetime, *, code: str | None = None
) -> str:
    """Take in a bounce or complaint about one letter; the same once more changes nothing.

    Args:
        delivery: the id in the return path, its authenticity already checked.
        kind: ``hard``, ``soft``, ``complaint``, ``auto_reply`` or ``unknown``.
        code: the enhanced status, if it has one.

    Returns:
        What was done: ``suppressed``, ``noted``, ``ignored``, or ``known`` of a bounce that came
        before.
    """
    letter = deliveries.get(unit, delivery)
    if kind in ("hard", "soft", "complaint") and letter.state == "in_doubt":
        # What came back had been taken; the return path's key shows that it is this letter.
        deliveries.settle(
            unit,
            letter.id,
            fence=letter.fence,
            state="sent",
            outcome="it came back",
            queue_id=None,
            now=now,
        )
    if kind in ("hard", "soft", "complaint") and letter.attempt:
        # It was taken, whatever was believed: it must not leave once more.
        deliveries.was_taken(unit, letter.id, now)
    if kind == "complaint":
        # Who calls it spam gets nothing at this address ever again; the person counts here alone.
        suppress(unit, letter, "all", "complaint", now)
        return "suppressed"
    if kind == "hard":
        return "suppressed" if dead(unit, letter, now) else "known"
    if kind == "soft":
        return _soft(unit, letter, code, now)
    return "ignored"


def _soft(unit: Unit, letter: Delivery, code: str | None, now: datetime) -> str:
    """Count a soft bounce, once a letter; an address that only ever bounces rests for the race.

    A letter between that did not come back ends the row: that mailbox is used.
    """
    counts = code is not None and _MAILBOX.match(code) is not None
    _note(unit, letter, NOTED, "soft" if counts else "refused", person=None, now=now)
    if not counts:
        return "noted"
    row = written_to.lately(unit, letter, SOFT_LETTERS)
    came = suppressions.noted(unit, row, "soft")
    if len(came) < SOFT_LETTERS or max(came.values()) - min(came.values()) < SOFT_DAYS:
        return "noted"
    _note(unit, letter, "race", "full", person=None, now=now)
    return "suppressed"


def dead(unit: Unit, letter: Delivery, now: datetime) -> bool:
    """Keep that an address does not exist, on every list; its person may have another.

    Returns:
        Whether this letter had not said so before.
    """
    return _note(unit, letter, "all", "hard", person=None, now=now)


def _note(
    unit: Unit, letter: Delivery, scope: str, reason: str, *, person: int | None, now: datetime
) -> bool:
    one = campaigns.get(unit, letter.campaign)
    return suppressions.suppress(
        unit,
        Suppression(
            scope=scope,
            race=one.race,
            partner=letter.partner,
            # That of the letter's own list: its token means nothing in the epoch that came since.
            epoch=contributions.get(unit, letter.bundle).epoch,
            stop_key=letter.stop_key,
            address_token=letter.address_token or None,
            person=person,
            bundle=letter.bundle,
            reason=reason,
            delivery=letter.id,
            at=now,
        ),
    )

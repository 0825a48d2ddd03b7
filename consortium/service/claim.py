"""Whether a letter may leave: asked before its row is opened, when claimed, and as it leaves."""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeAlias

from consortium.service import assign, draw, keep_free, warm
from consortium.service.live_with import household
from consortium.service.plan import FROZEN
from consortium.service.post_office import RENEW_EVERY, Run, hold, lease
from consortium.service.thaw import frozen
from consortium.service.withhold import WITHHELD, stale, withheld
from consortium.store import (
    campaigns,
    contributions,
    deliveries,
    messengers,
    outbox,
    races,
    suppressions,
    written_to,
)
from consortium.store.deliveries import Delivery
from consortium.store.errors import LeaseLost
from consortium.store.unit import Unit
from mailer.seal import Payload
from policies import caps
from policies.errors import CapReached, NotNow

ASLEEP = "no sign of life"
Opened: TypeAlias = tuple[Delivery, Payload, str]
"""A letter, what its row held, and the stop key of that address."""


def left_out(run: Run, unit: Unit, batch: Sequence[Delivery]) -> dict[str, str]:
    """Why letters must not leave, as far as that is known without opening their rows."""
    now, cold = run.office.clock(), frozen(unit, run.one.race)
    found = {item.id: _hindrance(run, unit, item, None, cold, now) for item in batch}
    return {id: why for id, why in found.items() if why}


def claim(run: Run, unit: Unit, opened: Sequence[Opened]) -> list[tuple[Delivery, Payload]]:
    """Commit, before the first byte, that these letters may be on their way."""
    office, now = run.office, run.office.clock()
    if lease(office, unit, run.one.id) != run.fence:
        raise LeaseLost("another mailer has this campaign")
    if campaigns.get(unit, run.one.id).state != "sending" or stale(office, unit, run.one.id):
        return []
    cold, room = frozen(unit, run.one.race), assign.resting(unit, run.terms, now)
    taken: list[tuple[Delivery, Payload]] = []
    warmth: dict[str, int | None] = {}
    wanted: dict[str, Opened] = {}
    whom: set[tuple[str, object]] = set()
    for item, payload, key in opened:
        if room.get(item.messenger, 1) <= 0:
            continue  # another day, or another messenger; the next turn knows
        if whom & (mine := _marks(_known_by(run, item, key))):
            # What is asked next must see that the same reader, or household, gets one already.
            taken += _claim(run, unit, wanted, now)
            whom.clear()
        why = _hindrance(run, unit, item, key, cold, now)
        if why == FROZEN:
            continue  # the next turn sets it aside, and lets that person's next copy go
        if why:
            if why == "stopped" and item.address_token:
                epoch, token = races.get(unit, run.one.race).epoch, item.address_token
                suppressions.recognised(unit, stop_key=key, epoch=epoch, address_token=token)
            deliveries.drop(unit, item.id, why, now)
            continue
        if item.partner not in warmth:
            warmth[item.partner] = warm.room(office, unit, run.terms, item.partner, now)
        if (left := warmth[item.partner]) == 0:
            continue  # tomorrow: its domain is new to receivers
        wanted[item.id] = item, payload, key
        whom |= mine
        # A second copy to one address is dropped after this: then a place stays free for a turn.
        warmth[item.partner] = None if left is None else left - 1
        if item.messenger in room:
            room[item.messenger] -= 1
    return taken + _claim(run, unit, wanted, now)


def _claim(
    run: Run, unit: Unit, wanted: dict[str, Opened], now: datetime
) -> list[tuple[Delivery, Payload]]:
    """Claim what was found to have no hindrance, and want it no more."""
    letters = [(item, key) for item, _, key in wanted.values()]
    claimed = outbox.claim(unit, letters, fence=run.fence, now=now)
    taken = [(letter, wanted[letter.id][1]) for letter in claimed]
    wanted.clear()
    return taken


def _known_by(run: Run, item: Delivery, stop_key: str | None) -> dict[str, Any]:
    """By what earlier letters to a letter's reader are found, as ``written_to.sent_at`` asks it."""
    by_person = run.terms.by_person
    return {
        "stop_key": stop_key,
        "address_token": item.address_token or None,
        "people": household(run.office, run.terms, run.one.id, item.person) if by_person else (),
    }


def _marks(known: dict[str, Any]) -> set[tuple[str, object]]:
    """Two letters that have one of these in common may stand in each other's way."""
    each = {(name, one) for name in ("stop_key", "address_token") if (one := known[name])}
    return each | {("people", one) for one in known["people"]}


def _hindrance(
    run: Run,
    unit: Unit,
    item: Delivery,
    stop_key: str | None,
    cold: Sequence[str],
    now: datetime,
) -> str:
    """Why this letter must not leave, or nothing; without a stop key, as far as is known then."""
    if item.partner in cold:
        return FROZEN
    if item.person in withheld(run.office, run.one.id):
        return WITHHELD
    if _stopped(run, unit, item, stop_key, cold):
        return "stopped"
    if _asleep(run, unit, item, stop_key):
        return ASLEEP
    whom = _known_by(run, item, stop_key)
    before = written_to.sent_at(unit, run.one.race, **whom)
    elsewhere = written_to.sent_elsewhere(unit, run.one, now - caps.WEEK, **whom)
    try:
        caps.within(run.terms.caps, before, now, elsewhere)
    except CapReached:
        return "capped"
    if contributions.get(unit, item.bundle).state == "withdrawn" or item.row == deliveries.GONE:
        return "withdrawn"
    if contributions.is_taken_back(unit, item.bundle, item.row):
        return "withdrawn"
    # Last: of a row that left, the file has nothing to hold the letter against.
    return "" if draw.has(run, item) else draw.NOT_IN_IT


def _asleep(run: Run, unit: Unit, item: Delivery, stop_key: str | None) -> bool:
    """Whether so many letters went to this address without a sign that nobody may read it."""
    most, token = run.office.sunset, item.address_token or None
    return bool(most) and (
        written_to.unanswered(unit, stop_key=stop_key, address_token=token) >= most
    )


def _stopped(
    run: Run, unit: Unit, item: Delivery, stop_key: str | None, cold: Sequence[str]
) -> bool:
    return suppressions.suppressed(
        unit,
        race=run.one.race,
        partner=item.partner,
        epoch=races.get(unit, run.one.race).epoch,
        stop_key=stop_key,
        address_token=item.address_token or None,
        person=item.person,
        loud=cold,
    )


def last_look(run: Run, item: Delivery) -> str:
    """Look once more before a letter leaves: why it must not, ``held`` if none may, or nothing.

    ``assign.UNSIGNED`` holds this one alone: its messenger has taken their name back.

    Raises:
        LeaseLost: this worker was so slow that another took the campaign over; it must not send.
    """
    office = run.office
    renew = time.monotonic() - run.renewed > RENEW_EVERY

    def look_again(unit: Unit) -> str:
        if renew:
            lease(office, unit, run.one.id)
        hold(office, unit, run.one.id, run.fence)
        mine, now = deliveries.get(unit, item.id), office.clock()
        if (mine.state, mine.fence) != ("claimed", run.fence) or mine.stop_key is None:
            raise LeaseLost("this letter is another worker's now")
        try:
            caps.may_send_at(run.terms, now, keep_free.days(unit, run.one.race))
        except NotNow:
            return "held"
        if campaigns.get(unit, run.one.id).state != "sending" or now >= run.closes:
            return "held"
        gone = contributions.get(unit, item.bundle).state == "withdrawn"
        if gone or mine.row == deliveries.GONE:
            return "withdrawn"
        cold = frozen(unit, run.one.race)
        if item.partner in cold or stale(office, unit, run.one.id):
            return "held"
        if _stopped(run, unit, item, mine.stop_key, cold):
            return "stopped"
        lent = not mine.messenger or messengers.get(unit, mine.messenger).confirmed
        return "" if lent else assign.UNSIGNED

    why = office.units.run("last-look", look_again)
    if renew:
        run.renewed = time.monotonic()
    return why


def drop(run: Run, item: Delivery, why: str) -> None:
    office = run.office
    office.units.run("drop", lambda unit: deliveries.drop(unit, item.id, why, office.clock()))

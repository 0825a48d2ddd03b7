"""Who of an audience gets a letter, and from which of the lists that they are on.

Stopped, capped, held out and second copies stay out. No key is derived for a row that is left
out, and custodians cannot tell which those are.
"""

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from itertools import islice

from consortium.service.post_office import PostOffice
from consortium.store import campaigns, contributions, deliveries, frames, races
from consortium.store.deliveries import Delivery
from consortium.store.unit import Unit
from mailer import stops
from policies import caps, holdout
from policies.agreement import Agreement
from policies.errors import CapReached

SHARE_TOO_LOUD = 0.02
"""Stops above this share of a bundle's rows count for addresses only, no longer for persons."""


def plan(office: PostOffice, one: campaigns.Campaign, terms: Agreement) -> None:
    """Choose the letters of a campaign, once, in the transaction that begins its sending."""
    if one.state != "logged":
        return
    rows = _audience(office, one)

    def choose(unit: Unit) -> None:
        if campaigns.get(unit, one.id).state != "logged":
            return
        deliveries.plan(unit, list(_letters(office, unit, one, terms, rows)))
        campaigns.change(unit, one.id, state="sending", waiting_for="")

    office.units.run("plan", choose)


def next_copy(
    office: PostOffice, unit: Unit, one: campaigns.Campaign, terms: Agreement, item: Delivery
) -> None:
    """Choose a person's next copy, in the transaction that learns that an address is dead.

    Only an address that does not exist falls through. A doubt never does.
    """
    if terms.once != "person":
        return  # this person's other addresses have letters of their own
    chosen = deliveries.locks_of(unit, one.id, item.person)
    left = [
        row
        for row in _audience(office, one)
        if row.roll_row == item.person and row.lock.hex() not in chosen
    ]
    deliveries.plan(unit, list(islice(_letters(office, unit, one, terms, left), 1)))


def loud(unit: Unit, race: str) -> list[str]:
    """Bundles with so many stops that those speak for addresses alone."""
    found = []
    for bundle, stopped in deliveries.stops_by_bundle(unit, race).items():
        size = contributions.find(unit, bundle)
        rows = int(size.header.get("size_class", 0)) if size else 0
        if stopped > 1 and stopped > SHARE_TOO_LOUD * rows:
            found.append(bundle)
    return found


def _audience(office: PostOffice, one: campaigns.Campaign) -> list[frames.Candidate]:
    assert one.audience_digest is not None
    with office.artefacts.open(one.audience_digest) as path:
        return [row for row in frames.read_audience(path) if row.bundle != "ghosts"]


def _letters(
    office: PostOffice,
    unit: Unit,
    one: campaigns.Campaign,
    terms: Agreement,
    rows: Sequence[frames.Candidate],
) -> Iterator[Delivery]:
    race = races.get(unit, one.race)
    live = {c.id for c in contributions.listed(unit, state="matched")}
    too_loud = loud(unit, one.race)
    by_person = terms.once == "person"
    # Under once = address a cap on the person would tell by silence whom a planted mailbox met.
    persons = deliveries.last_sent(unit, one.race) if by_person else {}
    addresses = {} if by_person else deliveries.last_sent_to(unit, one.race)
    now = office.clock()
    seen: set[object] = set()
    for row in sorted(rows, key=lambda row: _copy(office, one.race, row)):
        token = row.address_token.hex() if row.address_token else ""
        # Per person first, by keyed hash, the same all race long; and one address once.
        who: set[object] = {("person", row.roll_row)} if by_person else set()
        who |= {("address", token)} if token else set()
        if row.bundle not in live or who & seen:
            continue
        if deliveries.suppressed(
            unit,
            race=one.race,
            partner=row.partner,
            epoch=race.epoch,
            stop_key=None,
            address_token=token or None,
            person=row.roll_row,
            loud=too_loud,
        ):
            # A stop silences this copy; a partner-only stop leaves the other lists' copies.
            continue
        seen |= who
        if holdout.held_out(
            row.household,
            race=one.race,
            key=office.keys.choice,
            share=terms.holdout_share,
            noisy_mailable=one.estimate or 0,
        ):
            continue
        before = persons.get(row.roll_row, []) if by_person else addresses.get(token, [])
        try:
            caps.within(terms.caps, before, now)
        except CapReached:
            continue
        yield _pending(office, one, row, token)


def _copy(office: PostOffice, race: str, row: frames.Candidate) -> bytes:
    about = f"{race}|{row.roll_row}|{row.partner}".encode()
    return hmac.digest(office.keys.choice, b"copy/v1\0" + about, hashlib.sha256)


def _pending(
    office: PostOffice, one: campaigns.Campaign, row: frames.Candidate, token: str
) -> Delivery:
    raw = stops.delivery_id(office.keys.delivery, one.id, row.lock)
    link = stops.capability(office.keys.delivery, raw)
    assert one.manifest is not None
    domain = one.manifest["sender"][row.partner]["domain"]
    return Delivery(
        id=raw.hex(),
        campaign=one.id,
        lock=row.lock.hex(),
        bundle=row.bundle,
        row=row.row,
        partner=row.partner,
        person=row.roll_row,
        address_token=token,
        place={"precinct": row.precinct, "zip": row.zip, "house": row.house},
        state="pending",
        attempt=0,
        fence=0,
        claimed_at=None,
        settled_at=None,
        stop_key=None,
        verp=hashlib.sha256(
            stops.verp_address(office.keys.delivery, raw, domain).encode()
        ).hexdigest(),
        capability_hash=link.stored.hex(),
        queue_id=None,
        outcome=None,
    )

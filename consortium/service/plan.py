"""Who of an audience gets a letter, and from which of the lists that they are on.

Stopped, capped, held out and second copies stay out. No key is derived for a row that is left
out, and custodians cannot tell which those are.
"""

import hashlib
import hmac
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from consortium.service import agree, assign, draw, hear_back, live_with, outlast
from consortium.service.post_office import PostOffice, hold, lease
from consortium.service.thaw import frozen
from consortium.service.withhold import look, withheld
from consortium.store import (
    campaigns,
    contributions,
    deliveries,
    frames,
    races,
    suppressions,
    written_to,
)
from consortium.store.deliveries import UNSENT, Delivery
from consortium.store.errors import LeaseLost
from consortium.store.suppressions import Silences
from consortium.store.unit import Unit
from mailer import stops
from policies import caps
from policies.agreement import Agreement
from policies.errors import CapReached

FROZEN = "its list is frozen"
SLICE = 1_000
"""Letters inserted in one transaction: other writers wait for no more than that."""


@dataclass(frozen=True, slots=True)
class _Known:
    """Everything that the choice of letters depends on, from one snapshot."""

    live: frozenset[str]
    silences: Silences
    withheld: Collection[int]
    before: Mapping[Any, Sequence[datetime]]  # by person, or by address token


def plan(office: PostOffice, one: campaigns.Campaign, terms: Agreement, fence: int) -> None:
    """Choose the letters of a campaign, and only when all are kept begin its sending.

    A crash in between leaves some letters of a campaign that is not sending: the next turn adds
    the others. Whoever stops meanwhile is found before their row is opened, as always.

    Raises:
        LeaseLost: another worker took the campaign over; it plans.
    """
    if one.state != "logged":
        return
    look(office, one)
    live_with.look(office, one, terms)
    rows = _audience(office, one)
    known, already = office.units.read(
        "plan-look",
        lambda unit: (_known(office, unit, one, terms), deliveries.chosen(unit, one.id)),
    )
    # Whom an interrupted turn chose keeps that copy, whatever has changed since.
    sign = assign.signers(office, one, terms)
    letters = _letters(office, one, terms, rows, known, _taken(terms, already, rows), sign)
    while part := list(islice(letters, SLICE)):
        office.units.run("plan", lambda unit, part=part: _insert(office, unit, one, fence, part))  # type: ignore[misc]
    office.units.run("plan-done", lambda u: _begin(office, u, one, terms, fence, bool(sign.days)))


def _insert(
    office: PostOffice,
    unit: Unit,
    one: campaigns.Campaign,
    fence: int,
    part: Sequence[Delivery],
) -> None:
    # Renewed, not only held: choosing among very many may take longer than a lease.
    if lease(office, unit, one.id) != fence:
        raise LeaseLost("another mailer has this campaign")
    if campaigns.get(unit, one.id).state == "logged":
        deliveries.plan(unit, part)


def _begin(
    office: PostOffice,
    unit: Unit,
    one: campaigns.Campaign,
    terms: Agreement,
    fence: int,
    limited: bool,
) -> None:
    hold(office, unit, one.id, fence)
    if campaigns.get(unit, one.id).state == "logged":
        why = outlast.begin(office, unit, one, terms, limited=limited)
        campaigns.change(unit, one.id, state="sending", waiting_for=why)


def copies(
    office: PostOffice, one: campaigns.Campaign, terms: Agreement, person: int
) -> list[frames.Candidate]:
    """A person's rows in the audience, read before the transaction that may need one of them."""
    if not terms.by_person:
        return []  # this person's other addresses have letters of their own
    return _audience(office, one, person)


def bounced(office: PostOffice, delivery: str, now: datetime) -> str:
    """Take in that an address is dead, by mail; the person's next copy goes while others still go.

    Returns:
        As ``hear_back.returned``.
    """
    one, terms, letter = office.units.read("bounced-look", lambda unit: _about(unit, delivery))
    rows = copies(office, one, terms, letter.person) if one.audience_digest else []

    def take_in(unit: Unit) -> str:
        done = hear_back.returned(unit, delivery, "hard", now)
        going = campaigns.get(unit, one.id).state in ("sending", "paused")
        # Only what was taken and came back; a bounce that comes again chooses nobody more.
        if done == "suppressed" and going and deliveries.get(unit, delivery).state == "sent":
            next_copy(office, unit, one, terms, rows, letter)
        return done

    return office.units.run("bounced", take_in)


def _about(unit: Unit, delivery: str) -> tuple[campaigns.Campaign, Agreement, Delivery]:
    letter = deliveries.get(unit, delivery)
    one = campaigns.get(unit, letter.campaign)
    return one, agree.signed_terms(unit, one.race), letter


def next_copy(
    office: PostOffice,
    unit: Unit,
    one: campaigns.Campaign,
    terms: Agreement,
    rows: Sequence[frames.Candidate],
    before: Delivery,
) -> None:
    """Choose a person's next copy, in the transaction that learns that an address is dead.

    Only an address that does not exist falls through. A doubt never does.

    Args:
        rows: what ``copies`` found.
        before: the letter that came back; its messenger signs this one too.
    """
    if not rows:
        return
    chosen = deliveries.locks_of(unit, one.id, rows[0].roll_row)
    left = [row for row in rows if row.lock.hex() not in chosen]
    known = _known(office, unit, one, terms)
    first = islice(_chosen(office, one, terms, left, known, set()), 1)
    sign = _as_before([before])
    deliveries.plan(unit, [_pending(office, one, row, sign) for row in first])


def set_aside(office: PostOffice, one: campaigns.Campaign, terms: Agreement, fence: int) -> None:
    """Drop what has not left of a list that is frozen meanwhile; those people's next copies go.

    Without the next copy, whoever plants mailboxes and stops would keep the rest of their list
    from being written to by anybody. Killed between two slices it goes on with the next turn.
    """

    def waiting(unit: Unit) -> list[Delivery]:
        cold = frozen(unit, one.race)
        left = deliveries.in_state(unit, one.id, UNSENT) if cold else []
        return [letter for letter in left if letter.partner in cold]

    dropped = office.units.read("set-aside-look", waiting)
    if not dropped:
        return
    rows = _audience(office, one)
    for start in range(0, len(dropped), SLICE):
        part = dropped[start : start + SLICE]
        people = {letter.person for letter in part}
        others = [row for row in rows if row.roll_row in people]
        office.units.run(
            "set-aside",
            lambda unit, part=part, others=others: _replace(  # type: ignore[misc]
                office, unit, one, terms, fence, part, others
            ),
        )


def _replace(
    office: PostOffice,
    unit: Unit,
    one: campaigns.Campaign,
    terms: Agreement,
    fence: int,
    part: Sequence[Delivery],
    rows: Sequence[frames.Candidate],
) -> None:
    """Drop some letters and choose their people's next copies, all in one transaction."""
    hold(office, unit, one.id, fence)
    if campaigns.get(unit, one.id).state != "sending":
        return
    for letter in part:
        deliveries.drop(unit, letter.id, FROZEN, office.clock())
    gone = {(letter.person, letter.address_token) for letter in part}
    kept = [who for who in deliveries.chosen(unit, one.id) if who not in gone]
    seen = _taken(terms, kept, rows)
    known = _known(office, unit, one, terms)
    letters = _letters(office, one, terms, rows, known, seen, _as_before(part))
    deliveries.plan(unit, list(letters))


def _as_before(letters: Sequence[Delivery]) -> assign.Sign:
    """Who signs in place of letters that were given up: the same messenger, on the same day."""
    same = {letter.person: (letter.messenger, letter.day) for letter in letters}
    return lambda _zip, _precinct, person: same[person]


def _taken(
    terms: Agreement, chosen: Sequence[tuple[int, str]], rows: Sequence[frames.Candidate]
) -> set[tuple[str, object]]:
    """Persons, their households and addresses that have a letter of a campaign already.

    No letter says whose household it is for: the audience's file tells, here and nowhere later.
    """
    taken = {person for person, _ in chosen}
    people = {("person", person) for person in taken if terms.by_person}
    homes = {_home(row) for row in rows if terms.once == "household" and row.roll_row in taken}
    return {*people, *homes, *(("token", token) for _, token in chosen if token)}


def _home(row: frames.Candidate) -> tuple[str, object]:
    """A household; who was taken out of the roll has none, and stands alone."""
    return ("home", row.household) if row.household >= 0 else ("person", row.roll_row)


def _audience(
    office: PostOffice, one: campaigns.Campaign, person: int | None = None
) -> list[frames.Candidate]:
    assert one.audience_digest is not None
    with office.artefacts.open(one.audience_digest) as path:
        rows = frames.read_audience(path, person=person)
    return [row for row in rows if row.bundle != "ghosts"]


def _known(office: PostOffice, unit: Unit, one: campaigns.Campaign, terms: Agreement) -> _Known:
    # Under once = address a cap on the person would tell by silence whom a planted mailbox met.
    by_person = terms.by_person
    written = written_to.last_sent if by_person else written_to.last_sent_to
    cold = frozen(unit, one.race)
    matched = contributions.listed(unit, state="matched")
    return _Known(
        live=frozenset(bundle.id for bundle in matched if bundle.partner not in cold),
        silences=suppressions.silences(
            unit,
            race=one.race,
            epoch=races.get(unit, one.race).epoch,
            loud=cold,
        ),
        before=written(unit, one.race),
        withheld=withheld(office, one.id),
    )


def _letters(
    office: PostOffice,
    one: campaigns.Campaign,
    terms: Agreement,
    rows: Sequence[frames.Candidate],
    known: _Known,
    seen: set[tuple[str, object]],
    sign: assign.Sign,
) -> Iterator[Delivery]:
    """The letters of those who get one, in the order in which they will leave.

    Kept in that order, the letters of one batch lie side by side in the outbox.
    """
    chosen = [*_chosen(office, one, terms, rows, known, seen)]
    chosen.sort(key=lambda row: _id(office, one, row))
    return (_pending(office, one, row, sign) for row in chosen)


def _chosen(
    office: PostOffice,
    one: campaigns.Campaign,
    terms: Agreement,
    rows: Sequence[frames.Candidate],
    known: _Known,
    seen: set[tuple[str, object]],
) -> Iterator[frames.Candidate]:
    """Which copy of each person gets a letter of this campaign, if any."""
    by_person = terms.by_person
    now = office.clock()
    for row in sorted(rows, key=lambda row: _copy(office, one.race, row)):
        token = _token(row)
        # Per person first, by keyed hash, the same all race long; and one address once.
        who: set[tuple[str, object]] = {("person", row.roll_row)} if by_person else set()
        who |= {("token", token)} if token else set()
        who |= {_home(row)} if terms.once == "household" else set()
        if row.bundle not in known.live or row.roll_row in known.withheld or who & seen:
            continue
        if known.silences.hold(row.partner, token, row.roll_row):
            # A stop silences this copy; a partner-only stop leaves the other lists' copies.
            continue
        seen |= who
        if draw.held_out(office, one, terms, row.household):
            continue
        try:
            mates = (
                live_with.household(office, terms, one.id, row.roll_row) if by_person else [token]
            )
            before = [at for each in mates for at in known.before.get(each, ())]
            caps.within(terms.caps, before, now)
        except CapReached:
            continue
        yield row


def _copy(office: PostOffice, race: str, row: frames.Candidate) -> bytes:
    about = f"{race}|{row.roll_row}|{row.partner}".encode()
    return hmac.digest(office.keys.choice, b"copy/v1\0" + about, hashlib.sha256)


def _token(row: frames.Candidate) -> str:
    return row.address_token.hex() if row.address_token else ""


def _id(office: PostOffice, one: campaigns.Campaign, row: frames.Candidate) -> bytes:
    return stops.delivery_id(office.keys.delivery, one.id, row.lock)


def _pending(
    office: PostOffice, one: campaigns.Campaign, row: frames.Candidate, sign: assign.Sign
) -> Delivery:
    raw = _id(office, one, row)
    link = stops.capability(office.keys.delivery, raw)
    assert one.manifest is not None
    domain = one.manifest["sender"][row.partner]["domain"]
    messenger, day = sign(row.zip, row.precinct, row.roll_row)
    return Delivery(
        id=raw.hex(),
        campaign=one.id,
        lock=row.lock.hex(),
        bundle=row.bundle,
        row=row.row,
        partner=row.partner,
        person=row.roll_row,
        address_token=_token(row),
        place={
            "precinct": row.precinct,
            "zip": row.zip,
            "house": row.house,
            # Kept of a reader only where the letter has words for a district.
            **({"districts": row.districts} if "district" in json.dumps(one.template) else {}),
        },
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
        messenger=messenger,
        day=day,
    )

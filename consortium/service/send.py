"""The approved mailing goes out, once.

Order of what is durable: letters planned -> each batch claimed (committed) -> bytes to the MTA ->
outcome written. A crash before the claim has sent nothing. A crash after it leaves claimed letters;
``recover`` finds them in the MTA's own log, or puts them back when the log proves that they
never arrived, or leaves them in doubt for a person.
"""

import hashlib
import hmac
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from consortium.service import agree, draft, look
from consortium.store import campaigns, contributions, deliveries, frames, races
from consortium.store.artefacts import Artefacts
from consortium.store.deliveries import Delivery
from consortium.store.errors import LeaseLost, Missing
from consortium.store.unit import Unit, Units
from mailer import compose, letter, stops
from mailer.dkim import Signer
from mailer.seal import Payload
from mailer.transports import Deferred, Failed, InDoubt, Outcome, Sent, Transport
from matching.bundle import read_rows
from policies import caps, disclosure, holdout
from policies.agreement import Agreement
from policies.authorise import Caller, require
from policies.errors import CapReached, NotNow
from provenance.backend import Backend

AT_ONCE = 50
LEASE = timedelta(seconds=90)
SHARE_TOO_LOUD = 0.02
"""Stops above this share of a bundle's rows count for addresses only, no longer for persons."""
RETRY_AFTER = timedelta(minutes=5)
SETTLED_AFTER = timedelta(seconds=8)
"""How long after its claim a dead worker's letter can surely no longer be taken."""
MOST_TRIES = 5


@dataclass(frozen=True, slots=True)
class MailKeys:
    """What only the mail machine holds, beside its HPKE key and the DKIM keys."""

    delivery: bytes = field(repr=False)
    stop: bytes = field(repr=False)
    choice: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SealedRow:
    """One row as it lies in its bundle, and what its key is bound to."""

    bundle: str
    tag: bytes
    lock: bytes
    sealed: bytes = field(repr=False)
    wrapped: bytes = field(repr=False)
    header: Mapping[str, Any] = field(repr=False)


class Custodians(Protocol):
    """Who helps to open a campaign's rows."""

    def shared(
        self,
        manifest: Mapping[str, Any],
        *,
        agreement: bytes,
        evidence: Mapping[str, Any],
        nonce: bytes,
        locks: Sequence[bytes],
    ) -> dict[bytes, bytes]:
        """The shared point of every lock that is not retired; raises when too few help."""

    def close(self, campaign: str) -> int:
        """Ask for the signed totals; how many custodians have given theirs."""


class Doubts(Protocol):
    """The MTA's own log, if it has one."""

    def accepted(self, verp: str) -> str | None:
        """The queue id under which the MTA took a letter from this return path."""

    def complete_since(self, at: datetime) -> bool:
        """Whether the log surely holds everything that the MTA took since then."""


@dataclass
class PostOffice:
    """Where letters are made: the one process that may open a row."""

    units: Units
    artefacts: Artefacts
    log_files: Backend
    clock: Callable[[], datetime]
    keys: MailKeys
    custodians: Custodians
    open_row: Callable[[SealedRow, bytes], Payload]
    transport: Callable[[], Transport]
    signers: Mapping[str, Signer]
    doubts: Doubts | None
    public_url: str
    per_second: float
    name: str
    sleep: Callable[[float], None] = time.sleep
    opened: dict[str, dict[bytes, bytes]] = field(default_factory=dict, repr=False)


def due(office: PostOffice) -> list[str]:
    """Campaigns that are logged and scheduled, or half sent."""
    now = office.clock()
    return [
        one.id
        for one in office.units.run(
            "mail-due", lambda unit: campaigns.listed(unit, states=("logged", "sending"))
        )
        if one.scheduled is not None and one.scheduled <= now
    ]


def send(office: PostOffice, id: str, *, seconds: float = 5.0) -> None:
    """Send one campaign for about ``seconds``; repeatable, and safe to kill at any instant.

    Nothing is opened before the intent is public with quorum, and every custodian judges that
    for itself.
    """
    one = office.units.run("mail-look", lambda unit: campaigns.get(unit, id))
    if one.state not in ("logged", "sending") or one.manifest is None or one.scheduled is None:
        return
    caller = Caller("mailer", "mailer", None)
    require(caller, "send", approved=True, logged=one.intent_leaf is not None, stopped=False)
    terms = office.units.run("mail-terms", lambda unit: agree.signed_terms(unit, one.race))
    now = office.clock()
    if now < one.scheduled:
        return
    opens, closes = (draft.moment(one.manifest["window"], name) for name in ("opens", "closes"))
    try:
        if now < opens:
            raise NotNow("the campaign's window has not opened", opens)
        if now < closes:
            caps.may_send_at(terms, now)
    except NotNow as wait:
        _wait(office, id, str(wait))
        return
    fence = office.units.run(
        "mail-lease", lambda unit: deliveries.lease(unit, f"mail {id}", office.name, LEASE, now)
    )
    _recover(office, one, fence)
    if now >= closes:
        _close(office, one, late=True)
        return
    _plan(office, one, terms)
    _work(office, one, terms, fence, until=time.monotonic() + seconds)


def _wait(office: PostOffice, id: str, why: str) -> None:
    office.units.run("mail-wait", lambda unit: campaigns.change(unit, id, waiting_for=why[:200]))


# Who gets a letter


def _plan(office: PostOffice, one: campaigns.Campaign, terms: Agreement) -> None:
    """Choose the letters of a campaign, once: stopped, capped, held out and second copies stay out.

    No key is derived for a row that is left out, and custodians cannot tell which those are.
    """
    if office.units.run("plan-look", lambda unit: deliveries.planned(unit, one.id)):
        return
    assert one.audience_digest is not None
    with office.artefacts.open(one.audience_digest) as path:
        rows = [row for row in frames.read_audience(path) if row.bundle != "ghosts"]

    def plan(unit: Unit) -> None:
        if campaigns.get(unit, one.id).state not in ("logged", "sending"):
            return
        deliveries.plan(unit, list(_letters(office, unit, one, terms, rows)))
        campaigns.change(unit, one.id, state="sending", waiting_for="")

    office.units.run("plan", plan)


def _letters(
    office: PostOffice,
    unit: Unit,
    one: campaigns.Campaign,
    terms: Agreement,
    rows: Sequence[frames.Candidate],
) -> Iterator[Delivery]:
    race = races.get(unit, one.race)
    live = {c.id for c in contributions.listed(unit, state="matched")}
    loud = _loud(unit, one.race)
    before = deliveries.last_sent(unit, one.race)
    now = office.clock()
    seen: set[object] = set()
    for row in sorted(rows, key=lambda row: _copy(office, one.race, row)):
        token = (row.address_token or b"").hex()
        # Per person first, by keyed hash, the same all race long; and one address once.
        who = ("person", row.roll_row) if terms.once == "person" else ("address", token)
        if row.bundle not in live or {who, ("address", token)} & seen:
            continue
        if deliveries.suppressed(
            unit,
            race=one.race,
            partner=row.partner,
            epoch=race.epoch,
            stop_key=None,
            address_token=token,
            person=row.roll_row,
            loud=loud,
        ):
            # A stop silences this copy; a partner-only stop leaves the other lists' copies.
            continue
        seen |= {who, ("address", token)}
        if holdout.held_out(
            row.household,
            race=one.race,
            key=office.keys.choice,
            share=terms.holdout_share,
            noisy_mailable=one.estimate or 0,
        ):
            continue
        try:
            caps.within(terms.caps, before.get(row.roll_row, []), now)
        except CapReached:
            continue
        yield _pending(office, one, row, token)


def _copy(office: PostOffice, race: str, row: frames.Candidate) -> bytes:
    about = f"{race}|{row.roll_row}|{row.partner}".encode()
    return hmac.digest(office.keys.choice, b"copy/v1\0" + about, hashlib.sha256)


def _loud(unit: Unit, race: str) -> list[str]:
    found = []
    for bundle, stopped in deliveries.stops_by_bundle(unit, race).items():
        size = contributions.find(unit, bundle)
        rows = int(size.header.get("size_class", 0)) if size else 0
        if stopped > 1 and stopped > SHARE_TOO_LOUD * rows:
            found.append(bundle)
    return found


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


# Sending


def _work(
    office: PostOffice, one: campaigns.Campaign, terms: Agreement, fence: int, *, until: float
) -> None:
    """Send batch after batch until the time is up, the campaign is held, or nothing is left."""
    slices = _slices(office, one, terms)
    transport = office.transport()
    try:
        while time.monotonic() < until:
            batch = office.units.run("mail-batch", lambda unit: _ready(office, unit, one.id))
            if not batch:
                _close(office, one, late=False)
                return
            if not _send_batch(office, one, terms, fence, batch, slices, transport):
                return
    finally:
        transport.close()


def _ready(office: PostOffice, unit: Unit, id: str) -> list[Delivery]:
    if campaigns.get(unit, id).state != "sending":
        return []
    now = office.clock()
    return [
        letter
        for letter in deliveries.in_state(unit, id, deliveries.UNSENT, AT_ONCE)
        if letter.state == "pending"
        or (letter.settled_at is not None and letter.settled_at + RETRY_AFTER <= now)
    ]


def _slices(
    office: PostOffice, one: campaigns.Campaign, terms: Agreement
) -> dict[str, letter.Slice]:
    """Everything that letters of one partner share, serialised once."""
    assert one.manifest is not None
    compiled = draft.compiled(terms, one.template)
    now = office.clock()
    made = {}
    for source in one.manifest["sources"]:
        party = terms.party(source)
        facts = draft.letter_facts(terms, one, party)
        made[source] = letter.prepare(
            compiled,
            sender=letter.Sender(
                messenger=one.template["messenger"]["name"],
                partner=party.name,
                partner_id=party.id,
                slug="news",
                domain=party.domain,
                reply_to=f"reply@{party.domain}",
                list_id=f"{one.race}.{party.domain}",
            ),
            common=_used(compiled, facts),
            campaign=one.id,
            at=now.replace(microsecond=0),
            signer=office.signers.get(source),
        )
    return made


def _used(compiled: compose.Compiled, facts: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in facts.items() if name in compiled.fields}


def _send_batch(
    office: PostOffice,
    one: campaigns.Campaign,
    terms: Agreement,
    fence: int,
    batch: Sequence[Delivery],
    slices: Mapping[str, letter.Slice],
    transport: Transport,
) -> bool:
    """Open, claim, send and settle up to fifty letters. Returns whether to go on."""
    shared = _shared(office, one, terms)
    rows = _rows(office, batch)
    opened: list[tuple[Delivery, Payload]] = []
    for item in batch:
        row, point = rows.get(item.id), shared.get(bytes.fromhex(item.lock))
        if row is None or point is None:
            _drop(office, item, "withdrawn")
            continue
        opened.append((item, office.open_row(row, point)))
    claimed = office.units.run(
        "claim", lambda unit: _claim(office, unit, one, terms, fence, opened)
    )
    for number, (item, payload) in enumerate(claimed):
        started = time.monotonic()
        if not _may_still_go(office, one, item):
            if not _halted(office, one.id):
                _drop(office, item, "stopped")
                continue
            for rest, _ in claimed[number:]:
                _settle(office, rest, fence, "pending", "held before it left", None)
            return False
        outcome = transport.send(*_letter(office, one, terms, slices, item, payload))
        if isinstance(outcome, Deferred) and outcome.stage == "connect":
            # Nobody was asked about any letter: an outage uses up no tries, however long it is.
            for rest, _ in claimed[number:]:
                _settle(office, rest, fence, "pending", "the mail server did not answer", None)
            _wait(office, one.id, "the mail server, which does not answer; it is tried again")
            return False
        _record(office, item, fence, outcome)
        office.sleep(max(0.0, 1 / office.per_second - (time.monotonic() - started)))
    office.units.run("mail-progress", lambda unit: _progress(office, unit, one, fence))
    return not _halted(office, one.id)


def _claim(
    office: PostOffice,
    unit: Unit,
    one: campaigns.Campaign,
    terms: Agreement,
    fence: int,
    opened: Sequence[tuple[Delivery, Payload]],
) -> list[tuple[Delivery, Payload]]:
    """Commit, before the first byte, that these letters may be on their way."""
    now = office.clock()
    if deliveries.lease(unit, f"mail {one.id}", office.name, LEASE, now) != fence:
        raise LeaseLost("another mailer has this campaign")
    if campaigns.get(unit, one.id).state != "sending":
        return []
    taken = []
    for item, payload in opened:
        key = stops.stop_key(office.keys.stop, payload.email).hex()
        why = _hindrance(unit, one, terms, item, key, now)
        if why is not None:
            deliveries.drop(unit, item.id, why, now)
        elif deliveries.claim(unit, item.id, stop_key=key, fence=fence, now=now):
            taken.append((deliveries.get(unit, item.id), payload))
    return taken


def _hindrance(
    unit: Unit,
    one: campaigns.Campaign,
    terms: Agreement,
    item: Delivery,
    stop_key: str,
    now: datetime,
) -> str | None:
    race = races.get(unit, one.race)
    if deliveries.suppressed(
        unit,
        race=one.race,
        partner=item.partner,
        epoch=race.epoch,
        stop_key=stop_key,
        address_token=item.address_token,
        person=item.person,
        loud=_loud(unit, one.race),
    ):
        return "stopped"
    before = deliveries.sent_at(unit, one.race, stop_key=stop_key, person=item.person)
    try:
        caps.within(terms.caps, before, now)
    except CapReached:
        return "capped"
    if contributions.get(unit, item.bundle).state == "withdrawn":
        return "withdrawn"
    return None


def _may_still_go(office: PostOffice, one: campaigns.Campaign, item: Delivery) -> bool:
    """The last look before a letter leaves: not held, not stopped since the claim."""

    def look_again(unit: Unit) -> bool:
        if campaigns.get(unit, one.id).state != "sending" or item.stop_key is None:
            return False
        return not deliveries.suppressed(
            unit,
            race=one.race,
            partner=item.partner,
            epoch=races.get(unit, one.race).epoch,
            stop_key=item.stop_key,
            address_token=item.address_token,
            person=item.person,
            loud=_loud(unit, one.race),
        )

    return office.units.run("last-look", look_again)


def _halted(office: PostOffice, id: str) -> bool:
    state = office.units.run("mail-state", lambda unit: campaigns.get(unit, id).state)
    return state != "sending"


def _letter(
    office: PostOffice,
    one: campaigns.Campaign,
    terms: Agreement,
    slices: Mapping[str, letter.Slice],
    item: Delivery,
    payload: Payload,
) -> tuple[str, str, bytes]:
    domain = terms.party(item.partner).domain
    raw = bytes.fromhex(item.id)
    token = stops.capability(office.keys.delivery, raw).token
    facts = {
        "why_url": f"{office.public_url}/why/{token}",
        "precinct": item.place["precinct"],
    }
    if "first_name" in terms.fields and payload.first_name:
        facts["first_name"] = payload.first_name
    message = slices[item.partner].write(
        letter.Recipient(
            address=payload.email,
            message_id=stops.message_id(office.keys.delivery, raw, domain),
            stop_url=f"{office.public_url}/u/{token}",
            stop_mailto=f"stop-{token}@{domain}",
            facts=facts,
        )
    )
    return stops.verp_address(office.keys.delivery, raw, domain), payload.email, message


def _record(office: PostOffice, item: Delivery, fence: int, outcome: Outcome) -> None:
    match outcome:
        case Sent():
            _settle(office, item, fence, "sent", outcome.text, outcome.queue_id)
        case Deferred():
            last = item.attempt >= MOST_TRIES
            _settle(office, item, fence, "failed" if last else "deferred", outcome.text, None)
        case Failed():
            _settle(office, item, fence, "failed", outcome.text, None)
        case InDoubt():
            _settle(office, item, fence, "in_doubt", outcome.text, None)


def _settle(
    office: PostOffice, item: Delivery, fence: int, state: str, text: str, queue_id: str | None
) -> None:
    office.units.run(
        "settle",
        lambda unit: deliveries.settle(
            unit,
            item.id,
            fence=fence,
            state=state,
            outcome=text,
            queue_id=queue_id,
            now=office.clock(),
        ),
    )


def _drop(office: PostOffice, item: Delivery, why: str) -> None:
    office.units.run("drop", lambda unit: deliveries.drop(unit, item.id, why, office.clock()))


def _progress(office: PostOffice, unit: Unit, one: campaigns.Campaign, fence: int) -> None:
    now = office.clock()
    deliveries.lease(unit, f"mail {one.id}", office.name, LEASE, now)
    done = deliveries.count(unit, one.id)
    gone = sum(done.get(state, 0) for state in ("sent", "failed", "in_doubt", "dropped"))
    campaigns.change(
        unit, one.id, progress=disclosure.progress(gone, one.estimate or 0), waiting_for=""
    )


# Opening


def _shared(office: PostOffice, one: campaigns.Campaign, terms: Agreement) -> dict[bytes, bytes]:
    """The custodians' points for the whole released set, kept in this process's memory only."""
    if one.id in office.opened:
        return office.opened[one.id]
    assert one.manifest is not None
    assert one.nonce is not None
    assert one.audience_digest is not None
    with office.artefacts.open(one.audience_digest) as path:
        locks = [row.lock for row in frames.read_audience(path)]
    agreement = office.units.run("mail-race", lambda unit: races.get(unit, one.race)).agreement
    office.opened[one.id] = office.custodians.shared(
        one.manifest,
        agreement=agreement,
        evidence=office.units.run("mail-evidence", lambda unit: _evidence(office, unit, one)),
        nonce=bytes.fromhex(one.nonce),
        locks=locks,
    )
    return office.opened[one.id]


def _evidence(office: PostOffice, unit: Unit, one: campaigns.Campaign) -> dict[str, Any]:
    def proofs(leaves: Sequence[str]) -> list[dict[str, Any]]:
        found = []
        for leaf in leaves:
            proof = look.evidence(unit, leaf, office.log_files)
            if proof is None:
                raise Missing("an approval is not in the public log yet")
            found.append(dict(proof.to_json()))
        return found

    said = campaigns.approvals(unit, one.id)
    assert one.intent_leaf is not None
    return {
        "agreement": proofs(sorted(races.signatures(unit, one.race).values())),
        "approvals": proofs([a.leaf for a in said if a.kind == "approve"]),
        "attestations": proofs([a.leaf for a in said if a.kind == "attest"]),
        "intent": proofs([one.intent_leaf])[0],
    }


def _rows(office: PostOffice, batch: Sequence[Delivery]) -> dict[str, SealedRow]:
    """The sealed rows of a batch, by letter; a withdrawn bundle's are absent."""
    wanted: dict[str, dict[int, str]] = {}
    for item in batch:
        wanted.setdefault(item.bundle, {})[item.row] = item.id
    found: dict[str, SealedRow] = {}
    with ExitStack() as stack:
        for bundle, letters in wanted.items():
            one = office.units.run("mail-bundle", lambda unit, b=bundle: contributions.get(unit, b))  # type: ignore[misc]
            if one.wrapped is None or not office.artefacts.exists(one.rows_digest):
                continue
            path = stack.enter_context(office.artefacts.open(one.rows_digest))
            for row in read_rows(path):
                if row.row in letters:
                    found[letters[row.row]] = SealedRow(
                        bundle, row.tag, row.lock, row.sealed, one.wrapped, one.header
                    )
    return found


# Ends


def _recover(office: PostOffice, one: campaigns.Campaign, fence: int) -> None:
    """Settle letters that a dead worker left claimed: from the MTA's log, or not at all."""
    left = office.units.run("doubts", lambda unit: deliveries.in_state(unit, one.id, ("claimed",)))
    assert one.manifest is not None
    for item in left:
        if item.claimed_at is None or office.clock() - item.claimed_at < SETTLED_AFTER:
            continue  # the dead worker's session may still be open at the mail server
        domain = one.manifest["sender"][item.partner]["domain"]
        verp = stops.verp_address(office.keys.delivery, bytes.fromhex(item.id), domain)
        state, text, queue_id = "in_doubt", "no log can tell whether it was taken", None
        if office.doubts is not None:
            queue_id = office.doubts.accepted(verp)
            if queue_id is not None:
                state, text = "sent", "found in the mail server's log"
            elif office.doubts.complete_since(item.claimed_at):
                state, text = "pending", "the mail server's log shows that it was never taken"
        _settle(office, item, item.fence, state, text, queue_id)


def _close(office: PostOffice, one: campaigns.Campaign, *, late: bool) -> None:
    """End a campaign when nothing is left and the time that its noised size takes is over."""
    now = office.clock()
    lasts = disclosure.duration(one.estimate or 0, office.per_second)
    if not late and one.scheduled is not None and now < one.scheduled + lasts:
        return

    def end(unit: Unit) -> bool:
        still = campaigns.get(unit, one.id)
        left = deliveries.count(unit, one.id)
        open_ones = sum(left.get(state, 0) for state in (*deliveries.UNSENT, "claimed"))
        if still.state != "sending" or (not late and open_ones):
            return False
        for item in deliveries.in_state(unit, one.id, deliveries.UNSENT):
            deliveries.drop(unit, item.id, "the window closed", now)
        campaigns.change(unit, one.id, state="closed", progress=100, waiting_for="", closed=now)
        return True

    if office.units.run("mail-close", end):
        office.opened.pop(one.id, None)
        office.custodians.close(one.id)

"""The approved mailing goes out, once.

Order of what is durable: letters planned -> each batch claimed (committed) -> bytes to the MTA ->
outcome written. A crash before the claim has sent nothing. A crash after it leaves claimed letters;
``settle.recover`` finds them in the MTA's own log, or puts them back when the log proves that they
never arrived, or leaves them in doubt for a person.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from consortium.service import agree, approve, draft, hear_back, look, settle
from consortium.service.plan import copies, loud, next_copy, plan
from consortium.service.post_office import (
    RENEW_EVERY,
    Custodians,
    Doubts,
    MailKeys,
    PostOffice,
    SealedRow,
    hold,
    lease,
)
from consortium.store import actors, campaigns, contributions, deliveries, frames, races
from consortium.store.deliveries import Delivery
from consortium.store.errors import LeaseLost, Missing
from consortium.store.unit import Unit
from mailer import compose, letter, pace, stops
from mailer.errors import MailerError, UnsealRefused
from mailer.seal import Payload
from mailer.transports import Deferred, Failed, InDoubt, Outcome, Sent, Transport
from matching.bundle import read_rows
from policies import caps
from policies.agreement import Agreement
from policies.authorise import Caller, require
from policies.errors import CapReached, NotNow

__all__ = ["Custodians", "Doubts", "MailKeys", "PostOffice", "SealedRow", "due", "send"]

AT_ONCE = 50
MOST_TRIES = 6
RETRY_AFTER = timedelta(minutes=5)
"""After a letter's first deferral; each further one waits three times as long."""
SERVER_RESTS = timedelta(seconds=2)
"""How long a mail server that does not answer is left alone."""
SPREAD = 0.8
"""Share of a campaign's time over which its letters are spread at most."""


@dataclass
class _Run:
    """One worker's turn at one campaign."""

    office: PostOffice
    one: campaigns.Campaign
    terms: Agreement
    fence: int
    closes: datetime
    slices: Mapping[str, letter.Slice]
    transport: Transport
    interval: float
    renewed: float = field(default_factory=time.monotonic)


def due(office: PostOffice) -> list[str]:
    """Campaigns that are scheduled or half sent, and any that a worker left letters of."""
    now = office.clock()

    def look_up(unit: Unit) -> list[str]:
        ready = [
            one.id
            for one in campaigns.listed(unit, states=("logged", "sending"))
            if one.scheduled is not None and one.scheduled <= now
        ]
        left = deliveries.unsettled(unit, doubts=office.doubts is not None)
        return list(dict.fromkeys([*ready, *left]))

    return office.units.run("mail-due", look_up)


def send(office: PostOffice, id: str, *, seconds: float = 5.0) -> None:
    """Send one campaign for about ``seconds``; repeatable, and safe to kill at any instant.

    Nothing is opened before the intent is public with quorum, and every custodian judges that
    for itself.

    Raises:
        LeaseLost: another worker has the campaign, or took it over.
        EntryMisfits: what the database holds is not what was approved.
    """
    one = office.units.run("mail-look", lambda unit: campaigns.get(unit, id))
    if one.manifest is None:
        return
    fence = office.units.run("mail-lease", lambda unit: lease(office, unit, id))
    settle.recover(office, one, fence)
    if one.state in settle.OVER:
        settle.tidy(office, one)
    now = office.clock()
    if one.state not in ("logged", "sending") or one.scheduled is None or now < one.scheduled:
        return
    require(
        Caller("mailer", "mailer", None),
        "send",
        approved=True,
        logged=one.intent_leaf is not None,
        stopped=False,
    )
    terms = office.units.run("mail-terms", lambda unit: agree.signed_terms(unit, one.race))
    opens, closes = (draft.moment(one.manifest["window"], name) for name in ("opens", "closes"))
    if now >= closes:
        settle.close(office, one, late=True)
        return
    try:
        if now < opens:
            raise NotNow("the campaign's window has not opened", opens)
        caps.may_send_at(terms, now)
    except NotNow as wait:
        _wait(office, id, str(wait))
        return
    if now < office.rest.get(id, now):
        return
    approve.unchanged(one, terms, office.units.run("mail-agreed", lambda u: races.get(u, one.race)))
    plan(office, one, terms, fence)
    _work(office, one, terms, fence, closes, until=time.monotonic() + seconds)


def _wait(office: PostOffice, id: str, why: str) -> None:
    office.units.run("mail-wait", lambda unit: campaigns.change(unit, id, waiting_for=why[:200]))


def _work(
    office: PostOffice,
    one: campaigns.Campaign,
    terms: Agreement,
    fence: int,
    closes: datetime,
    *,
    until: float,
) -> None:
    """Send batch after batch until the time is up, the campaign is held, or nothing is left."""
    if not office.units.run("mail-batch", lambda unit: _ready(office, unit, one.id)):
        settle.close(office, one, late=False)
        return
    planned = office.units.run("mail-size", lambda unit: deliveries.count(unit, one.id))
    # The letters fit into the time that the noised size takes, however many they are.
    fits = SPREAD * settle.lasts(office, one).total_seconds() / max(1, sum(planned.values()))
    transport = office.transport()
    run = _Run(
        office,
        one,
        terms,
        fence,
        closes,
        _slices(office, one, terms),
        transport,
        min(1 / office.per_second, fits),
    )
    try:
        while time.monotonic() < until:
            batch = office.units.run("mail-batch", lambda unit: _ready(office, unit, one.id))
            if not batch:
                settle.close(office, one, late=False)
                return
            if not _send_batch(run, batch):
                return
    finally:
        transport.close()


def _ready(office: PostOffice, unit: Unit, id: str) -> list[Delivery]:
    if campaigns.get(unit, id).state != "sending":
        return []
    fresh = deliveries.in_state(unit, id, ("pending",), AT_ONCE)
    if fresh:
        return fresh
    now = office.clock()
    rested = [
        letter
        for letter in deliveries.in_state(unit, id, ("deferred",))
        if letter.settled_at is None
        or letter.settled_at + RETRY_AFTER * 3 ** max(0, letter.attempt - 1) <= now
    ]
    return rested[:AT_ONCE]


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


# One batch


def _send_batch(run: _Run, batch: Sequence[Delivery]) -> bool:
    """Open, claim, send and settle up to fifty letters. Returns whether to go on."""
    office = run.office
    opened = _opened(run, batch)
    claimed = office.units.run("claim", lambda unit: _claim(run, unit, opened))
    for number, (item, payload) in enumerate(claimed):
        started = time.monotonic()
        why = _last_look(run, item)
        if why == "held":
            _give_back(run, claimed[number:], "held before it left")
            return False
        if why:
            _drop(run, item, why)
            continue
        outcome = _hand_over(run, item, payload)
        if _about_us(outcome):
            _give_back(run, claimed[number:], "the mail server takes nothing from us now")
            _rest(run, outcome)
            return False
        _record(run, item, outcome)
        office.sleep(max(0.0, run.interval - (time.monotonic() - started)))
    return office.units.run("mail-progress", lambda unit: _progress(run, unit))


def _opened(run: _Run, batch: Sequence[Delivery]) -> list[tuple[Delivery, Payload]]:
    """Open the rows of a batch. A row that does not open is dropped alone."""
    points, rows = _points(run), _rows(run, batch)
    opened = []
    for item in batch:
        lock = bytes.fromhex(item.lock)
        row, point = rows.get((item.bundle, item.row)), points.get(lock)
        if row is None or point is None:
            _drop(run, item, "withdrawn")
            continue
        try:
            opened.append((item, run.office.open_row(row, point)))
        except UnsealRefused:
            _ask_for_proofs(run, lock)
            _drop(run, item, "its row does not open; it was sealed wrongly")
    return opened


def _ask_for_proofs(run: _Run, lock: bytes) -> None:
    """Find out whether a custodian lied: then its answers go, and nobody's letter is dropped."""
    try:
        run.office.custodians.find_liar(run.one.id, lock)
    except Exception:
        run.office.points.pop(run.one.id, None)
        raise


def _claim(
    run: _Run, unit: Unit, opened: Sequence[tuple[Delivery, Payload]]
) -> list[tuple[Delivery, Payload]]:
    """Commit, before the first byte, that these letters may be on their way."""
    office, now = run.office, run.office.clock()
    if lease(office, unit, run.one.id) != run.fence:
        raise LeaseLost("another mailer has this campaign")
    if campaigns.get(unit, run.one.id).state != "sending":
        return []
    too_loud = loud(unit, run.one.race)
    taken = []
    for item, payload in opened:
        try:
            key = stops.stop_key(office.keys.stop, payload.email).hex()
        except MailerError:
            deliveries.drop(unit, item.id, "its address is not one", now)
            continue
        why = _hindrance(run, unit, item, key, too_loud, now)
        if why:
            deliveries.drop(unit, item.id, why, now)
        elif deliveries.claim(unit, item.id, stop_key=key, fence=run.fence, now=now):
            taken.append((deliveries.get(unit, item.id), payload))
    return taken


def _hindrance(
    run: _Run,
    unit: Unit,
    item: Delivery,
    stop_key: str,
    too_loud: Sequence[str],
    now: datetime,
) -> str:
    """Why this letter must not leave, or nothing."""
    if _stopped(run, unit, item, stop_key, too_loud):
        return "stopped"
    person = item.person if run.terms.once == "person" else None
    before = deliveries.sent_at(unit, run.one.race, stop_key=stop_key, person=person)
    try:
        caps.within(run.terms.caps, before, now)
    except CapReached:
        return "capped"
    if contributions.get(unit, item.bundle).state == "withdrawn":
        return "withdrawn"
    return ""


def _stopped(run: _Run, unit: Unit, item: Delivery, stop_key: str, too_loud: Sequence[str]) -> bool:
    return deliveries.suppressed(
        unit,
        race=run.one.race,
        partner=item.partner,
        epoch=races.get(unit, run.one.race).epoch,
        stop_key=stop_key,
        address_token=item.address_token or None,
        person=item.person,
        loud=too_loud,
    )


def _last_look(run: _Run, item: Delivery) -> str:
    """Look once more before a letter leaves: why it must not, ``held`` if none may, or nothing.

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
            caps.may_send_at(run.terms, now)
        except NotNow:
            return "held"
        if campaigns.get(unit, run.one.id).state != "sending" or now >= run.closes:
            return "held"
        if contributions.get(unit, item.bundle).state == "withdrawn":
            return "withdrawn"
        stopped = _stopped(run, unit, item, mine.stop_key, loud(unit, run.one.race))
        return "stopped" if stopped else ""

    why = office.units.run("last-look", look_again)
    if renew:
        run.renewed = time.monotonic()
    return why


def _hand_over(run: _Run, item: Delivery, payload: Payload) -> Outcome:
    """Write the letter and hand it over. One that cannot be written fails alone."""
    try:
        return run.transport.send(*_letter(run, item, payload))
    except MailerError as error:
        # Raised before any byte. The class says enough; no text about a person goes anywhere.
        return Failed(0, f"it cannot be written ({type(error).__name__})", "rcpt")


def _letter(run: _Run, item: Delivery, payload: Payload) -> tuple[str, str, bytes]:
    keys, url = run.office.keys.delivery, run.office.public_url
    domain = run.terms.party(item.partner).domain
    raw = bytes.fromhex(item.id)
    token = stops.capability(keys, raw).token
    facts = {"why_url": f"{url}/why/{token}", "precinct": item.place["precinct"]}
    if "first_name" in run.terms.fields and payload.first_name:
        facts["first_name"] = payload.first_name
    message = run.slices[item.partner].write(
        letter.Recipient(
            address=payload.email,
            message_id=stops.message_id(keys, raw, domain),
            stop_url=f"{url}/u/{token}",
            stop_mailto=f"stop-{token}@{domain}",
            facts=facts,
        )
    )
    return stops.verp_address(keys, raw, domain), payload.email, message


# Outcomes


def _about_us(outcome: Outcome) -> bool:
    """Whether an answer is about us or the server: it would be the same for every letter."""
    return isinstance(outcome, Deferred | Failed) and outcome.stage in ("connect", "mail")


def _no_such_mailbox(outcome: Outcome) -> bool:
    """Whether the recipient's address is dead; 5.1.7 and 5.1.8 are about the sender's."""
    return (
        isinstance(outcome, Failed)
        and outcome.stage in ("rcpt", "dot")
        and outcome.enhanced.startswith("5.1.")
        and outcome.enhanced not in ("5.1.7", "5.1.8")
    )


def _record(run: _Run, item: Delivery, outcome: Outcome) -> None:
    office = run.office
    state, queue_id = "in_doubt", None
    match outcome:
        case Sent():
            state, queue_id = "sent", outcome.queue_id
        case Deferred():
            state = "failed" if item.attempt >= MOST_TRIES else "deferred"
        case Failed():
            state = "failed"
        case InDoubt():
            pass

    dead = _no_such_mailbox(outcome)
    others = copies(office, run.one, run.terms, item.person) if dead else []

    def write(unit: Unit) -> None:
        now = office.clock()
        deliveries.settle(
            unit,
            item.id,
            fence=run.fence,
            state=state,
            outcome=outcome.text,
            queue_id=queue_id,
            now=now,
        )
        if dead:
            hear_back.dead(unit, deliveries.get(unit, item.id), now)
            next_copy(office, unit, run.one, run.terms, others)

    office.units.run("settle", write)


def _give_back(run: _Run, rest: Sequence[tuple[Delivery, Payload]], why: str) -> None:
    """Put letters back that provably never left; it was no attempt of theirs."""

    def write(unit: Unit) -> None:
        for item, _ in rest:
            deliveries.settle(
                unit,
                item.id,
                fence=run.fence,
                state="pending",
                outcome=why,
                queue_id=None,
                now=run.office.clock(),
            )

    run.office.units.run("give-back", write)


def _rest(run: _Run, outcome: Outcome) -> None:
    office, id = run.office, run.one.id
    office.rest[id] = office.clock() + SERVER_RESTS
    stage = outcome.stage if isinstance(outcome, Deferred | Failed) else "connect"
    code = outcome.code if isinstance(outcome, Deferred | Failed) else 0
    if stage == "connect" and not code:
        _wait(office, id, "the mail server, which does not answer; it is tried again")
        return
    said = f" ({code})" if code else ""
    _wait(office, id, f"the mail server, which takes nothing from us{said}; it is tried again")


def _drop(run: _Run, item: Delivery, why: str) -> None:
    office = run.office
    office.units.run("drop", lambda unit: deliveries.drop(unit, item.id, why, office.clock()))


def _progress(run: _Run, unit: Unit) -> bool:
    """Say how far it is, and whether to go on."""
    office, id = run.office, run.one.id
    lease(office, unit, id)
    still = campaigns.get(unit, id)
    if still.state != "sending":
        return False
    tally = pace.Tally(
        sent=deliveries.count(unit, id).get("sent", 0),
        complaints=deliveries.suppressions(unit, id, "complaint"),
        hard=deliveries.suppressions(unit, id, "hard"),
    )
    verdict = pace.breaker(tally)
    if verdict.state == "stop":
        campaigns.change(
            unit, id, state="paused", before_pause="sending", waiting_for=f"paused: {verdict.why}"
        )
        return False
    campaigns.change(unit, id, progress=settle.progress(office, unit, still), waiting_for="")
    return True


# Opening


def _points(run: _Run) -> dict[bytes, bytes]:
    """The custodians' points for the whole released set, kept in this process's memory only."""
    office, one = run.office, run.one
    assert one.manifest is not None
    assert one.nonce is not None
    assert one.audience_digest is not None
    agreement = office.units.run("mail-race", lambda unit: races.get(unit, one.race)).agreement
    # Exactly what custodians accepted: a database changed afterwards finds no points here.
    accepted = f"{one.digest} {one.root} {hashlib.sha256(agreement).hexdigest()}"
    known = office.points.get(one.id)
    if known is not None and known[0] == accepted:
        return known[1]
    with office.artefacts.open(one.audience_digest) as path:
        locks = [row.lock for row in frames.read_audience(path)]
    points = office.custodians.shared(
        one.manifest,
        agreement=agreement,
        evidence=office.units.run("mail-evidence", lambda unit: _evidence(office, unit, one)),
        nonce=bytes.fromhex(one.nonce),
        locks=locks,
    )
    office.points[one.id] = (accepted, points)
    return points


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
        "browser_keys": actors.browser_keys(unit),
    }


def _rows(run: _Run, batch: Sequence[Delivery]) -> dict[tuple[str, int], SealedRow]:
    """The sealed rows of the campaign, read once a bundle; a withdrawn bundle's are absent."""
    office = run.office
    kept = office.rows.setdefault(run.one.id, {})
    with ExitStack() as stack:
        for bundle in {item.bundle for item in batch}:
            one = office.units.run("mail-bundle", lambda unit, b=bundle: contributions.get(unit, b))  # type: ignore[misc]
            if one.wrapped is None or not office.artefacts.exists(one.rows_digest):
                for place in [place for place in kept if place[0] == bundle]:
                    del kept[place]
                continue
            if all((bundle, item.row) in kept for item in batch if item.bundle == bundle):
                continue
            wanted = office.units.run("mail-rows", lambda unit, b=bundle: _unsent(unit, run.one, b))  # type: ignore[misc]
            path = stack.enter_context(office.artefacts.open(one.rows_digest))
            for row in read_rows(path):
                if row.row in wanted:
                    kept[bundle, row.row] = SealedRow(
                        bundle, row.tag, row.lock, row.sealed, one.wrapped, one.header
                    )
    return kept


def _unsent(unit: Unit, one: campaigns.Campaign, bundle: str) -> set[int]:
    letters = deliveries.in_state(unit, one.id, deliveries.UNSENT)
    return {item.row for item in letters if item.bundle == bundle}

"""The approved mailing goes out, once.

Order of what is durable: letters planned -> each batch claimed (committed) -> bytes to the MTA ->
outcome written. A crash before the claim has sent nothing. A crash after it leaves claimed letters;
``settle.recover`` finds them in the MTA's own log, or puts them back when the log proves that they
never arrived, or leaves them in doubt for a person.
"""

import hashlib
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from consortium.service import agree, approve, draft, hear_back, look, settle
from consortium.service.plan import copies, loud, next_copy, plan
from consortium.service.post_office import (
    RENEW_EVERY,
    Custodians,
    Doubts,
    MailKeys,
    PostOffice,
    Rest,
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
from policies import caps
from policies.agreement import Agreement
from policies.authorise import Caller, require
from policies.errors import CapReached, NotNow

__all__ = ["Custodians", "Doubts", "MailKeys", "PostOffice", "SealedRow", "due", "send"]

AT_ONCE = 50
KEPT = 5_000
"""Sealed rows that are read at once, and kept; each bundle is read once for so many letters."""
RETRY_AFTER = timedelta(minutes=5)
"""After a letter's first deferral; each further one waits three times as long."""
LONGEST_REST = timedelta(hours=24)
RISKY = 2
"""A letter at which this many workers died may be why: it is claimed alone, and costs no other."""
SERVER_RESTS = timedelta(seconds=2)
"""How long a mail server that does not answer is left alone."""
SPREAD = 0.8
"""Share of a campaign's time over which its letters are spread at most."""

_Opened: TypeAlias = tuple[Delivery, Payload, str]
"""A letter, what its row held, and the stop key of that address."""


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
    """Campaigns that are scheduled or half sent, that a worker left letters of, or that are over
    while custodians may still answer for them."""
    now = office.clock()

    def look_up(unit: Unit) -> list[str]:
        ready = [
            one.id
            for one in campaigns.listed(unit, states=("logged", "sending"))
            if one.scheduled is not None and one.scheduled <= now
        ]
        left = deliveries.unsettled(unit, doubts=office.doubts is not None)
        open_still = [id for id in deliveries.to_close(unit) if settle.asks_again(office, id)]
        return list(dict.fromkeys([*ready, *left, *open_still]))

    return office.units.read("mail-due", look_up)


def send(office: PostOffice, id: str, *, seconds: float = 5.0) -> None:
    """Send one campaign for about ``seconds``; repeatable, and safe to kill at any instant.

    Nothing is opened before the intent is public with quorum, and every custodian judges that
    for itself.

    Raises:
        LeaseLost: another worker has the campaign, or took it over.
        EntryMisfits: what the database holds is not what was approved.
    """
    one = office.units.read("mail-look", lambda unit: campaigns.get(unit, id))
    if one.manifest is None:
        return
    fence = office.units.run("mail-lease", lambda unit: lease(office, unit, id))
    settle.recover(office, one, fence)
    if one.state in settle.OVER:
        settle.tidy(office, one)
        settle.close_at_custodians(office, one)
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
    terms = office.units.read("mail-terms", lambda unit: agree.signed_terms(unit, one.race))
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
    approve.unchanged(
        one, terms, office.units.read("mail-agreed", lambda u: races.get(u, one.race))
    )
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
    if not office.units.read("mail-batch", lambda unit: _ready(office, unit, one.id)):
        settle.close(office, one, late=False)
        return
    planned = office.units.read("mail-size", lambda unit: deliveries.count(unit, one.id))
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
            batch = office.units.read("mail-batch", lambda unit: _ready(office, unit, one.id))
            if not batch:
                settle.close(office, one, late=False)
                return
            if not _send_batch(run, batch):
                return
    finally:
        transport.close()


def _ready(office: PostOffice, unit: Unit, id: str) -> list[Delivery]:
    """The next letters: fresh ones first; one that two workers died at is tried alone."""
    if campaigns.get(unit, id).state != "sending":
        return []
    now = office.clock()
    parked = [partner for partner, rest in office.parked.get(id, {}).items() if now < rest.until]
    fresh = deliveries.in_state(unit, id, ("pending",), AT_ONCE, but=parked)
    if fresh:
        risky = fresh[0].attempt >= RISKY
        return fresh[:1] if risky else [one for one in fresh if one.attempt < RISKY]
    rested = [
        letter
        for letter in deliveries.in_state(unit, id, ("deferred",), but=parked)
        if letter.settled_at is None or letter.settled_at + _rests(letter.attempt) <= now
    ]
    return rested[:AT_ONCE]


def _rests(tries: int) -> timedelta:
    """How long a letter, or a sender, rests after so many tries."""
    waits: int = 3 ** min(max(0, tries - 1), 8)
    return min(RETRY_AFTER * waits, LONGEST_REST)


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
    waiting = deque(office.units.run("claim", lambda unit: _claim(run, unit, opened)))
    while waiting:
        started = time.monotonic()
        item, payload = waiting[0]
        why = _last_look(run, item)
        if why == "held":
            _give_back(run, waiting, "held before it left")
            return False
        waiting.popleft()
        if why:
            _drop(run, item, why)
            continue
        outcome = _hand_over(run, item, payload)
        if _about_the_server(outcome):
            _give_back(run, [(item, payload), *waiting], "the mail server took nothing from us")
            _rest(run, outcome)
            return False
        _record(run, item, outcome)
        if _about_the_sender(outcome):
            same = [one for one in waiting if one[0].partner == item.partner]
            _give_back(run, same, "the mail server took nothing from its sender")
            waiting = deque(one for one in waiting if one[0].partner != item.partner)
            _park(run, item.partner, outcome)
        elif not isinstance(outcome, InDoubt):
            office.parked.get(run.one.id, {}).pop(item.partner, None)
        office.sleep(max(0.0, run.interval - (time.monotonic() - started)))
    return office.units.run("mail-progress", lambda unit: _progress(run, unit))


def _opened(run: _Run, batch: Sequence[Delivery]) -> list[_Opened]:
    """Open the rows of a batch. A row that does not open is dropped alone."""
    points, rows = _points(run), _rows(run, batch)
    # Asked last before keys are derived: who is known to be left out by now is never opened.
    why = run.office.units.read("mail-before", lambda unit: _left_out(run, unit, batch))
    opened = []
    for item in batch:
        lock = bytes.fromhex(item.lock)
        row, point = rows.get((item.bundle, item.row)), points.get(lock)
        if item.id in why:
            _drop(run, item, why[item.id])
            continue
        if row is None or point is None:
            _drop(run, item, "withdrawn")
            continue
        try:
            payload = run.office.open_row(row, point)
            key = stops.stop_key(run.office.keys.stop, payload.email).hex()
        except UnsealRefused:
            _ask_for_proofs(run, lock)
            _drop(run, item, "its row does not open; it was sealed wrongly")
        except MailerError:
            _drop(run, item, "its address is not one")
        except Exception as error:
            # Whatever is strange about one row must not hold up the others, nor be met for ever.
            _drop(run, item, f"its row does not open ({type(error).__name__})")
        else:
            opened.append((item, payload, key))
    return opened


def _left_out(run: _Run, unit: Unit, batch: Sequence[Delivery]) -> dict[str, str]:
    """Why letters must not leave, as far as that is known without opening their rows."""
    now, too_loud = run.office.clock(), loud(unit, run.one.race)
    found = {item.id: _hindrance(run, unit, item, None, too_loud, now) for item in batch}
    return {id: why for id, why in found.items() if why}


def _ask_for_proofs(run: _Run, lock: bytes) -> None:
    """Find out whether a custodian lied: then its answers go, and nobody's letter is dropped."""
    try:
        run.office.custodians.find_liar(run.one.id, lock)
    except Exception:
        run.office.points.pop(run.one.id, None)
        raise


def _claim(run: _Run, unit: Unit, opened: Sequence[_Opened]) -> list[tuple[Delivery, Payload]]:
    """Commit, before the first byte, that these letters may be on their way."""
    office, now = run.office, run.office.clock()
    if lease(office, unit, run.one.id) != run.fence:
        raise LeaseLost("another mailer has this campaign")
    if campaigns.get(unit, run.one.id).state != "sending":
        return []
    too_loud = loud(unit, run.one.race)
    taken = []
    for item, payload, key in opened:
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
    stop_key: str | None,
    too_loud: Sequence[str],
    now: datetime,
) -> str:
    """Why this letter must not leave, or nothing; without a stop key, as far as is known then."""
    if _stopped(run, unit, item, stop_key, too_loud):
        return "stopped"
    by_person = run.terms.once == "person"
    before = deliveries.sent_at(
        unit,
        run.one.race,
        stop_key=stop_key,
        address_token=item.address_token or None,
        person=item.person if by_person else None,
    )
    try:
        caps.within(run.terms.caps, before, now)
    except CapReached:
        return "capped"
    if contributions.get(unit, item.bundle).state == "withdrawn":
        return "withdrawn"
    return ""


def _stopped(
    run: _Run, unit: Unit, item: Delivery, stop_key: str | None, too_loud: Sequence[str]
) -> bool:
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
    """Write the letter and hand it over. What goes wrong with one goes wrong with it alone."""
    try:
        sender, recipient, message = _letter(run, item, payload)
    except Exception as error:
        # Before any byte. The class says enough; no text about a person goes anywhere.
        return Failed(0, f"it cannot be written ({type(error).__name__})", "rcpt")
    try:
        return run.transport.send(sender, recipient, message)
    except MailerError as error:
        return Failed(0, f"it cannot be written ({type(error).__name__})", "rcpt")
    except Exception as error:
        # Nobody knows how far it came, and the session may be in the middle of it.
        with suppress(Exception):
            run.transport.close()
        return InDoubt(f"the transport met a fault ({type(error).__name__})")


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


def _about_the_server(outcome: Outcome) -> bool:
    """Whether the server cannot be spoken with: it would be the same for every letter."""
    return isinstance(outcome, Deferred | Failed) and (
        outcome.stage == "connect" or (outcome.stage == "mail" and not outcome.code)
    )


def _about_the_sender(outcome: Outcome) -> bool:
    """Whether the server refused our return path: the same for every letter of that partner."""
    return isinstance(outcome, Deferred | Failed) and outcome.stage == "mail"


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
        case Failed() if not _about_the_sender(outcome):
            state = "failed"
        case Deferred() | Failed():
            state = "failed" if item.attempt >= settle.MOST_TRIES else "deferred"
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


def _give_back(run: _Run, rest: Iterable[tuple[Delivery, Payload]], why: str) -> None:
    """Put letters back that this worker knows it never began; it was no attempt of theirs."""

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
                untried=True,
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


def _park(run: _Run, partner: str, outcome: Outcome) -> None:
    """Leave one partner's letters alone for a while; the others' go on."""
    office, id = run.office, run.one.id
    parked = office.parked.setdefault(id, {})
    tries = parked[partner].tries + 1 if partner in parked else 1
    code = outcome.code if isinstance(outcome, Deferred | Failed) else 0
    why = (
        f"the mail server, which takes nothing from {run.terms.party(partner).domain} ({code});"
        " it is tried again"
    )
    parked[partner] = Rest(tries, office.clock() + _rests(tries), why)
    _wait(office, id, why)


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
    parked = office.parked.get(id, {}).values()
    waits = "; ".join(rest.why for rest in parked)[:200]
    campaigns.change(unit, id, progress=settle.progress(office, unit, still), waiting_for=waits)
    return True


# Opening


def _points(run: _Run) -> dict[bytes, bytes]:
    """The custodians' points for the whole released set, kept in this process's memory only."""
    office, one = run.office, run.one
    assert one.manifest is not None
    assert one.nonce is not None
    assert one.audience_digest is not None
    agreement = office.units.read("mail-race", lambda unit: races.get(unit, one.race)).agreement
    # Exactly what custodians accepted: a database changed afterwards finds no points here.
    accepted = f"{one.digest} {one.root} {hashlib.sha256(agreement).hexdigest()}"
    known = office.points.get(one.id)
    if known is not None and known[0] == accepted:
        return known[1]
    with office.artefacts.open(one.audience_digest) as path:
        locks = [row.lock for row in frames.read_audience(path)]
    # Remembered before anybody is asked: what may be open anywhere is closed there in the end.
    office.units.run("mail-opening", lambda unit: deliveries.opening(unit, one.id))
    points = office.custodians.shared(
        one.manifest,
        agreement=agreement,
        evidence=office.units.read("mail-evidence", lambda unit: _evidence(office, unit, one)),
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
    """The sealed rows of a batch and of the letters after it; a withdrawn bundle's are absent."""
    office = run.office
    kept = office.rows.setdefault(run.one.id, {})
    named = {item.bundle for item in batch} | {bundle for bundle, _ in kept}
    live = {
        one.id: one
        for one in office.units.read(
            "mail-bundles", lambda unit: [contributions.get(unit, id) for id in sorted(named)]
        )
        if one.wrapped is not None and office.artefacts.exists(one.rows_digest)
    }
    for place in [place for place in kept if place[0] not in live]:
        del kept[place]
    if all((item.bundle, item.row) in kept for item in batch if item.bundle in live):
        return kept
    kept.clear()
    ahead = office.units.read(
        "mail-rows", lambda unit: deliveries.in_state(unit, run.one.id, ("pending",), KEPT)
    )
    wanted: dict[str, set[int]] = {}
    for item in [*batch, *ahead]:
        wanted.setdefault(item.bundle, set()).add(item.row)
    for bundle, numbers in wanted.items():
        one = live.get(bundle)
        if one is None or one.wrapped is None:
            continue
        with office.artefacts.open(one.rows_digest) as path:
            for row, tag, lock, sealed in frames.read_sealed(path, sorted(numbers)):
                kept[bundle, row] = SealedRow(bundle, tag, lock, sealed, one.wrapped, one.header)
    return kept

"""The approved mailing goes out, once.

Order of what is durable: letters planned -> each batch claimed (committed) -> bytes to the MTA ->
outcomes written; those of letters that were taken together, a quarter of a second later at most,
where the MTA has a log. A crash before the claim has sent nothing. A crash after it leaves claimed
letters, whether they had left or not; ``settle.recover`` finds them in the MTA's own log, or puts
them back when the log proves that they never arrived, or leaves them in doubt for a person.
"""

import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from consortium.service import (
    agree,
    approve,
    assign,
    draft,
    keep_free,
    lanes,
    live_with,
    outlast,
    put_back,
    settle,
    try_out,
    vet,
    warm,
)
from consortium.service.claim import Opened, claim, drop, last_look
from consortium.service.coordinate import ahead, urgency
from consortium.service.hand_over import (
    about_the_sender,
    about_the_server,
    give_back,
    hand_over,
    park,
    record,
    rest,
    rests,
    tell,
    wait,
)
from consortium.service.letters import Letters
from consortium.service.plan import plan, set_aside
from consortium.service.post_office import (
    Custodians,
    Doubts,
    MailKeys,
    PostOffice,
    Run,
    SealedRow,
    lease,
)
from consortium.service.release import open_rows
from consortium.service.withhold import look
from consortium.store import begun, campaigns, claims, deliveries, races, suppressions
from consortium.store.deliveries import Delivery
from consortium.store.unit import Unit
from mailer import pace
from mailer.seal import Payload
from mailer.transports import InDoubt
from policies import caps
from policies.agreement import Agreement
from policies.authorise import Caller, require
from policies.errors import NotNow

__all__ = ["Custodians", "Doubts", "MailKeys", "PostOffice", "SealedRow", "due", "send"]

AT_ONCE = 50
RISKY = 2
"""A letter at which this many workers died may be why: it is claimed alone, and costs no other."""
HELD = "held before it left"
WAY = "another race's election is nearer: what it writes goes first, all through this one's window"
SPREAD = 0.8
"""Share of a campaign's time over which its letters are spread at most."""


def due(office: PostOffice) -> list[str]:
    """Campaigns that are scheduled or half sent, that a worker left letters of, or that are over
    while custodians may still answer for them; of the first, the soonest election's first."""
    now = office.clock()

    def look_up(unit: Unit) -> list[str]:
        listed = campaigns.listed(unit, states=("logged", "sending"))
        found = [one for one in listed if one.scheduled is not None and one.scheduled <= now]
        terms = {race: agree.terms(unit, race) for race in {one.race for one in found}}
        found.sort(key=lambda one: urgency(terms[one.race], one))
        ready = [one.id for one in found]
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
        kept = office.units.read("mail-days", lambda unit: keep_free.days(unit, one.race))
        caps.may_send_at(terms, now, kept)
    except NotNow as later:
        wait(office, id, str(later))
        return
    if now < office.rest.get(id, now):
        return
    approve.unchanged(
        one, terms, office.units.read("mail-agreed", lambda u: races.get(u, one.race))
    )
    if one.state == "logged" and (why := _red(office, one, terms, now)):
        wait(office, id, f"{why}; the operator has to mend it")
        return
    if office.units.read("mail-facts", lambda unit: approve.outdated(unit, one, terms)):
        # Whoever reads an old polling place goes there.
        wait(office, id, "a letter drafted anew: facts of places were loaded that differ from it")
        return
    put_back.look(office.units, office.marks)
    if one.state == "logged" and _seeds(office, one, now):
        return
    plan(office, one, terms, fence)
    _work(office, one, terms, fence, closes, until=time.monotonic() + seconds)


def _red(office: PostOffice, one: campaigns.Campaign, terms: Agreement, now: datetime) -> str:
    """Whether receivers would refuse a first letter, and why; later ones are the breaker's."""
    assert one.manifest is not None
    sources = one.manifest["sources"]
    return office.units.read("mail-domains", lambda unit: vet.red(unit, terms, sources, now))


def _seeds(office: PostOffice, one: campaigns.Campaign, now: datetime) -> str:
    """Why the seeds' letters hold up everybody else's."""
    return office.units.run("mail-seeds", lambda unit: try_out.seeds_hold(unit, one, now))


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
    set_aside(office, one, terms, fence)
    assign.hand_on(office, one, terms, fence)
    if not _next(office, one, terms):
        settle.close(office, one, late=False)
        return
    planned = office.units.read("mail-size", lambda unit: deliveries.count(unit, one.id))
    # The letters fit into the time that the noised size takes, however many they are.
    fits = SPREAD * outlast.lasts(office, one).total_seconds() / max(1, sum(planned.values()))
    transport = office.transport()
    run = Run(
        office,
        one,
        terms,
        fence,
        closes,
        Letters(office, one, terms),
        transport,
        min(1 / office.per_second, fits),
    )
    try:
        while time.monotonic() < until:
            set_aside(office, one, terms, fence)
            assign.hand_on(office, one, terms, fence)
            look(office, one)
            live_with.look(office, one, terms)
            batch = _next(office, one, terms)
            if not batch:
                settle.close(office, one, late=False)
                return
            if not _send_batch(run, batch):
                return
    finally:
        transport.close()


def _next(office: PostOffice, one: campaigns.Campaign, terms: Agreement) -> list[Delivery]:
    """The next letters. Whom a nearer election's campaign is about to write to waits for it.

    The end must not tell whether somebody does: a campaign that gives way takes its whole window.
    """
    now = office.clock()
    first = office.units.read("mail-ahead", lambda unit: ahead(unit, terms, one, now))
    if first:
        office.units.run("mail-way", lambda unit: begun.slow_down(unit, one.id, WAY))
    return office.units.read("mail-batch", lambda u: _ready(office, u, one.id, terms, first))


def _ready(
    office: PostOffice, unit: Unit, id: str, terms: Agreement, first: Sequence[str]
) -> list[Delivery]:
    """The next letters: fresh ones first; one that two workers died at is tried alone."""
    if campaigns.get(unit, id).state != "sending":
        return []
    now = office.clock()
    parked = [partner for partner, rest in office.parked.get(id, {}).items() if now < rest.until]
    used_up = warm.used_up(office, unit, terms, _sources(campaigns.get(unit, id)), now)
    full = [one for one, room in assign.resting(unit, terms, now).items() if not room]
    waits = lanes.held(office, id, now)
    if lanes.full(office, id):
        return []
    only: dict[str, Any] = {
        "but": [*parked, *used_up],
        "unsigned": full,
        "today": caps.local_day(terms, now),
        "without": waits,
        "behind": first,
        "by_person": terms.by_person,
    }
    fresh = deliveries.in_state(unit, id, ("pending",), AT_ONCE, **only)
    if fresh:
        risky = fresh[0].attempt >= RISKY
        return fresh[:1] if risky else [one for one in fresh if one.attempt < RISKY]
    rested = [
        letter
        for letter in deliveries.in_state(unit, id, ("deferred",), **only)
        if letter.settled_at is None or letter.settled_at + rests(letter.attempt) <= now
    ]
    return rested[:AT_ONCE]


def _sources(one: campaigns.Campaign) -> Sequence[str]:
    return list((one.manifest or {}).get("sources", ()))


def _send_batch(run: Run, batch: Sequence[Delivery]) -> bool:
    """Open, claim, send and settle up to fifty letters. Returns whether to go on."""
    office = run.office
    for item in batch:
        run.letters.ready(item)  # what cannot be written is not claimed
    opened = lanes.pass_by(run, open_rows(run, batch))
    waiting = _claimed(run, opened)
    try:
        went = _send_each(run, waiting)
    except Exception:
        # The log knows of these letters, too; but what is known already need not be looked up.
        with suppress(Exception):
            tell(run)
        raise
    tell(run)
    return went and office.units.run("mail-progress", lambda unit: _progress(run, unit))


def _claimed(run: Run, opened: Sequence[Opened]) -> deque[tuple[Delivery, Payload]]:
    """Claim letters, and note outside the database that some were, before any of them leaves."""
    office, id = run.office, run.one.id

    def work(unit: Unit) -> tuple[list[tuple[Delivery, Payload]], int]:
        taken = claim(run, unit, opened)
        return taken, put_back.count(unit, id, office.marks) if taken else 0

    taken, turns = office.units.run("claim", work)
    if taken and office.marks is not None:
        try:
            office.marks.keep(claims.mark(id), turns)
        except OSError:
            give_back(run, taken, HELD)
            raise
    return deque(taken)


def _send_each(run: Run, waiting: deque[tuple[Delivery, Payload]]) -> bool:
    """Send claimed letters, or give them back. Returns whether to go on."""
    office = run.office
    while waiting:
        soon, (item, payload) = lanes.next_due(run, waiting)
        if soon > lanes.WORTH.total_seconds():
            waiting.appendleft((item, payload))
            resting, _ = lanes.to_rest(run, waiting)
            give_back(run, resting, HELD)
            break
        if soon > 0:
            tell(run, soon=soon)
            office.sleep(soon)
        started = time.monotonic()
        why = last_look(run, item)
        if why == "held":
            give_back(run, [(item, payload), *waiting], HELD)
            return False
        if why == assign.UNSIGNED:
            give_back(run, [(item, payload)], why)
            continue
        if why:
            drop(run, item, why)
            continue
        outcome = hand_over(run, item, payload, started)
        if about_the_server(outcome):
            give_back(run, [(item, payload), *waiting], "the mail server took nothing from us")
            rest(run, outcome)
            return False
        record(run, item, outcome)
        if lanes.heard(run, payload, outcome):
            resting, waiting = lanes.to_rest(run, waiting)
            give_back(run, resting, HELD)
        if about_the_sender(outcome):
            same = [one for one in waiting if one[0].partner == item.partner]
            give_back(run, same, "the mail server took nothing from its sender")
            waiting = deque(one for one in waiting if one[0].partner != item.partner)
            park(run, item.partner, outcome)
        elif not isinstance(outcome, InDoubt):
            office.parked.get(run.one.id, {}).pop(item.partner, None)
        rest_of_it = max(0.0, run.interval - (time.monotonic() - started))
        tell(run, soon=rest_of_it)
        office.sleep(rest_of_it)
    return True


def _progress(run: Run, unit: Unit) -> bool:
    """Say how far it is, and whether to go on."""
    office, id = run.office, run.one.id
    lease(office, unit, id)
    still = campaigns.get(unit, id)
    if still.state != "sending":
        return False
    tally = pace.Tally(
        sent=deliveries.count(unit, id).get("sent", 0),
        complaints=suppressions.suppressions(unit, id, "complaint"),
        hard=suppressions.suppressions(unit, id, "hard"),
    )
    verdict = pace.breaker(tally)
    if verdict.state == "stop":
        campaigns.change(
            unit, id, state="paused", before_pause="sending", waiting_for=f"paused: {verdict.why}"
        )
        return False
    parked = office.parked.get(id, {}).values()
    now = office.clock()
    said = [verdict.why] if verdict.state == "warn" else []
    said += [one.why for one in parked]
    said += [lanes.SLOWED] if office.lanes.resting(now) else []
    said += [why] if (why := outlast.waits(unit, id)) else []
    waits = "; ".join(said)[:200]
    campaigns.change(unit, id, progress=outlast.progress(office, unit, still), waiting_for=waits)
    return True

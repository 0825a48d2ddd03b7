"""A claimed letter is written and handed to the mail server, and what that said is kept."""

import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta

from consortium.service import hear_back, settle, warm
from consortium.service.claim import last_look
from consortium.service.plan import copies, next_copy
from consortium.service.post_office import PostOffice, Rest, Run
from consortium.store import campaigns, deliveries, outbox
from consortium.store.deliveries import Delivery
from consortium.store.errors import LeaseLost
from consortium.store.unit import Unit
from mailer import letter, stops
from mailer.errors import MailerError
from mailer.seal import Payload
from mailer.transports import Deferred, Failed, InDoubt, Outcome, Sent

RETRY_AFTER = timedelta(minutes=5)
"""After a letter's first deferral; each further one waits three times as long."""
LONGEST_REST = timedelta(hours=24)
TOLD_WITHIN = 0.25
"""Seconds after which the outbox knows at the latest that a letter was taken. A stop that came
meanwhile waits for so long."""
SERVER_RESTS = timedelta(seconds=2)
"""How long a mail server that does not answer is left alone."""


def hand_over(run: Run, item: Delivery, payload: Payload, looked: float) -> Outcome:
    """Write the letter and hand it over. What goes wrong with one goes wrong with it alone.

    Args:
        looked: when its last look began, on the monotonic clock: a process may stand still between.
    """
    try:
        sender, recipient, message = _letter(run, item, payload)
    except Exception as error:
        # Before any byte. The class says enough; no text about a person goes anywhere.
        return Failed(0, f"it cannot be written ({type(error).__name__})", "rcpt")
    try:
        return run.transport.send(
            sender, recipient, message, still=lambda: _still(run, item), looked=looked
        )
    except MailerError as error:
        return Failed(0, f"it cannot be written ({type(error).__name__})", "rcpt")
    except LeaseLost:
        # Asked before its final dot: another worker has it, and nothing of it was taken.
        run.transport.close()
        raise
    except Exception as error:
        # Nobody knows how far it came, and the session may be in the middle of it.
        with suppress(Exception):
            run.transport.close()
        return InDoubt(f"the transport met a fault ({type(error).__name__})")


def _still(run: Run, item: Delivery) -> bool:
    """Whether a letter may leave although its server keeps it waiting."""
    tell(run)
    return not last_look(run, item)


def _letter(run: Run, item: Delivery, payload: Payload) -> tuple[str, str, bytes]:
    keys, url = run.office.keys.delivery, run.office.public_url
    domain = run.terms.party(item.partner).domain
    raw = bytes.fromhex(item.id)
    token = stops.capability(keys, raw).token
    message = run.letters.write(
        item,
        payload,
        letter.Recipient(
            address=payload.email,
            message_id=stops.message_id(keys, raw, domain),
            stop_url=f"{url}/u/{token}",
            stop_mailto=f"stop-{token}@{domain}",
            facts={"why_url": f"{url}/why/{token}"},
        ),
    )
    return stops.verp_address(keys, raw, domain), payload.email, message


def about_the_server(outcome: Outcome) -> bool:
    """Whether it would be the same for every letter, as nothing but the server is why.

    Nobody to speak with; or no room, or no service now (4.3.x, and 421 and 452 by themselves),
    said before any recipient was named.
    """
    if not isinstance(outcome, Deferred | Failed):
        return False
    if outcome.stage == "connect" or (outcome.stage == "mail" and not outcome.code):
        return True
    bare = not outcome.enhanced and outcome.code in (421, 452)
    says_so = isinstance(outcome, Deferred) and (bare or outcome.enhanced.startswith("4.3."))
    return outcome.stage == "mail" and says_so


def about_the_sender(outcome: Outcome) -> bool:
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


def record(run: Run, item: Delivery, outcome: Outcome) -> None:
    """Write what became of a letter; that one was taken, together with the next ones.

    Until then such a letter is claimed, as all of its batch are. A crash leaves it so, and its
    server's log says that it was taken: so where there is no log, each is written by itself.
    """
    office = run.office
    if isinstance(outcome, Sent) and office.doubts is not None:
        run.taken_at = run.taken_at if run.taken else time.monotonic()
        run.taken.append((item, outcome))
        tell(run, soon=0.0)
        return
    state, queue_id = "in_doubt", None
    match outcome:
        case Sent():
            state, queue_id = "sent", outcome.queue_id
        case Failed() if not about_the_sender(outcome):
            state = "failed"
        case Deferred(code=0) if item.attempt == 1:
            state = "pending"  # the line broke before the dot: once that says nothing of the letter
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
        warm.count(office, unit, run.terms, item.partner, outcome, now)
        if dead:
            hear_back.dead(unit, deliveries.get(unit, item.id), now)
            next_copy(office, unit, run.one, run.terms, others, item)

    office.units.run("settle", write)


def tell(run: Run, *, soon: float | None = None) -> None:
    """Write that letters were taken.

    Args:
        soon: seconds until one could next do it; without, it is done now.

    Raises:
        LeaseLost: another worker has this campaign, and the word on what was not written.
    """
    if not run.taken:
        return
    if soon is not None and time.monotonic() + soon < run.taken_at + TOLD_WITHIN:
        return
    office = run.office

    def write(unit: Unit) -> int:
        now = office.clock()
        letters = [outbox.Taken(one.id, said.text, said.queue_id) for one, said in run.taken]
        for one, said in run.taken:
            warm.count(office, unit, run.terms, one.partner, said, now)
        return outbox.taken(unit, letters, fence=run.fence, now=now)

    lost = office.units.run("settle", write)
    run.taken.clear()
    if lost:
        raise LeaseLost("letters are another worker's now")


def give_back(run: Run, unsent: Iterable[tuple[Delivery, Payload]], why: str) -> None:
    """Put letters back that this worker knows it never began; it was no attempt of theirs."""

    def write(unit: Unit) -> None:
        for item, _ in unsent:
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


def rest(run: Run, outcome: Outcome) -> None:
    office, id = run.office, run.one.id
    office.rest[id] = office.clock() + SERVER_RESTS
    stage = outcome.stage if isinstance(outcome, Deferred | Failed) else "connect"
    code = outcome.code if isinstance(outcome, Deferred | Failed) else 0
    if stage == "connect" and not code:
        wait(office, id, "the mail server, which does not answer; it is tried again")
        return
    said = f" ({code})" if code else ""
    wait(office, id, f"the mail server, which takes nothing from us{said}; it is tried again")


def park(run: Run, partner: str, outcome: Outcome) -> None:
    """Leave one partner's letters alone for a while; the others' go on."""
    office, id = run.office, run.one.id
    parked = office.parked.setdefault(id, {})
    tries = parked[partner].tries + 1 if partner in parked else 1
    code = outcome.code if isinstance(outcome, Deferred | Failed) else 0
    why = (
        f"the mail server, which takes nothing from {run.terms.party(partner).domain} ({code});"
        " it is tried again"
    )
    parked[partner] = Rest(tries, office.clock() + rests(tries), why)
    wait(office, id, why)


def rests(tries: int) -> timedelta:
    """How long a letter, or a sender, rests after so many tries."""
    waits: int = 3 ** min(max(0, tries - 1), 8)
    return min(RETRY_AFTER * waits, LONGEST_REST)


def wait(office: PostOffice, id: str, why: str) -> None:
    office.units.run("mail-wait", lambda unit: campaigns.change(unit, id, waiting_for=why[:200]))

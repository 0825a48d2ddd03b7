"""What became of letters whose worker died, and when a campaign is over.

A letter is settled from the mail server's own log, or stays in doubt for a person. Nothing here
sends.
"""

from datetime import datetime, timedelta

from consortium.service import enter, outlast
from consortium.service.post_office import PostOffice, hold
from consortium.store import campaigns, deliveries
from consortium.store.deliveries import UNSENT, Delivery
from consortium.store.unit import Unit
from mailer import stops

LOOK_AGAIN = timedelta(minutes=5)
ASK_AGAIN = timedelta(seconds=30)
"""How long custodians that gave no total are left alone."""
MOST_TRIES = 6
OVER = ("stopped", "closed")
DOUBTS = "the mail server's log, or a person, to say whether the last letters were taken"


def recover(office: PostOffice, one: campaigns.Campaign, fence: int) -> None:
    """Settle letters that some worker left between claim and outcome, in whatever state it is.

    The caller holds the campaign's lease, so nobody is sending: whoever claimed these has ended or
    can no longer send its last dot. The wait begins when they are first found here, since only
    then is that so; the claim may be minutes older than its worker's death.
    """
    states = ("claimed", "in_doubt") if office.doubts is not None else ("claimed",)
    left = office.units.read("doubts", lambda unit: deliveries.in_state(unit, one.id, states))
    now = office.clock()
    for item in left:
        due = office.found.setdefault(item.id, now + office.settled_after)
        if now < due:
            continue  # the dead worker's session may still be open at the mail server
        state, text, queue_id = _look_up(office, one, item)
        if (state, item.state) == ("in_doubt", "in_doubt"):
            office.found[item.id] = now + LOOK_AGAIN
            continue
        if state == "pending" and one.state in OVER:
            state = "dropped"
        if state == "pending" and item.attempt >= MOST_TRIES:
            state, text = "failed", f"{item.attempt} tries ended before its outcome was known"
        _settle(office, one.id, item, fence, state, text, queue_id)
        office.found.pop(item.id, None)


def _look_up(
    office: PostOffice, one: campaigns.Campaign, item: Delivery
) -> tuple[str, str, str | None]:
    assert one.manifest is not None
    if office.doubts is not None and item.claimed_at is not None:
        domain = one.manifest["sender"][item.partner]["domain"]
        raw, key = bytes.fromhex(item.id), office.keys.delivery
        verp = stops.verp_address(key, raw, domain)
        # Asked before and after: a log that is replaced while it is searched proves nothing.
        try:
            complete = office.doubts.complete_since(item.claimed_at)
            queue_id = office.doubts.accepted(verp)
            begun = office.doubts.begun(stops.message_id(key, raw, domain), item.claimed_at)
            complete = complete and office.doubts.complete_since(item.claimed_at)
        except OSError:
            return "in_doubt", "the mail server's log cannot be read", None
        if queue_id is not None:
            return "sent", "found in the mail server's log", queue_id
        if begun:
            return "in_doubt", "the mail server began to take it, and its log shows no end", None
        if complete:
            return "pending", "the mail server's log shows that it was never taken", None
    return "in_doubt", "no log can tell whether it was taken", None


def _settle(
    office: PostOffice,
    campaign: str,
    item: Delivery,
    fence: int,
    state: str,
    text: str,
    queue_id: str | None,
) -> None:
    def write(unit: Unit) -> None:
        hold(office, unit, campaign, fence)
        now_is = deliveries.get(unit, item.id)
        if (now_is.state, now_is.fence) != (item.state, item.fence):
            return  # a person decided meanwhile
        deliveries.settle(
            unit,
            item.id,
            fence=item.fence,
            state=state,
            outcome=text,
            queue_id=queue_id,
            now=office.clock(),
        )

    office.units.run("settle-left", write)


def close(office: PostOffice, one: campaigns.Campaign, *, late: bool) -> None:
    """End a campaign when nothing is left and the time that its noised size takes is over.

    ``outlast`` says when: neither the exact number of letters nor a limit shows in it.
    """
    now = office.clock()

    def over(unit: Unit) -> bool:
        still = campaigns.get(unit, one.id)
        if still.state not in ("logged", "sending"):
            return False
        if late:
            return True
        left = deliveries.count(unit, one.id)
        if any(left.get(state, 0) for state in (*UNSENT, "claimed")):
            return False
        if left.get("in_doubt", 0):
            # Decided to be unsent, one must still be able to leave: open until the window closes.
            campaigns.change(unit, one.id, waiting_for=DOUBTS)
            return False
        if now < outlast.ends(office, unit, one):
            said = {"waiting_for": outlast.waits(unit, one.id)}
            campaigns.change(unit, one.id, progress=outlast.progress(office, unit, one), **said)
            return False
        return True

    def end(unit: Unit) -> bool:
        if not over(unit):
            return False
        drop_unsent(unit, one.id, "the window closed", now)
        campaigns.change(unit, one.id, state="closed", progress=100, waiting_for="", closed=now)
        return True

    if office.units.run("mail-close", end):
        office.forget(one.id)
        close_at_custodians(office, one)


def tidy(office: PostOffice, one: campaigns.Campaign) -> None:
    """Take back what a campaign that was stopped had not sent yet."""

    def drop(unit: Unit) -> None:
        if campaigns.get(unit, one.id).state in OVER:
            drop_unsent(unit, one.id, "the campaign ended", office.clock())

    office.units.run("mail-tidy", drop)
    office.forget(one.id)


def close_at_custodians(office: PostOffice, one: campaigns.Campaign) -> None:
    """Have custodians close a campaign that is over, until so many did that none can open it.

    Whether they have is kept, so a crash or an absence only puts it off.
    """
    opened = office.units.read("mail-opened", lambda unit: one.id in deliveries.to_close(unit))
    if not opened or not asks_again(office, one.id):
        return
    office.asked[one.id] = office.clock() + ASK_AGAIN
    if office.custodians.close(one.id):
        office.units.run("mail-closed", lambda unit: _closed(office, unit, one.id))
        office.asked.pop(one.id, None)


def _closed(office: PostOffice, unit: Unit, campaign: str) -> None:
    """No custodian opens it again: the log is told how many letters left at most.

    In one transaction with the note that it is closed, so it is said once. Custodians stated how
    many rows they opened before; who opens these entries can compare.
    """
    deliveries.closed_at_custodians(unit, campaign)
    if office.pen is not None:
        done = deliveries.count(unit, campaign)
        letters = sum(done.get(state, 0) for state in ("sent", "in_doubt", "claimed"))
        facts = {"kind": "closed", "campaign": campaign, "letters": letters}
        enter.write(unit, office.pen, "sent", facts, now=office.clock())


def asks_again(office: PostOffice, campaign: str) -> bool:
    """Whether custodians were left alone long enough."""
    now = office.clock()
    return office.asked.get(campaign, now) <= now


def drop_unsent(unit: Unit, campaign: str, why: str, now: datetime) -> bool:
    """Drop what has not left. Returns whether there was anything."""
    left = deliveries.in_state(unit, campaign, UNSENT)
    for item in left:
        deliveries.drop(unit, item.id, why, now)
    return bool(left)

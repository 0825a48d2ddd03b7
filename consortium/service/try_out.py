"""A letter is tried out: on its author's own proven address, and on consenting seeds before all.

Nobody's row is ever read for it: the person written to is made up, and its links stop nothing. The
address is sealed before it comes here, and opened by the mail machine alone.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from consortium.service import agree, draft, locate, preview
from consortium.service.errors import NotReady, WrongState
from consortium.service.hand_over import about_the_server
from consortium.service.pass_on import Postmaster, write_notice
from consortium.store import actors, campaigns, races, suppressions, trials
from consortium.store.campaigns import Campaign
from consortium.store.errors import Missing
from consortium.store.trials import OwnBox, Trial
from consortium.store.unit import Unit
from mailer import letter, notices, stops
from mailer.findings import Finding
from mailer.places import Place
from mailer.transports import Failed, InDoubt, Outcome, Sent
from policies.agreement import Agreement, Party
from policies.authorise import Caller, require
from policies.errors import Denied

OWN = "own"
"""What an address that one of our own people types is sealed for."""
MARK = "[Test] "
DAY = timedelta(days=1)
MOST_ASKS = 3
"""Addresses that an actor may name in a day: each is written to once, whoever reads it."""
MOST_TESTS = 10
"""Test letters that an actor may have in a day."""
PROVE_WITHIN = timedelta(days=3)
AT_ONCE = 20
SEED_WAIT = timedelta(minutes=10)
"""From the last seed letter that was taken to the first letter to anybody else."""
LOST_AFTER = timedelta(minutes=5)
POINT = "Seed test"


@dataclass(frozen=True, slots=True)
class OwnView:
    """What may be shown of an actor's address: never the address."""

    role: str
    name: str
    state: str


# -- what our own people ask ----------------------------------------------------------------------


def type_box(unit: Unit, caller: Caller, sealed: bytes | None, now: datetime) -> str:
    """An actor names its own address, sealed before it came here; None: no longer any.

    Raises:
        Denied: neither a coordinator nor a partner.
        NotReady: three were named within a day.
    """
    if caller.role not in ("coordinator", "partner"):
        raise Denied("see_campaign", "only coordinators and partners have letters sent to them")
    require(caller, "see_campaign")
    if sealed is None:
        trials.drop_box(unit, caller.id)
        return ""
    if trials.asked(unit, caller.id, "ask", now - DAY) >= MOST_ASKS:
        raise NotReady(f"{MOST_ASKS} addresses were named within a day; try again tomorrow")
    trials.add(unit, Trial(secrets.token_hex(16), caller.id, None, "ask", "sent", "", now))
    trials.put_box(unit, OwnBox(caller.id, sealed, "typed", None, now))
    unit.after("returns")
    return "typed"


def own(unit: Unit, caller: Caller) -> str:
    """How far the caller's own address is: typed, asked, proven, or empty for none."""
    found = trials.box(unit, caller.id)
    return "" if found is None else found.state


def order(unit: Unit, caller: Caller, id: str, now: datetime) -> str:
    """Have a campaign's letter sent to its author's own address, once more with each call.

    Raises:
        Denied, Missing: the caller did not write it.
        WrongState: no address is proven.
        NotReady: ten were sent within a day.
    """
    one = campaigns.get(unit, id)
    require(caller, "draft", term=agree.term(unit, one.race, now))
    if one.author != caller.id:
        raise Missing("no campaign of yours has that id")
    if own(unit, caller) != "proven":
        raise WrongState("no address of yours is proven yet: name it, and open the link sent there")
    if trials.asked(unit, caller.id, "test", now - DAY) >= MOST_TESTS:
        raise NotReady(f"{MOST_TESTS} test letters were sent within a day; try again tomorrow")
    new = Trial(secrets.token_hex(16), caller.id, id, "test", "waiting", "", now)
    trials.add(unit, new)
    unit.after("returns")
    return new.id


def asked_box(unit: Unit, token: str) -> OwnView:
    """Whose address is asked about under a link, or ``Missing``."""
    found = _asked(unit, token)
    who = actors.get(unit, found.actor)
    return OwnView(who.role, who.name, found.state)


def prove_box(unit: Unit, token: str, *, yes: bool) -> None:
    """Whoever reads an address says that letters may come there, or that they may not."""
    found = _asked(unit, token)
    if not yes:
        trials.drop_box(unit, found.actor)
    elif found.state == "asked":
        trials.put_box(unit, replace(found, state="proven", at=unit.now))


def _asked(unit: Unit, token: str) -> OwnBox:
    found = trials.box_by_link(unit, stops.stored_hash(token).hex())
    if found.state != "proven" and found.at + PROVE_WITHIN <= unit.now:
        raise Missing("no address waits under that link")
    return found


# -- what leaves ----------------------------------------------------------------------------------


def turn(master: Postmaster) -> None:
    """Ask about addresses, and send what waits. Repeatable; each step is safe to cut off."""
    units, now = master.units, master.clock()
    units.run("own-forget", lambda unit: trials.forget_unproven(unit, now - PROVE_WITHIN))
    for box in units.read("own-typed", lambda unit: trials.boxes(unit, "typed", AT_ONCE)):
        _ask(master, box)
    for one in units.read("trials", lambda unit: trials.waiting(unit, AT_ONCE)):
        _send(master, one)


def _ask(master: Postmaster, box: OwnBox) -> None:
    """Seal a typed address to the mail machine itself, and ask whoever reads it, once."""
    to, key = master.typed(box.sealed, OWN)
    about = f"own {box.actor} {hashlib.sha256(box.sealed).hexdigest()}"
    link = master.link(about)

    def asks(unit: Unit) -> tuple[Party, str] | None:
        if trials.box(unit, box.actor) != box:
            return None  # another was typed meanwhile
        if not to or suppressions.for_good(unit, key):
            trials.drop_box(unit, box.actor)
            return None
        sealed = master.seal(to.encode(), f"own {box.actor}")
        trials.put_box(unit, OwnBox(box.actor, sealed, "asked", link.stored.hex(), master.clock()))
        return _first_party(unit), actors.get(unit, box.actor).role

    if (found := master.units.run("own-asked", asks)) is not None:
        text = notices.own(found[1], f"{master.public_url}/own/{link.token}", PROVE_WITHIN.days)
        write_notice(master, found[0], about, to, notices.OWN, text)


def _first_party(unit: Unit) -> Party:
    """The partner whose domain our own people are written to from: the first by id."""
    terms = agree.terms(unit, races.first(unit).id)
    return min(terms.parties, key=lambda party: party.id)


def _send(master: Postmaster, one: Trial) -> None:
    """Send one: at most once, so it is marked before the first byte leaves."""
    now = master.clock()

    def going(unit: Unit) -> OwnBox | None:
        box = trials.box(unit, one.actor)
        if trials.get(unit, one.id).state != "waiting":
            return None
        known = box is not None and box.state == "proven"
        trials.move(unit, one.id, "going" if known else "failed", "" if known else "gone", now)
        return box if known else None

    box = master.units.run("trial-going", going)
    if box is None:
        return
    try:
        to = master.open_held(box.sealed, f"own {one.actor}").decode()
        outcome = _hand_over(master, one, to)
    except Exception as error:  # whatever it is, its text might quote what it met
        outcome = Failed(0, type(error).__name__, "rcpt")
    state, said = _became(outcome)
    at = master.clock()
    master.units.run("trial-sent", lambda unit: _settle(unit, one.id, state, said, at))


def _settle(unit: Unit, id: str, state: str, said: str, at: datetime) -> None:
    try:
        if trials.get(unit, id).state == "going":  # it may have come back already
            trials.move(unit, id, state, said, at)
    except Missing:
        pass  # its campaign was paused meanwhile


def _became(outcome: Outcome) -> tuple[str, str]:
    if isinstance(outcome, Sent):
        return "sent", ""
    if about_the_server(outcome):
        return "waiting", ""
    if isinstance(outcome, InDoubt):
        return "failed", "no answer"
    return "failed", f"{outcome.code} {outcome.enhanced}".strip()


def _hand_over(master: Postmaster, one: Trial, to: str) -> Outcome:
    """Write the letter to a made-up person, as it leaves otherwise, and hand it over."""
    message, sender = master.units.read("trial-write", lambda u: _write(master, u, one, to))
    transport = master.transport()
    try:
        return transport.send(sender, to, message)
    finally:
        transport.close()


def _write(master: Postmaster, unit: Unit, trial: Trial, to: str) -> tuple[letter.Letter, str]:
    assert trial.campaign is not None
    one = campaigns.get(unit, trial.campaign)
    terms = agree.terms(unit, one.race)
    sources = _sources(terms, one)
    party = terms.party(trial.actor if trial.actor in sources else sources[0])
    made = next(iter(draft.variants(terms, one.template)[0].values()))
    if trial.kind == "test":
        made = replace(made, subject=MARK + made.subject)
    facts = draft.letter_facts(terms, one, party, language=made.language)
    whole = letter.prepare(
        made,
        sender=draft.sender(one, party),
        common={name: text for name, text in facts.items() if name in made.fields},
        campaign=one.id,
        at=master.clock().replace(microsecond=0),
        signer=master.signers.get(party.id),
        place=Place(),
    )
    raw = bytes.fromhex(trial.id)
    # No letter to a person has this id, so its links and its return path lead to nobody.
    token = stops.capability(master.delivery, raw).token
    theirs = {name: preview.MADE_UP[name] for name in ("first_name", "precinct")}
    theirs |= locate.facts(unit, one.template.get("facts"), "", made.language)
    recipient = letter.Recipient(
        address=to,
        message_id=stops.message_id(master.delivery, raw, party.domain),
        stop_url=f"{master.public_url}/u/{token}",
        stop_mailto=f"stop-{token}@{party.domain}",
        facts={**theirs, "why_url": f"{master.public_url}/why/{token}"},
    )
    return whole.write(recipient), stops.verp_address(master.delivery, raw, party.domain)


def _sources(terms: Agreement, one: Campaign) -> list[str]:
    named = one.manifest["sources"] if one.manifest else [party.id for party in terms.parties]
    return sorted(named)


# -- seeds: before the first letter to anybody ----------------------------------------------------


def seeds_hold(unit: Unit, one: Campaign, now: datetime) -> str:
    """Why no letter may leave yet: the seeds' go first. Empty: they passed, or there are none.

    A seed is the proven address of somebody on a source partner's staff, who agreed to it. One
    that was refused or came back pauses the campaign; who resumes it tests again.
    """
    if campaigns.get(unit, one.id).state != "logged":
        return "somebody held or stopped it meanwhile"
    why = _holds(unit, one, now)
    if why and campaigns.get(unit, one.id).state == "logged":
        campaigns.change(unit, one.id, waiting_for=why[:200])
    return why


def _holds(unit: Unit, one: Campaign, now: datetime) -> str:
    found = trials.of(unit, one.id, "seed")
    if not found:
        found = [_seed(unit, one.id, actor, now) for actor in with_seeds(unit, _manifest(one))]
    bad = [each for each in found if _failed(each, now)]
    if bad:
        trials.drop(unit, one.id, "seed")
        why = (
            f"seed test: the letter to {bad[0].actor}'s seed {_ended(bad[0])}; nobody else got one"
        )
        campaigns.change(
            unit, one.id, state="paused", before_pause=one.state, waiting_for=f"paused: {why}"[:200]
        )
        return f"paused: {why}"
    if any(each.state != "sent" for each in found):
        unit.after("returns")
        return "the seed test: its letters leave before any other"
    if found and now < (over := max(each.at for each in found) + SEED_WAIT):
        return f"the seed test, until {draft.stamp(over)}: whether one of its letters comes back"
    return ""


def _seed(unit: Unit, campaign: str, actor: str, now: datetime) -> Trial:
    new = Trial(secrets.token_hex(16), actor, campaign, "seed", "waiting", "", now)
    trials.add(unit, new)
    return new


def _manifest(one: Campaign) -> list[str]:
    return sorted((one.manifest or {}).get("sources", ()))


def _failed(one: Trial, now: datetime) -> bool:
    # A mailer that died between mark and outcome leaves it going; what became of it nobody knows.
    lost = one.state == "going" and one.at + LOST_AFTER <= now
    return lost or one.state in ("failed", "bounced")


def _ended(one: Trial) -> str:
    if one.state == "bounced":
        return "came back"
    return f"was not taken ({one.outcome or 'no answer'})"


def with_seeds(unit: Unit, sources: Sequence[str]) -> list[str]:
    """Which of these partners have a seed."""
    boxes = {one: trials.box(unit, one) for one in sources}
    return [one for one, box in boxes.items() if box is not None and box.state == "proven"]


def came_back(unit: Unit, id: str, kind: str) -> bool:
    """Take in what came back of a test or seed letter; False when the letter is none of these.

    A seed's bounce or complaint holds its campaign, also one that has begun.
    """
    try:
        one = trials.get(unit, id)
    except Missing:
        return False
    if kind not in ("hard", "soft", "complaint", "unknown"):
        return True
    if kind == "complaint":
        trials.drop_box(unit, one.actor)
    trials.move(unit, id, "bounced")
    if one.kind == "seed" and one.campaign is not None:
        campaign = campaigns.get(unit, one.campaign)
        if campaign.state == "sending":
            why = f"paused: the letter to {one.actor}'s seed came back"
            campaigns.change(
                unit, campaign.id, state="paused", before_pause="sending", waiting_for=why
            )
    return True


def finding(unit: Unit, sources: Sequence[str]) -> Finding:
    """What is said before approval of whether seeds get the letter first."""
    have = with_seeds(unit, sources)
    without = [one for one in sources if one not in have]
    if not without:
        wait = SEED_WAIT.seconds // 60
        words = f"A seed of each partner gets it first; {wait} minutes later it goes on."
        return Finding(POINT, "green", words)
    return Finding(
        POINT,
        "none",
        f"No seed address of {', '.join(without)}: letters from there begin without a seed test.",
        "Somebody on its staff can name one: trellis partner seed.",
    )

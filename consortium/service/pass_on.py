"""A person's reply reaches the messenger, once its writer has agreed that this shows their address.

The mail machine hears it, seals it to itself and asks its writer. Until they say yes nobody reads
it; after seven days, or a no, nothing of it is left. A machine's answer is dropped before that, and
one that passes for a person's presses no button.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from consortium.service import agree, hear_back
from consortium.service.errors import NotReady, WrongState
from consortium.store import campaigns, deliveries, messengers, replies, suppressions, written_to
from consortium.store.deliveries import Delivery
from consortium.store.errors import Missing
from consortium.store.messengers import Messenger
from consortium.store.replies import Box, Held
from consortium.store.unit import Unit, Units
from mailer import notices, stops
from mailer.addresses import envelope
from mailer.bounce.reply import Reply, read_reply
from mailer.dkim import Signer
from mailer.errors import MailerError, TokenRefused
from mailer.transports import Deferred, Failed, Outcome, Transport
from policies.agreement import Party

HELD_FOR = timedelta(days=7)
MOST_REPLIES = 3
"""To one letter within these days: who makes machines answer us gets no more than that of us."""
MOST_TRIES = 5
MOST_BOXES = 3
"""Addresses that a messenger may name in a day: each is written to once, whoever reads it."""
AT_ONCE = 50
BOX = "replies"
"""What an address that a messenger types is sealed for."""


@dataclass(frozen=True, slots=True)
class Postmaster:
    """What the mail machine passes replies on with.

    Args:
        seal, open_held: to itself, and open it; bytes, and words about what they are.
        open_typed: what the web process sealed to the mailer: its purpose, and the address.
    """

    units: Units
    clock: Callable[[], datetime]
    delivery: bytes = field(repr=False)
    stop: bytes = field(repr=False)
    transport: Callable[[], Transport]
    signers: Mapping[str, Signer] = field(repr=False)
    public_url: str
    seal: Callable[[bytes, str], bytes]
    open_held: Callable[[bytes, str], bytes]
    open_typed: Callable[[bytes], tuple[str, str]]

    def typed(self, sealed: bytes, purpose: str) -> tuple[str, str]:
        """An address typed for a purpose, and its stop key; both are empty where it is none."""
        try:
            meant, typed = self.open_typed(sealed)
            to = envelope(typed) if meant == purpose else ""
            return to, stops.stop_key(self.stop, to).hex() if to else ""
        except MailerError:
            return "", ""

    def link(self, about: str) -> stops.Capability:
        """The link under which somebody answers what they are asked."""
        return stops.answer_link(self.delivery, about)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the page about a reply may show: who asks, and nothing of who answers."""

    partner_name: str
    messenger_name: str
    race_name: str
    state: str
    until: datetime


@dataclass(frozen=True, slots=True)
class BoxView:
    """What the page about a messenger's address may show; never the address."""

    name: str
    race: str
    state: str


# -- what came ------------------------------------------------------------------------------------


def hear(master: Postmaster, octets: bytes) -> str:
    """Take in what came to a reply address; the same bytes again change nothing.

    Returns:
        What was done: ``machine``, ``nobodys``, ``stopped``, ``silenced``, ``too many``,
        ``unheard`` or ``held``.
    """
    reply = read_reply(octets)
    if reply is None:
        return "machine"
    done, made = master.units.run("hear", lambda unit: _hear(master, unit, reply, octets))
    if made is not None:
        _ask(master, made)
    return done


def _hear(master: Postmaster, unit: Unit, reply: Reply, octets: bytes) -> tuple[str, str | None]:
    letter = _letter(master, unit, reply)
    if letter is None:
        return "nobodys", None
    now = master.clock()
    if reply.is_no:
        hear_back.suppress(unit, letter, "race", "stop", now)
        return "stopped", None
    written_to.seen(unit, letter.id, now)
    id = _derived(master, b"reply/v1", letter.id.encode() + octets)[:16].hex()
    try:
        return ("held", id) if replies.get(unit, id).state == "new" else ("held", None)
    except Missing:
        pass
    key = stops.stop_key(master.stop, reply.sender).hex()
    if suppressions.for_good(unit, key):
        return "silenced", None
    # From another address than the letter went to, once: it may be nobody who wrote to us.
    most = MOST_REPLIES if key == letter.stop_key else 1
    if replies.about(unit, letter.id) >= most:
        return "too many", None
    held = {"from": reply.sender, "subject": reply.subject, "text": reply.text}
    heard = _box_of(unit, _messenger(unit, letter)) is not None
    if not heard:
        held = {**held, "subject": "", "text": ""}  # nobody is to read it, so it is not kept
    new = Held(
        id,
        letter.id,
        master.seal(json.dumps(held).encode(), f"reply {id}"),
        "new" if heard else "unheard",
        master.link(f"reply {id}").stored.hex(),
        0,
        now,
        now + HELD_FOR,
    )
    replies.hold(unit, new)
    return ("held" if heard else "unheard"), id


def _letter(master: Postmaster, unit: Unit, reply: Reply) -> Delivery | None:
    for quoted in reply.about:
        try:
            id = stops.parse_message_id(master.delivery, quoted).hex()
            letter = deliveries.get(unit, id)
        except (TokenRefused, Missing):
            continue
        if letter.state in ("claimed", "sent", "in_doubt") and not deliveries.expired(letter):
            return letter
    return None


def _messenger(unit: Unit, letter: Delivery) -> Messenger | None:
    if letter.messenger:
        return messengers.get(unit, letter.messenger)
    one = campaigns.get(unit, letter.campaign)
    signed = one.template["messenger"]
    return messengers.named(unit, one.race, signed["name"], signed["place"])


def _box_of(unit: Unit, one: Messenger | None) -> Box | None:
    """Where replies to this messenger go: only while they lend their name, and proved it theirs."""
    found = replies.box(unit, one.id) if one is not None and one.confirmed else None
    return found if found is not None and found.state == "proven" else None


# -- what leaves ----------------------------------------------------------------------------------


def turn(master: Postmaster) -> None:
    """Ask, pass on, and forget what is due. Repeatable; each step is safe to cut off."""
    units, now = master.units, master.clock()
    units.run("replies-forget", lambda u: replies.forget(u, now, unproven=now - HELD_FOR))
    for state in ("new", "unheard"):
        for one in units.read("replies-new", lambda u, s=state: replies.in_state(u, s, AT_ONCE)):  # type: ignore[misc]
            _ask(master, one.id)
    for one in units.read("replies-yes", lambda unit: replies.in_state(unit, "yes", AT_ONCE)):
        _give(master, one.id)
    for box in units.read("boxes", lambda unit: replies.boxes(unit, "typed", AT_ONCE)):
        _prove(master, box)


def _ask(master: Postmaster, id: str) -> None:
    """Write to a reply's writer: that it waits for their yes, or that nobody takes it."""
    one, letter, party, name = master.units.read("reply-ask", lambda unit: _about(unit, id))
    if one.state not in ("new", "unheard") or one.sealed is None:
        return
    said = json.loads(master.open_held(one.sealed, f"reply {id}"))
    if one.state == "new":
        link = f"{master.public_url}/reply/{master.link(f'reply {id}').token}"
        subject = notices.HELD
        text = notices.held(name, party.name, link, HELD_FOR.days)
    else:
        token = stops.capability(master.delivery, bytes.fromhex(letter.id)).token
        subject = notices.UNHEARD
        text = notices.unheard(name, party.name, f"{master.public_url}/why/{token}")
    outcome = write_notice(master, party, f"reply {id} {one.state}", said["from"], subject, text)
    again = isinstance(outcome, Deferred) and one.tries + 1 < MOST_TRIES
    asked = one.state == "new" and not isinstance(outcome, Deferred | Failed)
    state = one.state if again else "held" if asked else "gone"
    master.units.run("reply-asked", lambda unit: replies.move(unit, id, state, tried=True))


def _give(master: Postmaster, id: str) -> None:
    """Pass a reply on: at most once, so it is marked before the first byte leaves."""
    one, _, party, name = master.units.read("reply-give", lambda unit: _about(unit, id))
    box = master.units.run("reply-going", lambda unit: _going(unit, id))
    if box is None or one.sealed is None:
        return
    said = json.loads(master.open_held(one.sealed, f"reply {id}"))
    to = master.open_held(box.sealed, f"box {box.messenger}").decode()
    subject, text = said["subject"] or "Re:", notices.passed_on(name, said["text"])
    outcome = write_notice(
        master, party, f"reply {id} on", to, subject, text, reply_to=said["from"], by_us=False
    )
    again = isinstance(outcome, Deferred) and one.tries + 1 < MOST_TRIES
    # A doubt is not tried again: a person's words would come twice.
    state = "yes" if again else "gone"
    master.units.run("reply-given", lambda unit: replies.move(unit, id, state, tried=True))


def _going(unit: Unit, id: str) -> Box | None:
    one = replies.get(unit, id)
    if one.state != "yes":
        return None
    box = _box_of(unit, _messenger(unit, deliveries.get(unit, one.delivery)))
    replies.move(unit, id, "gone" if box is None else "going")
    return box


def _prove(master: Postmaster, box: Box) -> None:
    """Seal a typed address to the mail machine itself, and ask whoever reads it."""
    to, key = master.typed(box.sealed, BOX)
    # Who asked for no letter at all is asked nothing, whoever names their address.
    if not to or master.units.read("box-stopped", lambda unit: suppressions.for_good(unit, key)):
        master.units.run("box-drop", lambda unit: replies.drop_box(unit, box.messenger))
        return
    one, party, race = master.units.read("box-about", lambda unit: _signer(unit, box.messenger))
    about = f"box {box.messenger} {hashlib.sha256(box.sealed).hexdigest()}"
    link = master.link(about)
    sealed = master.seal(to.encode(), f"box {box.messenger}")
    new = Box(box.messenger, sealed, "asked", link.stored.hex(), 0, master.clock())

    def ask(unit: Unit) -> bool:
        now_is = replies.box(unit, box.messenger)
        if now_is is None or now_is.sealed != box.sealed:
            return False  # another was typed meanwhile
        replies.put_box(unit, new)
        return True

    # Asked at most once: a messenger who got nothing types the address again.
    if master.units.run("box-asked", ask):
        url = f"{master.public_url}/replies/{link.token}"
        text = notices.box(one.name, race, url, HELD_FOR.days)
        write_notice(master, party, about, to, notices.BOX, text)


def write_notice(
    master: Postmaster,
    party: Party,
    about: str,
    to: str,
    subject: str,
    text: str,
    *,
    reply_to: str = "",
    by_us: bool = True,
) -> Outcome:
    """Hand over one short letter that the machine writes by itself, from a partner's domain."""
    ident = _derived(master, b"notice/v1", about.encode())[:16]
    notice = notices.Notice(
        name=f"Trellis for {party.name}" if by_us else f"A reply, through {party.name}",
        domain=party.domain,
        to=to,
        subject=subject,
        text=text,
        ident=f"<n{ident.hex()}@{party.domain}>",
        reply_to=reply_to,
        submitted="auto-replied" if by_us else "auto-generated",
    )
    try:
        message = notice.write(master.clock().replace(microsecond=0), master.signers.get(party.id))
        transport = master.transport()
        try:
            # What comes back about it is refused: nothing follows from it (RFC 3834, 3.3).
            return transport.send(f"n-{ident.hex()}@{party.domain}", to, message)
        finally:
            transport.close()
    except MailerError as error:
        return Failed(0, type(error).__name__, "rcpt")


def _about(unit: Unit, id: str) -> tuple[Held, Delivery, Party, str]:
    one = replies.get(unit, id)
    letter = deliveries.get(unit, one.delivery)
    campaign = campaigns.get(unit, letter.campaign)
    party = agree.terms(unit, campaign.race).party(letter.partner)
    signer = _messenger(unit, letter)
    named = signer.name if signer is not None else str(campaign.template["messenger"]["name"])
    return one, letter, party, named


def _signer(unit: Unit, messenger: str) -> tuple[Messenger, Party, str]:
    """A messenger, and the partner whose domain we write to them from: the first by id."""
    one = messengers.get(unit, messenger)
    terms = agree.terms(unit, one.race)
    return one, min(terms.parties, key=lambda party: party.id), terms.race.name


def _derived(master: Postmaster, purpose: bytes, message: bytes) -> bytes:
    return hmac.digest(master.delivery, purpose + b"\0" + message, hashlib.sha256)


# -- what people say ------------------------------------------------------------------------------


def show(unit: Unit, token: str) -> Waiting:
    """What is asked under a reply's link, or ``Missing``."""
    one = replies.by_link(unit, stops.stored_hash(token).hex())
    _, letter, party, name = _about(unit, one.id)
    race = agree.terms(unit, campaigns.get(unit, letter.campaign).race).race.name
    over = one.expires <= unit.now or one.state == "unheard"
    return Waiting(party.name, name, race, "gone" if over else one.state, one.expires)


def answer(unit: Unit, token: str, *, yes: bool) -> None:
    """Its writer lets a reply be passed on, or has it deleted. Again changes nothing.

    Raises:
        Missing: nothing waits under that link.
    """
    one = replies.by_link(unit, stops.stored_hash(token).hex())
    if one.expires <= unit.now or one.state not in ("new", "held"):
        return
    replies.move(unit, one.id, "yes" if yes else "gone")
    written_to.seen(unit, one.delivery, unit.now)
    if yes:
        unit.after("returns")


def show_box(unit: Unit, token: str) -> BoxView:
    """What a messenger's own link says of where replies go, or ``Missing``."""
    one = messengers.by_token(unit, hashlib.sha256(token.encode()).hexdigest())
    found = replies.box(unit, one.id)
    return BoxView(one.name, agree.terms(unit, one.race).race.name, found.state if found else "")


def type_box(unit: Unit, token: str, sealed: bytes | None, now: datetime) -> None:
    """A messenger says where replies shall go, sealed before it came here; None: nowhere.

    Raises:
        Missing: nobody has that link.
        WrongState: this messenger does not lend their name.
        NotReady: three were named within a day.
    """
    one = messengers.by_token(unit, hashlib.sha256(token.encode()).hexdigest())
    if sealed is None:
        replies.drop_box(unit, one.id)
        return
    if one.confirmed is None:
        raise WrongState("first say yes to letters in your name; then say where replies go")
    if not replies.may_name(unit, one.id, now, most=MOST_BOXES):
        raise NotReady(f"{MOST_BOXES} addresses were named within a day; try again tomorrow")
    replies.put_box(unit, Box(one.id, sealed, "typed", None, 0, now))
    unit.after("returns")


def asked_box(unit: Unit, token: str) -> BoxView:
    """Whose address is asked about under a link, or ``Missing``."""
    found = replies.box_by_link(unit, stops.stored_hash(token).hex())
    one = messengers.get(unit, found.messenger)
    return BoxView(one.name, agree.terms(unit, one.race).race.name, found.state)


def prove_box(unit: Unit, token: str, *, yes: bool) -> None:
    """Whoever reads an address says that replies may come there, or that they may not."""
    found = replies.box_by_link(unit, stops.stored_hash(token).hex())
    if not yes:
        replies.drop_box(unit, found.messenger)
    elif found.state == "asked":
        proven = Box(found.messenger, found.sealed, "proven", found.token_hash, 0, unit.now)
        replies.put_box(unit, proven)

"""Headers and body of a letter, serialised once per slice; per person only bytes are joined."""

from __future__ import annotations

import binascii
import hashlib
import html
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.header import Header
from email.utils import format_datetime
from typing import TYPE_CHECKING

from mailer.addresses import envelope, host, mailbox
from mailer.errors import LetterRefused
from mailer.fields import Field, Piece, between, bind, value
from mailer.footer import check_facts
from mailer.places import Place, shown

if TYPE_CHECKING:
    from mailer.compose import Compiled
    from mailer.dkim import Ready, Signer

MAX_NAME = 80
SENDER_ID = "trellis"  # last field of Feedback-ID; 5 to 15 letters

# The signed headers that differ from letter to letter, in the order in which they stand.
OWN = (b"to", b"message-id", b"list-unsubscribe")

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,62}[a-z0-9])?")
_ID = re.compile(r"[a-z0-9-]{1,40}")
_MESSAGE_ID = re.compile(r"<[a-z0-9]{8,64}@[a-z0-9.-]{3,253}>")
_LINK = re.compile(r"https?://[A-Za-z0-9.:-]+/[A-Za-z0-9/_.~-]+")
_ATOMS = re.compile(r"[A-Za-z0-9 .,'&()-]+")
_LINE = 76
_SHORT = 70
_NOWHERE = Place()


@dataclass(frozen=True, slots=True)
class Sender:
    """Whose name and domain a letter goes out under.

    Args:
        messenger: the local volunteer who agreed to sign.
        partner: the organisation whose member the reader is.
        partner_id: its slug, for Feedback-ID.
        slug, domain: From is ``slug@domain``, the partner's own sending domain.
        reply_to: an address of the service's, which relays replies.
        list_id: a host-like name for List-Id, such as ``house-44.lists.example.org``.
    """

    messenger: str
    partner: str
    partner_id: str
    slug: str
    domain: str
    reply_to: str
    list_id: str


@dataclass(frozen=True, slots=True)
class Recipient:
    """What differs from letter to letter; ``repr`` shows nothing.

    Args:
        address: the bare address.
        message_id: from ``stops.message_id``: the same on every attempt.
        stop_url: the reader's one-click link; GET shows a page, POST stops.
        stop_mailto: an address that stops by mail.
        facts: the reader's own fields, and ``why_url``.
    """

    address: str = field(repr=False)
    message_id: str = field(repr=False)
    stop_url: str = field(repr=False)
    stop_mailto: str = field(repr=False)
    facts: Mapping[str, str] = field(repr=False)


class Letter(bytes):
    """A whole letter: CRLF line ends, proven where it was made; ``wire`` is it dot-stuffed.

    Nine tenths of a letter are its slice's, so proving and stuffing those once saves a sender a
    seventh of its time.
    """

    wire: bytes

    @classmethod
    def of(cls, whole: bytes, wire: bytes) -> Letter:
        """Pair the two spellings of one letter."""
        made = cls(whole)
        made.wire = wire
        return made


@dataclass(frozen=True, slots=True)
class Slice:
    """All letters of one campaign that one partner sends in one messenger's name."""

    head: tuple[bytes, bytes]
    parts: tuple[bytes | _Slot, ...] = field(repr=False)
    stuffed: tuple[bytes | None, ...] = field(repr=False)
    ready: Ready | None

    def write(self, recipient: Recipient) -> Letter:
        """Return one whole letter, signed if there is a signer, CRLF line ends.

        Raises:
            AddressRefused: the address cannot stand in an envelope.
            LetterRefused: a header's source would break the header.
            FactsRefused: a field has neither text nor fallback.
        """
        facts = check_facts({**recipient.facts, "stop_url": recipient.stop_url})
        texts = [part if isinstance(part, bytes) else part.write(facts) for part in self.parts]
        own = _own_headers(recipient)
        head = [self.head[0], b"\r\n".join(own.values()), b"\r\n", self.head[1]]
        if self.ready is not None:
            head.insert(0, self.ready.sign(own, b"".join(texts)))
        # No line of a header begins with a dot.
        wire = [
            stuff(text) if ready is None else ready
            for text, ready in zip(texts, self.stuffed, strict=True)
        ]
        return Letter.of(b"".join((*head, *texts)), b"".join((*head, *wire)))


@dataclass(frozen=True, slots=True)
class _Slot:
    """One field's place in an encoded part; its value stands on lines of its own."""

    field: Field
    escape: Callable[[str], str]

    def write(self, facts: Mapping[str, str]) -> bytes:
        return _quoted(self.escape(value(self.field, facts)), last=False)


def stuff(text: bytes) -> bytes:
    """Double each dot that begins a line (RFC 5321, 4.5.2); ``text`` itself begins one."""
    # Few texts have such a line, and looking is ten times cheaper than replacing.
    stuffed = text.replace(b"\r\n.", b"\r\n..") if b"\n." in text else text
    return b"." + stuffed if stuffed.startswith(b".") else stuffed


def lines_end_in_crlf(text: bytes) -> bool:
    """Whether neither CR nor LF stands alone."""
    return text.count(b"\r\n") == text.count(b"\n") == text.count(b"\r")


def prepare(
    compiled: Compiled,
    *,
    sender: Sender,
    common: Mapping[str, str],
    campaign: str,
    at: datetime,
    signer: Signer | None = None,
    place: Place = _NOWHERE,
) -> Slice:
    """Serialise everything that a slice's letters share.

    Args:
        compiled: the approved template.
        sender: whose name and domain.
        common: facts that are the same for the whole slice.
        campaign: its slug, for Feedback-ID.
        at: UTC; Date, and the signature's time, so never in the future.
        place: where its readers vote, which decides on the place blocks.

    Raises:
        LetterRefused: a header's source would break the header.
    """
    known = check_facts(common)
    here = shown(compiled.places, place)
    boundary = (
        "t_"
        + hashlib.sha256(
            b"|".join([compiled.digest, campaign.encode(), sender.partner_id.encode()])
        ).hexdigest()[:32]
    )
    parts: list[bytes | _Slot] = []
    for kind, pieces, escape in (
        ("plain", between(compiled.text, here), str),
        ("html", between(compiled.html, here), html.escape),
    ):
        parts.append(
            f"--{boundary}\r\nContent-Type: text/{kind}; charset=utf-8\r\n"
            "Content-Transfer-Encoding: quoted-printable\r\n\r\n".encode()
        )
        parts += _encode(bind(pieces, known, escape), escape)
        parts.append(b"\r\n")
    parts.append(f"--{boundary}--\r\n".encode())
    head = _shared_headers(compiled, sender, campaign, at, boundary)
    merged = _merge(parts)
    # Each part is stuffed alone, so each begins a line: what stands before a field ends one.
    if not all(part.endswith(b"\r\n") for part in merged if isinstance(part, bytes)) or not all(
        lines_end_in_crlf(text) for text in (*head, *merged) if isinstance(text, bytes)
    ):
        raise LetterRefused("body", "has a line end that is not CRLF")
    return Slice(
        head,
        merged,
        tuple(stuff(part) if isinstance(part, bytes) else None for part in merged),
        None if signer is None else signer.ready(b"".join(head)[:-4], OWN, at=at),
    )


def _shared_headers(
    compiled: Compiled, sender: Sender, campaign: str, at: datetime, boundary: str
) -> tuple[bytes, bytes]:
    if at.tzinfo is None:
        raise LetterRefused("Date", "has no time zone")
    if not _SLUG.fullmatch(sender.slug):
        raise LetterRefused("From", "has a part before the @ that is no slug")
    for header, ident in (("campaign", campaign), ("partner", sender.partner_id)):
        if not _ID.fullmatch(ident):
            raise LetterRefused("Feedback-ID", f"has a {header} that is no slug")
    name = f"{_name(sender.messenger)} for {_name(sender.partner)}"
    mailbox = f"{sender.slug}@{host(sender.domain)}"
    first = [
        f"From: {_phrase(name)}\r\n <{mailbox}>",
        f"Reply-To: {envelope(sender.reply_to)}",
        f"Subject: {_unstructured('Subject', compiled.subject)}",
        f"Date: {format_datetime(at.astimezone(UTC))}",
    ]
    second = [
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        f"List-Id: <{host(sender.list_id)}>",
        f"Feedback-ID: {campaign}:{sender.partner_id}:letter:{SENDER_ID}",
        "Auto-Submitted: no",
        "MIME-Version: 1.0",
        *([] if compiled.language == "en" else [f"Content-Language: {compiled.language}"]),
        f'Content-Type: multipart/alternative;\r\n boundary="{boundary}"',
    ]
    return _lines(first), _lines(second) + b"\r\n"


def _lines(headers: list[str]) -> bytes:
    return "".join(f"{header}\r\n" for header in headers).encode("ascii")


def _own_headers(recipient: Recipient) -> dict[bytes, bytes]:
    """The header lines that differ from letter to letter, without CRLF at their ends."""
    if not _MESSAGE_ID.fullmatch(recipient.message_id):
        raise LetterRefused("Message-ID", "is not one of ours")
    if not _LINK.fullmatch(recipient.stop_url):
        raise LetterRefused("List-Unsubscribe", "has a link that is none")
    stop = f"<{recipient.stop_url}>,\r\n <mailto:{envelope(recipient.stop_mailto)}?subject=stop>"
    lines = (
        f"To: {mailbox(recipient.address)}",
        f"Message-ID: {recipient.message_id}",
        f"List-Unsubscribe: {stop}",
    )
    # All is ASCII but an address beyond it, which stands as it is (RFC 6532, 3.2).
    return {name: line.encode() for name, line in zip(OWN, lines, strict=True)}


def _name(name: str) -> str:
    """Check one half of a From name."""
    if not name.strip() or len(name) > MAX_NAME:
        raise LetterRefused("From", f"has a name that is empty or over {MAX_NAME} letters")
    if not name.isprintable() or set(unicodedata.normalize("NFKC", name)) & set('<>@"\\'):
        # An address in the name would be shown instead of the true one.
        raise LetterRefused("From", "has a name with a line break, a quote or an address in it")
    return name.strip()


def _phrase(name: str) -> str:
    if _ATOMS.fullmatch(name):
        return f'"{name}"'
    return _words(name, "From")


def _unstructured(header: str, text: str) -> str:
    if not text.isprintable() or not text.strip():
        raise LetterRefused(header, "is empty, or has a line break or a hidden letter")
    if text.isascii() and "=?" not in text and len(text) < 900:
        return Header(text, "us-ascii", 76, header).encode(linesep="\r\n")
    return _words(text, header)


def _words(text: str, header: str) -> str:
    """Return encoded words of at most 75 letters, folded (RFC 2047)."""
    return Header(text, "utf-8", 74, header).encode(linesep="\r\n")


def _encode(pieces: tuple[Piece, ...], escape: Callable[[str], str]) -> list[bytes | _Slot]:
    return [
        _quoted(piece, last=number == len(pieces) - 1)
        if isinstance(piece, str)
        else _Slot(piece, escape)
        for number, piece in enumerate(pieces)
    ]


def _quoted(text: str, *, last: bool) -> bytes:
    """Encode one piece as quoted-printable (RFC 2045, 6.7).

    Unless it is the last, a soft line break ends it: so each piece begins a line, no line is over
    76 letters however long a name is, and pieces can be encoded one by one.
    """
    if not last and _stands(text):
        return text.encode("ascii") + b"=\r\n"
    lines = binascii.b2a_qp(text.encode(), istext=True).replace(b"\r\n", b"\n").split(b"\n")
    if len(lines[-1]) >= _LINE:
        end = lines.pop()
        cut = 70 - next((back for back in (1, 2) if end[70 - back : 71 - back] == b"="), 0)
        lines += [end[:cut] + b"=", end[cut:]]
    whole = b"\r\n".join(lines)
    return whole if last else whole + b"=\r\n"


def _stands(text: str) -> bool:
    """Whether a text is its own encoding: a name or a link mostly is, and encoding costs more."""
    return (
        len(text) <= _SHORT
        and text.isascii()
        and text.isprintable()
        and "=" not in text
        and text[-1:] not in ("", " ", ".")
    )


def _merge(parts: list[bytes | _Slot]) -> tuple[bytes | _Slot, ...]:
    merged: list[bytes | _Slot] = []
    for part in parts:
        if isinstance(part, bytes) and merged and isinstance(merged[-1], bytes):
            merged[-1] += part
        else:
            merged.append(part)
    return tuple(merged)

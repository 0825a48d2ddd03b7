"""One kind of answer for everything that comes back, and how its return path is found."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from typing import Literal

MAX_BYTES = 1024 * 1024
MAX_PARTS = 50

STATUS = ("message/delivery-status", "message/global-delivery-status")
_COPIES = ("message/rfc822", "message/global")
_HEADS = ("text/rfc822-headers", "message/rfc822-headers", "message/global-headers")
_VERP = re.compile(r"r-[a-z2-7]{26}-[a-z2-7]{16}@[A-Za-z0-9.-]{3,253}", re.IGNORECASE)
_MESSAGE_ID = re.compile(r"<[^<>@\s]{1,200}@[^<>@\s]{1,253}>")


@dataclass(frozen=True, slots=True)
class Return:
    """What came back.

    Args:
        kind: ``hard``: the mailbox does not exist, so it is suppressed. ``soft``: it was not taken
            for now or for policy, and is counted. ``complaint``: suppressed at once.
            ``auto_reply``: dropped. ``unknown``: kept for a person, suppresses nobody.
            ``nothing``: understood, and asks nothing of anybody.
        verp: the return path it came to or quotes, unchecked.
        code: the enhanced status, as ``5.1.1``.
        message_id: of the letter it is about, where it says so.
    """

    kind: Literal["hard", "soft", "complaint", "auto_reply", "unknown", "nothing"]
    verp: str | None = field(repr=False)
    code: str | None = None
    message_id: str | None = field(default=None, repr=False)


def parse(octets: bytes) -> Message:
    """Parse a message from a stranger; the lenient policy repairs rather than raises."""
    return email.message_from_bytes(octets[:MAX_BYTES], policy=email.policy.compat32)


def addressed_to(message: Message) -> str | None:
    """Return the return path that the message came to."""
    for name in ("delivered-to", "x-original-to", "to"):
        for text in message.get_all(name, []):
            if found := _VERP.search(str(text)):
                return found[0]
    return None


def parts(message: Message, *content_types: str) -> Iterator[Message]:
    """Yield the parts of some types, of the first ``MAX_PARTS``, and none of a message within.

    A report that somebody forwards, and our letter as it is quoted, are no reports of their own.
    """
    waiting = [message]
    for _ in range(MAX_PARTS):
        if not waiting:
            return
        part = waiting.pop(0)
        if part.get_content_type() in content_types:
            yield part
        elif part.get_content_maintype() == "multipart" and part.is_multipart():
            waiting[:0] = [one for one in part.get_payload() if isinstance(one, Message)]


def blocks(part: Message) -> list[Message]:
    """Return the header blocks of a report part; the standard library has parsed them or not."""
    payload = part.get_payload()
    if isinstance(payload, list):
        found = [block for block in payload if isinstance(block, Message)]
        if part.get_content_type() != STATUS[1] and not _encoded(part):
            return found
        # A part with a transfer encoding, or of a type that the library does not know to be
        # blocks, is left as one text in the first.
        part = _undone(part, found)
    return [
        email.message_from_string(block, policy=email.policy.compat32)
        for block in re.split(r"\r?\n[ \t]*\r?\n", plain(part).strip())
        if block
    ]


def plain(part: Message) -> str:
    """Return a part's text, whatever it says its charset is; what does not fit is replaced."""
    decoded = part.get_payload(decode=True)
    if not isinstance(decoded, bytes):
        return ""
    for charset in (part.get_content_charset("utf-8"), "utf-8"):
        try:
            return decoded.decode(charset)
        except (LookupError, UnicodeError, ValueError):
            continue
    return decoded.decode("latin-1")


def _encoded(part: Message) -> bool:
    stated = str(part.get("content-transfer-encoding", "")).strip().lower()
    return stated in ("base64", "quoted-printable")


def _undone(part: Message, found: list[Message]) -> Message:
    """Return the text of a report part that is encoded, which no report should be (RFC 3464, 2)."""
    whole = Message(policy=email.policy.compat32)
    whole["content-transfer-encoding"] = str(part.get("content-transfer-encoding", "8bit"))
    whole.set_payload("\n\n".join(block.as_string().strip() for block in found))
    return whole


def original(message: Message) -> tuple[str | None, str | None]:
    """Return the return path and the Message-ID in the copy of our letter, if there is one."""
    copies = [
        *(copy for part in parts(message, *_COPIES) for copy in blocks(part)),
        *(copy for part in parts(message, *_HEADS) for copy in _headers(part)),
    ]
    verp = ident = None
    for copy in copies:
        paths = [
            str(text)
            for name in ("return-path", "x-envelope-from")
            for text in copy.get_all(name, [])
        ]
        verp = verp or next((found[0] for path in paths if (found := _VERP.search(path))), None)
        named = _MESSAGE_ID.search(str(copy.get("message-id", "")))
        ident = ident or (named[0] if named else None)
    return verp, ident


def quoted_verp(text: str) -> str | None:
    """Return the first return path in a text."""
    found = _VERP.search(text)
    return found[0] if found else None


def quoted_message_id(text: str) -> str | None:
    """Return the first Message-ID in a quoted head."""
    found = re.search(r"^message-id:\s*(\S+)", text, re.IGNORECASE | re.MULTILINE)
    named = _MESSAGE_ID.fullmatch(found[1]) if found else None
    return named[0] if named else None


def _headers(part: Message) -> list[Message]:
    return [email.message_from_string(plain(part).lstrip(), policy=email.policy.compat32)]

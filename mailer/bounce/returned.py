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

_VERP = re.compile(r"r-[a-z2-7]{26}-[a-z2-7]{16}@[A-Za-z0-9.-]{3,253}", re.IGNORECASE)
_MESSAGE_ID = re.compile(r"<[^<>@\s]{1,200}@[^<>@\s]{1,253}>")
_AUTOMATIC = ("x-autoreply", "x-autorespond", "x-auto-response-suppress")


@dataclass(frozen=True, slots=True)
class Return:
    """What came back.

    Args:
        kind: ``hard``: the mailbox does not exist, so it is suppressed. ``soft``: it was not taken
            for now or for policy, and is counted. ``complaint``: suppressed at once.
            ``auto_reply``: dropped. ``unknown``: kept for a person, suppresses nobody.
        verp: the return path it came to or quotes, unchecked.
        code: the enhanced status, as ``5.1.1``.
        message_id: of the letter it is about, where it says so.
    """

    kind: Literal["hard", "soft", "complaint", "auto_reply", "unknown"]
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


def is_automatic(message: Message) -> bool:
    """Say whether a machine answered (RFC 3834, and what is seen in the wild)."""
    submitted = str(message.get("auto-submitted", "no")).split(";")[0].strip().lower()
    precedence = str(message.get("precedence", "")).strip().lower()
    return (
        submitted != "no"
        or precedence in ("bulk", "junk", "list", "auto_reply")
        or str(message.get("return-path", "")).strip() == "<>"
        or any(name in message for name in _AUTOMATIC)
    )


def parts(message: Message, content_type: str) -> Iterator[Message]:
    """Yield the parts of one type, of the first ``MAX_PARTS``."""
    for number, part in enumerate(message.walk()):
        if number >= MAX_PARTS:
            return
        if part.get_content_type() == content_type:
            yield part


def blocks(part: Message) -> list[Message]:
    """Return the header blocks of a report part; the standard library has parsed them or not."""
    payload = part.get_payload()
    if isinstance(payload, list):
        # A part with a transfer encoding is left as one text in the first block.
        return [block for block in payload if isinstance(block, Message)]
    decoded = part.get_payload(decode=True)
    text = decoded.decode("utf-8", "replace") if isinstance(decoded, bytes) else ""
    return [
        email.message_from_string(block, policy=email.policy.compat32)
        for block in re.split(r"\r?\n\s*\r?\n", text.strip())
        if block
    ]


def original(message: Message) -> tuple[str | None, str | None]:
    """Return the return path and the Message-ID in the copy of our letter, if there is one."""
    copies = [
        *(copy for part in parts(message, "message/rfc822") for copy in blocks(part)),
        *(copy for part in parts(message, "text/rfc822-headers") for copy in _headers(part)),
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


def _headers(part: Message) -> list[Message]:
    decoded = part.get_payload(decode=True)
    text = decoded.decode("utf-8", "replace") if isinstance(decoded, bytes) else ""
    return [email.message_from_string(text.lstrip(), policy=email.policy.compat32)]

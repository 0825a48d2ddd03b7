"""Complaints in the Abuse Reporting Format (RFC 5965): somebody pressed "this is spam"."""

from __future__ import annotations

from email.message import Message

from mailer.bounce.returned import Return, blocks, original, parts, quoted_verp

# RFC 5965, 7.3 and RFC 6430: not-spam takes a complaint back.
_COMPLAINTS = frozenset({"abuse", "fraud", "virus", "other"})


def read_complaint(message: Message, to: str | None) -> Return:
    """Read a feedback report; providers redact the recipient, so the return path tells."""
    verp, ident = original(message)
    for part in parts(message, "message/feedback-report"):
        for block in blocks(part):
            kind = str(block.get("feedback-type", "")).strip().lower()
            stated = quoted_verp(str(block.get("original-mail-from", "")))
            if kind in _COMPLAINTS:
                return Return("complaint", stated or verp or to, None, ident)
    return Return("unknown", verp or to, None, ident)

"""Complaints in the Abuse Reporting Format (RFC 5965): somebody pressed "this is spam"."""

from __future__ import annotations

from email.message import Message

from mailer.bounce.returned import Return, blocks, original, parts, quoted_verp

# RFC 5965, 7.3 and RFC 6430: not-spam takes a complaint back.
_COMPLAINTS = frozenset({"abuse", "fraud", "virus", "other", "opt-out", "opt-out-list"})
_REPORT = "message/feedback-report"
# Outlook's junk reports have no report part: our letter, with the header that they add to it.
_OUTLOOK = "x-hmxmroriginalrecipient"


def is_complaint(message: Message) -> bool:
    """Whether this is a feedback report, or one of Outlook's junk reports."""
    return next(parts(message, _REPORT), None) is not None or _is_outlooks(message)


def read_complaint(message: Message, to: str | None) -> Return:
    """Read a feedback report; providers redact the recipient, so the return path tells."""
    verp, ident = original(message)
    if _is_outlooks(message):
        return Return("complaint", verp or to, None, ident)
    for part in parts(message, _REPORT):
        for block in blocks(part):
            kind = str(block.get("feedback-type", "")).strip().lower()
            stated = quoted_verp(str(block.get("original-mail-from", "")))
            if kind in _COMPLAINTS:
                return Return("complaint", stated or verp or to, None, ident)
    return Return("unknown", verp or to, None, ident)


def _is_outlooks(message: Message) -> bool:
    return any(
        _OUTLOOK in copy for part in parts(message, "message/rfc822") for copy in blocks(part)
    )

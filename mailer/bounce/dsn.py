"""Delivery status notifications (RFC 3464): a mailbox that is gone, or one that is busy."""

from __future__ import annotations

import re
from email.message import Message
from typing import Literal

from mailer.bounce.returned import STATUS, Return, blocks, original, parts

DEAD = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.4", "5.1.6", "5.1.10"})
"""The recipient's address is bad. 5.1.0 and 5.1.5 do not say so, 5.1.7 to 5.1.9 are about ours.

Source: RFC 3463, 3.2; RFC 7505, 4.2; the IANA registry of enhanced status codes.
"""
STATUS_CODE = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")


def read_status(message: Message, to: str | None) -> Return:
    """Read a delivery status report.

    Only ``DEAD`` with ``Action: failed`` says that the address itself is bad. Any other refusal may
    be about us (5.1.7, 5.1.8, 5.7.x), the size or the day, so it is soft.
    """
    verp, ident = original(message)
    worst = Return("unknown", to or verp, None, ident)
    for part in parts(message, *STATUS):
        for block in blocks(part):
            kind, code = _judge(block)
            if kind == "hard" or (kind == "soft" and worst.kind == "unknown"):
                worst = Return(kind, to or verp, code, ident)
    return worst


def _judge(block: Message) -> tuple[Literal["hard", "soft", "unknown"], str | None]:
    action = str(block.get("action", "")).strip().lower()
    if action not in ("failed", "delayed"):
        return "unknown", None
    code = _code(block)
    if code is None:
        return "soft", None
    return ("hard" if action == "failed" and code in DEAD else "soft"), code


def _code(block: Message) -> str | None:
    stated = STATUS_CODE.search(str(block.get("status", "")))
    said = STATUS_CODE.search(str(block.get("diagnostic-code", "")))
    if stated and not stated[1].endswith(".0.0"):
        return stated[1]
    # Some report 5.0.0 and leave the true status to the server's words.
    return said[1] if said else stated[1] if stated else None

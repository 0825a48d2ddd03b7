"""Delivery status notifications (RFC 3464): a mailbox that is gone, or one that is busy."""

from __future__ import annotations

import re
from email.message import Message
from typing import Literal

from mailer.bounce.returned import Return, blocks, original, parts

_STATUS = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")


def read_status(message: Message, to: str | None) -> Return:
    """Read a delivery status report.

    Only 5.1.x with ``Action: failed`` says that the address itself is bad. Any other refusal may
    be about us (5.7.x), the size or the day, so it is soft.
    """
    verp, ident = original(message)
    worst = Return("unknown", to or verp, None, ident)
    for part in parts(message, "message/delivery-status"):
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
    return ("hard" if action == "failed" and code.startswith("5.1.") else "soft"), code


def _code(block: Message) -> str | None:
    stated = _STATUS.search(str(block.get("status", "")))
    said = _STATUS.search(str(block.get("diagnostic-code", "")))
    if stated and not stated[1].endswith(".0.0"):
        return stated[1]
    # Some report 5.0.0 and leave the true status to the server's words.
    return said[1] if said else stated[1] if stated else None

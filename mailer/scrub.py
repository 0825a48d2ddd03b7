"""What a server says, without the addresses that it may quote."""

from __future__ import annotations

import re

from mailer.transports import Deferred, Failed, Outcome, Stage

_STATUS = re.compile(r"([245])\.\d{1,3}\.\d{1,3}\b")
_ADDRESS = re.compile(r"[^\s<>\"'(),;:]+@[^\s<>\"'(),;:]+")


class Scrub:
    """Takes the two addresses, and anything like an address, out of a server's words."""

    def __init__(self, sender: str, recipient: str) -> None:
        local = recipient.rpartition("@")[0]
        self._words = (sender, recipient, *([local] if len(local) > 2 else []))

    def __call__(self, text: str) -> str:
        folded = text.lower()
        for word in self._words:
            # A pattern per letter costs more than sending it, and most answers name nobody.
            if word.lower() in folded:
                text = re.sub(re.escape(word), "[address]", text, flags=re.IGNORECASE)
        if "@" in text:
            text = _ADDRESS.sub("[address]", text)
        printable = text
        if not text.isprintable():
            printable = "".join(letter if letter.isprintable() else " " for letter in text)
        return " ".join(printable.split())[:200]

    def refusal(self, code: int, text: str, stage: Stage) -> Outcome:
        """Name a refusal: 5xx failed, anything else deferred; nothing was taken in either."""
        status, rest = split(text)
        kind = Failed if code // 100 == 5 else Deferred
        return kind(code, self(rest), stage, status)


def split(text: str) -> tuple[str, str]:
    """An enhanced status code (RFC 3463), or nothing, and the words behind it."""
    found = _STATUS.match(text)
    return (found[0], text[found.end() :].lstrip()) if found else ("", text)

"""Bounces that are words, in the two forms that are old and exact: qmail's and Exim's.

They have no report for machines, but a first line that their own programs write and read. Anything
else that is only words stays unknown: a sentence is no reason to drop a person.
"""

from __future__ import annotations

import re
from email.message import Message
from email.utils import parseaddr

from mailer.bounce.dsn import DEAD, STATUS_CODE
from mailer.bounce.returned import Return, original, parts, plain, quoted_message_id, quoted_verp

_QMAIL = re.compile(r"\s*Hi\. This is (?:the|a) ", re.IGNORECASE)
_EXIM = re.compile(r"\s*This message was created automatically by mail delivery software")
_EXIM_FAILED = re.compile(r"permanent error|could not be delivered to (?:one|all)", re.IGNORECASE)
_COPY = re.compile(
    r"^--- (?:Below this line is a copy|Enclosed are the original headers)"
    r"|^-{4,} This is a copy of ",
    re.MULTILINE,
)
_RECIPIENT = re.compile(
    r"^\s{0,4}<?[^\s<>@]{1,64}@[^\s<>@]{1,253}>?:?\s*$|^<[^<>]+>:", re.MULTILINE
)
_DAEMON = re.compile(r"(?:mailer-daemon|postmaster)", re.IGNORECASE)


def read_words(message: Message, to: str | None) -> Return | None:
    """Read a bounce of qmail's or Exim's; None when it is neither."""
    first = next(parts(message, "text/plain"), None)
    if first is None or not _DAEMON.match(parseaddr(str(message.get("from", "")))[1]):
        return None
    whole = plain(first).replace("\r\n", "\n")
    failed = bool(_QMAIL.match(whole)) or bool(_EXIM.match(whole) and _EXIM_FAILED.search(whole))
    delayed = bool(_EXIM.match(whole)) and not failed
    told, _, copy = _parted(whole)
    if not (failed or delayed) or not _RECIPIENT.search(told):
        return None
    verp, ident = original(message)
    codes = STATUS_CODE.findall(told)
    code = next((one for one in codes if one in DEAD), codes[0] if codes else None)
    kind = "hard" if failed and code in DEAD and _all_dead(codes) else "soft"
    about = verp or quoted_verp(copy)
    return Return(kind, to or about, code, ident or quoted_message_id(copy))  # type: ignore[arg-type]


def _all_dead(codes: list[str]) -> bool:
    return all(code in DEAD for code in codes)


def _parted(whole: str) -> tuple[str, str, str]:
    """What the server says, the line between, and the copy of our letter."""
    cut = _COPY.search(whole)
    if cut is None:
        return whole, "", ""
    return whole[: cut.start()], cut[0], whole[cut.end() :]

"""What comes back by mail, read to one Return; what is unclear suppresses nobody."""

from __future__ import annotations

from mailer.bounce.arf import is_complaint, read_complaint
from mailer.bounce.automatic import is_automatic, is_returned
from mailer.bounce.dsn import read_status
from mailer.bounce.returned import STATUS, Return, addressed_to, parse, parts
from mailer.bounce.worded import read_words

__all__ = ["Return", "read"]


def read(octets: bytes) -> Return:
    """Read one returned message.

    Args:
        octets: as it came, headers first. Whoever sent it wrote it: nothing in it is believed but
            through the return path, whose key the caller checks (``stops.parse_verp``).

    Returns:
        ``unknown`` for whatever is neither a report nor an automatic answer; never raises.
    """
    message = parse(octets)
    to = addressed_to(message)
    if is_complaint(message):
        return read_complaint(message, to)
    if next(parts(message, *STATUS), None) is not None:
        return read_status(message, to)
    if (worded := read_words(message, to)) is not None:
        return worded
    if message.get_content_type() == "multipart/report" or is_returned(message):
        return Return("unknown", to)
    return Return("auto_reply" if is_automatic(message) else "unknown", to)

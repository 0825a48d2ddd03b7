"""What comes back by mail, read to one Return; what is unclear suppresses nobody."""

from __future__ import annotations

from mailer.bounce.arf import read_complaint
from mailer.bounce.dsn import read_status
from mailer.bounce.returned import Return, addressed_to, is_automatic, parse

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
    report = str(message.get_param("report-type", "")).lower()
    kind = message.get_content_type()
    if kind == "multipart/report" and report == "feedback-report":
        return read_complaint(message, to)
    if kind == "multipart/report" and report == "delivery-status":
        return read_status(message, to)
    return Return("auto_reply" if is_automatic(message) else "unknown", to)

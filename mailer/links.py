"""What is a link, where mail programs would make one of plain words, and whether it is allowed."""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import urlsplit

_ENDINGS = (
    "com|org|net|info|gov|edu|us|co|io|me|ly|app|vote|link|biz|xyz|news|tv|dev|uk|ca|ru|cn|club"
    "|online|site|page|gle|top|shop|store|live|life|work|icu|buzz|click|win|bid|loan|today|world|zone"
    "|group|team|cloud|tech|blog|email|mobi|pro|one|fun|space|vip|ink|media|social|help"
)
# What browsers read as the dot of a host name (RFC 3490, 3.1), and what looks like one.
_DOTS = str.maketrans(dict.fromkeys("\u3002\uff0e\uff61\u2024\ufe52", "."))
# Every repeat has a bound, so that the longest template is searched in milliseconds.
_WRITTEN_LINK = re.compile(
    r"(?:https?://|www\.)[^\s<>\"']+"
    rf"|(?<![\w-])(?:[^\W_][\w-]{{0,62}}\.){{1,8}}(?:{_ENDINGS}|(?<=[^\W\d_]\.)[a-z]{{2}})\b(?:/[^\s<>\"']*)?",
    re.IGNORECASE,
)


def link_problem(link: str, hosts: Collection[str]) -> str | None:
    """Say what is wrong with a link, or nothing."""
    if "{{" in link or "}}" in link:
        return "A field stands in a link: links are the same for everybody."
    if not re.fullmatch(r"[!-~]+", link) or set(link) & set("<>\"'\\^`{|}"):
        return "The link holds a letter that links do not have."
    try:
        parts = urlsplit(link)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "The link cannot be read."
    if parts.scheme != "https" or not host:
        return "Links begin with https://."
    if parts.username is not None or port is not None:
        return "The link names a login or a port."
    if host not in hosts:
        return f"The agreement does not list links to {host}."
    return None


def written_links(text: str) -> list[str]:
    """Return what mail programs would make clickable in plain words."""
    found = [link[0].rstrip(".,;:!?)") for link in _WRITTEN_LINK.finditer(text.translate(_DOTS))]
    return [link if "://" in link else f"https://{link}" for link in found]


def host(link: str) -> str | None:
    """Return the host that a link leads to, or nothing where it cannot be read."""
    try:
        return urlsplit(link).hostname
    except ValueError:
        return None

"""Which addresses can stand in an envelope, and when two spellings are one mailbox."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from mailer.errors import AddressRefused

NORMALISER = b"mail/1"
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}")
_ATEXT = frozenset("!#$%&'*+/=?^_`{|}~.-")
_MAX_LOCAL = 64
"""Octets (RFC 5321, 4.5.3.1.1)."""
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def envelope(address: str) -> str:
    """Return the address as it stands in an envelope: ASCII, the domain as A-labels.

    Raises:
        AddressRefused: it needs quoting, SMTPUTF8 or repair. Nothing of it is quoted.
    """
    local, at, domain = address.rpartition("@")
    if not at or not _LOCAL.fullmatch(local):
        raise AddressRefused("the part before the @ is missing or needs quoting")
    return f"{local}@{_ascii(domain)}"


def mailbox(address: str) -> str:
    """Return a reader's address as it stands in an envelope; letters of any script before the @.

    One beyond ASCII leaves only through a server that offers SMTPUTF8 (RFC 6531, 3.2 and 3.3).

    Raises:
        AddressRefused: it needs quoting or repair. Nothing of it is quoted.
    """
    if address.isascii():
        return envelope(address)
    local, at, domain = unicodedata.normalize("NFC", address).rpartition("@")
    fits = all(letter in _ATEXT or unicodedata.category(letter)[0] in "LMN" for letter in local)
    if not at or not local or not fits or len(local.encode()) > _MAX_LOCAL:
        raise AddressRefused("the part before the @ is missing or needs quoting")
    return f"{local}@{_ascii(domain)}"


def normalise(address: str) -> bytes:
    """Fold an address to the spelling that its stop is kept under.

    Gmail delivers ``a.b+c`` and ``ab`` to one mailbox, so there dots and what follows a plus are
    dropped. Elsewhere they may be different people, and both stay.
    """
    folded = unicodedata.normalize("NFKC", address).strip().casefold()
    local, at, domain = folded.rpartition("@")
    if not at or not local or not domain:
        raise AddressRefused("an address has one @ with something on both sides")
    domain = _ascii(domain)
    if domain in ("gmail.com", "googlemail.com"):
        domain = "gmail.com"
        local = local.split("+")[0].replace(".", "") or local
    return f"{local}@{domain}".encode()


def host(name: str) -> str:
    """Return a host name in lower-case A-labels; raises AddressRefused."""
    return _ascii(name)


# Domains repeat from letter to letter; local parts, which name people, are never kept.
@lru_cache(maxsize=4096)
def _ascii(domain: str) -> str:
    try:
        plain = domain.encode("idna").decode().lower() if not domain.isascii() else domain.lower()
    except UnicodeError:
        raise AddressRefused("the domain is no host name") from None
    labels = plain.split(".")
    if len(plain) > 253 or len(labels) < 2 or not all(map(_LABEL.fullmatch, labels)):
        raise AddressRefused("the domain is no host name")
    return plain

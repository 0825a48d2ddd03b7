"""Stop keys, signed links and return paths; nothing in them names a person."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from functools import lru_cache

from mailer.addresses import NORMALISER, host, normalise
from mailer.errors import AddressRefused, TokenRefused
from mailer.keys import SUITE, load_public

ID_BYTES = 16
CAPABILITY_BYTES = 16
CAPABILITY_LETTERS = 22
TYPED = b"trellis/typed-stop/v1"
"""What sealing an address that was typed is bound to (HPKE's info)."""
TYPED_BYTES = 384
MAX_EMAIL = 254  # RFC 5321, 4.5.3.1.3, less the angle brackets
_MAC_BYTES = 10
_VERP_MAC, _NAMED = b"verp/v1", b"message-id/v2"
_MESSAGE_ID = re.compile(r"<([a-z2-7]{26})([a-z2-7]{16})@[a-z0-9.-]{3,253}>", re.IGNORECASE)
_VERP = re.compile(r"r-([a-z2-7]{26})-([a-z2-7]{16})@(.+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Capability:
    """A link's secret part."""

    token: str = field(repr=False)

    @property
    def stored(self) -> bytes:
        """The hash that the server keeps instead of it."""
        return stored_hash(self.token)


def stop_key(k_stop: bytes, address: str) -> bytes:
    """Return the key under which a stop of this address is kept, 32 bytes.

    Args:
        k_stop: the mailer's alone, outside epochs, so that stops outlive them.
        address: any spelling; spellings of one mailbox give one key.

    Source:
        ``HMAC-SHA256(k_stop, "stop/v1" || normaliser version || normalised address)``.
    """
    spelled = b"stop/v1" + NORMALISER + b"\0" + normalise(address)
    return hmac.digest(k_stop, spelled, hashlib.sha256)


def seal_typed(mailer_public: bytes, address: str, scope: str) -> bytes:
    """Seal an address that somebody typed into a form, so that the mailer alone reads it.

    Args:
        address: any spelling; what is sealed is the one its stop is kept under.
        scope: which stop was asked for.

    Returns:
        Bytes of one length, whatever was typed.

    Raises:
        AddressRefused: it is no address. Nothing of it is quoted.
    """
    spelled = normalise(address)
    if len(spelled) > MAX_EMAIL:
        raise AddressRefused("an address has at most 254 bytes")
    whole = (scope.encode() + b"\0" + spelled).ljust(TYPED_BYTES, b"\0")
    return SUITE.encrypt(whole, load_public(mailer_public), TYPED)


def read_typed(opened: bytes) -> tuple[str, str]:
    """Return the scope and the address that ``seal_typed`` was given, spelled as stops are kept."""
    scope, _, address = opened.rstrip(b"\0").partition(b"\0")
    return scope.decode(), address.decode()


def delivery_id(key: bytes, campaign: str, lock: bytes) -> bytes:
    """Name one letter: the same on every attempt, whatever slice it is in. 16 bytes."""
    return _derive(key, b"delivery/v1", campaign.encode() + b"|" + lock)[:ID_BYTES]


def message_id(key: bytes, delivery: bytes, domain: str) -> str:
    """Return the Message-ID of a letter, with its angle brackets.

    Replies quote it, so it leads back to its letter as a return path does.
    """
    return f"<{_ident(delivery)}{_letters(_mac(key, _NAMED, delivery))}@{host(domain)}>"


def parse_message_id(key: bytes, quoted: str) -> bytes:
    """Return the delivery id in a Message-ID that a reply, or a report, quotes.

    Raises:
        TokenRefused: not of this form, or not made with this key.
    """
    found = _MESSAGE_ID.fullmatch(quoted.strip())
    if found is None:
        raise TokenRefused("not a Message-ID of ours")
    return _proven(key, _NAMED, found[1], found[2])


def capability(key: bytes, delivery: bytes) -> Capability:
    """Return the 128-bit secret of a letter's stop and why links."""
    raw = _derive(key, b"capability/v1", delivery)[:CAPABILITY_BYTES]
    token = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    return Capability(token)


def answer_link(key: bytes, about: str) -> Capability:
    """Return the 128-bit secret of a link under which somebody answers us.

    Args:
        about: what is asked, such as ``reply <id>``: the same question has the same link.
    """
    raw = _derive(key, b"answer/v1", about.encode())[:CAPABILITY_BYTES]
    token = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    return Capability(token)


def stored_hash(token: str) -> bytes:
    """Return what the server looks a capability up by; it never stores the token."""
    return hashlib.sha256(b"trellis/capability/v1\n" + token.encode()).digest()


def verp_address(key: bytes, delivery: bytes, domain: str) -> str:
    """Return a letter's own return path, 45 letters before the @."""
    return f"r-{_ident(delivery)}-{_letters(_mac(key, _VERP_MAC, delivery))}@{host(domain)}"


def parse_verp(key: bytes, address: str) -> bytes:
    """Return the delivery id in a return path.

    Args:
        key: the key that ``verp_address`` was given.
        address: as it came back. Some relays change its case.

    Raises:
        TokenRefused: not of this form, or not made with this key.
    """
    found = _VERP.fullmatch(address.strip().strip("<>"))
    if found is None:
        raise TokenRefused("not a return path of ours")
    return _proven(key, _VERP_MAC, found[1], found[2])


def _proven(key: bytes, purpose: bytes, ident: str, proof: str) -> bytes:
    delivery, mac = _octets(ident), _octets(proof)
    if not hmac.compare_digest(_mac(key, purpose, delivery), mac):
        raise TokenRefused("it was not made with this key")
    return delivery


def _mac(key: bytes, purpose: bytes, delivery: bytes) -> bytes:
    return _derive(key, purpose, delivery)[:_MAC_BYTES]


def _derive(key: bytes, purpose: bytes, message: bytes) -> bytes:
    made = _begun(key, purpose).copy()
    made.update(message)
    return made.digest()


# Three of them are asked for each letter, and beginning one costs more than ending it.
@lru_cache(maxsize=16)
def _begun(key: bytes, purpose: bytes) -> hmac.HMAC:
    # One key serves several purposes, and none of them yields another's output.
    return hmac.new(key, purpose + b"\0", hashlib.sha256)


# A letter's id stands in its Message-ID and in its return path, right after each other.
@lru_cache(maxsize=2)
def _ident(delivery: bytes) -> str:
    return _letters(delivery)


def _letters(octets: bytes) -> str:
    return base64.b32encode(octets).rstrip(b"=").decode().lower()


def _octets(letters: str) -> bytes:
    padded = letters.upper() + "=" * (-len(letters) % 8)
    try:
        octets = base64.b32decode(padded)
    except binascii.Error:
        raise TokenRefused("not a return path of ours") from None
    if _letters(octets) != letters.lower():
        # Unused low bits must be zero, or one letter would have several return paths.
        raise TokenRefused("not a return path of ours")
    return octets

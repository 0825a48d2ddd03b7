"""Seal an address so that opening it takes the mailer's key and enough custodians."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mailer.errors import KeyRefused, PayloadRefused
from mailer.keys import SUITE, load_public

DEK_BYTES = 32
BUNDLE_BYTES = 16
POINT_BYTES = 32
TAG_BYTES = 32

MAX_EMAIL = 254  # RFC 5321, 4.5.3.1.3, less the angle brackets
MAX_FIRST_NAME = 96
MAX_LANGUAGE = 24
PAYLOAD_BYTES = 384
SEALED_BYTES = PAYLOAD_BYTES + 16
VERSION = 1

# A row key is used once, so its nonce may be constant.
NONCE = bytes(12)


@dataclass(frozen=True, slots=True)
class Payload:
    """What a row keeps of one member; its ``repr`` is empty."""

    email: str = field(repr=False)
    first_name: str = field(default="", repr=False)
    language: str = field(default="", repr=False)


def new_wrapped_key(mailer_public: bytes, header: bytes, dek: bytes) -> tuple[bytes, bytes]:
    """Wrap a bundle's key to the mailer.

    Args:
        mailer_public: 1,216 bytes, taken from the log with witness quorum.
        header: the bundle header's canonical bytes; the HPKE info, so a key fits one header only.
        dek: 32 random bytes, new for each bundle.

    Returns:
        The wrapped key, and the 32-byte commitment to it: no AEAD here commits to its key.

    Raises:
        KeyRefused: a key of the wrong form.
    """
    if len(dek) != DEK_BYTES:
        raise KeyRefused(f"a bundle's key has {DEK_BYTES} bytes")
    return SUITE.encrypt(dek, load_public(mailer_public), header), commit(dek)


def commit(dek: bytes) -> bytes:
    """Return the commitment to a bundle's key: ``HMAC-SHA256(dek, "commit")``."""
    return hmac.digest(dek, b"commit", hashlib.sha256)


def seal(
    payload: Payload, *, dek: bytes, shared: bytes, bundle: bytes, tag: bytes, lock: bytes
) -> bytes:
    """Seal one row.

    Args:
        payload: the fields that the agreement names.
        dek: the bundle's key.
        shared: ``r*X``, 32 bytes; X is the custodians' public key.
        bundle: the bundle's UUID as 16 bytes.
        tag: the row's 32-byte tag.
        lock: ``r*G``, 32 bytes.

    Returns:
        Exactly ``SEALED_BYTES`` bytes, whatever the payload.

    Raises:
        PayloadRefused: a field is empty, too long or has a control character.
        KeyRefused: a key or point of the wrong length.
    """
    bound = bound_to(bundle, tag, lock)
    return ChaCha20Poly1305(row_key(dek, shared, bound)).encrypt(NONCE, _pad(payload), bound)


def bound_to(bundle: bytes, tag: bytes, lock: bytes) -> bytes:
    """Return what a row's ciphertext is bound to: ``bundle || tag || lock``, 80 bytes."""
    if (len(bundle), len(tag), len(lock)) != (BUNDLE_BYTES, TAG_BYTES, POINT_BYTES):
        raise KeyRefused("a bundle id has 16 bytes, a tag 32 and a lock 32")
    return bundle + tag + lock


def row_key(dek: bytes, shared: bytes, bound: bytes) -> bytes:
    """Derive the row's key from both locks: ``HKDF-SHA256(dek || shared, info = bound)``."""
    if (len(dek), len(shared)) != (DEK_BYTES, POINT_BYTES):
        raise KeyRefused("a bundle's key has 32 bytes and a shared point 32")
    if not any(shared):
        # The neutral element: everyone could compute it, so the custodians' lock would be open.
        raise KeyRefused("the shared point is the neutral element")
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=bound).derive(dek + shared)


def _pad(payload: Payload) -> bytes:
    packed = bytearray([VERSION])
    for name, text, longest in (
        ("email", payload.email, MAX_EMAIL),
        ("first name", payload.first_name, MAX_FIRST_NAME),
        ("language", payload.language, MAX_LANGUAGE),
    ):
        try:
            octets = text.encode()
        except UnicodeEncodeError:
            raise PayloadRefused(name, "holds half a character") from None
        if len(octets) > longest:
            raise PayloadRefused(name, f"is longer than {longest} bytes")
        if any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
            raise PayloadRefused(name, "holds a control character")
        packed += bytes([len(octets)]) + octets
    if not payload.email:
        raise PayloadRefused("email", "is empty")
    return bytes(packed).ljust(PAYLOAD_BYTES, b"\0")

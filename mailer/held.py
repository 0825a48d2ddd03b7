"""Seal what waits at the mail machine for somebody's yes: to itself, so that no other opens it."""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from mailer.errors import KeyRefused

KEY_BYTES = 32
NONCE_BYTES = 12
LEAST = 1024
_END = b"\x80"


def seal_held(key: bytes, plain: bytes, about: str, nonce: bytes) -> bytes:
    """Seal a reply, or an address.

    Args:
        key: 32 bytes, the mail machine's own; it never follows the key that partners seal to.
        about: what it is; it opens under the same words alone.
        nonce: 12 random bytes.

    Returns:
        Bytes whose length tells the power of two that the content fits into, 1 KiB at least.

    Raises:
        KeyRefused: key or nonce of a wrong length.
    """
    if (len(key), len(nonce)) != (KEY_BYTES, NONCE_BYTES):
        raise KeyRefused(f"a key has {KEY_BYTES} bytes and a nonce {NONCE_BYTES}")
    size = max(LEAST, 1 << len(plain).bit_length())
    padded = (plain + _END).ljust(size, b"\0")
    return nonce + ChaCha20Poly1305(key).encrypt(nonce, padded, about.encode())


def unpadded(padded: bytes) -> bytes:
    """Return what ``seal_held`` padded."""
    return padded.rstrip(b"\0").removesuffix(_END)

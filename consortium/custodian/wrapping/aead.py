"""Wrapping under a 32-byte key in memory, and the label that every kind binds to a secret."""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from consortium.custodian.errors import WrappingRefused

NONCE_BYTES = 12
KEY_BYTES = 32
_FORM = b"\x01"  # ours: nonce, then the AEAD's output
_CONTEXT = b"consortium/custodian/wrapping/v1"


def bound(kind: str, owner: str, label: bytes) -> bytes:
    """Return what is authenticated with a secret, so that it opens in one place only.

    Args:
        owner: the custodian's id; a row carried into another home does not open there.
        label: what the secret is: purpose, ceremony, version.
    """
    parts = (_CONTEXT, kind.encode(), owner.encode(), label)
    return b"".join(len(part).to_bytes(2, "big") + part for part in parts)


def framed(nonce: bytes, sealed: bytes) -> bytes:
    """Return nonce and AEAD output as one value."""
    return _FORM + nonce + sealed


def unframed(wrapped: bytes) -> tuple[bytes, bytes]:
    """Return nonce and AEAD output; raises WrappingRefused."""
    if not wrapped.startswith(_FORM) or len(wrapped) < len(_FORM) + NONCE_BYTES + 16:
        raise WrappingRefused(DAMAGED)
    return wrapped[1 : 1 + NONCE_BYTES], wrapped[1 + NONCE_BYTES :]


#: Said of any secret that does not open: more would help only who tries keys.
DAMAGED = (
    "a secret of this home does not open: it is damaged, or belongs to another row, home or key; "
    "restore ledger and key from one backup"
)


class Sealed:
    """ChaCha20-Poly1305 (RFC 8439) under one key, a fresh random nonce each time.

    Args:
        key: 32 bytes; stays in this process's memory.
    """

    def __init__(self, kind: str, owner: str, key: bytes) -> None:
        self._kind, self._owner, self._aead = kind, owner, ChaCha20Poly1305(key)

    def wrap(self, secret: bytes, label: bytes) -> bytes:
        """Return the secret as it may stand on a disk."""
        nonce = os.urandom(NONCE_BYTES)
        ad = bound(self._kind, self._owner, label)
        return framed(nonce, self._aead.encrypt(nonce, secret, ad))

    def unwrap(self, wrapped: bytes, label: bytes) -> bytes:
        """Return the secret; raises WrappingRefused."""
        nonce, sealed = unframed(wrapped)
        try:
            return self._aead.decrypt(nonce, sealed, bound(self._kind, self._owner, label))
        except InvalidTag:
            raise WrappingRefused(DAMAGED) from None

"""What one custodian tells another, encrypted so that nobody between them counts who withdrew."""

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from matching.ceremony import HPKE
from matching.envelope import canonical

__all__ = ["hear", "padded", "tell"]

_LEAST_BITS = 16


def padded(told: bytes) -> bytes:
    """Fill JSON up with spaces to a power of two, 65,536 bytes or more: its length tells little."""
    return told.ljust(1 << max(_LEAST_BITS, (len(told) - 1).bit_length()))


def tell(teller: str, to: str, key: bytes, told: bytes) -> bytes:
    """Encrypt what ``teller`` knows to the fresh X25519 key with which ``to`` asked.

    Raises:
        ValueError: the key is none.
    """
    public = X25519PublicKey.from_public_bytes(key)
    return HPKE.encrypt(padded(told), public, _info(teller, to))


def hear(teller: str, to: str, private: bytes, sealed: bytes) -> bytes:
    """Decrypt what ``teller`` told.

    Raises:
        InvalidTag, ValueError: it does not open.
    """
    return HPKE.decrypt(sealed, X25519PrivateKey.from_private_bytes(private), _info(teller, to))


def _info(teller: str, to: str) -> bytes:
    return b"trellis/custodian-told/v1\n" + canonical([teller, to])

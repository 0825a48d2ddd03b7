"""The mailer's own key pair: ML-KEM-768 and X25519 together, and its two byte forms."""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.exceptions import InvalidKey, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519

from mailer.errors import KeyRefused

MLKEM_SEED = 64
MLKEM_PUBLIC = 1184
X25519_BYTES = 32
PRIVATE_BYTES = MLKEM_SEED + X25519_BYTES
PUBLIC_BYTES = MLKEM_PUBLIC + X25519_BYTES

# Both halves must be broken before a stored wrapped key opens (RFC 9180, single shot, Base mode).
SUITE = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """The mailer's key pair as bytes; ``repr`` shows no private byte.

    Args:
        public: 1,216 bytes: ML-KEM-768 encapsulation key (FIPS 203), then X25519 (RFC 7748).
        private: 96 bytes: ML-KEM-768 seed ``d || z``, then the X25519 scalar.
    """

    public: bytes
    private: bytes = field(repr=False)


def generate() -> KeyPair:
    """Make a new key pair from the operating system's randomness."""
    lattice = mlkem.MLKEM768PrivateKey.generate()
    curve = x25519.X25519PrivateKey.generate()
    private = lattice.private_bytes_raw() + curve.private_bytes_raw()
    return KeyPair(public_of(private), private)


def public_of(private: bytes) -> bytes:
    """Return the 1,216 public bytes that belong to 96 private ones."""
    lattice, curve = _halves(private)
    return lattice.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()


def load_public(public: bytes) -> hpke.MLKEM768X25519PublicKey:
    """Read a public key; raises KeyRefused."""
    if len(public) != PUBLIC_BYTES:
        raise KeyRefused(f"a mailer's public key has {PUBLIC_BYTES} bytes, not {len(public)}")
    try:
        return hpke.MLKEM768X25519PublicKey(
            mlkem.MLKEM768PublicKey.from_public_bytes(public[:MLKEM_PUBLIC]),
            x25519.X25519PublicKey.from_public_bytes(public[MLKEM_PUBLIC:]),
        )
    except (ValueError, InvalidKey, UnsupportedAlgorithm) as error:
        raise KeyRefused("these bytes are no public key of a mailer") from error


def load_private(private: bytes) -> hpke.MLKEM768X25519PrivateKey:
    """Read a private key; raises KeyRefused."""
    return hpke.MLKEM768X25519PrivateKey(*_halves(private))


def _halves(private: bytes) -> tuple[mlkem.MLKEM768PrivateKey, x25519.X25519PrivateKey]:
    if len(private) != PRIVATE_BYTES:
        raise KeyRefused(f"a mailer's private key has {PRIVATE_BYTES} bytes, not {len(private)}")
    return (
        mlkem.MLKEM768PrivateKey.from_seed_bytes(private[:MLKEM_SEED]),
        x25519.X25519PrivateKey.from_private_bytes(private[MLKEM_SEED:]),
    )

"""Open a sealed row; importable by one task only, and on no face."""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from mailer.errors import KeyRefused, UnsealRefused
from mailer.held import NONCE_BYTES, unpadded
from mailer.keys import SUITE, KeyPair, load_private, load_public
from mailer.seal import NONCE, PAYLOAD_BYTES, VERSION, Payload, bound_to, commit, row_key
from mailer.stops import TYPED, read_typed


def unwrap(wrapped: bytes, commitment: bytes, header: bytes, private: bytes) -> bytes:
    """Open a bundle's key.

    Args:
        wrapped: what ``new_wrapped_key`` returned.
        commitment: its second half; binds the key, which the AEAD alone does not.
        header: the bundle header's canonical bytes.
        private: the mailer's 96 private bytes.

    Raises:
        UnsealRefused: another key, another header, or a commitment to another key.
    """
    try:
        dek = SUITE.decrypt(wrapped, load_private(private), header)
    except (InvalidTag, ValueError):
        # The cause stays out: nothing of a half-opened key may reach a traceback.
        raise UnsealRefused("the wrapped key does not open under this key and header") from None
    if not hmac.compare_digest(commit(dek), commitment):
        raise UnsealRefused("the wrapped key is not the one committed to")
    return dek


def rewrap(
    wrapped: bytes, commitment: bytes, header: bytes, *, private: bytes, following: KeyPair
) -> bytes:
    """Wrap a bundle's key to the key that follows, which opens it from then on.

    The header is not changed: it names the key that the partner sealed to, and both are bound.

    Args:
        private: the 96 private bytes that open it now.
        following: both halves of the next key: what is returned has been opened with it.

    Raises:
        UnsealRefused: it does not open, or not to the key that was committed to.
    """
    dek = unwrap(wrapped, commitment, header, private)
    again = SUITE.encrypt(dek, load_public(following.public), header)
    unwrap(again, commitment, header, following.private)
    return again


def unseal(
    sealed: bytes, *, dek: bytes, shared: bytes, bundle: bytes, tag: bytes, lock: bytes
) -> Payload:
    """Open one row; the arguments are those of ``seal``.

    Args:
        shared: ``sum(lambda_i * x_i*lock)`` over t custodians. The AEAD tag is its check.

    Raises:
        UnsealRefused: a wrong key, point, bundle, tag or lock, or altered bytes.
    """
    try:
        bound = bound_to(bundle, tag, lock)
        key = row_key(dek, shared, bound)
        padded = ChaCha20Poly1305(key).decrypt(NONCE, sealed, bound)
    except (InvalidTag, KeyRefused, ValueError):
        raise UnsealRefused("the row does not open under these keys") from None
    return _unpad(padded)


def unseal_typed(sealed: bytes, privates: Sequence[bytes]) -> tuple[str, str]:
    """Open what ``stops.seal_typed`` sealed: which stop was asked for, and the address.

    Args:
        privates: the mailer's keys, the newest first; it was sealed to one of them.

    Raises:
        UnsealRefused: none of them opens it.
    """
    for private in privates:
        try:
            return read_typed(SUITE.decrypt(sealed, load_private(private), TYPED))
        except (InvalidTag, ValueError):
            continue
    raise UnsealRefused("no key of the mailer opens it")


def open_held(sealed: bytes, key: bytes, about: str) -> bytes:
    """Open what ``held.seal_held`` sealed under the same words.

    Raises:
        UnsealRefused: another key, other words, or altered bytes.
    """
    nonce, rest = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
    try:
        return unpadded(ChaCha20Poly1305(key).decrypt(nonce, rest, about.encode()))
    except (InvalidTag, ValueError):
        raise UnsealRefused("what is held does not open under this key") from None


def _unpad(padded: bytes) -> Payload:
    if len(padded) != PAYLOAD_BYTES or padded[0] != VERSION:
        raise UnsealRefused("the row was sealed by another version")
    fields, at = [], 1
    for _ in range(3):
        end = at + 1 + padded[at]
        fields.append(padded[at + 1 : end])
        at = end
        if at >= PAYLOAD_BYTES:
            raise UnsealRefused("the row's fields run over its end")
    try:
        return Payload(*(octets.decode() for octets in fields))
    except UnicodeDecodeError:
        raise UnsealRefused("the row's fields are no text") from None

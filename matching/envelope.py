"""Signed messages between custodians and their callers: one byte form, one signature, one kind.

The bytes signed are ``trellis/<kind>/v1`` and a newline, then the canonical JSON of ``body`` and
``by``. A message
of one kind can never be taken for another.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from matching.crypto_errors import MessageRefused

Signer = Callable[[bytes], bytes]
Message = dict[str, Any]


def canonical(value: object) -> bytes:
    """Return RFC 8785 bytes for what these messages hold: ASCII keys, strings, integers, lists.

    Raises:
        MessageRefused: a float, whose canonical form needs more than this.
    """
    _no_floats(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _no_floats(value: object) -> None:
    if isinstance(value, float):
        raise MessageRefused("a signed message holds no fractions")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not (isinstance(key, str) and key.isascii()):
                raise MessageRefused("a signed message has ASCII names")
            _no_floats(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _no_floats(inner)


def _signed_bytes(kind: str, body: Mapping[str, Any], by: str) -> bytes:
    return b"trellis/" + kind.encode() + b"/v1\n" + canonical({"body": body, "by": by})


def close(kind: str, body: Mapping[str, Any], *, by: str, sign: Signer) -> Message:
    """Sign ``body`` as a message of ``kind`` by the actor ``by``."""
    signature = sign(_signed_bytes(kind, body, by)).hex()
    return {"kind": kind, "body": dict(body), "by": by, "signature": signature}


def signer(message: object) -> str:
    """Return the id that ``message`` says it is by, unchecked: to look up the key to check it with.

    Raises:
        MessageRefused: not a signed message at all.
    """
    if not isinstance(message, Mapping) or not isinstance(message.get("by"), str):
        raise MessageRefused("not a signed message")
    return str(message["by"])


def open_(kind: str, message: object, *, public: bytes) -> dict[str, Any]:
    """Check kind and signature and return the body.

    Args:
        public: 32-byte Ed25519 key of the actor named by `signer`, from the caller's own registry.

    Raises:
        MessageRefused: another kind, another signer, or malformed.
    """
    by = signer(message)
    if not isinstance(message, Mapping):
        raise MessageRefused("not a signed message")
    body, signature = message.get("body"), message.get("signature")
    if message.get("kind") != kind or not isinstance(body, dict) or not isinstance(signature, str):
        raise MessageRefused(f"not a signed message of kind {kind}")
    try:
        key = Ed25519PublicKey.from_public_bytes(public)
        key.verify(bytes.fromhex(signature), _signed_bytes(kind, body, by))
    except (InvalidSignature, ValueError, TypeError) as error:
        raise MessageRefused(f"the signature of {by} does not hold") from error
    return body

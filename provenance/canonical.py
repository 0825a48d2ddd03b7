"""One byte form per fact (RFC 8785); salted commitments and their openings."""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import rfc8785

from provenance.errors import CanonicalRefused, CommitmentRefused

JSON: TypeAlias = Any
"""None, bool, int (within 53 bits), float, str, list or dict of those."""

COMMIT_LABEL = b"trellis/commit/v1\n"
SALT_BYTES = 32


@dataclass(frozen=True, slots=True)
class Opening:
    """What turns one commitment back into its fact. Kept by whom the fact concerns."""

    salt: bytes = field(repr=False)
    value: JSON = field(repr=False)


def canonical(value: JSON) -> bytes:
    """The one byte form of ``value``.

    Raises:
        CanonicalRefused: the value has none (NaN, integers beyond 53 bits, other types).

    Source:
        RFC 8785.
    """
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, RecursionError, UnicodeError) as refused:
        raise CanonicalRefused("this value has no canonical JSON form") from refused


def from_canonical(raw: bytes) -> JSON:
    """Read JSON that must already be in its canonical form.

    Raises:
        CanonicalRefused: not JSON, or any other spelling of it (spaces, double keys, order).
    """
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as refused:
        raise CanonicalRefused("not JSON") from refused
    if canonical(value) != raw:
        raise CanonicalRefused("JSON, but not in its canonical form (RFC 8785)")
    return value


def commitment(salt: bytes, value: JSON) -> bytes:
    """SHA-256 over label, 32-byte salt and canonical value: hides the value, binds to it."""
    if len(salt) != SALT_BYTES:
        # A variable salt could trade bytes with the value behind it.
        raise CommitmentRefused(f"a salt has {SALT_BYTES} bytes")
    return hashlib.sha256(COMMIT_LABEL + salt + canonical(value)).digest()


def check_commitment(name: str, committed: bytes, opening: Opening) -> None:
    """Check that ``opening`` opens ``committed``.

    Raises:
        CommitmentRefused: it does not; ``name`` says which field.
    """
    if not hmac.compare_digest(commitment(opening.salt, opening.value), committed):
        raise CommitmentRefused(f"the opening of {name!r} does not open its commitment")


def openings_to_json(openings: Mapping[str, Opening]) -> dict[str, JSON]:
    """``{"field": {"salt": hex, "value": ...}}``."""
    return {
        name: {"salt": opening.salt.hex(), "value": opening.value}
        for name, opening in openings.items()
    }


def openings_from_json(value: JSON) -> dict[str, Opening]:
    """Read what ``openings_to_json`` wrote.

    Raises:
        CommitmentRefused: another shape, or a salt that is not 32 bytes of lower-case hex.
    """
    if not isinstance(value, dict):
        raise CommitmentRefused("openings are an object of field to {salt, value}")
    found: dict[str, Opening] = {}
    for name, one in value.items():
        if not isinstance(one, dict) or set(one) != {"salt", "value"}:
            raise CommitmentRefused(f"the opening of {name!r} is not {{salt, value}}")
        found[name] = Opening(_salt(name, one["salt"]), one["value"])
    return found


def _salt(name: str, text: JSON) -> bytes:
    try:
        salt = unhex(text, SALT_BYTES)
    except CanonicalRefused as refused:
        raise CommitmentRefused(f"the salt of {name!r}: {refused}") from refused
    return salt


def unhex(text: JSON, length: int) -> bytes:
    """Lower-case hex of exactly ``length`` bytes, or ``CanonicalRefused``."""
    refused = CanonicalRefused(f"not {length} bytes of lower-case hex")
    if not isinstance(text, str) or len(text) != 2 * length:
        raise refused
    try:
        octets = bytes.fromhex(text)
    except ValueError:
        raise refused from None
    if octets.hex() != text:
        # ``fromhex`` also takes capitals and spaces.
        raise refused
    return octets


def lines(parts: Sequence[str]) -> bytes:
    """UTF-8 lines, each ended by one LF."""
    return "".join(f"{part}\n" for part in parts).encode()

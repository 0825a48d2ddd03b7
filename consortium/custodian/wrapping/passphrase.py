"""A wrapping key derived from a passphrase by Argon2id (RFC 9106).

The default cost is the RFC's second recommendation: 3 passes over 64 MiB in 4 lanes. It stands in
the database beside the salt, so a later default changes nothing that is kept.
"""

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from consortium.custodian.errors import WrappingRefused
from consortium.custodian.wrapping.aead import KEY_BYTES, Sealed
from consortium.custodian.wrapping.asking import Ask

KIND = "passphrase"
SALT_BYTES = 16
SHORTEST = 12
"""Letters of a passphrase; a guess costs about a tenth of a second of one core, and no more."""
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True)
class Cost:
    """What one guess costs.

    Attributes:
        iterations: passes over the memory.
        memory: KiB.
    """

    iterations: int = 3
    lanes: int = 4
    memory: int = 64 * 1024


def make(owner: str, ask: Ask, cost: Cost | None = None) -> tuple[Sealed, dict[str, Any]]:
    """Ask for a new passphrase; return the wrapping under it, and salt and cost to keep.

    Raises:
        WrappingRefused: too short.
    """
    said = ask("passphrase", new=True)
    if len(said.decode()) < SHORTEST:
        raise WrappingRefused(f"a passphrase has at least {SHORTEST} letters")
    facts = {"salt": secrets.token_hex(SALT_BYTES), **asdict(cost or Cost())}
    return _derived(owner, said, facts), facts


def open_(owner: str, facts: Mapping[str, Any], ask: Ask) -> Sealed:
    """Return the wrapping under the passphrase that is asked for; nothing is checked yet."""
    return _derived(owner, ask("passphrase"), facts)


def suggestion() -> str:
    """Return a passphrase for who would rather not think of one: 5 groups of 5, 123 bits."""
    groups = ("".join(secrets.choice(_ALPHABET) for _ in range(5)) for _ in range(5))
    return "-".join(groups)


def _derived(owner: str, said: bytes, facts: Mapping[str, Any]) -> Sealed:
    made = Argon2id(
        salt=bytes.fromhex(facts["salt"]),
        length=KEY_BYTES,
        iterations=facts["iterations"],
        lanes=facts["lanes"],
        memory_cost=facts["memory"],
    ).derive(said)
    return Sealed(KIND, owner, made)

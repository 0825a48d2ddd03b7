"""The four kinds by name: each is made once and opened at every start; its library loads then."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from consortium.custodian.errors import WrappingRefused
from consortium.custodian.keys import Wrapping
from consortium.custodian.wrapping.asking import Ask

#: What each kind keeps out, in a sentence for `init` and `status`.
KINDS: Mapping[str, str] = {
    "passphrase": "a passphrase that somebody says at every start; nothing else to buy",
    "file": "a key file beside the database; for a demonstration, or on an encrypted disk",
    "pkcs11": "a key in a smart card or HSM, which never leaves it; asks for its PIN",
    "vault": "a key in your organisation's Vault or OpenBao, which never leaves it",
}
REMOTE = ("pkcs11", "vault")
"""Kinds that are asked somewhere else each time; an opened share is remembered in memory."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Which kind, and what it must be told besides secrets.

    Attributes:
        more: keyword arguments of the kind's ``make``.
    """

    kind: str
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kind:
    """A wrapping that was made or opened, with what the database keeps of it."""

    name: str
    facts: Mapping[str, Any]
    wrapping: Wrapping = field(repr=False)

    def close(self) -> None:
        """Leave the token, if it is one."""
        leave = getattr(self.wrapping, "close", None)
        if leave is not None:
            leave()


def make(home: Path, owner: str, wish: Wish, ask: Ask) -> Kind:
    """Make what a kind needs; nothing depends on it until the database names it."""
    made: tuple[Wrapping, dict[str, Any]]
    match wish.kind:
        case "file":
            from consortium.custodian.wrapping import file

            made = file.make(home, owner)
        case "passphrase":
            from consortium.custodian.wrapping import passphrase

            made = passphrase.make(owner, ask, **wish.more)
        case "pkcs11":
            from consortium.custodian.wrapping import token

            made = token.make(owner, ask, **wish.more)
        case "vault":
            from consortium.custodian.wrapping import transit

            made = transit.make(owner, ask, **wish.more)
        case other:
            raise WrappingRefused(f"there is no kind {other!r}: {', '.join(KINDS)}")
    wrapping, facts = made
    return Kind(wish.kind, facts, wrapping)


def open_(home: Path, owner: str, name: str, facts: Mapping[str, Any], ask: Ask) -> Kind:
    """Open a kind that was made before; raises WrappingRefused or WrappingAway."""
    wrapping: Wrapping
    match name:
        case "file":
            from consortium.custodian.wrapping import file

            wrapping = file.open_(home, owner, facts)
        case "passphrase":
            from consortium.custodian.wrapping import passphrase

            wrapping = passphrase.open_(owner, facts, ask)
        case "pkcs11":
            from consortium.custodian.wrapping import token

            wrapping = token.open_(owner, facts, ask)
        case "vault":
            from consortium.custodian.wrapping import transit

            wrapping = transit.open_(owner, facts, ask)
        case other:
            raise WrappingRefused(f"this build knows no wrapping of the kind {other!r}")
    return Kind(name, facts, wrapping)

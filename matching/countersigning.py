"""The mailer's key after its first: believed only as t custodians countersigned it.

The first key is named by the invite, which is handed over by people. Every later one says whom it
follows and until when it stands, and t custodians sign that, each after it checked for itself who
asked and that all of it is public. Who has t countersignatures needs no chain back to the first.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from matching.crypto_errors import StatementRefused
from matching.envelope import Signer, canonical
from matching.evaluation import moment
from matching.statement import check_signature

PUBLIC_BYTES = 1184 + 32
"""An ML-KEM-768 encapsulation key, then one of X25519."""


def named(public: bytes) -> str:
    """A key's name: SHA-256 of its public bytes, in hex."""
    return hashlib.sha256(public).hexdigest()


@dataclass(frozen=True, slots=True)
class Successor:
    """A key of the mailer that follows another.

    Attributes:
        public: 1,216 bytes.
        predecessor: the name of the key before it.
        expires: UTC, as ``2026-11-21T14:00:00Z``; nothing new is sealed to it from then on.
    """

    public: bytes
    predecessor: str
    expires: str

    def facts(self) -> dict[str, str]:
        """What is signed, and what its entries in the log say beside their kind."""
        return {
            "public": self.public.hex(),
            "predecessor": self.predecessor,
            "expires": self.expires,
        }

    @property
    def ends(self) -> datetime:
        """When it expires."""
        return moment(self.expires)

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "Successor":
        """Read one from an entry's or a call's facts.

        Raises:
            StatementRefused: a part is missing or misshapen.
        """
        try:
            made = cls(
                bytes.fromhex(str(facts["public"])),
                str(facts["predecessor"]),
                str(facts["expires"]),
            )
            moment(made.expires)
            before = bytes.fromhex(made.predecessor)
        except (KeyError, TypeError, ValueError) as error:
            raise StatementRefused("what follows the mailer's key is misshapen") from error
        if len(made.public) != PUBLIC_BYTES or len(before) != 32:
            raise StatementRefused("what follows the mailer's key has another length")
        if made.facts() != {name: facts[name] for name in made.facts()}:
            raise StatementRefused("what follows the mailer's key is not in its one spelling")
        return made


def said(key: Successor) -> bytes:
    """The bytes that a custodian signs."""
    return b"trellis/mailer-key/v1\n" + canonical(key.facts())


def countersign(key: Successor, sign: Signer) -> str:
    """A custodian's countersignature, in hex."""
    return sign(said(key)).hex()


def check_countersigned(
    key: Successor,
    signatures: Mapping[str, Any],
    publics: Mapping[str, bytes],
    threshold: int,
) -> None:
    """Check that enough custodians countersigned.

    Args:
        signatures: hex by custodian's id; of others than ours none counts.
        publics: 32-byte Ed25519 keys of the custodians, from the caller's own registry.

    Raises:
        StatementRefused: fewer than ``threshold`` hold.
    """
    if threshold < 1:
        raise StatementRefused("a threshold is at least one")
    good = 0
    for one in sorted(set(signatures) & set(publics)):
        try:
            check_signature(one, said(key), {one: bytes.fromhex(str(signatures[one]))}, publics)
        except (StatementRefused, ValueError):
            continue
        good += 1
    if good < threshold:
        raise StatementRefused(
            f"the mail machine's new key is countersigned by {good} of the custodians; "
            f"{threshold} are needed"
        )


def believed(
    facts: Mapping[str, Any],
    *,
    first: str | None,
    publics: Mapping[str, bytes],
    threshold: int,
) -> bytes:
    """The mailer's public key as an entry states it, if there is reason to believe it.

    Args:
        facts: of a ``key`` entry of kind ``mailer``; its signer has been checked.
        first: the name of the mailer's first key, from the invite; None when it names none.

    Raises:
        StatementRefused: neither the first, nor countersigned by enough; or nobody said which key
            is the first, since then any would do.
    """
    if first is None:
        raise StatementRefused("the invite does not name the mail machine's first key")
    if "predecessor" in facts or "countersignatures" in facts:
        key = Successor.of(facts)
        signatures = facts.get("countersignatures")
        if not isinstance(signatures, Mapping):
            raise StatementRefused("the mail machine's new key has no countersignatures")
        check_countersigned(key, signatures, publics, threshold)
        return key.public
    try:
        public = bytes.fromhex(str(facts["public"]))
    except (KeyError, ValueError) as error:
        raise StatementRefused("the mail machine's key is misshapen") from error
    if named(public) != first:
        raise StatementRefused(
            "the mail machine's key is not its first one, and no custodian countersigned it"
        )
    return public

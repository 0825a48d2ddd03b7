"""Who is who, and what they agreed, as a replay of the log is told by whoever asks for it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from provenance.canonical import JSON
from provenance.entry import BROWSER_KEY


@dataclass(frozen=True, slots=True)
class People:
    """Public keys by role; None where nobody told, and then that role is not checked.

    Attributes:
        partners, custodians: id to 32-byte key.
        operators, mailers: their keys.
        threshold: how many custodians open a row.
        browsers: partner id to the keys in browsers that its own key vouches for.
    """

    partners: Mapping[str, bytes] | None = None
    custodians: Mapping[str, bytes] | None = None
    operators: frozenset[bytes] | None = None
    mailers: frozenset[bytes] | None = None
    threshold: int = 1
    browsers: Mapping[str, frozenset[bytes]] = field(default_factory=dict)

    def keys_of(self, partner: str) -> frozenset[bytes]:
        """Keys under which a partner may approve: its own, and those it vouches for."""
        own = (self.partners or {}).get(partner)
        return frozenset() if own is None else self.browsers.get(partner, frozenset()) | {own}


@dataclass(frozen=True, slots=True)
class Terms:
    """What of an agreement a replay obeys; whoever read the document says it.

    Attributes:
        digest: SHA-256 of the document's bytes, hex: what the log names.
        opens, closes: aware; every window lies between them.
        parties: id to 32-byte key; each must have signed.
        approvals: how many sources must approve; None for all of them.
        size_class: the largest allowed.
    """

    digest: str
    race: str
    opens: datetime
    closes: datetime
    parties: Mapping[str, bytes]
    approvals: int | None
    size_class: int


def browsers(stated: Iterable[JSON], partners: Mapping[str, bytes]) -> dict[str, frozenset[bytes]]:
    """Keys in browsers by partner, of those ``{partner, public, signature}`` that hold.

    Whoever passes them on cannot make one: the signature is the partner's own tool's.
    """
    found: dict[str, frozenset[bytes]] = {}
    for one in stated:
        try:
            if not isinstance(one, dict):
                continue
            partner, public = str(one["partner"]), bytes.fromhex(str(one["public"]))
            Ed25519PublicKey.from_public_bytes(partners[partner]).verify(
                bytes.fromhex(str(one["signature"])), BROWSER_KEY + public
            )
        except (KeyError, TypeError, ValueError, InvalidSignature):
            continue  # it vouches for nobody
        found[partner] = found.get(partner, frozenset()) | {public}
    return found

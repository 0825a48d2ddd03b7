"""Keys with known seeds for tests of the log: a log, witnesses, actors, entries."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import count

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from provenance.canonical import JSON
from provenance.entry import Drafted, draft
from provenance.note import COSIGNATURE, Signer, parse_note
from provenance.quorum import Policy
from provenance.sequencer import ProofFor
from provenance.witness import cosign

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ORIGIN = "log.example/prov"
LOG = Signer.from_seed(ORIGIN, bytes(range(32)))
WITNESSES = [
    Signer.from_seed(f"witness.example/w{n}", bytes([n]) * 32, COSIGNATURE) for n in (1, 2, 3)
]
POLICY = Policy.of(LOG.verifier, [one.verifier for one in WITNESSES], 2)


def trusting(witnesses: Sequence[Signer] = WITNESSES) -> Callable[[bytes, ProofFor], list[bytes]]:
    """Witnesses that sign whatever they are shown."""

    def ask(note: bytes, _: ProofFor) -> list[bytes]:
        text = parse_note(note).text
        return [cosign(text, one, int(NOON.timestamp())).to_line() for one in witnesses]

    return ask


def private(name: str) -> Ed25519PrivateKey:
    """The key of a test actor."""
    return Ed25519PrivateKey.from_private_bytes(name.encode().ljust(32, b".")[:32])


def public(name: str) -> bytes:
    """The public key of a test actor."""
    return private(name).public_key().public_bytes_raw()


_SALTS = count()


def made(who: str, type_: str, at: datetime = NOON, **facts: JSON) -> Drafted:
    """An entry by a test actor, with salts that differ but are not random."""
    return draft(
        type_,
        at=at,
        actor=public(who),
        facts=facts,
        salt=lambda: next(_SALTS).to_bytes(32, "big"),
        sign=private(who).sign,
    )

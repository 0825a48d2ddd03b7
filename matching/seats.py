"""Who sits at the table of a key ceremony, and what each says or keeps in its rounds."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from matching.crypto_errors import CeremonyAborted, MessageRefused, StatementRefused
from matching.envelope import Message, canonical, open_, signer


@dataclass(frozen=True, slots=True)
class Seat:
    """One custodian at the table: its id and its 32-byte Ed25519 key."""

    id: str
    public: bytes


@dataclass(frozen=True, slots=True)
class Session:
    """What a ceremony is for; its digest names it.

    Attributes:
        seats: in index order (1-based).
        attempt: 1, and one more for each restart after an abort, so that nothing is ever used
        twice.
    """

    epoch: str
    purpose: str
    threshold: int
    seats: tuple[Seat, ...]
    attempt: int = 1

    @property
    def sid(self) -> str:
        """SHA-256 over participants, threshold, epoch, purpose and attempt, hex."""
        said = {
            "seats": [{"id": seat.id, "public": seat.public.hex()} for seat in self.seats],
            "t": self.threshold,
            "epoch": self.epoch,
            "purpose": self.purpose,
            "attempt": self.attempt,
        }
        return hashlib.sha256(b"trellis/ceremony/v1\n" + canonical(said)).hexdigest()

    @property
    def ids(self) -> tuple[str, ...]:
        """Custodians' ids in index order."""
        return tuple(seat.id for seat in self.seats)

    @property
    def dealers(self) -> tuple[str, ...]:
        """Who deals: everybody here; in a resharing (`matching.resharing`) some who held shares."""
        return self.ids

    @property
    def publics(self) -> dict[str, bytes]:
        """The key of everybody who speaks at this table, by id."""
        return {seat.id: seat.public for seat in self.seats}

    def index(self, id: str) -> int:
        """Return the 1-based index of ``id``.

        Raises:
            StatementRefused: no seat at this table.
        """
        if id not in self.ids:
            raise StatementRefused(f"custodian {id} has no seat in this ceremony")
        return self.ids.index(id) + 1

    def dealer_index(self, id: str) -> int:
        """Return the 1-based index under which ``id`` deals.

        Raises:
            StatementRefused: it deals nothing here.
        """
        return self.index(id)

    def said(self, round: str, id: str, message: object) -> dict[str, Any]:
        """Return the body of a message of this ceremony's round, signed by the custodian ``id``.

        Raises:
            MessageRefused: another round, ceremony or signer.
        """
        publics = self.publics
        if id not in publics or signer(message) != id:
            raise MessageRefused(f"not a message by {id}")
        body = open_(f"ceremony-{round}", message, public=publics[id])
        if body.get("sid") != self.sid:
            raise MessageRefused("a message of another ceremony")
        return body


@dataclass(frozen=True, slots=True)
class Secret:
    """What a custodian must keep between rounds, and destroy after; its repr shows nothing."""

    coefficients: tuple[bytes, ...] = field(repr=False)
    hpke_private: bytes = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON for the custodian's own database, and nowhere else."""
        return {
            "coefficients": [c.hex() for c in self.coefficients],
            "hpke": self.hpke_private.hex(),
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Secret":
        """Read what `to_json` wrote."""
        coefficients = tuple(bytes.fromhex(c) for c in kept["coefficients"])
        return cls(coefficients, bytes.fromhex(kept["hpke"]))


@dataclass(frozen=True, slots=True)
class Commit:
    """Round 1: the digest that goes to the log, and the key that shares will be encrypted to."""

    id: str
    digest: str
    hpke_public: bytes


@dataclass(frozen=True, slots=True)
class Reveal:
    """Round 2: A_m = f_m*G, and the proof of knowledge of f_0."""

    id: str
    commitments: tuple[bytes, ...]
    proof: bytes

    @property
    def digest(self) -> str:
        """SHA-256(A || proof), hex: what round 1 promised."""
        return hashlib.sha256(b"".join(self.commitments) + self.proof).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Return what is signed as this custodian's reveal."""
        return {
            "commitments": [point.hex() for point in self.commitments],
            "proof": self.proof.hex(),
        }

    @classmethod
    def from_json(cls, id: str, body: Mapping[str, Any]) -> "Reveal":
        """Read what `to_json` wrote.

        Raises:
            CeremonyAborted: it is malformed.
        """
        try:
            points = tuple(bytes.fromhex(point) for point in body["commitments"])
            return cls(id, points, bytes.fromhex(body["proof"]))
        except (KeyError, TypeError, ValueError) as error:
            raise CeremonyAborted(id, "sent a malformed reveal") from error


@dataclass(frozen=True, slots=True)
class Complaint:
    """Round 4, only if something is wrong: the complainer opens its per-ceremony key for
    anybody, and shows the very messages that the accused signed for it.

    Attributes:
        shares, reveal: the accused's signed messages, as the complainer got them. A judge that
            fetched its own might be given others.
    """

    by: str
    against: str
    hpke_private: bytes = field(repr=False)
    shares: Message = field(repr=False)
    reveal: Message = field(repr=False)

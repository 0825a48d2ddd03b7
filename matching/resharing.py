"""Deal a key's shares again: to other custodians, or to the same so that old shares are worthless.

As many holders as the threshold each share their own weighted share out with a fresh polynomial;
the sum of the dealt pieces is a new sharing of the same key. The rounds are the ceremony's; what
differs is what a dealer's polynomial begins with, and that anybody can check it against the logged
share commitments.

Source:
    Desmedt and Jajodia 1997, "Redistributing secret shares to new access structures", with Feldman
    commitments and the proof of knowledge of `matching.ceremony`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from matching import ceremony, group
from matching.crypto_errors import CeremonyAborted, StatementRefused
from matching.envelope import canonical
from matching.lineage import check_change
from matching.seats import Reveal, Seat, Secret, Session
from matching.statement import Statement, check_numbers
from matching.threshold import committed, lagrange

__all__ = ["Resharing", "begin", "check_reveal", "conclude", "hear", "resharing", "tell"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resharing(Session):
    """One resharing; ``seats`` are the new holders, ``threshold`` is theirs.

    Attributes:
        old: the statement whose shares are dealt again, checked.
        dealing: the holders who deal, in their old index order; they may be leaving.
    """

    old: Statement
    dealing: tuple[Seat, ...]

    @property
    def sid(self) -> str:
        """SHA-256 over old statement, dealers, seats, threshold and attempt, hex."""
        said = {
            "old": self.old.digest,
            "dealers": [{"id": seat.id, "public": seat.public.hex()} for seat in self.dealing],
            "seats": [{"id": seat.id, "public": seat.public.hex()} for seat in self.seats],
            "t": self.threshold,
            "attempt": self.attempt,
        }
        return hashlib.sha256(b"trellis/resharing/v1\n" + canonical(said)).hexdigest()

    @property
    def dealers(self) -> tuple[str, ...]:
        """Who deals, in old index order."""
        return tuple(seat.id for seat in self.dealing)

    @property
    def publics(self) -> dict[str, bytes]:
        """The key of everybody who speaks: dealers and new holders."""
        return {seat.id: seat.public for seat in (*self.dealing, *self.seats)}

    @property
    def newcomers(self) -> tuple[str, ...]:
        """New holders who held no share of the old version."""
        return tuple(one for one in self.ids if one not in self.old.ids)

    def dealer_index(self, id: str) -> int:
        """Return the index that ``id`` had under the old statement.

        Raises:
            StatementRefused: it deals nothing here.
        """
        if id not in self.dealers:
            raise StatementRefused(f"custodian {id} deals nothing in this resharing")
        return self.old.index(id)

    def weight(self, dealer: str) -> bytes:
        """Return lambda_i: what the dealer's share counts for when exactly these dealers deal."""
        quorum = [self.old.index(one) for one in self.dealers]
        return lagrange(self.dealer_index(dealer), quorum)


def resharing(
    old: Statement,
    *,
    dealing: Sequence[Seat],
    seats: Sequence[Seat],
    threshold: int,
    attempt: int = 1,
) -> Resharing:
    """Return the session in which ``dealing`` hand the key of ``old`` to ``seats``.

    Raises:
        StatementRefused: the change is against a rule of `matching.lineage.check_change`.
    """
    check_change(old, [one.id for one in seats], threshold, [one.id for one in dealing])
    return Resharing(
        epoch=old.epoch,
        purpose=old.purpose,
        threshold=threshold,
        seats=tuple(seats),
        attempt=attempt,
        old=old,
        dealing=tuple(sorted(dealing, key=lambda seat: old.index(seat.id))),
    )


def begin(
    session: Resharing, id: str, uniform: bytes, hpke_private: bytes, share: bytes | None
) -> Secret:
    """Draw what ``id`` keeps for this session.

    Args:
        uniform: 64 random bytes per coefficient but the first.
        hpke_private: a fresh X25519 key, for this session alone.
        share: x_i of the old version, if ``id`` deals.

    Raises:
        StatementRefused: the share is not the one of the old statement.
    """
    if id not in session.dealers:
        return Secret((), hpke_private)
    if share is None or group.base(share) != session.old.share(id):
        raise StatementRefused("the share does not fit its commitment in the statement")
    if len(uniform) != 64 * (session.threshold - 1):
        raise StatementRefused("64 random bytes for each coefficient but the first are needed")
    raw = group.reduce_each(uniform) if uniform else b""
    drawn = tuple(raw[n : n + 32] for n in range(0, len(raw), 32))
    return Secret((group.scalar_mul(session.weight(id), share), *drawn), hpke_private)


def check_reveal(session: Resharing, logged_digest: str, shown: Reveal) -> None:
    """Check a dealer's reveal against the log's digest and its logged share commitment.

    Raises:
        CeremonyAborted: as in a ceremony, or it deals something else than its own share.
    """
    ceremony.check_reveal(session, logged_digest, shown)
    expected = group.mult(session.weight(shown.id), session.old.share(shown.id))
    if shown.commitments[0] != expected:
        raise CeremonyAborted(shown.id, "deals something else than the share it holds")


def conclude(session: Resharing, reveals: Mapping[str, Reveal]) -> Statement:
    """Compute the next statement of the key, which holders and dealers must now sign.

    Raises:
        StatementRefused: the public key would change, or anything else is inconsistent.
    """
    commitments = ceremony.summed(session, reveals)
    statement = Statement(
        sid=session.old.sid,
        epoch=session.epoch,
        purpose=session.purpose,
        suite=session.old.suite,
        threshold=session.threshold,
        ids=session.ids,
        commitments=commitments,
        shares=tuple(committed(commitments, j + 1) for j in range(len(session.seats))),
        version=session.old.version + 1,
        previous=session.old.digest,
        dealers=session.dealers,
    )
    check_numbers(statement)
    if statement.public != session.old.public:
        raise StatementRefused("a resharing must not change the public key")
    return statement


def tell(session: Resharing, dealer: str, to: str, key: bytes, told: bytes) -> bytes:
    """Encrypt to a newcomer's session key what a dealer knows and the newcomer must."""
    return ceremony.HPKE.encrypt(
        told, X25519PublicKey.from_public_bytes(key), _told_info(session, dealer, to)
    )


def hear(session: Resharing, dealer: str, to: str, hpke_private: bytes, sealed: bytes) -> bytes:
    """Decrypt what a dealer told.

    Raises:
        InvalidTag, ValueError: it does not open.
    """
    private = X25519PrivateKey.from_private_bytes(hpke_private)
    return ceremony.HPKE.decrypt(sealed, private, _told_info(session, dealer, to))


def _told_info(session: Resharing, dealer: str, to: str) -> bytes:
    i, j = session.dealer_index(dealer), session.index(to)
    sid = bytes.fromhex(session.sid)
    return b"trellis/resharing-told/v1" + sid + i.to_bytes(2, "big") + j.to_bytes(2, "big")

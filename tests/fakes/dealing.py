"""All rounds of a resharing in one place, without hosts: who deals, who receives, who signs."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from matching import ceremony as rounds
from matching import group, resharing
from matching.lineage import Signed
from matching.resharing import Resharing
from matching.seats import Reveal, Seat, Secret
from matching.statement import Statement, signed_bytes
from matching.threshold import lagrange


def keys_of(ids: Sequence[str]) -> dict[str, Ed25519PrivateKey]:
    """Fresh signing keys."""
    return {one: Ed25519PrivateKey.generate() for one in ids}


def publics_of(keys: Mapping[str, Ed25519PrivateKey]) -> dict[str, bytes]:
    return {one: key.public_key().public_bytes_raw() for one, key in keys.items()}


def sign_all(statement: Statement, keys: Mapping[str, Ed25519PrivateKey]) -> Signed:
    """Every signature a statement needs."""
    said = signed_bytes(statement)
    return Signed(statement, {one: keys[one].sign(said) for one in statement.signers})


def combined(shares: Mapping[str, bytes], statement: Statement, ids: Sequence[str]) -> bytes:
    """The secret that these holders' shares make, if they make any."""
    quorum, total = [statement.index(one) for one in ids], group.ZERO
    for one in ids:
        weight = lagrange(statement.index(one), quorum)
        total = group.scalar_add(total, group.scalar_mul(weight, shares[one]))
    return total


@dataclass
class Dealt:
    """One resharing, all its parts open to a test."""

    session: Resharing
    secrets: dict[str, Secret] = field(default_factory=dict)
    reveals: dict[str, Reveal] = field(default_factory=dict)
    sealed: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def receive(self, one: str) -> bytes:
        for shown in self.reveals.values():
            resharing.check_reveal(self.session, shown.digest, shown)
        mine = {dealer: self.sealed[dealer][one] for dealer in self.session.dealers}
        return rounds.receive(self.session, one, self.secrets[one], self.reveals, mine)

    @property
    def statement(self) -> Statement:
        return resharing.conclude(self.session, self.reveals)

    def shares(self) -> dict[str, bytes]:
        """What each new holder ends with, checked as it would."""
        found = {one: self.receive(one) for one in self.session.ids}
        for one, share in found.items():
            rounds.check_share(self.statement, one, share)
        return found


def deal_again(
    old: Statement,
    shares: Mapping[str, bytes],
    keys: Mapping[str, Ed25519PrivateKey],
    *,
    ids: Sequence[str],
    threshold: int,
    dealers: Sequence[str] = (),
    bent: Mapping[str, bytes] | None = None,
) -> Dealt:
    """Run every round.

    Args:
        bent: what a dealer's polynomial begins with instead of its own share, for some.
    """
    seats = {one: Seat(one, public) for one, public in publics_of(keys).items()}
    dealing = dealers or old.ids[: old.threshold]
    session = resharing.resharing(
        old,
        dealing=[seats[one] for one in dealing],
        seats=[seats[one] for one in ids],
        threshold=threshold,
    )
    made = Dealt(session)
    for one in session.publics:
        uniform, private = os.urandom(64 * (threshold - 1)), os.urandom(32)
        made.secrets[one] = resharing.begin(session, one, uniform, private, shares.get(one))
        if bent and one in bent:
            whole = (bent[one], *made.secrets[one].coefficients[1:])
            made.secrets[one] = replace(made.secrets[one], coefficients=whole)
    hpke = {
        one: X25519PrivateKey.from_private_bytes(made.secrets[one].hpke_private)
        .public_key()
        .public_bytes_raw()
        for one in session.ids
    }
    for one in session.dealers:
        made.reveals[one] = rounds.reveal(session, one, made.secrets[one])
        made.sealed[one] = rounds.deal(session, one, made.secrets[one], hpke)
    return made

"""The key statement that all custodians sign: whose shares make which public key.

Anybody recomputes the share commitments X from the polynomial commitments F, so a statement cannot
say one key
and mean another.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from matching import group
from matching.crypto_errors import CryptoRefused, StatementRefused
from matching.envelope import canonical
from matching.oprf import SUITE
from matching.threshold import committed

PURPOSES = ("match", "seal")
_ID = re.compile(r"[a-z0-9-]{1,40}")


@dataclass(frozen=True, slots=True)
class Statement:
    """One threshold key.

    Attributes:
        sid: 64 hex digits naming the ceremony.
        ids: custodians in index order; the index of ``ids[k]`` is k + 1.
        commitments: F_m, threshold points; F_0 is the public key.
        shares: X_j = x_j*G in index order.
        version: of the shares: 1 from the ceremony, one more after each resharing. Shares of two
            versions do not combine.
        previous: digest of the statement whose shares were dealt again, from version 2 on.
        dealers: which of its custodians dealt theirs, in their old index order.
    """

    sid: str
    epoch: str
    purpose: str
    suite: str
    threshold: int
    ids: tuple[str, ...]
    commitments: tuple[bytes, ...]
    shares: tuple[bytes, ...]
    version: int = 1
    previous: str | None = None
    dealers: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 over the signed bytes, hex: what the next version names as its previous."""
        return hashlib.sha256(signed_bytes(self)).hexdigest()

    @property
    def signers(self) -> tuple[str, ...]:
        """Whose signatures it needs: its holders', and its dealers', who may be leaving."""
        return (*self.ids, *(one for one in self.dealers if one not in self.ids))

    @property
    def public(self) -> bytes:
        """The threshold public key, F_0."""
        return self.commitments[0]

    def index(self, id: str) -> int:
        """Return the 1-based index of a custodian.

        Raises:
            StatementRefused: it holds no share of this key.
        """
        if id not in self.ids:
            raise StatementRefused(f"custodian {id} holds no share of this key")
        return self.ids.index(id) + 1

    def share(self, id: str) -> bytes:
        """Return X_j of a custodian."""
        return self.shares[self.index(id) - 1]

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that is signed and logged."""
        descent = {"previous": self.previous, "dealers": list(self.dealers)}
        return {
            "sid": self.sid,
            "version": self.version,
            "epoch": self.epoch,
            "purpose": self.purpose,
            "suite": self.suite,
            "t": self.threshold,
            "n": len(self.ids),
            "ids": list(self.ids),
            "F": [point.hex() for point in self.commitments],
            "X": [point.hex() for point in self.shares],
            **(descent if self.previous is not None else {}),
        }

    @classmethod
    def from_json(cls, stated: object) -> "Statement":
        """Read a statement; its numbers are checked by `check_statement`, not here.

        Raises:
            StatementRefused: a field is missing or of the wrong kind.
        """
        if not isinstance(stated, Mapping):
            raise StatementRefused("a key statement is an object")
        try:
            made = cls(
                sid=str(stated["sid"]),
                epoch=str(stated["epoch"]),
                purpose=str(stated["purpose"]),
                suite=str(stated["suite"]),
                threshold=int(stated["t"]),
                ids=tuple(str(one) for one in stated["ids"]),
                commitments=tuple(bytes.fromhex(point) for point in stated["F"]),
                shares=tuple(bytes.fromhex(point) for point in stated["X"]),
                version=int(stated["version"]),
                previous=None if "previous" not in stated else str(stated["previous"]),
                dealers=tuple(str(one) for one in stated.get("dealers", ())),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise StatementRefused("a key statement lacks a field, or has one misshapen") from error
        if stated.get("n") != len(made.ids):
            raise StatementRefused("a key statement counts its custodians wrongly")
        return made


def signed_bytes(statement: Statement) -> bytes:
    """Return the bytes every custodian signs."""
    return b"trellis/statement/v1\n" + canonical(statement.to_json())


def check_numbers(statement: Statement) -> None:
    """Check everything about a statement but its signatures.

    Raises:
        StatementRefused: another suite or purpose, wrong counts, a malformed point, the identity
        as public
            key, or X that does not follow from F.
    """
    count = len(statement.ids)
    if statement.suite != SUITE or statement.purpose not in PURPOSES:
        raise StatementRefused("a key statement for another suite or purpose")
    if len(set(statement.ids)) != count or not all(_ID.fullmatch(one) for one in statement.ids):
        raise StatementRefused("custodians' ids must be distinct slugs")
    if not 1 <= statement.threshold <= count or len(statement.shares) != count:
        raise StatementRefused("the threshold lies between one and the number of custodians")
    if len(statement.commitments) != statement.threshold:
        raise StatementRefused("exactly as many commitments as the threshold are needed")
    first = (statement.previous, statement.dealers) == (None, ())
    if statement.version < 1 or (statement.version == 1) != first:
        raise StatementRefused("a statement names those who dealt it from its second version on")
    try:
        for point in (*statement.commitments, *statement.shares):
            group.check_point(point)
        expected = tuple(committed(statement.commitments, j + 1) for j in range(count))
    except CryptoRefused as error:
        raise StatementRefused("a key statement holds a malformed point") from error
    if expected != statement.shares:
        raise StatementRefused("the share commitments do not follow from the polynomial")


def check_statement(
    statement: Statement, signatures: Mapping[str, bytes], publics: Mapping[str, bytes]
) -> None:
    """Check a statement and that every holder and every dealer signed it.

    From its second version on it also has to descend from the first: `matching.lineage`.

    Args:
        signatures: 64 bytes per custodian id.
        publics: 32-byte Ed25519 keys per id, from the caller's own registry.

    Raises:
        StatementRefused: always, when anything at all is wrong.
    """
    check_numbers(statement)
    said = signed_bytes(statement)
    for one in statement.signers:
        check_signature(one, said, signatures, publics)


def check_signature(
    id: str, said: bytes, signatures: Mapping[str, bytes], publics: Mapping[str, bytes]
) -> None:
    """Check one custodian's signature under a statement's bytes.

    Raises:
        StatementRefused: unknown custodian, no signature, or one that does not hold.
    """
    if id not in publics:
        raise StatementRefused(f"custodian {id} is not in the registry")
    if id not in signatures:
        raise StatementRefused(f"custodian {id} has not signed the key statement")
    try:
        Ed25519PublicKey.from_public_bytes(publics[id]).verify(signatures[id], said)
    except (InvalidSignature, ValueError) as error:
        raise StatementRefused(f"custodian {id}'s signature does not hold") from error

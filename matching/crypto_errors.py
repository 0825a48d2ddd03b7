"""What keys, shares, ceremonies, proofs and locks can refuse.

CryptoRefused
|-- SodiumMissing          libsodium is not on this machine; says which package to install
|-- PointRefused           not a canonical encoding of a group element, or the identity
|-- ScalarRefused          not canonical, or zero where that is not allowed
|-- ProofRefused           a proof of equal logarithms or of knowledge does not hold
|-- QuorumRefused          indices not distinct, out of range, or too few
|-- StatementRefused       a key statement that its own numbers or signatures contradict
|-- CeremonyAborted        a custodian deviated; ``culprit`` names it, ``reason`` says how
|-- LockRefused            a roster entry whose lock is not known to who made it
`-- MessageRefused         a signed request or response that is malformed or not its signer's
"""


class CryptoRefused(Exception):
    """Anything in the token and lock protocol that does not hold."""


class SodiumMissing(CryptoRefused):
    """libsodium is not installed, or is too old to have ristretto255."""


class PointRefused(CryptoRefused):
    """Bytes that are no group element, or the identity."""


class ScalarRefused(CryptoRefused):
    """Bytes that are no canonical scalar, or zero."""


class ProofRefused(CryptoRefused):
    """A proof that does not verify."""


class QuorumRefused(CryptoRefused):
    """A set of share indices that cannot be combined."""


class StatementRefused(CryptoRefused):
    """A key statement that contradicts itself, or is not signed by all."""


class CeremonyAborted(CryptoRefused):
    """A key ceremony cannot go on.

    Attributes:
        culprit: id of the custodian whose message was wrong.
        reason: what was wrong with it, in words.
    """

    def __init__(self, culprit: str, reason: str) -> None:
        super().__init__(f"ceremony aborted: custodian {culprit} {reason}")
        self.culprit, self.reason = culprit, reason


class LockRefused(CryptoRefused):
    """A roster entry that its maker cannot have made honestly."""


class MessageRefused(CryptoRefused):
    """A signed message that is malformed, or not signed by whom it names."""

"""Make a lock with its tag and proof; rosters; release a share; open with enough shares.

A lock is r*G. Because a*(r*G) is a lock too, one never travels alone: a roster entry proves that
its maker
knew r, bound to the epoch and to the tag that can retire it.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matching import group, knowledge, oprf
from matching.crypto_errors import CryptoRefused, LockRefused
from matching.threshold import lagrange

ENTRY_BYTES = 128
CHUNK_LOCKS = 4096
#: DLEQ proofs of released shares can never be taken for proofs of an evaluation.
RELEASE_CONTEXT = b"TRELLIS-RELEASE-V1-ristretto255-SHA512"
_LOCK = b"trellis/lock/v1"


@dataclass(frozen=True, slots=True)
class RosterEntry:
    """What a custodian must know of one row before it may help to open it."""

    tag: bytes
    lock: bytes
    proof: bytes

    def to_bytes(self) -> bytes:
        """Return 128 bytes: tag, lock, proof."""
        return self.tag + self.lock + self.proof

    @classmethod
    def from_bytes(cls, raw: bytes) -> "RosterEntry":
        """Read 128 bytes; nothing but the length is checked.

        Raises:
            LockRefused: another length.
        """
        if len(raw) != ENTRY_BYTES:
            raise LockRefused(f"a roster entry is {ENTRY_BYTES} bytes")
        return cls(raw[:32], raw[32:64], raw[64:])


def entries(chunk: bytes) -> Iterator[RosterEntry]:
    """Yield the entries of a roster chunk.

    Raises:
        LockRefused: the chunk is not a whole number of entries.
    """
    if len(chunk) % ENTRY_BYTES:
        raise LockRefused("a roster chunk is a whole number of entries")
    for start in range(0, len(chunk), ENTRY_BYTES):
        yield RosterEntry.from_bytes(chunk[start : start + ENTRY_BYTES])


def retire_tag(secret: bytes) -> bytes:
    """Return the tag that revealing ``secret`` retires."""
    return hashlib.sha256(b"retire" + secret).digest()


def _context(epoch: str, tag: bytes) -> bytes:
    name = epoch.encode()
    return _LOCK + len(name).to_bytes(2, "big") + name + tag


def make_entry(epoch: str, secret: bytes, r: bytes) -> RosterEntry:
    """Make the roster entry of one row.

    Args:
        secret: the row's 32 random bytes; whoever reveals them retires the row.
        r: the row's scalar, fresh and never stored.
    """
    tag, lock = retire_tag(secret), group.base(r)
    return RosterEntry(tag, lock, knowledge.prove(_context(epoch, tag), r, lock))


def check_entry(epoch: str, entry: RosterEntry) -> None:
    """Check that who made ``entry`` knew the scalar behind its lock, for this tag and epoch.

    Raises:
        LockRefused: a malleated lock, a proof lifted from another row or epoch, malformed bytes.
    """
    try:
        knowledge.check(_context(epoch, entry.tag), entry.lock, entry.proof)
    except CryptoRefused as error:
        raise LockRefused("a lock comes without proof that its maker knows it") from error


def shared_point(r: bytes, public: bytes) -> bytes:
    """Return r*X: what the sealer mixes into the row key, and t custodians can make again."""
    return group.mult(r, public)


def answering_key(share: bytes, index: int, quorum: Sequence[int]) -> bytes:
    """Return lambda_i*x_i, the one scalar with which custodian ``index`` answers this quorum."""
    return group.scalar_mul(lagrange(index, quorum), share)


def answering_public(commitment: bytes, index: int, quorum: Sequence[int]) -> bytes:
    """Return lambda_i*X_i, against which the proofs of such answers are checked."""
    return group.mult(lagrange(index, quorum), commitment)


def share_answers(share: bytes, index: int, quorum: Sequence[int], locks: bytes) -> bytes:
    """Return lambda_i*x_i*lock for every lock, 32 bytes each, in order."""
    return group.mult_each(answering_key(share, index, quorum), locks)


def prove_answers(
    share: bytes, index: int, quorum: Sequence[int], locks: bytes, answers: bytes
) -> oprf.Proof:
    """Prove that ``answers`` were made with the share in the statement; asked for only to find
    a liar.
    """
    key = answering_key(share, index, quorum)
    seed = b"trellis/release-nonce/v1" + key + hashlib.sha512(locks + answers).digest()
    nonce = group.reduce(hashlib.sha512(seed).digest())
    return oprf.prove(key, group.base(key), locks, answers, nonce, RELEASE_CONTEXT)


def check_answers(
    commitment: bytes,
    index: int,
    quorum: Sequence[int],
    locks: bytes,
    answers: bytes,
    proof: oprf.Proof,
) -> None:
    """Check a custodian's answers against its share commitment X_i from the logged statement.

    Raises:
        ProofRefused: this custodian answered wrongly.
    """
    public = answering_public(commitment, index, quorum)
    oprf.check_proof(public, locks, answers, proof, RELEASE_CONTEXT)


def combine(answers: Sequence[bytes]) -> bytes:
    """Add up one lock's answers of a whole quorum: r*X comes out.

    ``answers`` may also be whole chunks of one length; they are added lock by lock.
    """
    total = answers[0]
    for answer in answers[1:]:
        total = group.add_pairs(total, answer)
    return total


def audience_leaf(nonce: bytes, lock: bytes) -> bytes:
    """Return SHA-256(nonce || lock): what stands for one row under a campaign's root."""
    return hashlib.sha256(nonce + lock).digest()


def audience_leaves(nonce: bytes, locks: Sequence[bytes]) -> list[bytes]:
    """Return all leaves, sorted; the root is an RFC 6962 tree over them as entries."""
    return sorted(audience_leaf(nonce, lock) for lock in locks)

"""The rounds of a key ceremony, without any network: commit, reveal, deal, check, state.

A distributed key generation in which nobody ever holds the key. Commitments are logged before any
polynomial is revealed (no last-mover choice); each reveal proves knowledge of its constant term (no
rogue keys); each share is checked against its dealer's commitments (a wrong one names the dealer).

Source:
    Pedersen 1991 with Feldman commitments and the proof of knowledge of Komlo and Goldberg 2020,
    figure 1.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from matching import group, knowledge
from matching.crypto_errors import (
    CeremonyAborted,
    CryptoRefused,
    MessageRefused,
    StatementRefused,
)
from matching.envelope import Message, signer
from matching.oprf import SUITE
from matching.seats import Commit, Complaint, Reveal, Secret, Session
from matching.statement import Statement, check_numbers
from matching.threshold import committed, polynomial

HPKE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


def begin(session: Session, id: str, uniform: bytes, hpke_private: bytes) -> tuple[Secret, Commit]:
    """Draw one custodian's polynomial and promise it.

    Args:
        uniform: 64 random bytes per coefficient (threshold of them).
        hpke_private: a fresh X25519 key, for this ceremony alone.
    """
    session.index(id)
    if len(uniform) != 64 * session.threshold:
        raise StatementRefused("64 random bytes for each coefficient are needed")
    raw = group.reduce_each(uniform)
    secret = Secret(tuple(raw[n : n + 32] for n in range(0, len(raw), 32)), hpke_private)
    public = X25519PrivateKey.from_private_bytes(hpke_private).public_key().public_bytes_raw()
    return secret, Commit(id, reveal(session, id, secret).digest, public)


def _knowledge_context(session: Session, id: str) -> bytes:
    head = b"trellis/ceremony-proof/v1" + bytes.fromhex(session.sid)
    return head + session.dealer_index(id).to_bytes(2, "big")


def reveal(session: Session, id: str, secret: Secret) -> Reveal:
    """Open what `begin` promised. To be shown only when every commitment stands in the log."""
    commitments = tuple(group.base(c) for c in secret.coefficients)
    context = _knowledge_context(session, id)
    return Reveal(id, commitments, knowledge.prove(context, secret.coefficients[0], commitments[0]))


def check_reveal(session: Session, logged_digest: str, shown: Reveal) -> None:
    """Check a reveal against the digest that the log holds.

    Raises:
        CeremonyAborted: the culprit changed its mind, or does not know its own polynomial.
    """
    if shown.digest != logged_digest:
        raise CeremonyAborted(shown.id, "revealed something else than it committed to")
    if len(shown.commitments) != session.threshold:
        raise CeremonyAborted(shown.id, "revealed a polynomial of the wrong degree")
    try:
        for point in shown.commitments:
            group.check_point(point)
        knowledge.check(_knowledge_context(session, shown.id), shown.commitments[0], shown.proof)
    except CryptoRefused as error:
        raise CeremonyAborted(shown.id, "does not know the polynomial it revealed") from error


def _share_info(session: Session, dealer: str, receiver: str) -> bytes:
    i, j = session.dealer_index(dealer), session.index(receiver)
    sid = bytes.fromhex(session.sid)
    return b"consortium/dkg/v1" + sid + i.to_bytes(2, "big") + j.to_bytes(2, "big")


def deal(session: Session, id: str, secret: Secret, keys: Mapping[str, bytes]) -> dict[str, bytes]:
    """Encrypt f_i(j) to every new holder j, itself included.

    Args:
        keys: per-ceremony HPKE public keys from round 1, by id.

    Raises:
        CeremonyAborted: naming whose key is none.
    """
    return {
        to: _encrypt(session, id, to, polynomial(secret.coefficients, session.index(to)), keys[to])
        for to in session.ids
    }


def _encrypt(session: Session, dealer: str, to: str, share: bytes, key: bytes) -> bytes:
    try:
        public = X25519PublicKey.from_public_bytes(key)
        return HPKE.encrypt(share, public, _share_info(session, dealer, to))
    except ValueError as error:
        raise CeremonyAborted(to, "gave a key to which nothing can be encrypted") from error


def dealt_body(dealt: Mapping[str, bytes], commits: Mapping[str, Message]) -> dict[str, Any]:
    """Return what a dealer signs as its shares: each, and whose signed key it was encrypted to.

    Without the second, who complains could show judges another key than it gave the dealer.
    """
    shares = {to: raw.hex() for to, raw in dealt.items()}
    return {"shares": shares, "commits": {to: dict(commits[to]) for to in dealt}}


def sealed_share(
    session: Session, dealer: str, receiver: str, body: Mapping[str, Any]
) -> tuple[bytes, Message]:
    """Return one share from what a dealer signed, and the receiver's commit that it dealt to.

    Raises:
        CeremonyAborted: the dealer left the share out, or dealt to a key that the receiver
            never signed.
    """
    try:
        sealed, commit = bytes.fromhex(body["shares"][receiver]), body["commits"][receiver]
    except (KeyError, TypeError, ValueError) as error:
        raise CeremonyAborted(dealer, f"left out {receiver}'s share") from error
    try:
        session.said("commit", receiver, commit)
    except MessageRefused as error:
        reason = f"dealt to a key that {receiver} never signed"
        raise CeremonyAborted(dealer, reason) from error
    return sealed, commit


def open_share(
    session: Session, shown: Reveal, receiver: str, hpke_private: bytes, sealed: bytes
) -> bytes:
    """Decrypt one dealer's share and check it against its commitments.

    Raises:
        CeremonyAborted: the dealer sent a wrong share, or one that does not open.
    """
    private = X25519PrivateKey.from_private_bytes(hpke_private)
    try:
        share = HPKE.decrypt(sealed, private, _share_info(session, shown.id, receiver))
    except (InvalidTag, ValueError) as error:
        raise CeremonyAborted(shown.id, f"sent {receiver} a share that does not open") from error
    expected = committed(shown.commitments, session.index(receiver))
    try:
        group.check_scalar(share)
        held = group.base(share)
    except CryptoRefused as error:
        raise CeremonyAborted(shown.id, f"sent {receiver} a malformed share") from error
    if held != expected:
        raise CeremonyAborted(shown.id, f"sent {receiver} a share that is not on its polynomial")
    return share


def receive(
    session: Session,
    id: str,
    secret: Secret,
    reveals: Mapping[str, Reveal],
    sealed: Mapping[str, bytes],
) -> bytes:
    """Add up everybody's shares for ``id``: x_j.

    Args:
        reveals: every dealer's checked reveal.
        sealed: per dealer the share it sent to ``id``.

    Raises:
        CeremonyAborted: naming the dealer; `complain` then lets anybody see it.
    """
    total = group.ZERO
    for dealer in session.dealers:
        share = open_share(session, reveals[dealer], id, secret.hpke_private, sealed[dealer])
        total = group.scalar_add(total, share)
    return total


def complain(
    id: str, secret: Secret, aborted: CeremonyAborted, *, shares: Message, reveal: Message
) -> Complaint:
    """Publish the per-ceremony key, so that the dealer's guilt or innocence is plain to all.

    Args:
        shares, reveal: the accused's signed messages, exactly as they came.
    """
    return Complaint(id, aborted.culprit, secret.hpke_private, shares, reveal)


def judge(session: Session, complaint: Complaint, seen: Sequence[Message] = ()) -> CeremonyAborted:
    """Decide who spoke falsely, from the bytes that the accused signed.

    Nothing is taken from the accused or the complainer at the time of judging: either could show
    each judge something else.

    Args:
        seen: messages of this ceremony by the accused or the complainer that the judge got itself.
            One that differs from its signed counterpart in the complaint convicts its signer.

    Returns:
        The abort to raise: the accused if the share is bad, the complainer if it is good.
    """
    by, against = complaint.by, complaint.against
    if against not in session.dealers:
        return CeremonyAborted(by, f"complained about {against}, who deals nothing")
    try:
        dealt = session.said("shares", against, complaint.shares)
        revealed = session.said("reveal", against, complaint.reveal)
    except CryptoRefused:
        return CeremonyAborted(by, f"complained with messages that {against} did not sign")
    try:
        shown = Reveal.from_json(against, revealed)
        sealed, commit = sealed_share(session, against, by, dealt)
        for shown_before in (complaint.shares, complaint.reveal, commit):
            _check_same(session, shown_before, seen)
        if not _opens(complaint.hpke_private, session.said("commit", by, commit)):
            return CeremonyAborted(by, "complained with a key that is not its own")
        open_share(session, shown, by, complaint.hpke_private, sealed)
    except CeremonyAborted as aborted:
        return aborted
    return CeremonyAborted(by, f"complained falsely about {against}")


def _check_same(session: Session, one: Message, seen: Sequence[Message]) -> None:
    """Convict whoever signed two different messages of one round and ceremony."""
    id, round = signer(one), str(one["kind"]).removeprefix("ceremony-")
    for other in seen:
        try:
            body = session.said(round, id, other)
        except CryptoRefused:
            continue  # another round or signer, or nobody's word at all
        if body != one["body"]:
            raise CeremonyAborted(id, f"signed two different messages of the round {round}")


def _opens(private: bytes, commit: Mapping[str, Any]) -> bool:
    try:
        public = X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    except ValueError:
        return False
    return public.hex() == commit.get("hpke")


def conclude(session: Session, reveals: Mapping[str, Reveal]) -> Statement:
    """Compute the statement that every custodian must now sign.

    Raises:
        StatementRefused: the sum is the identity, or anything else is inconsistent.
    """
    commitments = summed(session, reveals)
    statement = Statement(
        sid=session.sid,
        epoch=session.epoch,
        purpose=session.purpose,
        suite=SUITE,
        threshold=session.threshold,
        ids=session.ids,
        commitments=commitments,
        shares=tuple(committed(commitments, j + 1) for j in range(len(session.seats))),
    )
    check_numbers(statement)
    return statement


def summed(session: Session, reveals: Mapping[str, Reveal]) -> tuple[bytes, ...]:
    """Return F_m: the sum of all dealers' commitments."""
    commitments = []
    for m in range(session.threshold):
        total = group.IDENTITY
        for one in session.dealers:
            total = group.add(total, reveals[one].commitments[m])
        commitments.append(total)
    return tuple(commitments)


def check_share(statement: Statement, id: str, share: bytes) -> None:
    """Check that x_j fits X_j before anything is signed or stored.

    Raises:
        StatementRefused: the share is not the one in the statement.
    """
    if group.base(share) != statement.share(id):
        raise StatementRefused("the share does not fit its commitment in the statement")

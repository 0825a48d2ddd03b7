"""The rounds of a key ceremony between hosts, interruptible at every point.

Each custodian serves its own messages and pulls the others'. `Ceremony.advance` does whatever can
be done now
and returns; all of its state is in the ledger, so a killed process goes on where it was. The order
that
matters: every commitment is *published in the log* before this custodian reveals anything.
"""

import secrets
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import httpx
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from consortium.custodian.ledger import Key, Ledger
from consortium.custodian.log import Log
from matching import ceremony as rounds
from matching.ceremony import Commit, Complaint, Reveal, Secret, Session
from matching.crypto_errors import CeremonyAborted, CryptoRefused
from matching.envelope import Message, Signer, close
from matching.statement import Statement, check_signature, check_statement, signed_bytes

ROUNDS = ("commit", "reveal", "shares", "signature", "statement", "complaint")


class Peers(Protocol):
    """How another custodian's message of a round is fetched; nothing when it has none yet."""

    def fetch(self, id: str, sid: str, round: str) -> Message | None:
        """Return the message, unchecked."""


class HttpPeers:
    """The other custodians over HTTP; one that is down has simply not spoken yet."""

    def __init__(self, urls: Mapping[str, str], client: httpx.Client | None = None) -> None:
        self._urls, self._client = urls, client or httpx.Client(timeout=10)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def fetch(self, id: str, sid: str, round: str) -> Message | None:
        """GET /ceremony/{sid}/{round} of that custodian."""
        try:
            answer = self._client.get(f"{self._urls[id]}/ceremony/{sid}/{round}")
        except httpx.HTTPError:
            return None
        return dict(answer.json()) if answer.status_code == 200 else None


class _Waiting(Exception):
    """Somebody else must act first; says who and for what."""


class Ceremony:
    """One custodian's part in one ceremony."""

    def __init__(
        self,
        session: Session,
        id: str,
        *,
        ledger: Ledger,
        log: Log,
        peers: Peers,
        sign: Signer,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self.session, self.id = session, id
        self._ledger, self._log, self._peers = ledger, log, peers
        self._sign, self._random = sign, random
        self._sid = session.sid
        self._publics = {seat.id: seat.public for seat in session.seats}
        self._proved: dict[str, Commit] = {}
        self.waiting = ""

    def advance(self) -> Statement | None:
        """Do all that can be done now.

        Returns:
            The finished statement, or nothing while ``waiting`` says for whom.

        Raises:
            CeremonyAborted: naming the culprit; a restart needs another ``attempt``.
        """
        done = self._ledger.key(self.session.purpose, self.session.epoch)
        if done is not None and done.statement.sid == self._sid:
            return done.statement
        ended = self._ledger.aborted(self._sid)
        if ended:
            raise CeremonyAborted(*ended)
        try:
            return self._run()
        except _Waiting as waiting:
            self.waiting = str(waiting)
            return None
        except CeremonyAborted as aborted:
            self._ledger.abort_ceremony(self._sid, aborted.culprit, aborted.reason)
            raise

    def _run(self) -> Statement:
        secret = self._secret()
        commits = self._commits(secret)
        self._hear_complaints()
        self._say("reveal", rounds.reveal(self.session, self.id, secret).to_json())
        reveals = self._reveals(commits)
        keys = {one: commit.hpke_public for one, commit in commits.items()}
        if self._ledger.message(self._sid, "shares", self.id) is None:
            dealt = rounds.deal(self.session, self.id, secret, keys)
            signed = {one: self._kept("commit", one) for one in self.session.ids}
            self._say("shares", rounds.dealt_body(dealt, signed))
        bodies = {one: self._hear("shares", one) for one in self.session.ids}
        try:
            sealed = {one: self._dealt_to_me(one, bodies[one]) for one in self.session.ids}
            share = rounds.receive(self.session, self.id, secret, reveals, sealed)
        except CeremonyAborted as aborted:
            self._complain(secret, aborted)
            raise
        statement = rounds.conclude(self.session, reveals)
        rounds.check_share(statement, self.id, share)
        self._say("signature", {"signature": self._sign(signed_bytes(statement)).hex()})
        signatures = self._signatures(statement)
        self._settle_in_log(statement, signatures)
        self._ledger.add_key(Key(statement, signatures, share))
        return statement

    # -- round 1: commitments, all of them in the log
    # -----------------------------------------------

    def _secret(self) -> Secret:
        kept = self._ledger.ceremony_secret(self._sid)
        if kept is None:
            uniform, private = self._random(64 * self.session.threshold), self._random(32)
            secret, _ = rounds.begin(self.session, self.id, uniform, private)
            # Durable before the digest leaves this machine: a crash must not change the polynomial.
            self._ledger.begin_ceremony(self._sid, secret.to_json())
            kept = self._ledger.ceremony_secret(self._sid)
        if kept is None:
            raise CeremonyAborted(self.id, "has no polynomial left for this ceremony")
        return Secret.from_json(kept)

    def _commits(self, secret: Secret) -> dict[str, Commit]:
        digest = rounds.reveal(self.session, self.id, secret).digest
        leaf = self._post("ceremony-commit", {"id": self.id, "digest": digest})
        public = _public_of(secret)
        self._say("commit", {"digest": digest, "hpke": public.hex(), "leaf": leaf})
        return {one: self._commit_of(one) for one in self.session.ids}

    def _commit_of(self, id: str) -> Commit:
        if id in self._proved:
            return self._proved[id]
        body = self._hear("commit", id)
        try:
            commit = Commit(id, str(body["digest"]), bytes.fromhex(body["hpke"]))
            leaf = str(body["leaf"])
        except (KeyError, TypeError, ValueError) as error:
            raise CeremonyAborted(id, "sent a malformed commitment") from error
        logged = self._log.find(leaf)
        if logged is None:
            raise _Waiting(f"the log to publish {id}'s commitment")
        wanted = {"kind": "ceremony-commit", "sid": self._sid, "id": id, "digest": commit.digest}
        if logged.facts != wanted or logged.actor != self._publics[id]:
            raise CeremonyAborted(id, "logged another commitment than it sent")
        self._proved[id] = commit
        return commit

    # -- rounds 2 to 4
    # ------------------------------------------------------------------------------

    def _reveals(self, commits: Mapping[str, Commit]) -> dict[str, Reveal]:
        reveals = {}
        for one in self.session.ids:
            body = self._hear("reveal", one)
            shown = Reveal.from_json(one, body)
            rounds.check_reveal(self.session, commits[one].digest, shown)
            reveals[one] = shown
        return reveals

    def _dealt_to_me(self, dealer: str, body: Mapping[str, Any]) -> bytes:
        return rounds.sealed_share(self.session, dealer, self.id, body)[0]

    def _complain(self, secret: Secret, aborted: CeremonyAborted) -> None:
        """Say who dealt falsely, with the very messages that it signed for us."""
        shares, reveal = (self._kept(one, aborted.culprit) for one in ("shares", "reveal"))
        made = rounds.complain(self.id, secret, aborted, shares=shares, reveal=reveal)
        said = {"against": made.against, "hpke": made.hpke_private.hex()}
        self._say("complaint", {**said, "shares": made.shares, "reveal": made.reveal})

    def _hear_complaints(self) -> None:
        for one in self.session.ids:
            try:
                body = self._hear("complaint", one)
            except _Waiting:
                continue
            try:
                against, opened = str(body["against"]), bytes.fromhex(body["hpke"])
                complaint = Complaint(one, against, opened, body["shares"], body["reveal"])
            except (KeyError, TypeError, ValueError) as error:
                raise CeremonyAborted(one, "sent a malformed complaint") from error
            pairs = [("shares", against), ("reveal", against), ("commit", one)]
            found = [self._ledger.message(self._sid, round, id) for round, id in pairs]
            seen = [message for message in found if message is not None]
            raise rounds.judge(self.session, complaint, seen)

    # -- the statement
    # ------------------------------------------------------------------------------

    def _signatures(self, statement: Statement) -> dict[str, str]:
        signatures = {}
        for one in self.session.ids:
            body = self._hear("signature", one)
            signatures[one] = str(body.get("signature"))
            try:
                raw = {one: bytes.fromhex(signatures[one])}
                check_signature(one, signed_bytes(statement), raw, self._publics)
            except (CryptoRefused, ValueError) as error:
                raise CeremonyAborted(one, "signed another statement") from error
        return signatures

    def _settle_in_log(self, statement: Statement, signatures: Mapping[str, str]) -> None:
        first = min(self.session.ids)
        facts = {"statement": statement.to_json(), "signatures": dict(signatures)}
        if self.id == first:
            self._say("statement", {"leaf": self._post("statement", facts)})
        logged = self._log.find(str(self._hear("statement", first).get("leaf")))
        if logged is None:
            raise _Waiting("the log to publish the statement")
        if logged.facts != {"kind": "statement", "sid": self._sid, **facts}:
            raise CeremonyAborted(first, "logged another statement than was signed")
        raw = {one: bytes.fromhex(text) for one, text in signatures.items()}
        check_statement(statement, raw, self._publics)

    # -- messages
    # -----------------------------------------------------------------------------------

    def _post(self, kind: str, facts: Mapping[str, Any]) -> str:
        """Post an entry once: drafted durably first, so that a crash posts the same bytes again."""
        name = f"{kind}/{self._sid}"
        leaf = self._ledger.leaf(name)
        if leaf is None:
            drafted = self._ledger.draft(name) or self._ledger.put_draft(
                name, self._log.draft("key", {"kind": kind, "sid": self._sid, **facts})
            )
            leaf = self._log.submit(drafted)
            self._ledger.set_leaf(name, leaf)
        return leaf

    def _say(self, round: str, body: Mapping[str, Any]) -> None:
        if self._ledger.message(self._sid, round, self.id) is None:
            said = {"sid": self._sid, **body}
            message = close(f"ceremony-{round}", said, by=self.id, sign=self._sign)
            self._ledger.put_message(self._sid, round, self.id, message)

    def _kept(self, round: str, id: str) -> Message:
        """Return a message that was heard before."""
        message = self._ledger.message(self._sid, round, id)
        if message is None:
            raise _Waiting(f"{id} to send its {round}")
        return message

    def _hear(self, round: str, id: str) -> dict[str, Any]:
        message = self._ledger.message(self._sid, round, id)
        if message is None and id != self.id:
            message = self._peers.fetch(id, self._sid, round)
        if message is None:
            raise _Waiting(f"{id} to send its {round}")
        body = self._checked(round, id, message)
        if id != self.id:
            self._ledger.put_message(self._sid, round, id, message)
        return body

    def _checked(self, round: str, id: str, message: Message) -> dict[str, Any]:
        try:
            return self.session.said(round, id, message)
        except CryptoRefused:
            pass
        # Not an abort: whoever sits between us could send this, and must not be able to blame.
        raise _Waiting(f"{id} to send a {round} with its own signature")


def _public_of(secret: Secret) -> bytes:
    private = X25519PrivateKey.from_private_bytes(secret.hpke_private)
    return private.public_key().public_bytes_raw()

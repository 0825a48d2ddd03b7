"""One custodian at a table with others: say, hear, post, complain, settle; all of it kept.

Each custodian serves its own messages and pulls the others'. `advance` does whatever can be done
now and returns; all of its state is in the ledger, so a killed process goes on where it was.

Two orders matter. Every commitment is *published in the log* before anything is revealed. And
having signed a statement, a custodian forgets nothing until a statement stands in the log: its
signature may be the last one that the others need, and what it would forget is its share.
"""

import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import httpx
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from consortium.custodian.ledger import Ledger
from consortium.custodian.log import Log
from matching import ceremony as rounds
from matching.crypto_errors import CeremonyAborted, CryptoRefused
from matching.envelope import Message, Signer, close
from matching.lineage import Signed
from matching.seats import Commit, Complaint, Reveal, Secret, Session
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
            return dict(answer.json()) if answer.status_code == 200 else None
        except (httpx.HTTPError, KeyError, TypeError, ValueError):
            return None


class Waiting(Exception):
    """Somebody else must act first; says who and for what."""


class Table(ABC):
    """One custodian's part in one session, whichever kind it is."""

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
        self._publics = session.publics
        self._proved: dict[str, Commit] = {}
        self.waiting = ""

    def advance(self) -> Statement | None:
        """Do all that can be done now.

        Returns:
            The finished statement, or nothing while ``waiting`` says for whom.

        Raises:
            CeremonyAborted: naming the culprit; a restart needs another ``attempt``.
        """
        done = self._finished()
        if done is not None:
            return done
        ended = self._ledger.aborted(self._sid)
        if ended:
            raise CeremonyAborted(*ended)
        try:
            return self._run()
        except Waiting as waiting:
            self.waiting = str(waiting)
            return None
        except CeremonyAborted as aborted:
            if not self.signed:
                self._ledger.abort_ceremony(self._sid, aborted.culprit, aborted.reason)
            raise

    @property
    def signed(self) -> bool:
        """Whether this custodian has signed the session's statement."""
        return self._ledger.message(self._sid, "signature", self.id) is not None

    @abstractmethod
    def _finished(self) -> Statement | None:
        """Return the statement if all is done here."""

    @abstractmethod
    def _run(self) -> Statement:
        """Go as far as the others have come."""

    @abstractmethod
    def _draw(self) -> Secret:
        """Draw what is kept between rounds."""

    # -- round 1: commitments, all of them in the log
    # -----------------------------------------------

    def _secret(self) -> Secret:
        kept = self._ledger.ceremony_secret(self._sid)
        if kept is None:
            # Durable before the digest leaves this machine: a crash must not change the polynomial.
            about = (self.session.purpose, self.session.epoch)
            self._ledger.begin_ceremony(self._sid, self._draw().to_json(), *about)
            kept = self._ledger.ceremony_secret(self._sid)
        if kept is None:
            raise CeremonyAborted(self.id, "has no polynomial left for this ceremony")
        return Secret.from_json(kept)

    def _commit(self, secret: Secret) -> None:
        """Say the key that shares are encrypted to; a dealer's digest goes to the log first."""
        digest = leaf = ""
        if self.id in self.session.dealers:
            digest = rounds.reveal(self.session, self.id, secret).digest
            leaf = self._post("ceremony-commit", {"id": self.id, "digest": digest})
        if self._ledger.message(self._sid, "commit", self.id) is None:
            said = {"digest": digest, "hpke": _public_of(secret).hex(), "leaf": leaf}
            self._say("commit", {**said, **self._in_commit()})

    def _in_commit(self) -> dict[str, Any]:
        """What else a commitment's message carries."""
        return {}

    def _commits(self, secret: Secret) -> dict[str, Commit]:
        self._commit(secret)
        return {one: self._commit_of(one) for one in self._publics}

    def _commit_of(self, id: str) -> Commit:
        if id in self._proved:
            return self._proved[id]
        body = self._hear("commit", id)
        try:
            commit = Commit(id, str(body["digest"]), bytes.fromhex(body["hpke"]))
            leaf = str(body["leaf"])
        except (KeyError, TypeError, ValueError) as error:
            raise CeremonyAborted(id, "sent a malformed commitment") from error
        if id in self.session.dealers:
            self._prove(commit, leaf)
        self._proved[id] = commit
        return commit

    def _prove(self, commit: Commit, leaf: str) -> None:
        logged = self._log.find(leaf)
        if logged is None:
            raise Waiting(f"the log to publish {commit.id}'s commitment")
        wanted = {"kind": "ceremony-commit", "sid": self._sid, "id": commit.id}
        if (
            logged.facts != {**wanted, "digest": commit.digest}
            or logged.actor != self._publics[commit.id]
        ):
            raise CeremonyAborted(commit.id, "logged another commitment than it sent")

    # -- rounds 2 to 4
    # ------------------------------------------------------------------------------

    def _show(self, secret: Secret) -> None:
        self._say("reveal", rounds.reveal(self.session, self.id, secret).to_json())

    def _reveals(self, commits: Mapping[str, Commit]) -> dict[str, Reveal]:
        reveals = {}
        for one in self.session.dealers:
            shown = Reveal.from_json(one, self._hear("reveal", one))
            self._check_reveal(commits[one].digest, shown)
            reveals[one] = shown
        return reveals

    def _check_reveal(self, digest: str, shown: Reveal) -> None:
        rounds.check_reveal(self.session, digest, shown)

    def _deal(self, secret: Secret, commits: Mapping[str, Commit]) -> None:
        if self._ledger.message(self._sid, "shares", self.id) is None:
            keys = {one: commits[one].hpke_public for one in self.session.ids}
            dealt = rounds.deal(self.session, self.id, secret, keys)
            signed = {one: self._kept("commit", one) for one in self.session.ids}
            self._say("shares", {**rounds.dealt_body(dealt, signed), **self._beside(keys)})

    def _beside(self, keys: Mapping[str, bytes]) -> dict[str, Any]:
        """What else a dealer's signed shares carry."""
        return {}

    def _receive(self, secret: Secret, reveals: Mapping[str, Reveal]) -> bytes:
        """Return this custodian's new share; complain, for all to see, about a bad piece."""
        bodies = {one: self._hear("shares", one) for one in self.session.dealers}
        try:
            sealed = {one: self._dealt_to_me(one, bodies[one]) for one in self.session.dealers}
            return rounds.receive(self.session, self.id, secret, reveals, sealed)
        except CeremonyAborted as aborted:
            self._complain(secret, aborted)
            raise

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
            except Waiting:
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

    def _settle(self, statement: Statement) -> Signed:
        """Sign, collect everybody's signatures, and wait for the statement to stand in the log."""
        self._say("signature", {"signature": self._sign(signed_bytes(statement)).hex()})
        try:
            signatures = self._signatures(statement)
        except Waiting:
            # Who complains signs nothing; once everybody has signed, a complaint comes too late.
            self._hear_complaints()
            raise
        if self.id == self._first:
            facts = {"statement": statement.to_json(), "signatures": signatures}
            self._say("statement", {"leaf": self._post("statement", facts)})
        return self._logged(statement)

    @property
    def _first(self) -> str:
        """Who posts the statement."""
        return min(self.session.ids)

    def _signatures(self, statement: Statement) -> dict[str, str]:
        signatures = {}
        for one in statement.signers:
            body = self._hear("signature", one)
            signatures[one] = str(body.get("signature"))
            try:
                raw = {one: bytes.fromhex(signatures[one])}
                check_signature(one, signed_bytes(statement), raw, self._publics)
            except (CryptoRefused, ValueError) as error:
                raise CeremonyAborted(one, "signed another statement") from error
        return signatures

    def _logged(self, statement: Statement | None) -> Signed:
        """Return the session's statement as the log holds it, with quorum and all signatures."""
        logged = self._log.find(str(self._hear("statement", self._first).get("leaf")))
        if logged is None:
            raise Waiting("the log to publish the statement")
        try:
            signed = Signed.from_facts(logged.facts)
            if logged.facts.get("kind") != "statement" or (
                statement is not None and signed.statement != statement
            ):
                raise CeremonyAborted(self._first, "logged another statement than was signed")
            self._check_statement(signed)
        except CryptoRefused as error:
            raise CeremonyAborted(self._first, "logged a statement that does not hold") from error
        return signed

    def _check_statement(self, signed: Signed) -> None:
        check_statement(signed.statement, signed.signatures, self._publics)

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
            raise Waiting(f"{id} to send its {round}")
        return message

    def _hear(self, round: str, id: str) -> dict[str, Any]:
        message = self._ledger.message(self._sid, round, id)
        if message is None and id != self.id:
            message = self._peers.fetch(id, self._sid, round)
        if message is None:
            raise Waiting(f"{id} to send its {round}")
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
        raise Waiting(f"{id} to send a {round} with its own signature")


def _public_of(secret: Secret) -> bytes:
    private = X25519PrivateKey.from_private_bytes(secret.hpke_private)
    return private.public_key().public_bytes_raw()

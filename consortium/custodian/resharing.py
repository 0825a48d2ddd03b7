"""A resharing between hosts: holders deal their shares again, to others or to themselves.

A custodian is a dealer, a new holder, both, or somebody who only has an old share to give up. The
old share is deleted in the very transaction that brings the new one, and only when the new
statement stands in the log with quorum: at every instant there is one share that can be used.
"""

import json
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidTag

from consortium.custodian.ledger import Key
from consortium.custodian.table import Table
from matching import ceremony as rounds
from matching import resharing
from matching.ceremony import Reveal, Secret
from matching.crypto_errors import CeremonyAborted
from matching.lineage import Signed, check_next
from matching.resharing import Resharing
from matching.statement import Statement
from matching.telling import padded

__all__ = ["Reshare"]


class Reshare(Table):
    """One custodian's part in one resharing.

    Attributes:
        session: dealers, new holders and the old statement.
    """

    session: Resharing

    def _finished(self) -> Statement | None:
        held = self._ledger.statement(self.session.purpose, self.session.epoch)
        if held is not None and held.sid == self.session.old.sid:
            return held if held.previous == self.session.old.digest else None
        return self._ledger.given_up(self.session.old.sid, self.session.old.version + 1)

    def _draw(self) -> Secret:
        key, share = self._ledger.key_of(self.session.old.sid), None
        if key is not None and key.statement.digest == self.session.old.digest:
            share = key.share
        if self.id in self.session.dealers and share is None:
            # Said before anything is drawn or posted: the others choose somebody else.
            raise CeremonyAborted(self.id, "no longer holds the share that it should deal")
        uniform, private = self._random(64 * (self.session.threshold - 1)), self._random(32)
        return resharing.begin(self.session, self.id, uniform, private, share)

    def _run(self) -> Statement:
        if self.id not in self._publics:
            return self._give_up(self._logged(None))
        secret = self._secret()
        commits = self._commits(secret)
        if not self.signed:
            self._hear_complaints()
        if self.id in self.session.dealers:
            self._show(secret)
        reveals = self._reveals(commits)
        if self.id in self.session.dealers:
            self._deal(secret, commits)
        statement = resharing.conclude(self.session, reveals)
        if self.id not in self.session.ids:
            return self._give_up(self._settle(statement))
        share = self._receive(secret, reveals)
        rounds.check_share(statement, self.id, share)
        self._take_told(secret)
        signed = self._settle(statement)
        # One transaction: before it the old share stands, after it the new one.
        self._ledger.add_key(Key.of(signed, share))
        return statement

    def _give_up(self, signed: Signed) -> Statement:
        self._ledger.give_up(signed.statement)
        return signed.statement

    def _check_reveal(self, digest: str, shown: Reveal) -> None:
        resharing.check_reveal(self.session, digest, shown)

    def _check_statement(self, signed: Signed) -> None:
        check_next(self.session.old, signed, self._publics)

    # -- what newcomers must be told: stops and retirements from before they came
    # ------------------------------------------------------------------------------

    def _beside(self, keys: Mapping[str, bytes]) -> dict[str, Any]:
        """Tell newcomers what was retired and stopped, encrypted to each."""
        # Anybody may fetch a message: its length must not count who withdrew.
        told = padded(json.dumps(self._ledger.told()).encode())
        newcomers = self.session.newcomers
        sealed = {to: resharing.tell(self.session, self.id, to, keys[to], told) for to in newcomers}
        return {"told": {to: raw.hex() for to, raw in sealed.items()}} if sealed else {}

    def _take_told(self, secret: Secret) -> None:
        """Take in what every dealer tells, before signing: more is retired, never less."""
        if self.id not in self.session.newcomers:
            return
        for dealer in self.session.dealers:
            body = self._hear("shares", dealer)
            try:
                sealed = bytes.fromhex(body["told"][self.id])
                raw = resharing.hear(self.session, dealer, self.id, secret.hpke_private, sealed)
                self._ledger.take_told(json.loads(raw))
            except (InvalidTag, KeyError, TypeError, ValueError) as error:
                raise CeremonyAborted(dealer, "did not tell what it was told before") from error

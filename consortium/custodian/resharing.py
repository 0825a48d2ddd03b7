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
from matching.crypto_errors import CeremonyAborted
from matching.lineage import Signed, check_next
from matching.resharing import Resharing
from matching.seats import Reveal, Secret
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
        self._enough_remember()
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

    # -- what whoever does not remember must be told: stops and retirements from before
    # ------------------------------------------------------------------------------

    def _remembers(self) -> bool:
        """Whether these books hold what partners said under the old shares.

        Share and memory stand in one file. One that lost it, and one that was put back, owes
        itself to be told; `serve` asks the others, and from then on it remembers.
        """
        if self.id not in self.session.old.ids:
            return False
        held = self._ledger.statement(self.session.purpose, self.session.epoch)
        shared = held is not None and held.sid == self.session.old.sid
        if not shared and not self._ledger.caught_up():
            self._ledger.mark_restored()
        return not self._ledger.untold()

    def _in_commit(self) -> dict[str, Any]:
        return {"remembers": self._remembers()}

    @property
    def _strangers(self) -> tuple[str, ...]:
        """New holders who are told: newcomers, and who says that it remembers nothing."""
        said = {one: self._hear("commit", one).get("remembers") for one in self.session.ids}
        newcomers = self.session.newcomers
        return tuple(one for one, held in said.items() if held is not True or one in newcomers)

    def _enough_remember(self) -> None:
        """As with newcomers: no quorum may be without somebody who was told before.

        Raises:
            CeremonyAborted: naming one that must first be told by the others, while it serves.
        """
        strangers = self._strangers
        forgot = [one for one in strangers if one not in self.session.newcomers]
        if forgot and len(strangers) >= self.session.threshold:
            what = "remembers nothing of what was retired and stopped, and too few others do"
            raise CeremonyAborted(forgot[0], f"{what}; let it serve until the others have told it")

    def _beside(self, keys: Mapping[str, bytes]) -> dict[str, Any]:
        """Tell strangers what was retired and stopped, encrypted to each."""
        # Anybody may fetch a message: its length must not count who withdrew.
        told = padded(json.dumps(self._ledger.told()).encode())
        to_tell = [one for one in self._strangers if one != self.id]
        sealed = {to: resharing.tell(self.session, self.id, to, keys[to], told) for to in to_tell}
        return {"told": {to: raw.hex() for to, raw in sealed.items()}} if sealed else {}

    def _take_told(self, secret: Secret) -> None:
        """Take in what every other dealer tells, before signing: more is retired, never less."""
        if self.id not in self._strangers:
            return
        for dealer in self.session.dealers:
            if dealer == self.id:
                continue
            body = self._hear("shares", dealer)
            try:
                sealed = bytes.fromhex(body["told"][self.id])
                raw = resharing.hear(self.session, dealer, self.id, secret.hpke_private, sealed)
                self._ledger.take_told(json.loads(raw))
            except (InvalidTag, KeyError, TypeError, ValueError) as error:
                raise CeremonyAborted(dealer, "did not tell what it was told before") from error

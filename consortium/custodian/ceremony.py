"""A key ceremony between hosts: every custodian of the invite deals, and holds one share after."""

from consortium.custodian.ledger import Key
from consortium.custodian.table import ROUNDS, HttpPeers, Peers, Table, Waiting
from matching import ceremony as rounds
from matching.crypto_errors import CeremonyAborted
from matching.seats import Secret
from matching.statement import Statement

__all__ = ["ROUNDS", "Ceremony", "HttpPeers", "Peers", "Waiting"]


class Ceremony(Table):
    """One custodian's part in one ceremony."""

    def _finished(self) -> Statement | None:
        done = self._ledger.statement(self.session.purpose, self.session.epoch)
        return done if done is not None and done.sid == self._sid else None

    def _draw(self) -> Secret:
        if self._ledger.statement(self.session.purpose, self.session.epoch) is not None:
            raise CeremonyAborted(self.id, "holds a share of this epoch's key already")
        if self._ledger.destroyed(self.session.epoch):
            raise CeremonyAborted(self.id, "has destroyed its shares of this epoch for good")
        uniform, private = self._random(64 * self.session.threshold), self._random(32)
        return rounds.begin(self.session, self.id, uniform, private)[0]

    def _run(self) -> Statement:
        secret = self._secret()
        commits = self._commits(secret)
        if not self.signed:
            self._hear_complaints()
        self._show(secret)
        reveals = self._reveals(commits)
        self._deal(secret, commits)
        share = self._receive(secret, reveals)
        statement = rounds.conclude(self.session, reveals)
        rounds.check_share(statement, self.id, share)
        signed = self._settle(statement)
        self._ledger.add_key(Key.of(signed, share))
        return statement

"""The roster's chunks as a custodian takes them in: only what the log vouches for."""

import hashlib
from collections.abc import Mapping
from typing import Any, Protocol

from consortium.custodian.errors import Refused
from consortium.custodian.ledger import Ledger
from consortium.custodian.release import unpack
from consortium.custodian.settings import Registry
from consortium.custodian.trees import Trees
from matching import locks
from matching.crypto_errors import CryptoRefused
from provenance.merkle import tree_root


class Rosters(Protocol):
    """Where chunks that were not pushed can be pulled from."""

    def roster(self, epoch: str) -> list[dict[str, Any]]:
        """Return number and evidence of every published chunk of an epoch."""

    def roster_chunk(self, epoch: str, chunk: int) -> bytes:
        """Return a chunk's bytes."""


class Intake:
    """One custodian's way of taking chunks in, pushed or pulled."""

    def __init__(
        self, ledger: Ledger, registry: Registry, log: Trees, rosters: Rosters | None
    ) -> None:
        self._ledger, self._registry, self._log, self._rosters = ledger, registry, log, rosters

    def add(self, chunk: int, body: Mapping[str, Any]) -> dict[str, Any]:
        """Take in one chunk of the roster that the log vouches for."""
        raw = unpack(body.get("entries"), 1)
        epoch = body.get("epoch", self._registry.epochs[0])
        if epoch not in self._registry.epochs:
            raise Refused("roster-evidence", "the invite joined here names no such epoch")
        return self._take(epoch, chunk, raw, body.get("evidence"), self._log.newest)

    def _take(
        self, epoch: str, chunk: int, raw: bytes, evidence: object, since: int
    ) -> dict[str, Any]:
        digest = hashlib.sha256(raw).hexdigest()
        if self._ledger.has_chunk(epoch, chunk, digest):
            return {"chunk": chunk, "known": True}
        entries = list(locks.entries(raw))
        whole = [entry.to_bytes() for entry in entries]
        logged = self._log.believe(evidence, since=since)
        wanted = {
            "kind": "roster",
            "epoch": epoch,
            "chunk": chunk,
            "digest": digest,
            "root": tree_root(whole).hex(),
            "size": len(entries),
        }
        if logged.facts != wanted or logged.actor not in self._operators():
            raise Refused("roster-evidence", "the log holds another roster chunk")
        for entry in entries:
            locks.check_entry(epoch, entry)
        self._ledger.add_chunk(epoch, chunk, digest, entries)
        return {"chunk": chunk, "known": False}

    def _operators(self) -> set[bytes]:
        actors = self._registry.invite["actors"]
        return {bytes.fromhex(one["public"]) for one in actors if one["role"] == "operator"}

    def pull(self) -> int:
        """Fetch and check every published chunk that is not known yet; return how many.

        Raises:
            Refused, CryptoRefused: the first chunk that does not hold, after all others are in.
        """
        if self._rosters is None:
            return 0
        since = self._log.newest  # before we ask: what is proved now cannot be under less
        missing = [
            (epoch, one)
            for epoch in self._registry.epochs
            for one in self._rosters.roster(epoch)
            if int(one["chunk"]) not in self._ledger.chunks(epoch)
        ]
        refused: Refused | CryptoRefused | None = None
        for epoch, one in missing:
            number = int(one["chunk"])
            try:
                raw = self._rosters.roster_chunk(epoch, number)
                self._take(epoch, number, raw, one["evidence"], since)
            except (Refused, CryptoRefused) as error:
                # One bad chunk must not keep everybody else's rows shut.
                refused = refused or error
        if refused is not None:
            raise refused
        return len(missing)

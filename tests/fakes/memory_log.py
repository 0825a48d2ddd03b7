"""The log as a custodian sees it, in memory: entries are published when told, evidence is its
own leaf.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from consortium.custodian.errors import LogUnreachable, Refused
from consortium.custodian.ledger import Ledger
from consortium.custodian.log import Logged, Opened
from consortium.custodian.own import Standing, Tree
from matching.crypto_errors import CryptoRefused

KINDS = {
    **dict.fromkeys(("block", "opening", "consent"), "ledger"),
    **dict.fromkeys(("ceremony-commit", "statement", "destroyed"), "key"),
}
"""Of what type an entry is that states such a fact, as far as custodians look for it."""


def entry_of(actor: bytes, facts: Mapping[str, Any]) -> bytes:
    """What stands for an entry's bytes."""
    return json.dumps([actor.hex(), facts], sort_keys=True).encode()


class Shared:
    """One log that many hold a handle to."""

    def __init__(self, now: datetime) -> None:
        self.now, self.publishing, self.down = now, True, False
        self.entries: dict[str, tuple[bytes, dict[str, Any]]] = {}
        self.published: dict[str, datetime] = {}

    def add(self, actor: bytes, facts: Mapping[str, Any]) -> str:
        """Take an entry in; publish it at once unless told otherwise."""
        raw = entry_of(actor, facts)
        leaf = hashlib.sha256(raw).hexdigest()
        self.entries[leaf] = (actor, dict(facts))
        if self.publishing:
            self.publish()
        return leaf

    def publish(self) -> None:
        """Cosign everything that is pending."""
        for leaf in self.entries:
            self.published.setdefault(leaf, self.now)

    def tree(self) -> tuple[int, bytes]:
        """Size and root of what is published now."""
        return len(self.published), hashlib.sha256("".join(self.published).encode()).digest()

    def evidence(self, leaf: str) -> dict[str, Any]:
        """What a caller would bring."""
        return {"leaf": leaf}


class MemoryLog:
    """One actor's handle."""

    def __init__(self, shared: Shared, public: bytes) -> None:
        self.shared, self._public = shared, public

    def draft(self, type: str, facts: Mapping[str, Any], name: str = "") -> dict[str, Any]:
        return {"type": type, "facts": dict(facts), "actor": self._public.hex()}

    def leaf(self, drafted: Mapping[str, Any]) -> str:
        return hashlib.sha256(
            entry_of(bytes.fromhex(drafted["actor"]), drafted["facts"])
        ).hexdigest()

    def is_own(self, entry: bytes, facts: Mapping[str, Any], name: str) -> bool:
        return entry == entry_of(self._public, facts)

    def opened(self, drafted: Mapping[str, Any]) -> Opened:
        return Opened(bytes.fromhex(drafted["actor"]), drafted["facts"], self.leaf(drafted))

    def submit(self, drafted: Mapping[str, Any]) -> str:
        if self.shared.down:
            raise LogUnreachable("down")
        return self.shared.add(self._public, drafted["facts"])

    def find(self, leaf: str) -> Logged | None:
        if leaf not in self.shared.published:
            return None
        return self.believe({"leaf": leaf})

    def believe(self, evidence: object) -> Logged:
        if not isinstance(evidence, Mapping) or evidence.get("leaf") not in self.shared.published:
            raise Refused("not-logged", "evidence does not hold")
        leaf = evidence["leaf"]
        actor, facts = self.shared.entries[leaf]
        size, root = self.shared.tree()
        return Logged(actor, facts, self.shared.published[leaf], size, root, f"{size} {root.hex()}")


class MemoryFollow:
    """Following that log: what a custodian said in it and was published is found."""

    def __init__(
        self,
        shared: Shared,
        ledger: Ledger,
        custodians: Callable[[], Mapping[str, bytes]],
        now: Callable[[], datetime],
    ) -> None:
        self.shared, self._ledger, self._custodians, self._now = shared, ledger, custodians, now

    def advance(self) -> Tree:
        if self.shared.down:
            raise LogUnreachable("down")
        ids = {public: id for id, public in self._custodians().items()}
        found = [
            Standing(leaf, ids[actor], self._now(), entry_of(actor, facts), KINDS[facts["kind"]])
            for leaf, (actor, facts) in self.shared.entries.items()
            if leaf in self.shared.published and actor in ids and facts["kind"] in KINDS
        ]
        size, root = self.shared.tree()
        tree = Tree(size, root, self._now(), f"{size} {root.hex()}")
        self._ledger.follow(tree, b"", "", found)
        return tree


class MemoryNeighbours:
    """The other custodians, asked straight in memory; nobody in ``silent`` answers."""

    def __init__(
        self,
        said: Callable[[str], Sequence[Mapping[str, Any]]],
        tell: Callable[[str, Mapping[str, Any]], Mapping[str, Any]] = lambda one, asking: {},
    ) -> None:
        self._said, self._tell, self.silent = said, tell, set[str]()

    def consents(self, id: str) -> Sequence[Mapping[str, Any]]:
        return self._said(id)

    def told(self, id: str, asking: Mapping[str, Any]) -> Mapping[str, Any]:
        if id in self.silent:
            return {}
        try:
            return self._tell(id, asking)
        except (Refused, CryptoRefused):
            return {}

"""The log as a custodian sees it, in memory: entries are published when told, evidence is its
own leaf.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from consortium.custodian.errors import LogUnreachable, Refused
from consortium.custodian.log import Logged


class Shared:
    """One log that many hold a handle to."""

    def __init__(self, now: datetime) -> None:
        self.now, self.publishing, self.down = now, True, False
        self.entries: dict[str, tuple[bytes, dict[str, Any]]] = {}
        self.published: dict[str, datetime] = {}

    def add(self, actor: bytes, facts: Mapping[str, Any]) -> str:
        """Take an entry in; publish it at once unless told otherwise."""
        raw = json.dumps([actor.hex(), facts], sort_keys=True).encode()
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

    def draft(self, type: str, facts: Mapping[str, Any]) -> dict[str, Any]:
        return {"type": type, "facts": dict(facts)}

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

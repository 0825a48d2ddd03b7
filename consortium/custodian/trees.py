"""Remembers every cosigned tree it believed, so that a log put back to yesterday is noticed.

A tree only grows. Evidence under an earlier tree than one seen before may come from a restored
copy, in which a stop, a withdrawal or a spent open never happened; two roots of one size are two
logs, and both signed checkpoints are kept to show it.
"""

from collections.abc import Mapping
from typing import Any

from consortium.custodian.errors import Refused
from consortium.custodian.ledger import Ledger
from consortium.custodian.log import Log, Logged, Opened


class Trees:
    """A log that is held to what it showed before."""

    def __init__(self, log: Log, ledger: Ledger) -> None:
        self._log, self._ledger = log, ledger

    @property
    def newest(self) -> int:
        """Size of the largest tree ever believed; 0 before the first."""
        return self._ledger.newest_tree()

    def draft(self, type: str, facts: Mapping[str, Any], name: str = "") -> dict[str, Any]:
        """Write an entry, as the log does."""
        return self._log.draft(type, facts, name)

    def leaf(self, drafted: Mapping[str, Any]) -> str:
        """Return the leaf of a drafted entry, hex."""
        return self._log.leaf(drafted)

    def is_own(self, entry: bytes, facts: Mapping[str, Any], name: str) -> bool:
        """Whether an entry is what `draft` wrote."""
        return self._log.is_own(entry, facts, name)

    def opened(self, drafted: Mapping[str, Any]) -> Opened:
        """Open somebody's drafted entry."""
        return self._log.opened(drafted)

    def submit(self, drafted: Mapping[str, Any]) -> str:
        """Hand a drafted entry to the log and return its leaf."""
        return self._log.submit(drafted)

    def find(self, leaf: str) -> Logged | None:
        """Return a published entry, proved, or nothing while it is pending."""
        logged = self._log.find(leaf)
        if logged is not None:
            self._remember(logged)
        return logged

    def believe(self, evidence: object, *, since: int = 0) -> Logged:
        """Check evidence that a caller brought, and that its tree is not an older one.

        Args:
            since: the smallest tree that counts: what had been seen before the evidence was made.

        Raises:
            Refused: ``not-logged``, ``rolled-back``, ``split-view``.
        """
        logged = self._log.believe(evidence)
        self._remember(logged)
        if logged.size < since:
            detail = f"the evidence is under {logged.size} entries; {since} were seen before"
            raise Refused("rolled-back", detail)
        return logged

    def _remember(self, logged: Logged) -> None:
        if not self._ledger.saw_tree(logged.size, logged.root, logged.checkpoint):
            detail = "the log showed two roots for one size; both checkpoints are kept here"
            raise Refused("split-view", detail, 409)

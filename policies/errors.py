"""What can be refused, and why.

PolicyError
├── AgreementRefused(key)       a document that is not an agreement; ``key`` is where
├── DefinitionRefused(field)    a question that may not be asked
├── ManifestRefused(key)        a manifest with a missing, strange or ill-typed key
├── ProgrammeRefused(key)       a plan of letters that partners could not approve once
├── NotYetApproved(missing)     partners whose yes is still needed
├── TooFew                      an audience below the gate
├── BudgetSpent(scope, left)    nothing left to spend: for the race, or for this person today
├── LedgerBroken                a ledger whose chain does not lead to its head
├── NotNow(reason, next)        a letter that may not go at this moment
├── CapReached(cap, next)       a person who was written to often enough
├── WallCrossed(side)           somebody on the other legal side of this race
└── Denied(action, reason)      the rules do not allow it
"""

from collections.abc import Sequence
from datetime import datetime


class PolicyError(Exception):
    """Something the policies do not allow."""


class AgreementRefused(PolicyError):
    """The bytes are not an agreement that the code can obey."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"agreement, {key}: {reason}")
        self.key, self.reason = key, reason


class DefinitionRefused(PolicyError):
    """The question may not be asked; nothing was spent."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field, self.reason = field, reason


class ManifestRefused(PolicyError):
    """The manifest is not one that a partner could approve."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"manifest, {key}: {reason}")
        self.key, self.reason = key, reason


class ProgrammeRefused(PolicyError):
    """The plan of letters is not one to approve, or a letter is not one of the plan."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"programme, {key}: {reason}")
        self.key, self.reason = key, reason


class NotYetApproved(PolicyError):
    """Approvals that the agreement asks for are missing."""

    def __init__(self, missing: Sequence[str], needed: int) -> None:
        super().__init__(f"{needed} more of these partners must approve: {', '.join(missing)}")
        self.missing, self.needed = tuple(missing), needed


class TooFew(PolicyError):
    """The audience may be below the smallest one allowed. The message names no number of people."""

    def __init__(self, gate: int) -> None:
        super().__init__(f"the noisy count must reach {gate}; choose a larger place or fewer rules")
        self.gate = gate


class BudgetSpent(PolicyError):
    """The privacy budget does not hold this question. It never refills."""

    def __init__(self, scope: str, left: int, when: str) -> None:
        super().__init__(f"no looks left {scope}; {when}")
        self.scope, self.left = scope, left


class LedgerBroken(PolicyError):
    """The ledger's charges do not lead to its head: somebody changed the past."""


class NotNow(PolicyError):
    """No letter may leave at this moment."""

    def __init__(self, reason: str, next: datetime | None) -> None:
        after = f"; next possible {next.isoformat()}" if next else "; never again in this race"
        super().__init__(reason + after)
        self.reason, self.next = reason, next


class CapReached(PolicyError):
    """This person has been written to as often as the agreement allows."""

    def __init__(self, cap: str, next: datetime | None) -> None:
        super().__init__(f"{cap} is reached")
        self.cap, self.next = cap, next


class WallCrossed(PolicyError):
    """A partner or person already stands on the other side of this race."""

    def __init__(self, side: str) -> None:
        super().__init__(f"already on the {side} side of this race; one side per race")
        self.side = side


class Denied(PolicyError):
    """The rules do not allow this action."""

    def __init__(self, action: str, reason: str) -> None:
        super().__init__(f"{action}: {reason}")
        self.action, self.reason = action, reason

"""Every refusal of the log, by name.

ProvenanceError
├── FormatRefused            bytes that are not what they claim to be
│   ├── CanonicalRefused     a value without one canonical form, or bytes that are not it
│   ├── EntryRefused         not a log entry
│   ├── NoteRefused          not a signed note, not a verifier key
│   ├── CheckpointRefused    not a checkpoint
│   ├── TileRefused          not a tile, bundle or tile path
│   ├── ReceiptRefused       not a tlog-proof or not an evidence file
│   ├── PolicyRefused        not a usable policy
│   └── RequestRefused       not an add-checkpoint request
├── SignatureRefused         a signature is missing or does not verify
├── CommitmentRefused        an opening does not open its commitment
├── InclusionRefused         an entry is not in the tree at that place
├── ConsistencyRefused       a newer tree does not extend an older one
├── ForkRefused              evidence, or two checkpoints, from which no fork can be told
├── QuorumRefused            too few witnesses cosigned
├── StoryRefused             something happened that what came before does not allow
│   └── NotOpened            a rule needs a fact that was not opened
├── AuditRefused             the public bytes of a log do not hold together; names the file
├── LogForked                a log signed two histories; carries the evidence
├── LogWentBack              a log shows fewer entries than it did; carries both checkpoints
├── WitnessRefused           a witness will not cosign; carries the HTTP status
├── ImmutableRefused         other bytes are already stored under that path
├── LockLost                 somebody else moved the log's lock first
│   └── WriterElsewhere      another process has the right to write the log now
├── Stopped                  the log's writer met what it cannot judge; only a new start can
└── RecoveryRefused          the log's own state contradicts itself; a person must act
"""

from collections.abc import Mapping
from typing import Any


class ProvenanceError(Exception):
    """Anything this package refuses."""


class FormatRefused(ProvenanceError):
    """Bytes that are not what they claim to be."""


class CanonicalRefused(FormatRefused):
    """A value without one canonical form, or bytes that are not in it."""


class EntryRefused(FormatRefused):
    """Bytes that are not a log entry."""


class NoteRefused(FormatRefused):
    """Bytes that are not a signed note, or a string that is not a verifier key."""


class CheckpointRefused(FormatRefused):
    """A note whose text is not a checkpoint, or not of the expected log."""


class TileRefused(FormatRefused):
    """Bytes that are not a tile or an entry bundle, or a path that names none."""


class ReceiptRefused(FormatRefused):
    """Text that is not a tlog-proof, or JSON that is not evidence."""


class PolicyRefused(FormatRefused):
    """A policy that cannot be read, or that could never mean what it says."""


class RequestRefused(FormatRefused):
    """A body that is not an add-checkpoint request."""


class SignatureRefused(ProvenanceError):
    """A signature is missing, or a known key's signature does not verify."""


class CommitmentRefused(ProvenanceError):
    """An opening is missing, or does not open its commitment."""


class InclusionRefused(ProvenanceError):
    """An entry is not in the tree at the place that was claimed."""


class ConsistencyRefused(ProvenanceError):
    """A newer tree does not extend the older one."""


class ForkRefused(ProvenanceError):
    """Evidence that does not show a fork, or checkpoints from which none can be told."""


class QuorumRefused(ProvenanceError):
    """Too few of the policy's witnesses cosigned."""


class StoryRefused(ProvenanceError):
    """Something happened that what came before it does not allow."""


class NotOpened(StoryRefused):
    """A rule needs a fact that its entry commits to and that nobody opened."""


class AuditRefused(ProvenanceError):
    """The public bytes of a log do not hold together.

    ``file`` is the path inside the log that is at fault.
    """

    def __init__(self, file: str, why: str) -> None:
        super().__init__(f"{file}: {why}")
        self.file = file
        self.why = why


class LogForked(ProvenanceError):
    """A log signed two trees that contradict each other.

    ``evidence`` is the JSON of `provenance.fork.Fork`: anybody can check it offline.
    """

    def __init__(self, why: str, evidence: Mapping[str, Any]) -> None:
        super().__init__(why)
        self.evidence = evidence


class LogWentBack(ProvenanceError):
    """A log shows a smaller tree than it once did, and the two agree as far as that goes.

    ``evidence`` holds both checkpoints. It may be an old copy; nobody is convicted by it.
    """

    def __init__(self, why: str, evidence: Mapping[str, Any]) -> None:
        super().__init__(why)
        self.evidence = evidence


class WitnessRefused(ProvenanceError):
    """A witness will not cosign; ``status`` is the HTTP status of c2sp.org/tlog-witness."""

    def __init__(self, status: int, why: str, *, known_size: int | None = None) -> None:
        super().__init__(why)
        self.status = status
        self.known_size = known_size


class ImmutableRefused(ProvenanceError):
    """Other bytes are already stored under a path that never changes."""


class LockLost(ProvenanceError):
    """Somebody else moved the log's lock between our reading and our swap."""


class WriterElsewhere(LockLost):
    """Another process has the right to write the log now, or took it in the meantime."""


class Stopped(ProvenanceError):
    """The log's writer stopped for good; the words say why, and what to do before a new start."""


class RecoveryRefused(ProvenanceError):
    """The log's own state contradicts itself; starting would risk a fork."""

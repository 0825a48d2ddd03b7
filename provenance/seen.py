"""What witnesses have seen of a log, asked before its writer signs anything new."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from provenance.checkpoint import Checkpoint, open_checkpoint
from provenance.errors import ProvenanceError, QuorumRefused, RecoveryRefused
from provenance.merkle import Nodes, tree_root_at
from provenance.note import Verifier
from provenance.quorum import Policy

Seen: TypeAlias = Callable[[], Mapping[str, bytes | None]]
"""Asks every witness for the newest checkpoint that it shows of this log: a witness's name to the
note, or to None where it never saw one. Those that are away are left out."""

PUT_BACK = (
    "Lock and files are an old copy, or this log runs twice. Do not start it: put back the newest "
    "lock and files, or find the other writer. What is signed here would fork the log."
)


def check_seen(
    answers: Mapping[str, bytes | None], here: Checkpoint, nodes: Nodes, log: Verifier
) -> None:
    """Compare what witnesses show with the log as it is here.

    A witness alone can stop nothing: what it shows counts by the log's own signature, which only a
    longer or another history of this very log can have.

    Raises:
        RecoveryRefused: somebody has seen more of this log than it knows, or another history.
    """
    for name, note in answers.items():
        try:
            seen = None if note is None else open_checkpoint(note, [log])[0]
        except ProvenanceError:
            continue
        if seen is None or seen.size == 0:
            continue
        if seen.size > here.size:
            raise RecoveryRefused(
                f"the log was seen longer: {name} shows {seen.size} entries under the log's own "
                f"signature, and here are only {here.size}. {PUT_BACK}"
            )
        if tree_root_at(seen.size, nodes) != seen.root:
            raise RecoveryRefused(
                f"the log was seen otherwise: {name} shows other first {seen.size} entries under "
                f"the log's own signature than are here. {PUT_BACK}"
            )


def check_heard(answers: Mapping[str, bytes | None], policy: Policy) -> None:
    """Ask for so many answers that one is by a witness of whatever was published last.

    Raises:
        QuorumRefused: too few; the words name who is missing.
    """
    names = [one.name for one in policy.verifiers]
    needed = len(names) - policy.quorum + 1 if policy.quorum else 0
    missing = [name for name in names if name not in answers]
    if len(names) - len(missing) < needed:
        raise QuorumRefused(
            f"{len(names) - len(missing)} of {len(names)} witnesses say what they last saw of this "
            f"log, and {needed} are needed before anything new is signed after a start; missing: "
            f"{', '.join(missing)}"
        )

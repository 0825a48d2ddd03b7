"""Checkpoints (c2sp.org/tlog-checkpoint): parse, sign, verify."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from provenance.errors import CheckpointRefused, NoteRefused
from provenance.merkle import HASH_BYTES
from provenance.note import (
    Note,
    Signer,
    Verifier,
    check_name,
    check_note,
    from_base64,
    parse_note,
    sign_note,
    to_base64,
)

MAX_SIZE = 2**63 - 1
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log promises: its first ``size`` entries have this root."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def to_text(self) -> bytes:
        """The signed text, last LF included."""
        lines = [self.origin, str(self.size), to_base64(self.root), *self.extensions]
        return "".join(f"{line}\n" for line in lines).encode()


def parse_size(text: str) -> int:
    """ASCII decimal without leading zeros, at most 2^63-1, or ``CheckpointRefused``."""
    if not _DECIMAL.fullmatch(text) or int(text) > MAX_SIZE:
        raise CheckpointRefused("a size is decimal, without leading zeros")
    return int(text)


def parse_checkpoint(text: bytes) -> Checkpoint:
    """Read the text of a checkpoint note.

    Raises:
        CheckpointRefused: fewer than three lines, an empty line, a bad size or root.
    """
    try:
        lines = text.decode("utf-8").split("\n")
    except UnicodeDecodeError as refused:
        raise CheckpointRefused("a checkpoint is UTF-8") from refused
    if lines[-1] != "" or len(lines) < 4 or "" in lines[:-1]:
        raise CheckpointRefused("a checkpoint has three lines or more, none of them empty")
    try:
        check_name(lines[0])
        root = from_base64(lines[2])
    except NoteRefused as refused:
        raise CheckpointRefused(f"origin or root: {refused}") from refused
    if len(root) != HASH_BYTES:
        raise CheckpointRefused(f"a root has {HASH_BYTES} bytes")
    return Checkpoint(lines[0], parse_size(lines[1]), root, tuple(lines[3:-1]))


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> bytes:
    """The checkpoint as a note with the log's signature."""
    if checkpoint.origin != signer.verifier.name:
        raise CheckpointRefused("a log signs under its own origin")
    return sign_note(checkpoint.to_text(), signer).to_bytes()


def read_checkpoint(raw: bytes) -> tuple[Checkpoint, Note]:
    """Read a checkpoint note without verifying anything.

    Raises:
        NoteRefused: not a note.
        CheckpointRefused: its text is no checkpoint.
    """
    note = parse_note(raw)
    return parse_checkpoint(note.text), note


def open_checkpoint(raw: bytes, logs: Sequence[Verifier]) -> tuple[Checkpoint, Note]:
    """Read a checkpoint and check that one of ``logs`` signed it under its own name.

    Args:
        raw: the note.
        logs: keys of the logs that are accepted; a key's name is its log's origin.

    Raises:
        NoteRefused, CheckpointRefused: malformed, or another origin.
        SignatureRefused: not signed, or a known signature is bad.
    """
    checkpoint, note = read_checkpoint(raw)
    expected = [log for log in logs if log.name == checkpoint.origin]
    if not expected:
        raise CheckpointRefused("the checkpoint is of another log")
    check_note(note, expected)
    return checkpoint, note

"""Cosignatures of both types, quorum aside, and being a witness, all without the network."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from provenance.checkpoint import (
    Checkpoint,
    open_checkpoint,
    parse_checkpoint,
    parse_size,
    read_checkpoint,
)
from provenance.errors import (
    CheckpointRefused,
    ConsistencyRefused,
    NoteRefused,
    RequestRefused,
    SignatureRefused,
    WitnessRefused,
)
from provenance.merkle import EMPTY_ROOT, HASH_BYTES, check_consistency
from provenance.note import (
    COSIGNATURE,
    MLDSA_COSIGNATURE,
    SIGNATURE_BYTES,
    Note,
    SignatureLine,
    Signer,
    Verifier,
    from_base64,
    parse_line,
    to_base64,
)

MAX_PROOF = 63
COSIGNING = (COSIGNATURE, MLDSA_COSIGNATURE)
"""The types of key that a witness may have."""

_STAMP = 8
_SUBTREE = b"subtree/v1\n\x00"


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A verified cosignature: who, and when (POSIX seconds) this was the largest tree it knew."""

    name: str
    at: int


def cosigned_message(text: bytes, seconds: int) -> bytes:
    """What a type 04 cosignature signs: header, time, and the whole checkpoint text."""
    return b"cosignature/v1\ntime %d\n" % seconds + text


def subtree_message(name: str, checkpoint: Checkpoint, seconds: int) -> bytes:
    """What a type 06 cosignature signs: who, when, and the tree from 0 to its size.

    Extension lines are not covered.

    Source:
        c2sp.org/tlog-cosignature, subtree/v1.
    """
    return (
        _SUBTREE
        + _len8(name)
        + seconds.to_bytes(_STAMP, "big")
        + _len8(checkpoint.origin)
        + (0).to_bytes(8, "big")
        + checkpoint.size.to_bytes(8, "big")
        + checkpoint.root
    )


def _len8(text: str) -> bytes:
    raw = text.encode()
    if len(raw) > 255:
        raise SignatureRefused("a name under a cosignature of type 06 has at most 255 bytes")
    return bytes([len(raw)]) + raw


def _message(text: bytes, by: Verifier, seconds: int) -> bytes:
    if by.kind != MLDSA_COSIGNATURE:
        return cosigned_message(text, seconds)
    try:
        return subtree_message(by.name, parse_checkpoint(text), seconds)
    except CheckpointRefused as refused:
        raise SignatureRefused("a key of type 06 cosigns checkpoints only") from refused


def cosign(text: bytes, signer: Signer, seconds: int) -> SignatureLine:
    """Cosign a checkpoint's text.

    Args:
        text: all its lines, last LF included, no signatures.
        signer: of a kind in ``COSIGNING``.
        seconds: POSIX time, above 0.
    """
    if signer.verifier.kind not in COSIGNING or not 0 < seconds < 2**63:
        raise SignatureRefused("cosigning needs a key of type 04 or 06 and a time above 0")
    signature = signer.sign(_message(text, signer.verifier, seconds))
    stamped = seconds.to_bytes(_STAMP, "big") + signature
    return SignatureLine(signer.verifier.name, signer.verifier.key_id, stamped)


def check_cosignature(text: bytes, line: SignatureLine, witness: Verifier) -> Cosignature:
    """Check one line by ``witness`` over a checkpoint's text, or ``SignatureRefused``."""
    if (line.name, line.key_id) != (witness.name, witness.key_id):
        raise SignatureRefused(f"this line is not by {witness.name}")
    seconds = int.from_bytes(line.signature[:_STAMP], "big")
    expected = _STAMP + SIGNATURE_BYTES[witness.kind]
    if len(line.signature) != expected or not 0 < seconds < 2**63:
        raise SignatureRefused(f"the cosignature of {witness.name} has no such form")
    witness.check(_message(text, witness, seconds), line.signature[_STAMP:])
    return Cosignature(witness.name, seconds)


def check_cosignatures(note: Note, witnesses: Sequence[Verifier]) -> dict[str, Cosignature]:
    """Check every line that a known witness claims; others are ignored.

    Returns:
        Witness name to its newest cosignature.

    Raises:
        SignatureRefused: one known line does not verify.
    """
    found: dict[str, Cosignature] = {}
    for witness in witnesses:
        for line in note.lines_of(witness):
            one = check_cosignature(note.text, line, witness)
            if witness.name not in found or found[witness.name].at < one.at:
                found[witness.name] = one
    return found


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """One add-checkpoint request: old size, proof from there, signed checkpoint."""

    old: int
    proof: tuple[bytes, ...]
    checkpoint: bytes

    def to_bytes(self) -> bytes:
        """The body to POST."""
        head = [f"old {self.old}", *(to_base64(one) for one in self.proof)]
        return "".join(f"{line}\n" for line in head).encode() + b"\n" + self.checkpoint


def parse_add_checkpoint(body: bytes) -> AddCheckpoint:
    """Read the body of an add-checkpoint request, or ``RequestRefused``."""
    head, found, checkpoint = body.partition(b"\n\n")
    try:
        first, *rest = head.decode("ascii").split("\n")
        if not found or not first.startswith("old ") or len(rest) > MAX_PROOF:
            raise RequestRefused("a request is: old size, up to 63 hashes, empty line, checkpoint")
        proof = tuple(from_base64(line) for line in rest)
        old = parse_size(first.removeprefix("old "))
    except (UnicodeDecodeError, NoteRefused, CheckpointRefused) as refused:
        raise RequestRefused("the head of the request cannot be read") from refused
    if any(len(one) != HASH_BYTES for one in proof):
        raise RequestRefused(f"a hash has {HASH_BYTES} bytes")
    return AddCheckpoint(old, proof, checkpoint)


@dataclass(frozen=True, slots=True)
class Known:
    """What a witness last cosigned for an origin; ``logs`` are the keys trusted for it."""

    logs: tuple[Verifier, ...]
    size: int = 0
    root: bytes = EMPTY_ROOT


def readable(body: bytes) -> tuple[AddCheckpoint, Checkpoint]:
    """The first check of a witness: is the request well formed?

    Raises:
        WitnessRefused: 400.
    """
    try:
        request = parse_add_checkpoint(body)
        checkpoint, _ = read_checkpoint(request.checkpoint)
    except (RequestRefused, NoteRefused, CheckpointRefused) as refused:
        raise WitnessRefused(400, str(refused)) from refused
    if request.old > checkpoint.size:
        raise WitnessRefused(400, "the old size is larger than the checkpoint's")
    return request, checkpoint


def check_request(request: AddCheckpoint, checkpoint: Checkpoint, known: Known | None) -> Note:
    """The other checks of a witness, in the order the specification gives them.

    Args:
        request, checkpoint: from ``readable``.
        known: what is kept for the checkpoint's origin; None when nothing is.

    Returns:
        The note; its text is what to cosign once the new size is durably stored.

    Raises:
        WitnessRefused: 404 unknown origin, 403 signature, 409 old size, 422 proof or root.

    Source:
        c2sp.org/tlog-witness, add-checkpoint.
    """
    if known is None:
        raise WitnessRefused(404, "this witness does not know the log")
    try:
        _, note = open_checkpoint(request.checkpoint, known.logs)
    except (SignatureRefused, CheckpointRefused) as refused:
        raise WitnessRefused(403, "no good signature by a key trusted for this log") from refused
    if request.old != known.size:
        raise WitnessRefused(409, "another size was cosigned last", known_size=known.size)
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        raise WitnessRefused(422, "an empty tree has the empty root")
    try:
        check_consistency(request.old, checkpoint.size, request.proof, known.root, checkpoint.root)
    except ConsistencyRefused as refused:
        raise WitnessRefused(422, str(refused)) from refused
    return note


def parse_answer(body: bytes, text: bytes, witness: Verifier) -> SignatureLine:
    """The witness's own good line in the answer to add-checkpoint; other keys' are ignored.

    Raises:
        SignatureRefused: there is none, or it does not verify over ``text``.
    """
    try:
        decoded = body.decode("utf-8")
        found = [parse_line(line) for line in decoded.split("\n")[:-1]]
    except (UnicodeDecodeError, NoteRefused) as refused:
        raise SignatureRefused(f"the answer of {witness.name} is not signature lines") from refused
    mine = [x for x in found if (x.name, x.key_id) == (witness.name, witness.key_id)]
    if not mine:
        raise SignatureRefused(f"the answer holds no cosignature of {witness.name}")
    for line in mine:
        check_cosignature(text, line, witness)
    return mine[0]


def origin_path(origin: str) -> str:
    """Where a witness shows its latest checkpoint of an origin: hex of SHA-256."""
    return hashlib.sha256(origin.encode()).hexdigest()

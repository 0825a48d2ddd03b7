"""Entry, index, proof, cosigned checkpoint (c2sp.org/tlog-proof); checked offline."""

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass

from provenance.checkpoint import parse_size
from provenance.errors import CheckpointRefused, NoteRefused, ReceiptRefused
from provenance.merkle import HASH_BYTES, check_inclusion
from provenance.note import from_base64, to_base64
from provenance.quorum import Cosigned, Policy

HEADER = "c2sp.org/tlog-proof@v1"
MAX_PATH = 63


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where an entry is in the log, and why one should believe it.

    Attributes:
        index: 0-based.
        path: 32-byte hashes, the leaf's sibling first.
        checkpoint: the note with its signatures, verbatim.
        extra: not authenticated by anything.
    """

    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def to_text(self) -> str:
        """The tlog-proof file."""
        lines = [HEADER]
        if self.extra is not None:
            lines.append(f"extra {to_base64(self.extra)}")
        lines += [f"index {self.index}", *(to_base64(one) for one in self.path), ""]
        return "\n".join(lines) + "\n" + self.checkpoint.decode("utf-8")


def parse_receipt(text: str) -> Receipt:
    """Read a tlog-proof strictly, or ``ReceiptRefused``; nothing is verified yet."""
    head, found, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    if not found or lines.pop(0) != HEADER:
        raise ReceiptRefused(f"a receipt begins with {HEADER}")
    try:
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = from_base64(lines.pop(0).removeprefix("extra "))
        if not lines or not lines[0].startswith("index "):
            raise ReceiptRefused("a receipt names an index")
        index = parse_size(lines.pop(0).removeprefix("index "))
        path = tuple(from_base64(line) for line in lines)
        raw = checkpoint.encode("utf-8")
    except (NoteRefused, CheckpointRefused, UnicodeEncodeError) as refused:
        raise ReceiptRefused(f"a receipt's head cannot be read: {refused}") from refused
    if len(path) > MAX_PATH or any(len(one) != HASH_BYTES for one in path):
        raise ReceiptRefused("a receipt's path is up to 63 hashes of 32 bytes")
    return Receipt(index, path, raw, extra)


def make_receipt(index: int, path: Sequence[bytes], checkpoint: bytes) -> str:
    """The tlog-proof text of these parts."""
    return Receipt(index, tuple(path), checkpoint).to_text()


def check_receipt(
    entry: bytes, text: str, policy: Policy, seen: MutableMapping[bytes, Cosigned] | None = None
) -> tuple[int, Cosigned]:
    """Check a receipt for these entry bytes.

    Args:
        seen: checkpoints that were checked under this policy, by their bytes; whoever checks many
            receipts keeps it, so that each signature on a checkpoint is checked once.

    Returns:
        The entry's index and the checkpoint it was proved under.

    Raises:
        ReceiptRefused, NoteRefused, CheckpointRefused: malformed, or of another log.
        SignatureRefused, QuorumRefused: a bad known signature; too few.
        InclusionRefused: the entry is not there.
    """
    receipt = parse_receipt(text)
    known = {} if seen is None else seen
    cosigned = known.get(receipt.checkpoint) or policy.check(receipt.checkpoint)
    known[receipt.checkpoint] = cosigned
    here = cosigned.checkpoint
    check_inclusion(entry, receipt.index, here.size, receipt.path, here.root)
    return receipt.index, cosigned

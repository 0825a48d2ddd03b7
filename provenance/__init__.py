"""A log no one can quietly rewrite. Knows bytes, not members."""

from provenance.canonical import (
    Opening,
    canonical,
    commitment,
    openings_from_json,
    openings_to_json,
)
from provenance.checkpoint import Checkpoint, open_checkpoint, read_checkpoint, sign_checkpoint
from provenance.entry import ENTRY_BYTES, Drafted, Entry, Opened, draft, opened, parse
from provenance.evidence import Checked, Evidence, check
from provenance.merkle import (
    check_consistency,
    check_inclusion,
    leaf_hash,
    tree_root,
)
from provenance.note import COSIGNATURE, ED25519, Signer, Verifier
from provenance.quorum import Policy
from provenance.receipt import check_receipt

__all__ = [
    "COSIGNATURE",
    "ED25519",
    "ENTRY_BYTES",
    "Checked",
    "Checkpoint",
    "Drafted",
    "Entry",
    "Evidence",
    "Opened",
    "Opening",
    "Policy",
    "Signer",
    "Verifier",
    "canonical",
    "check",
    "check_consistency",
    "check_inclusion",
    "check_receipt",
    "commitment",
    "draft",
    "leaf_hash",
    "open_checkpoint",
    "opened",
    "openings_from_json",
    "openings_to_json",
    "parse",
    "read_checkpoint",
    "sign_checkpoint",
    "tree_root",
]

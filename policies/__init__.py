"""What is allowed, to whom, how often, how much. Pure answers from stated facts."""

from policies.agreement import Agreement, digest, parse, to_bytes
from policies.approvals import check_manifest, enough, manifest_digest
from policies.errors import PolicyError
from policies.facts import Caller, Term

__all__ = [
    "Agreement",
    "Caller",
    "PolicyError",
    "Term",
    "check_manifest",
    "digest",
    "enough",
    "manifest_digest",
    "parse",
    "to_bytes",
]

"""Whether two stewards enrolled the same roll: their receipts, checked, and held side by side."""

import json
from collections.abc import Mapping
from pathlib import Path

from consortium.cli.errors import CheckRefused
from consortium.cli.home import Json
from provenance.errors import ProvenanceError
from provenance.evidence import check, read_file
from provenance.quorum import Policy

SAME = ("epoch", "k", "size_class", "source_digest", "rows_root")
"""What the log says alike of two slices of one roll. All else is keyed by the steward."""
_WORDS = {
    "epoch": "the epoch",
    "k": "k, the voters who share a row",
    "size_class": "the size class",
    "source_digest": "the files' digest (the same voters can come in other files)",
    "rows_root": "the root over the sorted rows",
}


def said(path: Path, policy: Policy) -> tuple[Json, str]:
    """The facts of a slice's entry and its signer's key, from a receipt or an enrolment's folder.

    Raises:
        CheckRefused: there is no receipt, or it is of something else than a slice.
    """
    file = path / "receipt.json" if path.is_dir() else path
    try:
        read = read_file(json.loads(file.read_bytes()))
        checked = [check(one, policy) for one in read.evidences]
    except (ValueError, ProvenanceError) as refused:
        raise CheckRefused(f"{file.name} of {path.name}: {refused}") from refused
    for one in checked:
        if (one.kind, one.facts.get("kind")) == ("roll", "slice"):
            return dict(one.facts), one.actor.hex()
    raise CheckRefused(f"{path.name}: is not the receipt of a slice")


def differing(a: Mapping[str, object], b: Mapping[str, object]) -> list[str]:
    """What the two entries do not say alike, in words; empty when the rolls are the same."""
    if "rows_root" not in a or "rows_root" not in b:
        return ["an entry of an earlier version, without a root over its rows"]
    return [_WORDS[name] for name in SAME if a.get(name) != b.get(name)]


def verdict(a: Mapping[str, object], b: Mapping[str, object]) -> bool:
    """Whether both hold the same rows: k and root alone decide."""
    return "rows_root" in a and all(a.get(n) == b.get(n) for n in ("k", "rows_root"))

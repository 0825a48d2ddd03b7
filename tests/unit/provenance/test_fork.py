"""A fork is proved by the log's own signatures; evidence that was made up convicts nobody."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from provenance.checkpoint import Checkpoint, sign_checkpoint
from provenance.errors import ForkRefused, ProvenanceError
from provenance.fork import Fork, check_fork, compare, find_fork
from provenance.merkle import (
    EMPTY_ROOT,
    Nodes,
    consistency_path,
    leaf_hash,
    nodes_of,
    root_of_hashes,
)
from provenance.note import Signer
from tests.fakes.actors import LOG, ORIGIN

LOGS = (LOG.verifier,)
ONE = [leaf_hash(b"one %d" % n) for n in range(40)]
OTHER = [*ONE[:5], *(leaf_hash(b"other %d" % n) for n in range(5, 40))]


def note(leaves: list[bytes], signer: Signer = LOG) -> bytes:
    root = root_of_hashes(leaves) if leaves else EMPTY_ROOT
    return sign_checkpoint(Checkpoint(signer.verifier.name, len(leaves), root), signer)


def nodes(leaves: list[bytes]) -> Nodes:
    return nodes_of(leaves)


def test_every_pair_of_sizes_is_told_apart_rightly() -> None:
    for old in range(25):
        for new in range(old, 25):
            seen = note(ONE[:old]), note(ONE[:new])
            assert compare(*seen, LOGS, nodes(ONE[:new])) == ("same" if old == new else "extends")
            with pytest.raises(ForkRefused):
                find_fork(*seen, LOGS, nodes(ONE[:new]))
            if old <= 5:
                continue
            forked = note(ONE[:old]), note(OTHER[:new])
            assert compare(*forked, LOGS, nodes(OTHER[:new])) == "forked"
            found = find_fork(*forked, LOGS, nodes(OTHER[:new]))
            assert Fork.from_json(json.loads(json.dumps(found.to_json()))) == found
            older, newer = check_fork(found, LOGS)
            assert (older.size, newer.size) == (old, new)


def test_nobody_can_make_evidence_against_an_honest_log() -> None:
    """Whatever is put for the prefix, an honest log's two trees leave no path that proves it."""
    for old in range(1, 14):
        for new in range(old, 14):
            older, newer = note(ONE[:old]), note(ONE[:new])
            path = consistency_path(old, new, nodes(ONE[:new]))
            lies = [b"\0" * 32, root_of_hashes(ONE[: old + 1]), leaf_hash(b""), *path]
            for prefix in {one for one in lies if one != root_of_hashes(ONE[:old])}:
                for proof in (tuple(path), tuple(path[1:]), (*path, prefix), (prefix, *path)):
                    with pytest.raises(ForkRefused):
                        check_fork(Fork(older, newer, prefix, proof), LOGS)


def test_evidence_with_a_foreign_or_altered_part_is_refused() -> None:
    found = find_fork(note(ONE[:7]), note(OTHER[:19]), LOGS, nodes(OTHER[:19]))
    check_fork(found, LOGS)
    mallory = Signer.from_seed(ORIGIN, b"m" * 32)
    away = Signer.from_seed("log.example/away", b"m" * 32)
    for wrong in (
        replace(found, older=note(ONE[:7], mallory)),
        replace(found, newer=note(OTHER[:19], away)),
        replace(found, older=note(OTHER[:7])),
        replace(found, older=note(ONE[:8])),
        replace(found, newer=note(OTHER[:20])),
        replace(found, path=found.path[:-1]),
        replace(found, path=(*found.path[:-1], b"\0" * 32)),
        replace(found, prefix=b"\0" * 32),
        replace(found, older=b"nothing\n"),
    ):
        with pytest.raises(ProvenanceError):
            check_fork(wrong, LOGS)
    with pytest.raises(ForkRefused, match="two logs"):
        check_fork(replace(found, older=note(ONE[:7], away)), (*LOGS, away.verifier))


@pytest.mark.parametrize(
    "change",
    [
        {"format": "x"},
        {"older": 5},
        {"path": 5},
        {"path": [5]},
        {"prefix": "AA=="},
        {"prefix": "*"},
    ],
    ids=str,
)
def test_a_file_that_is_no_evidence_is_refused(change: dict[str, object]) -> None:
    found = find_fork(note(ONE[:7]), note(OTHER[:7]), LOGS, None)
    with pytest.raises(ForkRefused):
        Fork.from_json({**json.loads(json.dumps(found.to_json())), **change})


def test_two_checkpoints_alone_tell_only_what_they_can() -> None:
    with pytest.raises(ForkRefused, match="cannot be told"):
        compare(note(ONE[:5]), note(ONE[:9]), LOGS, None)
    with pytest.raises(ForkRefused, match="do not lead"):
        compare(note(ONE[:5]), note(ONE[:9]), LOGS, nodes(OTHER[:9]))
    with pytest.raises(ForkRefused, match="more entries"):
        compare(note(ONE[:9]), note(ONE[:5]), LOGS, nodes(ONE[:9]))
    assert compare(note(ONE[:5]), note(ONE[:5]), LOGS, None) == "same"
    assert compare(note(ONE[:7]), note(OTHER[:7]), LOGS, None) == "forked"


def test_an_empty_tree_with_a_root_of_its_own_is_a_fork(tmp_path: Path) -> None:
    odd = sign_checkpoint(Checkpoint(ORIGIN, 0, b"\1" * 32), LOG)
    found = find_fork(odd, note(ONE[:3]), LOGS, nodes(ONE[:3]))
    check_fork(found, LOGS)

"""A cosignature of either type counts where the policy names its key, and nowhere else."""

import hashlib
from datetime import timedelta
from pathlib import Path

import pytest

from consortium.witness.ledger import Ledger
from provenance.checkpoint import Checkpoint, sign_checkpoint
from provenance.errors import NoteRefused, PolicyRefused, QuorumRefused, SignatureRefused
from provenance.merkle import tree_root
from provenance.note import (
    COSIGNATURE,
    ED25519,
    MLDSA_COSIGNATURE,
    Note,
    SignatureLine,
    Signer,
    Verifier,
    parse_note,
    to_base64,
)
from provenance.quorum import Policy
from provenance.witness import AddCheckpoint, check_cosignature, cosign, parse_answer
from tests.fakes.actors import LOG, NOON, ORIGIN, WITNESSES

OLD = WITNESSES[0]
NEW = Signer.from_seed("witness.example/new", bytes([9]) * 32, MLDSA_COSIGNATURE)
TREE = Checkpoint(ORIGIN, 3, tree_root([b"a", b"b", b"c"]))
SIGNED = parse_note(sign_checkpoint(TREE, LOG))
SECONDS = int(NOON.timestamp())


def cosigned(*lines: SignatureLine) -> bytes:
    return Note(SIGNED.text, (*SIGNED.signatures, *lines)).to_bytes()


def asking(*witnesses: Signer, quorum: int) -> Policy:
    return Policy.of(LOG.verifier, [one.verifier for one in witnesses], quorum)


def test_both_types_count_towards_one_quorum() -> None:
    policy = asking(OLD, NEW, quorum=2)
    lines = [cosign(SIGNED.text, one, SECONDS) for one in (OLD, NEW)]
    found = policy.check(cosigned(*lines))
    assert set(found.cosignatures) == {OLD.verifier.name, NEW.verifier.name}
    assert found.at == NOON
    for alone in lines:
        with pytest.raises(QuorumRefused):
            policy.check(cosigned(alone))
    assert Policy.from_text(policy.to_text()) == policy


def test_a_line_of_type_06_that_no_policy_names_is_ignored() -> None:
    line = cosign(SIGNED.text, NEW, SECONDS)
    broken = SignatureLine(line.name, line.key_id, bytes(len(line.signature)))
    policy = asking(OLD, quorum=1)
    for stranger in (line, broken):
        policy.check(cosigned(cosign(SIGNED.text, OLD, SECONDS), stranger))
        with pytest.raises(QuorumRefused):
            policy.check(cosigned(stranger))


@pytest.mark.parametrize("type", [0x00, 0x02, 0x03, 0x05, 0x07, 0xFA, 0xFF])
def test_a_key_of_a_type_that_is_not_known_cannot_be_named_and_its_lines_are_ignored(
    type: int,
) -> None:
    public = bytes(32)
    id = hashlib.sha256(b"other\n" + bytes([type]) + public).digest()[:4]
    with pytest.raises(NoteRefused, match="are known here"):
        Verifier.from_vkey(f"other+{id.hex()}+{to_base64(bytes([type]) + public)}")
    line = SignatureLine("other", id, bytes(70))
    asking(OLD, quorum=1).check(cosigned(line, cosign(SIGNED.text, OLD, SECONDS)))


@pytest.mark.parametrize("at", [0, 7, 8, 1000, -1])
@pytest.mark.parametrize("witness", [OLD, NEW], ids=["type 04", "type 06"])
def test_one_altered_byte_of_a_known_cosignature_spoils_the_checkpoint(
    witness: Signer, at: int
) -> None:
    line = cosign(SIGNED.text, witness, SECONDS)
    altered = bytearray(line.signature)
    altered[at % len(altered)] ^= 1
    wrong = SignatureLine(line.name, line.key_id, bytes(altered))
    policy = asking(witness, quorum=1)
    policy.check(cosigned(line))
    for lines in ([wrong], [line, wrong], [wrong, line]):
        with pytest.raises(SignatureRefused):
            policy.check(cosigned(*lines))


@pytest.mark.parametrize("length", [1, 8, 9, 72, 2427, 2429])
def test_a_cosignature_of_type_06_has_one_length(length: int) -> None:
    line = SignatureLine(NEW.verifier.name, NEW.verifier.key_id, b"\x01" * length)
    with pytest.raises(SignatureRefused, match="no such form"):
        check_cosignature(SIGNED.text, line, NEW.verifier)


@pytest.mark.parametrize(
    "text",
    [
        Checkpoint("log.example/other", 3, TREE.root).to_text(),
        Checkpoint(ORIGIN, 4, TREE.root).to_text(),
        Checkpoint(ORIGIN, 3, bytes(32)).to_text(),
    ],
    ids=["origin", "size", "root"],
)
@pytest.mark.parametrize("witness", [OLD, NEW], ids=["type 04", "type 06"])
def test_a_cosignature_holds_for_one_tree_of_one_log(witness: Signer, text: bytes) -> None:
    line = cosign(SIGNED.text, witness, SECONDS)
    check_cosignature(SIGNED.text, line, witness.verifier)
    with pytest.raises(SignatureRefused):
        check_cosignature(text, line, witness.verifier)


def test_type_06_covers_the_witnesss_name_and_type_04_the_extension_lines() -> None:
    longer = Checkpoint(ORIGIN, 3, TREE.root, ("extension",)).to_text()
    old, new = (cosign(SIGNED.text, one, SECONDS) for one in (OLD, NEW))
    with pytest.raises(SignatureRefused):
        check_cosignature(longer, old, OLD.verifier)
    check_cosignature(longer, new, NEW.verifier)  # the log's own signature covers them
    twins = [
        Verifier("witness.example/twin", one.verifier.kind, one.verifier.public)
        for one in (OLD, NEW)
    ]
    moved = [
        SignatureLine(twin.name, twin.key_id, line.signature)
        for twin, line in zip(twins, (old, new), strict=True)
    ]
    check_cosignature(SIGNED.text, moved[0], twins[0])  # hence one Ed25519 key per witness
    with pytest.raises(SignatureRefused):
        check_cosignature(SIGNED.text, moved[1], twins[1])


def test_keys_of_a_kind_sign_what_that_kind_signs() -> None:
    with pytest.raises(SignatureRefused, match="type 04 or 06"):
        cosign(SIGNED.text, LOG, SECONDS)
    with pytest.raises(SignatureRefused, match="above 0"):
        cosign(SIGNED.text, NEW, 0)
    with pytest.raises(SignatureRefused, match="checkpoints only"):
        cosign(b"no checkpoint\n", NEW, SECONDS)
    with pytest.raises(PolicyRefused, match="type 04 or 06"):
        Policy.of(LOG.verifier, [Signer.from_seed("w", bytes(32), ED25519).verifier], 1)
    with pytest.raises(PolicyRefused, match="type 01"):
        Policy.of(NEW.verifier, [OLD.verifier], 1)
    for kind, length in ((ED25519, 1312), (COSIGNATURE, 33), (MLDSA_COSIGNATURE, 32)):
        with pytest.raises(NoteRefused):
            Verifier("w", kind, bytes(length))


def test_a_name_that_its_length_byte_cannot_say_cosigns_nothing() -> None:
    for name, fine in (("w" * 255, True), ("w" * 256, False), ("\u00e9" * 128, False)):
        signer = Signer.from_seed(name, bytes(32), MLDSA_COSIGNATURE)
        if fine:
            check_cosignature(SIGNED.text, cosign(SIGNED.text, signer, SECONDS), signer.verifier)
            continue
        with pytest.raises(SignatureRefused, match="255 bytes"):
            cosign(SIGNED.text, signer, SECONDS)


def test_a_witness_may_answer_with_a_key_of_type_06(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "witness.db")
    ledger.trust(LOG.verifier)
    body = AddCheckpoint(0, (), SIGNED.to_bytes()).to_bytes()
    answer = ledger.add(body, NEW, NOON + timedelta(hours=1)).to_line()
    line = parse_answer(answer, SIGNED.text, NEW.verifier)
    assert check_cosignature(SIGNED.text, line, NEW.verifier).at == SECONDS + 3600
    with pytest.raises(SignatureRefused, match="no cosignature"):
        parse_answer(answer, SIGNED.text, OLD.verifier)

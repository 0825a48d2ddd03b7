"""A receipt is believed when its entries hold and each of them was allowed by those before it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from consortium.cli.auditor import command
from provenance.backend import CHECKPOINT
from provenance.entry import Drafted
from provenance.errors import (
    CommitmentRefused,
    InclusionRefused,
    QuorumRefused,
    ReceiptRefused,
    StoryRefused,
)
from provenance.evidence import Evidence, check, read_file, write_file
from provenance.quorum import Cosigned, Policy
from provenance.sequencer import Sequencer
from provenance.story import replay
from tests.fakes.actors import LOG, NOON, POLICY, WITNESSES, public
from tests.fakes.log import MemoryBackend, MemoryLock
from tests.fakes.stories import (
    ACTORS,
    BOTH,
    WHOLE,
    approve,
    attest,
    intent,
    logged,
    sent,
    sign,
)


def without(place: int) -> list[Drafted]:
    return WHOLE[:place] + WHOLE[place + 1 :]


@pytest.mark.parametrize("actors", [ACTORS, None], ids=["by name", "by count"])
def test_a_whole_story_is_believed_in_any_order(actors: dict[str, bytes] | None) -> None:
    evidences = logged(WHOLE)
    story = replay(evidences[::-1] + evidences[:2], POLICY, actors=actors)
    assert [one.index for one in story.entries] == list(range(8))
    assert "intent: send c1" in story.lines[6]


@pytest.mark.parametrize("actors", [ACTORS, None], ids=["by name", "by count"])
@pytest.mark.parametrize("missing", range(7))
def test_a_story_with_anything_missing_is_refused(
    missing: int, actors: dict[str, bytes] | None
) -> None:
    with pytest.raises(StoryRefused, match="c1"):
        replay(logged(without(missing)), POLICY, actors=actors)


@pytest.mark.parametrize(
    "drafts",
    [
        [*WHOLE[:6], sent(), intent()],
        [*WHOLE[:5], intent(), attest("birch")],
        [sign("alder"), sign("birch", "b" * 64), *WHOLE[2:]],
        [*WHOLE[:3], approve("birch", "f" * 64), *WHOLE[4:]],
        [*WHOLE[:5], attest("birch", "f" * 64), *WHOLE[6:]],
        [*WHOLE[:3], approve("alder"), *WHOLE[4:]],
        [*WHOLE[:3], approve("somebody"), *WHOLE[4:]],
        [*WHOLE[:7], intent(root="f" * 64)],
        [*WHOLE[:7], sent("c2")],
        [*WHOLE[:6], intent(sources=[])],
        [*WHOLE[:6], intent(sources=["alder", "alder"])],
        [*WHOLE[:6], intent(sources="alder")],
        [*WHOLE[:6], intent(digest=5)],
        [*WHOLE[:6], intent(race="mayor")],
    ],
)
def test_a_story_that_bends_the_rules_is_refused(drafts: list[Drafted]) -> None:
    for actors in (ACTORS, None):
        with pytest.raises(StoryRefused):
            replay(logged(drafts), POLICY, actors=actors)


def test_a_source_nobody_knows_or_two_under_one_key_are_refused() -> None:
    evidences = logged(WHOLE)
    for actors in ({"alder": public("alder")}, dict.fromkeys(BOTH, public("alder"))):
        with pytest.raises(StoryRefused):
            replay(evidences, POLICY, actors=actors)


def test_fewer_approvals_are_enough_when_the_agreement_says_so() -> None:
    replay(logged(without(3)), POLICY, actors=ACTORS, approvals=1)
    with pytest.raises(StoryRefused):
        replay(logged(WHOLE), POLICY, actors=ACTORS, approvals=0)


def test_two_histories_in_one_receipt_are_refused() -> None:
    one, other = logged(WHOLE[:3]), logged([sign("cedar"), *WHOLE[1:3]])
    with pytest.raises(StoryRefused, match="forked"):
        replay([one[1], other[0]], POLICY)
    with pytest.raises(StoryRefused, match="forked"):
        replay([one[0], logged([sign("cedar"), sign("alder")])[0]], POLICY)


def test_a_checkpoint_that_many_receipts_share_is_checked_once_and_another_one_too() -> None:
    first, second = logged(WHOLE)[:2]
    seen: dict[bytes, Cosigned] = {}
    for one in (first, second, first):
        assert check(one, POLICY, seen=seen) == check(one, POLICY)
    assert len(seen) == 1
    bare = second.proof[: second.proof.index("\u2014 witness")]
    for _ in range(2):
        with pytest.raises(QuorumRefused):
            check(replace(second, proof=bare), POLICY, seen=seen)
    moved = second.proof.replace("index 1\n", "index 0\n")
    with pytest.raises(InclusionRefused):
        check(replace(second, proof=moved), POLICY, seen=seen)
    assert len(seen) == 1


def test_checked_evidence_says_who_when_and_under_what() -> None:
    found = check(logged(WHOLE)[6], POLICY)
    assert (found.kind, found.actor, found.index, found.size) == (
        "intent",
        public("operator"),
        6,
        8,
    )
    assert (found.at, found.cosigned_at) == (NOON, NOON)
    assert found.facts["sources"] == ["alder", "birch"]


def test_evidence_that_was_mixed_up_is_refused() -> None:
    one, two = logged(WHOLE[:2])
    with pytest.raises(InclusionRefused):
        check(Evidence(one.entry, one.openings, two.proof), POLICY)
    with pytest.raises(CommitmentRefused):
        check(Evidence(one.entry, two.openings, one.proof), POLICY)
    cut = one.proof.rstrip("\n").split("\n")
    with pytest.raises(QuorumRefused):
        check(Evidence(one.entry, one.openings, "\n".join(cut[:-2]) + "\n"), POLICY)


def test_the_time_of_a_quorum_is_that_of_its_last_needed_witness() -> None:
    backend = MemoryBackend()

    def ask(note: bytes, proof_for: object) -> list[bytes]:
        from provenance.note import parse_note
        from provenance.witness import cosign

        text = parse_note(note).text
        return [cosign(text, one, 100 * n).to_line() for n, one in enumerate(WITNESSES, 1)]

    Sequencer(backend, MemoryLock(), LOG, POLICY, ask).append([b"x"], NOON)
    cosigned = POLICY.check(backend.files[CHECKPOINT])
    assert cosigned.at.timestamp() == 200
    nobody = Policy.of(LOG.verifier, [], 0)
    assert nobody.check(backend.files[CHECKPOINT]).at.timestamp() == 0


def test_evidence_and_receipt_files_travel_as_json() -> None:
    evidences = logged(WHOLE)
    value = json.loads(json.dumps(write_file(evidences, POLICY, ACTORS)))
    read = read_file(value)
    assert (list(read.evidences), read.policy, read.actors) == (evidences, POLICY, ACTORS)
    assert read_file(value["evidence"]).evidences == tuple(evidences)
    assert read_file(value["evidence"][0]).evidences == (evidences[0],)
    for wrong in ("x", {}, {"evidence": 5}, [{"entry": 1}], {**value, "actors": {"a": "zz"}}):
        with pytest.raises(ReceiptRefused):
            read_file(wrong)


def test_the_command_checks_a_receipt_offline(tmp_path: Path) -> None:
    path = tmp_path / "receipt.json"
    path.write_text(json.dumps(write_file(logged(WHOLE), POLICY, ACTORS)))
    said = CliRunner().invoke(command, ["receipt", str(path)])
    assert said.exit_code == 0, said.output
    assert "came with the receipt" in said.output
    words = ["receipt", str(path), "--vkey", LOG.verifier.vkey, "--quorum", "2", "--json"]
    for one in WITNESSES:
        words += ["--witness", one.verifier.vkey]
    machine = json.loads(CliRunner().invoke(command, words).output)
    assert (machine["keys"], len(machine["entries"])) == ("yours", 8)
    (tmp_path / "policy").write_text(POLICY.to_text())
    ours = ["receipt", str(path), "--policy", str(tmp_path / "policy")]
    assert CliRunner().invoke(command, ours).exit_code == 0


@pytest.mark.parametrize("drafts", [WHOLE[6:7], WHOLE[7:]], ids=["intent alone", "sent alone"])
def test_the_command_refuses_a_story_with_holes(drafts: list[Drafted], tmp_path: Path) -> None:
    path = tmp_path / "receipt.json"
    path.write_text(json.dumps(write_file(logged(drafts), POLICY, ACTORS)))
    said = CliRunner().invoke(command, ["receipt", str(path)])
    assert said.exit_code == 1
    assert "c1" in said.output


@pytest.mark.parametrize("text", ["", "5", "[]", '{"evidence": []}', "{"])
def test_the_command_refuses_a_file_that_is_no_receipt(text: str, tmp_path: Path) -> None:
    path = tmp_path / "receipt.json"
    path.write_text(text)
    said = CliRunner().invoke(command, ["receipt", str(path)])
    assert (said.exit_code, isinstance(said.exception, SystemExit)) == (1, True)

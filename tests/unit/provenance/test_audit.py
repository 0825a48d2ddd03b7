"""An audit needs public bytes only, and names the file in which a single bit was changed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from consortium.cli.auditor import command
from provenance.audit import FolderSource, Report, audit, check_tree
from provenance.backend import FolderBackend
from provenance.checkpoint import Checkpoint, sign_checkpoint
from provenance.entry import ENTRY_BYTES
from provenance.errors import AuditRefused
from provenance.merkle import leaf_hash, tree_root
from provenance.note import Note, Signer, parse_note
from provenance.quorum import Policy
from provenance.sequencer import Sequencer
from provenance.tiles import pack_entries
from provenance.witness import cosign
from tests.fakes.actors import LOG, NOON, POLICY, WITNESSES, made, trusting
from tests.fakes.log import MemoryLock

KINDS = ("contribution", "approval", "intent")
ENTRIES = [made("union", KINDS[n % 3], kind="x", n=n).entry for n in range(262)]


def grown(folder: Path, *batches: int) -> list[bytes]:
    """A log in ``folder``; returns the published checkpoints."""
    folder.parent.mkdir(exist_ok=True)
    backend = FolderBackend(folder)
    log = Sequencer(backend, MemoryLock(), LOG, POLICY, trusting())
    notes, at = [], 0
    for count in batches:
        log.append(ENTRIES[at : at + count], NOON)
        at += count
        notes.append((folder / "checkpoint").read_bytes())
    return notes


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small") / "log"
    grown(folder, 3, 5)
    return folder


@pytest.fixture(scope="module")
def larger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("larger") / "log"
    grown(folder, 250, 12)
    return folder


@pytest.fixture
def copy(tmp_path: Path) -> Callable[[Path], Path]:
    def copied(folder: Path) -> Path:
        return Path(shutil.copytree(folder, tmp_path / "copy"))

    return copied


def audited(folder: Path, old: bytes | None = None) -> Report:
    return audit(FolderSource(folder), POLICY, old=old)


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_an_honest_log_passes_and_the_limits_are_said(larger: Path) -> None:
    report = audited(larger)
    assert (report.size, report.root) == (262, tree_root(ENTRIES))
    assert report.kinds == {"approval": 87, "contribution": 88, "intent": 87}
    assert report.files == len(files(larger))
    assert len(report.witnesses) == 3
    assert any("openings" in line or "opening" in line for line in report.unchecked)
    assert any("outside" in line for line in report.unchecked)


def test_a_flipped_byte_in_any_file_is_found_and_the_file_is_named(
    small: Path, copy: Callable[[Path], Path]
) -> None:
    folder = copy(small)
    names = files(folder)
    assert len(names) == 5
    for name in names:
        good = (folder / name).read_bytes()
        for at in {0, 1, len(good) // 3, len(good) // 2, len(good) - 1}:
            wrong = bytearray(good)
            wrong[at] ^= 1
            (folder / name).write_bytes(wrong)
            with pytest.raises(AuditRefused) as refused:
                audited(folder)
            assert refused.value.file == name
        (folder / name).write_bytes(good)
    audited(folder)


def test_every_byte_of_a_checkpoint_counts(small: Path, copy: Callable[[Path], Path]) -> None:
    folder = copy(small)
    good = (folder / "checkpoint").read_bytes()
    for at in range(len(good)):
        wrong = bytearray(good)
        wrong[at] ^= 1
        (folder / "checkpoint").write_bytes(wrong)
        with pytest.raises(AuditRefused) as refused:
            audited(folder)
        assert refused.value.file == "checkpoint"


def test_a_flipped_byte_is_found_where_tiles_are_stacked(
    larger: Path, copy: Callable[[Path], Path]
) -> None:
    folder = copy(larger)
    for name in files(folder):
        good = (folder / name).read_bytes()
        wrong = bytearray(good)
        wrong[len(good) // 2] ^= 0x10
        (folder / name).write_bytes(wrong)
        with pytest.raises(AuditRefused) as refused:
            audited(folder)
        assert refused.value.file == name
        (folder / name).write_bytes(good)


def test_an_entry_replaced_together_with_its_tile_is_found(
    larger: Path, copy: Callable[[Path], Path]
) -> None:
    folder = copy(larger)
    changed = [ENTRIES[1], *ENTRIES[1:256]]
    (folder / "tile/entries/000").write_bytes(pack_entries(changed))
    (folder / "tile/0/000").write_bytes(b"".join(leaf_hash(one) for one in changed))
    for path in [*folder.glob("tile/*/000.p/250")]:
        path.unlink()
    with pytest.raises(AuditRefused) as refused:
        audited(folder)
    assert refused.value.file == "tile/entries/000"


def test_a_missing_file_is_named(larger: Path, copy: Callable[[Path], Path]) -> None:
    folder = copy(larger)
    for name in ("tile/entries/000", "tile/0/001.p/6", "tile/1/000.p/1", "checkpoint"):
        data = (folder / name).read_bytes()
        (folder / name).unlink()
        with pytest.raises(AuditRefused) as refused:
            audited(folder)
        assert refused.value.file == name
        (folder / name).write_bytes(data)


@pytest.mark.parametrize(
    "name",
    [
        "notes.txt",
        "tile/0/000.p/9",
        "tile/0/001",
        "tile/2/000.p/1",
        "tile/0/000.p/08",
        "tile/entries/.hidden",
        "tile/policy",
        "checkpoint.old",
    ],
)
def test_a_foreign_file_is_named(small: Path, copy: Callable[[Path], Path], name: str) -> None:
    folder = copy(small)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"x")
    with pytest.raises(AuditRefused) as refused:
        audited(folder)
    assert refused.value.file == name


def test_keys_policy_and_a_page_may_lie_beside_the_tree(
    small: Path, copy: Callable[[Path], Path]
) -> None:
    folder = copy(small)
    for name in ("log.vkey", "witness-1.vkey", "policy", "index.html"):
        (folder / name).write_text("x")
    audited(folder)


def test_a_partial_tile_may_go_once_the_full_one_is_there(
    larger: Path, copy: Callable[[Path], Path]
) -> None:
    folder = copy(larger)
    assert not [name for name in files(folder) if "/000.p/" in name and "tile/1/" not in name]
    audited(folder)
    for level, width in (("0", 7 * 32), ("entries", 7 * (ENTRY_BYTES + 2))):
        whole = (folder / f"tile/{level}/000").read_bytes()
        (folder / f"tile/{level}/000.p").mkdir()
        (folder / f"tile/{level}/000.p/7").write_bytes(whole[:width])
        audited(folder)  # a crash has left it, or a writer that deletes none
        (folder / f"tile/{level}/000.p/7").write_bytes(whole[1 : width + 1])
        with pytest.raises(AuditRefused) as refused:
            audited(folder)
        assert refused.value.file == f"tile/{level}/000.p/7"
        (folder / f"tile/{level}/000.p/7").write_bytes(whole[:width])


def test_the_merkle_part_alone_looks_at_every_tile_and_at_no_entrys_form(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    log = Sequencer(FolderBackend(folder), MemoryLock(), LOG, POLICY, trusting())
    log.append([b"%d" % n for n in range(300)], NOON)
    here = POLICY.check((folder / "checkpoint").read_bytes()).checkpoint
    source = FolderSource(folder)
    assert check_tree(source, here) == len(files(folder))
    with pytest.raises(AuditRefused, match="entry 0"):
        audited(folder)
    for name in files(folder):
        good = (folder / name).read_bytes()
        (folder / name).write_bytes(bytes([*good[:-1], good[-1] ^ 1]))
        if name != "checkpoint":
            with pytest.raises(AuditRefused):
                check_tree(source, here)
        (folder / name).write_bytes(good)
    with pytest.raises(AuditRefused, match="its root is not"):
        check_tree(source, Checkpoint(here.origin, here.size, bytes(32)))


def test_a_proof_may_lie_beside_the_tree_and_nowhere_inside(
    small: Path, copy: Callable[[Path], Path]
) -> None:
    folder = copy(small)
    (folder / "7.tlog-proof").write_text("x")
    audited(folder)
    for name in ("tile/7.tlog-proof", "tile/log.vkey", "witness-/1.vkey"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("x")
        with pytest.raises(AuditRefused) as refused:
            audited(folder)
        assert refused.value.file == name
        (folder / name).unlink()


def test_history_is_compared_with_a_checkpoint_that_was_kept(tmp_path: Path) -> None:
    old, new = grown(tmp_path / "log", 3, 5)
    report = audited(tmp_path / "log", old)
    assert any("first 3 entries" in line for line in report.checked)
    audited(tmp_path / "log", new)
    shown = sign_checkpoint(Checkpoint(LOG.verifier.name, 3, tree_root(ENTRIES[1:4])), LOG)
    with pytest.raises(AuditRefused, match="rewritten"):
        audited(tmp_path / "log", shown)
    longer = sign_checkpoint(Checkpoint(LOG.verifier.name, 9, tree_root(ENTRIES[:9])), LOG)
    with pytest.raises(AuditRefused, match="rolled back"):
        audited(tmp_path / "log", longer)


def test_too_few_witnesses_and_a_stranger_fail(small: Path, copy: Callable[[Path], Path]) -> None:
    folder = copy(small)
    note = parse_note((folder / "checkpoint").read_bytes())
    (folder / "checkpoint").write_bytes(Note(note.text, note.signatures[:2]).to_bytes())
    with pytest.raises(AuditRefused, match="1 of 3"):
        audited(folder)
    stranger = Signer.from_seed(LOG.verifier.name, bytes(32))
    with pytest.raises(AuditRefused, match="no known key"):
        audit(FolderSource(folder), Policy.of(stranger.verifier, [], 0))


def test_a_signed_root_over_other_entries_fails(tmp_path: Path) -> None:
    grown(tmp_path / "log", 3)
    tree = Checkpoint(LOG.verifier.name, 3, tree_root(ENTRIES[1:4]))
    note = parse_note(sign_checkpoint(tree, LOG))
    lines = [cosign(note.text, one, 1) for one in WITNESSES]
    path = tmp_path / "log" / "checkpoint"
    path.write_bytes(Note(note.text, (*note.signatures, *lines)).to_bytes())
    with pytest.raises(AuditRefused, match="its root is not"):
        audited(tmp_path / "log")


def keys() -> list[str]:
    words = ["--vkey", LOG.verifier.vkey, "--quorum", "2"]
    for one in WITNESSES:
        words += ["--witness", one.verifier.vkey]
    return words


def test_the_command_says_what_it_checked_and_what_it_could_not(small: Path) -> None:
    said = CliRunner().invoke(command, ["verify", str(small), *keys()])
    assert said.exit_code == 0, said.output
    assert "holds together" in said.output
    assert "Not checked" in said.output
    machine = CliRunner().invoke(command, ["verify", str(small), *keys(), "--json"])
    assert json.loads(machine.output)["size"] == 8


def test_the_command_fails_and_names_the_file(
    small: Path, copy: Callable[[Path], Path], tmp_path: Path
) -> None:
    folder = copy(small)
    (tmp_path / "log.vkey").write_text(LOG.verifier.vkey + "\n")
    words = ["verify", str(folder), "--vkey", str(tmp_path / "log.vkey")]
    assert CliRunner().invoke(command, words).exit_code == 0
    (folder / "surprise").write_bytes(b"")
    said = CliRunner().invoke(command, words)
    assert said.exit_code == 1
    assert "surprise" in said.output
    machine = CliRunner().invoke(command, [*words, "--json"])
    assert (machine.exit_code, json.loads(machine.output)["file"]) == (1, "surprise")
    assert CliRunner().invoke(command, ["verify", str(folder), "--vkey", "nothing"]).exit_code == 1

"""A log made to be kept is read whole by a second reader, written from the specifications alone."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.exceptions import InvalidSignature

from consortium.cli import auditor, bench
from tests.fakes import tlog_reader as second

SIZES = [pytest.param(600), pytest.param(70_000, marks=pytest.mark.soak)]


def bench_log(folder: Path, entries: int) -> Any:
    words = ["log", "--keep", str(folder), "--entries", str(entries), "--json"]
    return CliRunner().invoke(bench.command, words)


@pytest.fixture(scope="module", params=SIZES)
def made(request: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("kept") / "log"
    ran = bench_log(folder, request.param)
    assert ran.exit_code == 0, ran.output
    said = json.loads(ran.stdout.splitlines()[-1])
    assert said["kept"]["size"] == request.param
    assert [row["unit"] for row in said["rows"]] == ["s"]
    return folder, said["kept"]


def keys(folder: Path) -> tuple[second.Key, list[second.Key]]:
    return second.key((folder / "log.vkey").read_text().strip()), [
        second.key((folder / f"witness-{n}.vkey").read_text().strip()) for n in (1, 2, 3)
    ]


def read(folder: Path) -> list[bytes]:
    size, root = second.opened((folder / "checkpoint").read_bytes(), *keys(folder))
    return second.entries_under(folder, size, root)


def test_the_second_reader_accepts_the_folder(made: tuple[Path, dict[str, Any]]) -> None:
    folder, said = made
    entries = read(folder)
    assert len(entries) == len(set(entries)) == said["size"]
    assert not folder.with_name("log.staging").exists()
    for index in {0, 255, 256, 65_535, said["size"] - 1}:
        if index < said["size"]:
            proof = (folder / said["proofs"][str(index)]).read_text()
            assert second.proved(proof, entries[index], *keys(folder)) == index
    assert set(said["proofs"].values()) == {one.name for one in folder.glob("*.tlog-proof")}


def test_our_audit_accepts_it_with_all_three_witnesses(made: tuple[Path, dict[str, Any]]) -> None:
    folder, said = made
    words = ["verify", str(folder), "--vkey", str(folder / "log.vkey"), "--json"]
    for n in (1, 2, 3):
        words += ["--witness", str(folder / f"witness-{n}.vkey")]
    ran = CliRunner().invoke(auditor.command, words)
    assert ran.exit_code == 0, ran.output
    report = json.loads(ran.stdout)
    assert (report["size"], report["root"]) == (said["size"], said["root"])
    assert len(report["witnesses"]) == 3


@pytest.fixture
def small(tmp_path: Path, made: tuple[Path, dict[str, Any]]) -> Path:
    if made[1]["size"] > 600:
        pytest.skip("the small one is enough")
    return Path(shutil.copytree(made[0], tmp_path / "log"))


@pytest.mark.parametrize(
    "name", ["tile/0/000", "tile/entries/001", "tile/1/000.p/2", "tile/0/002.p/88", "checkpoint"]
)
def test_the_second_reader_refuses_one_altered_bit(small: Path, name: str) -> None:
    raw = bytearray((small / name).read_bytes())
    raw[len(raw) // 3] ^= 1
    (small / name).write_bytes(raw)
    with pytest.raises((AssertionError, InvalidSignature, ValueError, KeyError)):
        read(small)


def test_the_second_reader_refuses_a_proof_for_another_entry(small: Path) -> None:
    proof = (small / "255.tlog-proof").read_text()
    entries = read(small)
    assert second.proved(proof, entries[255], *keys(small)) == 255
    with pytest.raises(AssertionError):
        second.proved(proof, entries[256], *keys(small))
    with pytest.raises(AssertionError):
        second.proved(proof.replace("index 255", "index 254"), entries[255], *keys(small))


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    ran = bench_log(tmp_path, 300)
    assert ran.exit_code == 1
    assert "is not empty" in ran.output
    assert [one.name for one in tmp_path.iterdir()] == ["mine"]


def test_only_the_logs_bench_keeps(tmp_path: Path) -> None:
    ran = CliRunner().invoke(bench.command, ["match", "--keep", str(tmp_path / "log")])
    assert ran.exit_code == 2
    assert "--keep is for" in ran.output


def test_our_tool_checks_a_bare_proof_of_given_bytes(
    made: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder, said = made
    proof, entry = folder / said["proofs"]["255"], tmp_path / "entry"
    words = ["receipt", str(proof), "--vkey", str(folder / "log.vkey"), "--entry", str(entry)]
    for n in (1, 2, 3):
        words += ["--witness", str(folder / f"witness-{n}.vkey")]
    entries = read(folder)
    entry.write_bytes(entries[255])
    done = CliRunner().invoke(auditor.command, words)
    assert done.exit_code == 0, done.output
    assert "these bytes are entry 255" in done.output
    entry.write_bytes(entries[254])
    assert CliRunner().invoke(auditor.command, words).exit_code == 1
    without = CliRunner().invoke(auditor.command, words[:2])
    assert without.exit_code == 1
    assert "give the entry's bytes" in without.output

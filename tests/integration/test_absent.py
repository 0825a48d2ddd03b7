"""Somebody is away: a custodian, a witness, the mail server, the server, or room on its disk.

One real installation, every actor a process. Each test takes somebody away, says what a person is
told, brings them back, and shows that it went on: nothing lost, nothing twice.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from consortium.cli import outcome
from consortium.cli.home import Home
from consortium.cli.lists import OwnList, own_lists
from tests.installation import Installation, trellis, until, write_list

BATCH = 4096


def unfinished(home: Path) -> list[OwnList]:
    """Lists of a partner that have no receipt."""
    return [own for own in own_lists(Home(home)) if not own.has("receipt.json")]


def status(installation: Installation) -> dict[str, object]:
    """What the operator's own look says."""
    return trellis("operator", "status", "--home", installation.demo.server, "--json").json()


# Uploading


def test_with_one_custodian_away_a_list_goes_in(installation: Installation, tmp_path: Path) -> None:
    with installation.away("custodian 2"):
        said = installation.upload(0, write_list(tmp_path / "one.csv", 120, start=1000)).json()
    assert (said["rows"], said["refused"]) == (120, 0)


def test_with_two_custodians_away_it_says_who_and_goes_on_later_without_asking_twice(
    installation: Installation, tmp_path: Path
) -> None:
    file = write_list(tmp_path / "two.csv", 120, start=2000)
    known = {one.id for one in unfinished(installation.partner(0))}
    before = [installation.charged(n) for n in (1, 2, 3)]
    with installation.away("custodian 1", "custodian 2"):
        said = installation.upload(0, file)
        assert said.code == 3
        assert "2 custodians are needed; these do not answer: custodian-1, custodian-2" in said.err
        assert "Nothing is lost: run the same command again later." in said.err
        assert "Traceback" not in said.words
        (begun,) = [one for one in unfinished(installation.partner(0)) if one.id not in known]
        once = installation.charged(3) - before[2]
        again = installation.upload(0, file)
        assert again.code == 3
        assert installation.charged(3) - before[2] == once, "the same request is charged once"
    assert installation.upload(0, file).json()["id"] == begun.id
    spent = [installation.charged(n) - was for n, was in zip((1, 2, 3), before, strict=True)]
    assert sum(spent) == 2 * BATCH, "two custodians evaluated one batch, each once"
    assert max(spent) == BATCH


def test_without_the_server_the_list_waits_on_the_partners_computer(
    installation: Installation, tmp_path: Path
) -> None:
    file = write_list(tmp_path / "three.csv", 120, start=3000)
    with installation.away("server"):
        said = installation.upload(1, file)
        assert said.code == 3
        assert "does not answer" in said.err
        assert "run the same command again later" in said.err
    assert installation.upload(1, file).json()["rows"] == 120


def test_with_one_witness_away_the_log_goes_on(installation: Installation, tmp_path: Path) -> None:
    with installation.away("witness 3"):
        said = installation.upload(1, write_list(tmp_path / "four.csv", 120, start=4000)).json()
        found = trellis("audit", "receipt", said["receipt"])
    assert found.code == 0, found.words


def test_with_two_witnesses_away_there_is_no_receipt_and_it_says_who_is_missing(
    installation: Installation, tmp_path: Path
) -> None:
    file = write_list(tmp_path / "five.csv", 120, start=5000)
    known = {one.id for one in unfinished(installation.partner(2))}
    with installation.away("witness 1", "witness 3"):
        said = installation.upload(2, file, "--wait", "4")
        assert said.code == 3
        assert "These witnesses do not answer from here: witness-1, witness-3." in said.err
        assert "run the same command again later" in said.err
        (begun,) = [one for one in unfinished(installation.partner(2)) if one.id not in known]
        found = status(installation)
        assert found["witnesses"] == {"witness-1": False, "witness-2": True, "witness-3": False}
        shown = trellis("operator", "status", "--home", installation.demo.server).out
        assert "missing: witness-1, witness-3; until then nothing is published or sent" in shown
        size = found["log_size"]
        assert status(installation)["log_size"] == size
    assert installation.upload(2, file).json()["id"] == begun.id
    assert int(str(status(installation)["log_size"])) > int(str(size))


@contextmanager
def full_disk(folder: Path, pid: int) -> Iterator[str]:
    """Leave the server 16 KiB for artefacts: a full tmpfs, or where nobody may mount, a limit.

    Yields what the server's own system says when it writes more.
    """
    keep = folder.with_name("artefacts.kept")
    shutil.copytree(folder, keep)
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m,mode=0700", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        # No file of this process may grow beyond its database: a list's rows are longer.
        limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        largest = max(path.stat().st_size for path in folder.parent.glob("trellis.sqlite*"))
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (largest + (64 << 10), limits[1]))
        try:
            yield os.strerror(27)
        finally:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
            shutil.rmtree(keep)
        return
    try:
        shutil.copytree(keep, folder, dirs_exist_ok=True)
        with (folder / "filler").open("wb", buffering=0) as filler, suppress(OSError):
            while True:
                filler.write(bytes(4096))
        os.truncate(folder / "filler", (folder / "filler").stat().st_size - (16 << 10))
        yield os.strerror(28)
    finally:
        # A request that was refused may still hold its file for a moment.
        until(lambda: not subprocess.run(["umount", str(folder)]).returncode, "the disk to be free")
        shutil.rmtree(keep)


def test_a_full_disk_keeps_nothing_half_written_and_the_list_goes_in_later(
    installation: Installation, tmp_path: Path
) -> None:
    file = write_list(tmp_path / "six.csv", 1500, start=6000)
    artefacts = installation.demo.server / "artefacts"
    server = installation.cast.running["server"].pid

    def names() -> set[str]:
        kept = (path for path in artefacts.rglob("*") if path.is_file())
        return {path.name for path in kept if path.name != "filler"}

    known = {one.id for one in unfinished(installation.partner(1))}
    with installation.away("worker"):
        before = names()
        with full_disk(artefacts, server) as reason:
            said = installation.upload(1, file)
            assert said.code == 3
            assert "The file could not be kept; nothing was (507)" in said.err
            assert reason in said.err
            assert "run the same command again" in said.err
            assert "Traceback" not in said.words
            assert names() == before, "nothing half-written"
        (begun,) = [one for one in unfinished(installation.partner(1)) if one.id not in known]
        lists = trellis("partner", "lists", "--home", installation.partner(1), "--json").json()
        assert {"id": begun.id, "here": "unfinished", "server": "-"} in lists["lists"]
    assert installation.upload(1, file).json()["id"] == begun.id


# Sending


def test_a_letter_waits_for_whoever_is_missing_and_then_goes_out_once(
    installation: Installation,
) -> None:
    demo = installation.demo
    installation.everybody_uploads()
    until(lambda: matched(installation), "the lists to be matched")
    demo.write()
    demo.approve()
    campaign = demo.facts["campaign"]
    demo._watch("frozen")

    with installation.away("witness 1", "witness 2"):
        for partner in demo.world.partners:
            said = trellis(
                "partner", "attest", "--home", demo.home("partners", partner.slug), campaign,
                "--moved", "100000", "--wait", "1",
            )  # fmt: skip
            assert said.code == 3
            assert "witness-1, witness-2" in said.err
        assert waits(installation) == "the public log"
        assert letters(installation) == Counter()

    with installation.away("custodian 1", "custodian 2", "sink"):
        until(
            lambda: "these do not answer: custodian-1, custodian-2" in waits(installation),
            "the campaign to say which custodians are missing",
        )
        assert letters(installation) == Counter()
        installation.back("custodian 1")
        until(lambda: "the mail server, which does not answer" in waits(installation), "SMTP")
        # Longer than as many tries as a letter has: an outage must not use them up.
        for _ in range(3):
            tried = trellis("coordinator", "watch", "--home", demo.home("coordinator"), campaign,
                            "--until", "closed", "--timeout", "3", "--json")  # fmt: skip
            assert tried.code == 3, tried.words
        installation.back("sink")
        demo._watch("closed")

    sent = letters(installation)
    assert sum(sent.values()) >= 195
    assert set(sent.values()) == {1}, "nobody got two"
    demo.facts |= {"stopped": 0, "log_size": 0, "verified": False}
    figures = outcome.summary(
        demo.world, demo.maildir, facts=demo.facts, approved_by=3, seconds=0.0
    )
    assert figures["match_precision"] >= 0.97  # at most ten of 350 linked wrongly
    assert figures["match_recall"] > 0.85
    demo.audit()


def matched(installation: Installation) -> bool:
    """Whether every list with a receipt has met the roll."""
    for number in range(3):
        said = trellis("partner", "lists", "--home", installation.partner(number), "--json").json()
        finished = [one for one in said["lists"] if one["here"] == "receipt"]
        if not all(one["server"] == "matched" for one in finished):
            return False
    return True


def waits(installation: Installation) -> str:
    """What the coordinator is told that its campaign waits for."""
    demo = installation.demo
    said = trellis("coordinator", "campaigns", "--home", demo.home("coordinator"), "--json").json()
    (one,) = (one for one in said["campaigns"] if one["id"] == demo.facts["campaign"])
    return str(one["waiting_for"])


def letters(installation: Installation) -> Counter[str]:
    """How many letters each mailbox has."""
    folder = installation.demo.maildir
    return Counter(one.to for one in outcome.letters(folder)) if folder.exists() else Counter()

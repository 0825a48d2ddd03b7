"""One epoch after another in a real installation: every actor a process, every step a command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.installation import Installation, Said, trellis, until

NEXT = "the-season-after"


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """An installation of its own: what happens to it could not be undone."""
    made = Installation(tmp_path)
    yield made
    made.cast.end()


def epoch(installation: Installation, *args: str) -> Said:
    return trellis("operator", "epoch", *args, "--home", installation.demo.server)


def join_all(installation: Installation) -> None:
    """Everybody takes the operator's newest invite."""
    demo = installation.demo
    invite = demo.server / "invite.json"
    for n in demo.numbers:
        home = demo.home("custodians", n)
        assert trellis("custodian", "join", "--home", home, "--invite", invite).code == 0
    for role, home in demo.tools():
        said = trellis(role, "join", "--home", home, "--invite", invite)
        assert said.code == 0, said.words


@pytest.mark.soak
def test_a_race_moves_into_the_next_epoch_and_the_old_one_is_deleted(
    installation: Installation,
) -> None:
    demo = installation.demo
    installation.everybody_uploads()
    first = demo.world.partners[0].slug
    present = json.loads((demo.server / "invite.json").read_text())["epoch"]

    assert epoch(installation, "end", present, "--yes").code == 1
    for _ in range(2):  # repeated, it says so and changes nothing
        assert epoch(installation, "open", NEXT).code == 0
    early = epoch(installation, "move", NEXT)
    assert early.code == 1
    assert "match key is not in the log" in early.words
    assert f"{first} has not uploaded" in early.words
    join_all(installation)
    for purpose in ("match", "seal"):
        homes = [demo.home("custodians", n) for n in demo.numbers]
        demo.cast.both(
            [
                (("custodian", "ceremony", "--home", home, "--purpose", purpose, "--epoch", NEXT,
                  "--patience", "240"), home / "ceremony.log")
                for home in homes
            ]
        )  # fmt: skip
    installation.cast.end("mailer")  # it would log its key by itself, a few minutes later
    installation.back("mailer")
    demo.enrol()
    uploaded = []
    for number, partner in enumerate(demo.world.partners):
        done = installation.upload(number, demo.world.members(partner.slug)).json()
        assert [one["epoch"] for one in done["epochs"]] == [present, NEXT]
        uploaded.append(done["epochs"][0]["id"])
    until(lambda: epoch(installation, "move", NEXT).code == 0, "everything to be in the next epoch")
    shown = epoch(installation, "show")
    assert f"races that stand in it: {demo.world.race.id}" in shown.out.partition(NEXT)[2]

    assert epoch(installation, "end", present, "--yes").code == 0
    assert not (demo.server / "epochs" / present).exists()
    join_all(installation)
    for number, id in enumerate(uploaded):
        home = installation.partner(number)
        lists = trellis("partner", "lists", "--home", home, "--json").json()["lists"]
        assert {one["id"]: one["server"] for one in lists}[id] == "ended"
        assert "matched" in {one["server"] for one in lists}
        receipt = home / "again.json"
        assert trellis("partner", "receipt", "--home", home, id, "--out", receipt).code == 0
        assert trellis("audit", "receipt", receipt).code == 0
    for n in demo.numbers:
        home = demo.home("custodians", n)
        said = trellis("custodian", "destroy", "--home", home, "--epoch", present)
        assert said.code == 0, said.words
    # The race goes on from the new lists alone.
    demo.write()

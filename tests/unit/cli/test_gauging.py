"""The partner's question about its own list: asked once, answered in ranges, 3 while it waits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from consortium.cli import gauging
from tests.unit.cli.conftest import Desk


def test_the_question_is_asked_once_and_its_answer_is_ranges(union: Desk, members: Path) -> None:
    made = union.json("upload", members, "--yes")
    said = union.json("quality", made["id"], "--yes")
    assert union.world.gauged == {made["id"]: 1}
    assert (said["rows"], said["found"]["low"], said["answers_left"]) == (150, 60, 13)
    shown = union.run("quality", made["id"][:8])
    assert "Of 150 rows, a voter is found for about 1,200 (40% to 80%)." in shown.output
    assert "Certain beyond the usual: fewer than 250 (0% to 100%)." in shown.output
    assert "first root, last" in shown.output
    assert union.world.gauged == {made["id"]: 1}


def test_without_a_yes_nothing_is_spent_and_what_waits_can_be_asked_for_again(
    union: Desk, members: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = union.json("upload", members, "--yes")
    assert union.run("quality", made["id"]).exit_code != 0
    assert union.world.gauged == {}
    kept = gauging._told

    def never(api: Any, path: str, _wait: float) -> Any:
        union.world.gauged.clear()
        return kept(api, path, 1.0)

    monkeypatch.setattr(gauging, "_told", never)
    waits = union.run("quality", made["id"], "--yes")
    assert (waits.exit_code, "asked and paid for" in waits.output) == (3, True)

"""Style, types and import contracts hold, by the tools themselves, so that `make test` shows it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    "words",
    [
        ["lint-imports", "--no-cache"],
        ["mypy"],
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
    ],
    ids=" ".join,
)
def test_this_tool_has_nothing_to_say(words: list[str]) -> None:
    ran = subprocess.run(
        [str(BIN / words[0]), *words[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    said = "\n".join((ran.stdout + ran.stderr).splitlines()[-30:])
    assert ran.returncode == 0, f"{' '.join(words)} says:\n{said}"

"""`make setup` says in one line what is wrong, and asks nobody anything."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def setup(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ROOT / "tools" / "setup"), *words],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )


def test_without_a_python_it_says_what_to_install() -> None:
    ran = setup("product", PYTHON="python-nowhere")
    assert ran.returncode == 1
    assert ran.stderr.count("\n") == 1
    assert "install Python 3.11" in ran.stderr


def test_it_knows_two_kinds() -> None:
    ran = setup("everything")
    assert ran.returncode == 2
    assert "product or dev" in ran.stderr

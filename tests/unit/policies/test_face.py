"""The face is light, and the paper names every key and action."""

import subprocess
import sys
from pathlib import Path

from policies.agreement import Agreement
from policies.facts import ACTIONS

PAPER = (Path(__file__).parents[3] / "docs" / "agreement.md").read_text()


def test_the_face_loads_no_cedar_and_no_opendp() -> None:
    told = "import sys, policies, policies.budget, policies.definition, policies.caps;"
    told += "print(sorted({'cedarpy', 'opendp', 'numpy'} & set(sys.modules)))"
    root = str(Path(__file__).parents[3])
    said = subprocess.run(
        [sys.executable, "-c", told], capture_output=True, text=True, check=True, cwd=root
    )
    assert said.stdout.strip() == "[]"


def test_every_key_of_the_agreement_and_every_action_is_on_paper() -> None:
    for word in (*Agreement.__dataclass_fields__, *ACTIONS):
        assert f"`{word}`" in PAPER, word

"""Rendered letters are what they were; `GOLDEN=1 pytest tests/golden/test_letters.py` rebuilds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mailer.letter import prepare
from tests.fakes.letters import AT, COMMON, SENDER, SUBJECTS, compiled, recipient

FOLDER = Path(__file__).parent / "letters"


@pytest.mark.parametrize("name", sorted(SUBJECTS))
def test_a_starter_is_rendered_as_it_was(name: str) -> None:
    letter = prepare(compiled(name), sender=SENDER, common=COMMON, campaign="spring", at=AT).write(
        recipient(
            1, first_name="Zoë", polling_place="Lincoln School & Annex", place_name="Bessemer"
        )
    )
    path = FOLDER / f"{name}.eml"
    if os.environ.get("GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(letter)
    assert path.read_bytes() == letter

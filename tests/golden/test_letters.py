"""Rendered letters are what they were; `make golden` rebuilds them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mailer.letter import prepare
from tests.fakes.letters import AT, COMMON, SENDER, SOME, compiled, recipient


@pytest.mark.parametrize("name", SOME)
def test_a_starter_is_rendered_as_it_was(name: str, golden: Callable[[str, bytes], None]) -> None:
    letter = prepare(compiled(name), sender=SENDER, common=COMMON, campaign="spring", at=AT).write(
        recipient(
            1, first_name="Zoë", polling_place="Lincoln School & Annex", place_name="Bessemer"
        )
    )
    golden(f"letters/{name}.eml", bytes(letter))

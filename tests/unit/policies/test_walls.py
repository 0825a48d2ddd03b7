"""One side per race, and a charity's rows stay nonpartisan."""

from collections.abc import Callable

import pytest

from policies.agreement import Agreement
from policies.errors import WallCrossed
from policies.walls import may_carry, stand


def test_one_side_per_race() -> None:
    stand("candidate", [])
    stand("candidate", ["candidate"])
    with pytest.raises(WallCrossed) as crossed:
        stand("independent", ["candidate"])
    assert crossed.value.side == "candidate"
    with pytest.raises(WallCrossed):
        stand("sideways", [])


def test_a_message_outside_the_agreement_is_carried_by_nobody(
    make: Callable[..., Agreement],
) -> None:
    agreement = make()
    may_carry(agreement, "union", "gotv")
    with pytest.raises(WallCrossed):
        may_carry(agreement, "union", "persuasion")

"""A partner's rows are written about only what the agreement names."""

from collections.abc import Callable

import pytest

from policies.agreement import Agreement
from policies.errors import WallCrossed
from policies.walls import may_carry


def test_a_message_outside_the_agreement_is_carried_by_nobody(
    make: Callable[..., Agreement],
) -> None:
    agreement = make()
    may_carry(agreement, "union", "gotv")
    with pytest.raises(WallCrossed):
        may_carry(agreement, "union", "persuasion")

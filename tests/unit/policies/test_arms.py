"""Who gets which words is one person's own draw: in whole parts, and stable."""

from __future__ import annotations

from collections import Counter

import pytest

from policies import arms, holdout

KEY = b"k" * 32


def arm(
    id: int, *shares: int, campaign: str = "c", key: bytes = KEY, who: arms.Who = "person"
) -> int:
    return arms.drawn(id, who, campaign=campaign, key=key, shares=shares or (1, 1))


@pytest.mark.parametrize("shares", [(1, 1), (2, 1), (5, 3, 2), (1, 1, 1, 97)])
def test_arms_have_their_shares(shares: tuple[int, ...]) -> None:
    found = Counter(arm(n, *shares) for n in range(20_000))
    for number, share in enumerate(shares):
        assert found[number] / 20_000 == pytest.approx(share / sum(shares), abs=0.012)


def test_a_draw_comes_out_the_same_and_hangs_on_key_campaign_and_kind() -> None:
    first = [arm(n) for n in range(400)]
    assert first == [arm(n) for n in reversed(range(400))][::-1]
    others = {"campaign": "d"}, {"key": b"l" * 32}, {"who": "household"}
    for other in others:
        moved = sum(a != arm(n, **other) for n, a in enumerate(first))  # type: ignore[arg-type]
        assert 140 < moved < 260  # as two coins differ


def test_the_draw_of_the_holdout_tells_nothing_of_the_arm() -> None:
    out = {"race": "c", "key": KEY, "share": 0.5, "noisy_mailable": holdout.MIN_MAILABLE}
    both = Counter((holdout.held_out(n, **out), arm(n)) for n in range(8_000))  # type: ignore[arg-type]
    assert all(count / 8_000 == pytest.approx(0.25, abs=0.02) for count in both.values())


def test_one_arm_is_everybodys() -> None:
    assert {arm(n, 7) for n in range(100)} == {0}


@pytest.mark.parametrize("shares", [(0, 1), (1, 101), (1, 1, 1, 1, 1), (-1, 2)])
def test_shares_that_are_none_are_refused(shares: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="shares"):
        arm(1, *shares)


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="key"):
        arm(1, key=b"short")

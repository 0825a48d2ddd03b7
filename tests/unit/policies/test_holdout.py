"""The held out are few, always the same, and whole households."""

import pytest

from policies.holdout import MIN_MAILABLE, held_out

KEY = b"k" * 32


def out(household: int, *, race: str = "r", share: float = 0.1, size: int = MIN_MAILABLE) -> bool:
    return held_out(household, race=race, key=KEY, share=share, noisy_mailable=size)


def test_the_share_is_the_agreements_and_stays_the_same() -> None:
    first = [out(n) for n in range(20_000)]
    assert sum(first) / 20_000 == pytest.approx(0.1, abs=0.01)
    assert first == [out(n) for n in range(20_000)]
    assert [out(n, race="other") for n in range(20_000)] != first


def test_a_larger_share_keeps_those_who_were_out() -> None:
    assert all(out(n, share=0.2) for n in range(2000) if out(n, share=0.1))


def test_small_races_and_no_share_hold_out_nobody() -> None:
    assert not any(out(n, size=MIN_MAILABLE - 1, share=0.5) for n in range(500))
    assert not any(out(n, share=0.0) for n in range(500))


def test_a_short_key_or_strange_share_is_refused() -> None:
    with pytest.raises(ValueError, match="key"):
        held_out(1, race="r", key=b"k", share=0.1, noisy_mailable=MIN_MAILABLE)
    with pytest.raises(ValueError, match="share"):
        out(1, share=0.7)

"""The binding refuses what libsodium would let pass."""

import os

import pytest

from matching import group
from matching.crypto_errors import PointRefused, ScalarRefused
from matching.oprf import GENERATOR


def draw() -> bytes:
    return group.reduce(os.urandom(64))


def test_one_times_the_base_is_the_generator() -> None:
    assert group.base(group.ONE) == GENERATOR
    assert group.mult(group.small(3), GENERATOR) == group.add(
        GENERATOR, group.add(GENERATOR, GENERATOR)
    )


@pytest.mark.parametrize(
    "raw",
    [
        bytes(32),  # the identity, which libsodium calls valid
        b"\xff" * 32,
        bytes.fromhex("01" + "00" * 31),  # negative
        (2**255 - 19).to_bytes(32, "little"),  # not canonical
        bytes(31),
    ],
)
def test_what_is_no_point_is_refused_everywhere(raw: bytes) -> None:
    with pytest.raises(PointRefused):
        group.check_point(raw)
    with pytest.raises((PointRefused, ScalarRefused)):
        group.mult(draw(), raw)
    with pytest.raises((PointRefused, ScalarRefused)):
        group.weighted_sum(draw(), raw)


def test_scalars_must_be_canonical_and_not_zero() -> None:
    group.check_scalar(group.small(-1))
    for wrong in (group.ZERO, group.ORDER.to_bytes(32, "little"), b"\xff" * 32, b"\x01"):
        with pytest.raises(ScalarRefused):
            group.check_scalar(wrong)


def test_a_batch_of_inverses_shares_one_inversion_and_takes_a_factor() -> None:
    scalars, factor = group.reduce_each(os.urandom(64 * 9)), draw()
    inverses = group.invert_each(scalars, factor)
    for n in range(0, len(scalars), 32):
        assert group.scalar_mul(inverses[n : n + 32], scalars[n : n + 32]) == factor
        assert group.invert(scalars[n : n + 32]) == group.scalar_mul(
            inverses[n : n + 32], group.invert(factor)
        )
    with pytest.raises(ScalarRefused):
        group.invert_each(scalars + group.ZERO)
    assert group.invert_each(b"") == b""


def test_batches_agree_with_single_calls() -> None:
    scalars = group.reduce_each(os.urandom(64 * 4))
    points = b"".join(group.from_hash(os.urandom(64)) for _ in range(4))
    each = [(scalars[n : n + 32], points[n : n + 32]) for n in range(0, 128, 32)]
    assert group.mult_pairs(scalars, points) == b"".join(group.mult(s, p) for s, p in each)
    assert group.mult_each(scalars[:32], points) == b"".join(
        group.mult(scalars[:32], p) for _, p in each
    )
    total = group.IDENTITY
    for s, p in each:
        total = group.add(total, group.mult(s, p))
    assert group.weighted_sum(scalars, points) == total
    assert group.sub(total, total) == group.IDENTITY
    with pytest.raises(PointRefused):
        group.mult_pairs(scalars, points[:-32])

"""An operator who multiplies a victim's lock and passes it off as a row of its own opens nothing.

Threat: docs/threat-model.md#T4. Without the proof it works: a*lock released as a dummy, divided by
a, is the victim's share. The last test shows that, so that the others prove something.
"""

from dataclasses import replace

import pytest

from matching import group
from matching.crypto_errors import CryptoRefused, LockRefused
from matching.locks import RosterEntry, check_entry, make_entry, retire_tag, shared_point

EPOCH = "2026-season"
R = group.reduce(b"\x11" * 64)
A = group.reduce(b"\x22" * 64)
X = group.reduce(b"\x33" * 64)
VICTIM = make_entry(EPOCH, b"\x01" * 32, R)
MULTIPLIED = group.mult(A, VICTIM.lock)


def test_the_victims_own_entry_is_accepted() -> None:
    check_entry(EPOCH, VICTIM)


@pytest.mark.parametrize(
    "forged",
    [
        replace(VICTIM, lock=MULTIPLIED),
        replace(VICTIM, tag=retire_tag(b"\x02" * 32)),
        replace(VICTIM, lock=MULTIPLIED, proof=make_entry(EPOCH, b"\x01" * 32, A).proof),
        replace(VICTIM, lock=MULTIPLIED, proof=VICTIM.proof[:32] + A),
        replace(VICTIM, lock=bytes(32)),
    ],
    ids=["multiplied", "another tag", "the multiplier's proof", "another answer", "identity"],
)
def test_a_lock_whose_maker_does_not_know_it_is_refused(forged: RosterEntry) -> None:
    with pytest.raises(CryptoRefused):
        check_entry(EPOCH, forged)


def test_an_entry_of_another_epoch_is_refused() -> None:
    with pytest.raises(LockRefused):
        check_entry("2027-season", VICTIM)


def test_without_the_proof_the_attack_would_work() -> None:
    released = group.mult(X, MULTIPLIED)  # what custodians would answer for the "dummy"
    assert group.mult(group.invert(A), released) == shared_point(R, group.base(X))

"""Laws of resharing: the secret stays, versions never mix, fewer than t say nothing."""

import hashlib
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from matching import group
from matching.statement import Statement
from matching.threshold import lagrange
from tests.fakes.dealer import split
from tests.fakes.dealing import combined, deal_again, keys_of

ALL = tuple(f"c{n}" for n in range(1, 7))
KEYS = keys_of(ALL)


@st.composite
def changes(draw: st.DrawFn) -> tuple[int, tuple[str, ...], int, tuple[str, ...], tuple[str, ...]]:
    """A change that the rules allow: old threshold and holders, new ones, and who deals."""
    ids = tuple(sorted(draw(st.sets(st.sampled_from(ALL), min_size=2, max_size=5))))
    threshold = draw(st.integers(2, len(ids)))
    then = draw(st.integers(2, 4))
    others = [one for one in ALL if one not in ids]
    fresh = draw(st.sets(st.sampled_from(others), max_size=then - 1)) if others else set()
    stay = draw(st.sets(st.sampled_from(ids), min_size=1))
    for one in ids:  # at least as many holders as the threshold
        if len(stay) + len(fresh) >= then:
            break
        stay.add(one)
    to = tuple(sorted(stay | fresh))
    then = min(then, len(to)) if len(fresh) < min(then, len(to)) else then
    dealers = tuple(draw(st.permutations(ids))[:threshold])
    return threshold, ids, min(then, len(to)), to, dealers


secrets = st.binary(min_size=1, max_size=16).map(
    lambda raw: group.reduce(hashlib.sha512(raw).digest())
)


def quorums(draw: st.DataObject, ids: Sequence[str], size: int) -> list[str]:
    return list(draw.draw(st.permutations(ids))[:size])


@given(secrets, changes(), st.data())
def test_the_secret_stays_for_any_quorum_and_for_nobody_less(
    secret: bytes,
    change: tuple[int, tuple[str, ...], int, tuple[str, ...], tuple[str, ...]],
    data: st.DataObject,
) -> None:
    threshold, ids, then, to, dealers = change
    if len(set(to) - set(ids)) >= then:
        return
    old, before = split(secret, threshold=threshold, ids=ids)
    dealt = deal_again(old, before, KEYS, ids=to, threshold=then, dealers=dealers)
    new, after = dealt.statement, dealt.shares()
    quorum = quorums(data, to, then)
    assert new.public == old.public == group.base(secret)
    assert combined(after, new, quorum) == secret
    assert combined(after, new, quorum[1:]) != secret
    stayed = [one for one in quorum if one in before]
    for one in stayed:  # one old share among new ones spoils the whole
        assert combined({**after, one: before[one]}, new, quorum) != secret


@given(secrets, secrets)
def test_fewer_shares_than_the_threshold_fit_every_secret_alike(
    secret: bytes, other: bytes
) -> None:
    old, before = split(secret, threshold=2, ids=ALL[:3])
    dealt = deal_again(old, before, KEYS, ids=ALL[:3], threshold=3, dealers=ALL[:2])
    new, after = dealt.statement, dealt.shares()
    known = {one: after[one] for one in ALL[:2]}
    # The one share that would make these two and ``other`` a sharing exists: so they tell nothing.
    missing = third_share(other, known, new)
    assert combined({**known, ALL[2]: missing}, new, ALL[:3]) == other


def third_share(secret: bytes, known: dict[str, bytes], statement: Statement) -> bytes:
    """Solve for the last share of three."""
    quorum = [1, 2, 3]
    rest = secret
    for one, share in known.items():
        part = group.scalar_mul(lagrange(statement.index(one), quorum), share)
        rest = group.scalar_add(rest, group.scalar_mul(group.small(group.ORDER - 1), part))
    inverse = pow(int.from_bytes(lagrange(3, quorum), "little"), -1, group.ORDER)
    return group.scalar_mul(group.small(inverse), rest)

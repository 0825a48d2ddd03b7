"""A key's shares are dealt again: the key stays, old shares are worthless, who cheats is named."""

import itertools
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from matching import ceremony as rounds
from matching import group, resharing
from matching.crypto_errors import CeremonyAborted, StatementRefused
from matching.lineage import Signed, check_line, check_next, lines
from matching.statement import Statement
from matching.threshold import lagrange
from tests.fakes.dealer import split
from tests.fakes.dealing import combined, deal_again, keys_of, publics_of, sign_all

IDS = ("ann", "bea", "cyd")
KEYS = keys_of((*IDS, "dan", "eve", "fay", "gus", "hal", "ida"))
PUBLICS = publics_of(KEYS)


def key(
    threshold: int = 2, ids: tuple[str, ...] = IDS
) -> tuple[bytes, Statement, dict[str, bytes]]:
    secret = group.reduce(os.urandom(64))
    return (secret, *split(secret, threshold=threshold, ids=ids))


CHANGES: list[Any] = [
    pytest.param(2, IDS, 2, IDS, id="refreshed"),
    pytest.param(2, IDS, 2, ("ann", "cyd", "dan"), id="bea is replaced"),
    pytest.param(2, IDS, 3, ("ann", "bea", "cyd", "dan", "eve"), id="2 of 3 to 3 of 5"),
    pytest.param(3, ("ann", "bea", "cyd", "dan", "eve"), 2, IDS, id="3 of 5 to 2 of 3"),
    pytest.param(1, ("ann",), 1, ("ann",), id="1 of 1"),
    pytest.param(1, ("ann",), 2, ("ann", "bea"), id="1 of 1 to 2 of 2"),
    pytest.param(
        3,
        ("ann", "bea", "cyd", "dan", "eve"),
        5,
        ("ann", "bea", "cyd", "dan", "eve", "fay", "gus", "hal", "ida"),
        id="3 of 5 to 5 of 9",
    ),
]


@pytest.mark.parametrize(("threshold", "ids", "then", "to"), CHANGES)
def test_every_new_quorum_has_the_old_key_and_no_smaller_one_does(
    threshold: int, ids: tuple[str, ...], then: int, to: tuple[str, ...]
) -> None:
    secret, old, shares = key(threshold, ids)
    dealt = deal_again(old, shares, KEYS, ids=to, threshold=then, dealers=ids[-threshold:])
    new, after = dealt.statement, dealt.shares()
    assert (new.public, new.sid, new.version) == (old.public, old.sid, old.version + 1)
    assert then == 1 or set(new.shares).isdisjoint(old.shares)
    quorums = list(itertools.combinations(to, then))
    for quorum in quorums[:: max(1, len(quorums) // 5)]:
        assert combined(after, new, quorum) == secret
        if then > 1:
            assert combined(after, new, quorum[1:]) != secret
    check_next(old, sign_all(new, KEYS), PUBLICS)


def test_shares_of_two_versions_do_not_combine() -> None:
    secret, old, shares = key()
    dealt = deal_again(old, shares, KEYS, ids=IDS, threshold=2)
    after = dealt.shares()
    for one, other in itertools.permutations(IDS, 2):
        mixed = {one: shares[one], other: after[other]}
        assert combined(mixed, old, (one, other)) != secret
    assert combined(shares, old, ("ann", "bea")) == secret  # whoever kept a quorum of old ones


def test_a_dealer_that_deals_something_else_than_its_share_is_named() -> None:
    _, old, shares = key()
    dealt = deal_again(
        old, shares, KEYS, ids=IDS, threshold=2, bent={"bea": group.reduce(os.urandom(64))}
    )
    shown = dealt.reveals["bea"]
    rounds.check_reveal(dealt.session, shown.digest, shown)  # as a ceremony's it would hold
    with pytest.raises(CeremonyAborted, match="else than the share it holds") as named:
        dealt.receive("cyd")
    assert named.value.culprit == "bea"
    with pytest.raises(StatementRefused, match="public key"):
        _ = dealt.statement


def test_a_polynomial_of_another_degree_is_refused() -> None:
    _, old, shares = key()
    dealt = deal_again(old, shares, KEYS, ids=IDS, threshold=2)
    whole = dealt.secrets["ann"]
    longer = replace(whole, coefficients=(*whole.coefficients, group.ONE))
    shown = rounds.reveal(dealt.session, "ann", longer)
    with pytest.raises(CeremonyAborted, match="wrong degree") as named:
        resharing.check_reveal(dealt.session, shown.digest, shown)
    assert named.value.culprit == "ann"


def test_who_has_lost_its_share_cannot_deal() -> None:
    _, old, shares = key()
    for held in (None, group.reduce(os.urandom(64))):
        with pytest.raises(StatementRefused, match="does not fit"):
            deal_again(old, {**shares, "ann": held}, KEYS, ids=IDS, threshold=2)  # type: ignore[dict-item]


def test_a_bad_piece_names_the_dealer() -> None:
    _, old, shares = key()
    dealt = deal_again(old, shares, KEYS, ids=("ann", "cyd", "dan"), threshold=2)
    dealt.sealed["bea"]["dan"] = dealt.sealed["bea"]["cyd"]
    with pytest.raises(CeremonyAborted, match="does not open") as named:
        dealt.receive("dan")
    assert named.value.culprit == "bea"
    dealt.receive("ann")


@pytest.mark.parametrize(
    ("ids", "threshold", "dealers", "words"),
    [
        (("ann", "dan", "eve"), 2, ("ann", "bea"), "2 newcomers"),
        (("dan", "eve"), 2, ("ann", "bea"), "2 newcomers"),
        (("ann",), 1, ("ann", "bea"), "single custodian"),
        (IDS, 1, ("ann", "bea"), "single custodian"),
        (IDS, 4, ("ann", "bea"), "threshold"),
        (IDS, 0, ("ann", "bea"), "threshold"),
        (IDS, 2, ("ann",), "exactly 2"),
        (IDS, 2, IDS, "exactly 2"),
        (IDS, 2, ("ann", "ann"), "holds a share"),
        (IDS, 2, ("ann", "dan"), "holds a share"),
    ],
)
def test_a_change_against_the_rules_is_refused_before_anything_is_dealt(
    ids: tuple[str, ...], threshold: int, dealers: tuple[str, ...], words: str
) -> None:
    _, old, shares = key()
    with pytest.raises(StatementRefused, match=words):
        deal_again(old, shares, KEYS, ids=ids, threshold=threshold, dealers=dealers)


def line() -> tuple[Signed, Signed, dict[str, bytes], dict[str, bytes]]:
    """Two versions, and the shares of each."""
    _, old, shares = key()
    dealt = deal_again(
        old, shares, KEYS, ids=("ann", "cyd", "dan"), threshold=2, dealers=("ann", "bea")
    )
    return sign_all(old, KEYS), sign_all(dealt.statement, KEYS), shares, dealt.shares()


def unsigned(one: Signed, by: str) -> Signed:
    return Signed(one.statement, {id: raw for id, raw in one.signatures.items() if id != by})


def signed_anew(one: Signed, **other: Any) -> Signed:
    return sign_all(replace(one.statement, **other), KEYS)


BREAKS: list[tuple[str, Callable[[Signed], Signed]]] = [
    ("bea has not signed", lambda new: unsigned(new, "bea")),  # a dealer that leaves
    ("cyd has not signed", lambda new: unsigned(new, "cyd")),
    ("does not follow", lambda new: signed_anew(new, version=3)),
    ("does not follow", lambda new: signed_anew(new, previous="00" * 32)),
    ("another sid", lambda new: signed_anew(new, sid="00" * 32)),
    ("another epoch", lambda new: signed_anew(new, epoch="2027")),
    ("exactly 2", lambda new: signed_anew(new, dealers=("ann",))),
    ("second version on", lambda new: signed_anew(new, dealers=(), previous=None)),
]


@pytest.mark.parametrize(("words", "broken"), BREAKS)
def test_a_statement_that_does_not_descend_from_the_one_before_is_refused(
    words: str, broken: Callable[[Signed], Signed]
) -> None:
    old, new, *_ = line()
    assert check_line([old, new], PUBLICS) == new.statement
    with pytest.raises(StatementRefused, match=words):
        check_line([old, broken(new)], PUBLICS)


def test_a_line_begins_with_the_first_version() -> None:
    old, new, *_ = line()
    for wrong in ([], [new], [new, old], [old, old]):
        with pytest.raises(StatementRefused):
            check_line(wrong, PUBLICS)


def test_another_key_under_the_old_name_is_refused_though_all_sign_it() -> None:
    old, new, *_ = line()
    other = split(group.reduce(os.urandom(64)), threshold=2, ids=new.statement.ids)[0]
    forged = replace(new.statement, commitments=other.commitments, shares=other.shares)
    with pytest.raises(StatementRefused, match="another public"):
        check_line([old, sign_all(forged, KEYS)], PUBLICS)


def test_a_former_custodian_must_be_known_to_follow_a_line() -> None:
    old, new, *_ = line()
    present = {one: PUBLICS[one] for one in ("ann", "cyd", "dan")}
    with pytest.raises(StatementRefused, match="bea is not in the registry"):
        check_line([old, new], present)


def test_of_what_the_log_holds_only_lines_that_hold_are_kept_and_the_first_successor_counts() -> (
    None
):
    old, new, before, shares = line()
    again = deal_again(old.statement, before, KEYS, ids=IDS, threshold=2)
    late = sign_all(again.statement, KEYS)
    alone = sign_all(split(group.reduce(os.urandom(64)), threshold=1, ids=("cyd",))[0], KEYS)
    found = lines([unsigned(old, "ann"), alone, old, new, late, unsigned(new, "dan")], PUBLICS)
    assert found == [[alone], [old, new]]
    third = deal_again(new.statement, shares, KEYS, ids=IDS, threshold=2, dealers=("cyd", "dan"))
    assert lines([old, new, sign_all(third.statement, KEYS)], PUBLICS)[0][-1].statement.version == 3


def test_weights_are_lagranges_at_the_dealers_old_indices() -> None:
    _, old, shares = key()
    dealt = deal_again(old, shares, KEYS, ids=IDS, threshold=2, dealers=("cyd", "ann"))
    assert dealt.session.dealers == ("ann", "cyd")
    assert dealt.session.weight("cyd") == lagrange(3, [1, 3])
    with pytest.raises(StatementRefused, match="deals nothing"):
        dealt.session.weight("bea")

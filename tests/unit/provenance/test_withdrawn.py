"""What left is a function of the log alone, and of any one row it can be proved either way."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import reduce
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.errors import InclusionRefused, StoryRefused
from provenance.merkle import tree_root
from provenance.withdrawn import (
    BATCH,
    HIGHEST,
    LOWEST,
    Absence,
    Batch,
    State,
    check_absent,
    follow,
    list_label,
    mix,
    prove_absent,
)

labels = st.binary(min_size=32, max_size=32).filter(lambda one: one not in (LOWEST, HIGHEST))


def label(number: int) -> bytes:
    return hashlib.sha256(b"label %d" % number).digest()


class Filler:
    """Random bytes that are the same on every run."""

    def __init__(self, seed: int = 0) -> None:
        self.numbers = count(seed << 32)

    def __call__(self) -> bytes:
        return hashlib.sha256(b"filler %d" % next(self.numbers)).digest()


def replay(said: Sequence[dict[str, object]]) -> State:
    """The state after these entries' facts."""
    return reduce(follow, said, State())


def walked(
    rounds: Iterable[Sequence[bytes]], seed: int = 0
) -> tuple[State, list[dict[str, object]]]:
    """The state and the entries after these rows left, round by round."""
    state, said, waiting, random = State(), [], (), Filler(seed)
    for leaving in rounds:
        batch, waiting = mix([*waiting, *leaving], state, random)
        state = state.after(batch)
        said.append(state.facts(batch))
    return state, said


@given(st.lists(st.lists(labels, max_size=5), max_size=4), labels)
def test_whatever_leaves_the_log_alone_gives_the_state_and_a_proof_of_each_label(
    rounds: list[list[bytes]], stranger: bytes
) -> None:
    state, said = walked(rounds)
    assert replay(said) == state
    assert state.size == 2 + BATCH * len(rounds)
    assert state.root() == tree_root(state.labels)
    for one in {each for leaving in rounds for each in leaving}:
        with pytest.raises(InclusionRefused):
            prove_absent(state, one)
    if stranger not in state:
        proof = prove_absent(state, stranger)
        check_absent(stranger, proof, state.size, state.root())


STATE, SAID = walked([[label(n) for n in range(5)], [label(9)], []])
ROOT, SIZE = STATE.root(), STATE.size
AWAY = label(100)


@given(labels, st.integers(0, SIZE), st.data())
def test_no_wrong_proof_says_that_a_row_which_left_is_still_there(
    other: bytes, place: int, data: st.DataObject
) -> None:
    # The attack: a list's partner, or the operator, wants a row that left to look as if it stayed.
    gone = data.draw(st.sampled_from([label(n) for n in range(5)]))
    honest = prove_absent(STATE, other) if other not in STATE else prove_absent(STATE, AWAY)
    lower, upper = sorted((other, data.draw(labels)))
    for forged in (
        honest,
        replace(honest, lower=LOWEST, upper=HIGHEST),
        replace(honest, place=place),
        Absence(place, lower, upper, honest.hashes),
        Absence(place, STATE.labels[min(place, SIZE - 1)], HIGHEST, honest.hashes),
    ):
        with pytest.raises(InclusionRefused):
            check_absent(gone, forged, SIZE, ROOT)


def test_neighbours_that_are_none_prove_nothing() -> None:
    # Both are in the tree, and the row that left stands between them.
    from provenance.merkle import inclusion_path, leaf_hash, nodes_of
    from provenance.shared import Path, check_shared, share

    at = STATE.labels.index(label(0))
    nodes = nodes_of([leaf_hash(one) for one in STATE.labels])
    paths = [Path(n, tuple(inclusion_path(n, SIZE, nodes))) for n in (at - 1, at + 1)]
    hashes = share(paths, SIZE)
    around = {n: STATE.labels[n] for n in (at - 1, at + 1)}
    check_shared(around, SIZE, hashes, ROOT)  # the control: each is where it is said to be
    for place in (at - 1, at):
        forged = Absence(place, STATE.labels[at - 1], STATE.labels[at + 1], tuple(hashes))
        with pytest.raises(InclusionRefused):
            check_absent(label(0), forged, SIZE, ROOT)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda p: replace(p, hashes=p.hashes[1:]),
        lambda p: replace(p, hashes=(*p.hashes, bytes(32))),
        lambda p: replace(p, hashes=(bytes(32), *p.hashes[1:])),
        lambda p: replace(p, place=p.place + 1),
        lambda p: replace(p, place=p.place - 1),
        lambda p: replace(p, place=-1),
        lambda p: replace(p, lower=LOWEST),
        lambda p: replace(p, upper=HIGHEST),
        lambda p: replace(p, lower=p.upper, upper=p.lower),
    ],
)
def test_an_altered_proof_of_absence_is_refused(wrong: object) -> None:
    proof = prove_absent(STATE, AWAY)
    assert callable(wrong)
    with pytest.raises(InclusionRefused):
        check_absent(AWAY, wrong(proof), SIZE, ROOT)
    check_absent(AWAY, proof, SIZE, ROOT)


def test_a_proof_is_of_one_state_one_size_and_one_label() -> None:
    before, _ = walked([[]])
    proof = prove_absent(before, label(0))
    check_absent(label(0), proof, before.size, before.root())  # it had not left then
    with pytest.raises(InclusionRefused):
        check_absent(label(0), proof, SIZE, ROOT)
    # A proof does not pin the size, which comes from the log with the root: these are too small.
    for size in (1, 0, -1):
        with pytest.raises(InclusionRefused):
            check_absent(AWAY, prove_absent(STATE, AWAY), size, ROOT)
    with pytest.raises(InclusionRefused):
        check_absent(AWAY[:31], prove_absent(STATE, AWAY), SIZE, ROOT)
    for end in (LOWEST, HIGHEST):
        with pytest.raises(InclusionRefused):
            prove_absent(STATE, end)


def test_batches_are_alike_whether_nobody_one_list_or_many_leave() -> None:
    for leaving in (0, 1, BATCH, 3 * BATCH):
        rows = [label(n) for n in range(leaving)]
        batch, waits = mix(rows, State(), Filler(1))
        assert len(batch.labels) == BATCH
        assert list(batch.labels) == sorted(set(batch.labels))
        assert len(waits) == max(0, leaving - BATCH)
        assert set(rows) == {*waits, *rows[:BATCH]}
        assert {*rows[:BATCH]} <= {*batch.labels}


def test_what_does_not_fit_leaves_with_the_next_batches_and_nothing_leaves_twice() -> None:
    rows = [label(n) for n in range(2 * BATCH + 3)]
    state, said = walked([rows, [rows[0], rows[0]], [], []])
    assert all(one in state for one in rows)
    assert len(said) == 4
    again, waits = mix(rows, state, Filler(7))
    assert not {*again.labels} & {*rows}
    assert waits == ()


def _without(name: str) -> dict[str, object]:
    return {key: value for key, value in SAID[1].items() if key != name}


@pytest.mark.parametrize(
    "said",
    [
        SAID[1:],
        [SAID[0], SAID[2]],
        [SAID[0], SAID[0]],
        [SAID[1], SAID[0], SAID[2]],
        *([SAID[0], _without(name)] for name in SAID[1]),
        [SAID[0], {**SAID[1], "root": "0" * 64}],
        [SAID[0], {**SAID[1], "size": SIZE}],
        [SAID[0], {**SAID[1], "labels": SAID[0]["labels"]}],
        [SAID[0], {**SAID[1], "labels": str(SAID[1]["labels"])[64:]}],
        [SAID[0], {**SAID[1], "labels": str(SAID[1]["labels"]).upper()}],
        [SAID[0], {**SAID[1], "labels": "0" * 4096}],
        [SAID[0], {**SAID[1], "labels": 7}],
        [SAID[0], {**SAID[1], "more": 1}],
        [{**SAID[0], "kind": "rows"}],
    ],
)
def test_a_log_that_leaves_out_repeats_or_misstates_a_batch_is_refused(
    said: list[dict[str, object]],
) -> None:
    with pytest.raises(StoryRefused):
        replay(said)
    assert replay(SAID) == STATE


@pytest.mark.parametrize(
    "cells",
    [
        [label(n) for n in range(BATCH)],  # not sorted
        sorted(label(n) for n in range(BATCH - 1)),
        sorted(label(n) for n in range(BATCH + 1)),
        [label(0)] * BATCH,
        [LOWEST, *sorted(label(n) for n in range(BATCH - 1))],
        [*sorted(label(n) for n in range(BATCH - 1)), HIGHEST],
        [b"", *sorted(label(n) for n in range(BATCH - 1))],
    ],
)
def test_what_is_no_batch_is_refused(cells: list[bytes]) -> None:
    with pytest.raises(StoryRefused):
        Batch(tuple(cells))


def test_nothing_of_a_state_is_shown_by_accident() -> None:
    assert label(0).hex() not in repr(STATE)
    assert repr(STATE) == "State(number=3)"


def test_a_server_that_says_another_state_is_found_by_the_root() -> None:
    inner = STATE.labels[1:-1]
    assert State.of(3, inner[::-1]) == STATE
    assert State.of(3, inner[1:]).root() != ROOT
    with pytest.raises(StoryRefused):
        State.of(3, [*inner, b"short"])


def test_the_label_of_a_list_is_that_of_its_root_alone() -> None:
    assert list_label(bytes(32)) == hashlib.sha256(b"trellis/list-label/v1\n" + bytes(32)).digest()
    assert list_label(bytes(32)) != list_label(b"\x01" + bytes(31))

"""Several leaves under one root: every subset of every small tree, and nothing else."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.errors import InclusionRefused
from provenance.merkle import inclusion_path, leaf_hash, nodes_of, tree_root
from provenance.shared import Path, check_shared, share


def entries(size: int) -> list[bytes]:
    return [f"entry {place}".encode() for place in range(size)]


def paths(size: int, places: tuple[int, ...]) -> list[Path]:
    nodes = nodes_of([leaf_hash(one) for one in entries(size)])
    return [Path(place, tuple(inclusion_path(place, size, nodes))) for place in places]


def test_every_choice_of_leaves_of_every_small_tree_is_proved_and_no_altered_one() -> None:
    proved = refused = 0
    for size in range(1, 10):
        every, root = entries(size), tree_root(entries(size))
        for count in range(1, size + 1):
            for places in itertools.combinations(range(size), count):
                hashes = share(paths(size, places), size)
                check_shared({place: every[place] for place in places}, size, hashes, root)
                proved += 1
                wrong = [
                    ({place: every[place] + b"!" for place in places}, size, hashes, root),
                    ({place: every[place] for place in places}, size, hashes, bytes(32)),
                    ({place: every[place] for place in places}, size, [*hashes, bytes(32)], root),
                    ({place + size: every[place] for place in places}, size, hashes, root),
                ]
                if hashes:
                    wrong += [
                        ({place: every[place] for place in places}, size, hashes[1:], root),
                        ({p: every[p] for p in places}, size, [bytes(32), *hashes[1:]], root),
                        ({p: every[p] for p in places}, size, [b"", *hashes[1:]], root),
                    ]
                for one in wrong:
                    with pytest.raises(InclusionRefused):
                        check_shared(*one)
                    refused += 1
    assert proved == sum(2**size - 1 for size in range(1, 10))
    assert refused > 4 * proved


@given(st.integers(1, 300), st.data())
def test_what_paths_share_is_written_once(size: int, data: st.DataObject) -> None:
    places = tuple(
        data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=12, unique=True))
    )
    alone = paths(size, places)
    hashes = share(alone, size)
    assert len(hashes) <= sum(len(one.hashes) for one in alone)
    found = {place: entries(size)[place] for place in places}
    check_shared(found, size, hashes, tree_root(entries(size)))
    moved = {place + 1 if place + 1 < size else 0: one for place, one in found.items()}
    if set(moved) != set(found) or size > 1:
        with pytest.raises(InclusionRefused):
            check_shared(moved, size, hashes, tree_root(entries(size)))


def test_a_path_of_another_place_and_no_leaf_at_all_are_refused() -> None:
    with pytest.raises(InclusionRefused, match="length of its place"):
        share([Path(4, paths(5, (0,))[0].hashes)], 5)
    with pytest.raises(InclusionRefused, match="outside"):
        share([Path(5, ())], 5)
    with pytest.raises(InclusionRefused, match="none"):
        check_shared({}, 5, [tree_root(entries(5))], tree_root(entries(5)))

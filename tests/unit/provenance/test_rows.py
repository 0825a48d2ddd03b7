"""A list's tree opens one row and tells nothing of the others, not even how many there are."""

import io
import os
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from provenance.errors import InclusionRefused
from provenance.merkle import tree_root
from provenance.rows import RowOpening, RowProof, Tree, check_row, prove_row, row_label

SECRETS = [bytes([n]) * 32 for n in range(1, 6)]


def openings() -> list[RowOpening]:
    return [
        RowOpening.of(secret, bytes([n]) * 32, b"tag", b"proof", b"sealed")
        for n, secret in enumerate(SECRETS)
    ]


def planted(
    size: int = 8, seed: int = 1, pad: Callable[[int], bytes] = os.urandom
) -> tuple[bytes, bytes]:
    """A tree of these rows at drawn places: its bytes and its root."""
    places = list(range(size))
    random.Random(seed).shuffle(places)
    file = io.BytesIO()
    tree = Tree(file, size, pad)
    for place, one in zip(places, openings(), strict=False):
        tree.put(place, one.commitment())
    root = tree.root()
    return file.getvalue(), root


def test_each_row_is_proved_under_a_root_of_the_padded_size() -> None:
    tree, root = planted()
    cells = [tree[at : at + 32] for at in range(0, len(tree), 32)]
    assert (len(cells), tree_root(cells)) == (8, root)
    found = [prove_row(tree, one) for one in openings()]
    for one, proof in zip(openings(), found, strict=True):
        check_row(one, proof, 8, root)
    assert len({one.place for one in found}) == 5
    assert sorted(one.place for one in found) != [0, 1, 2, 3, 4]


@pytest.mark.parametrize("part", ["salt", "label", "lock", "rest"])
def test_a_row_with_any_part_changed_is_refused(part: str) -> None:
    tree, root = planted()
    one = openings()[0]
    other = replace(one, **{part: bytes([99]) * 32})
    with pytest.raises(InclusionRefused):
        check_row(other, prove_row(tree, one), 8, root)
    with pytest.raises(InclusionRefused, match="not in this tree"):
        prove_row(tree, other)
    with pytest.raises(InclusionRefused, match="32 bytes"):
        check_row(replace(one, **{part: b"short"}), prove_row(tree, one), 8, root)


def test_another_place_size_or_path_is_refused() -> None:
    tree, root = planted()
    one, proof = openings()[0], prove_row(tree, openings()[0])
    for wrong in (
        RowProof(proof.place ^ 1, proof.path),
        RowProof(proof.place, proof.path[1:]),
        RowProof(proof.place, (*proof.path, bytes(32))),
        RowProof(8, proof.path),
    ):
        with pytest.raises(InclusionRefused):
            check_row(one, wrong, 8, root)
    with pytest.raises(InclusionRefused):
        check_row(one, proof, 4, root)


def test_without_the_secret_a_commitment_is_like_padding() -> None:
    # Whoever guesses every cell of a row, but not its secret, cannot find it in the tree.
    tree, _ = planted()
    guessed = RowOpening.of(bytes(32), openings()[0].lock, b"tag", b"proof", b"sealed")
    assert guessed.commitment() not in tree
    assert openings()[0].commitment() in tree  # with the secret: the control


def test_no_two_rows_cells_run_into_each_other_and_the_label_is_not_the_secret() -> None:
    one = RowOpening.of(SECRETS[0], bytes(32), b"ab", b"c")
    other = RowOpening.of(SECRETS[0], bytes(32), b"a", b"bc")
    assert one.rest != other.rest
    assert row_label(SECRETS[0]) == one.label != one.salt
    assert row_label(SECRETS[1]) != one.label
    assert SECRETS[0] not in (one.label, one.salt)
    assert "\\x" not in repr(one)


def test_a_commitment_across_two_places_is_no_row() -> None:
    one = openings()[0].commitment()
    tree = bytes(16) + one + bytes(16)
    with pytest.raises(InclusionRefused, match="not in this tree"):
        prove_row(tree, openings()[0])

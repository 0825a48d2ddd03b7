"""Voters are shared out by the roll alone: to the nearest with room, every one exactly once."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping

import pytest

from matching.nearest import Chart, Spot
from matching.sharing import WHOLE, Piece, share_out, whose

# A degree of latitude is 111.2 km: points on one meridian, a hundredth of a degree apart.
CHART = Chart({f"8000{n}": (39.0 + n / 100, -105.0) for n in range(6)})
INFINITE = float("inf")


def place(number: int) -> Piece:
    return Piece(f"8000{number}", "")


def loads(made: Mapping[Piece, str], needs: Mapping[Piece, float]) -> dict[str, float]:
    need = {piece.spot: (each, piece.end - piece.start) for piece, each in needs.items()}
    found: Counter[str] = Counter()
    for piece, id in made.items():
        each, width = need[piece.spot]
        found[id] += each * (piece.end - piece.start) / width  # type: ignore[assignment]
    return dict(found)


def test_with_room_everybody_gets_the_nearest() -> None:
    needs = {place(n): 10.0 for n in range(4)}
    made = share_out(needs, {"a": Spot("80000"), "b": Spot("80003")}, {}, CHART)
    assert made == {place(0): "a", place(1): "a", place(2): "b", place(3): "b"}


def test_who_has_no_more_room_leaves_the_rest_of_a_place_to_the_next_nearest() -> None:
    needs = {place(0): 10.0, place(1): 10.0}
    who = {"a": Spot("80000"), "b": Spot("80003")}
    made = share_out(needs, who, {"a": 15, "b": INFINITE}, CHART)
    assert made == {
        place(0): "a",
        Piece("80001", "", 0, WHOLE // 2): "a",
        Piece("80001", "", WHOLE // 2, WHOLE): "b",
    }


def test_where_all_together_have_too_little_room_each_gets_as_many_times_its_own() -> None:
    needs = {place(n): 100.0 for n in range(4)}
    made = share_out(needs, {"a": Spot("80000"), "b": Spot("80003")}, {"a": 10, "b": 30}, CHART)
    found = loads(made, needs)
    assert found["a"] == pytest.approx(100, abs=1e-3)
    assert found["b"] == pytest.approx(300, abs=1e-3)
    nobody = share_out(needs, {"a": Spot("80000"), "b": Spot("80003")}, {"a": 0, "b": 0}, CHART)
    assert loads(nobody, needs)["a"] == pytest.approx(200, abs=1e-3)


@pytest.mark.parametrize("seed", range(20))
def test_every_draw_of_every_place_is_exactly_one_messengers(seed: int) -> None:
    rng = random.Random(seed)
    cut = rng.randrange(1, WHOLE)
    needs = {place(n): rng.choice([0.0, rng.random() * 100]) for n in range(1, 6)}
    needs |= {Piece("80000", "", cut, WHOLE): 20.0}
    who = {f"m{n}": Spot(f"8000{rng.randrange(6)}") for n in range(rng.randrange(1, 6))}
    rooms = {id: rng.choice([0.0, rng.random() * 80, INFINITE]) for id in who}
    made = share_out(needs, who, rooms, CHART)
    for piece in needs:
        mine = sorted(one for one in made if one.spot == piece.spot)
        assert [one.start for one in mine] == [piece.start, *(one.end for one in mine[:-1])]
        assert mine[-1].end == piece.end
    assert set(made.values()) <= set(who)
    shuffled = dict(sorted(needs.items(), key=lambda _: rng.random()))
    assert share_out(shuffled, dict(reversed(who.items())), rooms, CHART) == made


def test_a_draw_belongs_to_the_piece_in_which_it_lies() -> None:
    pieces = [(0, "a"), (100, "b"), (200, "a")]
    assert [whose(pieces, draw) for draw in (0, 99, 100, 199, 200, WHOLE - 1)] == list("aabbaa")


def test_without_a_messenger_nothing_is_shared_out() -> None:
    with pytest.raises(ValueError, match="no messenger"):
        share_out({place(0): 1.0}, {}, {}, CHART)

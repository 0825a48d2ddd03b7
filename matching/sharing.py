"""Share voters out among messengers: each to the nearest with room, by the roll alone.

Nothing here knows a list. How many letters a place needs is what the roll and a noised size say,
so that whose name a letter carries tells of nobody else's list, however long that is.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from matching.nearest import Chart, Spot, nearness, ranked

__all__ = ["WHOLE", "Piece", "share_out", "whose"]

WHOLE = 1 << 32
"""A voter's draw is from 0 to below this; a piece of a place is some of its draws."""


@dataclass(frozen=True, slots=True, order=True)
class Piece:
    """Those voters of a place whose draw is from ``start`` to below ``end``."""

    zip: str
    precinct: str
    start: int = 0
    end: int = WHOLE

    @property
    def spot(self) -> Spot:
        """Where they live."""
        return Spot(self.zip, self.precinct)


def share_out(
    needs: Mapping[Piece, float],
    messengers: Mapping[str, Spot],
    rooms: Mapping[str, float],
    chart: Chart,
) -> dict[Piece, str]:
    """Cut pieces until each has a messenger: the nearest pairs of both are joined first.

    When all have less room than is needed together, each is given as many times its room.

    Args:
        needs: letters that each piece is expected to need; 0 is allowed.
        messengers: where each lives; at least one.
        rooms: letters that each may still sign; infinite for who named no limit.

    Returns:
        Pieces that cover ``needs`` exactly, and whose each is.

    Raises:
        ValueError: there is nobody to sign.
    """
    if not messengers:
        raise ValueError("there is no messenger")
    room = _rooms(needs, messengers, rooms)
    left = {piece: piece.start for piece in needs}
    made: dict[Piece, str] = {}
    for piece, id in _pairs(needs, messengers, chart):
        start = left[piece]
        if start == piece.end or (room[id] <= 0 and needs[piece]):
            continue
        end = _until(piece, start, needs[piece], room[id])
        if end > start:
            made[Piece(piece.zip, piece.precinct, start, end)] = id
            room[id] -= needs[piece] * (end - start) / (piece.end - piece.start)
            left[piece] = end
    for piece, start in left.items():  # what rounding left over
        if start < piece.end:
            rest = Piece(piece.zip, piece.precinct, start, piece.end)
            made[rest] = _nearest(piece, messengers, chart)
    return made


def whose(pieces: Sequence[tuple[int, str]], draw: int) -> str:
    """Whose a voter is: of (start, messenger) in order of their starts, the first being 0."""
    return next(id for start, id in reversed(pieces) if start <= draw)


def _rooms(
    needs: Mapping[Piece, float], messengers: Mapping[str, Spot], rooms: Mapping[str, float]
) -> dict[str, float]:
    room = {id: max(0.0, rooms.get(id, math.inf)) for id in messengers}
    need, there = math.fsum(needs.values()), math.fsum(room.values())
    if there == 0:
        return dict.fromkeys(room, need / len(room))
    return {id: one * max(1.0, need / there) for id, one in room.items()}


def _pairs(
    needs: Iterable[Piece], messengers: Mapping[str, Spot], chart: Chart
) -> Iterable[tuple[Piece, str]]:
    """Every piece with every messenger, nearest first; equally near ones in a fixed order."""
    by_spot: dict[Spot, list[Piece]] = defaultdict(list)
    for piece in needs:
        by_spot[piece.spot].append(piece)
    order = sorted(
        (nearness(spot, there, chart), id, spot.zip, spot.precinct)
        for spot in by_spot
        for id, there in messengers.items()
    )
    for _, id, zip_, precinct in order:
        for piece in sorted(by_spot[Spot(zip_, precinct)]):
            yield piece, id


def _until(piece: Piece, start: int, need: float, room: float) -> int:
    width = piece.end - piece.start
    if need * (piece.end - start) / width <= room:
        return piece.end
    return min(piece.end, start + int(width * room / need))


def _nearest(piece: Piece, messengers: Mapping[str, Spot], chart: Chart) -> str:
    return ranked(piece.spot, messengers, chart)[0]

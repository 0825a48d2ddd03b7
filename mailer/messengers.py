"""Whose name a letter goes in: the nearest messenger who has room, the same one every time."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Messenger:
    """A local volunteer who agreed to sign.

    Args:
        id: a slug.
        name: as it stands in From.
        precinct, zip: where they live, as the roll codes it.
        room: how many letters of one campaign they agreed to sign.
    """

    id: str
    name: str
    precinct: str
    zip: str
    room: int


@dataclass(frozen=True, slots=True)
class Reader:
    """Where one reader lives; ``id`` is any constant key of the row, and says nothing by itself."""

    id: bytes
    precinct: str
    zip: str


def nearness(reader: Reader, messenger: Messenger) -> int:
    """Return 0 for the same precinct, 1 for the same ZIP, 2 for elsewhere in the race."""
    if reader.precinct and reader.precinct == messenger.precinct:
        return 0
    return 1 if reader.zip and reader.zip == messenger.zip else 2


def choose(
    key: bytes, reader: Reader, messengers: Sequence[Messenger], taken: Mapping[str, int]
) -> Messenger | None:
    """Choose the nearest messenger who has room, or nobody.

    Args:
        key: a secret of the race; among equally near messengers it decides, so that a reader keeps
            theirs when others come and go.
        taken: how many letters each has already been given.
    """
    able = [one for one in messengers if taken.get(one.id, 0) < one.room]
    return min(able, key=lambda one: (nearness(reader, one), _rank(key, reader, one)), default=None)


def assign(
    key: bytes, readers: Sequence[Reader], messengers: Sequence[Messenger]
) -> list[Messenger | None]:
    """Choose for all readers, in an order that their place in the list does not decide.

    Readers who have a messenger in their own precinct choose first: otherwise strangers could use
    up the room of somebody's neighbor.
    """
    taken: dict[str, int] = {}
    chosen: list[Messenger | None] = [None] * len(readers)

    def turn(number: int) -> tuple[int, bytes]:
        reader = readers[number]
        near = min((nearness(reader, one) for one in messengers), default=2)
        return near, hmac.digest(key, b"turn/v1\0" + reader.id, hashlib.sha256)

    for number in sorted(range(len(readers)), key=turn):
        one = chosen[number] = choose(key, readers[number], messengers, taken)
        if one is not None:
            taken[one.id] = taken.get(one.id, 0) + 1
    return chosen


def _rank(key: bytes, reader: Reader, messenger: Messenger) -> bytes:
    return hmac.digest(
        key, b"messenger/v1\0" + messenger.id.encode() + b"\0" + reader.id, hashlib.sha256
    )

"""Millions of ids in little memory: which were seen, a number for each, the votes of each.

An id is known by 64 bits of its hash. Among 13 million the chance that any two are taken for one is
5 in a million, and the second would be set aside with its line, not lost in silence.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator

__all__ = ["Ids", "Seen", "Votes"]

_MASK = (1 << 64) - 1
_FULL = 0.8
"""The share of places taken at which the table doubles."""


class Seen:
    """Which ids came before: 10 to 20 bytes an id, half as much again while the table doubles."""

    def __init__(self) -> None:
        self._hashes = array("Q", bytes(8 << 10))
        self.count = 0

    def add(self, id: str) -> bool:
        """Whether the id is new."""
        known = hash(id) & _MASK or 1
        at = self._place(known)
        if self._hashes[at]:
            return False
        self._put(at, known)
        return True

    def _put(self, at: int, known: int) -> None:
        self._hashes[at] = known
        self.count += 1
        if self.count > _FULL * len(self._hashes):
            self._grow()

    def _place(self, known: int) -> int:
        hashes, last = self._hashes, len(self._hashes) - 1
        at = known & last
        while hashes[at] and hashes[at] != known:
            at = (at + 1) & last
        return at

    def _grow(self) -> None:
        hashes, self._hashes = self._hashes, array("Q", bytes(16 * len(self._hashes)))
        for known in hashes:
            if known:
                self._hashes[self._place(known)] = known


class Ids(Seen):
    """A number for each id in the order in which it came: 15 to 30 bytes an id."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers = array("I", bytes(4 << 10))

    def number(self, id: str) -> int:
        """The id's number, a new one if it never came."""
        known = hash(id) & _MASK or 1
        at = self._place(known)
        if self._hashes[at]:
            return self._numbers[at]
        self._numbers[at] = self.count
        self._put(at, known)
        return self.count - 1

    def find(self, id: str) -> int:
        """The id's number; -1 if it never came."""
        at = self._place(hash(id) & _MASK or 1)
        return self._numbers[at] if self._hashes[at] else -1

    def _grow(self) -> None:
        hashes, numbers = self._hashes, self._numbers
        self._hashes = array("Q", bytes(16 * len(hashes)))
        self._numbers = array("I", bytes(8 * len(hashes)))
        for known, number in zip(hashes, numbers, strict=True):
            if known:
                at = self._place(known)
                self._hashes[at], self._numbers[at] = known, number


class Votes:
    """Small numbers (which election, how) per id: six bytes a vote, one an id, and the ids."""

    def __init__(self) -> None:
        self._ids = Ids()
        self._last = array("I")
        self._what = array("H")
        self._before = array("I")
        self._asked = bytearray()

    def add(self, id: str, what: int) -> None:
        number = self._ids.number(id)
        if number == len(self._last):
            self._last.append(0)
            self._asked.append(0)
        self._what.append(what)
        self._before.append(self._last[number])
        self._last[number] = len(self._what)  # one more than its place: 0 is "none before"

    def of(self, id: str) -> Iterator[int]:
        """What was added under the id, the last first."""
        number = self._ids.find(id)
        at = 0
        if number >= 0:
            at, self._asked[number] = self._last[number], 1
        while at:
            yield self._what[at - 1]
            at = self._before[at - 1]

    @property
    def asked(self) -> tuple[int, int]:
        """How many ids there are, and how many of them nobody asked for."""
        return len(self._asked), self._asked.count(0)

"""What a check found, how bad it is, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Level: TypeAlias = Literal["green", "none", "yellow", "red"]
ORDER: tuple[Level, ...] = ("green", "none", "yellow", "red")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Args:
        point: what was looked at, in a word or two: ``SPF``, ``Contrast``.
        level: ``red`` blocks, ``yellow`` is shown to whoever approves, ``green`` is as it should
            be, ``none`` was not looked at here and ``what`` says why.
        what: what was found.
        todo: what to do; empty when there is nothing.
        line: the template's line, or 0.
    """

    point: str
    level: Level
    what: str
    todo: str = ""
    line: int = 0

    def __str__(self) -> str:
        where = f" (line {self.line})" if self.line else ""
        return f"{self.level}: {self.point}{where}: {self.what} {self.todo}".rstrip()

    def to_json(self) -> dict[str, Any]:
        """For the wire and the store."""
        return {
            "point": self.point,
            "level": self.level,
            "what": self.what,
            "do": self.todo,
            "line": self.line,
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Finding:
        """Read what ``to_json`` wrote; a level that is not known is red."""
        level: Level = said["level"] if said["level"] in ORDER else "red"
        return cls(str(said["point"]), level, str(said["what"]), str(said["do"]), int(said["line"]))


def worst(findings: Iterable[Finding]) -> Level:
    """The worst level of all; of nothing it is ``none``: nobody looked."""
    levels = [one.level for one in findings]
    return max(levels, key=ORDER.index) if levels else "none"


def sorted_worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Red first, otherwise in the order in which they were found."""
    return tuple(sorted(findings, key=lambda one: -ORDER.index(one.level)))

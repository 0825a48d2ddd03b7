"""Where matching works: its stores, keys and engine, and how files leave that nothing names."""

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime

from consortium.service import enter
from consortium.store import doomed
from consortium.store.artefacts import Artefacts
from consortium.store.unit import Units
from matching import engine

__all__ = ["Bench", "Link", "MatchKeys", "forget"]

Link = Callable[..., None]
"""Links two artefacts, as `engine.link` does without ``memory``."""


@dataclass(frozen=True, slots=True)
class MatchKeys:
    """What only the matching process holds: the keys of one epoch."""

    pepper: bytes = field(repr=False)
    outputs: bytes = field(repr=False)  # HPKE private key to which outputs are sealed
    tokens: bytes = field(repr=False)  # encrypts token artefacts at rest


@dataclass(frozen=True, slots=True)
class Bench:
    """Where matching works: the database, the artefacts, the keys, the pen, the time.

    ``keys`` reads an epoch's keys each time it is asked, so that a process that runs on has none
    of an epoch that has ended. ``linking`` is asked once for all lists that wait, and gives what
    links as `engine.link` does; ``engine`` is its name and version. ``memory`` is what every other
    step may hold before it works on the disk, as `scratch` takes it.
    """

    units: Units
    artefacts: Artefacts
    keys: Callable[[str], MatchKeys]
    pen: enter.Pen
    clock: Callable[[], datetime]
    linking: Callable[[], AbstractContextManager[Link]] = engine.linking
    engine: str = "duckdb"
    memory: str | None = None


def forget(bench: Bench, digests: Collection[str | None]) -> None:
    """Delete those of the artefacts that nothing names: superseded, or withdrawn meanwhile.

    A file is named by its bytes, so another list may name the same one: a list that was uploaded
    twice has the same tokens, and every list that nobody is found of has the same links.
    """
    bench.units.run("forget", lambda unit: doomed.doom(unit, digests))
    doomed.sweep(bench.units, bench.artefacts)

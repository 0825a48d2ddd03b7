"""Where matching works: its stores, keys and engine, and how files leave that nothing names."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime

from consortium.service import enter
from consortium.store import contributions
from consortium.store.artefacts import Artefacts
from consortium.store.unit import Units
from matching import engine

__all__ = ["Bench", "Link", "MatchKeys", "delete", "forget"]

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
    links as `engine.link` does; ``engine`` is its name and version.
    """

    units: Units
    artefacts: Artefacts
    keys: Callable[[str], MatchKeys]
    pen: enter.Pen
    clock: Callable[[], datetime]
    linking: Callable[[], AbstractContextManager[Link]] = engine.linking
    engine: str = "duckdb"


def delete(bench: Bench, digests: set[str | None]) -> None:
    """Delete those of the artefacts that are still there."""
    for digest in digests:
        if digest is not None and bench.artefacts.exists(digest):
            bench.artefacts.delete(digest)


def forget(bench: Bench, id: str, digests: set[str | None]) -> None:
    """Delete artefacts that a bundle no longer names: superseded, or withdrawn meanwhile."""
    now = bench.units.run("forget", lambda unit: contributions.get(unit, id))
    delete(bench, digests - {now.tokens_digest, now.links_digest})

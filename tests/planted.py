"""One run of the whole path on a world full of canaries; whoever looks at a run reads this one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from tests.attack import canaries
from tests.integration.worlds import Run, demo, small_world


@dataclass(frozen=True)
class Planted:
    """A demonstration that has ended, and the words that stand nowhere but in its people."""

    run: Run
    kinds: Mapping[str, list[str]]

    @property
    def births(self) -> frozenset[bytes]:
        return frozenset(one.encode() for one in self.kinds["births"])


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """Its tests only read it, or work on copies."""
    folder = tmp_path_factory.mktemp("planted")
    world = small_world(folder / "W")
    kinds = canaries.plant(world.folder)
    return Planted(demo(world, folder / "D"), kinds)

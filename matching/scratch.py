"""A DuckDB for one step: it fetches nothing, and what does not fit into memory stays private.

By itself DuckDB spills into the folder that the process was started in, and leaves it there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from matching.atrest import unlocked

__all__ = ["opened", "scratch"]


@contextmanager
def scratch(memory: str | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty database in memory, gone with all that it spilled when the block ends.

    Args:
        memory: what it may hold before it spills, as DuckDB reads it ("4GB"); None is four fifths
            of what the machine, or the container, has.
    """
    with TemporaryDirectory(prefix="matching-") as folder:
        config: dict[str, str | bool | int | float | list[str]] = {
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "temp_directory": str(Path(folder) / "spilled"),
        }
        if memory is not None:
            config["memory_limit"] = memory
        with duckdb.connect(config=config) as base:
            yield base


@contextmanager
def opened(
    *, key: bytes, memory: str | None = None, **artefacts: Path
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A scratch database with a view of each artefact, by the name that it is given here.

    Raises:
        ArtefactRefused: another key, changed bytes, or the end cut off.
    """
    with ExitStack() as stack:
        plain = {
            name: stack.enter_context(unlocked(locked, key=key))
            for name, locked in artefacts.items()
        }
        base = stack.enter_context(scratch(memory))
        for name, path in plain.items():
            base.read_parquet(str(path)).create_view(name)
        yield base

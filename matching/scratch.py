"""A DuckDB for one step: it fetches nothing, and what does not fit into memory stays private.

By itself DuckDB spills into the folder that the process was started in, and leaves it there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

__all__ = ["scratch"]


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

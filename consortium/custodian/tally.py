"""A small file beside the database that a copy of the database does not bring along.

A custodian's database that was replaced by an earlier copy looks like any other. So every charge
and every opening is first counted here, durably, and then in the database: a database that counts
less than this file was put back, or lost power between the two. The last event stands in the file
in full, so that the second case is mended exactly and costs nobody anything.
"""

import json
import os
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Counted:
    """How many events were counted, and the last of them."""

    count: int
    event: Mapping[str, Any] = field(repr=False)


class Tally:
    """The file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Counted | None:
        """Return what stands in it; nothing when there is no file, or one that cannot be read."""
        try:
            stands = json.loads(self._path.read_bytes())
            return Counted(int(stands["count"]), dict(stands["event"]))
        except (FileNotFoundError, KeyError, TypeError, ValueError):
            return None

    def write(self, counted: Counted) -> None:
        """Replace it, durably, or not at all.

        Raises:
            sqlite3.OperationalError: as the database itself would, when the disk is full.
        """
        raw = json.dumps({"count": counted.count, "event": dict(counted.event)}).encode()
        beside = self._path.with_suffix(".tally-new")
        try:
            handle = os.open(beside, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._path)
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise sqlite3.OperationalError("the tally cannot be written") from error

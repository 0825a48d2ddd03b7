"""How often letters were claimed, in small files beside the mailer's keys: not in the database."""

import os
from collections.abc import Mapping
from pathlib import Path


class FileMarks:
    """``service.put_back.Marks`` in a folder: a file a campaign, a number in each.

    Read once, since one process has this home. Not forced to disk: a power cut costs the last
    moments' numbers, and a backup of the database is older than those.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._folder = folder
        self._known = {path.name: _number(path) for path in folder.iterdir()}

    def known(self) -> Mapping[str, int]:
        """By a campaign's mark: how often its letters were claimed."""
        return self._known

    def keep(self, mark: str, turns: int) -> None:
        """Remember that, in one write over the number before."""
        handle = os.open(self._folder / mark, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.pwrite(handle, f"{turns:020}\n".encode(), 0)
        finally:
            os.close(handle)
        self._known[mark] = turns


def _number(path: Path) -> int:
    text = path.read_bytes().strip()
    return int(text) if text.isdigit() else 0

"""What a newer roll changes for lists that met an older one.

A link hangs on the voters whom its member meets and on the members who meet those, by their tokens
alone, and on the size of the roll, which `linking.about` rounds. So a list that meets no voter who
came, went or has other tokens has the links it had. A list is the unit: where one row of it must be
compared anew, its whole roll has to be read again, which is nearly all that linking costs.
"""

from __future__ import annotations

from pathlib import Path

from matching.linking import Duck, about, sql
from matching.scratch import opened

__all__ = ["Update"]


class Update:
    """The difference of two rolls, as a plain file of tokens in a private folder.

    Args:
        before, after: tokens artefacts of two snapshots of one epoch.
        folder: private, and gone when the matching is done.
        key: of the artefacts.
        memory: as `scratch` takes it.
    """

    def __init__(
        self, before: Path, after: Path, folder: Path, *, key: bytes, memory: str | None = None
    ) -> None:
        self._changed, self._key, self._memory = folder / "changed.parquet", key, memory
        with opened(key=key, memory=memory, before=before, after=after) as base:
            Duck(base).run("changed", {})
            base.table("changed").write_parquet(str(self._changed), compression="zstd")
            sizes = [
                Duck(base).ask(f"SELECT count(DISTINCT row) FROM {roll}")[0][0]  # noqa: S608 - fixed words
                for roll in ("before", "after")
            ]
        self._resized = about(sizes[0]) != about(sizes[1])

    def touches(self, members: Path) -> bool:
        """Whether linking a list anew could give other links."""
        if self._resized:
            return True
        with opened(key=self._key, memory=self._memory, members=members) as base:
            base.read_parquet(str(self._changed)).create_view("changed")
            return bool(Duck(base).ask(sql("touched"))[0][0])

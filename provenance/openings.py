"""Where openings belong in a log that was walked, and how much of it stays closed."""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from provenance.errors import StoryRefused
from provenance.evidence import Checked
from provenance.merkle import CompactRange, leaf_hash


@dataclass(frozen=True, slots=True)
class Closed:
    """Entries of a log that nobody opened: per type their indices, ascending."""

    at: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def before(self, kinds: Iterable[str], index: int | None = None) -> int:
        """How many of these types stand before an index; of all the log without one."""
        found = 0
        for kind in kinds:
            places = self.at.get(kind, ())
            found += len(places) if index is None else bisect_left(places, index)
        return found

    def counts(self) -> dict[str, int]:
        """How many entries of each type stay closed, none left out that has one."""
        return {kind: len(places) for kind, places in sorted(self.at.items()) if places}


class Walked:
    """Told every entry of a log, oldest first; it remembers its types and some of its trees.

    Args:
        sizes: of the trees under which openings were proved.
    """

    def __init__(self, sizes: Collection[int]) -> None:
        self._sizes = frozenset(sizes)
        self._roots: dict[int, bytes] = {}
        self._kinds: list[str] = []
        self._grown = CompactRange()

    def add(self, entry: bytes, kind: str) -> None:
        """Take the next entry."""
        self._kinds.append(kind)
        self._grown.append(leaf_hash(entry))
        if self._grown.size in self._sizes:
            self._roots[self._grown.size] = self._grown.root()

    def closed(self, entries: Sequence[Checked], trees: Mapping[int, bytes]) -> Closed:
        """Hold checked evidence against the log that was walked; return what it leaves closed.

        Args:
            entries, trees: as `provenance.story.gather` gives them. An entry that is opened in
                part still counts as closed: what it says beside may be what a rule misses.

        Raises:
            StoryRefused: it was proved under a tree that is not the beginning of this log.
        """
        for size, root in sorted(trees.items()):
            if size > self._grown.size:
                raise StoryRefused(
                    f"something was proved in a log of {size} entries, this one has "
                    f"{self._grown.size}: it went back, or it is an older copy"
                )
            if self._roots[size] != root:
                raise StoryRefused(
                    f"something was proved in another tree of {size} entries: the log has "
                    "forked; keep both, and let trellis audit diff say so"
                )
        opened = {one.index for one in entries if not one.closed}
        found: dict[str, list[int]] = {}
        for index, kind in enumerate(self._kinds):
            if index not in opened:
                found.setdefault(kind, []).append(index)
        return Closed(found)

"""A partner's own lists on its own computer, and the secrets behind every row."""

import json
import struct
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from consortium.cli.errors import HomeRefused
from consortium.cli.home import Home, Json
from consortium.cli.vault import part_of, write_whole
from matching.locks import retire_tag
from matching.recipes import RECIPES

FACTS = "list.json"
ROWS = "rows.enc"
GONE = "gone.enc"
TREE = "tree.bin"
NAMES = "names.enc"
"""Under which names the memory has what custodians answer for each row of a list."""
_ROW = struct.Struct(">I32s32s10s")
"""Row number, secret, lock, ZIP; the tag is the secret's hash."""
_NAME_BYTES = 16
_FRAME = 4096


@dataclass(frozen=True, slots=True)
class OwnRow:
    """One uploaded row as this computer remembers it; ``repr`` shows no secret."""

    row: int
    """The row in the partner's own file, the header being 1."""
    tag: bytes = field(repr=False)
    secret: bytes = field(repr=False)
    lock: bytes = field(repr=False)
    zip: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class OwnList:
    """One contribution's folder under ``lists/``.

    The order in which its files appear is the order of the upload; each is written whole:
    ``list.json`` (id), ``plan.enc`` (row order), ``rows.enc`` (row secrets), ``tree.bin`` (the
    rows' commitments), ``rows.parquet``, ``outputs.sealed``, ``header.json``, ``entry.json``,
    ``receipt.json``.
    """

    folder: Path

    @property
    def id(self) -> str:
        """The contribution's UUID."""
        return self.folder.name

    @property
    def facts(self) -> Json:
        """What may be shown: id, when, how many rows, whether withdrawn."""
        return dict(json.loads((self.folder / FACTS).read_bytes()))

    def note(self, **more: object) -> None:
        """Add to the facts."""
        write_whole(
            self.folder / FACTS,
            (json.dumps({**self.facts, **more}, indent=1, sort_keys=True) + "\n").encode(),
        )

    def has(self, name: str) -> bool:
        """Whether a file of the list is there."""
        return (self.folder / name).exists()

    @property
    def withdrawn(self) -> bool:
        """Whether this list was withdrawn, from this computer at least."""
        return bool(self.facts.get("withdrawn"))

    def rows(self, home: Home) -> list[OwnRow]:
        """Return the rows behind the uploaded locks."""
        return list(self.each_row(home))

    def each_row(self, home: Home) -> Iterator[OwnRow]:
        """Read the rows behind the uploaded locks one after the other, in the order of the upload."""  # noqa: E501
        for raw in _cut(home, self.folder / ROWS, _ROW.size):
            row, secret, lock, zip = _ROW.unpack(raw)
            if row:  # else it was withdrawn, and is blank
                yield OwnRow(row, retire_tag(secret), secret, lock, zip.rstrip(b"\0").decode())

    def gone(self, home: Home) -> list[tuple[int, bytes]]:
        """Rows that were withdrawn singly: number in the own file, and the bare lock."""
        path = self.folder / GONE
        if not path.exists():
            return []
        return [(number, bytes.fromhex(lock)) for number, lock in home.vault.read(path)]


def blank_rows(home: Home, own: OwnList, numbers: Collection[int]) -> None:
    """Forget withdrawn rows: every record of theirs becomes zeros in its place. Repeatable."""
    gone = {0, *numbers}
    rows = _cut(home, own.folder / ROWS, _ROW.size)
    keep_rows(home, own, (bytes(len(raw)) if _ROW.unpack(raw)[0] in gone else raw for raw in rows))


def blank_names(home: Home, own: OwnList, numbers: Collection[int]) -> None:
    """Forget under which names the memory has the answers for withdrawn rows. Repeatable."""
    if not own.has(NAMES):
        return
    rows = (_ROW.unpack(raw)[0] for raw in _cut(home, own.folder / ROWS, _ROW.size))
    size = _NAME_BYTES * (len(RECIPES) + 1)
    named = zip(rows, _cut(home, own.folder / NAMES, size), strict=True)
    _keep(
        home, own.folder / NAMES, (bytes(size) if n in {0, *numbers} else raw for n, raw in named)
    )


def packed(row: OwnRow) -> bytes:
    """A row's constant number of bytes."""
    return _ROW.pack(row.row, row.secret, row.lock, row.zip.encode())


def keep_rows(home: Home, own: OwnList, rows: Iterable[bytes]) -> None:
    """Remember the rows behind the locks, ``packed``, encrypted under the home's key."""
    _keep(home, own.folder / ROWS, rows)


def keep_names(home: Home, own: OwnList, rows: Iterable[Sequence[bytes]]) -> None:
    """Remember each row's names in the memory, in the order of the upload; at most one a recipe."""
    size = _NAME_BYTES * (len(RECIPES) + 1)
    _keep(home, own.folder / NAMES, (b"".join(row).ljust(size, b"\0") for row in rows))


def live_names(home: Home, epoch: str) -> Iterator[bytes]:
    """Every name in an epoch's memory that a row of a live list has, finished or not."""
    for own in own_lists(home):
        if own.withdrawn or own.facts.get("epoch", epoch) != epoch or not own.has(NAMES):
            continue
        for one in _cut(home, own.folder / NAMES, _NAME_BYTES):
            if any(one):  # else the row has no such token, or was withdrawn
                yield one


def _keep(home: Home, path: Path, records: Iterable[bytes]) -> None:
    source = iter(records)
    frames = iter(lambda: b"".join(islice(source, _FRAME)), b"")
    with part_of(path) as part:
        home.vault.write_frames(part, path, frames)


def _cut(home: Home, path: Path, size: int) -> Iterator[bytes]:
    for frame in home.vault.read_frames(path):
        for at in range(0, len(frame), size):
            yield frame[at : at + size]


def own_lists(home: Home) -> Iterator[OwnList]:
    """Every list of this home, oldest first."""
    folders = [path.parent for path in (home.path / "lists").glob(f"*/{FACTS}")]
    yield from sorted((OwnList(path) for path in folders), key=lambda own: own.facts["created"])


def own_list(home: Home, id: str) -> OwnList:
    """One list by its id or the beginning of it; raises HomeRefused."""
    found = [own for own in own_lists(home) if own.id.startswith(id)]
    if len(found) != 1:
        raise HomeRefused(
            f"{len(found)} lists of this home begin with that id; see trellis partner lists"
        )
    return found[0]


def sent(home: Home) -> list[OwnList]:
    """Every list whose rows may be on the server: its entry was drafted."""
    return [own for own in own_lists(home) if own.has("entry.json")]

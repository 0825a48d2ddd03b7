"""The text files in what a state gave: plain, gzipped or in a zip, opened as bytes."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from matching.errors import RollRefused

__all__ = ["Source", "sources"]

_TEXT = (".txt", ".csv", ".tsv")
_HEADS = {
    b"PK\x03\x04": "a workbook or a zip file with another name",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"%PDF": "a PDF",
}


@dataclass(frozen=True, slots=True)
class Source:
    """One text file; ``member`` is its name within a zip."""

    path: Path
    member: str = ""

    @property
    def name(self) -> str:
        return PurePosixPath(self.member).name if self.member else self.path.name

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Its bytes, unpacked on the way."""
        if self.member:
            with zipfile.ZipFile(self.path) as packed, packed.open(self.member) as raw:
                yield cast(BinaryIO, raw)
        elif self.path.suffix.lower() == ".gz":
            with gzip.open(self.path, "rb") as raw:
                yield cast(BinaryIO, raw)
        else:
            with self.path.open("rb") as raw:
                yield raw

    def check_text(self) -> None:
        """Refuse what is no text in single bytes, whatever its name says."""
        with self.opened() as raw:
            head = raw.read(4)
        for start, kind in _HEADS.items():
            if head.startswith(start):
                raise RollRefused(f"{self.name} is {kind}, not a text file as the state gives it")


def sources(place: Path, ignore: Sequence[str] = ()) -> tuple[Source, ...]:
    """Find the text files of a folder, or take one file, in the order of their names.

    Args:
        ignore: folders within a zip that hold no rolls.
    """
    paths = [place] if place.is_file() else sorted(place.iterdir())
    found: list[Source] = []
    for path in paths:
        kind = path.suffix.lower()
        if kind == ".gz":
            kind = Path(path.stem).suffix.lower()
        if kind == ".zip":
            found += _members(path, ignore)
        elif kind in _TEXT and path.is_file():
            found.append(Source(path))
    for source in found:
        source.check_text()
    return tuple(found)


def _members(path: Path, ignore: Sequence[str]) -> list[Source]:
    try:
        with zipfile.ZipFile(path) as packed:
            names = sorted(packed.namelist())
    except zipfile.BadZipFile:
        raise RollRefused(f"{path.name} is no whole zip file: get it again") from None
    inside = [PurePosixPath(name) for name in names]
    return [
        Source(path, str(one))
        for one in inside
        if one.suffix.lower() in _TEXT and not set(one.parts[:-1]) & set(ignore)
    ]

"""The text files in what a state gave: plain, gzipped or in a zip, opened as bytes."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
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
    b"\x1f\x8b": "a gzip file with another name",
}
_HEAD = 1 << 16
"""Bytes looked at to tell text; the longest lines of real files have some thousands."""
_DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile)


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
        """Its bytes, unpacked on the way; raises RollRefused where they do not unpack."""
        try:
            with self._raw() as raw:
                yield raw
        except _DAMAGED:
            raise RollRefused(f"{self.name} is cut off or damaged: get it again") from None

    @contextmanager
    def _raw(self) -> Iterator[BinaryIO]:
        if self.member:
            with zipfile.ZipFile(self.path) as packed, self._member(packed) as raw:
                yield raw
        elif self.path.suffix.lower() == ".gz":
            with gzip.open(self.path, "rb") as raw:
                yield cast(BinaryIO, raw)
        else:
            with self.path.open("rb") as raw:
                yield raw

    def _member(self, packed: zipfile.ZipFile) -> BinaryIO:
        try:
            return cast(BinaryIO, packed.open(self.member))
        except (RuntimeError, NotImplementedError):
            # A password, or Deflate64, as Windows packs what is larger than 2 GB.
            why = "cannot be unpacked here: unpack it by hand, and give the folder"
            raise RollRefused(f"{self.path.name} {why}") from None

    def check_text(self) -> None:
        """Refuse what is no text in single bytes and lines, whatever its name says."""
        with self.opened() as raw:
            head = raw.read(_HEAD)
        kind = next((kind for start, kind in _HEADS.items() if head.startswith(start)), "")
        if not kind and head.count(0) * 3 > len(head):
            kind = "UTF-16 without its mark"
        elif not kind and b"\r" in head and b"\n" not in head:
            kind = "in lines that end as on old Macs"
        if kind:
            raise RollRefused(f"{self.name} is {kind}, not a text file as the state gives it")


def sources(place: Path, ignore: Sequence[str] = ()) -> tuple[tuple[Source, ...], tuple[str, ...]]:
    """Find the text files of a folder, or take one file, in the order of their names.

    Args:
        ignore: folders within a zip that hold no rolls.

    Returns:
        The text files, and the names of all else that lies there: a part of a roll may be among
        it, under another name or packed once more.

    Raises:
        RollRefused: a file does not unpack, or is no text.
    """
    found: list[Source] = []
    passed: list[str] = []
    for path in [place] if place.is_file() else sorted(place.iterdir()):
        if path.name.startswith("."):
            continue
        if path.suffix.lower() == ".zip":
            inside, others = _members(path, ignore)
            found += inside
            passed += others
        elif path.is_file() and (path == place or _is_text(path)):
            found.append(Source(path))
        else:
            passed.append(f"{path.name}/" if path.is_dir() else path.name)
    for source in found:
        source.check_text()
    return tuple(found), tuple(passed)


def _is_text(path: PurePath) -> bool:
    """By the name; a packed one may have none of its own but its mark ("SWVF_1_22.gz")."""
    if path.suffix.lower() == ".gz":
        return Path(path.stem).suffix.lower() in (*_TEXT, "")
    return path.suffix.lower() in _TEXT


def _members(path: Path, ignore: Sequence[str]) -> tuple[list[Source], list[str]]:
    try:
        with zipfile.ZipFile(path) as packed:
            names = sorted(one for one in packed.namelist() if not one.endswith("/"))
    except zipfile.BadZipFile:
        raise RollRefused(f"{path.name} is no whole zip file: get it again") from None
    found: list[Source] = []
    passed: list[str] = []
    for one in map(PurePosixPath, names):
        if {"__MACOSX", *ignore} & set(one.parts[:-1]) or one.name.startswith("."):
            continue
        if one.suffix.lower() in _TEXT:
            found.append(Source(path, str(one)))
        else:
            passed.append(f"{path.name}/{one}")
    return found, passed

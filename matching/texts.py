"""A partner's file as text: its encoding, its delimiter, its records."""

from __future__ import annotations

import codecs
import csv
import re
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from matching.errors import ListRefused

__all__ = ["delimiter_of", "encoding_of", "records_of"]

_CHUNK = 1 << 20


def encoding_of(path: Path) -> tuple[str, list[str]]:
    """Decide the encoding by reading the file once; say so when it had to be supposed."""
    with path.open("rb") as raw:
        head = raw.read(4096)
    if head.startswith(b"PK\x03\x04"):
        raise ListRefused(
            "this is a workbook (.xlsx) or a zip file, whatever its name says",
            todo="Open it and save as 'CSV UTF-8', or unpack it",
        )
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise ListRefused("this is an old Excel workbook (.xls)", todo="Save it as 'CSV UTF-8'")
    if head.startswith((b"%PDF", b"\x1f\x8b", b"\x89PNG", b"PAR1", b"SQLite format 3")):
        raise ListRefused("this is not a text file", todo="Export the list as CSV")
    wide = _utf16(head)
    if wide:
        _check_decodes(path, wide)
        return wide, ["the file is UTF-16; it was read as that"]
    # A stray one costs its row; a file full of them is none of text.
    if head.count(0) * 50 > len(head):
        raise ListRefused("this is not a text file", todo="Export the list as CSV")
    if head.startswith(codecs.BOM_UTF8):
        _check_decodes(path, "utf-8-sig")
        return "utf-8-sig", []
    if _decodes(path, "utf-8"):
        return "utf-8", []
    supposed = "cp1252" if _decodes(path, "cp1252") else "latin-1"
    name = "Windows-1252" if supposed == "cp1252" else "ISO-8859-1"
    return supposed, [
        f"the file is not UTF-8; it was read as {name}: look at a name with an accent, "
        "and export as 'CSV UTF-8' if it is wrong"
    ]


def _utf16(head: bytes) -> str:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    even, odd = head[0::2], head[1::2]
    if len(odd) >= 8 and odd.count(0) > 0.8 * len(odd) and even.count(0) < 0.05 * len(even):
        return "utf-16-le"
    if len(odd) >= 8 and even.count(0) > 0.8 * len(even) and odd.count(0) < 0.05 * len(odd):
        return "utf-16-be"
    return ""


def _decodes(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    with path.open("rb") as raw:
        try:
            while chunk := raw.read(_CHUNK):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _check_decodes(path: Path, encoding: str) -> None:
    if not _decodes(path, encoding):
        raise ListRefused(
            f"the file begins as {encoding.upper()} but does not go on as that",
            todo="It was cut or joined from two files: export it again as 'CSV UTF-8'",
        )


def delimiter_of(sample: str) -> str:
    """The commonest of comma, semicolon, tab and bar in the header, outside quotation marks."""
    first = next((line for line in sample.splitlines() if line.strip()), "")
    bare = re.sub(r'"[^"]*"', "", first)
    return max((",", ";", "\t", "|"), key=lambda mark: (bare.count(mark), mark == ","))


def records_of(
    text: TextIO, delimiter: str, whole: Callable[[list[str]], bool] = lambda _cells: False
) -> Iterator[list[str] | None]:
    """The records of a file; None for one whose quotation marks are broken. Then it goes on.

    A broken record is its first line alone: the lines that an unclosed quotation mark would take
    along are read each by itself, so that one slip costs one row.

    Args:
        whole: whether cells are a row by themselves; a record that swallowed one is broken.
    """
    feed = _Feed(text)
    records = csv.reader(feed, delimiter=delimiter, strict=True)
    while True:
        feed.taken.clear()
        try:
            cells = next(records)
        except StopIteration:
            return
        except csv.Error:
            feed.back_to_first()
            yield None
            continue
        if any(whole(_alone(line, delimiter)) for line in feed.taken[1:]):
            feed.back_to_first()
            yield None
            continue
        yield cells


class _Feed:
    """Lines for a CSV reader; takes back those that a broken record took in vain."""

    def __init__(self, text: TextIO) -> None:
        self._text, self._again = text, deque[str]()
        self.taken: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._text)
        self.taken.append(line)
        return line

    def back_to_first(self) -> None:
        self._again.extendleft(reversed(self.taken[1:]))


def _alone(line: str, delimiter: str) -> list[str]:
    """One line's cells, none where it is no record by itself."""
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return []

"""A voter file's lines as cells: everything is text, no bad line takes a good one with it.

Bytes are read as UTF-8 where a line is that, else as latin-1, and brought to NFC. A line that
breaks the layout is told with its number and a reason, and the next is read as if it had not been.
"""

from __future__ import annotations

import codecs
import csv
import unicodedata
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import BinaryIO

from matching.roll.layout import Known

__all__ = ["decoded", "head", "records"]

_JOINED = 8
"""Lines that one record with line breaks inside quotation marks may span."""
_LONGEST = 1 << 20
"""Bytes of one line; the longest real ones (New York's histories) have some thousands."""


_WINDOWS = tuple(
    bytes([code]).decode("cp1252" if code not in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else "latin-1")
    for code in range(256)
)


def decoded(line: bytes) -> str:
    """One line as text: UTF-8 if it is that, else latin-1; NFC.

    Latin-1 as Windows means it, where curly apostrophes stand in the place of control characters.
    """
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        text = "".join(map(_WINDOWS.__getitem__, line))
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _lines(raw: BinaryIO) -> Iterator[bytes]:
    """Whole lines, of an over-long one the beginning; without a UTF-8 mark at the beginning."""
    mark = codecs.BOM_UTF8
    while line := raw.readline(_LONGEST):
        whole, mark = line.removeprefix(mark), b""
        while len(line) == _LONGEST and not line.endswith(b"\n"):
            line = raw.readline(_LONGEST)
        yield whole


def head(raw: BinaryIO, count: int = 50) -> list[str]:
    """The first lines that are not blank, decoded, without their ends."""
    filled = (line for line in islice(_lines(raw), 2 * count) if line.strip())
    return [decoded(line).rstrip("\r\n") for line in islice(filled, count)]


class _Broken(Exception):
    """A record that spans more lines than any real one: its quotation mark never closes."""


class _Feed:
    """Lines for a CSV reader, numbered; can be given back those it took in vain."""

    def __init__(self, raw: BinaryIO) -> None:
        self._lines = _lines(raw)
        self._again: deque[str] = deque()
        self.number = 0
        self.taken: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if len(self.taken) >= _JOINED:
            raise _Broken
        line = self._again.popleft() if self._again else decoded(next(self._lines))
        self.number += 1
        self.taken.append(line)
        return line

    def back_to(self, kept: int) -> None:
        """Give back all lines of this record but the first ``kept``."""
        given = self.taken[kept:]
        self._again.extendleft(reversed(given))
        self.number -= len(given)


def records(
    raw: BinaryIO, known: Known, told: Callable[[int, str], None]
) -> Iterator[tuple[int, list[str]]]:
    """The records with the number of their first line, the file's first being 1.

    Args:
        told: hears the line number and the reason of each that is set aside; never its contents.
    """
    layout, width = known.layout, len(known.columns)
    feed = _Feed(raw)
    reader = (
        csv.reader(feed, delimiter=known.delimiter, strict=True)
        if layout.quoted
        else csv.reader(feed, delimiter=known.delimiter, quoting=csv.QUOTE_NONE)
    )
    header = layout.header
    while True:
        feed.taken.clear()
        cells: list[str] | None = None
        try:
            cells = next(reader)
        except StopIteration:
            if not feed.taken:
                return
        except (csv.Error, _Broken):
            pass
        taken = feed.taken
        if cells and len(cells) == width and len(taken) == 1 and not header:
            if "\x00" not in taken[0]:
                yield feed.number, cells
                continue
        elif header and (cells is None or any(cells)):
            header = False
            feed.back_to(1)
            continue
        if cells == []:
            continue
        start = feed.number - len(taken) + 1
        # A record of the right width with a line break in it is one; else only its first line,
        # as where one of the lines it took is a record by itself.
        whole = cells is not None and len(cells) == width
        alone = whole and any(_whole(line, known, width) for line in taken[1:])
        feed.back_to(len(taken) if whole and not alone else 1)
        told(start, _why(taken, cells, width))


def _whole(line: str, known: Known, width: int) -> bool:
    """Whether one line is a record by itself."""
    try:
        return len(next(csv.reader([line], delimiter=known.delimiter, strict=True), [])) == width
    except csv.Error:
        return False


def _why(taken: list[str], cells: list[str] | None, width: int) -> str:
    """Why a record cannot be used."""
    if "\x00" in taken[0]:
        return "a null byte"
    if cells is None and len(taken[0]) > csv.field_size_limit():
        return "a line far longer than any of a voter file"
    if cells is None:
        return "a quotation mark that stands inside a cell or is not closed"
    if len(cells) != width:
        return f"{len(cells)} columns, not {width}"
    return "a line break inside a cell"

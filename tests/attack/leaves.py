"""What a reader of the public log has, and what of an identifier such a reader would recognise."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from provenance.canonical import COMMIT_LABEL, canonical
from provenance.entry import ENTRY_BYTES, ENTRY_LABEL, parse
from provenance.tiles import WIDTH, TileReader

DIGESTS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3_256", "blake2b", "blake2s")
SHORTEST = 8
"""Bytes: a shorter piece would stand in some of many random commitments by chance."""


class Readable(Protocol):
    """Public files."""

    def read(self, path: str) -> bytes | None:
        """The bytes of one."""


def entries_of(files: Readable, size: int, first: int = 0) -> list[bytes]:
    """The entries from index ``first`` on, from their bundles."""
    reader = TileReader(files.read, size)
    whole = [one for n in range(-(-size // WIDTH)) for one in reader.entries(n)]
    return whole[first:]


def strict(entry: bytes) -> None:
    """One length, one spelling, known fields, and every text in it of a shape that says nothing.

    Written apart from ``provenance.entry.parse``, which has to say yes too.
    """
    parse(entry)
    assert len(entry) == ENTRY_BYTES == 1536
    said = json.loads(entry)
    spelled = json.dumps(said, sort_keys=True, separators=(",", ":"))
    assert spelled.encode() == entry
    assert sorted(said) == ["actor", "at", "commitments", "pad", "signature", "type"]
    assert len(said["at"]) == len("2026-11-21T12Z")
    assert set(said["pad"]) <= {"0"}
    numbers = [(said["signature"], 128), *((one, 64) for one in said["commitments"].values())]
    for text, length in [*numbers, (said["actor"], 64)]:
        assert len(text) == length
        assert not set(text) - set("0123456789abcdef")


def masked(entry: bytes) -> tuple[str, str, tuple[str, ...], int]:
    """All of an entry but commitments, actor and signature: type, hour, fields, padding."""
    said = json.loads(entry)
    return said["type"], said["at"], tuple(said["commitments"]), len(said["pad"])


def spellings(value: Any) -> Iterator[bytes]:
    """A value as somebody might write it who wants to find it again."""
    yield canonical(value)
    if isinstance(value, str):
        yield from (value.encode(), value.lower().encode(), value.upper().encode())
        if len(value) % 2 == 0 and len(value) >= 2 * SHORTEST:
            with contextlib.suppress(ValueError):
                yield bytes.fromhex(value)


def digests(text: bytes) -> Iterator[bytes]:
    """What anybody can make of it: digests without a salt, with a salt of zeros, or labelled."""
    for label in (b"", COMMIT_LABEL, ENTRY_LABEL, COMMIT_LABEL + bytes(32), b"\0", b"\1"):
        for name in DIGESTS:
            yield hashlib.new(name, label + text).digest()


def traces(values: Iterable[Any], entries: Iterable[bytes]) -> set[str]:
    """Which values can be seen in these entries: as they are, in hex, or digested by anybody."""
    kept = list(entries)
    whole, pieces = b"\n".join(kept), {piece for one in kept for piece in _pieces(one)}
    found = set()
    for value in values:
        for text in set(spellings(value)):
            plain = len(text) >= SHORTEST and (text in whole or text[:SHORTEST] in pieces)
            if plain or any(made[:SHORTEST] in pieces for made in digests(text)):
                found.add(str(value))
    return found


def _pieces(entry: bytes) -> Iterator[bytes]:
    """Every run of ``SHORTEST`` bytes in an entry's numbers; the beginning of a digest is one."""
    said = json.loads(entry)
    for text in (said["actor"], said["signature"], *said["commitments"].values()):
        raw = bytes.fromhex(text)
        for at in range(len(raw) - SHORTEST + 1):
            yield raw[at : at + SHORTEST]

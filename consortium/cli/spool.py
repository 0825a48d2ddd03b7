"""A list's rows while they wait on this computer's disk, and the order in which they leave.

A list may be larger than memory. Its usable rows go to a file that has no name, record by record,
encrypted under a key that this process alone holds: when it ends, however it ends, what is left of
it opens for no one. Any record can be read at any time, since rows leave in random order.
"""

import json
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import overload

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from mailer.seal import Payload
from matching import normalise
from matching.recipes import Record, address_input, token_inputs


@dataclass(frozen=True, slots=True)
class Member:
    """One mailable row, ready to be tokenised and sealed; ``repr`` shows only where it stands."""

    row: int
    record: Record = field(repr=False)
    payload: Payload = field(repr=False)

    @property
    def inputs(self) -> tuple[bytes | None, ...]:
        """The input of each recipe's token, made when it is asked for."""
        return token_inputs(self.record)

    @property
    def address(self) -> bytes:
        """The input of the address token."""
        return address_input(self.payload.email)

    @property
    def zip(self) -> str:
        """The ZIP code on the list, or nothing."""
        return self.record.zip


class Spool:
    """Records on the disk, readable by this process alone.

    Args:
        folder: a private folder on the disk that has room; nothing with a name is left in it.
    """

    def __init__(self, folder: Path) -> None:
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115 - open as long as the spool is
        self._ends = array("Q", [0])
        self._aead = ChaCha20Poly1305(ChaCha20Poly1305.generate_key())

    def __del__(self) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._ends) - 1

    def append(self, record: bytes) -> None:
        """Keep one more record. Its number is its nonce: each is written once."""
        sealed = self._aead.encrypt(len(self).to_bytes(12, "big"), record, None)
        self._file.seek(self._ends[-1])
        self._file.write(sealed)
        self._ends.append(self._ends[-1] + len(sealed))

    def read(self, number: int) -> bytes:
        """Return one record."""
        begin, end = self._ends[number], self._ends[number + 1]
        self._file.seek(begin)
        return self._aead.decrypt(number.to_bytes(12, "big"), self._file.read(end - begin), None)


class Members(Sequence[Member]):
    """The mailable rows of a list, in the file's order or in another; in the spool, not in memory."""  # noqa: E501

    def __init__(self, folder: Path) -> None:
        self._spool = Spool(folder)
        self.numbers = array("L")
        """The row number of each, in the file's order, so rising."""
        self._order: Sequence[int] | None = None
        self.inputs = 0
        """How many inputs they have together, address tokens among them."""

    def add(self, row: int, record: Record, payload: Payload) -> None:
        """Keep the next row of the file."""
        birth = astuple(record.birth) if record.birth else None
        address = astuple(record.address) if record.address else None
        names = (record.first, record.middle, record.last, record.suffix, record.phone)
        sealed = (payload.email, payload.first_name, payload.language)
        kept = (row, sealed, names, birth, address, record.zip)
        self._spool.append(json.dumps(kept, separators=(",", ":")).encode())
        self.numbers.append(row)
        self.inputs += sum(one is not None for one in token_inputs(record)) + 1

    def ordered(self, numbers: Sequence[int]) -> "Members":
        """The same rows in the order of these row numbers, each of which must be one of them."""
        same = object.__new__(Members)
        same._spool, same.numbers, same.inputs = self._spool, self.numbers, self.inputs
        same._order = array("L", (bisect_left(self.numbers, number) for number in numbers))
        return same

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, at: int) -> Member: ...
    @overload
    def __getitem__(self, at: slice) -> list[Member]: ...
    def __getitem__(self, at: int | slice) -> Member | list[Member]:
        if isinstance(at, slice):
            return [self[n] for n in range(*at.indices(len(self)))]
        if not -len(self) <= at < len(self):
            raise IndexError(at)
        place = at % len(self)
        return self._member(place if self._order is None else self._order[place])

    def __iter__(self) -> Iterator[Member]:
        return (self[n] for n in range(len(self)))

    def _member(self, place: int) -> Member:
        row, sealed, names, birth, address, zip = json.loads(self._spool.read(place))
        first, middle, last, suffix, phone = names
        born = normalise.Birth(*birth) if birth else None
        at = normalise.Address(*address) if address else None
        record = Record(first, middle, last, suffix, phone, born, at, zip)
        return Member(row, record, Payload(*sealed))

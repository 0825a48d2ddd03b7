"""Taking single rows back: named on this computer, retired at custodians, gone from the service.

Crash order. ``parting-*.enc`` fixes which rows leave, with everything needed to say so again;
custodians are told, then the server and the log; only when all of them know are the rows forgotten
here. The bundle's tree keeps every commitment, so that receipts of the other rows stand.
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from consortium.cli import withdrawing
from consortium.cli.api import Api, entry_json, same_leaf
from consortium.cli.drafts import drafted_once, keep_receipt
from consortium.cli.errors import HomeRefused
from consortium.cli.home import Home
from consortium.cli.lists import GONE, TREE, OwnList, OwnRow, blank_rows
from consortium.cli.spool import Member
from consortium.cli.uploading import row_opening
from consortium.cli.vault import part_of
from consortium.clock import Clock, utc
from matching import normalise
from matching.bundle import row_of_tag, rows_of_tags, without_rows
from provenance.rows import RowOpening, RowProof, check_row, prove_row, row_leave

FINDER = "finder.enc"
MOST_ROWS = 10_000
"""Rows in one withdrawal; the server takes no more, and who has more takes back the list."""
_NAME = 8
_ENTRY = _NAME + 4


@dataclass(frozen=True, slots=True)
class Parting:
    """Rows on their way out; ``repr`` shows only how many."""

    file: Path
    numbers: tuple[int, ...]
    tags: tuple[bytes, ...] = field(repr=False)
    secrets: tuple[bytes, ...] = field(repr=False)
    salt: bytes = field(repr=False)
    told: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """What the encrypted file holds."""
        return {
            "numbers": list(self.numbers),
            "tags": [one.hex() for one in self.tags],
            "secrets": [one.hex() for one in self.secrets],
            "salt": self.salt.hex(),
            "told": list(self.told),
        }


# -- which rows ------------------------------------------------------------------------------------


def remember(home: Home, own: OwnList, members: Iterable[Member]) -> None:
    """Remember on this computer which address stands in which row, as keyed hashes, encrypted."""
    if own.has(FINDER):
        return
    found = b"".join(
        sorted(_name(home, one.payload.email) + one.row.to_bytes(4, "big") for one in members)
    )
    home.vault.write(own.folder / FINDER, base64.b64encode(found).decode())


def _name(home: Home, address: str) -> bytes:
    said = normalise.email(address).encode()
    if not said:
        return b""  # no address at all: it names no row
    return hmac.digest(home.secret("finder"), said, hashlib.sha256)[:_NAME]


def numbers(home: Home, own: OwnList, lines: Iterable[str]) -> list[int]:
    """Read which rows are meant: a line is a row number of the uploaded file, or an address.

    Raises:
        HomeRefused: says which line names no row of this list, never what stands in it.
    """
    known = {row.row for row in own.rows(home)}
    by_name = _finder(home, own)
    found: set[int] = set()
    for at, line in enumerate(lines, 1):
        text = line.strip()
        if not text:
            continue
        plain = text.isascii() and text.isdecimal()
        number = int(text) if plain else by_name.get(_name(home, text))
        if number not in known:
            raise HomeRefused(
                f"line {at} names no row of this list: give the row's number in the uploaded file "
                "(the header is 1) or the address as it stood there. Nothing was withdrawn"
            )
        found.add(number)
    if not found:
        raise HomeRefused("no row was named; nothing was withdrawn")
    if len(found) > MOST_ROWS:
        raise HomeRefused(f"at most {MOST_ROWS:,} rows at once; withdraw the list instead")
    return sorted(found)


def _finder(home: Home, own: OwnList) -> dict[bytes, int]:
    if not own.has(FINDER):
        return {}
    raw = base64.b64decode(home.vault.read(own.folder / FINDER))
    each = (raw[at : at + _ENTRY] for at in range(0, len(raw), _ENTRY))
    return {one[:_NAME]: int.from_bytes(one[_NAME:], "big") for one in each}


# -- on their way ----------------------------------------------------------------------------------


def begin(home: Home, own: OwnList, rows: Sequence[int]) -> None:
    """Fix which rows leave, durably; from here on this computer attests none of them."""
    already = {number for one in unfinished(home, own) for number in one.numbers}
    leaving = [row for row in own.rows(home) if row.row in {*rows} - already]
    if not leaving:
        return
    made = Parting(
        own.folder / f"parting-{secrets.token_hex(4)}.enc",
        tuple(row.row for row in leaving),
        tuple(row.tag for row in leaving),
        tuple(row.secret for row in leaving),
        secrets.token_bytes(32),
    )
    home.vault.write(made.file, made.to_json())


def unfinished(home: Home, own: OwnList) -> list[Parting]:
    """Withdrawals of rows that somebody has not heard of yet."""
    return list(_unfinished(home, own))


def _unfinished(home: Home, own: OwnList) -> Iterator[Parting]:
    for file in sorted(own.folder.glob("parting-*.enc")):
        kept = home.vault.read(file)
        yield Parting(
            file,
            tuple(kept["numbers"]),
            tuple(bytes.fromhex(one) for one in kept["tags"]),
            tuple(bytes.fromhex(one) for one in kept["secrets"]),
            bytes.fromhex(kept["salt"]),
            tuple(kept["told"]),
        )


def retire(
    home: Home,
    one: Parting,
    progress: Callable[[int, int], None],
    *,
    clock: Clock = utc,
    transport: httpx.BaseTransport | None = None,
) -> withdrawing.Told:
    """Reveal the rows' secrets to each custodian in padded batches, and remember who has them."""
    bodies = withdrawing.batches(one.secrets)
    heard = one.told
    told = withdrawing.tell(
        home, "retire", bodies, clock=clock, transport=transport, already=heard, progress=progress
    )
    home.vault.write(one.file, {**one.to_json(), "told": list(told.done)})
    return told


def hand_in(api: Api, own: OwnList, one: Parting) -> tuple[str, int]:
    """Sign and hand in; the leaf in hex, and after how many days backups forget. Repeatable."""
    tags = sorted(one.tags)
    digest = hashlib.sha256(one.salt + b"".join(tags)).hexdigest()
    facts = {"kind": "rows", "bundle": own.id, "rows": digest}
    drafted = drafted_once(
        api.home, one.file.with_suffix(".entry.json"), "withdrawal", facts, api.clock
    )
    # Sorted each by itself: the server need not know which of them is which row's.
    leaves = sorted(row_leave(secret) for secret in one.secrets)
    body = {
        **entry_json(drafted),
        "salt": one.salt.hex(),
        "tags": [tag.hex() for tag in tags],
        "leaves": [leave.hex() for leave in leaves],
    }
    answer = api.post(f"/contributions/{own.id}/withdraw-rows", body)
    return same_leaf(drafted, answer), withdrawing.backup_days(answer)


def logged(api: Api, one: Parting, leaf: str, timeout: float) -> None:
    """Wait until the log holds the withdrawal, and keep its receipt."""
    receipt = one.file.with_suffix(".receipt.json")
    keep_receipt(receipt, api.wait_published(leaf, timeout), api)


# -- forgetting ------------------------------------------------------------------------------------


def forget(home: Home, own: OwnList, one: Parting) -> None:
    """Let go of the rows on this computer too; what stays is their commitments, which nothing
    opens any more, and bare locks.

    The locks stay so that this computer can still refuse an audience that holds one of them.
    """
    kept = own.rows(home)
    left = {*one.numbers}
    gone = dict(own.gone(home))
    gone |= {row.row: row.lock for row in kept if row.row in left}
    home.vault.write(own.folder / GONE, [[n, lock.hex()] for n, lock in sorted(gone.items())])
    path = own.folder / "rows.parquet"
    places = rows_of_tags(path, one.tags)
    if places:
        with part_of(path) as part:
            without_rows(path, part, places.values())
    blank_rows(home, own, left)
    _forget_names(home, own, left)
    one.file.unlink()  # last of all: until here the same again goes on


def _forget_names(home: Home, own: OwnList, left: set[int]) -> None:
    if own.has(FINDER):
        raw = base64.b64decode(home.vault.read(own.folder / FINDER))
        each = [raw[at : at + _ENTRY] for at in range(0, len(raw), _ENTRY)]
        stays = b"".join(one for one in each if int.from_bytes(one[_NAME:], "big") not in left)
        home.vault.write(own.folder / FINDER, base64.b64encode(stays).decode())


def row_proof(home: Home, own: OwnList, number: int) -> tuple[RowOpening, RowProof]:
    """What opens one live row, and its proof under the logged root; ``number`` is the file's.

    Raises:
        HomeRefused: the list has no such row any more, or no tree on this computer.
        InclusionRefused: what is kept here does not lead to the root that was logged.
    """
    mine = _row(own.rows(home), number)
    if not own.has(TREE):
        raise HomeRefused(
            "this list was uploaded by an older version of this tool, which kept no tree of its "
            "rows: upload it again, then withdraw this one"
        )
    opening = row_opening(row_of_tag(own.folder / "rows.parquet", mine.tag), mine.secret)
    proof = prove_row((own.folder / TREE).read_bytes(), opening)
    header = json.loads((own.folder / "header.json").read_bytes())
    check_row(opening, proof, header["size_class"], bytes.fromhex(header["root"]))
    return opening, proof


def _row(rows: Iterable[OwnRow], number: int) -> OwnRow:
    for row in rows:
        if row.row == number:
            return row
    raise HomeRefused(f"row {number} is not in this list, or was withdrawn")

"""Plants words nobody else says in every field of a world, and finds them in any dress."""

from __future__ import annotations

import base64
import csv
import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb

MARK = "qzxvjkwp"
"""Begins every planted word; two letters for the field and six for the value follow."""

# The coarse attributes that docs/world.md lists, and what the readers need to be well-formed.
ROLL_STAYS = {
    "COUNTY", "PRECINCT", "CONGRESSIONAL", "STATE_SENATE", "STATE_HOUSE", "RESIDENTIAL_ZIP_CODE",
    "BIRTH_YEAR", "STATUS", "RESIDENTIAL_STATE", "HOUSE_NUM", "PRE_DIR", "STREET_TYPE",
    "POST_DIR", "UNIT_TYPE", "UNIT_NUM", "HOUSE_SUFFIX",
}  # fmt: skip
HISTORY_STAYS = {"ELECTION_TYPE", "ELECTION_DATE"}
LIST_STAYS = {
    "zip_code", "Zip5", "primary_zip", "can2_state_abbreviated", "State", "primary_state",
    "can2_subscription_status", "EmailSubscriptionStatus", "email_opt_in", "email1_is_bad",
    "do_not_contact", "DOB", "born_at",
}  # fmt: skip
KINDS = {
    "first_name": "fn", "FirstName": "fn", "FIRST_NAME": "fn",
    "last_name": "ln", "LastName": "ln", "LAST_NAME": "ln",
    "middle_name": "mn", "MiddleName": "mn", "MIDDLE_NAME": "mn",
    "suffix": "sx", "Suffix": "sx", "NAME_SUFFIX": "sx",
    "can2_user_city": "ci", "City": "ci", "primary_city": "ci", "RESIDENTIAL_CITY": "ci",
}  # fmt: skip
ADDRESSES = {"can2_user_address", "Address", "primary_address1", "RESIDENTIAL_ADDRESS"}
PHONES = {"can2_phone", "Cell Phone", "phone_number", "PHONE_NUM"}
EMAILS = {"email", "email1", "Email"}
PHONE = "9178346"
VOTER = "734600"
NUMBERS = re.compile(
    rb"(?<![0-9a-f])(?:917\W{0,2}834\W?6\d{3}|734600\d{6})(?![0-9a-f])", re.IGNORECASE
)


def word(kind: str, value: str) -> str:
    """The planted word for a value: equal values of a field stay equal, so that people match."""
    digest = hashlib.sha256(f"{kind}|{value.strip().casefold()}".encode()).digest()
    return MARK + kind + "".join("bcdfghkmprstvwxz"[byte & 15] for byte in digest[:6])


def plant(world: Path) -> dict[str, list[str]]:
    """Rewrite a made world in place. Returns the kinds planted, by file."""
    planted: dict[str, list[str]] = {}
    births: list[str] = []
    for path in sorted((world / "partners").glob("*/members.csv")):
        planted[path.parent.name] = _rewrite(path, LIST_STAYS, births, more=True)
    for path in sorted((world / "roll").iterdir()):
        stays = HISTORY_STAYS if path.name.startswith("EX-002") else ROLL_STAYS
        planted[path.name] = _rewrite(path, stays, [], more=False)
    truth = world / "truth.csv"
    lines = truth.read_text().splitlines()
    truth.write_text(
        "\n".join([lines[0], *(_true(line) for line in lines[1:])]) + "\n"
    )  # fmt: skip
    planted["births"] = births
    return planted


def _true(line: str) -> str:
    rest, _, voter = line.rpartition(",")
    return f"{rest},{_voter(voter) if voter else ''}"


def _voter(value: str) -> str:
    return VOTER + value[-6:].zfill(6)


def _rewrite(path: Path, stays: set[str], births: list[str], *, more: bool) -> list[str]:
    encoding = "utf-8" if more else "latin-1"  # as the state ships its files
    with path.open(newline="", encoding=encoding) as file:
        header, *rows = csv.reader(file)
    kinds: set[str] = set()
    done = [[*header, word("hd", "custom"), "Notes"] if more else header]
    for row in rows:
        if len(row) != len(header):
            done.append([word("bd", cell) for cell in row])  # a malformed row says things too
            continue
        cells = [
            cell if name in stays else _cell(name, cell, kinds)
            for name, cell in zip(header, row, strict=True)
        ]
        births += [cell for name, cell in zip(header, row, strict=True)
                   if name in ("DOB", "born_at") and cell]  # fmt: skip
        done.append([*cells, word("cu", row[0]), word("no", row[0])] if more else cells)
    quoting = csv.QUOTE_MINIMAL if more else csv.QUOTE_ALL
    with path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file, quoting=quoting).writerows(done)
    return sorted(kinds)


def _cell(name: str, cell: str, kinds: set[str]) -> str:
    if name == "VOTER_ID":
        return _voter(cell)
    if name in PHONES:
        digits = re.sub(r"\D", "", cell)
        return f"917-834-6{digits[-3:]}" if len(digits) == 10 else ""
    if name in EMAILS:
        local, at, _ = cell.partition("@")
        kinds.update({"em", "do"} if at else {"em"})
        return f"{word('em', local)}@{word('do', local)}.example.com" if at else word("em", cell)
    if name in ADDRESSES or name == "STREET_NAME":
        kinds.add("st")
        return _street(cell) if name in ADDRESSES else word("st", cell)
    kind = KINDS.get(name, "xx")
    # What a real export leaves empty stays empty where matching reads it: an initial, a suffix.
    if kind in ("mn", "sx", "fn", "ln") and not cell:
        return ""
    kinds.add(kind)
    return word(kind, cell or name)


def _street(cell: str) -> str:
    """Number, direction and kind of street stay; its name is planted."""
    parts = cell.split()
    if len(parts) < 3:
        return word("st", cell) if cell else ""
    at = 2 if len(parts) > 3 and len(parts[1]) <= 2 else 1
    kind = parts[-1]
    return " ".join([*parts[:at], word("st", " ".join(parts[at:-1])), kind])


# --- finding ----------------------------------------------------------------------------------


def _dresses(mark: str = MARK) -> re.Pattern[bytes]:
    """The mark in plain, UTF-16, hex, base64 and base32, in the cases that a program would write.

    Of base64 and base32 only the characters that the neighbours cannot change are searched.
    """
    found: set[bytes] = set()
    for typed in (mark, mark.upper(), mark.capitalize()):
        for raw in (typed.encode(), typed.encode("utf-16-le"), typed.encode("utf-16-be")):
            found |= {raw, raw.hex().encode()}
            for skip in range(3):
                text = base64.b64encode(b"\0" * skip + raw)
                found.add(text[(0, 2, 3)[skip] : (len(raw) + skip) * 8 // 6])
            for skip in range(5):
                text = base64.b32encode(b"\0" * skip + raw)
                found.add(text[-(-skip * 8 // 5) : (len(raw) + skip) * 8 // 5])
    # Case is ignored throughout: a hit in base64 of another case is no less worth a look.
    return re.compile(b"|".join(re.escape(each) for each in sorted(found)), re.IGNORECASE)


DRESSES = _dresses()


def in_bytes(raw: bytes, births: frozenset[bytes] = frozenset()) -> set[str]:
    """What of the planted stands in these bytes: kinds of words, "number", "birth"."""
    soft = raw.replace(b"=\r\n", b"").replace(b"=\n", b"")  # quoted-printable breaks words
    found: set[str] = set()
    for text in (raw, soft) if soft != raw else (raw,):
        for hit in DRESSES.finditer(text):
            plain = re.match(rb"qzxvjkwp([a-z]{2})", text[hit.start() :][:10].lower())
            found.add(plain[1].decode() if plain else "encoded")
        if NUMBERS.search(text):
            found.add("number")
        found |= {"birth" for one in births if one in text}
    return found


def in_folder(folder: Path, births: frozenset[bytes] = frozenset()) -> dict[str, set[str]]:
    """By file, what of the planted stands in its name, its bytes, or its columns if Parquet."""
    found: dict[str, set[str]] = {}
    for path in sorted(folder.rglob("*")):
        hits = in_bytes(str(path.relative_to(folder)).encode())
        if path.is_file():
            for raw in _contents(path):
                hits |= in_bytes(raw, births)
        if hits:
            found[str(path.relative_to(folder))] = hits
    return found


def _contents(path: Path) -> Iterator[bytes]:
    raw = path.read_bytes()
    yield raw
    if raw[:4] == b"PAR1" and raw[-4:] == b"PAR1":  # its pages are compressed
        with duckdb.connect() as base:
            for row in base.read_parquet(str(path)).fetchall():
                yield b"\n".join(
                    cell if isinstance(cell, bytes) else str(cell).encode() for cell in row
                )
    if raw[:2] == b"\x1f\x8b" or raw[:1] == b"\x78":
        yield _inflated(raw)


def _inflated(raw: bytes) -> bytes:
    import zlib

    try:
        return zlib.decompress(raw, wbits=47)
    except zlib.error:
        return b""


Dress = Callable[[str], bytes]
DRESSED: tuple[tuple[str, Dress], ...] = (
    ("plain", lambda w: b"x " + w.encode()),
    ("capital", lambda w: w.upper().encode()),
    ("title", lambda w: w.title().encode()),
    ("utf-16-le", lambda w: w.encode("utf-16-le")),
    ("utf-16-be", lambda w: ("ab" + w.upper()).encode("utf-16-be")),
    ("hex", lambda w: w.encode().hex().upper().encode()),
    ("base64", lambda w: base64.b64encode(w.encode())),
    ("base64 after one", lambda w: base64.b64encode(b"." + w.encode() + b"...")),
    ("base64 after two", lambda w: base64.urlsafe_b64encode(b".." + w.title().encode())),
    ("base32", lambda w: base64.b32encode(b"..." + w.encode() + b".")),
    ("quoted-printable", lambda w: f"a=\n{w[:5]}=\r\n{w[5:]}".encode()),
)

"""Which column is which, as the partner confirmed it for files of one header; kept in its home."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import rfc8785

from consortium.cli.errors import HomeRefused, ListRefused
from consortium.cli.handing_in import digest_of
from consortium.cli.home import Home, Json
from matching.columns import Listing, open_list
from matching.errors import ListRefused as UnreadableList
from matching.headers import header_key
from matching.systems import FIELDS

FILE = "columns.json"


def said(options: Sequence[str]) -> dict[str, str]:
    """Read ``FIELD=HEADER`` words; raises ListRefused."""
    found: dict[str, str] = {}
    for option in options:
        field, equals, header = option.partition("=")
        if not equals or field.strip() not in FIELDS:
            raise ListRefused(
                f"--column takes FIELD=HEADER, or FIELD= for one that is not to be read. "
                f"The fields are {', '.join(FIELDS)}"
            )
        found[field.strip()] = header.strip()
    return found


def kept(home: Home) -> dict[str, dict[str, str]]:
    """By header key, field to header as confirmed; "" is a field that is not read."""
    if not (home.path / FILE).exists():
        return {}
    found = home.read_json(FILE)
    for columns in found.values():
        if not isinstance(columns, dict) or not all(
            isinstance(word, str) for pair in columns.items() for word in pair
        ):
            raise HomeRefused(f"{FILE} is not what this tool wrote: delete it and confirm again")
    return found


def choices(home: Home, now: Mapping[str, str]) -> Callable[[str], Mapping[str, str]]:
    """What is kept for a header with what is said now put over it."""
    before = kept(home)
    return lambda key: {**before.get(key, {}), **now}


def keep(home: Home, listing: Listing) -> None:
    """Keep a confirmed listing's columns, those that are not read too, for the next such file."""
    columns = {field: listing.mapping.get(field, "") for field in FIELDS}
    home.write_json(FILE, {**kept(home), header_key(listing.header): columns})


def confirmed(home: Home, listing: Listing) -> bool:
    """Whether these very columns were confirmed before."""
    columns = {field: listing.mapping.get(field, "") for field in FIELDS}
    return kept(home).get(header_key(listing.header)) == columns


def identity(path: Path, listing: Listing, stops: Sequence[Path]) -> bytes:
    """What makes an upload the same one: the file, and what was said of it beside it.

    Returns:
        The file's SHA-256 alone when the tool found the columns itself and no stops were given.
    """
    digest = digest_of(path)
    own = dict(listing.mapping)
    if not stops and own == _found(path):
        return bytes.fromhex(digest)
    more: Json = {"file": digest, "columns": own, "stops": sorted(map(digest_of, stops))}
    return hashlib.sha256(rfc8785.dumps(more)).digest()


def _found(path: Path) -> dict[str, str]:
    """The columns as the tool finds them itself; none when it does not."""
    try:
        return dict(open_list(path).mapping)
    except UnreadableList:
        return {}

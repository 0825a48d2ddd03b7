"""What a row of a partner's list says about writing to its member: the most restrictive wins."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from matching import normalise
from matching.headers import fold_header
from matching.systems import FLAGS, NOES, STATUSES

__all__ = ["address_and_status", "file_status", "flags_of", "fold_status", "stricter"]


class Listed(Protocol):
    """A list whose columns are understood."""

    @property
    def path(self) -> Path: ...
    @property
    def system(self) -> str: ...
    @property
    def mapping(self) -> Mapping[str, str]: ...
    @property
    def flags(self) -> tuple[tuple[str, str], ...]: ...
    def cell(self, cells: list[str], field: str) -> str: ...


_STRICTNESS = (
    "subscribed", "unknown", "never", "unsubscribed", "cleaned", "bounced", "blocked",
    "spam complaint",
)  # fmt: skip


def fold_status(raw: str) -> str:
    """One of the eight words; an empty cell or a word nobody knows is "unknown".

    A word nobody knows that says no ("Removed", "No longer subscribed") is one of the no's: a
    partner may vouch for who is unknown, and for nobody who declined.
    """
    folded = fold_header(raw)
    known = STATUSES.get(folded)
    if known is None:
        return next((word for pattern, word in NOES if pattern.search(folded)), "unknown")
    # Folding takes a minus away: -1 is not 1.
    return "unknown" if raw.strip().startswith(("-", "\u2212")) else known


def flags_of(places: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Of places keyed "~header", those that say no: the status they mean, and the key."""
    here = frozenset(places)
    return tuple(
        (no, f"~{one}") for no, flags in FLAGS.items() for one in flags if f"~{one}" in here
    )


def stricter(one: str, other: str) -> str:
    return max(one, other, key=_STRICTNESS.index)


def address_and_status(listing: Listed, cells: list[str]) -> tuple[str, str]:
    """The address one row names, and the strictest of all it says about writing to it."""
    status, address = _own_status(listing, cells), listing.cell(cells, "email")
    for no, flag in listing.flags:
        if _denied(listing.cell(cells, flag)):
            status = stricter(status, no)
    if listing.system == "nationbuilder":
        address, bad = _nationbuilder_address(listing, cells, address)
        status = stricter(status, "bounced") if bad else status
    elif listing.system == "mailchimp":
        said = file_status("mailchimp", listing.path)
        # The file's name says it of all its rows, and only what no column denies.
        status = said if status == "unknown" and said else stricter(status, said or status)
        if listing.cell(cells, "~unsub time"):
            status = stricter(status, "unsubscribed")
        if listing.cell(cells, "~clean time"):
            status = stricter(status, "cleaned")
    return address, status


def _own_status(listing: Listed, cells: list[str]) -> str:
    """What the status column says; "not opted out" is not "opted in": it stays unknown."""
    header = listing.mapping.get("status")
    if header is None:
        return "unknown"
    said = fold_status(listing.cell(cells, "status"))
    if not _NO_COLUMN.search(fold_header(header)):
        return said
    # "Unsubscribed: yes" is a no, though "yes" by itself is none.
    no = _denied(listing.cell(cells, "status"))
    return (
        stricter(said if said != "subscribed" else "unknown", "unsubscribed") if no else "unknown"
    )


def file_status(slug: str, path: Path) -> str:
    """Mailchimp exports one file per status and says which in the file's name alone."""
    if slug != "mailchimp":
        return ""
    found = re.match(r"(un|non)?(subscribed|cleaned)", path.name.casefold().replace("-", ""))
    words = {"subscribed": "subscribed", "unsubscribed": "unsubscribed", "cleaned": "cleaned"}
    return words.get(found[0], "never") if found else ""


_NO_COLUMN = re.compile(r"\b(unsub|opt(ed)? ?out|optout|bounc|block|suppress|do not|no email)")
_NOT_SO = frozenset(
    {
        "",
        "0",
        "no",
        "n",
        "false",
        "f",
        "none",
        "null",
        "nan",
        "n/a",
        "na",
        "never",
        "unchecked",
        "-",
    }
)


def _denied(cell: str) -> bool:
    """Whether a cell of a column that says no says it: a tick, a date, a reason."""
    return cell.strip().casefold() not in _NOT_SO


def _ticked(cell: str) -> bool:
    return cell.strip().casefold() in {"true", "yes", "y", "1", "t", "x", "checked"}


def _nationbuilder_address(listing: Listed, cells: list[str], main: str) -> tuple[str, bool]:
    """The first address that is not marked bad; the main one, and True, when all are."""
    numbered = [listing.cell(cells, f"~email{n}") for n in range(1, 5)]
    bad = {
        normalise.email(address)
        for n, address in enumerate(numbered, 1)
        if _ticked(listing.cell(cells, f"~email{n} is bad"))
    }
    if _ticked(listing.cell(cells, "~email1 is bad")) and not numbered[0]:
        bad.add(normalise.email(main))
    offered = [address for address in (main, *numbered) if address]
    good = [address for address in offered if normalise.email(address) not in bad]
    return (good[0], False) if good else (offered[0] if offered else "", bool(offered))

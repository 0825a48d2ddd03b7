"""Which column is which, from a list's header alone: no row is looked at."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence

from matching.errors import ListRefused
from matching.systems import FIELDS, FLAGS, SYNONYMS, SYSTEMS, System


def header_key(header: Sequence[str]) -> str:
    """By what a header is known again: SHA-256 of its folded names in their order, as hex."""
    return hashlib.sha256("\n".join(map(fold_header, header)).encode()).hexdigest()


def fold_header(raw: str) -> str:
    """Fold a header so that "First_Name ", "first name" and "FIRST-NAME" are one."""
    folded = unicodedata.normalize("NFKC", raw).strip("\ufeff \t").casefold()
    return re.sub(r"[\s_\-.:*]+", " ", folded).strip()


def system_of(folded: Sequence[str]) -> System:
    """Whose export this is, by the header's folded names; the last of all where nobody's."""
    for system in SYSTEMS:
        for signature in system.signatures:
            if signature.endswith("*"):
                if any(cell.startswith(signature[:-1]) for cell in folded):
                    return system
            elif signature in folded:
                return system
    return SYSTEMS[-1]


def places_of(system: System, folded: Sequence[str]) -> dict[str, int]:
    """Where each field stands, by the system's own names and then by the usual ones."""
    found: dict[str, int] = {}
    for name, synonyms in SYNONYMS.items():
        for wanted in (*system.columns.get(name, ()), *synonyms):
            if wanted in folded and folded.index(wanted) not in found.values():
                found[name] = folded.index(wanted)
                break
    if "first" in found and "last" in found:
        found.pop("full", None)
    return found


def choose(
    found: dict[str, int], header: Sequence[str], chosen: Mapping[str, str]
) -> dict[str, int]:
    """The places with a person's choices put over them; the same column may not serve twice.

    Raises:
        ListRefused: there is no such field, or not exactly one such column.
    """
    folded = [fold_header(cell) for cell in header]
    for name, wanted in chosen.items():
        if name not in FIELDS:
            raise ListRefused(
                "there is no such field to read a column into",
                column=wanted,
                todo=f"The fields are {', '.join(FIELDS)}",
            )
        found.pop(name, None)
        if not wanted:
            continue
        if folded.count(fold_header(wanted)) != 1:
            raise ListRefused(
                "is not the name of exactly one column",
                column=wanted,
                todo="Name a column as it stands in the file's first row",
            )
        at = folded.index(fold_header(wanted))
        found = {field: place for field, place in found.items() if place != at}
        found[name] = at
    return found


def check_email(header: Sequence[str], folded: Sequence[str], places: Mapping[str, int]) -> None:
    """Refuse a list without addresses, or with two columns that are called so."""
    if "email" not in places:
        if len(header) == 1:
            raise ListRefused(
                "the file has one column and it is not 'email'",
                todo="Use commas, semicolons or tabs between columns, and give the file a header",
            )
        raise ListRefused(
            f"none of the {len(header)} columns is called 'email'",
            column="email",
            todo="Add a header row, rename the column that holds the addresses to 'email', or say "
            "which one it is",
        )
    for name in ("email", "status"):
        if name in places and folded.count(folded[places[name]]) > 1:
            raise ListRefused(
                "stands in the header twice", column=header[places[name]], todo="Keep one of them"
            )


def status_places(system: System, folded: Sequence[str]) -> dict[str, int]:
    """The columns beside the status that can only take consent away; keyed "~header"."""
    wanted = sum(FLAGS.values(), ())
    if system.slug == "nationbuilder":
        for n in range(1, 5):
            wanted += (f"email{n}", f"email{n} is bad")
    if system.slug == "mailchimp":
        wanted += ("unsub time", "clean time")
    return {f"~{name}": folded.index(name) for name in wanted if name in folded}

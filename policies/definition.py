"""One question, one spelling: the normal form under which a count is looked up and paid for."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import rfc8785

from policies.errors import DefinitionRefused

KINDS = ("district", "precinct", "zip")
VOTES = ("0", "1-2", "3-4", "new")
"""Of the last four general elections; who is new registered after the last of them."""
PRIMARIES = ("0", "1-2", "3-4")
"""In how many of the last four years with a primary one voted in one."""
FILTERS = ("age", "votes", "primaries")
AGES = ("18-34", "35-49", "50-64", "65+")
"""The bands in which a roll slice says how old somebody is."""
MIN_REGISTERED = 500
"""Smallest place, in registered voters of the roll: public, so that refusing tells nothing."""
MAX_PLACES = 200
_BAND = re.compile(r"[0-9]{2}(-[0-9]{2}|\+)\Z")

Catalogue = Mapping[str, Mapping[str, int]]
Containment = Mapping[tuple[str, str], Sequence[tuple[str, str]]]


def normal_form(
    raw: Mapping[str, Any],
    catalogue: Catalogue,
    *,
    containment: Containment | None = None,
    ages: Sequence[str] | None = None,
    votes: Sequence[str] = VOTES,
    primaries: Sequence[str] = PRIMARIES,
) -> dict[str, Any]:
    """Put a question in the one spelling that all equal questions share.

    Args:
        raw: ``{"places": {kind: [codes]}, "age": [bands], "votes": [bands], "primaries":
            [bands]}``; places are a union.
        catalogue: kind -> code -> registered voters, from the roll alone.
        containment: what lies whole within a place, as ``(kind, code) -> [(kind, code)]``. Where it
            is given, a place inside another chosen one disappears.
        ages: every age band of this roll; naming all of them is naming none. Without it any
            word of the shape 18-34 or 65+ is a band.
        votes, primaries: likewise for past votes.

    Returns:
        Sorted, without duplicates, empty kinds absent, "any" absent.

    Raises:
        DefinitionRefused: an unknown key, place or band, no place at all, a place too small, or
            a filter that is never allowed (NOT, partner).
    """
    if not isinstance(raw, Mapping):
        raise DefinitionRefused("definition", "is not an object")
    for key in raw:
        _refuse_key(key)
    normal: dict[str, Any] = {"places": _places(raw.get("places"), catalogue, containment or {})}
    for field, bands in zip(FILTERS, (ages, votes, primaries), strict=True):
        chosen = _bands(field, raw.get(field), bands)
        if chosen is not None:
            normal[field] = chosen
    return normal


def key(normal: Mapping[str, Any]) -> str:
    """Return the 64 hex characters under which a normal form is memoised."""
    return hashlib.sha256(b"trellis/definition/v1\n" + rfc8785.dumps(dict(normal))).hexdigest()


def _refuse_key(key: object) -> None:
    if key in ("places", *FILTERS):
        return
    if isinstance(key, str) and key.lower() in ("not", "except", "exclude", "minus"):
        raise DefinitionRefused(
            "definition", "leaving a place out is not offered; add places instead"
        )
    if isinstance(key, str) and key.lower() in ("partner", "partners", "source", "sources"):
        raise DefinitionRefused("definition", "no question may be about one partner's list")
    raise DefinitionRefused("definition", "has a key other than places, age, votes and primaries")


def _places(raw: object, catalogue: Catalogue, containment: Containment) -> dict[str, list[str]]:
    if not isinstance(raw, Mapping):
        raise DefinitionRefused("places", "is not an object of kind to codes")
    chosen: set[tuple[str, str]] = set()
    for kind, codes in raw.items():
        if kind not in KINDS:
            raise DefinitionRefused("places", f"a place is one of {', '.join(KINDS)}")
        for code in _strings(f"places.{kind}", codes):
            _offered(kind, code, catalogue)
            chosen.add((kind, code))
    if not chosen:
        raise DefinitionRefused("places", "choose at least one place")
    if len(chosen) > MAX_PLACES:
        raise DefinitionRefused("places", f"choose at most {MAX_PLACES} places, or a larger one")
    covered = {inner for outer in chosen for inner in _within(outer, containment)}
    kept = sorted(chosen - covered)
    return {kind: [c for k, c in kept if k == kind] for kind in sorted({k for k, _ in kept})}


def _within(outer: tuple[str, str], containment: Containment) -> set[tuple[str, str]]:
    """Return everything strictly inside a place, however deep; two equal places keep the first."""
    inside: set[tuple[str, str]] = set()
    waiting = list(containment.get(outer, ()))
    while waiting:
        place = waiting.pop()
        if place in inside or place == outer:
            continue
        inside.add(place)
        waiting.extend(containment.get(place, ()))
    # Two names of one area contain each other: the smaller name stays, the other goes.
    return {p for p in inside if outer < p or outer not in containment.get(p, ())}


def _offered(kind: str, code: str, catalogue: Catalogue) -> None:
    registered = catalogue.get(kind, {}).get(code)
    # One sentence for both: a place too small must look like a place that is not there.
    if registered is None or registered < MIN_REGISTERED:
        raise DefinitionRefused(
            f"places.{kind}", f"a place is not in the list (places have {MIN_REGISTERED} voters)"
        )


def _bands(field: str, raw: object, bands: Sequence[str] | None) -> list[str] | None:
    if raw is None:
        return None
    chosen = set(_strings(field, raw))
    if bands is None and not all(_BAND.match(band) for band in chosen):
        raise DefinitionRefused(field, "a band is written 18-34 or 65+")
    if bands is not None and not chosen <= set(bands):
        raise DefinitionRefused(field, f"choose among {', '.join(bands)}")
    every = bands is not None and chosen == set(bands)
    return None if not chosen or every else sorted(chosen)


def _strings(field: str, raw: object) -> list[str]:
    if not isinstance(raw, list | tuple) or not all(isinstance(s, str) for s in raw):
        raise DefinitionRefused(field, "is not a list of words")
    return [s.strip() for s in raw]

"""The field-only merge language of coordinators: ``{{ name }}`` and ``{{ name | fallback }}``."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from mailer.errors import FactsRefused, Problem

# What a steward's table may say of each precinct; the same for everybody who votes there.
PLACE_TEXTS: Mapping[str, str] = {
    "polling_place": "where the reader votes",
    "polling_address": "its street address",
    "polling_hours": "its hours",
    "early_voting_place": "where the reader votes early",
    "early_voting_address": "its street address",
    "early_voting_hours": "its hours",
    "ballot_drop_box": "the nearest drop box",
    "election_office": "the election office and how to reach it",
}
PLACE_DAYS: Mapping[str, str] = {
    "registration_deadline": "the last day to register",
    "mail_ballot_request_deadline": "the last day to ask for a mail ballot",
    "mail_ballot_return_deadline": "the last day on which a mail ballot counts",
    "early_voting_starts": "the first day of early voting",
    "early_voting_ends": "the last day of early voting",
    "cure_deadline": "the last day to mend a ballot that was not counted",
}
FIELDS: Mapping[str, str] = {
    "first_name": "the reader's first name, if the agreement allows it",
    "precinct": "the reader's precinct",
    **PLACE_TEXTS,
    **PLACE_DAYS,
    "election_date": "the day of the election",
    "messenger_name": "who signs the letter",
    "partner_name": "the organisation that sends it",
    "race_name": "the race",
    "place_name": "the reader's town or neighborhood",
}
# May be empty for one person, so a letter that uses them says what stands there instead.
MAY_BE_EMPTY = frozenset({"first_name", "precinct", "place_name", *PLACE_TEXTS, *PLACE_DAYS})
MAX_VALUE = 120
MAX_INSIDE = 320
MAX_FALLBACK = 60
MAX_PROBLEMS = 40

_MARK = re.compile(r"\{\{|\}\}|\{%|%\}|\{#|#\}")
_INSIDE = re.compile(r"\s*([a-z_]{1,40})\s*(?:\|\s*([^{}<>|\"\\]{1,200}?)\s*)?")
_LINKLIKE = re.compile(r"[@/\\<>{}:]|\.[^\W\d]{2,}|www\.", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Field:
    """A place where one reader's text comes; ``fallback`` stands in for an empty one."""

    name: str
    fallback: str | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """Where a place block begins or ends; ``fields.between`` leaves out what is not shown."""

    block: int
    begins: bool


Piece: TypeAlias = str | Field
Marked: TypeAlias = str | Field | Edge


def between(pieces: Iterable[Marked], shown: Collection[int]) -> tuple[Piece, ...]:
    """Return what readers see to whom these place blocks are shown, and what everybody sees."""
    kept: list[Piece] = []
    inside: int | None = None
    for piece in pieces:
        if isinstance(piece, Edge):
            inside = piece.block if piece.begins else None
        elif inside is None or inside in shown:
            kept.append(piece)
    return tuple(kept)


def parse(
    text: str, *, line: int, allowed: Collection[str]
) -> tuple[tuple[Piece, ...], list[Problem]]:
    """Cut a text into words and fields.

    Args:
        text: a text node, entities resolved.
        line: 1-based line of its first letter.
        allowed: the field names that the agreement lets a letter use.

    Returns:
        The pieces, and every problem found; with a problem the pieces mean nothing.
    """
    pieces: list[Piece] = []
    problems: list[Problem] = []
    at, here, counted = 0, line, 0
    while (mark := _MARK.search(text, at)) and len(problems) < MAX_PROBLEMS:
        here += text.count("\n", counted, mark.start())
        counted = mark.start()
        end = text.find("}}", mark.end())
        if mark[0] != "{{":
            todo = "Only {{ field }} is understood: no conditions, loops or comments."
            problems.append(Problem(here, f"{mark[0]} stands outside a field.", todo))
            return (), problems
        if end < 0:
            problems.append(Problem(here, "{{ is never closed.", "Close it with }}."))
            return (), problems
        field, problem = _field(text[mark.end() : end], here, allowed)
        if problem is not None:
            problems.append(problem)
        pieces += [text[at : mark.start()], field]
        at = end + 2
    pieces.append(text[at:])
    return tuple(piece for piece in pieces if piece != ""), problems


def _field(inside: str, line: int, allowed: Collection[str]) -> tuple[Field, Problem | None]:
    # Longer ones would let the pattern look for minutes.
    found = _INSIDE.fullmatch(inside) if len(inside) <= MAX_INSIDE else None
    if found is None:
        todo = "Write a name, and if you like a bar and plain words: {{ first_name | neighbor }}."
        return Field(""), Problem(line, "This is no field.", todo)
    name, fallback = found[1], found[2]
    known = ", ".join(sorted(set(allowed) & set(FIELDS)))
    if name not in FIELDS:
        return Field(""), Problem(line, f"There is no field {name}.", f"These exist: {known}.")
    if name not in allowed:
        return Field(""), Problem(
            line, f"The agreement does not allow {name}.", f"It allows: {known}."
        )
    if fallback is None and name in MAY_BE_EMPTY:
        todo = f"Say what stands there for a reader without one: {{{{ {name} | ... }}}}."
        return Field(""), Problem(line, f"{name} may be empty.", todo)
    if fallback is not None and len(fallback) > MAX_FALLBACK:
        todo = f"Use at most {MAX_FALLBACK} letters."
        return Field(""), Problem(line, f"The words after {name} are too long.", todo)
    return Field(name, fallback), None


def tidy(name: str, value: str) -> str:
    """Return a fact as it may stand in a letter: one line, no invisible letters, not too long.

    A first name that looks like a link or an address is dropped: mail programs would make it
    clickable, and somebody else typed it.
    """
    line = " ".join(_visible(value).split())
    if name == "first_name" and (len(line) > 40 or _LINKLIKE.search(line)):
        return ""
    return line[:MAX_VALUE]


def _visible(value: str) -> str:
    """A text composed, without what no eye sees; every kind of space is a space."""
    if value.isascii() and value.isprintable():
        return value  # most are; looking at each letter costs more than all else of a short text
    return "".join(
        " " if letter.isspace() else letter
        for letter in unicodedata.normalize("NFC", value)
        if letter.isspace() or unicodedata.category(letter)[0] != "C"
    )


def bind(
    pieces: Iterable[Piece], facts: Mapping[str, str], escape: Callable[[str], str]
) -> tuple[Piece, ...]:
    """Fill in the facts that are known already, and join what stands side by side."""
    bound: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, Field) and piece.name in facts:
            piece = escape(value(piece, facts))
        if isinstance(piece, str) and bound and isinstance(bound[-1], str):
            bound[-1] += piece
        else:
            bound.append(piece)
    return tuple(bound)


def fill(pieces: Iterable[Piece], facts: Mapping[str, str], escape: Callable[[str], str]) -> str:
    """Join pieces into one text; raises FactsRefused, naming the field and nobody."""
    return "".join(
        piece if isinstance(piece, str) else escape(value(piece, facts)) for piece in pieces
    )


def value(field: Field, facts: Mapping[str, str]) -> str:
    """Return the text of one field, or its fallback; raises FactsRefused."""
    text = facts.get(field.name, "") or field.fallback
    if not text:
        raise FactsRefused(field.name)
    return text

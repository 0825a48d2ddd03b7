"""The page on which a letter is written: what each of its buttons makes of what was typed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from consortium.web import letter_form
from consortium.web.letter_form import EMPTY, Version, Wrong
from consortium.web.spoken import LANGUAGES
from mailer import blocks
from mailer.errors import Problem, TemplateRefused

_MOVES = {"up": -1, "down": 1}


@dataclass(frozen=True, slots=True)
class Page:
    """Everything that was typed, and where the reader of the page goes on.

    Args:
        versions: by the endings of their fields' names; the first language's is empty.
        codes: the languages of the agreement, in the order of ``versions``.
        was: the mark of the draft that is changed; of a new letter nothing.
        gone: what the last button took away, for one press of Undo.
        focus: the id of what is focused in the answer.
    """

    versions: Mapping[str, Version]
    codes: tuple[str, ...]
    signer: str = ""
    opens: str = ""
    closes: str = ""
    was: str = ""
    gone: str = ""
    focus: str = ""
    said: str = ""

    def template(self) -> dict[str, Any]:
        """The letter, as it is drafted: other languages only where anything of them was written."""
        first, *others = self.versions.items()
        more = dict(zip(self.codes[1:], (one for _, one in others), strict=True))
        written = {code: one.to_json() for code, one in more.items() if not one.empty}
        return {**first[1].to_json(), **({"languages": written} if written else {})}

    def named(self) -> dict[str, tuple[str, Version]]:
        """By the language's name: its ending and what was typed."""
        pairs = zip(self.codes, self.versions.items(), strict=True)
        return {LANGUAGES[code]: found for code, found in pairs}


def spoken_in(agreed: Sequence[str]) -> tuple[str, ...]:
    """The agreement's languages that letters can be written in."""
    return tuple(code for code in agreed if code in LANGUAGES) or ("en",)


def ends(codes: Sequence[str]) -> dict[str, str]:
    """The ending of field names, by language."""
    return {code: f"_{code}" if at else "" for at, code in enumerate(codes)}


def begun(codes: tuple[str, ...], starter: str, *, coded: bool) -> Page:
    """A page to begin on: empty, from a starter in all its languages, or with MJML."""
    versions: dict[str, Version] = {}
    for code, end in ends(codes).items():
        empty = Version(coded=coded) if coded else EMPTY
        found = letter_form.starter(starter, code) if starter else Version()
        versions[end] = found if not found.empty else (Version() if end else empty)
    return Page(versions, codes)


def kept(codes: tuple[str, ...], template: Mapping[str, Any], was: str) -> Page:
    """A draft, to be changed."""
    first, *others = ends(codes).items()
    more = template.get("languages") or {}
    versions = {first[1]: letter_form.version_of(template)}
    for code, end in others:
        versions[end] = letter_form.version_of(more[code]) if code in more else Version()
    return Page(versions, codes, was=was)


def read(form: Mapping[str, str], codes: tuple[str, ...]) -> Page:
    """What was typed."""
    versions = {end: letter_form.read(form, end) for end in ends(codes).values()}
    said = {name: str(form.get(name, "")) for name in ("opens", "closes", "was", "gone")}
    return Page(versions, codes, signer=form.get("signer", "").replace("\r\n", "\n"), **said)


def pressed(page: Page, do: str, form: Mapping[str, str]) -> Page:
    """The page after one of its buttons; what is no button changes nothing.

    Args:
        do: what is done, to which language, to what: ``add:_es:heading``, ``up::3``.
    """
    verb, _, rest = do.partition(":")
    end, _, what = rest.partition(":")
    if verb == "undo":
        return _undone(page)
    version = page.versions.get(end)
    if version is None:
        return page
    number = int(what) if re.fullmatch(r"[1-9]\d?", what) else 0
    if verb == "add":
        at = form.get(f"at{end}", "")
        before = int(at) if re.fullmatch(r"[1-9]\d?", at) else 0
        made, new = letter_form.added(version, what, before)
        return _with(page, end, made, f"block{end}.{new}.{_first(what)}", gone="")
    if verb in _MOVES:
        made, there = letter_form.moved(version, number, _MOVES[verb])
        edge = there in (1, len(made.blocks))
        button = ("down" if there == 1 else "up") if edge else verb
        said = f"It is block {there} now."
        return _with(page, end, made, f"block{end}.{there}.{button}", gone="", said=said)
    if verb in ("remove", "mjml", "begin", "drop"):
        return _replaced(page, end, version, verb, number)
    return replace(page, gone="")


def _replaced(page: Page, end: str, version: Version, verb: str, number: int) -> Page:
    """What can be undone: the version as it was goes along."""
    if verb == "remove":
        made, said = letter_form.removed(version, number), f"Block {number} was removed."
    elif verb == "mjml":
        return _coded(page, end, version)
    elif verb == "begin":
        made, said = letter_form.translated(page.versions[""]), ""
        return _with(page, end, made, f"subject{end}", gone="", said=said)
    else:
        name = next(name for name, (other, _) in page.named().items() if other == end)
        made, said = (Version() if end else EMPTY), f"The {name} letter was taken out."
    gone = letter_form.kept_for_undo(end, version)
    return _with(page, end, made, "undo", gone=gone, said=said)


def _coded(page: Page, end: str, version: Version) -> Page:
    """Blocks turned into the MJML that they stand for; from then on that is the letter."""
    code = page.codes[list(page.versions).index(end)]
    written = version.to_json().get("blocks")
    try:
        mjml = blocks.to_mjml(written, title=version.subject, language=code).mjml
    except TemplateRefused:
        mjml = version.mjml
    made = Version(version.subject, mjml=mjml, text=version.text, coded=True)
    gone = letter_form.kept_for_undo(end, version)
    return _with(page, end, made, f"mjml{end}", gone=gone, said="It is MJML from here on.")


def _undone(page: Page) -> Page:
    found = letter_form.undone(page.gone)
    if found is None or found[0] not in page.versions:
        return replace(page, gone="")
    return _with(page, *found, f"letter{found[0]}", gone="", said="It is as it was before.")


def _with(page: Page, end: str, version: Version, focus: str, *, gone: str, said: str = "") -> Page:
    versions = {**page.versions, end: version}
    return replace(page, versions=versions, focus=focus, gone=gone, said=said)


def _first(kind: str) -> str:
    """The first field of a block."""
    firsts = {"list": "items", "facts": "row.1.label", "divider": "remove"}
    return firsts.get(kind, "text")


def wrongs(page: Page, problems: Sequence[Problem]) -> list[Wrong]:
    """Each problem of a letter at its field."""
    found = []
    for one in problems:
        field, where = letter_form.located(one.where, one.line, page.named())
        todo = one.todo
        if field.endswith(".who") and "no places" in one.what:
            todo = "Name a ZIP, precinct or district, or show it to everybody."
        found.append(Wrong(field, where, one.what, todo))
    return found

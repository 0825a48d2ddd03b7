"""A letter as the form of its page has it: every word as it was typed, right or wrong.

The form is the whole state: each button answers with the form of the letter that it made. Nothing
is kept before the letter is saved, and nothing typed is lost when it cannot be.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from mailer import blocks, starting
from mailer.places import KINDS as PLACE_KINDS

CALLED = {
    "heading": "Heading",
    "text": "Text",
    "list": "List",
    "button": "Button",
    "facts": "Facts",
    "divider": "Line",
    "sign": "Signature",
}
"""What pages call the kinds of block; the preview text stands beside the subject instead."""
_NUMBER = re.compile(r"[1-9]\d?")
_MOST_TYPED = 60_000


@dataclass(frozen=True, slots=True)
class Typed:
    """One block as typed: places and items as text, cut apart only when it is read."""

    kind: str
    text: str = ""
    link: str = ""
    items: str = ""
    numbered: bool = False
    rows: tuple[tuple[str, str], ...] = ()
    who: str = ""
    codes: Mapping[str, str] = field(default_factory=dict)

    @property
    def called(self) -> str:
        """Its kind in words."""
        return CALLED[self.kind]

    @property
    def lines(self) -> list[tuple[str, str]]:
        """The rows to show: those typed, and always one more."""
        return [*self.rows, ("", "")][: blocks.MAX_ITEMS]


@dataclass(frozen=True, slots=True)
class Version:
    """A letter in one language: in blocks, or in MJML."""

    subject: str = ""
    preview: str = ""
    blocks: tuple[Typed, ...] = ()
    mjml: str = ""
    text: str = ""
    coded: bool = False

    @property
    def empty(self) -> bool:
        """Whether nothing of it was written."""
        return not (self.subject or self.preview or self.blocks or self.mjml or self.coded)

    def to_json(self) -> dict[str, Any]:
        """What ``versions`` compiles; what is empty stands empty, so that it is refused by name."""
        if self.coded:
            own = {"text": self.text} if self.text.strip() else {}
            return {"subject": self.subject, "mjml": self.mjml, **own}
        first = [{"kind": "preview", "text": self.preview}] if self.preview.strip() else []
        own = {"text": self.text} if self.text.strip() else {}
        return {"subject": self.subject, "blocks": [*first, *map(_block, self.blocks)], **own}

    @property
    def shift(self) -> int:
        """By how many the blocks of ``to_json`` are numbered higher than those of the page."""
        return int(not self.coded and bool(self.preview.strip()))


EMPTY = Version(blocks=(Typed("heading"), Typed("text"), Typed("sign")))
"""What an empty letter begins with."""


def _block(one: Typed) -> dict[str, Any]:
    made: dict[str, Any] = {"kind": one.kind}
    if one.kind in ("heading", "text", "button") or (one.kind == "sign" and one.text.strip()):
        made["text"] = one.text
    if one.kind == "button":
        made["link"] = one.link
    if one.kind == "list":
        made["items"] = [line.strip() for line in one.items.split("\n") if line.strip()]
        if one.numbered:
            made["numbered"] = True
    if one.kind == "facts":
        made["rows"] = [{"label": label, "text": text} for label, text in one.rows]
    if one.who == "places":
        cut = {kind: _cut(one.codes.get(kind, "")) for kind in PLACE_KINDS}
        made["places"] = {kind: codes for kind, codes in cut.items() if codes}
    elif one.who == "elsewhere":
        made["places"] = blocks.ELSEWHERE
    return made


def _cut(codes: str) -> list[str]:
    parts = (part.strip() for part in codes.replace("\n", ",").split(","))
    return list(dict.fromkeys(part for part in parts if part))


def version_of(template: Mapping[str, Any]) -> Version:
    """A kept letter, or a starter, as the form shows it."""
    subject, text = str(template.get("subject") or ""), str(template.get("text") or "")
    written = template.get("blocks")
    if written is None:
        return Version(subject, mjml=str(template.get("mjml") or ""), text=text, coded=True)
    preview = [one["text"] for one in written if one["kind"] == "preview"]
    rest = tuple(_typed(one) for one in written if one["kind"] != "preview")
    return Version(subject, "".join(preview), rest, text=text)


def _typed(one: Mapping[str, Any]) -> Typed:
    places = one.get("places")
    return Typed(
        kind=one["kind"],
        text=one.get("text", ""),
        link=one.get("link", ""),
        items="\n".join(one.get("items", ())),
        numbered=bool(one.get("numbered")),
        rows=tuple((row["label"], row["text"]) for row in one.get("rows", ())),
        who="places" if isinstance(places, Mapping) else "elsewhere" if places else "",
        codes=(
            {kind: ", ".join(codes) for kind, codes in places.items()}
            if isinstance(places, Mapping)
            else {}
        ),
    )


def starter(name: str, language: str) -> Version:
    """One of the letters that ship; empty for one that does not."""
    if name not in starting.ORDER:
        return Version()
    return version_of(starting.starter(name, language))


# -- from the form, and back ----------------------------------------------------------------------


def read(form: Mapping[str, str], end: str) -> Version:
    """What was typed in one language.

    Args:
        form: names and values of the page's form.
        end: what its names end in: nothing for the first language, otherwise ``_`` and the code.
    """

    def said(name: str) -> str:
        return str(form.get(f"{name}{end}", "")).replace("\r\n", "\n")[:_MOST_TYPED]

    numbers = sorted(
        int(name.split(".")[1])
        for name in form
        if name.startswith(f"block{end}.") and name.endswith(".kind")
        if _NUMBER.fullmatch(name.split(".")[1])
    )
    found = (_read(form, f"block{end}.{number}") for number in numbers)
    coded = said("form") == "mjml" or (not said("form") and bool(said("mjml")))
    kept = tuple(one for one in found if one)
    return Version(said("subject"), said("preview"), kept, said("mjml"), said("text"), coded)


def _read(form: Mapping[str, str], name: str) -> Typed | None:
    def said(part: str) -> str:
        return str(form.get(f"{name}.{part}", "")).replace("\r\n", "\n")[:_MOST_TYPED]

    kind = said("kind")
    if kind not in CALLED:
        return None
    rows = (
        (said(f"row.{at}.label"), said(f"row.{at}.text")) for at in range(1, blocks.MAX_ITEMS + 1)
    )
    who = said("who")
    return Typed(
        kind,
        said("text"),
        said("link"),
        said("items"),
        bool(said("numbered")),
        tuple((label, text) for label, text in rows if label.strip() or text.strip()),
        who if who in ("places", "elsewhere") else "",
        {place: said(place) for place in PLACE_KINDS},
    )


# -- what buttons do ------------------------------------------------------------------------------


def added(version: Version, kind: str, before: int) -> tuple[Version, int]:
    """With a new block before the one with this number, or last; and the new one's number."""
    if kind not in CALLED or len(version.blocks) >= blocks.MAX_BLOCKS - 1:
        return version, 0
    at = before - 1 if 0 < before <= len(version.blocks) else len(version.blocks)
    made = (*version.blocks[:at], Typed(kind), *version.blocks[at:])
    return replace(version, blocks=made), at + 1


def moved(version: Version, number: int, by: int) -> tuple[Version, int]:
    """With a block one place further up or down; and its number then."""
    there = number + by
    if not (0 < number <= len(version.blocks) and 0 < there <= len(version.blocks)):
        return version, number
    order = list(version.blocks)
    order[number - 1], order[there - 1] = order[there - 1], order[number - 1]
    return replace(version, blocks=tuple(order)), there


def removed(version: Version, number: int) -> Version:
    """Without a block."""
    if not 0 < number <= len(version.blocks):
        return version
    kept = (*version.blocks[: number - 1], *version.blocks[number:])
    return replace(version, blocks=kept)


def translated(version: Version) -> Version:
    """The same blocks with the words left out: what is to be written in the other language."""
    if version.coded:
        return replace(version, subject="")
    bare = tuple(replace(one, text="", items="", rows=()) for one in version.blocks)
    return replace(version, subject="", preview="", text="", blocks=bare)


def kept_for_undo(end: str, version: Version) -> str:
    """A version as a hidden field carries it, until the next button."""
    return json.dumps({"end": end, "version": asdict(version)}, separators=(",", ":"))


def undone(said: str) -> tuple[str, Version] | None:
    """What ``kept_for_undo`` wrote; nothing for anything else."""
    try:
        found = json.loads(said)
        one, end = found["version"], str(found["end"])
        kept = tuple(_again(each) for each in one["blocks"][: blocks.MAX_BLOCKS])
        texts = {name: str(one[name]) for name in ("subject", "preview", "mjml", "text")}
        return end, Version(blocks=kept, coded=bool(one["coded"]), **texts)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _again(one: Mapping[str, Any]) -> Typed:
    if one["kind"] not in CALLED:
        raise ValueError("no such kind")
    rows = tuple((str(label), str(text)) for label, text in one["rows"])
    codes = {str(kind): str(text) for kind, text in one["codes"].items()}
    texts = {name: str(one[name]) for name in ("kind", "text", "link", "items", "who")}
    return Typed(numbered=bool(one["numbered"]), rows=rows, codes=codes, **texts)


# -- what is wrong, and where it stands on the page -----------------------------------------------


@dataclass(frozen=True, slots=True)
class Wrong:
    """One thing to mend: the id of its field, and the words for it."""

    field: str
    where: str
    what: str
    todo: str


_BLOCK = re.compile(r"[Bb]lock (\d+), ([a-z]+)(?: (\d+))?(?: (label|text))?")


def located(where: str, line: int, versions: Mapping[str, tuple[str, Version]]) -> tuple[str, str]:
    """The id of the field that a problem is about, and where it is in the page's own words.

    Args:
        where: ``Problem.where``.
        line: ``Problem.line``.
        versions: by the language's name, its ending and what was typed; the first one first.
    """
    name, (end, version) = next(iter(versions.items()))
    rest = where
    for other, found in list(versions.items())[1:]:
        if where.startswith(f"{other}, "):
            name, (end, version) = other, found
            rest = where.removeprefix(f"{other}, ")
    said = f"{name}: " if end else ""
    if matched := _BLOCK.match(rest):
        number, part = int(matched[1]) - version.shift, matched[2]
        if number == 0:
            return f"preview{end}", f"{said}Preview text"
        told = rest.replace(f"lock {matched[1]},", f"lock {number},")
        told = told[:1].upper() + told[1:]
        return f"block{end}.{number}.{_part(part, matched)}", f"{said}{told}"
    if rest.lower().startswith("subject"):
        return f"subject{end}", f"{said}Subject"
    if rest.lower().startswith("text"):
        return f"text{end}", f"{said}Text"
    if version.coded and (not rest or rest.lower().startswith("line")):
        return f"mjml{end}", f"{said}Line {line}"
    if rest.lower().startswith("blocks"):
        return f"add{end}", f"{said}Blocks"
    return f"letter{end}", f"{said}{rest or 'Letter'}"


def _part(part: str, matched: re.Match[str]) -> str:
    if part in ("item", "items", "numbered"):
        return "items"
    if part in ("row", "rows"):
        return f"row.{matched[3] or 1}.{matched[4] or 'label'}"
    return {"places": "who", "kind": "remove"}.get(part, part)

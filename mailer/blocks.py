"""A letter as blocks, as the plain editor writes them: checked strictly, turned into MJML.

    [{"kind": "preview", "text": "..."},
     {"kind": "heading", "text": "..."},
     {"kind": "text", "text": "Paragraphs, **bold**, [words](https://...), {{ field | fallback }}"},
     {"kind": "list", "items": ["...", "..."], "numbered": true},
     {"kind": "button", "text": "...", "link": "https://..."},
     {"kind": "facts", "rows": [{"label": "Where", "text": "{{ polling_place | ... }}"}]},
     {"kind": "divider"},
     {"kind": "sign", "text": "See you there,"}]

Any of them but ``preview`` may have ``places``: ``{"zip": [...]}``, ``{"precinct": [...]}``,
``{"district": [...]}`` or several of these; or ``"elsewhere"`` right behind such blocks, for
readers to whom none of them is shown.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from mailer.errors import Problem, TemplateRefused
from mailer.places import KINDS as PLACE_KINDS

MAX_BLOCKS = 60
MAX_TEXT = 4_000
MAX_LINE = 300
MAX_ITEMS = 20
ELSEWHERE = "elsewhere"

_BOLD = re.compile(r"\*\*([^*\n]{1,600})\*\*")
_LINK = re.compile(r"\[([^\[\]\n]{1,200})\]\(([^()\s]{1,600})\)")
_PARTS: Mapping[str, Mapping[str, str]] = {
    "preview": {"text": "line"},
    "heading": {"text": "line"},
    "text": {"text": "text"},
    "list": {"items": "lines", "numbered": "flag?"},
    "button": {"text": "line", "link": "line"},
    "facts": {"rows": "rows"},
    "divider": {},
    "sign": {"text": "line?"},
}
KINDS = tuple(_PARTS)


@dataclass(frozen=True, slots=True)
class Written:
    """MJML, and for each of its lines the number of its block and the part that it comes from."""

    mjml: str
    spots: tuple[tuple[int, str], ...]

    def where(self, line: int) -> str:
        """Say which block and part a line comes from; nothing for a line of none."""
        number, part = self.spots[line - 1] if 0 < line <= len(self.spots) else (0, "")
        return f"Block {number}, {part}" if number else ""


def to_mjml(blocks: object, *, title: str, language: str) -> Written:
    """Turn blocks into MJML.

    Args:
        blocks: what ``json.loads`` returned of the editor's JSON.
        title: the letter's subject, which its title is.

    Raises:
        TemplateRefused: with every problem, each naming its block and part.
    """
    problems = check(blocks)
    if problems:
        raise TemplateRefused(problems)
    assert isinstance(blocks, list)
    lines: list[tuple[str, int, str]] = []
    title = html.escape(title.replace("{{", "").replace("}}", ""), quote=False)
    preview = [(n, one) for n, one in enumerate(blocks, start=1) if one["kind"] == "preview"]
    lines += [(f'<mjml lang="{language}"><mj-head><mj-title>{" ".join(title.split())}', 0, "")]
    lines += [("</mj-title>", 0, "")]
    lines += [(f"<mj-preview>{_plain(b['text'])}</mj-preview>", n, "text") for n, b in preview]
    lines += [("</mj-head><mj-body>", 0, "")]
    lines += _body([(n, b) for n, b in enumerate(blocks, start=1) if b["kind"] != "preview"])
    lines += [("</mj-body></mjml>", 0, "")]
    mjml = "\n".join(line for line, *_ in lines) + "\n"
    return Written(mjml, tuple((number, part) for _, number, part in lines))


def check(blocks: object) -> list[Problem]:
    """Return everything that is wrong with the form of some blocks, naming block and part."""
    if not isinstance(blocks, list) or not blocks:
        return [Problem(1, "There is no block.", "Add a text.", "Blocks")]
    if len(blocks) > MAX_BLOCKS:
        return [Problem(1, "There are too many blocks.", f"Use at most {MAX_BLOCKS}.", "Blocks")]
    problems: list[Problem] = []
    before: object = None
    for number, one in enumerate(blocks, start=1):
        problems += _block(number, one, before)
        before = one.get("places") if isinstance(one, dict) else None
    previews = [n for n, one in enumerate(blocks, 1) if _kind(one) == "preview"]
    if previews[1:] or previews not in ([], [1]):
        problems += [_wrong(previews[-1], "kind", "A preview stands once, first.", "Move it.")]
    return problems


def _kind(one: object) -> object:
    return one.get("kind") if isinstance(one, dict) else None


def _block(number: int, one: object, before: object) -> list[Problem]:
    if not isinstance(one, dict):
        return [_wrong(number, "kind", "This is no block.", 'Write {"kind": "text", ...}.')]
    kind = one.get("kind")
    if not isinstance(kind, str) or kind not in _PARTS:
        return [_wrong(number, "kind", "There is no such kind.", f"Use {', '.join(KINDS)}.")]
    parts = _PARTS[kind]
    problems = []
    unknown = (name for name in one if name not in parts and name not in ("kind", "places"))
    for name in islice(unknown, 20):
        known = ", ".join(("kind", *parts, "places"))
        problems.append(_wrong(number, str(name)[:40], "It is not known.", f"Use {known}."))
    for name, form in parts.items():
        if name in one:
            problems += _FORMS[form.rstrip("?")](number, name, one[name])
        elif not form.endswith("?"):
            problems.append(_wrong(number, name, "It is missing.", "Fill it in."))
    if "places" in one:
        problems += _places(number, kind, one["places"], before)
    return sorted(problems, key=lambda problem: problem.where)


def _wrong(number: int, part: str, what: str, todo: str) -> Problem:
    return Problem(number, what, todo, f"Block {number}, {part}")


def _text(number: int, part: str, given: object, most: int = MAX_TEXT) -> list[Problem]:
    if not isinstance(given, str) or not given.strip():
        return [_wrong(number, part, "It is empty, or no text.", "Fill it in.")]
    if len(given) > most:
        return [_wrong(number, part, "It is too long.", f"Use at most {most:,} letters.")]
    if any(not letter.isprintable() and letter not in "\r\n" for letter in given):
        return [_wrong(number, part, "It has a hidden letter.", "Type it anew.")]
    return []


def _line(number: int, part: str, given: object) -> list[Problem]:
    if found := _text(number, part, given, MAX_LINE * 2 if part == "link" else MAX_LINE):
        return found
    if "\n" in str(given).strip():
        return [_wrong(number, part, "It has a line break.", "Keep it on one line.")]
    return []


def _lines(number: int, part: str, given: object) -> list[Problem]:
    if not isinstance(given, list) or not 0 < len(given) <= MAX_ITEMS:
        return [_wrong(number, part, "It is no list.", f"Write 1 to {MAX_ITEMS} items.")]
    found = [_line(number, f"item {at}", item) for at, item in enumerate(given, start=1)]
    return [problem for problems in found for problem in problems]


def _rows(number: int, part: str, given: object) -> list[Problem]:
    if not isinstance(given, list) or not 0 < len(given) <= MAX_ITEMS:
        return [_wrong(number, part, "It is no list.", f"Write 1 to {MAX_ITEMS} rows.")]
    problems = []
    for at, row in enumerate(given, start=1):
        if not isinstance(row, dict) or row.keys() != {"label", "text"}:
            todo = 'Write {"label": "Where", "text": "..."}.'
            problems.append(_wrong(number, f"row {at}", "It is no label with a text.", todo))
        else:
            for name in ("label", "text"):
                problems += _line(number, f"row {at} {name}", row[name])
    return problems


def _flag(number: int, part: str, given: object) -> list[Problem]:
    if isinstance(given, bool):
        return []
    return [_wrong(number, part, "It is neither true nor false.", "Write true or false.")]


_FORMS: Mapping[str, Callable[[int, str, object], list[Problem]]] = {
    "text": _text,
    "line": _line,
    "lines": _lines,
    "rows": _rows,
    "flag": _flag,
}


def _places(number: int, kind: str, given: object, before: object) -> list[Problem]:
    if kind == "preview":
        return [_wrong(number, "places", "A preview is for everybody.", "Take it out.")]
    if given == ELSEWHERE:
        if isinstance(before, dict):
            return []
        todo = "Put it right behind blocks that name places: it is for everybody else."
        return [_wrong(number, "places", "Elsewhere follows no places.", todo)]
    if not isinstance(given, dict) or not given or not given.keys() <= set(PLACE_KINDS):
        todo = f'Write "{ELSEWHERE}", or codes under {", ".join(PLACE_KINDS)}.'
        return [_wrong(number, "places", "These are no places.", todo)]
    for codes in given.values():
        fits = isinstance(codes, list) and 0 < len(codes) <= 200
        if not fits or not all(isinstance(code, str) and _CODE.fullmatch(code) for code in codes):
            todo = "Write 1 to 200 codes as the list of places spells them."
            return [_wrong(number, "places", "A place has no such code.", todo)]
    return []


_CODE = re.compile(r"[^,\"<>{}\x00-\x1f]{1,60}")


def _body(blocks: Sequence[tuple[int, Mapping[str, Any]]]) -> list[tuple[str, int, str]]:
    """One section for what stands together; a place block and a box have one of their own."""
    lines: list[tuple[str, int, str]] = []
    opened, first = False, True
    for at, (number, one) in enumerate(blocks):
        alone = "places" in one or one["kind"] == "facts"
        if opened and alone:
            lines.append(("</mj-column></mj-section>", 0, ""))
        if alone or not opened:
            above, below = 20 if first else 0, 18 if at == len(blocks) - 1 else 0
            lines += _opening(number, one, above, below)
        lines += _inside(number, one, first)
        if alone:
            closing = "</mj-place>" if isinstance(one.get("places"), dict) else "</mj-elsewhere>"
            lines.append((f"</mj-column></mj-section>{closing if 'places' in one else ''}", 0, ""))
        opened, first = not alone, False
    return [*lines, ("</mj-column></mj-section>", 0, "")] if opened else lines


def _opening(
    number: int, one: Mapping[str, Any], above: int, below: int
) -> list[tuple[str, int, str]]:
    section = (
        f'<mj-section padding="{above + 6}px 24px {below + 12}px"><mj-column look="box">'
        if one["kind"] == "facts"
        else f'<mj-section padding="{above}px 0 {below}px"><mj-column>'
    )
    where = one.get("places")
    if where is None:
        return [(section, 0, "")]
    codes = where if isinstance(where, dict) else {}
    written = "".join(
        f' {kind}="{html.escape(", ".join(codes[kind]))}"' for kind in PLACE_KINDS if kind in codes
    )
    tag = "mj-place" if isinstance(where, dict) else "mj-elsewhere"
    return [(f"<{tag}{written}>", number, "places"), (section, number, "places")]


def _inside(number: int, one: Mapping[str, Any], first: bool) -> list[tuple[str, int, str]]:
    kind = one["kind"]
    if kind == "heading":
        size, tag, above = ("28px", "h1", 8) if first else ("21px", "h2", 14)
        style = f"margin:0;font-size:{size};line-height:1.25;font-weight:bold"
        opening = f'<mj-text padding="{above}px 24px 6px"><{tag} style="{style}">'
        return [(f"{opening}{_plain(one['text'])}</{tag}></mj-text>", number, "text")]
    if kind == "text":
        return [(f"<mj-text>{_paragraphs(one['text'])}</mj-text>", number, "text")]
    if kind == "list":
        tag = "ol" if one.get("numbered") else "ul"
        items = [
            (f'<li style="margin:0 0 8px">{_rich(item)}</li>', number, f"item {at}")
            for at, item in enumerate(one["items"], start=1)
        ]
        around = f'<mj-text><{tag} style="margin:0;padding:0 0 0 22px">'
        return [(around, number, "items"), *items, (f"</{tag}></mj-text>", number, "items")]
    if kind == "button":
        link = html.escape(one["link"].strip())
        return [
            (f'<mj-button href="{link}">', number, "link"),
            (f"{_plain(one['text'])}</mj-button>", number, "text"),
        ]
    if kind == "facts":
        return [line for at, row in enumerate(one["rows"], 1) for line in _row(number, at, row)]
    if kind == "divider":
        return [("<mj-divider/>", number, "kind")]
    said = f"{_rich(one['text'])}<br/>" if "text" in one else ""
    name = "<strong>{{ messenger_name }}</strong>"
    return [(f"<mj-text><p>{said}{name}</p></mj-text>", number, "text")]


def _row(number: int, at: int, row: Mapping[str, str]) -> list[tuple[str, int, str]]:
    label = f'<span style="font-size:14px">{_plain(row["label"])}</span><br/>'
    return [
        (
            f'<mj-text padding="0 20px"><p style="margin:0 0 10px;line-height:1.4">{label}',
            number,
            f"row {at} label",
        ),
        (f"<strong>{_rich(row['text'])}</strong></p></mj-text>", number, f"row {at} text"),
    ]


def _paragraphs(text: str) -> str:
    """Paragraphs stand apart by an empty line; other line breaks stay breaks. One line of MJML."""
    parts = re.split(r"\n\s*\n", text.replace("\r\n", "\n").strip())
    return "".join(f"<p>{'<br/>'.join(map(_rich, part.split(chr(10))))}</p>" for part in parts)


def _plain(text: str) -> str:
    return html.escape(" ".join(text.split()), quote=False)


def _rich(text: str) -> str:
    """Escape, then put in bold words and links; marks that pair with nothing stay as they are."""

    def link(found: re.Match[str]) -> str:
        return f'<a href="{found[2].replace(chr(34), "&quot;")}">{found[1]}</a>'

    return _BOLD.sub(r"<strong>\1</strong>", _LINK.sub(link, _plain(text)))

"""The tags, attributes and values of MJML that a coordinator may write: tables, and no code."""

from __future__ import annotations

import re
from collections.abc import Mapping

INLINE = frozenset(
    [
        "a",
        "b",
        "strong",
        "i",
        "em",
        "u",
        "s",
        "span",
        "br",
        "p",
        "ul",
        "ol",
        "li",
        "h1",
        "h2",
        "h3",
        "blockquote",
    ]
)
STYLED = frozenset(
    {"mj-section", "mj-wrapper", "mj-column", "mj-group"}
    | {"mj-text", "mj-button", "mj-divider", "mj-spacer"}
)
TEXTS = frozenset({"mj-text", "mj-button", "mj-title", "mj-preview"})
VOID = frozenset({"br"})
UNCLOSED = VOID | {"img", "hr", "meta", "link", "input", "base", "source", "embed"}
CHILDREN: Mapping[str, frozenset[str]] = {
    "": frozenset({"mjml"}),
    "mjml": frozenset({"mj-head", "mj-body"}),
    "mj-head": frozenset({"mj-title", "mj-preview", "mj-attributes"}),
    "mj-attributes": STYLED | {"mj-all"},
    "mj-body": frozenset({"mj-section", "mj-wrapper"}),
    "mj-wrapper": frozenset({"mj-section"}),
    "mj-section": frozenset({"mj-column", "mj-group"}),
    "mj-group": frozenset({"mj-column"}),
    "mj-column": frozenset({"mj-text", "mj-button", "mj-divider", "mj-spacer"}),
    "mj-text": INLINE,
    "mj-button": frozenset({"b", "strong", "i", "em", "span", "br"}),
    **{tag: INLINE - {"p", "ul", "ol", "h1", "h2", "h3", "blockquote"} for tag in INLINE},
    "ul": frozenset({"li"}),
    "ol": frozenset({"li"}),
    "blockquote": INLINE,
}
BESIDE = frozenset({"a", "b", "strong", "i", "em", "u", "s", "span"})
"""Readers see no gap where these begin or end."""
PLACED = frozenset({"mj-place", "mj-elsewhere"})
"""Hold what only readers of some places are shown; they go where what they hold goes."""
PLACES_IN = frozenset({"mj-body", "mj-wrapper", "mj-column"})
TAGS = frozenset(CHILDREN) - {""} | {"mj-divider", "mj-spacer", "mj-all"} | TEXTS | PLACED
REFUSED = {
    "mj-include": "Files are not included: paste the text itself.",
    "mj-raw": "Raw HTML is not taken: use mj-text.",
    "mj-html": "Raw HTML is not taken: use mj-text.",
    "mj-image": "Pictures would tell who opened the letter: say it in words.",
    "img": "Pictures would tell who opened the letter: say it in words.",
    "mj-style": "Styles are set by attributes; the letter brings its own for phones and dark mode.",
    "style": "Styles are set by attributes; the letter brings its own for phones and dark mode.",
    "mj-font": "A font fetched from elsewhere would tell who opened the letter.",
    "mj-hero": "It needs a picture: use mj-section.",
    "mj-social": "It needs pictures: write the links in words.",
    "mj-carousel": "It needs pictures: use mj-section.",
    "mj-navbar": "A letter has no menu: use mj-button.",
    "mj-accordion": "Half of the mail programs show it open: use mj-section.",
    "mj-table": "A screen reader reads it cell by cell: use a list in mj-text.",
    "table": "A screen reader reads it cell by cell: use a list.",
    "div": "Use <p>.",
    "font": "Use font-size and color of mj-text.",
    "form": "Mail programs drop forms: use mj-button.",
    "script": "Letters run no scripts.",
}

_LENGTH = r"(?:0|\d{1,3}(?:\.\d{1,2})?(?:px|em|%)?)"
KINDS = {
    "color": re.compile(r"#[0-9A-Fa-f]{3}(?:[0-9A-Fa-f]{3})?|[A-Za-z]{3,20}"),
    "length": re.compile(_LENGTH),
    "lengths": re.compile(rf"{_LENGTH}(?: {_LENGTH}){{0,3}}"),
    "codes": re.compile(r"(?:[^,]{1,60},){0,199}[^,]{1,60}"),
    "size": re.compile(r"(?:1[2-9]|[2-6]\d)px"),
    "align": re.compile(r"left|center|right|justify"),
    "look": re.compile(r"box|quiet"),
    "case": re.compile(r"none|uppercase|capitalize"),
    "spacing": re.compile(r"normal|-?\d(?:\.\d{1,2})?(?:px|em)"),
    "way": re.compile(r"ltr|rtl"),
    "valign": re.compile(r"top|middle|bottom"),
    "weight": re.compile(r"normal|bold|[1-9]00"),
    "slant": re.compile(r"normal|italic"),
    "line": re.compile(r"none|underline|line-through"),
    "rule": re.compile(r"solid|dashed|dotted"),
    "word": re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8})*|ltr|rtl|auto"),
    "border": re.compile(rf"none|{_LENGTH} (?:solid|dashed|dotted) #[0-9A-Fa-f]{{3,6}}"),
    "font": re.compile(
        r"(?:(?:Georgia|Helvetica|Arial|Verdana|'?Times New Roman'?|system-ui|serif|sans-serif)"
        r"(?:, ?|$)){1,6}"
    ),
}
_PADDING = {"padding": "lengths"} | {
    f"padding-{side}": "length" for side in ("top", "right", "bottom", "left")
}
_LETTERS = {
    "font-family": "font",
    "font-size": "size",
    "font-weight": "weight",
    "font-style": "slant",
    "line-height": "length",
    "letter-spacing": "spacing",
    "text-decoration": "line",
    "text-transform": "case",
    "color": "color",
    "align": "align",
}
ATTRIBUTES: Mapping[str, Mapping[str, str]] = {
    "mjml": {"lang": "word", "dir": "word"},
    "mj-body": {"background-color": "color", "width": "length"},
    "mj-wrapper": {**_PADDING, "background-color": "color", "border-radius": "length"},
    "mj-section": {
        **_PADDING,
        "background-color": "color",
        "border": "border",
        "border-radius": "length",
        "text-align": "align",
        "direction": "way",
    },
    "mj-group": {
        "width": "length",
        "background-color": "color",
        "vertical-align": "valign",
        "direction": "way",
    },
    "mj-column": {
        **_PADDING,
        "width": "length",
        "background-color": "color",
        "border": "border",
        "border-radius": "length",
        "vertical-align": "valign",
        "look": "look",
    },
    "mj-text": {**_PADDING, **_LETTERS, "container-background-color": "color"},
    "mj-button": {
        **_PADDING,
        **_LETTERS,
        "href": "link",
        "background-color": "color",
        "border": "border",
        "border-radius": "length",
        "inner-padding": "lengths",
        "width": "length",
    },
    "mj-divider": {
        **_PADDING,
        "border-color": "color",
        "border-style": "rule",
        "border-width": "length",
        "width": "length",
    },
    "mj-spacer": {"height": "length"},
    "mj-place": {"precinct": "codes", "zip": "codes", "district": "codes"},
    "mj-all": {"font-family": "font"},
    "a": {"href": "link", "style": "style"},
    **{tag: {"style": "style"} for tag in INLINE - {"a", "br"}},
}
STYLES = {
    "color": "color",
    "font-size": "size",
    "font-weight": "weight",
    "font-style": "slant",
    "text-decoration": "line",
    "text-align": "align",
    "line-height": "length",
    "margin": "lengths",
    "padding": "lengths",
}
COLORS = frozenset({"color", "background-color", "container-background-color", "border-color"})
HOW = {
    "codes": "Write up to 200 codes with commas between them, as the list of places spells them.",
    "look": "Write box or quiet.",
    "color": "Write #17594a, or a colour's English name.",
    "length": "Write a number and px, em or %.",
    "lengths": "Write one to four lengths: 8px 24px.",
    "size": "Write 12px to 69px.",
    "font": "Use Georgia, Helvetica, Arial, Verdana, 'Times New Roman', serif or sans-serif.",
}

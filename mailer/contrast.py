"""Whether every word of a letter stands out from what is behind it, in light and in dark mode.

The compiled letter is read as a mail program reads it: inline styles, and over them the rules of
its own style sheet, those for dark mode when asked for. Nothing is fetched or drawn.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser

Rgb = tuple[int, int, int]
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
LARGE_PX, LARGE_BOLD_PX = 24.0, 18.66
NEEDED, NEEDED_LARGE = 4.5, 3.0
"""WCAG 2.2, success criterion 1.4.3."""
_VOID = frozenset({"br", "meta", "hr", "img", "input", "link"})
_HEADS = {"h1": 2.0, "h2": 1.5, "h3": 1.17}
_DARK = re.compile(r"@media\s*\(\s*prefers-color-scheme\s*:\s*dark\s*\)\s*\{(.*)\}", re.DOTALL)
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
# The names that CSS has had from the start; of others the contrast is not known.
NAMES: Mapping[str, Rgb] = {
    "black": BLACK,
    "white": WHITE,
    "silver": (192, 192, 192),
    "gray": (128, 128, 128),
    "grey": (128, 128, 128),
    "maroon": (128, 0, 0),
    "red": (255, 0, 0),
    "purple": (128, 0, 128),
    "fuchsia": (255, 0, 255),
    "green": (0, 128, 0),
    "lime": (0, 255, 0),
    "olive": (128, 128, 0),
    "yellow": (255, 255, 0),
    "navy": (0, 0, 128),
    "blue": (0, 0, 255),
    "teal": (0, 128, 128),
    "aqua": (0, 255, 255),
    "orange": (255, 165, 0),
}


@dataclass(frozen=True, slots=True)
class Words:
    """Some words and how they are shown; a colour that is not known is ``None``."""

    text: str
    front: Rgb | None
    back: Rgb | None
    pixels: float
    bold: bool

    @property
    def ratio(self) -> float | None:
        """From 1 to 21, or nothing when a colour is not known."""
        return None if self.front is None or self.back is None else ratio(self.front, self.back)

    @property
    def needed(self) -> float:
        """What large letters, or others, need."""
        large = self.pixels >= LARGE_PX or (self.bold and self.pixels >= LARGE_BOLD_PX)
        return NEEDED_LARGE if large else NEEDED


def ratio(one: Rgb, other: Rgb) -> float:
    """Return the contrast ratio of two colours.

    Source:
        WCAG 2.2, definitions of contrast ratio and of relative luminance.
    """
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def color(text: str) -> Rgb | None:
    """Read ``#rgb``, ``#rrggbb`` or one of CSS's first names."""
    text = text.strip().lower()
    if re.fullmatch(r"#[0-9a-f]{3}", text):
        text = "#" + "".join(letter * 2 for letter in text[1:])
    if re.fullmatch(r"#[0-9a-f]{6}", text):
        return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)
    return NAMES.get(text)


def shown(html: str, *, dark: bool) -> list[Words]:
    """Return every run of words of a compiled letter with its colours.

    Args:
        dark: as a mail program in dark mode that heeds the letter's own rules.
    """
    sheet = "\n".join(re.findall(r"<style[^>]*>(.*?)</style>", html, re.DOTALL))
    found = _DARK.search(sheet)
    rules = list(_rules(_DARK.sub("", sheet)))
    if dark and found:
        rules += _rules(found[1])
    reader = _Reader(rules, dark=dark and found is not None)
    reader.feed(html)
    reader.close()
    return reader.found


def has_dark(html: str) -> bool:
    """Whether a letter brings a dark form of its own."""
    return bool(_DARK.search(html))


@dataclass(frozen=True, slots=True)
class _Rule:
    """One selector of the style sheet: parts from the outermost in, and what they set."""

    parts: tuple[tuple[str, str, bool], ...]  # tag, class, whether the next is its child
    sets: Mapping[str, str]
    important: bool
    weight: int


@dataclass(slots=True)
class _Tag:
    """An open tag with what is shown inside it."""

    tag: str
    classes: frozenset[str]
    front: Rgb | None
    back: Rgb | None
    pixels: float
    bold: bool
    hidden: bool


def _rules(sheet: str) -> Iterator[_Rule]:
    # Rules for other screens and for old mail programs set no colour; their braces nest.
    for selectors, body in _RULE.findall(re.sub(r"@media[^{]*\{", "", sheet)):
        important = "!important" in body
        sets = _sets(body.replace("!important", ""))
        for selector in selectors.split(","):
            if parts := _parts(selector.strip()):
                weight = sum(10 * bool(name) + bool(tag) for tag, name, _ in parts)
                yield _Rule(parts, sets, important, weight)


def _parts(selector: str) -> tuple[tuple[str, str, bool], ...]:
    words = selector.replace(">", " > ").split()
    found: list[tuple[str, str, bool]] = []
    for number, word in enumerate(words):
        if word == ">":
            continue
        match = re.fullmatch(r"([a-z0-9]*)(?:\.([\w-]+))?", word)
        if match is None:
            return ()
        child = number + 1 < len(words) and words[number + 1] == ">"
        found.append((match[1], match[2] or "", child))
    return tuple(found)


def _sets(body: str) -> dict[str, str]:
    pairs = (part.partition(":") for part in body.split(";") if ":" in part)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


@dataclass
class _Reader(HTMLParser):
    """Walks through the letter; the topmost open tag knows what its words look like."""

    rules: list[_Rule]
    dark: bool
    found: list[Words] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        # What a program in dark mode puts where nothing is said.
        front, back = (WHITE, BLACK) if self.dark else (BLACK, WHITE)
        self._open = [_Tag("", frozenset(), front, back, 16.0, False, False)]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        above = self._open[-1]
        one = _Tag(
            tag,
            frozenset(given.get("class", "").split()),
            above.front,
            above.back,
            above.pixels * _HEADS.get(tag, 1.0),
            above.bold or tag in ("b", "strong", "h1", "h2", "h3"),
            above.hidden or tag in ("style", "title", "script", "head"),
        )
        if tag == "a":
            one.front = (0, 0, 238)  # what programs give a link of which nothing is said
        self._open.append(one)
        for sets in self._order(given):
            _apply(one, above, sets)
        if tag in _VOID:
            self._open.pop()

    def _order(self, given: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
        """What is set, the last winning: attributes, rules, own style, important rules."""
        if "bgcolor" in given:
            yield {"background-color": given["bgcolor"]}
        mine = sorted(filter(self._matches, self.rules), key=lambda rule: rule.weight)
        yield from (rule.sets for rule in mine if not rule.important)
        yield _sets(given.get("style", ""))
        yield from (rule.sets for rule in mine if rule.important)

    def _matches(self, rule: _Rule) -> bool:
        return _fits(self._open, rule.parts)

    def handle_endtag(self, tag: str) -> None:
        if any(one.tag == tag for one in self._open[1:]):
            while self._open.pop().tag != tag:
                pass

    def handle_data(self, data: str) -> None:
        one = self._open[-1]
        if (words := " ".join(data.split())) and not one.hidden:
            self.found.append(Words(words, one.front, one.back, one.pixels, one.bold))


def _fits(open_: list[_Tag], parts: tuple[tuple[str, str, bool], ...]) -> bool:
    """Whether the innermost open tag is what the last part names, the others around it."""
    if not parts:
        return True
    if not open_:
        return False
    tag, name, _ = parts[-1]
    one = open_[-1]
    if (tag and tag != one.tag) or (name and name not in one.classes):
        return False
    rest = parts[:-1]
    if rest and rest[-1][2]:
        return _fits(open_[:-1], rest)
    return not rest or any(_fits(open_[:at], rest) for at in range(1, len(open_)))


def _apply(one: _Tag, above: _Tag, sets: Mapping[str, str]) -> None:
    for name, value in sets.items():
        if name == "color":
            one.front = above.front if value == "inherit" else color(value)
        elif name in ("background", "background-color"):
            one.back = above.back if value in ("transparent", "none") else color(value)
        elif name == "font-size" and (found := re.fullmatch(r"([\d.]+)(px|em|%)?", value)):
            scale = {"px": 1.0, "em": above.pixels, "%": above.pixels / 100}
            one.pixels = float(found[1]) * scale[found[2] or "px"]
        elif name == "font-weight":
            one.bold = value == "bold" or (value.isdigit() and int(value) >= 700)
        elif name == "display" and value == "none":
            one.hidden = True


def _luminance(rgb: Rgb) -> float:
    parts = [value / 255 for value in rgb]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

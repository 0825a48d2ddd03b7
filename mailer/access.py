"""Whether a letter can be read by everybody: by ear, by keyboard, in the dark, without pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

from mailer import contrast, reading
from mailer.findings import Finding

LANGUAGE, TITLE, HEADINGS = "Language", "Title", "Headings"
LINKS, TABLES, PICTURES, CONTRAST = "Link words", "Tables", "Pictures", "Contrast"
_SAYS_NOTHING = frozenset(
    {
        *("here", "click here", "click", "link", "this link", "read more", "more", "learn more"),
        *("go", "this", "this page", "details", "see more", "tap here", "press here"),
        *("aquí", "aqui", "haga clic aquí", "haz clic aquí", "clic aquí", "clic", "pulse aquí"),
        *("enlace", "este enlace", "más", "leer más", "ver más", "más información"),
    }
)
_PICTURES = re.compile(r"<(?:img|svg|picture|canvas|v:image)\b|background=|url\s*\(", re.IGNORECASE)


@dataclass
class _Outline(HTMLParser):
    """What a screen reader goes by."""

    language: str = ""
    title: str = ""
    headings: list[tuple[int, str]] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)
    bare_tables: int = 0
    _open: list[str] = field(default_factory=list)
    _words: list[str] = field(default_factory=list)
    _href: str = ""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "html":
            self.language = given.get("lang", "")
        elif tag == "table":
            self.bare_tables += given.get("role") not in ("presentation", "none")
        elif tag in ("a", "title", "h1", "h2", "h3"):
            self._open.append(tag)
            self._words = []
            self._href = given.get("href", self._href) if tag == "a" else self._href

    def handle_endtag(self, tag: str) -> None:
        if tag not in self._open:
            return
        self._open.remove(tag)
        words = " ".join("".join(self._words).split())
        if tag == "a":
            self.links.append((words, self._href))
        elif tag == "title":
            self.title = words
        else:
            self.headings.append((int(tag[1]), words))

    def handle_data(self, data: str) -> None:
        if self._open:
            self._words.append(data)


def inspect(html: str, own_words: str) -> tuple[Finding, ...]:
    """Look at one compiled letter.

    Args:
        html: to a made-up person.
        own_words: what the coordinator wrote, as text, by which the language is guessed.
    """
    outline = _Outline()
    outline.feed(html)
    outline.close()
    return (
        *_language(outline.language, own_words),
        *_headings(outline),
        *_links(outline),
        *_tables(outline, html),
        *_contrast(html),
    )


def _language(stated: str, own_words: str) -> Iterator[Finding]:
    guessed = reading.guess(own_words)
    names = {"en": "English", "es": "Spanish"}
    if not stated:
        todo = 'Begin with <mjml lang="en">, or es for Spanish.'
        yield Finding(LANGUAGE, "red", "The letter does not say its language.", todo)
    elif guessed and guessed != stated.split("-")[0].lower():
        what = f"The letter says {stated}, and reads as {names[guessed]}: read aloud it is garbled."
        yield Finding(LANGUAGE, "red", what, f'Begin with <mjml lang="{guessed}">.')
    else:
        yield Finding(LANGUAGE, "green", f"The letter says its language: {stated}.")


def _headings(outline: _Outline) -> Iterator[Finding]:
    if not outline.title:
        todo = "Add <mj-head><mj-title>...</mj-title></mj-head>."
        yield Finding(TITLE, "yellow", "The letter has no title for screen readers.", todo)
    before = 0
    for level, words in outline.headings:
        if not words:
            yield Finding(HEADINGS, "red", f"One <h{level}> is empty.", "Fill it or remove it.")
            return
        if level > before + 1:
            what = f"<h{level}> comes after " + (f"<h{before}>." if before else "no heading.")
            todo = f"Use <h{before + 1}>; set its size by font-size."
            yield Finding(HEADINGS, "yellow", what, todo)
            return
        before = level
    yield Finding(HEADINGS, "green", f"{len(outline.headings)} headings, in order.")


def _links(outline: _Outline) -> Iterator[Finding]:
    for words, _ in outline.links:
        plain = words.strip(" .!:»>→").lower()
        if not plain:
            todo = "Say in the link where it leads."
            yield Finding(LINKS, "red", "A link has no words.", todo)
            return
        if plain in _SAYS_NOTHING:
            what = f"“{words}” does not say where it leads."
            yield Finding(LINKS, "yellow", what, "Say it: “Tell me you are coming”.")
            return
    leads: dict[str, set[str]] = {}
    for words, href in outline.links:
        leads.setdefault(words.lower(), set()).add(href)
    if twice := [words for words, hrefs in leads.items() if len(hrefs) > 1]:
        what = f"“{twice[0]}” leads to {len(leads[twice[0]])} places."
        yield Finding(LINKS, "yellow", what, "Give each place words of its own.")
        return
    yield Finding(LINKS, "green", f"{len(outline.links)} links say where they lead.")


def _tables(outline: _Outline, html: str) -> Iterator[Finding]:
    if outline.bare_tables:
        what = f"{outline.bare_tables} tables would be read out as tables."
        yield Finding(TABLES, "red", what, "Tell whoever looks after this installation.")
    else:
        yield Finding(TABLES, "green", "Tables are there for the layout alone, and say so.")
    if _PICTURES.search(re.sub(r"<!--.*?-->", "", html, flags=re.DOTALL)):
        yield Finding(PICTURES, "red", "There is a picture in the letter.", "Say it in words.")
    else:
        yield Finding(PICTURES, "green", "No pictures, so no words in pictures.")


def _contrast(html: str) -> Iterator[Finding]:
    yield _of_mode(html, dark=False)
    if contrast.has_dark(html):
        yield _of_mode(html, dark=True)
    else:
        what = "The letter sets colours of its own and has no dark form."
        todo = "Leave the colours out and it has one; or look at it in a program in dark mode."
        yield Finding(CONTRAST, "yellow", what, todo)


def _of_mode(html: str, *, dark: bool) -> Finding:
    mode = "dark" if dark else "light"
    runs = contrast.shown(html, dark=dark)
    if unknown := next((one for one in runs if one.ratio is None), None):
        what = f"In {mode} mode the colours of “{unknown.text[:40]}” are not known."
        return Finding(CONTRAST, "yellow", what, "Write colours as #17594a.")
    rated = [(one.ratio or 0.0, one) for one in runs]
    for ratio, one in rated:
        if ratio < one.needed:
            what = f"In {mode} mode “{one.text[:40]}” has {ratio:.1f} to 1."
            todo = f"Use a darker or a lighter colour: {one.needed} to 1 is needed."
            return Finding(CONTRAST, "red", what, todo)
    least = min((ratio for ratio, _ in rated), default=21.0)
    return Finding(CONTRAST, "green", f"In {mode} mode at least {least:.1f} to 1.")

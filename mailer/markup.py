"""The part of MJML that a coordinator may use, checked tag by tag, with line numbers."""

from __future__ import annotations

import difflib
import html
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlsplit

from mailer.errors import Problem

MAX_SOURCE = 64 * 1024
MAX_DEPTH = 24

_INLINE = frozenset(
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
_STYLED = frozenset(
    {"mj-section", "mj-wrapper", "mj-column", "mj-group"}
    | {"mj-text", "mj-button", "mj-divider", "mj-spacer"}
)
_TEXTS = frozenset({"mj-text", "mj-button", "mj-title", "mj-preview"})
_VOID = frozenset({"br"})
_UNCLOSED = _VOID | {"img", "hr", "meta", "link", "input", "base", "source", "embed"}
_CHILDREN: Mapping[str, frozenset[str]] = {
    "": frozenset({"mjml"}),
    "mjml": frozenset({"mj-head", "mj-body"}),
    "mj-head": frozenset({"mj-title", "mj-preview", "mj-attributes"}),
    "mj-attributes": _STYLED | {"mj-all"},
    "mj-body": frozenset({"mj-section", "mj-wrapper"}),
    "mj-wrapper": frozenset({"mj-section"}),
    "mj-section": frozenset({"mj-column", "mj-group"}),
    "mj-group": frozenset({"mj-column"}),
    "mj-column": frozenset({"mj-text", "mj-button", "mj-divider", "mj-spacer"}),
    "mj-text": _INLINE,
    "mj-button": frozenset({"b", "strong", "i", "em", "span", "br"}),
    **{tag: _INLINE - {"p", "ul", "ol", "h1", "h2", "h3", "blockquote"} for tag in _INLINE},
    "ul": frozenset({"li"}),
    "ol": frozenset({"li"}),
    "blockquote": _INLINE,
}
_TAGS = frozenset(_CHILDREN) - {""} | {"mj-divider", "mj-spacer", "mj-all"} | _TEXTS
_REFUSED = {
    "mj-include": "Files are not included: paste the text itself.",
    "mj-raw": "Raw HTML is not taken: use mj-text.",
    "mj-html": "Raw HTML is not taken: use mj-text.",
    "mj-image": "Pictures would tell who opened the letter: say it in words.",
    "img": "Pictures would tell who opened the letter: say it in words.",
    "mj-style": "Styles are set by attributes; the letter brings its own for phones and dark mode.",
    "style": "Styles are set by attributes; the letter brings its own for phones and dark mode.",
    "mj-font": "A font fetched from elsewhere would tell who opened the letter.",
    "mj-hero": "It needs a picture: use mj-section.",
    "script": "Letters run no scripts.",
}

_LENGTH = r"(?:0|\d{1,3}(?:\.\d{1,2})?(?:px|em|%)?)"
_KINDS = {
    "color": re.compile(r"#[0-9A-Fa-f]{3}(?:[0-9A-Fa-f]{3})?|[A-Za-z]{3,20}"),
    "length": re.compile(_LENGTH),
    "lengths": re.compile(rf"{_LENGTH}(?: {_LENGTH}){{0,3}}"),
    "size": re.compile(r"(?:1[2-9]|[2-6]\d)px"),
    "align": re.compile(r"left|center|right|justify"),
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
    "color": "color",
    "align": "align",
}
_ATTRIBUTES: Mapping[str, Mapping[str, str]] = {
    "mjml": {"lang": "word", "dir": "word"},
    "mj-body": {"background-color": "color", "width": "length"},
    "mj-wrapper": {**_PADDING, "background-color": "color", "border-radius": "length"},
    "mj-section": {
        **_PADDING,
        "background-color": "color",
        "border": "border",
        "border-radius": "length",
        "text-align": "align",
    },
    "mj-group": {"width": "length", "background-color": "color", "vertical-align": "valign"},
    "mj-column": {
        **_PADDING,
        "width": "length",
        "background-color": "color",
        "border": "border",
        "border-radius": "length",
        "vertical-align": "valign",
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
    "mj-all": {"font-family": "font"},
    "a": {"href": "link", "style": "style"},
    **{tag: {"style": "style"} for tag in _INLINE - {"a", "br"}},
}
_STYLES = {
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
_WRITTEN_LINK = re.compile(
    r"(?:https?://|www\.)[^\s<>\"']+"
    r"|\b(?:[A-Za-z0-9-]+\.)+(?:com|org|net|info|gov|edu|us|co|io|me|ly|app|vote|link|biz)\b"
    r"(?:/[^\s<>\"']*)?",
    re.IGNORECASE,
)


@dataclass(slots=True)
class Node:
    """One tag of a template, or (with an empty tag) one text."""

    tag: str
    line: int
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Node] = field(default_factory=list)
    text: str = ""

    def walk(self) -> Iterator[Node]:
        """Yield this node and all below it, in the order of the letter."""
        yield self
        for child in self.children:
            yield from child.walk()

    def find(self, tag: str) -> Node | None:
        """Return the first node of this tag, or nothing."""
        return next((node for node in self.walk() if node.tag == tag), None)

    def source(self) -> str:
        """Return one plain spelling of the node, so that no two parsers read it differently."""
        if not self.tag:
            return html.escape(self.text, quote=False)
        if self.tag in _VOID:
            return self.opening()
        return f"{self.opening()}{''.join(child.source() for child in self.children)}</{self.tag}>"

    def opening(self) -> str:
        """Return the tag that opens the node."""
        written = "".join(
            f' {name}="{html.escape(value)}"' for name, value in self.attributes.items()
        )
        return f"<{self.tag}{written}{'/' if self.tag in _VOID else ''}>"


def read(source: str, *, hosts: Collection[str]) -> tuple[Node, list[Problem]]:
    """Read a template and find everything in it that is not allowed.

    Args:
        source: MJML as the coordinator wrote it.
        hosts: the hosts that links may lead to, lower-case.

    Returns:
        The root, holding ``mjml``, and the problems in order; with a problem it is not compiled.
    """
    if len(source) > MAX_SOURCE:
        todo = f"Keep it under {MAX_SOURCE // 1024} KB."
        return Node("", 1), [Problem(1, "The template is too long.", todo)]
    reader = _Reader(hosts)
    reader.feed(source)
    reader.close()
    reader.end()
    return reader.root, reader.problems


def link_problem(link: str, hosts: Collection[str]) -> str | None:
    """Say what is wrong with a link, or nothing."""
    if "{{" in link or "}}" in link:
        return "A field stands in a link: links are the same for everybody."
    if not re.fullmatch(r"[!-~]+", link) or set(link) & set("<>\"'\\^`{|}"):
        return "The link holds a letter that links do not have."
    try:
        parts = urlsplit(link)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "The link cannot be read."
    if parts.scheme != "https" or not host:
        return "Links begin with https://."
    if parts.username is not None or port is not None:
        return "The link names a login or a port."
    if host not in hosts:
        return f"The agreement does not list links to {host}."
    return None


def written_links(text: str) -> list[str]:
    """Return what mail programs would make clickable in plain words."""
    found = [link[0].rstrip(".,;:!?)") for link in _WRITTEN_LINK.finditer(text)]
    return [link if "://" in link else f"https://{link}" for link in found]


class _Reader(HTMLParser):
    """Builds the tree; the standard library's parser is also the one the compiler reads with."""

    def __init__(self, hosts: Collection[str]) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Node("", 1)
        self.problems: list[Problem] = []
        self._hosts = hosts
        self._open = [self.root]

    def end(self) -> None:
        """Check what only the end can tell."""
        for node in self._open[1:]:
            self._wrong(f"<{node.tag}> is never closed.", f"Add </{node.tag}>.", node.line)
        if self.root.find("mj-body") is None:
            self._wrong("There is no mj-body.", "Begin with <mjml><mj-body>.", 1)
        for tag in ("mjml", "mj-head", "mj-body", "mj-title", "mj-preview", "mj-attributes"):
            for node in [node for node in self.root.walk() if node.tag == tag][1:]:
                self._wrong(f"{tag} stands twice.", "Keep one.", node.line)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = self._node(tag, attrs)
        if tag not in _UNCLOSED:
            self._open.append(node)
            if len(self._open) == MAX_DEPTH:
                self._wrong("Tags are nested too deep.", "Close some before opening others.")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._node(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNCLOSED:
            return
        if tag not in [node.tag for node in self._open[1:]]:
            self._wrong(f"</{tag}> closes nothing.", f"Remove it, or open <{tag}> before.")
            return
        while (node := self._open.pop()).tag != tag:
            todo = f"Close </{node.tag}> before </{tag}>."
            self._wrong(f"<{node.tag}> is never closed.", todo, node.line)

    def handle_data(self, data: str) -> None:
        above = self._open[-1]
        if above.tag in _TEXTS or (above.tag in _INLINE and above.tag not in ("ul", "ol")):
            above.children.append(Node("", self.getpos()[0], text=data))
            for link in written_links(data):
                if problem := link_problem(link, self._hosts):
                    line = self.getpos()[0] + data.count("\n", 0, data.find(link[8:]))
                    self._wrong(problem, "Use a listed link, or take it out.", line)
        elif data.strip() and above.tag not in _REFUSED:
            line = self.getpos()[0] + len(data) - len(data.lstrip("\n"))
            self._wrong("Words stand outside mj-text.", "Put them into <mj-text>.", line)

    def handle_comment(self, data: str) -> None:
        """Comments are for who writes the template; no letter carries them."""

    def handle_decl(self, decl: str) -> None:
        self._wrong("A declaration stands here.", "Remove it; begin with <mjml>.")

    def handle_pi(self, data: str) -> None:
        self._wrong("An instruction stands here.", "Remove it; begin with <mjml>.")

    def unknown_decl(self, data: str) -> None:
        self._wrong("A declaration stands here.", "Remove it; begin with <mjml>.")

    def _node(self, tag: str, attrs: list[tuple[str, str | None]]) -> Node:
        above = self._open[-1]
        node = Node(tag, self.getpos()[0])
        if tag in _REFUSED:
            self._wrong(f"<{tag}> is not taken.", _REFUSED[tag])
        elif tag not in _TAGS:
            near = difflib.get_close_matches(tag, _TAGS, 1)
            todo = f"Did you mean <{near[0]}>?" if near else "Use mj-section, mj-column, mj-text."
            self._wrong(f"There is no <{tag}>.", todo)
        else:
            if above.tag in _CHILDREN and tag not in _CHILDREN[above.tag]:
                inside = f"<{above.tag}>" if above.tag else "the top"
                into = sorted(one for one, below in _CHILDREN.items() if one and tag in below)
                todo = f"It goes into <{into[0]}>." if into else "Remove it."
                self._wrong(f"<{tag}> cannot stand in {inside}.", todo)
            elif above.tag not in _CHILDREN and above.tag in _TAGS:
                self._wrong(f"<{above.tag}> holds words only.", f"Remove <{tag}>.")
            self._attributes(node, attrs)
        above.children.append(node)
        return node

    def _attributes(self, node: Node, attrs: list[tuple[str, str | None]]) -> None:
        known = _ATTRIBUTES.get(node.tag, {})
        for name, given in attrs:
            value = (given or "").strip()
            if name in node.attributes:
                self._wrong(f"{name} stands twice in <{node.tag}>.", "Keep one.")
            elif name not in known:
                near = difflib.get_close_matches(name, known, 1)
                todo = f"Did you mean {near[0]}?" if near else "Remove it."
                self._wrong(f"<{node.tag}> has no {name}.", todo)
            elif "{{" in value or "}}" in value:
                todo = "Fields stand in words only: never in a link, a colour or a style."
                self._wrong(f"A field stands in {name}.", todo)
            else:
                self._value(known[name], name, value)
            node.attributes[name] = value
        leads = node.tag in ("a", "mj-button") and self._open[-1].tag != "mj-attributes"
        if leads and "href" not in node.attributes:
            self._wrong(f"<{node.tag}> leads nowhere.", 'Add href="https://...".')

    def _value(self, kind: str, name: str, value: str) -> None:
        if kind == "link":
            if problem := link_problem(value, self._hosts):
                self._wrong(problem, "Use a listed link, or take it out.")
        elif kind == "style":
            for declared in filter(None, (part.strip() for part in value.split(";"))):
                prop, _, worth = (part.strip() for part in declared.partition(":"))
                if prop not in _STYLES:
                    todo = f"These exist: {', '.join(_STYLES)}."
                    self._wrong("A style is not taken.", todo)
                else:
                    self._value(_STYLES[prop], prop, worth)
        elif not _KINDS[kind].fullmatch(value):
            self._wrong(f"The value of {name} is not taken.", _HOW.get(kind, "Write it plainly."))

    def _wrong(self, what: str, todo: str, line: int | None = None) -> None:
        # The parser keeps an author's odd letters out of what we say.
        said = "".join(letter if letter.isprintable() else "?" for letter in what)[:160]
        self.problems.append(Problem(line or self.getpos()[0], said, todo))


_HOW = {
    "color": "Write #17594a, or a colour's English name.",
    "length": "Write a number and px, em or %.",
    "lengths": "Write one to four lengths: 8px 24px.",
    "size": "Write 12px to 69px.",
    "font": "Use Georgia, Helvetica, Arial, Verdana, 'Times New Roman', serif or sans-serif.",
}

"""The part of MJML that a coordinator may use, checked tag by tag, with line numbers."""

from __future__ import annotations

import difflib
import html
import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

from mailer.errors import Problem
from mailer.grammar import (
    ATTRIBUTES,
    BESIDE,
    CHILDREN,
    HOW,
    INLINE,
    KINDS,
    PLACED,
    PLACES_IN,
    REFUSED,
    STYLES,
    TAGS,
    TEXTS,
    UNCLOSED,
    VOID,
)
from mailer.links import host, link_problem, written_links

MAX_SOURCE = 64 * 1024
MAX_DEPTH = 24
# The compiler takes some 0.3 ms a tag: so many stay within a second on a busy machine.
MAX_TAGS = 900
# The parser may look through all that is left at each.
MAX_PIECES = MAX_TAGS + 1000
MAX_SECTIONS = 100
MAX_PLACED = 40
MAX_PROBLEMS = 40

# Steers the direction of words, or shows nothing: what stands there is not what is read. Joiners of
# letters and emoji, and soft hyphens, are none of these.
HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069"
    "\ufeff\ufff9-\ufffd\U000e0000-\U000e007f]"
)
_AT = re.compile(r"\}\}@|@\{\{")
FIELD_IN_LINK = ("A field would become a link.", "Put a space beside the field, or plain words.")
_FIELD = re.compile(r"\{\{[^{}|]{0,60}(?:\|\s*([^{}]{1,200}?)\s*)?\}\}")


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

    def codes(self) -> dict[str, tuple[str, ...]]:
        """Return the places that a place block names, by their kind."""
        return {
            kind: tuple(code.strip() for code in written.split(","))
            for kind, written in self.attributes.items()
            if kind in ATTRIBUTES["mj-place"]
        }

    def source(self) -> str:
        """Return one plain spelling of the node, so that no two parsers read it differently."""
        if not self.tag:
            return html.escape(self.text, quote=False)
        if self.tag in VOID:
            return self.opening()
        return f"{self.opening()}{''.join(child.source() for child in self.children)}</{self.tag}>"

    def opening(self) -> str:
        """Return the tag that opens the node."""
        written = "".join(
            f' {name}="{html.escape(value)}"' for name, value in self.attributes.items()
        )
        return f"<{self.tag}{written}{'/' if self.tag in VOID else ''}>"


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
    try:
        reader.feed(source)
        reader.whole()
        reader.close()
        reader.end()
    except _Enough:
        pass
    return reader.root, reader.problems


def runs(root: Node) -> list[list[Node]]:
    """Return the texts that a reader sees as one, each a list of the nodes it is cut into."""
    found: list[list[Node]] = [[]]
    for child in root.children:
        _run(child, found)
    return [run for run in found if run]


def _run(node: Node, found: list[list[Node]]) -> None:
    if not node.tag:
        found[-1].append(node)
        return
    if apart := node.tag not in BESIDE:
        found.append([])
    for child in node.children:
        _run(child, found)
    if apart:
        found.append([])


def _line(run: list[Node], at: int) -> int:
    """Return the line of one letter of a run."""
    for node in run:
        if at < len(node.text):
            return node.line + node.text.count("\n", 0, max(0, at))
        at -= len(node.text)
    return run[-1].line


def becomes_link(words: str) -> int | None:
    """Return where a field stands that a mail program would take for a part of a link."""
    first = _FIELD.search(words)
    if first is None:
        return None
    if beside := _AT.search(words):
        return beside.start()
    without = written_links(_FIELD.sub(" ", words))
    for stands in (lambda mark: mark[1] or "com", lambda mark: "com"):
        if written_links(_FIELD.sub(stands, words)) != without:
            return first.start()
    return None


class _Enough(Exception):
    """What was read so far is refused already, and reading on could take long."""


class _Reader(HTMLParser):
    """Builds the tree; the standard library's parser is also the one the compiler reads with."""

    def __init__(self, hosts: Collection[str]) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Node("", 1)
        self.problems: list[Problem] = []
        self._hosts = hosts
        self._open = [self.root]
        self._said: list[str] = []
        self._said_at = 1
        self._tags: Counter[str] = Counter()

    def whole(self) -> None:
        """Refuse what has no end: closing would look through all of it at each piece."""
        if "<" in self.rawdata:
            self._wrong("A tag or a comment has no end.", "End it with >, or write &lt;.")
            raise _Enough

    def end(self) -> None:
        """Check what only the end can tell."""
        self._words()
        for node in self._open[1:]:
            self._wrong(f"<{node.tag}> is never closed.", f"Add </{node.tag}>.", node.line)
        if self.root.find("mj-body") is None:
            self._wrong("There is no mj-body.", "Begin with <mjml><mj-body>.", 1)
        for tag in ("mjml", "mj-head", "mj-body", "mj-title", "mj-preview", "mj-attributes"):
            for node in [node for node in self.root.walk() if node.tag == tag][1:]:
                self._wrong(f"{tag} stands twice.", "Keep one.", node.line)
        for node in self.root.walk():
            self._links(node)
            if node.tag in PLACES_IN:
                self._placed(node)
        for run in runs(self.root):
            self._written(run)

    def _written(self, run: list[Node]) -> None:
        """Check what mail programs would make clickable, whatever tags and fields stand in it."""
        words = "".join(node.text for node in run)
        for mark in ("{{", "}}"):
            if words.count(mark) != sum(node.text.count(mark) for node in run):
                todo = "Write {{ field }} in one piece, and tags around all of it."
                self._wrong("A tag cuts the marks of a field.", todo, run[0].line)
        for link in written_links(words):
            if problem := link_problem(link, self._hosts):
                line = _line(run, words.find(link[8:]))
                self._wrong(problem, "Use a listed link, or take it out.", line)
        if (at := becomes_link(words)) is not None:
            self._wrong(*FIELD_IN_LINK, _line(run, at))

    def _links(self, node: Node) -> None:
        """Check that words which look like an address lead where they say."""
        to = node.attributes.get("href")
        if node.tag not in ("a", "mj-button") or to is None:
            return
        words = "".join(below.text for below in node.walk())
        for said in written_links(words):
            if host(said) != host(to):
                todo = "Write what is there, in words, or the very address."
                self._wrong("The words name another address than the link.", todo, node.line)

    def _placed(self, above: Node) -> None:
        """Check the place blocks in one tag: each names places, and elsewhere follows some."""
        before = ""
        for node in above.children:
            if not node.tag:
                continue
            if node.tag == "mj-place" and not node.attributes:
                todo = 'Say where: <mj-place zip="81003, 81004">.'
                self._wrong("<mj-place> names no place.", todo, node.line)
            if node.tag == "mj-elsewhere" and before != "mj-place":
                todo = "It goes right behind the <mj-place> blocks that it is the rest of."
                self._wrong("<mj-elsewhere> follows no <mj-place>.", todo, node.line)
            if node.tag in PLACED:
                self._held(node)
            before = node.tag

    def _held(self, node: Node) -> None:
        if not any(child.tag for child in node.children):
            self._wrong(f"<{node.tag}> is empty.", "Put the text into it.", node.line)
        linked = [below for below in node.walk() if "href" in below.attributes]
        if linked or any(written_links(below.text) for below in node.walk()):
            # Visits to a link of one precinct would tell how many read it there.
            todo = "Put the link behind the block: it is the same for everybody."
            line = linked[0].line if linked else node.line
            self._wrong("A link stands in a place block.", todo, line)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._words()
        node = self._node(tag, attrs)
        if tag not in UNCLOSED:
            self._open.append(node)
            if len(self._open) == MAX_DEPTH:
                self._wrong("Tags are nested too deep.", "Close some before opening others.")
                raise _Enough

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._words()
        self._node(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        self._words()
        if tag in UNCLOSED:
            return
        if tag not in [node.tag for node in self._open[1:]]:
            self._wrong(f"</{tag}> closes nothing.", f"Remove it, or open <{tag}> before.")
            return
        while (node := self._open.pop()).tag != tag:
            todo = f"Close </{node.tag}> before </{tag}>."
            self._wrong(f"<{node.tag}> is never closed.", todo, node.line)

    def handle_data(self, data: str) -> None:
        # The parser gives words in pieces, cut at each stray angle and each comment.
        above = self._open[-1]
        if above.tag in TEXTS or (above.tag in INLINE and above.tag not in ("ul", "ol")):
            if not self._said:
                self._said_at = self.getpos()[0]
            self._said.append(data)
            self._tags["pieces"] += 1
            if self._tags["pieces"] > MAX_PIECES:
                self._wrong("There are too many stray angles.", "Write &lt; for one.")
                raise _Enough
        elif data.strip() and above.tag not in REFUSED:
            line = self.getpos()[0] + len(data) - len(data.lstrip("\n"))
            self._wrong("Words stand outside mj-text.", "Put them into <mj-text>.", line)

    def _words(self) -> None:
        """Take the words since the last tag as one text."""
        if self._said:
            words = "".join(self._said)
            if hidden := HIDDEN.search(words):
                line = self._said_at + words.count("\n", 0, hidden.start())
                self._wrong("A hidden letter stands here.", "Type these words anew.", line)
            self._open[-1].children.append(Node("", self._said_at, text=words))
            self._said = []

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
        if tag in REFUSED:
            self._wrong(f"<{tag}> is not taken.", REFUSED[tag])
        elif tag not in TAGS:
            near = difflib.get_close_matches(tag[:40], TAGS, 1)
            todo = f"Did you mean <{near[0]}>?" if near else "Use mj-section, mj-column, mj-text."
            self._wrong(f"There is no <{tag}>.", todo)
        else:
            taken = self._taken()
            if taken is not None and tag not in taken:
                inside = f"<{above.tag}>" if above.tag else "the top"
                into = sorted(one for one, below in CHILDREN.items() if one and tag in below)
                into += sorted(PLACES_IN) if tag in PLACED else []
                todo = f"It goes into <{into[0]}>." if into else "Remove it."
                self._wrong(f"<{tag}> cannot stand in {inside}.", todo)
            elif taken is None and above.tag in TAGS:
                self._wrong(f"<{above.tag}> holds words only.", f"Remove <{tag}>.")
            self._attributes(node, attrs)
        above.children.append(node)
        self._count(node)
        return node

    def _taken(self) -> frozenset[str] | None:
        """What may stand here; a place block takes what the tag around it takes."""
        above = self._open[-1].tag
        if above in PLACED:
            return CHILDREN.get(self._open[-2].tag)
        taken = CHILDREN.get(above)
        return taken | PLACED if taken is not None and above in PLACES_IN else taken

    def _count(self, node: Node) -> None:
        kind = "placed" if node.tag in PLACED else node.tag
        for counted, most, what in (
            ("", MAX_TAGS, "tags"),
            ("mj-section", MAX_SECTIONS, "sections"),
            ("placed", MAX_PLACED, "place blocks"),
        ):
            if counted in ("", kind):
                self._tags[counted] += 1
                if self._tags[counted] > most:
                    self._wrong(f"There are too many {what}.", f"Use at most {most}.")
                    raise _Enough

    def _attributes(self, node: Node, attrs: list[tuple[str, str | None]]) -> None:
        known = ATTRIBUTES.get(node.tag, {})
        for name, given in attrs:
            value = (given or "").strip()
            if name in node.attributes:
                self._wrong(f"{name} stands twice in <{node.tag}>.", "Keep one.")
            elif name not in known:
                near = difflib.get_close_matches(name[:40], known, 1)
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
                if prop not in STYLES:
                    todo = f"These exist: {', '.join(STYLES)}."
                    self._wrong("A style is not taken.", todo)
                else:
                    self._value(STYLES[prop], prop, worth)
        elif not KINDS[kind].fullmatch(value):
            self._wrong(f"The value of {name} is not taken.", HOW.get(kind, "Write it plainly."))

    def _wrong(self, what: str, todo: str, line: int | None = None) -> None:
        # The parser keeps an author's odd letters out of what we say.
        said = "".join(letter if letter.isprintable() else "?" for letter in what[:160])
        self.problems.append(Problem(line or self.getpos()[0], said, todo))
        if len(self.problems) >= MAX_PROBLEMS:
            raise _Enough

"""Template and facts to subject, text and HTML: MJML once, then segments joined."""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from mjml import mjml_to_html

from mailer import footer, plaintext
from mailer.errors import Problem, TemplateRefused
from mailer.fields import Field, Piece, bind, fill, parse
from mailer.markup import COLORS, Node, link_problem, read, written_links

MAX_SUBJECT = 150
# Gmail cuts a letter at 102 KB; the facts are still to come.
MAX_HTML = 96 * 1024

_FETCHES = re.compile(
    r"<(?:script|img|link|iframe|object|embed|form|input|svg|video|audio|base)\b"
    r"|<[^>]*\s(?:src|background|on[a-z]+)\s*=|<style[^>]*>[^<]*(?:@import|url\s*\()"
    r"|style=\"[^\"]*url\s*\(|href=\"\s*(?!https://|trellisfield)",
    re.IGNORECASE,
)
_MARK = re.compile(r"(trellisfield[0-9a-f]{24}x\d+x)")

# The house look. A template that sets no colour of its own also gets its dark form.
_LOOK: Mapping[str, Mapping[str, str]] = {
    "mj-all": {"font-family": "Georgia, 'Times New Roman', serif"},
    "mj-section": {"background-color": "#ffffff", "padding": "12px 0"},
    "mj-wrapper": {"padding": "0"},
    "mj-text": {
        "color": "#15201c",
        "font-size": "17px",
        "line-height": "1.6",
        "padding": "6px 24px 10px",
    },
    "mj-button": {
        "background-color": "#17594a",
        "color": "#ffffff",
        "font-size": "17px",
        "font-weight": "600",
        "font-family": "Helvetica, Arial, sans-serif",
        "border-radius": "6px",
        "inner-padding": "14px 26px",
        "padding": "10px 24px 18px",
        "align": "left",
        "line-height": "1.2",
    },
    "mj-divider": {"border-color": "#d5ddd9", "border-width": "1px", "padding": "10px 24px"},
}
_DARK = """
:root { color-scheme: light dark; supported-color-schemes: light dark; }
@media (prefers-color-scheme: dark) {
body, .t-page { background-color: #0e1513 !important; }
.t-card, .t-card > table { background: #161e1b !important; background-color: #161e1b !important; }
.t-text, .t-text div, .t-text p, .t-text span, .t-text li { color: #e6edea !important; }
.t-text h1, .t-text h2, .t-text h3 { color: #e6edea !important; }
.t-text a { color: #74c6ac !important; }
.t-button td, .t-button a { background: #74c6ac !important; color: #08150f !important; }
.t-rule p { border-color: #33403b !important; }
.t-foot, .t-foot table, .t-foot td { background: #0e1513 !important; }
.t-foot-text, .t-foot-text div { color: #a9b8b1 !important; }
.t-foot-text a { color: #74c6ac !important; }
}
"""
_LIGHT = ":root { color-scheme: light only; }"
_EVERY = ".t-text a { color: #17594a; } .t-text p { margin: 0 0 14px; } h1 { line-height: 1.2; }"
_CLASSES = {
    "mj-body": "t-page",
    "mj-section": "t-card",
    "mj-text": "t-text",
    "mj-button": "t-button",
    "mj-divider": "t-rule",
}


@dataclass(frozen=True, slots=True)
class Template:
    """What a coordinator writes; ``text`` replaces the text part that is made otherwise."""

    subject: str
    mjml: str
    text: str | None = None

    def digest(self) -> bytes:
        """Return the SHA-256 of the template's canonical JSON, which approvals bind."""
        parts = {"subject": self.subject, "mjml": self.mjml}
        if self.text is not None:
            parts["text"] = self.text
        # For an object of plain strings this is the byte form of RFC 8785.
        spelled = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(spelled.encode()).digest()


@dataclass(frozen=True, slots=True)
class Compiled:
    """A template that kept every rule, cut into words and fields, the footer included.

    Args:
        html: pieces whose words are markup already; fields are escaped when they come.
        links: every link a coordinator wrote, sorted; the footer's own are not in it.
        digest: ``Template.digest`` of what was compiled.
    """

    subject: str
    text: tuple[Piece, ...]
    html: tuple[Piece, ...]
    links: tuple[str, ...]
    digest: bytes

    @property
    def fields(self) -> frozenset[str]:
        """The names of the facts that a letter needs, the footer's included."""
        pieces = (*self.text, *self.html)
        return frozenset(piece.name for piece in pieces if isinstance(piece, Field))


@dataclass(frozen=True, slots=True)
class Rendered:
    """One letter's three texts, as one person would see them."""

    subject: str
    text: str
    html: str


def compile_template(
    template: Template, *, allowed_fields: Collection[str], allowed_hosts: Collection[str]
) -> Compiled:
    """Check a template by every rule and compile it once for all its letters.

    Args:
        template: as the coordinator wrote it.
        allowed_fields: names of ``fields.FIELDS`` that the agreement lets a letter use.
        allowed_hosts: hosts that the agreement lets links lead to.

    Raises:
        TemplateRefused: with every problem, each with its line and what to do.
    """
    hosts = frozenset(host.lower() for host in allowed_hosts)
    problems = _subject_problems(template.subject)
    root, found = read(template.mjml, hosts=hosts)
    problems += found
    problems += _field_problems(root, allowed_fields)
    if problems:
        raise TemplateRefused(problems)

    links = _links(root)
    text = template.text if template.text is not None else plaintext.written(root)
    pieces, found = parse(text.replace("\r\n", "\n"), line=1, allowed=allowed_fields)
    problems += found
    if template.text is not None:
        problems += _text_problems(template.text, links, hosts)
    if problems:
        raise TemplateRefused(problems)

    return Compiled(
        subject=" ".join(template.subject.split()),
        text=bind((*pieces, *footer.text()), {}, _same),
        html=_html(root, allowed_fields, template.digest()),
        links=links,
        digest=template.digest(),
    )


def render(compiled: Compiled, facts: Mapping[str, str]) -> Rendered:
    """Join one letter.

    Args:
        facts: one text for each of ``compiled.fields``; others are not looked at.

    Raises:
        FactsRefused: a field has neither text nor fallback.
        LetterRefused: the stop or the why link is no https link.
    """
    known = footer.check_facts({name: facts[name] for name in compiled.fields if name in facts})
    return Rendered(
        compiled.subject,
        fill(compiled.text, known, _same),
        fill(compiled.html, known, html.escape),
    )


def _same(text: str) -> str:
    return text


def _subject_problems(subject: str) -> list[Problem]:
    problems = []
    if not subject.strip():
        problems.append(Problem(1, "The subject is empty.", "Say what the letter is about."))
    if len(subject) > MAX_SUBJECT:
        todo = f"Use at most {MAX_SUBJECT} letters; phones show about 40."
        problems.append(Problem(1, "The subject is too long.", todo))
    if any(not letter.isprintable() for letter in subject):
        todo = "Keep it one line of plain letters."
        problems.append(Problem(1, "The subject holds a line break or a hidden letter.", todo))
    if re.search(r"\{\{|\}\}|\{%|%\}|\{#", subject):
        todo = "Subjects are the same for everybody."
        problems.append(Problem(1, "A field stands in the subject.", todo))
    if written_links(subject):
        problems.append(Problem(1, "A link stands in the subject.", "Put it into the letter."))
    if re.match(r"\s*(?:re|fwd?)\s*:", subject, re.IGNORECASE):
        todo = "This letter answers nobody: begin with what it is about."
        problems.append(Problem(1, "The subject pretends to be an answer.", todo))
    return problems


def _field_problems(root: Node, allowed: Collection[str]) -> list[Problem]:
    problems = []
    title = root.find("mj-title")
    shown_as_attribute = set(map(id, title.walk())) if title is not None else set()
    for node in root.walk():
        if not node.tag:
            pieces, found = parse(node.text, line=node.line, allowed=allowed)
            problems += found
            if id(node) in shown_as_attribute and any(isinstance(p, Field) for p in pieces):
                todo = "Take it out; the title is the same for everybody."
                problems.append(Problem(node.line, "A field stands in mj-title.", todo))
    return problems


def _links(root: Node) -> tuple[str, ...]:
    links = {node.attributes["href"] for node in root.walk() if "href" in node.attributes}
    for node in root.walk():
        links.update(written_links(node.text))
    return tuple(sorted(links))


def _text_problems(text: str, links: tuple[str, ...], hosts: Collection[str]) -> list[Problem]:
    problems = []
    found = written_links(text)
    for link in found:
        line = 1 + text.count("\n", 0, max(0, text.find(link.removeprefix("https://"))))
        if problem := link_problem(link, hosts):
            problems.append(Problem(line, problem, "Use a listed link, or take it out."))
        elif link not in links:
            todo = "Both parts have the same links: add it to the letter, or remove it here."
            problems.append(Problem(line, "The text part has a link of its own.", todo))
    missing = set(links) - set(found)
    if missing:
        todo = "Both parts have the same links: add them to the text part."
        problems.append(Problem(1, f"The text part lacks {len(missing)} of the links.", todo))
    return problems


def _html(root: Node, allowed: Collection[str], digest: bytes) -> tuple[Piece, ...]:
    # A mark is a word that nobody can have written: it holds a digest of the whole template. It
    # stands where the field stood while the compiler moves the markup around it.
    fields: list[Field] = []

    def mark(field: Field) -> str:
        fields.append(field)
        return f"trellisfield{digest.hex()[:24]}x{len(fields) - 1}x"

    dark = not any(
        COLORS & node.attributes.keys() or "color" in node.attributes.get("style", "")
        for node in root.walk()
    )
    for node in root.walk():
        if not node.tag:
            pieces, _ = parse(node.text, line=node.line, allowed=allowed)
            node.text = "".join(p if isinstance(p, str) else mark(p) for p in pieces)
        elif dark and node.tag in _CLASSES:
            node.attributes["css-class"] = _CLASSES[node.tag]
    compiled = _compile(root, {name: mark(Field(name)) for name in footer.FACTS}, dark)
    cut = _MARK.split(compiled)
    cut_pieces: list[Piece] = [
        fields[int(part.rsplit("x", 2)[1])] if number % 2 else part
        for number, part in enumerate(cut)
    ]
    _check_compiled(compiled, [p for p in cut_pieces if isinstance(p, Field)], fields)
    return tuple(piece for piece in cut_pieces if piece != "")


def _compile(root: Node, marks: dict[str, str], dark: bool) -> str:
    body = root.find("mj-body")
    top = root.find("mjml")
    assert body is not None  # read() refused it otherwise
    assert top is not None
    body.attributes.setdefault("background-color", "#f4f6f5")
    body.attributes.setdefault("width", "600px")
    head = {
        tag: "".join(child.source() for child in node.children) if node else ""
        for tag in ("mj-title", "mj-preview")
        for node in [root.find(tag)]
    }
    inside = "".join(child.source() for child in body.children)
    lang = html.escape(top.attributes.get("lang", "en"))
    direction = html.escape(top.attributes.get("dir", "auto"))
    source = (
        f'<mjml lang="{lang}" dir="{direction}"><mj-head>'
        f"<mj-title>{head['mj-title']}</mj-title><mj-preview>{head['mj-preview']}</mj-preview>"
        f"<mj-attributes>{_look(root)}</mj-attributes>"
        f"<mj-style>{_EVERY}{_DARK if dark else _LIGHT}</mj-style></mj-head>"
        f"{body.opening()}{inside}{footer.source(marks)}</mj-body></mjml>"
    )
    compiled = str(mjml_to_html(source, keep_comments=False).html)
    schemes = "light dark" if dark else "light only"
    compiled = compiled.replace(
        "</title>", f'</title>\n<meta name="color-scheme" content="{schemes}">', 1
    )
    # Indentation is a third of the compiler's output.
    return re.sub(r"\n\s*", "\n", compiled)


def _look(root: Node) -> str:
    """Return the house look, with what the template sets for all of a kind over it."""
    look = {tag: dict(attributes) for tag, attributes in _LOOK.items()}
    own = root.find("mj-attributes")
    for node in own.children if own is not None else ():
        # The compiler takes each tag once only.
        look.setdefault(node.tag, {}).update(node.attributes)
    return "".join(Node(tag, 0, attributes).source() for tag, attributes in look.items())


def _check_compiled(compiled: str, kept: list[Field], given: list[Field]) -> None:
    # The source was checked; this checks the compiler, which is not ours.
    problems = []
    if any(all(field is not one for one in kept) for field in given):
        problems.append(Problem(1, "A field was lost.", "Move it into the middle of a paragraph."))
    if found := _FETCHES.search(compiled):
        todo = "Take out what would fetch something when the letter is opened."
        problems.append(Problem(1, f"The letter would hold {found[0].strip()!r}.", todo))
    if len(compiled.encode()) > MAX_HTML:
        todo = f"Keep the compiled letter under {MAX_HTML // 1024} KB: Gmail cuts longer ones."
        problems.append(Problem(1, "The letter is too long.", todo))
    if problems:
        raise TemplateRefused(problems)

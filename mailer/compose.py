"""Template and facts to subject, text and HTML: MJML once, then segments joined."""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from mjml import mjml_to_html

from mailer import emitted, footer, plaintext
from mailer.errors import Problem, TemplateRefused
from mailer.fields import Edge, Field, Marked, between, fill, parse
from mailer.grammar import COLORS, PLACED
from mailer.links import link_problem, written_links
from mailer.look import CLASSES, DARK, EVERY, LIGHT, LOOK, LOOKS
from mailer.markup import FIELD_IN_LINK, HIDDEN, Node, becomes_link, read, runs
from mailer.places import Place, PlaceBlock, shown
from mailer.upstream import COMPONENTS

MAX_SUBJECT = 150
# Gmail cuts a letter at 102 KB; the facts are still to come.
MAX_HTML = 96 * 1024
MAX_TEXT = 64 * 1024
MAX_LINKS = 200

_NOWHERE = Place()
_TITLE = "trellistitle"
_TOO_LONG = (
    "The letter is too long.",
    f"Keep the compiled letter under {MAX_HTML // 1024} KB: Gmail cuts longer ones.",
)
_LONG_TEXT = ("The text part is too long.", f"Keep it under {MAX_TEXT // 1024} KB.")
_OWN_TEXT = (
    "A text part of its own cannot know the places.",
    "Leave the text part empty: it is made from the letter, place blocks and all.",
)


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
        places: its place blocks, by the numbers of their edges; ``places.shown`` picks.
        language: of its footer and of the pages behind its links.
    """

    subject: str
    text: tuple[Marked, ...]
    html: tuple[Marked, ...]
    links: tuple[str, ...]
    digest: bytes
    places: tuple[PlaceBlock, ...] = ()
    language: str = "en"

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
    template: Template,
    *,
    allowed_fields: Collection[str],
    allowed_hosts: Collection[str],
    language: str | None = None,
) -> Compiled:
    """Check a template by every rule and compile it once for all its letters.

    Args:
        template: as the coordinator wrote it.
        allowed_fields: names of ``fields.FIELDS`` that the agreement lets a letter use.
        allowed_hosts: hosts that the agreement lets links lead to.
        language: one of ``footer.LANGUAGES``, in which its words must be; otherwise it is in the
            one that its ``lang`` says.

    Raises:
        TemplateRefused: with every problem, each with its line and what to do.
    """
    hosts = frozenset(host.lower() for host in allowed_hosts)
    problems = _subject_problems(template.subject)
    root, found = read(template.mjml, hosts=hosts)
    problems += found
    problems += _field_problems(root, allowed_fields)
    spoken = language or _said(root)
    problems += _language_problems(root, spoken)
    if problems:
        raise TemplateRefused(problems)

    links, digest = _links(root), template.digest()
    blocks = _mark_places(root, digest)
    text = template.text if template.text is not None else plaintext.written(root)
    if len(text) > MAX_TEXT:
        raise TemplateRefused([Problem(1, *_LONG_TEXT, "Text")])
    pieces, found = parse(text.replace("\r\n", "\n"), line=1, allowed=allowed_fields)
    if template.text is not None:
        found += _text_problems(template.text, links, hosts)
        problems += [Problem(block.line, *_OWN_TEXT) for block in blocks[:1]]
    problems += [replace(problem, where=f"Text, line {problem.line}") for problem in found]
    if problems:
        raise TemplateRefused(problems)

    return Compiled(
        subject=" ".join(template.subject.split()),
        text=(*_text_edges(pieces, digest), *footer.text(spoken)),
        html=_html(root, allowed_fields, digest, spoken),
        links=links,
        digest=digest,
        places=blocks,
        language=spoken,
    )


def render(compiled: Compiled, facts: Mapping[str, str], place: Place = _NOWHERE) -> Rendered:
    """Join one letter.

    Args:
        facts: one text for each of ``compiled.fields``; others are not looked at.
        place: the reader's, which decides on the place blocks.

    Raises:
        FactsRefused: a field has neither text nor fallback.
        LetterRefused: the stop or the why link is no https link.
    """
    known = footer.check_facts({name: facts[name] for name in compiled.fields if name in facts})
    here = shown(compiled.places, place)
    return Rendered(
        compiled.subject,
        fill(between(compiled.text, here), known, _same),
        fill(between(compiled.html, here), known, html.escape),
    )


def _same(text: str) -> str:
    return text


def _subject_problems(subject: str) -> list[Problem]:
    problems: list[Problem] = []
    if not subject.strip():
        problems.append(Problem(1, "The subject is empty.", "Say what the letter is about."))
    if len(subject) > MAX_SUBJECT:
        todo = f"Use at most {MAX_SUBJECT} letters; phones show about 40."
        return [Problem(1, "The subject is too long.", todo, "Subject")]
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
    return [replace(problem, where="Subject") for problem in problems]


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


def _said(root: Node) -> str:
    top = root.find("mjml")
    lang = top.attributes.get("lang", "en").lower().split("-")[0] if top is not None else "en"
    return lang if lang in footer.LANGUAGES else "en"


def _language_problems(root: Node, language: str) -> list[Problem]:
    top = root.find("mjml")
    if top is None or top.attributes.get("lang", language).lower().split("-")[0] == language:
        return []
    todo = f'Write <mjml lang="{language}">, or put it under its own language.'
    return [Problem(1, "The letter says that it is in another language.", todo)]


def _mark_places(root: Node, digest: bytes) -> tuple[PlaceBlock, ...]:
    """Replace each place block by what it holds, between two marks that nobody can have written."""
    blocks: list[PlaceBlock] = []
    for above in [node for node in root.walk() if any(c.tag in PLACED for c in node.children)]:
        run: list[int] = []
        inside: list[Node] = []
        for node in above.children:
            if node.tag not in PLACED:
                run = [] if node.tag else run
                inside.append(node)
                continue
            number = len(blocks)
            rest = node.tag == "mj-elsewhere"
            blocks.append(PlaceBlock(node.line, node.codes(), tuple(run) if rest else ()))
            run = [] if rest else [*run, number]
            mark = f"{digest.hex()[:24]}x{number}x"
            begins, ends = _raw(f"trellisbegin{mark}"), _raw(f"trellisend{mark}")
            inside += [begins, *(child for child in node.children if child.tag), ends]
        above.children[:] = inside
    return tuple(blocks)


def _raw(mark: str) -> Node:
    return Node("mj-raw", 0, children=[Node("", 0, text=mark)])


def _marks(kinds: str, digest: bytes) -> str:
    """The pattern of this template's own marks; another one's are words like any others."""
    return rf"(trellis(?:{kinds}){digest.hex()[:24]}x\d+x)"


def _edge(mark: str) -> Edge:
    return Edge(int(mark.rsplit("x", 2)[1]), mark.startswith("trellisbegin"))


def _text_edges(pieces: Iterable[Marked], digest: bytes) -> tuple[Marked, ...]:
    """Cut a text at its marks; the blank line behind one goes with what it holds."""
    marks = re.compile(_marks("begin|end", digest) + r"\n*")
    cut: list[Marked] = []
    for piece in pieces:
        if not isinstance(piece, str):
            cut.append(piece)
            continue
        for number, part in enumerate(marks.split(piece)):
            cut += [_edge(part) if number % 2 else part] if part else []
    return tuple(cut)


def _links(root: Node) -> tuple[str, ...]:
    links = {node.attributes["href"] for node in root.walk() if "href" in node.attributes}
    for run in runs(root):
        links.update(written_links("".join(node.text for node in run)))
    return tuple(sorted(links))


def _text_problems(text: str, links: tuple[str, ...], hosts: Collection[str]) -> list[Problem]:
    problems = []
    if (at := becomes_link(text)) is not None:
        problems.append(Problem(1 + text.count("\n", 0, at), *FIELD_IN_LINK))
    if hidden := HIDDEN.search(text):
        line = 1 + text.count("\n", 0, hidden.start())
        problems.append(Problem(line, "A hidden letter stands here.", "Type these words anew."))
    found = written_links(text)
    for link in found[:MAX_LINKS]:
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


def _html(root: Node, allowed: Collection[str], digest: bytes, language: str) -> tuple[Marked, ...]:
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
        else:
            look = node.attributes.pop("look", "")
            if dark and node.tag in CLASSES:
                node.attributes["css-class"] = f"t-{look}" if look else CLASSES[node.tag]
            for name, value in LOOKS.get(look, {}).items() if dark else ():
                node.attributes.setdefault(name, value)
    placed = sum(node.tag == "mj-raw" for node in root.walk())
    compiled = _compile(root, {name: mark(Field(name)) for name in footer.FACTS}, dark, language)
    cut: list[Marked] = []
    for number, part in enumerate(re.split(_marks("field|begin|end", digest), compiled)):
        if not number % 2:
            cut += [part] if part else []
        elif part.startswith("trellisfield"):
            cut.append(fields[int(part.rsplit("x", 2)[1])])
        else:
            cut.append(_edge(part))
    _check_compiled(compiled, cut, fields, placed)
    return tuple(cut)


def _compile(root: Node, marks: dict[str, str], dark: bool, language: str) -> str:
    body = root.find("mj-body")
    top = root.find("mjml")
    assert body is not None  # read() refused it otherwise
    assert top is not None
    body.attributes.setdefault("background-color", "#f4f6f5")
    body.attributes.setdefault("width", "600px")
    title, preview = root.find("mj-title"), root.find("mj-preview")
    called = "".join(child.text for child in title.children) if title is not None else ""
    before = "".join(child.source() for child in preview.children) if preview is not None else ""
    inside = "".join(child.source() for child in body.children)
    if len(inside) > MAX_HTML:  # it would be too long, and take long
        raise TemplateRefused([Problem(1, *_TOO_LONG)])
    lang = html.escape(top.attributes.get("lang", language))
    direction = html.escape(top.attributes.get("dir", "auto"))
    source = (
        f'<mjml lang="{lang}" dir="{direction}"><mj-head>'
        f"<mj-title>{_TITLE if called else ''}</mj-title><mj-preview>{before}</mj-preview>"
        f"<mj-attributes>{_look(root)}</mj-attributes>"
        f"<mj-style>{EVERY}{DARK if dark else LIGHT}</mj-style></mj-head>"
        f"{body.opening()}{inside}{footer.source(marks, language)}</mj-body></mjml>"
    )
    compiled = str(mjml_to_html(source, custom_components=COMPONENTS, keep_comments=False).html)
    # The compiler writes a title into an attribute as it is, quotes and all.
    compiled = compiled.replace(_TITLE, html.escape(" ".join(called.split())))
    schemes = "light dark" if dark else "light only"
    compiled = compiled.replace(
        "</title>", f'</title>\n<meta name="color-scheme" content="{schemes}">', 1
    )
    # Indentation is a third of the compiler's output.
    return re.sub(r"\n\s*", "\n", compiled)


def _look(root: Node) -> str:
    """Return the house look, with what the template sets for all of a kind over it."""
    look = {tag: dict(attributes) for tag, attributes in LOOK.items()}
    own = root.find("mj-attributes")
    for node in own.children if own is not None else ():
        # The compiler takes each tag once only.
        look.setdefault(node.tag, {}).update(node.attributes)
    return "".join(Node(tag, 0, attributes).source() for tag, attributes in look.items())


def _check_compiled(compiled: str, pieces: list[Marked], given: list[Field], placed: int) -> None:
    # The source was checked; this checks the compiler, which is not ours.
    problems = []
    kept = {id(piece) for piece in pieces if isinstance(piece, Field)}
    if any(id(field) not in kept for field in given):
        problems.append(Problem(1, "A field was lost.", "Move it into the middle of a paragraph."))
    edges = [piece for piece in pieces if isinstance(piece, Edge)]
    paired = [(Edge(n, True), Edge(n, False)) for n in range(placed // 2)]
    if sorted(zip(edges[::2], edges[1::2], strict=False), key=lambda two: two[0].block) != paired:
        problems.append(Problem(1, "A place block was torn.", "Put a whole mj-section into it."))
    if found := emitted.strange(compiled):
        todo = "Take out what would do more than be read."
        problems.append(Problem(1, f"The letter would hold {found}.", todo))
    if len(compiled.encode()) > MAX_HTML:
        problems.append(Problem(1, *_TOO_LONG))
    if problems:
        raise TemplateRefused(problems)

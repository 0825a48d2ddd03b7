"""The text part of a letter, made from its template: the same words and the same links."""

from __future__ import annotations

from mailer.markup import Node

_BLOCKS = frozenset({"p", "ul", "ol", "li", "h1", "h2", "h3", "blockquote"})


def written(root: Node) -> str:
    """Return a template's words as plain text, fields untouched.

    A link stands after its words, unless the words are the link.
    """
    body = root.find("mj-body")
    paragraphs: list[str] = []
    for node in body.walk() if body is not None else ():
        if node.tag == "mj-text":
            paragraphs += _paragraphs(node)
        elif node.tag == "mj-button":
            words = _squeeze("".join(map(_inline, node.children)))
            paragraphs.append(f"{words}: {node.attributes.get('href', '')}")
        elif node.tag == "mj-raw":
            paragraphs.append(node.children[0].text)
        elif node.tag == "mj-divider":
            paragraphs.append("* * *")
    return "\n\n".join(paragraphs) + "\n"


def _paragraphs(node: Node) -> list[str]:
    found: list[str] = []
    line = ""
    for number, child in enumerate(node.children):
        if child.tag in _BLOCKS:
            found.append(line)
            line = ""
            found += _block(child, number)
        else:
            line += _inline(child)
    return [text for text in (_squeeze(text) for text in [*found, line]) if text]


def _block(node: Node, number: int) -> list[str]:
    if node.tag in ("ul", "ol"):
        items = [child for child in node.children if child.tag == "li"]
        marks = [f"{n}." if node.tag == "ol" else "*" for n in range(1, len(items) + 1)]
        lines = (
            f"{mark} {_squeeze(''.join(map(_inline, item.children)))}"
            for mark, item in zip(marks, items, strict=True)
        )
        return ["\n".join(lines)]
    if node.tag in ("h1", "h2", "h3"):
        return (
            [_squeeze("".join(map(_inline, node.children))).upper()]
            if _plain(node)
            else [_squeeze("".join(map(_inline, node.children)))]
        )
    if node.tag == "li":
        return [f"* {_squeeze(''.join(map(_inline, node.children)))}"]
    return _paragraphs(node)


def _plain(node: Node) -> bool:
    # A heading with a field or a link keeps its case: upper case would break both.
    return not any("{{" in below.text or below.tag == "a" for below in node.walk())


def _inline(node: Node) -> str:
    if not node.tag:
        return " ".join(node.text.split()) if node.text.strip() == node.text else _keep(node.text)
    if node.tag == "br":
        return "\n"
    words = "".join(map(_inline, node.children))
    link = node.attributes.get("href")
    if node.tag == "a" and link:
        return link if _squeeze(words) == link else f"{words} ({link})"
    return words


def _keep(text: str) -> str:
    before = " " if text[:1].isspace() else ""
    after = " " if text[-1:].isspace() else ""
    return before + " ".join(text.split()) + after if text.strip() else " "


def _squeeze(text: str) -> str:
    lines = (" ".join(line.split(" ")).strip() for line in text.split("\n"))
    return "\n".join(lines).replace("  ", " ").strip()

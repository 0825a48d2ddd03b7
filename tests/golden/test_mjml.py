"""What readers' mail programs get is what MJML itself makes of the same source, style by style.

Kept are four sources, as we hand them to the compiler, and what npm's ``mjml`` makes of each
(``tools/npm_mjml.py`` says how, and with which version). Compared are, in the order of the letter
and Outlook's own comments opened: every tag; its style, where declarations that share no first
word may stand in any order; its other attributes; and all rules of the head, spaces apart. Left
out are ``tbody``, which HTML puts in by itself and npm's button has, an empty class, and what
says words and not looks: ``href`` and ``aria-label``. So words may change without npm.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from mailer import compose, starting, versions
from mailer.fields import FIELDS

KEPT = Path(__file__).parent / "mjml"
PLACED = {"zip": ["81003", "81004"]}
EVERY = """<mjml lang="en"><mj-head><mj-title>Every tag</mj-title><mj-preview>All of it</mj-preview>
<mj-attributes><mj-all font-family="Georgia, serif"/><mj-text padding="4px 20px"/>
<mj-section border-radius="8px"/></mj-attributes></mj-head>
<mj-body background-color="#eeeeee" width="580px">
<mj-wrapper padding="12px 8px" background-color="#fafafa" border-radius="12px">
<mj-section padding="10px 14px" border="1px solid #d5ddd9" direction="rtl">
<mj-group width="70%" background-color="#ffffff" vertical-align="middle">
<mj-column padding="6px 10px" width="40%"><mj-text align="right">One</mj-text></mj-column>
<mj-column border="2px solid #17594a" border-radius="6px"><mj-text>Two</mj-text></mj-column>
</mj-group>
<mj-column width="30%" vertical-align="bottom"><mj-spacer height="12px"/>
<mj-divider border-width="2px" border-style="dashed" width="50%"/></mj-column></mj-section>
<mj-section><mj-column padding-left="7px" background-color="#f0f0f0" border-radius="9px">
<mj-text font-size="20px" letter-spacing="1px" text-transform="uppercase">Three</mj-text>
</mj-column></mj-section></mj-wrapper>
<mj-section text-align="left" padding-top="4px"><mj-column width="200px">
<mj-text container-background-color="#ffffff" font-style="italic" line-height="22px">Four</mj-text>
</mj-column><mj-column><mj-button href="https://example.org/a" width="180px" align="center"
inner-padding="10px 20px" border="1px solid #000000">Five</mj-button></mj-column>
<mj-column><mj-text><p style="margin:0 0 8px;color:#222222">Six</p><ul><li>a</li></ul></mj-text>
</mj-column></mj-section></mj-body></mjml>"""


def letters() -> dict[str, dict[str, Any]]:
    """Three starters, one of them with a block for some places and one for the rest, and MJML."""
    placed = starting.starter("early-vote")
    placed["blocks"][3:3] = [
        {"kind": "text", "text": "Ours is at {{ precinct | home }}.", "places": PLACED},
        {"kind": "text", "text": "Yours is near.", "places": "elsewhere"},
    ]
    return {
        "event": starting.starter("event"),
        "vote-plan": starting.starter("vote-plan"),
        "early-vote-by-place": placed,
        "every-tag": {"subject": "Every tag", "mjml": EVERY},
    }


def compiled(template: dict[str, Any], patch: pytest.MonkeyPatch) -> tuple[str, str]:
    """What the compiler is handed, marks numbered, and the letter that is sent."""
    handed: list[str] = []
    real = compose.mjml_to_html

    def listen(source: str, **options: Any) -> Any:
        handed.append(source)
        return real(source, **options)

    patch.setattr(compose, "mjml_to_html", listen)
    made = versions.compile_versions(
        template, languages=("en",), allowed_fields=FIELDS, allowed_hosts={"example.org"}
    )["en"]
    [source] = handed
    source = re.sub(r"trellis(field|begin|end)[0-9a-f]{24}x(\d+)x", r"trellis\1\2", source)
    return source, "".join(piece for piece in made.html if isinstance(piece, str))


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[Any, ...], tuple[Any, ...]]] = []
        self.rules = ""
        self._in_rules = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_rules = tag == "style"
        if tag == "tbody" or ("name", "color-scheme") in attrs:
            return
        others = {
            name: value
            for name, value in attrs
            if name not in ("style", "href", "aria-label") and (name, value) != ("class", "")
        }
        self.tags.append((tag, styles(dict(attrs).get("style")), tuple(sorted(others.items()))))

    def handle_endtag(self, tag: str) -> None:
        self._in_rules = False

    def handle_data(self, data: str) -> None:
        self.rules += re.sub(r"\s", "", data) if self._in_rules else ""


def styles(written: str | None) -> tuple[Any, ...]:
    """Declarations under the first word of their property, in their order under each."""
    kinds: dict[str, list[tuple[str, str]]] = {}
    for declared in filter(str.strip, (written or "").split(";")):
        name, _, value = (part.strip() for part in declared.partition(":"))
        kinds.setdefault(name.removeprefix("-").split("-")[0], []).append((name, value))
    return tuple(sorted((kind, tuple(each)) for kind, each in kinds.items()))


def looks(page: str) -> tuple[list[tuple[str, tuple[Any, ...], tuple[Any, ...]]], str]:
    """Every tag with its style and its other attributes, and the rules of the head."""
    opened = re.sub(r"<!--\[if[^\]]*\]>(?:<!-->)?|(?:<!--)?<!\[endif\]-->", "", page)
    tags = _Tags()
    tags.feed(opened)
    return tags.tags, tags.rules.replace(";}", "}")


def outline(mjml: str) -> list[str]:
    """Every tag of a source with its attributes: what its looks depend on."""
    return re.findall(r"</?[a-z][^>]*>|<mj-style>.*?</mj-style>", mjml, re.DOTALL)


@pytest.mark.parametrize("name", letters())
def test_a_letter_has_the_styles_that_npms_mjml_gives_it(
    name: str, golden: Callable[[str, bytes], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, ours = compiled(letters()[name], monkeypatch)
    kept = KEPT / f"{name}.mjml"
    if not kept.exists() or outline(kept.read_text()) != outline(source):
        # Under `make golden` it is written; then tools/npm_mjml.py makes the HTML anew.
        golden(f"mjml/{name}.mjml", source.encode())
    tags, rules = looks(ours)
    theirs, their_rules = looks((KEPT / f"{name}.html").read_text())
    assert tags == theirs
    assert rules == their_rules
    assert sum(bool(style) for _, style, _ in tags) > 60


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("width:600px", "width:599px"),
        ("padding:14px 26px", "padding:26px 14px"),
        ("border-collapse:separate;line-height", "line-height"),
        ("background:#ffffff;background-color:#ffffff", "background-color:#ffffff;background:#fff"),
        ('width="600"', 'width="590"'),
        ("<strong>", "<b>"),
        ("min-width:480px", "min-width:481px"),
    ],
)
def test_another_width_padding_order_tag_or_rule_is_noticed(was: str, becomes: str) -> None:
    page = (KEPT / "event.html").read_text()
    assert was in page
    assert looks(page.replace(was, becomes, 1)) != looks(page)


def test_a_letter_with_another_width_is_not_the_kept_one(monkeypatch: pytest.MonkeyPatch) -> None:
    wider = {"subject": "Every tag", "mjml": EVERY.replace("580px", "560px")}
    source, ours = compiled(wider, monkeypatch)
    assert outline(source) != outline((KEPT / "every-tag.mjml").read_text())
    assert looks(ours)[0] != looks((KEPT / "every-tag.html").read_text())[0]

"""The last look at what the compiler made: tags, attributes and styles that a letter may hold.

The source was checked; this checks the compiler, which is not ours.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

from mailer.grammar import INLINE

TAGS = INLINE | {"html", "head", "title", "meta", "style", "body", "div", "noscript", "xml"}
TAGS |= {"table", "tbody", "tr", "td", "o:officedocumentsettings", "o:allowpng", "o:pixelsperinch"}
ATTRIBUTES = frozenset({"align", "bgcolor", "border", "cellpadding", "cellspacing", "class"})
ATTRIBUTES |= {"content", "dir", "height", "href", "http-equiv", "lang", "media", "name", "role"}
ATTRIBUTES |= {"style", "target", "type", "valign", "width", "xmlns", "xmlns:o", "xmlns:v"}
ATTRIBUTES |= {"aria-label", "aria-roledescription"}
# Nothing that a letter's styles say needs any of these; fetching and running do.
_CALLS = re.compile(r"[(\\@<>]|/\*")
_FETCHES = re.compile(r"@import|@font-face|url\s*\(|image\s*\(|image-set|expression", re.IGNORECASE)
_CONDITIONS = re.compile(r"<!--\[if[^\]]{0,40}\]>(?:<!-->)?|(?:<!--)?<!\[endif\]-->")


def strange(page: str) -> str | None:
    """Return the first tag, attribute or style that no letter holds, or nothing.

    Args:
        page: a compiled letter; what Outlook reads as conditions is looked at as well.
    """
    look = _Look()
    look.feed(_CONDITIONS.sub("", page))
    look.close()
    return look.found


class _Look(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: str | None = None
        self._in_style = False

    def _say(self, what: str) -> None:
        self.found = self.found or "".join(c if c.isprintable() else "?" for c in what[:80])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_style = tag == "style"
        if tag not in TAGS:
            self._say(f"<{tag}>")
        for name, value in attrs:
            if name not in ATTRIBUTES or [one for one, _ in attrs].count(name) > 1:
                self._say(f"{name} in <{tag}>")
            elif name == "style" and _CALLS.search(value or ""):
                self._say(f"a style of <{tag}>")
            elif name == "href" and not (value or "").startswith(("https://", "trellisfield")):
                self._say(f"a link of <{tag}>")

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False

    def handle_data(self, data: str) -> None:
        if self._in_style and _FETCHES.search(data):
            self._say("a style that fetches")

    def handle_comment(self, data: str) -> None:
        self._say("a comment")

    def handle_decl(self, decl: str) -> None:
        if decl.lower() != "doctype html":
            self._say("a declaration")

    def handle_pi(self, data: str) -> None:
        self._say("an instruction")

    def unknown_decl(self, data: str) -> None:
        self._say("a declaration")

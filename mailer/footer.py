"""The part of a letter that no coordinator writes: who sent it, why, who paid, how to stop it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from mailer.errors import FactsRefused, LetterRefused
from mailer.fields import FIELDS, Field, Piece, tidy

# What the mailer itself states in every letter. None may be empty.
FACTS = (
    "messenger_name",
    "partner_name",
    "relation",
    "author_role",
    "race_name",
    "postal_address",
    "paid_for_by",
    "stop_url",
    "why_url",
)
URLS = ("stop_url", "why_url")

_URL = re.compile(
    r"(?:https://[A-Za-z0-9.-]+(?::\d{1,5})?|http://(?:127\.0\.0\.1|localhost)(?::\d{1,5})?)"
    r"/[A-Za-z0-9/_.~%?=&-]*"
)
_F = {name: Field(name) for name in FACTS}
WHO: tuple[Piece, ...] = (
    "Sent by ",
    _F["partner_name"],
    " and signed by ",
    _F["messenger_name"],
    ". The text was written by ",
    _F["author_role"],
    ".",
)
WHY: tuple[Piece, ...] = (
    _F["partner_name"],
    " states that you are ",
    _F["relation"],
    ".",
)
PAID: tuple[Piece, ...] = (
    "Paid for by ",
    _F["paid_for_by"],
    ". ",
    _F["postal_address"],
)
STOP: tuple[Piece, ...] = ("Stop emails about ", _F["race_name"])
WHY_LINK: tuple[Piece, ...] = ("Why did I get this?",)

# Every attribute is written out, so that nothing a template sets for all can hide the footer.
_TEXT = (
    "<mj-text css-class='t-foot-text' align='left' color='#47554f' font-size='13px'"
    " font-family='Helvetica, Arial, sans-serif' font-weight='normal' font-style='normal'"
    " line-height='1.55' padding='0 24px 10px' container-background-color='#f4f6f5'>{}</mj-text>"
)


def source(mark: dict[str, str]) -> str:
    """Return the footer as MJML, each field as its mark."""

    def written(pieces: tuple[Piece, ...]) -> str:
        return "".join(p if isinstance(p, str) else mark[p.name] for p in pieces)

    def link(url: str, words: str) -> str:
        style = "color:#17594a;text-decoration:underline;padding:8px 0"
        return f'<a href="{mark[url]}" style="{style}">{words}</a>'

    links = f"{link('stop_url', written(STOP))} &nbsp;·&nbsp; {link('why_url', written(WHY_LINK))}"
    lines = (f"{written(WHO)}<br/><br/>{written(WHY)}", links, written(PAID))
    return (
        "<mj-section css-class='t-foot' background-color='#f4f6f5' padding='20px 0 16px'"
        " border='none' border-radius='0' text-align='left'>"
        "<mj-column width='100%' padding='0' background-color='#f4f6f5' border='none'"
        " vertical-align='top'>" + "".join(map(_TEXT.format, lines)) + "</mj-column></mj-section>"
    )


def text() -> tuple[Piece, ...]:
    """Return the footer of the text part; it has the same links."""
    return (
        "\n-- \n",
        *WHO,
        "\n\n",
        *WHY,
        "\n\n",
        *STOP,
        ": ",
        _F["stop_url"],
        "\n",
        *WHY_LINK,
        " ",
        _F["why_url"],
        "\n\n",
        *PAID,
        "\n",
    )


def check_facts(facts: Mapping[str, str]) -> dict[str, str]:
    """Return facts as they may stand in a letter; raises LetterRefused for a link that is none."""
    known = {}
    for name, value in facts.items():
        if name in URLS:
            if not _URL.fullmatch(value):
                raise LetterRefused(name, "is no https link")
            known[name] = value
        elif name in FIELDS or name in FACTS:
            known[name] = tidy(name, value)
        else:
            raise FactsRefused(name)
    return known

"""The part of a letter that no coordinator writes: who sent it, why, who paid, how to stop it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Words:
    """The footer in one language; every field is a fact of ``FACTS``."""

    who: tuple[Piece, ...]
    why: tuple[Piece, ...]
    paid: tuple[Piece, ...]
    stop: tuple[Piece, ...]
    why_link: str
    ends: str = ""
    """What makes the pages behind both links speak this language."""


WORDS: Mapping[str, Words] = {
    "en": Words(
        who=(
            "Sent by ",
            _F["partner_name"],
            " and signed by ",
            _F["messenger_name"],
            ". The text was written by ",
            _F["author_role"],
            ".",
        ),
        why=(_F["partner_name"], " states that you are ", _F["relation"], "."),
        paid=("Paid for by ", _F["paid_for_by"], ". ", _F["postal_address"]),
        stop=("Stop emails about ", _F["race_name"]),
        why_link="Why did I get this?",
    ),
    "es": Words(
        who=(
            "Enviado por ",
            _F["partner_name"],
            " y firmado por ",
            _F["messenger_name"],
            ". El texto lo escribió ",
            _F["author_role"],
            ".",
        ),
        # The relation is the partner's own word, in whatever language it said it.
        why=(_F["partner_name"], " declara así su relación con usted: «", _F["relation"], "»."),
        paid=("Pagado por ", _F["paid_for_by"], ". ", _F["postal_address"]),
        stop=("No recibir más correos sobre ", _F["race_name"]),
        why_link="¿Por qué recibí esto?",
        ends="?lang=es",
    ),
}
LANGUAGES = tuple(WORDS)

# Every attribute is written out, so that nothing a template sets for all can hide the footer.
_TEXT = (
    "<mj-text css-class='t-foot-text' align='left' color='#47554f' font-size='13px'"
    " font-family='Helvetica, Arial, sans-serif' font-weight='normal' font-style='normal'"
    " line-height='1.55' padding='0 24px 10px' container-background-color='#f4f6f5'>{}</mj-text>"
)


def source(mark: dict[str, str], language: str = "en") -> str:
    """Return the footer as MJML, each field as its mark."""
    words = WORDS[language]

    def written(pieces: tuple[Piece, ...]) -> str:
        return "".join(p if isinstance(p, str) else mark[p.name] for p in pieces)

    def link(url: str, said: str) -> str:
        style = "color:#17594a;text-decoration:underline;padding:8px 0"
        return f'<a href="{mark[url]}{words.ends}" style="{style}">{said}</a>'

    lines = (
        f"{written(words.who)}<br/><br/>{written(words.why)}",
        # A line each: side by side they break on a phone, and a thumb hits the wrong one.
        link("stop_url", written(words.stop)),
        link("why_url", words.why_link),
        written(words.paid),
    )
    return (
        "<mj-section css-class='t-foot' background-color='#f4f6f5' padding='20px 0 16px'"
        " border='none' border-radius='0' text-align='left'>"
        "<mj-column width='100%' padding='0' background-color='#f4f6f5' border='none'"
        " vertical-align='top'>" + "".join(map(_TEXT.format, lines)) + "</mj-column></mj-section>"
    )


def text(language: str = "en") -> tuple[Piece, ...]:
    """Return the footer of the text part; it has the same links."""
    words = WORDS[language]
    return (
        "\n-- \n",
        *words.who,
        "\n\n",
        *words.why,
        "\n\n",
        *words.stop,
        ": ",
        _F["stop_url"],
        f"{words.ends}\n",
        f"{words.why_link} ",
        _F["why_url"],
        f"{words.ends}\n\n",
        *words.paid,
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

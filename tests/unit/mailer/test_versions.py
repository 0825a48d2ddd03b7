"""A letter in several languages is one letter: each version checked, each footer in its own."""

from __future__ import annotations

import email
import re
from dataclasses import replace
from email.policy import default
from typing import Any

import pytest

from mailer import starting
from mailer.compose import Compiled, render
from mailer.errors import TemplateRefused
from mailer.fields import FIELDS, PLACE_DAYS, PLACE_TEXTS
from mailer.letter import prepare
from mailer.versions import compile_versions, facts_used
from mailer.written import signed
from tests.fakes.letters import AT, COMMON, SENDER, recipient

FACTS = {**COMMON, "stop_url": "https://a.example/u/x", "why_url": "https://a.example/why/x"}
TEXT = {"subject": "Hi", "blocks": [{"kind": "text", "text": "Hello"}]}
TEXTO = {"subject": "Hola", "blocks": [{"kind": "text", "text": "Buenas"}]}


def made(template: dict[str, Any], *languages: str) -> dict[str, Compiled]:
    return compile_versions(
        template,
        languages=languages or ("en", "es"),
        allowed_fields=FIELDS,
        allowed_hosts={"example.org"},
    )


def refused(template: dict[str, Any], *languages: str) -> list[str]:
    with pytest.raises(TemplateRefused) as why:
        made(template, *languages)
    return [f"{problem.place}: {problem.what}" for problem in why.value.problems]


@pytest.mark.parametrize("name", starting.ORDER)
def test_every_starter_keeps_every_rule_in_both_languages(name: str) -> None:
    both = made({**starting.starter(name), "languages": {"es": starting.starter(name, "es")}})
    assert list(both) == ["en", "es"]
    for one in both.values():
        letter = render(one, FACTS)
        assert len(letter.html.encode()) < 20_000
        assert "prefers-color-scheme: dark" in letter.html
        assert f'lang="{one.language}"' in letter.html
        assert not re.search(r"\bsrc=|url\(|@import|<link|<script|background=", letter.html)
        links = set(re.findall(r'href="([^"]*)"', letter.html))
        assert links == set(re.findall(r"https://[^\s)]+", letter.text))
    assert both["en"].links != both["es"].links


def test_a_spanish_letter_is_spanish_to_its_last_line_and_header() -> None:
    one = made({**TEXT, "languages": {"es": TEXTO}})["es"]
    slice_ = prepare(one, sender=SENDER, common=COMMON, campaign="spring", at=AT)
    message = email.message_from_bytes(slice_.write(recipient(1)), policy=default)
    assert message["Subject"] == "Hola"
    assert message["Content-Language"] == "es"
    text = render(one, FACTS).text
    for said in ("Enviado por Steel City Teachers", "Pagado por", "¿Por qué recibí esto?"):
        assert said in text
    assert "https://a.example/u/x?lang=es" in text
    assert not re.search(r"\b(?:Sent by|Paid for|states that|Stop emails)\b", text)


def test_a_letter_in_one_language_has_no_header_more_than_before() -> None:
    slice_ = prepare(made(TEXT)["en"], sender=SENDER, common=COMMON, campaign="spring", at=AT)
    assert b"Content-Language" not in slice_.write(recipient(1))


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ({**TEXT, "languages": {"fr": TEXT}}, "fr: The agreement has no such language."),
        ({**TEXT, "languages": {"en": TEXT}}, "en: The agreement has no such language."),
        ({**TEXT, "languages": {"es": "x"}}, "Spanish, letter: This is no letter."),
        ({**TEXT, "languages": {"es": {**TEXTO, "facts": "x"}}}, "Spanish, letter: facts is not"),
        (
            {**TEXT, "languages": {"es": {"subject": "x", "blocks": [{"kind": "no"}]}}},
            "Spanish, block 1, kind: There is no such kind.",
        ),
        ({**TEXT, "mjml": "<mjml></mjml>"}, "Letter: The letter stands in both forms"),
        ({"subject": "x"}, "Letter: The letter stands in both forms, or in none."),
        ({**TEXT, "more": 1}, "Letter: more is not known."),
        ({**TEXT, "text": 5}, "Text: It is no text."),
        ({"subject": "x", "mjml": "<mjml lang='es'></mjml>"}, "Line 1: There is no mj-body."),
        (
            {
                "subject": "x",
                "mjml": "<mjml lang='es'><mj-body><mj-section></mj-section></mj-body></mjml>",
            },
            "Line 1: The letter says that it is in another language.",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_language(template: dict[str, Any], says: str) -> None:
    assert any(one.startswith(says) for one in refused(template)), refused(template)


def test_a_language_that_the_agreement_lacks_is_refused() -> None:
    assert refused({**TEXT, "languages": {"es": TEXTO}}, "en")


def test_the_first_language_of_the_agreement_is_the_letters_own() -> None:
    assert list(made(TEXTO, "es")) == ["es"]
    assert "Enviado por" in render(made(TEXTO, "es")["es"], FACTS).text


def test_only_facts_of_places_are_counted_as_such() -> None:
    text = "{{ election_date }} {{ polling_place | x }} {{ cure_deadline | y }}"
    one = made({"subject": "x", "blocks": [{"kind": "text", "text": text}]})
    assert facts_used(one) == {"polling_place", "cure_deadline"}
    assert facts_used(one) <= {*PLACE_TEXTS, *PLACE_DAYS}


def test_what_is_signed_of_an_old_letter_is_what_was_signed_then() -> None:
    kept = {"subject": "x", "mjml": "<mjml/>", "text": None, "messenger": {}, "window": {}}
    assert signed(kept) == {"subject": "x", "mjml": "<mjml/>", "text": None}


@pytest.mark.parametrize("part", ["blocks", "languages", "facts", "subject", "mjml", "text"])
def test_no_part_of_a_letter_can_change_unsigned(part: str) -> None:
    whole = {
        "subject": "x",
        "mjml": None,
        "text": "t",
        "blocks": [1],
        "languages": {},
        "facts": "f",
    }
    assert signed({**whole, part: "other"}) != signed(whole)


def test_a_problem_says_its_line_unless_it_says_more() -> None:
    with pytest.raises(TemplateRefused) as why:
        made({"subject": "x", "mjml": "<mjml>\n<mj-body>\n<mj-txt/></mj-body></mjml>"})
    [problem] = why.value.problems
    assert problem.place == "Line 3"
    assert str(replace(problem, where="Here")).startswith("Here: ")

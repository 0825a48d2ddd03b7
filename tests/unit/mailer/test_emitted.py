"""What the compiler made is looked at once more: a letter of ours passes, and nothing that acts."""

from __future__ import annotations

import pytest

from mailer import starting
from mailer.compose import render
from mailer.emitted import strange
from mailer.footer import LANGUAGES
from tests.fakes.letters import COMMON, compiled

FACTS = {**COMMON, "stop_url": "https://a.example/u/x", "why_url": "https://a.example/why/x"}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", starting.ORDER)
def test_a_starter_holds_nothing_strange(name: str, language: str) -> None:
    page = render(compiled(name, language), FACTS).html
    assert strange(page) is None
    assert strange(page.replace("<strong>", "<strong onclick='x'>", 1)) is not None


@pytest.mark.parametrize(
    ("inside", "says"),
    [
        ("<img src='x'>", "<img>"),
        ("<script>x</script>", "<script>"),
        ("<link rel='stylesheet'>", "<link>"),
        ("<svg></svg>", "<svg>"),
        ("<p onclick='x'>", "onclick in <p>"),
        ("<p id='x'>", "id in <p>"),
        ("<td background='x'>", "background in <td>"),
        ("<p style='background:url(x)'>", "a style of <p>"),
        ("<p style=width:expression(1)>", "a style of <p>"),
        ("<p style='color:\\75rl(x)'>", "a style of <p>"),
        ("<p style='a:b' style='c:d'>", "style in <p>"),
        ("<a href='javascript:x'>", "a link of <a>"),
        ("<a href='http://x.example'>", "a link of <a>"),
        ("<style>@import 'x'</style>", "a style that fetches"),
        ("<style>a{b:URL (x)}</style>", "a style that fetches"),
        ("<!-- x -->", "a comment"),
        ("<!--[if mso]><v:rect></v:rect><![endif]-->", "<v:rect>"),
        ("<!DOCTYPE x>", "a declaration"),
        ("<?xml x?>", "an instruction"),
    ],
)
def test_what_fetches_runs_or_is_not_ours_is_named(inside: str, says: str) -> None:
    assert strange(f"<!doctype html><html><body><p>x</p>{inside}</body></html>") == says

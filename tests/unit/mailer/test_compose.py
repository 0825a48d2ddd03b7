"""A template keeps the rules or is refused line by line; every letter says who and why."""

from __future__ import annotations

import hashlib
import html.parser
import json
import re

import pytest

from mailer import starting
from mailer.compose import Compiled, Template, compile_template, render
from mailer.errors import FactsRefused, LetterRefused, TemplateRefused
from mailer.fields import FIELDS, Field
from mailer.footer import FACTS, LANGUAGES
from tests.fakes.letters import COMMON, compiled, recipient

SHELL = "<mjml><mj-body><mj-section><mj-column>\n{}\n</mj-column></mj-section></mj-body></mjml>"
EVERYTHING = {
    **COMMON,
    "first_name": "Ana",
    "precinct": "12",
    "polling_place": "Lincoln School",
    "place_name": "Bessemer",
    "stop_url": "https://letters.example/stop/x",
    "why_url": "https://letters.example/why/x",
}


def compile_one(mjml: str, subject: str = "Hello", text: str | None = None) -> Compiled:
    return compile_template(
        Template(subject, mjml, text), allowed_fields=set(FIELDS), allowed_hosts={"example.org"}
    )


def problems(mjml: str, subject: str = "Hello", text: str | None = None) -> list[tuple[int, str]]:
    with pytest.raises(TemplateRefused) as refused:
        compile_one(mjml, subject, text)
    assert all(problem.todo for problem in refused.value.problems)
    return [(problem.line, problem.what) for problem in refused.value.problems]


def hrefs(markup: str) -> list[str]:
    found: list[str] = []

    class Finder(html.parser.HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.extend(value or "" for name, value in attrs if name == "href")

    Finder().feed(markup)
    return found


@pytest.mark.parametrize("name", starting.ORDER)
def test_every_starter_compiles_and_is_small_and_fetches_nothing(name: str) -> None:
    letter = render(compiled(name), EVERYTHING)
    assert len(letter.html.encode()) < 40_000
    assert not re.search(r"\bsrc=|url\(|@import|<link|<script|background=", letter.html)
    assert "prefers-color-scheme: dark" in letter.html
    assert "{{" not in letter.html + letter.text
    assert "trellisfield" not in letter.html + letter.text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", starting.ORDER)
def test_both_parts_have_the_same_links_in_the_same_order(name: str, language: str) -> None:
    letter = render(compiled(name, language), EVERYTHING)
    in_text = re.findall(r"https://[^\s)]+", letter.text)
    assert hrefs(letter.html) == in_text
    assert set(compiled(name, language).links) < set(in_text)


def test_the_footer_comes_by_itself_and_says_only_what_is_so() -> None:
    bare = compile_one(SHELL.format("<mj-text>Hi</mj-text>"))
    assert set(FACTS) <= bare.fields
    letter = render(bare, EVERYTHING)
    for part in (letter.text, letter.html):
        assert "Steel City Teachers states that you are a member." in part
        assert "signed by Maria Trujillo" in part
        assert "written by the local coordinator of this race" in part
        assert "Paid for by Neighbors for Pueblo. PO Box 100, Pueblo CO 81003" in part
        assert "Stop emails about State House 44" in part
        assert "https://letters.example/why/x" in part
        for claim in ("neighbor of yours", "anonymous", "wrote it", "never sees", "agreed to"):
            assert claim not in part


@pytest.mark.parametrize("name", FACTS)
def test_no_letter_goes_without_any_of_its_footer(name: str) -> None:
    bare = compile_one(SHELL.format("<mj-text>Hi</mj-text>"))
    with pytest.raises((FactsRefused, LetterRefused)):
        render(bare, {**EVERYTHING, name: ""})
    with pytest.raises(FactsRefused):
        render(bare, {known: text for known, text in EVERYTHING.items() if known != name})


def test_what_a_template_sets_for_all_does_not_reach_the_footer() -> None:
    loud = SHELL.replace(
        "<mjml>",
        '<mjml><mj-head><mj-attributes><mj-text color="#ffffff" font-size="69px"/>'
        '<mj-section background-color="#ffffff" padding="99px"/></mj-attributes></mj-head>',
    )
    letter = render(compile_one(loud.format("<mj-text>Hi</mj-text>")), EVERYTHING)
    footer = letter.html[letter.html.index("t-foot", letter.html.index("<body")) :]
    assert "#ffffff" not in footer
    assert "69px" not in footer
    assert "99px" not in footer
    assert footer.count("color:#47554f") == 3


def test_facts_are_escaped_where_they_stand() -> None:
    letter = render(
        compile_one(SHELL.format("<mj-text>At {{ polling_place | x }}</mj-text>")),
        {**EVERYTHING, "polling_place": "<b onclick='x'>&\"School\""},
    )
    assert "At &lt;b onclick=&#x27;x&#x27;&gt;&amp;&quot;School&quot;" in letter.html
    assert "At <b onclick='x'>&\"School\"" in letter.text


def test_a_misspelt_tag_is_refused_with_its_line_and_a_guess() -> None:
    with pytest.raises(TemplateRefused) as refused:
        compile_one("<mjml>\n<mj-body>\n\n<mj-secton>\n</mj-secton></mj-body></mjml>")
    [problem] = refused.value.problems
    assert problem.line == 4
    assert "mj-section" in problem.todo
    assert str(problem).startswith("Line 4: ")


@pytest.mark.parametrize(
    ("inside", "says"),
    [
        ('<mj-text font-sise="17px">x</mj-text>', "no font-sise"),
        ('<mj-include path="/etc/passwd"/>', "<mj-include> is not taken"),
        ('<mj-include path="https://evil.example/x.mjml"></mj-include>', "is not taken"),
        ("<mj-raw><b>x</b></mj-raw>", "<mj-raw> is not taken"),
        ('<mj-image src="https://evil.example/a.png"/>', "<mj-image> is not taken"),
        ('<mj-text><img src="https://evil.example/a.png"></mj-text>', "<img> is not taken"),
        ("<mj-text><script>alert(1)</script></mj-text>", "<script> is not taken"),
        ("<mj-text><style>x</style></mj-text>", "<style> is not taken"),
        ("<mj-text><iframe></iframe></mj-text>", "no <iframe>"),
        ("<mj-text><svg/onload=x></mj-text>", "no <svg"),
        ('<mj-text><a href="http://example.org/">x</a></mj-text>', "https://"),
        ('<mj-text><a href="https://evil.example/">x</a></mj-text>', "does not list"),
        ('<mj-text><a href="https://example.org@evil.example/">x</a></mj-text>', "login"),
        ('<mj-text><a href="https://example.org:444/">x</a></mj-text>', "port"),
        ('<mj-text><a href="//example.org/">x</a></mj-text>', "https://"),
        ('<mj-text><a href="javascript:alert(1)">x</a></mj-text>', "https://"),
        ('<mj-text><a href="https://example.org/\\x">x</a></mj-text>', "letter that links"),
        ("<mj-text><a>x</a></mj-text>", "leads nowhere"),
        (
            '<mj-text><a href="https://example.org/{{ race_name }}">x</a></mj-text>',
            "stands in href",
        ),
        ('<mj-text color="{{ race_name }}">x</mj-text>', "stands in color"),
        ('<mj-text><p style="color:{{ race_name }}">x</p></mj-text>', "stands in style"),
        ('<mj-text><p style="display:none">x</p></mj-text>', "style is not taken"),
        ('<mj-text><p style="color:url(//evil.example)">x</p></mj-text>', "value of color"),
        ('<mj-text color="red;display:none">x</mj-text>', "value of color"),
        ('<mj-text font-family="Roboto">x</mj-text>', "value of font-family"),
        ('<mj-text font-size="1px">x</mj-text>', "value of font-size"),
        ('<mj-text css-class="t-foot">x</mj-text>', "no css-class"),
        ('<mj-text onclick="x">x</mj-text>', "no onclick"),
        ("<mj-text>see evil.com/x</mj-text>", "does not list"),
        ("<mj-text>see evil.<b>com</b>/x</mj-text>", "does not list"),
        ("<mj-text>see evil.<!-- a -->com</mj-text>", "does not list"),
        ("<mj-text>see evil.{{ place_name | com }}</mj-text>", "become a link"),
        ("<mj-text>see {{ place_name | evil }}.com</mj-text>", "become a link"),
        ("<mj-text>see {{ place_name | evil }}.<i>c</i>om</mj-text>", "become a link"),
        ("<mj-text><!-- x", "has no end"),
        ("<mj-text>{{ unknown }}</mj-text>", "no field unknown"),
        ("<mj-text>x", "never closed"),
        ("</mj-text>", "closes nothing"),
        ("words", "outside mj-text"),
        ("<mj-section></mj-section>", "cannot stand in <mj-column>"),
        ("<?php x ?>", "instruction"),
        ("<!DOCTYPE html>", "declaration"),
        ('<mj-text align="left" align="right">x</mj-text>', "stands twice"),
    ],
)
def test_what_could_fetch_hide_track_or_break_is_refused_at_its_line(
    inside: str, says: str
) -> None:
    found = problems(SHELL.format(inside))
    assert any(says in what for _, what in found), found
    assert found[0][0] == 2


@pytest.mark.parametrize(
    "words",
    [
        "see you.<br/>Com what may, or a < b < c",
        "<p>see the site.</p><p>me too</p>",
        "I vote at {{ place_name | home }}. You?",
        "<b>Hi</b> {{ place_name | neighbor }}, 10.30 or so",
    ],
)
def test_what_no_mail_program_makes_a_link_of_stands(words: str) -> None:
    assert compile_one(SHELL.format(f"<mj-text>{words}</mj-text>")).links == ()


@pytest.mark.parametrize(
    "subject",
    ["", "Hi {{ first_name | you }}", "a\r\nBcc: x@y.z", "x" * 151, "Re: lunch", "see evil.com"],
)
def test_a_subject_has_no_field_no_link_no_line_break_and_no_pretence(subject: str) -> None:
    assert problems(SHELL.format("<mj-text>x</mj-text>"), subject)


def test_all_problems_come_at_once_in_order() -> None:
    found = problems(SHELL.format("<mj-txt></mj-txt>\n<mj-text>{{ foo }}</mj-text>\n<img>"))
    assert [line for line, _ in found] == sorted(line for line, _ in found)
    assert len(found) >= 3


def test_an_own_text_part_has_the_same_links_or_is_refused() -> None:
    mjml = SHELL.format('<mj-button href="https://example.org/rsvp">Go</mj-button>')
    good = compile_one(mjml, text="Hi {{ first_name | you }}: https://example.org/rsvp\n")
    assert Field("first_name", "you") in good.text
    assert problems(mjml, text="Nothing here")
    assert problems(mjml, text="https://example.org/rsvp https://example.org/other")
    assert problems(mjml, text="https://example.org/rsvp\nevil.com")[0][0] == 2


def test_a_templates_digest_is_that_of_its_canonical_json() -> None:
    template = Template("Grüße", "<mjml>\n</mjml>")
    spelled = json.dumps(
        {"mjml": template.mjml, "subject": template.subject},
        ensure_ascii=False,
        separators=(",", ":"),
    )
    assert template.digest() == hashlib.sha256(spelled.encode()).digest()
    assert Template("Grüße", "<mjml>\n</mjml>", "").digest() != template.digest()


def test_a_template_with_colours_of_its_own_keeps_them_in_the_dark() -> None:
    one = render(compile_one(SHELL.format('<mj-text color="#333333">x</mj-text>')), EVERYTHING)
    assert "color-scheme: light only" in one.html
    assert "prefers-color-scheme" not in one.html


def test_comments_are_not_sent() -> None:
    one = render(compile_one(SHELL.format("<!-- for us --><mj-text>x</mj-text>")), EVERYTHING)
    assert "for us" not in one.html


def test_an_entity_cannot_hide_a_field_or_a_tag() -> None:
    letter = render(
        compile_one(SHELL.format("<mj-text>&lt;script&gt; &#60;img src=x&#62;</mj-text>")),
        EVERYTHING,
    )
    assert "&lt;script&gt; &lt;img" in letter.html
    assert problems(SHELL.format("<mj-text>&#123;&#123; foo &#125;&#125;</mj-text>"))


@pytest.mark.parametrize("url", ["http://evil.example/", "javascript:x", 'https://a.b/"><x', ""])
def test_a_stop_link_that_is_none_stops_the_letter(url: str) -> None:
    with pytest.raises((LetterRefused, FactsRefused)):
        render(compiled(), {**EVERYTHING, "stop_url": url})


def test_a_reader_shows_nothing() -> None:
    assert repr(recipient(1, first_name="Ana")) == "Recipient()"

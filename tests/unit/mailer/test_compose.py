"""A template keeps the rules or is refused line by line; every letter says who and why."""

from __future__ import annotations

import hashlib
import html.parser
import json
import re
from html import escape as html_escape

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
    assert footer.count("color:#47554f") == 4


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
        ("<mj-text>see {{ place_name | evil }}.example.org</mj-text>", "become a link"),
        ("<mj-text>see www-{{ place_name | a }}.example.org</mj-text>", "become a link"),
        ("<mj-text>{{ first_name | you }}@example.org</mj-text>", "become a link"),
        ("<mj-text>see {{ place_name | ev }}{{ place_name | il.com }}</mj-text>", "become a link"),
        ("<mj-text>see {{ place_name | example.org }}</mj-text>", "become a link"),
        ("<mj-text>see evil\u3002com</mj-text>", "does not list"),
        ("<mj-text>see evil\uff0ecom</mj-text>", "does not list"),
        ("<mj-text>see evil.top</mj-text>", "does not list"),
        ("<mj-text>see evil.se</mj-text>", "does not list"),
        ("<mj-text>see \u0435xample.org</mj-text>", "letter that links do not have"),
        ('<mj-text><a href="https://\u0435xample.org/">x</a></mj-text>', "letter that links"),
        ('<mj-text><a href="https://xn--xample-9uf.org/">x</a></mj-text>', "does not list"),
        ('<mj-text><a href="data:text/html,x">x</a></mj-text>', "https://"),
        ('<mj-text><a href=" JaVaScRiPt&#58;alert(1)">x</a></mj-text>', "https://"),
        (
            '<mj-text><a href="https://example.org/&#123;&#123;x&#125;&#125;">x</a></mj-text>',
            "href",
        ),
        ("<mj-text>\u202egro.elpmaxe</mj-text>", "hidden letter"),
        ("<mj-text>evil\u200b.com</mj-text>", "hidden letter"),
        ("<mj-text>{<b>{</b> first_name | you }}</mj-text>", "cuts the marks"),
        ("<mj-text>{<b>{</b> first_name | you }<i>}</i></mj-text>", "cuts the marks"),
        ("<mj-text>{{ first_<b>name</b> }}</mj-text>", "never closed"),
        ("<mj-text>{{ first_name <!-- a -->| you }}.com</mj-text>", "become a link"),
        ("<mj-html-attributes></mj-html-attributes>", "no <mj-html-attributes>"),
        ('<mj-text mj-class="x">x</mj-text>', "no mj-class"),
        ("<mj-text><![CDATA[x]]></mj-text>", "declaration"),
        ("<mj-text><![if mso]>x<![endif]></mj-text>", "declaration"),
        ('<!DOCTYPE x [<!ENTITY a "b">]>', "declaration"),
        ('<mj-text><p style="width:expression(alert(1))">x</p></mj-text>', "style is not taken"),
        ('<mj-text><p style="color:expression(1)">x</p></mj-text>', "value of color"),
        ("<mj-text><p style=\"@import 'x'\">x</p></mj-text>", "style is not taken"),
        ('<mj-text font-family="Arial\', url(x)">x</mj-text>', "value of font-family"),
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
        "At 7.pm, 5 p.m. or 9 a.m., at St. Mary's, U.S. 50, e.g. {{ place_name | here }}.",
        "{{ place_name | here }}/{{ precinct | there }}: \u00e1\u00a0b, co\u00adop, \u200d",
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


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("Hi\nsee {{ place_name | evil }}.com", 2, "become a link"),
        ("Hi\n\n\u202eoh", 3, "hidden letter"),
        ("Hi\n{{ nothing }}", 2, "no field nothing"),
        ("x" * 70_000, 0, "too long"),
        ("{{ x }}" * 500_000, 0, "too long"),
    ],
)
def test_an_own_text_part_keeps_the_rules_of_words_and_its_lines_are_named(
    text: str, line: int, says: str
) -> None:
    with pytest.raises(TemplateRefused) as refused:
        compile_one(SHELL.format("<mj-text>x</mj-text>"), text=text)
    [problem] = refused.value.problems
    assert problem.place == (f"Text, line {line}" if line else "Text")
    assert says in problem.what


TITLES = ['Say "hello" & <b>', "a\" style='background:url(//evil.example)' x=\"", "</title><b>"]


@pytest.mark.parametrize("title", TITLES)
def test_a_title_stays_words_in_the_head_and_in_the_attribute(title: str) -> None:
    head = f"<mj-head><mj-title>{html_escape(title, quote=False)}</mj-title></mj-head>"
    source = SHELL.replace("<mj-body>", f"{head}<mj-body>").format("<mj-text>x</mj-text>")
    page = render(compile_one(source), EVERYTHING).html
    found: list[dict[str, str | None]] = []

    class Finder(html.parser.HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag == "div" and ("role", "article") in attrs:
                found.append(dict(attrs))

    Finder().feed(page)
    assert [one["aria-label"] for one in found] == [title]
    assert found[0].keys() == {
        *("aria-label", "aria-roledescription", "class", "dir", "lang", "role", "style")
    }
    assert f"<title>\n{html_escape(title)}\n</title>" in page


@pytest.mark.parametrize("link", ["?a=1&copy=2&lt=3", "&quot;&gt;x", "%7B%7Bfirst_name%7D%7D"])
def test_a_link_leads_where_it_was_written_to_from_words_a_button_and_the_text(link: str) -> None:
    href = html_escape(f"https://example.org/{link}")
    inside = f'<mj-button href="{href}">b</mj-button><mj-text><a href="{href}">a</a></mj-text>'
    letter = render(compile_one(SHELL.format(inside)), EVERYTHING)
    assert hrefs(letter.html)[:2] == [f"https://example.org/{link}"] * 2
    assert letter.text.count(f"https://example.org/{link}") == 2


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

"""Words for some places reach readers there alone, in both parts, and tell nobody's number."""

from __future__ import annotations

import pytest

from mailer.compose import Compiled, Template, compile_template, render
from mailer.errors import TemplateRefused
from mailer.fields import FIELDS
from mailer.letter import prepare
from mailer.places import Place
from tests.fakes.letters import AT, COMMON, SENDER, recipient

FACTS = {**COMMON, "stop_url": "https://a.example/u/x", "why_url": "https://a.example/why/x"}
BODY = "<mjml><mj-body>{}</mj-body></mjml>"
COLUMN = BODY.format("<mj-section><mj-column>\n{}\n</mj-column></mj-section>")
NORTH = Place("12", "81003", frozenset({"House 44", "Senate 3"}))
SOUTH = Place("13", "81005", frozenset({"House 45", "Senate 3"}))
WORDS = ("north", "south", "rest", "wide", "wrapped")


def compiled(mjml: str, text: str | None = None) -> Compiled:
    return compile_template(
        Template("x", mjml, text), allowed_fields=FIELDS, allowed_hosts={"example.org"}
    )


def problems(mjml: str, text: str | None = None) -> list[tuple[int, str]]:
    with pytest.raises(TemplateRefused) as refused:
        compiled(mjml, text)
    return [(problem.line, problem.what) for problem in refused.value.problems]


WHOLE = BODY.format(
    '<mj-wrapper><mj-place zip="81003"><mj-section><mj-column><mj-text>wrapped</mj-text>'
    "</mj-column></mj-section></mj-place></mj-wrapper>"
    "<mj-section><mj-column><mj-text>all</mj-text>"
    '<mj-place precinct="12, 14"><mj-text>north {{ polling_place | there }}</mj-text></mj-place>'
    '<mj-place zip="81005"><mj-text>south</mj-text></mj-place>'
    "<mj-elsewhere><mj-text>rest</mj-text></mj-elsewhere></mj-column></mj-section>"
    '<mj-place district="Senate 3"><mj-section><mj-column><mj-text>wide</mj-text></mj-column>'
    "</mj-section></mj-place>"
)


@pytest.mark.parametrize(
    ("place", "sees"),
    [
        (NORTH, {"north", "wide", "wrapped"}),
        (SOUTH, {"south", "wide"}),
        (Place("14"), {"north"}),
        (Place("99", "99999"), {"rest"}),
        (Place(), {"rest"}),
    ],
)
def test_who_sees_what_is_where_they_vote(place: Place, sees: set[str]) -> None:
    one = compiled(WHOLE)
    letter = render(one, FACTS, place)
    assert {word for word in WORDS if word in letter.text} == sees
    assert {word for word in WORDS if f">{word}" in letter.html} == sees
    assert "all" in letter.text
    assert "trellis" not in letter.text + letter.html
    slice_ = prepare(one, sender=SENDER, common=COMMON, campaign="spring", at=AT, place=place)
    sent = slice_.write(recipient(1)).decode()
    assert {word for word in WORDS if sent.count(word) == 2} == sees


def test_markup_stays_whole_whatever_is_left_out() -> None:
    one = compiled(WHOLE)
    for place in (NORTH, SOUTH, Place()):
        page = render(one, FACTS, place).html
        for tag in ("div", "table", "tr", "td"):
            assert page.count(f"<{tag}") == page.count(f"</{tag}>"), tag
        assert page.count("<!--[if") == page.count("<![endif]")


def test_places_change_no_link() -> None:
    with_link = COLUMN.format(
        '<mj-place zip="81003"><mj-text>\n<a href="https://example.org/">x</a></mj-text></mj-place>'
    )
    assert problems(with_link) == [(3, "A link stands in a place block.")]
    assert problems(COLUMN.format('<mj-place zip="1"><mj-text>example.org/x</mj-text></mj-place>'))


@pytest.mark.parametrize(
    ("inside", "says"),
    [
        ("<mj-place><mj-text>x</mj-text></mj-place>", "names no place"),
        ('<mj-place zip=""><mj-text>x</mj-text></mj-place>', "value of zip"),
        ('<mj-place zap="1"><mj-text>x</mj-text></mj-place>', "no zap"),
        ('<mj-place zip="1"></mj-place>', "is empty"),
        ('<mj-place zip="1">words</mj-place>', "outside mj-text"),
        ("<mj-elsewhere><mj-text>x</mj-text></mj-elsewhere>", "follows no <mj-place>"),
        (
            '<mj-place zip="1"><mj-text>a</mj-text></mj-place><mj-text>b</mj-text>'
            "<mj-elsewhere><mj-text>x</mj-text></mj-elsewhere>",
            "follows no <mj-place>",
        ),
        (
            '<mj-place zip="1"><mj-place zip="2"><mj-text>x</mj-text></mj-place></mj-place>',
            "cannot stand in <mj-place>",
        ),
        ('<mj-place zip="1"><mj-section></mj-section></mj-place>', "cannot stand in <mj-place>"),
        ('<mj-text><mj-place zip="1">x</mj-place></mj-text>', "cannot stand in <mj-text>"),
        ('<mj-place zip="1"><mj-text>x</mj-text></mj-place>' * 41, "too many place blocks"),
    ],
)
def test_a_place_block_that_cannot_be_meant_is_refused_at_its_line(inside: str, says: str) -> None:
    found = problems(COLUMN.format(inside))
    assert any(says in what for _, what in found), found
    assert found[0][0] == 2


def test_a_text_part_of_ones_own_goes_with_no_place_block() -> None:
    mjml = COLUMN.format('<mj-place zip="1"><mj-text>x</mj-text></mj-place>')
    assert compiled(mjml).places
    assert any("text part" in what for _, what in problems(mjml, "own words"))


def test_nobody_can_write_a_mark_that_hides_words() -> None:
    for kind in ("begin", "end", "field"):
        word = f"trellis{kind}{'0' * 24}x0x"
        letter = render(compiled(COLUMN.format(f"<mj-text>a {word} b</mj-text>")), FACTS)
        assert f"a {word} b" in letter.text
        assert f"a {word} b" in letter.html


def test_a_place_shows_nothing_of_itself() -> None:
    assert repr(NORTH) == "Place()"

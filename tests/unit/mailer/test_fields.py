"""The merge language has fields and fallbacks, and nothing that runs."""

import time

import pytest

from mailer.errors import FactsRefused
from mailer.fields import FIELDS, Field, bind, fill, parse, tidy


def test_words_and_fields() -> None:
    pieces, problems = parse(
        "Hi {{ first_name | good neighbor }} in {{race_name}}!", line=1, allowed=FIELDS
    )
    assert not problems
    assert pieces == (
        "Hi ",
        Field("first_name", "good neighbor"),
        " in ",
        Field("race_name"),
        "!",
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a\nb {{ first_nam }}", "no field first_nam"),
        ("a\n{{ first_name }}", "may be empty"),
        ("a\n{{ first_name", "never closed"),
        ("a\nx }} y", "outside a field"),
        ("a\n{% for x in y %}", "outside a field"),
        ("a\n{# note #}", "outside a field"),
        ("a\n{{ first_name.upper() | x }}", "no field"),
        ("a\n{{ ''.__class__ }}", "no field"),
        ("a\n{{ first_name | x | y }}", "no field"),
        ("a\n{{ {{ race_name }} }}", "no field"),
        ("a\n{{ first_name | <b> }}", "no field"),
        ("a\n{{ first_name | " + "x" * 61 + " }}", "too long"),
    ],
)
def test_anything_else_is_refused_with_its_line(text: str, says: str) -> None:
    _, [problem, *_] = parse(text, line=1, allowed=FIELDS)
    assert problem.line == 2
    assert says in problem.what
    assert problem.todo


def test_a_field_that_the_agreement_does_not_allow_is_refused() -> None:
    _, [problem] = parse("{{ first_name | you }}", line=3, allowed={"race_name"})
    assert "agreement" in problem.what
    assert "race_name" in problem.todo


@pytest.mark.parametrize(
    "probe",
    [
        "{{ 'a'*1000000000 }}",
        "{{ '%999999999d'%1 }}",
        "{{ 'x'|center(300000000) }}",
        "{{ lipsum.__globals__ }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ namespace }}",
        "{{ self }}",
        "{{" * 20_000,
        "{{ first_name |" + " " * 30_000,
    ],
)
def test_template_probes_are_refused_at_once(probe: str) -> None:
    began = time.process_time()
    _, problems = parse(probe, line=1, allowed=FIELDS)
    assert problems
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("name", "typed", "shown"),
    [
        ("first_name", "  Ana\tMaría \n", "Ana María"),
        ("first_name", "A\u202ena\u200b\x00", "Ana"),
        ("first_name", "www.evil.example", ""),
        ("first_name", "evil.com", ""),
        ("first_name", "a@b", ""),
        ("first_name", "<b>Ana</b>", ""),
        ("first_name", "J. R.", "J. R."),
        ("first_name", "x" * 41, ""),
        ("polling_place", "x" * 200, "x" * 120),
    ],
)
def test_facts_are_tidied_before_they_stand_in_a_letter(name: str, typed: str, shown: str) -> None:
    assert tidy(name, typed) == shown


def test_a_fallback_stands_in_for_an_empty_text_and_nothing_for_a_missing_one() -> None:
    pieces, _ = parse("{{ first_name | you }}", line=1, allowed=FIELDS)
    assert fill(pieces, {"first_name": ""}, str) == "you"
    with pytest.raises(FactsRefused) as refused:
        fill((Field("race_name"),), {"race_name": ""}, str)
    assert refused.value.field == "race_name"


def test_what_is_known_for_all_is_filled_in_once() -> None:
    pieces = ("a ", Field("race_name"), " b ", Field("first_name", "you"))
    assert bind(pieces, {"race_name": "<44>"}, lambda t: t.replace("<", "&lt;")) == (
        "a &lt;44> b ",
        Field("first_name", "you"),
    )

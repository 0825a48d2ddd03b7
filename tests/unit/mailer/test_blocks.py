"""Blocks become the letter that they say, or are refused by block and part."""

from __future__ import annotations

from typing import Any

import pytest

from mailer import starting
from mailer.blocks import KINDS, to_mjml
from mailer.compose import render
from mailer.errors import TemplateRefused
from mailer.fields import FIELDS
from mailer.versions import compile_versions
from tests.fakes.letters import COMMON

FACTS = {**COMMON, "stop_url": "https://a.example/u/x", "why_url": "https://a.example/why/x"}


def problems(blocks: object, subject: str = "Hello") -> list[str]:
    with pytest.raises(TemplateRefused) as refused:
        compile_versions(
            {"subject": subject, "blocks": blocks},
            languages=("en",),
            allowed_fields=FIELDS,
            allowed_hosts={"example.org"},
        )
    assert all(problem.todo for problem in refused.value.problems)
    return [f"{problem.where}: {problem.what}" for problem in refused.value.problems]


def text_of(*blocks: dict[str, Any]) -> str:
    made = compile_versions(
        {"subject": "Hello", "blocks": list(blocks)},
        languages=("en",),
        allowed_fields=FIELDS,
        allowed_hosts={"example.org"},
    )
    return render(made["en"], FACTS).text.partition("\n-- \n")[0].strip()


def test_every_kind_of_block_stands_in_the_letter_in_its_order() -> None:
    said = text_of(
        {"kind": "heading", "text": "Hi"},
        {"kind": "text", "text": "One **bold** [here](https://example.org/a).\n\nTwo\nlines"},
        {"kind": "list", "items": ["a", "b"], "numbered": True},
        {"kind": "facts", "rows": [{"label": "Where", "text": "{{ polling_place | there }}"}]},
        {"kind": "divider"},
        {"kind": "button", "text": "Go", "link": "https://example.org/b"},
        {"kind": "sign", "text": "Bye,"},
    )
    assert said == (
        "HI\n\nOne bold here (https://example.org/a).\n\nTwo\nlines\n\n1. a\n2. b\n\nWhere\nthere"
        "\n\n* * *\n\nGo: https://example.org/b\n\nBye,\nMaria Trujillo"
    )


@pytest.mark.parametrize(
    ("block", "says"),
    [
        ({"kind": "txt"}, "Block 2, kind: There is no such kind."),
        ("words", "Block 2, kind: This is no block."),
        ({"kind": "text"}, "Block 2, text: It is missing."),
        ({"kind": "text", "text": " "}, "Block 2, text: It is empty, or no text."),
        ({"kind": "text", "text": 5}, "Block 2, text: It is empty, or no text."),
        ({"kind": "text", "text": "x" * 4001}, "Block 2, text: It is too long."),
        ({"kind": "text", "text": "a\u202eb"}, "Block 2, text: It has a hidden letter."),
        ({"kind": "text", "text": "x", "size": 3}, "Block 2, size: It is not known."),
        ({"kind": "heading", "text": "a\nb"}, "Block 2, text: It has a line break."),
        ({"kind": "list", "items": []}, "Block 2, items: It is no list."),
        ({"kind": "list", "items": ["a", ""]}, "Block 2, item 2: It is empty, or no text."),
        ({"kind": "list", "items": ["a"], "numbered": 1}, "Block 2, numbered: It is neither"),
        ({"kind": "facts", "rows": [{"label": "a"}]}, "Block 2, row 1: It is no label with"),
        ({"kind": "text", "text": "{{ nothing }}"}, "Block 2, text: There is no field nothing."),
        ({"kind": "text", "text": "{{ precinct }}"}, "Block 2, text: precinct may be empty."),
        ({"kind": "text", "text": "see evil.com"}, "Block 2, text: The agreement does not list"),
        (
            {"kind": "text", "text": "[x](javascript:alert)"},
            "Block 2, text: Links begin with https://.",
        ),
        (
            {"kind": "button", "text": "x", "link": "https://example.org/{{race_name}}"},
            "Block 2, link: A field stands in href.",
        ),
        (
            {"kind": "list", "items": ["a", "{{ foo }}"]},
            "Block 2, item 2: There is no field foo.",
        ),
        (
            {"kind": "facts", "rows": [{"label": "a", "text": "{{ foo }}"}]},
            "Block 2, row 1 text: There is no field foo.",
        ),
        ({"kind": "preview", "text": "x"}, "Block 2, kind: A preview stands once, first."),
        (
            {"kind": "text", "text": "x", "places": "elsewhere"},
            "Block 2, places: Elsewhere follows no places.",
        ),
        ({"kind": "text", "text": "x", "places": {"zap": ["1"]}}, "Block 2, places: These are no"),
        (
            {"kind": "text", "text": "x", "places": {"zip": ['"><x']}},
            "Block 2, places: A place has no such code.",
        ),
        (
            {"kind": "text", "text": "[x](https://example.org/)", "places": {"zip": ["1"]}},
            "Block 2, text: A link stands in a place block.",
        ),
    ],
)
def test_what_is_wrong_is_named_by_block_and_part(block: Any, says: str) -> None:
    found = problems([{"kind": "text", "text": "fine"}, block])
    assert any(one.startswith(says) for one in found), found


@pytest.mark.parametrize("blocks", [None, [], {}, "x", [{"kind": "text", "text": "x"}] * 61])
def test_blocks_are_a_list_of_some(blocks: object) -> None:
    assert problems(blocks)


def test_a_fault_of_the_subject_is_the_subjects() -> None:
    assert problems([{"kind": "text", "text": "x"}], "Re: lunch")[0].startswith("Subject: ")


def test_markup_in_a_block_is_words() -> None:
    assert text_of({"kind": "text", "text": "<script>alert(1)</script> & **"}).startswith(
        "<script>alert(1)</script> & **"
    )


def test_each_line_of_the_mjml_belongs_to_one_part() -> None:
    written = to_mjml(
        [{"kind": "text", "text": "a\n\nb"}, {"kind": "sign"}], title="x", language="en"
    )
    assert len(written.spots) == written.mjml.count("\n")
    assert written.where(99) == ""


def test_every_kind_that_exists_is_in_some_starter_or_is_the_divider() -> None:
    used = {block["kind"] for name in starting.ORDER for block in starting.starter(name)["blocks"]}
    assert used == set(KINDS) - {"divider"}

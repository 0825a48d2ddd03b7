"""A letter comes back out of its form as it went in, and each button does one thing to it."""

from __future__ import annotations

from typing import Any

import pytest

from consortium.web import letter_form, letter_page
from consortium.web.letter_form import CALLED, EMPTY, Typed, Version
from mailer import blocks, starting
from mailer.errors import Problem
from mailer.fields import FIELDS
from mailer.versions import compile_versions

CODES = ("en", "es")
EVERY: list[dict[str, Any]] = [
    {"kind": "preview", "text": "10 to noon."},
    {"kind": "heading", "text": "Saturday"},
    {"kind": "text", "text": "Hi.\n\nCome.", "places": {"zip": ["81003", "81004"]}},
    {"kind": "text", "text": "Call.", "places": "elsewhere"},
    {"kind": "list", "items": ["One", "Two"], "numbered": True},
    {"kind": "button", "text": "Come", "link": "https://example.org/rsvp"},
    {"kind": "facts", "rows": [{"label": "When", "text": "Ten"}]},
    {"kind": "divider"},
    {"kind": "sign", "text": "See you,"},
]


def form(version: Version, end: str = "") -> dict[str, str]:
    """What a browser would send of a version, as the page's fields are named."""
    made = {
        f"subject{end}": version.subject,
        f"preview{end}": version.preview,
        f"form{end}": "mjml" if version.coded else "blocks",
        f"mjml{end}": version.mjml,
        f"text{end}": version.text,
    }
    for number, one in enumerate(version.blocks, start=1):
        name = f"block{end}.{number}"
        made |= {f"{name}.{part}": getattr(one, part) for part in ("kind", "text", "link", "items")}
        made |= {f"{name}.who": one.who, **({f"{name}.numbered": "yes"} if one.numbered else {})}
        made |= {f"{name}.{kind}": codes for kind, codes in one.codes.items()}
        for at, (label, text) in enumerate(one.rows, start=1):
            made |= {f"{name}.row.{at}.label": label, f"{name}.row.{at}.text": text}
    return {key: value.replace("\n", "\r\n") for key, value in made.items()}


def test_every_kind_of_block_that_letters_know_goes_through_the_form_unchanged() -> None:
    assert {"preview", *CALLED} == set(blocks.KINDS)
    template = {"subject": "Saturday", "blocks": EVERY}
    assert blocks.check(EVERY) == []
    shown = letter_form.version_of(template)
    assert letter_form.read(form(shown), "").to_json() == template
    assert letter_form.read(form(shown, "_es"), "_es").to_json() == template
    other = {"subject": "Saturday", "blocks": EVERY[1:]}
    assert letter_form.read(form(letter_form.version_of(other)), "").to_json() != template


@pytest.mark.parametrize("name", starting.ORDER)
def test_a_starter_saved_as_it_was_filled_in_keeps_every_rule(name: str) -> None:
    page = letter_page.begun(CODES, name, coded=False)
    sent = {**form(page.versions[""]), **form(page.versions["_es"], "_es")}
    made = compile_versions(
        letter_page.read(sent, CODES).template(),
        languages=CODES,
        allowed_fields=FIELDS,
        allowed_hosts={"example.org"},
    )
    assert list(made) == ["en", "es"]


def test_a_starter_that_is_not_there_fills_nothing() -> None:
    page = letter_page.begun(CODES, "../../etc/passwd", coded=False)
    assert page.versions == {"": EMPTY, "_es": Version()}
    assert list(page.template()) == ["subject", "blocks"]


def kinds(page: letter_page.Page, end: str = "") -> list[str]:
    return [one.kind for one in page.versions[end].blocks]


def test_each_button_does_one_thing_and_says_where_to_go_on() -> None:
    page = letter_page.begun(CODES, "", coded=False)
    more = letter_page.pressed(page, "add::button", {"at": "2"})
    assert (kinds(more), more.focus) == (["heading", "button", "text", "sign"], "block.2.text")
    last = letter_page.pressed(more, "add::divider", {"at": "end"})
    assert (kinds(last)[-1], last.focus) == ("divider", "block.5.remove")
    up = letter_page.pressed(more, "up::2", {})
    # The first block cannot go up, so that button could not be focused.
    assert (kinds(up)[:2], up.focus) == (["button", "heading"], "block.1.down")
    down = letter_page.pressed(more, "down::1", {})
    assert kinds(down) == kinds(up)
    less = letter_page.pressed(more, "remove::2", {})
    assert (kinds(less), less.focus) == (kinds(page), "undo")
    assert kinds(letter_page.pressed(less, "undo", {})) == kinds(more)


@pytest.mark.parametrize(
    "do",
    [
        "",
        "keep",
        "up::0",
        "up::1",
        "down::3",
        "remove::9",
        "add::script",
        "add:_fr:text",
        "up::x",
        "undo",
        "mjml:_fr:",
        "🙂::1",
    ],
)
def test_what_is_no_button_changes_no_word(do: str) -> None:
    page = letter_page.begun(CODES, "", coded=False)
    assert letter_page.pressed(page, do, {"at": "9999"}).versions == page.versions


@pytest.mark.parametrize("said", ["", "[]", "{", '{"end":"","version":{"blocks":5}}', "[" * 9000])
def test_an_undo_that_was_bent_is_none(said: str) -> None:
    assert letter_form.undone(said) is None


def test_the_other_language_begins_with_the_same_blocks_and_none_of_the_words() -> None:
    page = letter_page.begun(CODES, "event", coded=False)
    bare = letter_page.pressed(page, "drop:_es:", {})
    assert bare.versions["_es"].empty
    assert "languages" not in bare.template()
    begun = letter_page.pressed(bare, "begin:_es:", {})
    assert kinds(begun, "_es") == kinds(begun)
    assert not any(one.text or one.rows for one in begun.versions["_es"].blocks)
    assert [one.link for one in begun.versions["_es"].blocks if one.link] == [
        "https://example.org/rsvp"
    ]
    # So nothing untranslated is ever saved: it is refused, block by block.
    assert blocks.check(begun.template()["languages"]["es"]["blocks"])


def test_blocks_become_the_mjml_that_they_stand_for_and_can_come_back() -> None:
    page = letter_page.begun(CODES, "event", coded=False)
    coded = letter_page.pressed(page, "mjml::", {})
    assert coded.versions[""].mjml.startswith('<mjml lang="en">')
    assert letter_page.pressed(coded, "undo", {}).versions == page.versions


@pytest.mark.parametrize(
    ("where", "field", "said"),
    [
        ("Block 3, text", "block.2.text", "Block 2, text"),
        ("Block 1, text", "preview", "Preview text"),
        ("Block 5, item 2", "block.4.items", "Block 4, item 2"),
        ("Block 7, row 2 text", "block.6.row.2.text", "Block 6, row 2 text"),
        ("Block 3, places", "block.2.who", "Block 2, places"),
        ("Spanish, block 3, link", "block_es.3.link", "Spanish: Block 3, link"),
        ("Spanish, subject", "subject_es", "Spanish: Subject"),
        ("Subject", "subject", "Subject"),
        ("Blocks", "add", "Blocks"),
        ("Letter", "letter", "Letter"),
    ],
)
def test_a_problem_is_found_at_its_field(where: str, field: str, said: str) -> None:
    page = letter_page.Page(
        {"": Version("A", "Behind it", (Typed("text"),)), "_es": Version("B")}, CODES
    )
    [wrong] = letter_page.wrongs(page, [Problem(4, "It is empty.", "Fill it in.", where)])
    assert (wrong.field, wrong.where) == (field, said)

"""No template takes long, takes much memory, or puts a field anywhere but into words."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailer.compose import Template, compile_template, render
from mailer.errors import TemplateRefused
from mailer.fields import FIELDS, Field
from mailer.versions import compile_versions
from tests.fakes.letters import COMMON

KB64 = 64 * 1024
SHELL = "<mjml><mj-body><mj-section><mj-column><mj-text>{}</mj-text></mj-column></mj-section></mj-body></mjml>"  # noqa: E501
PIECES = {
    "angles": "<",
    "closings": "</",
    "tags": "<b>",
    "half tags": "<a ",
    "attributes": "<a x='",
    "quotes": '<a href="',
    "comments": "<!--",
    "declarations": "<!",
    "sections": "<![CDATA[",
    "instructions": "<?",
    "entities": "&#",
    "named": "&amp",
    "braces": "{{",
    "fields": "{{ first_name | x }}",
    "bars": "{{ a |" + " " * 4000 + "<}}",
    "names": "{{ " + "a" * 3000 + " }}",
    "dashes": "a-",
    "dots": "a.",
    "long labels": "a" * 62 + ".",
    "links": "https://x",
    "addresses": "www.",
    "unknown": "<x>",
    "closed": "<b>x</b>",
    "paragraphs": "<p>x</p>",
    "lists": "<ul><li>x</li></ul>",
    "breaks": "<br/>",
    "columns": "</mj-text><mj-text>x",
    "letters": "<mj-text>",
    "places": '</mj-text><mj-place zip="1"><mj-text>x</mj-text></mj-place><mj-text>',
    "codes": '<mj-place zip="' + "1," * 20000 + '">',
    "styles": '<p style="' + "color:#111;" * 2000 + '">x</p>',
    "jinja": "{{ 'a'*1000000000 }}",
    "formats": "{{ '%999999999d'%1 }}",
    "walks": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "statements": "{% for x in range(10**9) %}",
    "hidden": "\u202e\u0000",
    "newlines": "\n",
}


def bounded(template: dict[str, Any]) -> None:
    began = time.process_time()
    said = "fine"
    try:
        compile_versions(
            template, languages=("en", "es"), allowed_fields=FIELDS, allowed_hosts={"example.org"}
        )
    except TemplateRefused as refused:
        said = str(refused)
    assert 0 < len(said) < 60_000
    # Processor time, so that a busy machine makes no fault of ours.
    assert time.process_time() - began < 1


def filled(piece: str) -> list[str]:
    whole = piece * (KB64 // len(piece))
    begun = SHELL.partition("{")[0]
    return [
        whole[:KB64],
        SHELL.format(whole[: KB64 - len(SHELL)]),
        whole[: KB64 - 9] + "</mjml>",
        (begun + whole)[:KB64],
    ]


@pytest.mark.parametrize("piece", PIECES.values(), ids=PIECES)
def test_the_longest_template_of_anything_is_judged_within_a_second(piece: str) -> None:
    for source in filled(piece):
        bounded({"subject": "x", "mjml": source})
    for text in (piece * 4000)[:4000], (piece * 300)[:300]:
        bounded({"subject": text[:150], "blocks": [{"kind": "text", "text": text}] * 60})


def test_no_template_of_the_corpus_takes_four_hundred_megabytes() -> None:
    code = (
        "import resource,sys;resource.setrlimit(resource.RLIMIT_AS,(2**30,2**30));"
        "from tests.property import test_template_abuse as t;"
        "[t.bounded({'subject':'x','mjml':t.filled(p)[1]}) for p in t.PIECES.values()];"
        # Not the resource module's: that counts what the parent had when it forked.
        "print([x for x in open('/proc/self/status') if 'VmHWM' in x][0].split()[1])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 20_000 < int(done.stdout) < 400_000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["kind", "text", "items", "rows", "link", "places", "label", "zip", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150)
@given(blocks=JSON, languages=JSON)
def test_whatever_json_comes_it_is_a_letter_or_a_list_of_problems(
    blocks: Any, languages: Any
) -> None:
    bounded({"subject": "x", "blocks": blocks, "languages": languages})


WORDS = st.text(st.sampled_from("ab {}|<>&\"'=:/.-_\n*[]()#;"), max_size=60)


@settings(max_examples=150)
@given(before=WORDS, behind=WORDS, tag=st.sampled_from(["p", "b", "a", "li", "h1"]))
def test_a_field_stands_in_words_or_the_template_is_refused(
    before: str, behind: str, tag: str
) -> None:
    inside = f"<{tag} {before}>{behind}{{{{ first_name | you }}}}</{tag}>{before}"
    try:
        made = compile_template(
            Template("x", SHELL.format(inside)),
            allowed_fields=FIELDS,
            allowed_hosts={"example.org"},
        )
    except TemplateRefused:
        return
    facts = {**COMMON, "stop_url": "https://a.example/u", "why_url": "https://a.example/w"}
    page = render(made, {**facts, "first_name": "NAME"}).html
    assert not re.search(r"<[^>]*NAME", page)
    assert "NAME" not in made.subject
    assert any(isinstance(piece, Field) for piece in made.html)
    assert json.dumps(made.links).count("{{") == 0
